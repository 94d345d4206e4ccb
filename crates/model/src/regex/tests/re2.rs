//! The translation against RE2 itself: a committed list of expressions with what RE2 said of them (`ask_re2.py`).

use super::*;
use serde::Deserialize;

/// What RE2 says of an expression; see the script.
#[derive(Deserialize)]
struct Case {
    #[serde(rename = "p")]
    pattern: String,
    #[serde(default)]
    refused: bool,
    #[serde(rename = "c", default)]
    common: Vec<usize>,
    #[serde(rename = "y", default)]
    matching: Vec<String>,
    #[serde(rename = "n", default)]
    others: Vec<String>,
    #[serde(rename = "g", default)]
    groups: Vec<Vec<Option<String>>>,
}

#[test]
fn agrees_with_re2() {
    let others = std::env::var_os("LONGHAUL_RE2_CASES").map(|path| std::fs::read_to_string(path).unwrap());
    let mut lines = others.as_deref().unwrap_or(include_str!("../re2_cases.jsonl")).lines();
    let common: Vec<String> = serde_json::from_str(lines.next().unwrap()).unwrap();
    let (mut expressions, mut refused, mut texts, mut differences) = (0, 0, 0, Vec::new());
    for line in lines {
        let case: Case = serde_json::from_str(line).unwrap();
        expressions += 1;
        refused += usize::from(case.refused);
        match AnchoredRegex::new(&case.pattern) {
            Err(_) if case.refused => {}
            Err(error) => differences.push(format!("{:?} is refused: {error}", case.pattern)),
            Ok(_) if case.refused => differences.push(format!("{:?} is accepted", case.pattern)),
            Ok(regex) => {
                texts += common.len() + case.matching.len() + case.others.len();
                differences.extend(compare(&regex, &case, &common));
            }
        }
    }
    println!("{expressions} expressions, {refused} of them refused, {texts} texts, {} differences", differences.len());
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(expressions >= 300, "only {expressions} expressions");
}

/// Where we and RE2 differ about texts and groups.
fn compare(regex: &AnchoredRegex, case: &Case, common: &[String]) -> Vec<String> {
    let pattern = &case.pattern;
    let mut differences = Vec::new();
    let matching_common = case.common.iter().map(|at| &common[*at]);
    let other_common = common.iter().enumerate().filter(|(at, _)| !case.common.contains(at)).map(|(_, text)| text);
    let matching: Vec<&String> = matching_common.chain(&case.matching).collect();
    for text in &matching {
        if !regex.is_match(text) {
            differences.push(format!("{pattern:?} does not match {text:?}"));
        }
    }
    for text in other_common.chain(&case.others) {
        if regex.is_match(text) {
            differences.push(format!("{pattern:?} matches {text:?}"));
        }
    }
    for (text, groups) in matching.into_iter().zip(&case.groups) {
        let template: String = (1..=groups.len()).map(|group| format!("<${{{group}}}>")).collect();
        let expected: String =
            groups.iter().map(|group| format!("<{}>", group.as_deref().unwrap_or_default())).collect();
        let found = regex.expand(text, &template);
        if regex.is_match(text) && found.as_deref() != Some(&expected) {
            differences.push(format!("{pattern:?} takes {text:?} apart as {found:?}, not as {expected:?}"));
        }
    }
    differences
}
