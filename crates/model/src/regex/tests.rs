//! Anchored expressions against what Go and Prometheus recorded, and the shortcuts by hand.

mod re2;

use super::*;
use std::collections::BTreeSet;

fn read_lines(path: &str) -> Option<Vec<serde_json::Value>> {
    let path = format!("{}/../../../shared/conformance/oracle/{path}", env!("CARGO_MANIFEST_DIR"));
    match std::fs::read_to_string(&path) {
        Ok(text) if path.ends_with(".jsonl") => {
            Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
        }
        Ok(text) => Some(vec![serde_json::from_str(&text).unwrap()]),
        Err(error) if std::env::var_os("CI").is_none() => {
            println!("skipped: {path}: {error}");
            None
        }
        Err(error) => panic!("{path}: {error}"),
    }
}

/// What a Prometheus answered, for 80 values and a missing label.
#[test]
fn matches_and_refuses_as_prometheus_does() {
    let Some(values) = read_lines("regex-values.json") else { return };
    let Some(cases) = read_lines("regex-golden.jsonl") else { return };
    let values: Vec<&str> = values[0]["values"].as_array().unwrap().iter().map(|v| v.as_str().unwrap_or("")).collect();
    assert!(cases.len() >= 111);
    let differences: Vec<String> = cases.iter().filter_map(|case| difference_from_golden(case, &values)).collect();
    println!("regex-golden: {} of {} as recorded", cases.len() - differences.len(), cases.len());
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// How we differ from a recorded answer, if we do.
fn difference_from_golden(case: &serde_json::Value, values: &[&str]) -> Option<String> {
    let pattern = case["pattern"].as_str().unwrap();
    match AnchoredRegex::new(pattern) {
        Ok(_) if case["code"] != 200 => Some(format!("{pattern:?} is accepted")),
        Ok(regex) => {
            check_shortcuts(&regex, values);
            let matched: Vec<usize> = (0..values.len()).filter(|&at| regex.is_match(values[at])).collect();
            let expected: Vec<usize> = serde_json::from_value(case["matched_i"].clone()).unwrap_or_default();
            (matched != expected).then(|| format!("{pattern:?} matches {matched:?}, not {expected:?}"))
        }
        Err(error) => {
            let expected = case["error_2_53"].as_str().unwrap_or_default();
            let same = case["code"] == 400 && expected.ends_with(&error.to_string());
            (!same).then(|| format!("{pattern:?} is refused with {error}, not {expected:?}"))
        }
    }
}

/// What is said about all matches must hold for each.
fn check_shortcuts(regex: &AnchoredRegex, values: &[&str]) {
    let matched: BTreeSet<&str> = values.iter().copied().filter(|value| regex.is_match(value)).collect();
    let expression = &regex.0.expression;
    assert!(matched.iter().all(|value| value.starts_with(regex.prefix())), "prefix of {expression:?}");
    if let Some(literals) = regex.literals() {
        assert!(matched.iter().all(|value| literals.iter().any(|literal| literal == value)), "list of {expression:?}");
        assert!(literals.is_sorted_by(|a, b| a < b), "{expression:?}");
    }
    assert!(!regex.matches_everything() || matched.len() == values.iter().collect::<BTreeSet<_>>().len());
    assert!(!regex.matches_all_but_empty() || !matched.contains(""));
    // The machine without any shortcut agrees.
    let parsed = parse::parse(expression, Groups::Captured).unwrap();
    let machine = compile(parsed.hir, GROUPING_BYTES_MAX).unwrap();
    for value in values {
        assert_eq!(machine.is_match(anchored(value)), regex.is_match(value), "{expression:?} on {value:?}");
    }
}

/// What Go answered, with Prometheus' fork of its package: the values that match or the error, and what
/// `ExpandString` makes of a template for each match.
#[test]
fn matches_refuses_and_expands_as_go_does() {
    let mut lines = include_str!("cases.jsonl").lines();
    let values: Vec<String> = serde_json::from_str(lines.next().unwrap()).unwrap();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let mut cases = 0;
    for line in lines {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let pattern = case["p"].as_str().unwrap();
        cases += 1;
        let regex = match (AnchoredRegex::new(pattern), case["e"].as_str()) {
            (Ok(regex), None) => regex,
            (Err(error), Some(expected)) => {
                assert_eq!(error.to_string(), expected, "{pattern:?}");
                continue;
            }
            (Ok(_), Some(expected)) => panic!("{pattern:?} is accepted, Go says {expected}"),
            (Err(error), None) => panic!("{pattern:?} is refused: {error}"),
        };
        let matched: Vec<usize> = (0..values.len()).filter(|&at| regex.is_match(values[at])).collect();
        let expected: Vec<usize> = serde_json::from_value(case["m"].clone()).unwrap();
        assert_eq!(matched, expected, "{pattern:?}");
        check_shortcuts(&regex, &values);
        let Some(template) = case["t"].as_str() else { continue };
        for (at, expanded) in matched.into_iter().zip(case["x"].as_array().unwrap_or(&vec![])) {
            let ours = regex.expand(values[at], template);
            assert_eq!(ours.as_deref(), expanded.as_str(), "{template:?} for {pattern:?} on {:?}", values[at]);
        }
    }
    assert!(cases >= 300, "only {cases} cases");
}

fn regex(expression: &str) -> AnchoredRegex {
    AnchoredRegex::new(expression).unwrap_or_else(|error| panic!("{expression}: {error}"))
}

#[test]
fn lists_what_can_be_listed() {
    for (expression, listed) in [
        ("foo", &["foo"][..]),
        ("", &[""]),
        ("b|a|b", &["a", "b"]),
        ("^(foo|bar)$", &["bar", "foo"]),
        ("a(b|c)?d", &["abd", "acd", "ad"]),
        ("(a|)", &["", "a"]),
        ("[abc]1", &["a1", "b1", "c1"]),
        ("(?i)ab", &["AB", "Ab", "aB", "ab"]),
        (r"10\.0\.0\.1", &["10.0.0.1"]),
        (r"[^\x00-\x{10FFFF}]", &[]),
    ] {
        assert_eq!(
            regex(expression).literals(),
            Some(listed.iter().map(|text| text.to_string()).collect::<Vec<_>>().as_slice())
        );
    }
    let many: Vec<String> = (0..5000).map(|at| format!("host-{at:04}:9100")).collect();
    assert_eq!(regex(&many.join("|")).literals(), Some(many.as_slice()));
    assert_eq!(regex(&format!("({})", many.join("|"))).literals(), Some(many.as_slice()));
    for expression in ["a.*", "[a-z]{4}", r"a\b", "a*", r"\d{3}"] {
        assert_eq!(regex(expression).literals(), None, "{expression}");
    }
}

#[test]
fn needs_no_machine_for_texts_with_gaps() {
    for (expression, good, bad) in [
        ("foo.*", &["foo", "foobar"][..], &["xfoo", "fo"][..]),
        ("foo.+", &["foox", "foo\n"], &["foo"]),
        (".*foo", &["foo", "a\nfoo"], &["foox"]),
        (".*foo.*", &["foo", "afoob"], &["fo", ""]),
        ("a.*a", &["aa", "aba"], &["a"]),
        ("a.+b.*c.+", &["axbcx", "abbcc", "axbbcé"], &["abcx", "axbc", "axb"]),
        ("^a.*$", &["a", "ab"], &["ba"]),
        ("(a).*(?:b)", &["ab"], &["a"]),
        (".+.+", &["ab", "éé"], &["é"]),
    ] {
        let regex = regex(expression);
        assert!(matches!(regex.0.strategy, Strategy::Glob(_)), "{expression}");
        assert!(good.iter().all(|text| regex.is_match(text)), "{expression}");
        assert!(!bad.iter().any(|text| regex.is_match(text)), "{expression}");
    }
    assert!(regex("(.*)").matches_everything() && regex("^.*$").matches_everything());
    assert!(!regex("(?-s).*").matches_everything() && !regex(".+").matches_everything());
    assert!(regex(".+").matches_all_but_empty() && !regex("..+").matches_all_but_empty());
}

#[test]
fn knows_how_matches_begin() {
    for (expression, prefix) in [
        ("foo.*", "foo"),
        ("(foo|fob)[a-z]+", "fo"),
        (r"^foo\b.*x", "foo"),
        ("(é|è).*", ""), // half a character is in common
        ("aé.*|aè.*", "a"),
        ("(?i)x.*", ""),
        ("a?b.*", ""),
        (".*", ""),
    ] {
        assert_eq!(regex(expression).prefix(), prefix, "{expression}");
    }
}

#[test]
fn expressions_cannot_eat_the_machine() {
    let deep = |levels: usize| format!("{}a{}", "(".repeat(levels), ")".repeat(levels));
    let stacked = |levels: usize| format!("{}a{}", "(?:".repeat(levels), ")*".repeat(levels));
    for expression in [deep(100_000), stacked(100_000), r"(?:\pL{1000}){1,2}".into(), r"[\pL\pN]{500}x".into()] {
        let error = AnchoredRegex::new(&expression).unwrap_err().to_string();
        let expected = ["expression nests too deeply", "expression too large", "invalid repeat count"];
        assert!(expected.iter().any(|expected| error.contains(expected)), "{}", &error[..100]);
    }
    // As deep as allowed, on a small stack, with captures.
    let check = move || {
        let loops = "(?:a|".repeat(48) + &")b*".repeat(48);
        for expression in [deep(98), stacked(48), format!("(?:{}|b)c*", deep(96)), loops] {
            assert!(regex(&expression).expand("a", "$0").is_none_or(|text| text == "a"));
        }
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(check).unwrap().join().unwrap();
    for unit in ["{", "[[:", "{1", "a{1,", "(?i)", r"\Q"] {
        let _ = AnchoredRegex::new(&unit.repeat(20_000));
    }
}

#[test]
fn expands_only_whole_matches() {
    let host = regex(r"(?P<host>[^:]+):(\d+)");
    assert_eq!(host.expand("db-1:9100", "${host} on $2").as_deref(), Some("db-1 on 9100"));
    assert_eq!(host.expand("x db-1:9100", "$3$nobody$").as_deref(), Some("$"));
    assert_eq!(host.expand("db-1:", "$1"), None);
    assert_eq!(regex("(.*)").expand("a\nb", "<$1>").as_deref(), Some("<a\nb>"));
    assert_eq!(regex("foo|bar").expand("bar", "$0!").as_deref(), Some("bar!"));
}
