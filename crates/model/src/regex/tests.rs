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
    for case in cases {
        let pattern = case["pattern"].as_str().unwrap();
        match AnchoredRegex::new(pattern) {
            Ok(regex) => {
                let matched: Vec<u64> =
                    (0..values.len() as u64).filter(|&at| regex.is_match(values[at as usize])).collect();
                let expected: Vec<u64> =
                    case["matched_i"].as_array().unwrap_or(&vec![]).iter().map(|at| at.as_u64().unwrap()).collect();
                assert_eq!(case["code"], 200, "{pattern:?} should be refused");
                assert_eq!(matched, expected, "{pattern:?}");
                check_shortcuts(&regex, &values);
            }
            Err(error) => {
                assert_eq!(case["code"], 400, "{pattern:?}: {error}");
                let expected = case["error_2_53"].as_str().unwrap();
                assert!(expected.ends_with(&error.to_string()), "{pattern:?}: {error} instead of {expected}");
            }
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
    let machine = compile(parsed.hir).unwrap();
    for value in values {
        assert_eq!(machine.is_match(anchored(value)), regex.is_match(value), "{expression:?} on {value:?}");
    }
}
