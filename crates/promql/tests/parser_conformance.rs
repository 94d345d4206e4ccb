//! The parser against recorded verdicts, error texts and prints of Prometheus (`conformance/parser`). Skipped where the
//! data is not at hand, except in CI. That all expressions of the conformance data are read and printed back is a test of
//! the printer.

use longhaul_promql::{ParseOptions, parse, pretty};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// How many queries there are, and how many of them are wrong.
const QUERIES: usize = 256;
const WRONG: usize = 106;
/// In so many of those the part that is wrong ends elsewhere: Prometheus leaves out the last letter of an operator (five
/// times), or the text is no UTF-8, and what stands for such bytes here is longer (twice).
const ENDS_DIFFER: usize = 7;
/// For so many the print of Prometheus 2.53 was recorded.
const PRINTED: usize = 121;

fn conformance(path: &str) -> Option<PathBuf> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance"));
    if !root.exists() {
        assert!(std::env::var_os("CI").is_none(), "the conformance data must be there in CI");
        eprintln!("skipped: there is no conformance data at {}", root.display());
        return None;
    }
    Some(root.join(path))
}

fn cases(path: &str) -> Option<Vec<Value>> {
    let text = std::fs::read_to_string(conformance(path)?).unwrap();
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// The switches under which the verdicts hold.
fn options() -> ParseOptions {
    ParseOptions { fill_modifiers: false, ..ParseOptions::default() }
}

/// The query as it arrives. Bytes that are no UTF-8 have become U+FFFD on the way.
fn query(case: &Value) -> String {
    let Some(hex) = case["query_hex"].as_str() else { return case["query"].as_str().unwrap().to_owned() };
    let byte = |index: usize| u8::from_str_radix(&hex[index..index + 2], 16).unwrap();
    let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An error as Prometheus shows it: `2:5: parse error: …`
fn shown(query: &str, start: usize, text: &str) -> String {
    if query.is_empty() {
        return format!("unknown position: parse error: {text}");
    }
    let before = &query.as_bytes()[..start];
    let lines = before.iter().filter(|byte| **byte == b'\n').count();
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count();
    format!("{}:{}: parse error: {text}", lines + 1, column + 1)
}

#[test]
fn verdicts_texts_and_places_are_prometheus() {
    let Some(cases) = cases("parser/cases.jsonl") else { return };
    let mut differ = Vec::new();
    let (mut verdicts, mut texts, mut places, mut ends) = (0, 0, 0, 0);
    for case in &cases {
        let query = query(case);
        let result = parse(&query, &options());
        if result.is_ok() != case["valid"].as_bool().unwrap() {
            differ.push(format!("{}: {query}: {:?}", case["id"], result.map(|_| "accepted")));
            continue;
        }
        verdicts += 1;
        let Err(errors) = result else { continue };
        let first = errors.first();
        let wanted = case["errors_3_14"][0].as_str().unwrap();
        let [start, end] = [0, 1].map(|index| case["positions"][0][index].as_u64().unwrap());
        texts += usize::from(first.message == wanted);
        places += usize::from(u64::from(first.span.start) == start);
        ends += usize::from(u64::from(first.span.end) == end);
        let wanted = shown(&query, start as usize, wanted);
        if errors.to_string() != wanted {
            differ.push(format!("{}: {query}\n  ours   {errors}\n  theirs {wanted}", case["id"]));
        }
    }
    println!("{verdicts} of {} verdicts; of {WRONG} errors {texts} texts, {places} places, {ends} ends", cases.len());
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    assert_eq!((verdicts, texts, places, ends), (QUERIES, WRONG, WRONG, WRONG - ENDS_DIFFER));
}

#[test]
fn printed_as_prometheus_prints() {
    let Some(cases) = cases("parser/cases.jsonl") else { return };
    let (mut all, mut differ) = (0, Vec::new());
    for case in cases.iter().filter(|case| case["valid"] == true) {
        let (Some(query), Some(wanted)) = (case["query"].as_str(), case["formatted_2_53"].as_str()) else { continue };
        let printed = pretty(&parse(query, &options()).unwrap());
        all += 1;
        if printed != wanted {
            differ.push(format!("{query}\n  ours   {printed}\n  theirs {wanted}"));
        }
    }
    println!("{} of {all} are printed alike", all - differ.len());
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    assert_eq!(all, PRINTED);
}
