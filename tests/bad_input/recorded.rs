//! Requests with the answers of a real Prometheus 2.53.3, in their order against one server.

use crate::support::client::Client;
use crate::support::process::Longhaul;
use crate::support::values::{Matrix, exact_difference, matrix};
use crate::support::{conformance, json_lines};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Where we answer otherwise than Prometheus 3.14, and why: `(case, our status, why)`.
const DIFFERENCES: [(&str, u16, &str); 9] = [
    ("rw1:05", 204, "late samples are accepted"),
    ("rw1:06", 204, "late samples are accepted"),
    ("rw1:14", 400, "a series without a name is refused and not skipped silently"),
    ("rw1:16", 400, "an empty label name is refused and not skipped silently"),
    ("rw1:19", 400, "invalid UTF-8 is refused and not skipped silently"),
    ("rw1:29", 204, "late samples are accepted"),
    (
        "rw1:35",
        400,
        "an exemplar with labels that are too long is refused and not dropped silently; the sample is stored",
    ),
    // These two gave other results than the recording shows, because of the ones above and of version 3.
    ("rw1:08", 204, "with the late sample"),
    ("rw1:17", 204, "version 3 stores any UTF-8 name"),
];

/// Results that differ from the recorded ones.
fn result_of_ours(id: &str, recorded: &Value) -> Option<Value> {
    let m = |values: Value| Some(json!([{"metric": {"__name__": "m", "job": "j"}, "values": values}]));
    let t = 1_704_067_200;
    match id {
        "rw1:05" | "rw1:08" => m(json!([[t, "1"], [t + 5, "9"], [t + 15, "3"]])),
        "rw1:06" => Some(json!([{"metric": {"__name__": "m_ok", "job": "j"}, "values": [[t + 15, "1"]]}])),
        "rw1:14" => Some(json!([])),
        "rw1:17" => Some(json!([{"metric": {"__name__": "m_dot", "a.b": "x"}, "values": [[t, "1"]]}])),
        // The late histogram of rw1:29 as well.
        "rw1:30" | "rw1:31" => {
            let mut result = recorded.clone();
            let histograms = result[0]["histograms"].as_array_mut()?;
            histograms.insert(0, json!([t - 10, histograms[0][1]]));
            Some(result)
        }
        // Of the recording, one request with a sample in between is not among the cases.
        "rw1:35" => {
            let metric = json!({"__name__": "e_total", "job": "j"});
            Some(json!([{"metric": metric, "values": [[t, "1"], [t + 1, "1"], [t + 3, "1"]]}]))
        }
        _ => None,
    }
}

#[tokio::test]
async fn recorded_requests_get_the_recorded_answers() {
    let Some(path) = conformance("compliance/rw1-recorded-2.53.3.jsonl") else { return };
    let cases = json_lines(&path);
    let dir = tempfile::tempdir().unwrap();
    let server = Longhaul::configured(dir.path(), "self_scrape: {enabled: false}\nship: {cut_delay: 100y}\n").await;
    let client = Client::new(&server.url);
    let (mut asked, mut read_back, mut different) = (0, 0, 0);
    for case in &cases {
        let id = case["id"].as_str().unwrap();
        // The last one depends on the clock and comes without a body; `bad_input` has it.
        let Some(body) = case["body_hex"].as_str() else { continue };
        let answer = client.write_bytes(unhex(body), &headers(case)).await;
        let difference = DIFFERENCES.iter().find(|difference| difference.0 == id);
        let expected = difference.map_or(case["expect_code_3_14"].as_u64().unwrap() as u16, |difference| difference.1);
        assert_eq!(answer.status, expected, "{id} {}: {}", case["name"], answer.text);
        if let Some((_, status, why)) = difference {
            println!("{id} {}: {status}, {why}", case["name"]);
            different += 1;
        }
        if let Some(query) = case["then_query"].as_str() {
            let found = client.query(query, "1704070800").await["result"].take();
            let expected = result_of_ours(id, &case["then_result"]).unwrap_or_else(|| case["then_result"].clone());
            assert_eq!(histograms(&found), histograms(&expected), "{id} {}", case["name"]);
            if let Some(difference) = exact_difference(&floats(&expected), &floats(&found)) {
                panic!("{id} {}: {difference}", case["name"]);
            }
            read_back += 1;
        }
        asked += 1;
    }
    println!("{asked} recorded requests, {read_back} read back, {different} with an answer of our own");
}

/// Absent headers mean the usual ones; an empty object means none.
fn headers(case: &Value) -> Vec<(&str, &str)> {
    match case["headers"].as_object() {
        None => Vec::new(),
        Some(headers) if headers.is_empty() => vec![("Content-Type", ""), ("Content-Encoding", "")],
        Some(headers) => headers.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect(),
    }
}

/// The float samples of a result.
fn floats(result: &Value) -> Matrix {
    let with_values: Vec<&Value> =
        result.as_array().unwrap().iter().filter(|series| series.get("values").is_some()).collect();
    matrix(&json!({"resultType": "matrix", "result": with_values}))
}

/// The histograms of a result, by their series: texts and all as the API writes them.
fn histograms(result: &Value) -> BTreeMap<String, &Value> {
    let series = result.as_array().unwrap().iter();
    series.filter_map(|series| Some((series["metric"].to_string(), series.get("histograms")?))).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
