//! Prometheus' recorded answers (`../shared/conformance/http-api`): once with the data in the head, once with it in the
//! bucket.

use super::{Answer, Server};
use crate::config::Config;
use axum::body::Body;
use axum::http::Request;
use axum::http::header::CONTENT_TYPE;
use longhaul_model::{BucketSpan, Exemplar, Histogram, Labels, Measurement, STALE_NAN_BITS, Sample, Value as Measured};
use serde_json::Value;
use std::path::PathBuf;
use url::form_urlencoded;

/// Texts of the recorded 2.53 that 3.14 words otherwise.
const REWORDED: &[(&str, &str)] = &[
    (": Invalid time value for", ": invalid time value for"),
    ("limit must be positive", "limit must be non-negative"),
    (
        "unexpected string \"\\\"5m\\\"\" in offset, expected duration",
        "unexpected string \"\\\"5m\\\"\" in offset, expected number, duration, step(), or range()",
    ),
];

/// How many cases there are.
const CASES: usize = 185;

fn conformance(file: &str) -> Option<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/http-api");
    let path = PathBuf::from(folder).join(file);
    let text = std::fs::read_to_string(&path).ok();
    if text.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{} is missing", path.display());
        println!("skipped: {} is missing", path.display());
    }
    text
}

fn lines(text: &str) -> impl Iterator<Item = Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_prometheus_own() {
    let (Some(dataset), Some(cases)) = (conformance("dataset.jsonl"), conformance("cases.jsonl")) else { return };
    let cases: Vec<Value> = lines(&cases).collect();
    let server = Server::start(Config::default()).await;
    load(&server, &dataset).await;
    assert_eq!(cases.len(), CASES);
    run(&server, &cases, "the head").await;
    // Anew: some cases delete.
    let server = Server::start(Config::default()).await;
    load(&server, &dataset).await;
    server.app.ingester.flush(None).await.unwrap();
    assert_eq!(server.app.ingester.totals().samples, 0, "flushed");
    run(&server, &cases, "the bucket").await;
}

/// Writes the float series, puts the histograms and the exemplars.
async fn load(server: &Server, dataset: &str) {
    for series in lines(dataset) {
        let pairs = series["labels"].as_object().unwrap();
        let labels = Labels::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())));
        let sample = |sample: &Value| {
            let value = match &sample[1] {
                Value::String(special) if special == "stale" => f64::from_bits(STALE_NAN_BITS),
                Value::String(special) => special.parse().unwrap(),
                Value::Number(number) => number.as_f64().unwrap(),
                _ => return None,
            };
            Some(Sample { t_ms: sample[0].as_i64().unwrap(), value })
        };
        let samples: Vec<Sample> = series["samples"].as_array().unwrap().iter().filter_map(sample).collect();
        if !samples.is_empty() {
            server.write("anonymous", &[(labels.clone(), &samples)]).await;
        }
        let histograms = series["samples"].as_array().unwrap().iter().filter_map(|sample| {
            let value = Measured::Histogram(histogram(sample[1].get("h")?).into());
            Some(Measurement { t_ms: sample[0].as_i64().unwrap(), start_ms: 0, value })
        });
        let exemplars = series["exemplars"].as_array().into_iter().flatten().map(exemplar);
        server.put(&labels, histograms.collect(), &exemplars.collect::<Vec<_>>()).await;
    }
}

/// An exemplar as the dataset has it.
fn exemplar(json: &Value) -> Exemplar {
    let pairs = json[1].as_array().unwrap().iter().map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()));
    let labels = Labels::from_pairs(pairs);
    Exemplar { t_ms: json[0].as_i64().unwrap(), value: json[2].as_f64().unwrap(), labels }
}

/// A histogram as the dataset has it.
fn histogram(json: &Value) -> Histogram {
    let list = |key: &str| -> Vec<i64> {
        json[key].as_array().into_iter().flatten().map(|item| item.as_i64().unwrap()).collect()
    };
    let spans = |key: &str| {
        let spans = json[key].as_array().into_iter().flatten();
        let span = |pair: &Value| BucketSpan {
            offset: pair[0].as_i64().unwrap() as i32,
            length: pair[1].as_u64().unwrap() as u32,
        };
        spans.map(span).collect()
    };
    Histogram {
        schema: json["schema"].as_i64().unwrap() as i32,
        zero_threshold: json["zt"].as_f64().unwrap(),
        zero_count: json["zero"].as_u64().unwrap(),
        count: json["count"].as_u64().unwrap(),
        sum: json["sum"].as_f64().unwrap(),
        positive_spans: spans("ps"),
        negative_spans: spans("ns"),
        positive_deltas: list("pb"),
        negative_deltas: list("nb"),
        ..Histogram::default()
    }
}

/// All cases that fail are told at once.
async fn run(server: &Server, cases: &[Value], place: &str) {
    let mut wrong = Vec::new();
    for case in cases {
        let answer = ask(server, case, &case["params"]).await;
        if let Err(problem) = check(server, case, &answer).await {
            let id = case["id"].as_str().unwrap();
            wrong.push(format!("{id} {}\n  {problem}\n  got {}", case["params"], answer.body));
        }
    }
    println!("{} of {} recorded cases from {place}", cases.len() - wrong.len(), cases.len());
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

async fn ask(server: &Server, case: &Value, params: &Value) -> Answer {
    let uri = format!("{}?{}", case["path"].as_str().unwrap(), encoded(params));
    let mut request = Request::builder().method(case["method"].as_str().unwrap()).uri(uri);
    for (name, value) in case["headers"].as_object().into_iter().flatten() {
        request = request.header(name, value.as_str().unwrap());
    }
    let form = case.get("form").map(encoded);
    if form.is_some() {
        request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    server.send(request.body(form.map_or_else(Body::empty, Body::from)).unwrap()).await
}

fn encoded(params: &Value) -> String {
    let pairs = params.as_array().into_iter().flatten();
    let pairs = pairs.map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()));
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

async fn check(server: &Server, case: &Value, answer: &Answer) -> Result<(), String> {
    let expect = &case["expect"];
    let fail = |what: &str, expected: &Value| Err(format!("{what} should be {expected}"));
    if answer.status.as_u16() != expect["code"] {
        return Err(format!("status {} should be {}", answer.status, expect["code"]));
    }
    if let Some(content_type) = expect.get("content_type")
        && answer.headers.get(CONTENT_TYPE).map(|value| value.as_bytes()) != content_type.as_str().map(str::as_bytes)
    {
        return fail("content type", content_type);
    }
    for (name, value) in expect["headers"].as_object().into_iter().flatten() {
        if answer.headers.get(name).and_then(|value| value.to_str().ok()) != value.as_str() {
            return fail(name, value);
        }
    }
    let compare = expect["compare"].as_str().unwrap();
    if matches!(compare, "code" | "code+headers") {
        return Ok(());
    }
    let got = answer.json();
    for (key, list) in [("warnings", "warnings"), ("warnings", "warnings_contains"), ("infos", "infos_contains")] {
        for text in expect[list].as_array().into_iter().flatten().map(|text| text.as_str().unwrap()) {
            let said = got[key].as_array().into_iter().flatten();
            if !said.into_iter().any(|line| line.as_str().unwrap().contains(text)) {
                return fail(key, &expect[list]);
            }
        }
    }
    let ordered = compare == "json-ordered";
    match compare {
        "code+errorType" if got["errorType"] != expect["errorType"] => fail("errorType", &expect["errorType"]),
        "code+errorType" if got["error"].as_str().is_none_or(str::is_empty) => fail("error", &"a text".into()),
        "code+errorType" => match expect["error_text_2_53"].as_str().map(reworded) {
            Some(text) if got["error"] != text.as_str() => fail("error", &text.into()),
            _ => Ok(()),
        },
        "shape" => same_shape(&got, &expect["shape"]),
        "limit" => within_limit(server, case, &got).await,
        _ => {
            let (mut got, mut wanted) = (got, expect["json"].clone());
            if compare == "json+stats" {
                let stats = got["data"].as_object_mut().unwrap().remove("stats").unwrap_or_default();
                for (group, keys) in expect["stats_keys"].as_object().unwrap() {
                    for key in keys.as_array().unwrap() {
                        if !stats[group][key.as_str().unwrap()].is_number() {
                            return fail("stats", &expect["stats_keys"]);
                        }
                    }
                }
            }
            for json in [&mut got, &mut wanted] {
                json.as_object_mut().unwrap().retain(|key, _| !matches!(key.as_str(), "warnings" | "infos"));
                if !ordered {
                    sort_sets(json);
                }
            }
            if same(&got, &wanted) { Ok(()) } else { fail("answer", &expect["json"]) }
        }
    }
}

/// An error's text as 3.14 has it.
fn reworded(text: &str) -> String {
    REWORDED.iter().fold(text.to_owned(), |text, (old, new)| text.replace(old, new))
}

/// Vectors and lists of series have no order of their own.
fn sort_sets(answer: &mut Value) {
    let set = match answer["data"]["resultType"].as_str() {
        Some("vector") => &mut answer["data"]["result"],
        Some(_) => return,
        None => &mut answer["data"],
    };
    if let Some(items) = set.as_array_mut()
        && items.iter().all(Value::is_object)
    {
        items.sort_by_key(Value::to_string);
    }
}

/// Equal as JSON; numbers, also those in strings, up to rounding.
fn same(a: &Value, b: &Value) -> bool {
    let close = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-12 * b.abs();
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((name, a), (other, b))| name == other && same(a, b))
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Number(a), Value::Number(b)) => close(a.as_f64().unwrap(), b.as_f64().unwrap()),
        (Value::String(a), Value::String(b)) if a != b => match (a.parse(), b.parse()) {
            (Ok(a), Ok(b)) => close(a, b),
            _ => false,
        },
        _ => a == b,
    }
}

/// The keys and the kinds of values; `<name>` as the only key stands for any number of them.
fn same_shape(got: &Value, shape: &Value) -> Result<(), String> {
    let fits = match (got, shape) {
        (_, Value::String(kind)) => match kind.as_str() {
            "str" => got.is_string(),
            "int" => got.is_u64() || got.is_i64(),
            "bool" => got.is_boolean(),
            other => return Err(format!("what is {other}?")),
        },
        (Value::Array(items), Value::Array(shapes)) => {
            return items.iter().try_for_each(|item| same_shape(item, &shapes[0]));
        }
        (Value::Object(got), Value::Object(shape)) => {
            if let Some((_, any)) = shape.iter().find(|(key, _)| key.starts_with('<')) {
                return got.values().try_for_each(|value| same_shape(value, any));
            }
            shape.iter().try_for_each(|(key, shape)| same_shape(got.get(key).unwrap_or(&Value::Null), shape))?;
            got.len() == shape.len()
        }
        _ => false,
    };
    if fits { Ok(()) } else { Err(format!("{got} should be like {shape}")) }
}

/// So many items at most, all of them from the unlimited answer.
async fn within_limit(server: &Server, case: &Value, got: &Value) -> Result<(), String> {
    let expect = &case["expect"];
    let items = |json: &Value| match json["data"].get("result") {
        Some(result) => result.as_array().unwrap().clone(),
        None => json["data"].as_array().unwrap().clone(),
    };
    let all = match expect.get("items_are_subset_of") {
        Some(all) => all.as_array().unwrap().clone(),
        None => {
            let params = case["params"].as_array().unwrap();
            let unlimited: Vec<_> = params.iter().filter(|pair| pair[0] != "limit").cloned().collect();
            items(&ask(server, case, &Value::Array(unlimited)).await.json())
        }
    };
    let got = items(got);
    let fits = got.len() as u64 <= expect["max_items"].as_u64().unwrap()
        && got.iter().all(|item| all.iter().any(|other| same(item, other)));
    if fits { Ok(()) } else { Err(format!("the items should be {} of {all:?}", expect["max_items"])) }
}
