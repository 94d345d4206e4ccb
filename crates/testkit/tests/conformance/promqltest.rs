//! Prometheus' own test scripts, and scripts that test the runner of scripts.

use crate::conformance;
use longhaul_testkit::script;
use longhaul_testkit::storage::{self, MemoryStorage};
use serde_json::Value as Json;

/// How many evals there are, and how many of them pass in each way. Grows until it is all of them.
const EVALS: usize = 1604;
const PASSING: [(&str, usize); 3] = [("memory", 1604), ("head", 1604), ("block", 1604)];

/// How many scripts test the runner, and how many of its verdicts are right.
const SELFTESTS: usize = 91;
const RIGHT: usize = 91;

#[test]
fn scripts_of_prometheus() {
    let Some(folder) = conformance("promqltest") else { return };
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "test"));
    files.sort();
    let engine = script::engine();
    let mut evals = 0;
    let mut passing = PASSING.map(|(way, _)| (way, 0));
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let cases = script::run(&text, &engine, &storage::ALL, |_| true);
        let cases = cases.unwrap_or_else(|error| panic!("{name}: {error}"));
        evals += cases.len();
        for (way, passing) in &mut passing {
            let failed = |case: &&script::Case| case.failures.iter().any(|(failed, _)| failed == way);
            let passed = cases.len() - cases.iter().filter(failed).count();
            println!("{name}: {way}: {passed} of {}", cases.len());
            *passing += passed;
        }
    }
    println!("of {evals} evals pass {passing:?}");
    assert_eq!(evals, EVALS);
    for ((way, passing), (_, pinned)) in passing.into_iter().zip(PASSING) {
        assert_eq!(passing, pinned, "{way}: fewer pass, or more, which is to be pinned");
    }
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
    assert_eq!((right, scripts), (RIGHT, SELFTESTS));
}
