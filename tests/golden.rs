//! Recorded answers of a real Prometheus, given from memory, from local parts and from the bucket.

use crate::support::client::Client;
use crate::support::process::Longhaul;
use crate::support::values::{Matrix, difference, matrix, number};
use crate::support::{conformance, json_lines, wait_for};
use longhaul_model::{Labels, STALE_NAN_BITS, Sample};
use serde_json::Value;
use std::time::Duration;

/// Keeps everything in the head: nothing is cut before its time.
const IN_MEMORY: &str = "self_scrape: {enabled: false}\nship: {cut_delay: 100y}\n";
/// Cuts what is over at once, and keeps it local: nothing is large or old enough to be shipped.
const IN_PARTS: &str = "self_scrape: {enabled: false}\nship: {small: 1GiB, max_age: 100y}\n";

#[tokio::test]
async fn recorded_queries_from_memory_parts_and_bucket() {
    let Some(data) = conformance("oracle/demo-data.jsonl.gz") else { return };
    let golden = json_lines(&conformance("oracle/promql-compliance-golden.jsonl.gz").unwrap());
    let dir = tempfile::tempdir().unwrap();

    let mut server = Longhaul::configured(dir.path(), IN_MEMORY).await;
    let client = Client::new(&server.url);
    let written = write(&client, &json_lines(&data), |_| true).await;
    assert_eq!(client.metric("longhaul_head_samples").await, written as f64);
    let passed = ask_all(&client, &golden, "memory").await;
    server.kill();

    let mut server = Longhaul::configured(dir.path(), IN_PARTS).await;
    let client = Client::new(&server.url);
    wait_for("the cuts", Duration::from_secs(60), async || client.metric("longhaul_head_samples").await == 0.0).await;
    assert!(client.metric("longhaul_parts").await > 0.0);
    assert_eq!(ask_all(&client, &golden, "parts").await, passed);

    server.flush().await;
    assert_eq!(client.metric("longhaul_parts").await, 0.0);
    assert_eq!(ask_all(&client, &golden, "bucket").await, passed);
    server.kill();

    let server = Longhaul::configured(dir.path(), IN_PARTS).await;
    let client = Client::new(&server.url);
    assert_eq!(client.metric("longhaul_samples_replayed_total").await, 0.0);
    assert_eq!(ask_all(&client, &golden, "bucket after a restart").await, passed);
    println!("{passed} of {} recorded queries, range and instant, four times", golden.len());
    assert_eq!(passed, golden.len());
}

/// Writes those samples of `{"labels":{},"samples":[[ms, value or "stale"], ...]}` lines whose time is `wanted`; returns how
/// many there were.
pub async fn write(client: &Client, lines: &[Value], wanted: impl Fn(i64) -> bool) -> usize {
    let mut written = 0;
    for line in lines {
        let labels = line["labels"].as_object().unwrap();
        let labels = Labels::from_pairs(labels.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())));
        let samples = line["samples"].as_array().unwrap().iter().map(sample);
        let samples: Vec<Sample> = samples.filter(|sample| wanted(sample.t_ms)).collect();
        for part in samples.chunks(1000) {
            let answer = client.write(&[(labels.clone(), part)]).await;
            assert_eq!(answer.status, 204, "{}", answer.text);
        }
        written += samples.len();
    }
    written
}

fn sample(pair: &Value) -> Sample {
    let value = match pair[1].as_str() {
        Some("stale") => f64::from_bits(STALE_NAN_BITS),
        Some(text) => text.parse().unwrap(),
        None => pair[1].as_f64().unwrap(),
    };
    Sample::new(pair[0].as_i64().unwrap(), value)
}

/// Asks every query as a range and as an instant query; returns how many gave the recorded answers.
pub async fn ask_all(client: &Client, golden: &[Value], place: &str) -> usize {
    let mut passed = 0;
    for case in golden {
        match ask(client, case).await {
            None => passed += 1,
            Some(difference) => println!("{place}: {} {}: {difference}", case["id"], case["query"]),
        }
    }
    passed
}

/// The first difference between the recorded answers and ours.
async fn ask(client: &Client, case: &Value) -> Option<String> {
    let query = case["query"].as_str().unwrap();
    let text = |value: &Value| value.to_string();
    let (start, end, step) = (text(&case["range"]["start"]), text(&case["range"]["end"]), text(&case["range"]["step"]));
    let parameters = [("query", query), ("start", &start), ("end", &end), ("step", &step)];
    let (status, answer) = client.get("query_range", &parameters).await;
    // Prometheus 3 allows UTF-8 label names, which 2.53 (that was recorded) refused.
    let accepts_either = query.contains("\"~invalid\"");
    if status != case["code"].as_u64().unwrap() as u16 {
        return (!accepts_either).then(|| format!("status {status}: {answer}"));
    }
    if status == 200 {
        let found = difference(&recorded_range(case), &matrix(&answer["data"]));
        if found.is_some() {
            return found;
        }
    }
    let time = text(&case["instant"]["time"]);
    let (status, answer) = client.get("query", &[("query", query), ("time", &time)]).await;
    if status != case["instant"]["code"].as_u64().unwrap() as u16 {
        return Some(format!("instant: status {status}: {answer}"));
    }
    (status == 200).then(|| difference(&matrix(&case["instant"]), &matrix(&answer["data"]))).flatten()
}

/// Recorded ranges hold one text, or null, a step.
fn recorded_range(case: &Value) -> Matrix {
    let (start, step) = (case["range"]["start"].as_i64().unwrap(), case["range"]["step"].as_i64().unwrap());
    let points = |values: &Value| {
        let values = values.as_array().unwrap().iter().enumerate().filter(|(_, value)| !value.is_null());
        values.map(|(index, value)| ((start + step * index as i64) * 1000, number(value))).collect()
    };
    let series = case["result"].as_array().unwrap();
    series.iter().map(|series| (series["metric"].to_string(), points(&series["values"]))).collect()
}
