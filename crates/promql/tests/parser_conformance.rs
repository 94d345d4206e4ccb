//! The parser against recorded verdicts of Prometheus: `conformance/parser`, the queries of `conformance/promqltest` and
//! those of the compliance suite. Skipped where the data is not at hand, except in CI.

use longhaul_promql::{ParseOptions, parse, pretty};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// How well first errors agree with those of Prometheus 3.14, of 104. Five spans differ: Prometheus leaves out the last
/// letter of an operator's span.
const STARTS_AGREE_MIN: usize = 104;
const SPANS_AGREE_MIN: usize = 99;
const TEXTS_AGREE_MIN: usize = 104;
/// How many of 121 expressions are printed as Prometheus 2.53 prints them. Two differ: strings are UTF-8 here, escaped
/// bytes that are not become U+FFFD.
const PRINTED_AGREE_MIN: usize = 119;

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

#[test]
fn verdicts_are_prometheus() {
    let Some(cases) = cases("parser/cases.jsonl") else { return };
    let mut wrong = Vec::new();
    let (mut invalid, mut starts, mut spans, mut texts) = (0, 0, 0, 0);
    for case in &cases {
        // A text that is not UTF-8 never gets to the parser.
        if case.get("query_hex").is_some() {
            assert_eq!(case["valid"], false);
            continue;
        }
        let query = case["query"].as_str().unwrap();
        let result = parse(query, &options());
        if result.is_ok() != case["valid"].as_bool().unwrap() {
            wrong.push(format!("{}: {query}: {:?}", case["id"], result.map(|_| "accepted")));
            continue;
        }
        let Err(errors) = result else { continue };
        let (first, wanted, place) = (errors.first(), &case["errors_3_14"][0], &case["positions"][0]);
        invalid += 1;
        starts += usize::from(place[0] == first.span.start);
        spans += usize::from(place[0] == first.span.start && place[1] == first.span.end);
        texts += usize::from(*wanted == first.message);
        if *wanted != first.message || place[0] != first.span.start || place[1] != first.span.end {
            eprintln!("{query}\n  ours   {:?} {}\n  theirs {place} {wanted}", first.span, first.message);
        }
    }
    eprintln!(
        "{} cases; of {invalid} errors the start agrees {starts} times, the span {spans}, the text {texts}",
        cases.len()
    );
    assert!(wrong.is_empty(), "wrong verdicts:\n{}", wrong.join("\n"));
    assert!(starts >= STARTS_AGREE_MIN && spans >= SPANS_AGREE_MIN && texts >= TEXTS_AGREE_MIN);
}

#[test]
fn printed_as_prometheus_prints() {
    let Some(cases) = cases("parser/cases.jsonl") else { return };
    let (mut all, mut same) = (0, 0);
    for case in cases.iter().filter(|case| case["valid"] == true) {
        let (Some(query), Some(wanted)) = (case["query"].as_str(), case["formatted_2_53"].as_str()) else { continue };
        let printed = pretty(&parse(query, &options()).unwrap());
        all += 1;
        same += usize::from(printed == wanted);
        if printed != wanted {
            eprintln!("{query}\n  ours   {printed}\n  theirs {wanted}");
        }
    }
    eprintln!("{same} of {all} are printed alike");
    assert!(same >= PRINTED_AGREE_MIN);
}

#[test]
fn valid_queries_survive_printing() {
    let Some(cases) = cases("parser/cases.jsonl") else { return };
    let queries = cases.iter().filter(|case| case["valid"] == true).filter_map(|case| case["query"].as_str());
    queries.for_each(assert_survives);
}

#[test]
fn promqltest_queries_parse() {
    let Some(cases) = cases("promqltest/cases.jsonl") else { return };
    cases.iter().filter_map(|case| case["query"].as_str()).for_each(assert_survives);
    eprintln!("{} queries of promqltest parse and survive printing", cases.len());
}

#[test]
fn compliance_queries_parse() {
    let Some(cases) = cases("compliance/expanded-queries.jsonl") else { return };
    // Those that should fail do so when they are evaluated.
    cases.iter().filter_map(|case| case["query"].as_str()).for_each(assert_survives);
    eprintln!("{} queries of the compliance suite parse and survive printing", cases.len());
}

/// The query parses, and what is printed of it parses and is printed alike.
fn assert_survives(query: &str) {
    let expr = parse(query, &ParseOptions::default()).unwrap_or_else(|errors| panic!("{query}: {errors}"));
    let printed = expr.to_string();
    let again = parse(&printed, &ParseOptions::default());
    let again = again.unwrap_or_else(|errors| panic!("{query} is printed as {printed}: {errors}"));
    assert_eq!(again.to_string(), printed, "{query}");
}
