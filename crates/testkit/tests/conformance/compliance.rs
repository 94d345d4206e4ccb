//! 385 queries of the PromQL compliance suite, each as range and as instant query, against recorded answers of
//! Prometheus 2.53.

use crate::{conformance, json_labels, json_lines};
use futures::executor::block_on;
use longhaul_model::{STALE_NAN_BITS, Sample};
use longhaul_promql::source::SeriesSource;
use longhaul_promql::{Budget, Engine, EngineSettings, QueryError, QueryRequest, Value};
use longhaul_testkit::dataset::Dataset;
use longhaul_testkit::storage;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// How many lines the file of recorded answers has.
const QUERIES: usize = 385;

/// Fails in the recorded 2.53, legal in 3.x: a label may have any name.
const EITHER: [&str; 2] = ["promql:092.01", "promql:097.01"];

/// A value at a time, or none, per series.
type Series = BTreeMap<String, Vec<Option<f64>>>;

#[test]
fn answers_are_prometheus_answers() {
    let Some(data) = conformance("oracle/demo-data.jsonl.gz") else { return };
    let data = load(data);
    let engine = Engine::new(EngineSettings::default());
    let cases: Vec<Json> = json_lines(conformance("oracle/promql-compliance-golden.jsonl.gz").unwrap()).collect();
    assert_eq!(cases.len(), QUERIES);
    for way in storage::ALL {
        let source = way.store(&data).unwrap();
        let check = |case: &Json| {
            check(&engine, &source, case).map_err(|why| format!("{} {}: {why}", case["id"], case["query"]))
        };
        let failed: Vec<String> = cases.iter().filter_map(|case| check(case).err()).collect();
        assert!(failed.is_empty(), "{}: {} of {QUERIES} queries:\n{}", way.name(), failed.len(), failed.join("\n"));
    }
}

fn load(path: PathBuf) -> Dataset {
    let mut data = Dataset::default();
    for line in json_lines(path) {
        let sample = |sample: &Json| {
            let value = sample[1].as_f64().unwrap_or(f64::from_bits(STALE_NAN_BITS));
            Sample::new(sample[0].as_i64().unwrap(), value).into()
        };
        let samples: Vec<_> = line["samples"].as_array().unwrap().iter().map(sample).collect();
        data.append(&json_labels(&line["labels"]), &samples).unwrap();
    }
    data
}

fn check(engine: &Engine, source: &Arc<dyn SeriesSource>, case: &Json) -> Result<(), String> {
    let run = |request: QueryRequest| block_on(engine.run(source.clone(), &request, &Budget::unlimited()));
    let query = case["query"].as_str().unwrap();
    let ms = |json: &Json| json.as_i64().unwrap() * 1000;
    let (start, end, step) = (ms(&case["range"]["start"]), ms(&case["range"]["end"]), ms(&case["range"]["step"]));
    let range = run(QueryRequest::range(query, start, end, step));
    let instant = run(QueryRequest::instant(query, ms(&case["instant"]["time"])));
    if EITHER.contains(&case["id"].as_str().unwrap()) && range.is_ok() && instant.is_ok() {
        return Ok(());
    }
    if case["status"] != "success" {
        return match (range, instant) {
            (Err(QueryError::Execution(range)), Err(QueryError::Execution(_))) if range == case["error"] => Ok(()),
            (range, instant) => Err(format!("should fail with {}: {range:?} {instant:?}", case["error"])),
        };
    }
    let range = range.map_err(|error| format!("range: {error}"))?;
    let instant = instant.map_err(|error| format!("instant: {error}"))?;
    let notes = !range.warnings.is_empty() || !range.infos.is_empty();
    if case.get("warnings").is_some() && !notes {
        return Err("there should be a warning".to_owned());
    }
    compare(&expected_range(case), &range_series(range.value, start, step)).map_err(|why| format!("range: {why}"))?;
    compare(&expected_instant(&case["instant"]), &instant_series(instant.value))
        .map_err(|why| format!("instant: {why}"))
}

fn number(json: &Json) -> Option<f64> {
    json.as_str().map(|text| text.parse().unwrap())
}

fn expected_range(case: &Json) -> Series {
    let series = case["result"].as_array().unwrap().iter();
    series
        .map(|one| {
            (json_labels(&one["metric"]).to_string(), one["values"].as_array().unwrap().iter().map(number).collect())
        })
        .collect()
}

fn expected_instant(instant: &Json) -> Series {
    if instant["resultType"] == "scalar" {
        return Series::from([("{}".to_owned(), vec![number(&instant["result"][1])])]);
    }
    let series = instant["result"].as_array().unwrap().iter();
    series.map(|one| (json_labels(&one["metric"]).to_string(), vec![number(&one["value"][1])])).collect()
}

fn range_series(value: Value, start_ms: i64, step_ms: i64) -> Series {
    let Value::Matrix(matrix) = value else { panic!("a range query yields a matrix") };
    let mut all = Series::new();
    for series in matrix {
        let mut points = vec![None; 61];
        for (t_ms, value) in series.points.t_ms.iter().zip(&series.points.values) {
            assert_eq!((t_ms - start_ms) % step_ms, 0);
            points[((t_ms - start_ms) / step_ms) as usize] = Some(*value);
        }
        assert!(all.insert(series.labels.to_string(), points).is_none(), "equal series");
    }
    all
}

fn instant_series(value: Value) -> Series {
    match value {
        Value::Scalar { value, .. } => Series::from([("{}".to_owned(), vec![Some(value)])]),
        Value::Vector(vector) => {
            vector.into_iter().map(|sample| (sample.labels.to_string(), vec![sample.value.float()])).collect()
        }
        other => panic!("unexpected {other:?}"),
    }
}

fn compare(expected: &Series, found: &Series) -> Result<(), String> {
    let keys = |series: &Series| series.keys().cloned().collect::<Vec<_>>();
    if keys(expected) != keys(found) {
        return Err(format!("{:?} should be {:?}", keys(found), keys(expected)));
    }
    for (labels, points) in expected {
        for (step, (expected, found)) in points.iter().zip(&found[labels]).enumerate() {
            let same = match (expected, found) {
                (Some(a), Some(b)) => {
                    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
                }
                (a, b) => a.is_none() && b.is_none(),
            };
            if !same {
                return Err(format!("{labels} at step {step}: {found:?} should be {expected:?}"));
            }
        }
    }
    Ok(())
}
