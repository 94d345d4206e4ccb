//! Prometheus' own test scripts, and scripts that test the runner of scripts.

use crate::conformance;
use longhaul_testkit::script;
use longhaul_testkit::storage::{self, MemoryStorage};
use serde_json::Value as Json;

/// How many evals there are. All of them pass in all ways.
const EVALS: usize = 1604;

/// How many scripts test the runner. All of its verdicts are right.
const SELFTESTS: usize = 91;

#[test]
fn scripts_of_prometheus() {
    let Some(folder) = conformance("promqltest") else { return };
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "test"));
    files.sort();
    let engine = script::engine();
    let (mut evals, mut failed) = (0, 0);
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let cases = script::run(&text, &engine, &storage::ALL, |_| true);
        let cases = cases.unwrap_or_else(|error| panic!("{name}: {error}"));
        for case in &cases {
            for (way, failure) in &case.failures {
                println!("{name}:{}: {way}, {}: {}: {}", case.line, failure.mode, failure.query, failure.reason);
            }
        }
        let failures = cases.iter().filter(|case| !case.failures.is_empty()).count();
        println!("{name}: {} of {}", cases.len() - failures, cases.len());
        (evals, failed) = (evals + cases.len(), failed + failures);
    }
    assert_eq!((evals, failed), (EVALS, 0), "evals, and those that fail in one way or another");
}

#[test]
fn verdicts_of_the_runner() {
    let Some(path) = conformance("promqltest/runner-selftest.jsonl") else { return };
    let engine = script::engine();
    let (mut right, mut scripts) = (0, 0);
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let case: Json = serde_json::from_str(line).unwrap();
        let outcome = script::run(case["script"].as_str().unwrap(), &engine, &[&MemoryStorage], |_| true);
        let verdict = match &outcome {
            Err(_) => "script_error",
            Ok(cases) if cases.iter().all(|case| case.failures.is_empty()) => "pass",
            Ok(_) => "fail",
        };
        scripts += 1;
        if verdict == case["verdict"] {
            right += 1;
        } else {
            println!("{} should be {}, because {}: {outcome:?}", case["id"], case["verdict"], case["why"]);
        }
    }
    assert_eq!((right, scripts), (SELFTESTS, SELFTESTS));
}
