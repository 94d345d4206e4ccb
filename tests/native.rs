//! Native histograms and exemplars from the door to the bucket: what is written through remote write 1.0 and 2.0 answers the
//! recorded queries of a real Prometheus, from memory, from local parts and from the bucket; and Prometheus' own tools, and a
//! Prometheus, open the blocks.

use crate::support::client::Client;
use crate::support::peers;
use crate::support::process::{Longhaul, Process, free_port};
use crate::support::values::{close, millis, number};
use crate::support::{block_dirs, conformance, copy_dir, json_lines, seconds, wait_for};
use longhaul_model::{STALE_NAN_BITS, is_stale};
use longhaul_wire::proto::prometheus::{
    BucketSpan, Exemplar, Histogram, Label, Sample, TimeSeries, WriteRequest, histogram,
};
use longhaul_wire::{proto::write_v2, snappy};
use prost::Message;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Keeps everything in the head: nothing is cut before its time.
const IN_MEMORY: &str = "auth: {mode: header}\nself_scrape: {enabled: false}\nship: {cut_delay: 100y}\n";
/// Cuts what is over at once, and keeps it local: nothing is large or old enough to be shipped.
const IN_PARTS: &str = "auth: {mode: header}\nself_scrape: {enabled: false}\nship: {small: 1GiB, max_age: 100y}\n";
/// A tenant for each version of remote write.
const TENANTS: [&str; 2] = ["first", "second"];
/// A comparison of two histograms, of which Prometheus 2.53 answers the number 0. Prometheus 3 answers the left side.
const COMPARES_HISTOGRAMS: (&str, &str) = ("nh:019", "nh_float");

#[tokio::test]
async fn recorded_queries_of_histograms_and_exemplars() {
    let Some(data) = conformance("oracle/nh-data.jsonl.gz") else { return };
    let golden = json_lines(&conformance("oracle/nh-golden.jsonl.gz").unwrap());
    assert_eq!(golden.len(), 37);
    let series: Vec<TimeSeries> = json_lines(&data).iter().map(series).collect();
    let dir = tempfile::tempdir().unwrap();

    let mut server = Longhaul::configured(dir.path(), IN_MEMORY).await;
    write(&server, &series).await;
    ask_all(&server, &golden, "memory").await;
    server.kill();

    let server = Longhaul::configured(dir.path(), IN_PARTS).await;
    let client = Client::new(&server.url);
    wait_for("the cuts", Duration::from_secs(60), async || client.metric("longhaul_head_samples").await == 0.0).await;
    assert_eq!(client.metric("longhaul_head_exemplars").await, 0.0);
    assert!(client.metric("longhaul_parts").await > 0.0);
    ask_all(&server, &golden, "parts").await;

    server.flush().await;
    assert_eq!(client.metric("longhaul_parts").await, 0.0);
    ask_all(&server, &golden, "bucket").await;
    opened_by_prometheus(dir.path(), &golden, &series).await;
}

/// A line of the data as a series of remote write 1.0.
fn series(line: &Value) -> TimeSeries {
    let mut out = TimeSeries { labels: labels(&line["labels"]), ..TimeSeries::default() };
    for pair in line["samples"].as_array().unwrap() {
        let timestamp = pair[0].as_i64().unwrap();
        match (pair[1].get("h"), pair[1].as_str()) {
            (Some(told), _) => out.histograms.push(histogram(told, timestamp)),
            (None, Some("stale")) => out.samples.push(Sample { value: f64::from_bits(STALE_NAN_BITS), timestamp }),
            (None, Some(text)) => out.samples.push(Sample { value: text.parse().unwrap(), timestamp }),
            (None, None) => out.samples.push(Sample { value: pair[1].as_f64().unwrap(), timestamp }),
        }
    }
    for told in line["exemplars"].as_array().into_iter().flatten() {
        let pairs = told[1].as_array().unwrap().iter();
        let labels = pairs.map(|pair| label(pair[0].as_str().unwrap(), pair[1].as_str().unwrap())).collect();
        out.exemplars.push(Exemplar { labels, value: told[2].as_f64().unwrap(), timestamp: told[0].as_i64().unwrap() });
    }
    out
}

fn labels(told: &Value) -> Vec<Label> {
    told.as_object().unwrap().iter().map(|(name, value)| label(name, value.as_str().unwrap())).collect()
}

fn label(name: &str, value: &str) -> Label {
    Label { name: name.to_owned(), value: value.to_owned() }
}

fn histogram(told: &Value, timestamp: i64) -> Histogram {
    let numbers = |name: &str| told[name].as_array().unwrap().iter();
    let spans = |name: &str| {
        let span = |pair: &Value| BucketSpan {
            offset: pair[0].as_i64().unwrap() as i32,
            length: pair[1].as_u64().unwrap() as u32,
        };
        numbers(name).map(span).collect()
    };
    let mut out = Histogram {
        sum: told["sum"].as_f64().unwrap(),
        schema: told["schema"].as_i64().unwrap() as i32,
        zero_threshold: told["zt"].as_f64().unwrap(),
        positive_spans: spans("ps"),
        negative_spans: spans("ns"),
        reset_hint: told["hint"].as_i64().unwrap() as i32,
        timestamp,
        ..Histogram::default()
    };
    if told.get("float").is_some() {
        out.count = Some(histogram::Count::CountFloat(told["count"].as_f64().unwrap()));
        out.zero_count = Some(histogram::ZeroCount::ZeroCountFloat(told["zero"].as_f64().unwrap()));
        out.positive_counts = numbers("pb").map(|count| count.as_f64().unwrap()).collect();
        out.negative_counts = numbers("nb").map(|count| count.as_f64().unwrap()).collect();
    } else {
        out.count = Some(histogram::Count::CountInt(told["count"].as_u64().unwrap()));
        out.zero_count = Some(histogram::ZeroCount::ZeroCountInt(told["zero"].as_u64().unwrap()));
        out.positive_deltas = numbers("pb").map(|delta| delta.as_i64().unwrap()).collect();
        out.negative_deltas = numbers("nb").map(|delta| delta.as_i64().unwrap()).collect();
    }
    out
}

/// Writes all series as each version of remote write has them, for a tenant of its own.
async fn write(server: &Longhaul, all: &[TimeSeries]) {
    let client = Client::new(&server.url);
    let first = WriteRequest { timeseries: all.to_vec(), ..WriteRequest::default() };
    let answer = client.of_tenant(TENANTS[0]).write_bytes(snappy::compress(&first.encode_to_vec()), &[]).await;
    assert_eq!(answer.status, 204, "{}", answer.text);

    let headers = [("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")];
    let body = snappy::compress(&second_version(all).encode_to_vec());
    let answer = client.of_tenant(TENANTS[1]).write_bytes(body, &headers).await;
    assert_eq!(answer.status, 204, "{}", answer.text);
    let count = |kind: &str| answer.headers[format!("x-prometheus-remote-write-{kind}-written")].to_str().unwrap();
    let sum = |of: fn(&TimeSeries) -> usize| all.iter().map(of).sum::<usize>().to_string();
    assert_eq!(count("samples"), sum(|it| it.samples.len()));
    assert_eq!(count("histograms"), sum(|it| it.histograms.len()));
    assert_eq!(count("exemplars"), sum(|it| it.exemplars.len()));
}

/// The same series with symbols. A histogram is the same message in both versions.
fn second_version(all: &[TimeSeries]) -> write_v2::Request {
    let mut symbols = vec![String::new()];
    let mut references = |labels: &[Label]| -> Vec<u32> {
        let texts = labels.iter().flat_map(|label| [&label.name, &label.value]);
        let reference = |text: &String| {
            let known = symbols.iter().position(|known| known == text).unwrap_or_else(|| {
                symbols.push(text.clone());
                symbols.len() - 1
            });
            known as u32
        };
        texts.map(reference).collect()
    };
    let timeseries = all.iter().map(|series| write_v2::TimeSeries {
        labels_refs: references(&series.labels),
        samples: series
            .samples
            .iter()
            .map(|it| write_v2::Sample { value: it.value, timestamp: it.timestamp, start_timestamp: 0 })
            .collect(),
        histograms: series
            .histograms
            .iter()
            .map(|it| write_v2::Histogram::decode(&*it.encode_to_vec()).unwrap())
            .collect(),
        exemplars: series
            .exemplars
            .iter()
            .map(|it| write_v2::Exemplar {
                labels_refs: references(&it.labels),
                value: it.value,
                timestamp: it.timestamp,
            })
            .collect(),
        metadata: None,
    });
    let timeseries = timeseries.collect();
    write_v2::Request { symbols, timeseries }
}

/// Asks every recorded query for both tenants.
async fn ask_all(server: &Longhaul, golden: &[Value], place: &str) {
    for tenant in TENANTS {
        let client = Client::new(&server.url).of_tenant(tenant);
        let mut wrong = Vec::new();
        for case in golden {
            if let Err(why) = ask(&client, case).await {
                wrong.push(format!("{} {}: {why}", case["id"], case["query"]));
            }
        }
        let passed = golden.len() - wrong.len();
        assert!(wrong.is_empty(), "{place}, {tenant}: {passed} of {}:\n{}", golden.len(), wrong.join("\n"));
        println!("{place}, {tenant}: {passed} of {} recorded answers", golden.len());
    }
}

async fn ask(client: &Client, case: &Value) -> Result<(), String> {
    let (status, found) = answer(client, case, case["query"].as_str().unwrap()).await;
    if status != case["code"] {
        return Err(format!("status {status}: {found}"));
    }
    let expected = match case["id"] == COMPARES_HISTOGRAMS.0 {
        true => answer(client, case, COMPARES_HISTOGRAMS.1).await.1,
        false => case["response"].clone(),
    };
    if status != 200 {
        return if found["error"] == expected["error"] { Ok(()) } else { Err(format!("{} is no {expected}", found)) };
    }
    let (found, expected) = (sorted(&found["data"]), sorted(&expected["data"]));
    if same(&found, &expected) { Ok(()) } else { Err(format!("found {found}\n  expected {expected}")) }
}

async fn answer(client: &Client, case: &Value, query: &str) -> (u16, Value) {
    let text = |name: &str| case[name].to_string();
    let (path, names): (&str, &[&str]) = match case["kind"].as_str().unwrap() {
        "instant" => ("query", &["time"]),
        "range" => ("query_range", &["start", "end", "step"]),
        "exemplars" => ("query_exemplars", &["start", "end"]),
        other => panic!("what is {other}?"),
    };
    let times: Vec<(&str, String)> = names.iter().map(|name| (*name, text(name))).collect();
    let mut parameters: Vec<(&str, &str)> = times.iter().map(|(name, time)| (*name, time.as_str())).collect();
    parameters.push(("query", query));
    client.get(path, &parameters).await
}

/// Series in one order.
fn sorted(data: &Value) -> Value {
    let mut data = data.clone();
    if let Some(result) = data.get_mut("result").and_then(Value::as_array_mut) {
        result.sort_by_key(|series| series["metric"].to_string());
    }
    data
}

/// Equal but for rounding, also of the numbers in texts.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, value)| b.get(name).is_some_and(|other| same(value, other)))
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

/// Holds what a server has at the times of a series' samples, which are 15 s apart or a multiple of it, against them. How many
/// there are; a stale marker has no answer.
async fn compare_samples(client: &Client, series: &TimeSeries) -> usize {
    let mut expected = BTreeMap::new();
    for it in &series.histograms {
        let Some(count) = &it.count else { unreachable!() };
        let count = match count {
            histogram::Count::CountInt(count) => *count as f64,
            histogram::Count::CountFloat(count) => *count,
        };
        expected.insert(it.timestamp, (Some(count), it.sum));
    }
    expected.extend(series.samples.iter().map(|it| (it.timestamp, (None, it.value))));
    let matchers: Vec<String> = series.labels.iter().map(|it| format!("{}={:?}", it.name, it.value)).collect();
    let (start, end) = (seconds(*expected.keys().next().unwrap()), seconds(*expected.keys().last().unwrap()));
    let query = format!("{{{}}}", matchers.join(","));
    let parameters = [("query", query.as_str()), ("start", &start), ("end", &end), ("step", "15")];
    let data = client.data("query_range", &parameters).await;
    let mut found = BTreeMap::new();
    for point in data["result"][0]["histograms"].as_array().into_iter().flatten() {
        found.insert(millis(&point[0]), (Some(number(&point[1]["count"])), number(&point[1]["sum"])));
    }
    for point in data["result"][0]["values"].as_array().into_iter().flatten() {
        found.insert(millis(&point[0]), (None, number(&point[1])));
    }
    for (t_ms, (count, value)) in &expected {
        match found.get(t_ms) {
            Some((found_count, found)) => {
                assert_eq!(count, found_count, "{query} at {t_ms} ms");
                assert!(close(*value, *found), "{query} at {t_ms} ms: {found} should be {value}");
            }
            None => assert!(is_stale(*value), "{query} has nothing at {t_ms} ms"),
        }
    }
    expected.len()
}

/// Prometheus' tools list and analyze the blocks of a tenant, and a Prometheus answers from them what we do.
async fn opened_by_prometheus(dir: &Path, golden: &[Value], all: &[TimeSeries]) {
    let Some(prometheus) = peers::program("prometheus") else { return };
    let promtool = peers::program("promtool").unwrap();
    let copy = dir.join("copy");
    let blocks = block_dirs(&dir.join("data/bucket").join(TENANTS[0]));
    assert!(!blocks.is_empty());
    for block in &blocks {
        copy_dir(block, &copy.join(block.file_name().unwrap()));
    }
    for block in &blocks {
        let id = block.file_name().unwrap().to_str().unwrap();
        let tsdb = |arguments: &[&str]| {
            let output = Command::new(&promtool).arg("tsdb").args(arguments).output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
            text
        };
        let path = copy.to_str().unwrap();
        assert!(tsdb(&["list", path]).contains(id));
        assert!(tsdb(&["analyze", path, id]).contains(&format!("Block ID: {id}")));
    }
    let (address, configuration) = (format!("127.0.0.1:{}", free_port()), dir.join("prometheus.yml"));
    std::fs::write(&configuration, "global: {scrape_interval: 1h}\n").unwrap();
    let mut command = Command::new(&prometheus);
    command
        .arg(format!("--config.file={}", configuration.display()))
        .arg(format!("--storage.tsdb.path={}", copy.display()))
        .arg("--storage.tsdb.retention.time=100y")
        .arg("--enable-feature=native-histograms")
        .arg(format!("--web.listen-address={address}"));
    let url = format!("http://{address}");
    let mut peer = Process::start("prometheus", &mut command, dir, &format!("{url}/-/ready")).await;
    let client = Client::new(&url);
    assert_eq!(client.metric("prometheus_tsdb_blocks_loaded").await, blocks.len() as f64);
    // Version 2.53 hands out one histogram for many points of a range vector (which version 3 does not): samples are asked for
    // step by step instead.
    let queries: Vec<&Value> = golden.iter().filter(|case| !case["query"].as_str().unwrap().contains('[')).collect();
    let queries: Vec<&Value> = queries.into_iter().filter(|case| case["kind"] != "exemplars").collect();
    for case in &queries {
        let (status, found) = answer(&client, case, case["query"].as_str().unwrap()).await;
        assert_eq!(status, case["code"].as_u64().unwrap() as u16, "{case}: {found}");
        let (found, expected) = (sorted(&found["data"]), sorted(&case["response"]["data"]));
        assert!(status != 200 || same(&found, &expected), "a Prometheus on our blocks: {case}\n  found {found}");
    }
    let mut samples = 0;
    for series in all {
        samples += compare_samples(&client, series).await;
    }
    println!("a Prometheus on our blocks: {} recorded answers and {samples} samples", queries.len());
    peer.terminate().await;
}
