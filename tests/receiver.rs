//! The scenarios of Prometheus' receiver suite for remote write 2.0, against the real server: each one's answer and counts,
//! then everything that was reported as written, read back through PromQL: at once, after a SIGKILL, and from the bucket.
//!
//! Series come back in later scenarios, as in the suite; requests are ten milliseconds apart, and so are their samples.

mod request;

use crate::support::client::{Answer, Client};
use crate::support::process::Longhaul;
use crate::support::values::{Matrix, exact_difference, matrix};
use crate::support::{conformance, json_lines, now_ms, seconds};
use longhaul_model::is_stale;
use longhaul_wire::{proto::write_v2, snappy};
use prost::Message;
use request::{Written, body};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Nothing of our own in the database, nothing cut before its time.
const CONFIGURATION: &str = "self_scrape: {enabled: false}\nship: {cut_delay: 100y}\n";
/// Between the samples of one scenario and the next.
const STEP_MS: i64 = 10;

/// What a server answered, as the suite looks at it.
#[derive(Debug, PartialEq, Eq)]
struct Counts {
    samples: u64,
    histograms: u64,
    exemplars: u64,
}

/// All that must be in the database: floats by series and time, when which series has histograms, and exemplars.
#[derive(Default)]
struct Ledger {
    floats: Matrix,
    histograms: BTreeMap<String, BTreeMap<i64, (f64, f64)>>,
    exemplars: BTreeSet<(String, i64, String, String)>,
}

impl Ledger {
    fn add(&mut self, written: &Written) {
        // A stale marker ends a series for a query; it is no sample of an answer.
        for (series, t_ms, value) in written.floats.iter().filter(|(.., value)| !is_stale(*value)) {
            self.floats.entry(series.clone()).or_default().insert(*t_ms, *value);
        }
        for (series, t_ms, count, sum) in &written.histograms {
            self.histograms.entry(series.clone()).or_default().insert(*t_ms, (*count, *sum));
        }
        self.exemplars.extend(written.exemplars.iter().cloned());
    }

    async fn check(&self, client: &Client, t_ms: i64, after: &str) {
        let mut data = client.query("{__name__=~\".+\"}[1d]", &seconds(t_ms)).await;
        let mut histograms: BTreeMap<String, BTreeMap<i64, (f64, f64)>> = BTreeMap::new();
        for series in data["result"].as_array().unwrap() {
            let points = series.get("histograms").and_then(Value::as_array).into_iter().flatten();
            let points: BTreeMap<i64, (f64, f64)> = points
                .map(|point| {
                    let number = |name: &str| point[1][name].as_str().unwrap().parse().unwrap();
                    ((point[0].as_f64().unwrap() * 1000.0).round() as i64, (number("count"), number("sum")))
                })
                .collect();
            if !points.is_empty() {
                histograms.insert(series["metric"].to_string(), points);
            }
        }
        data["result"].as_array_mut().unwrap().retain(|series| series.get("values").is_some());
        if let Some(difference) = exact_difference(&self.floats, &matrix(&data)) {
            panic!("after {after}: {difference}");
        }
        assert_eq!(self.histograms, histograms, "after {after}");
        let data = client.data("query_exemplars", &[("query", "{__name__=~\".+\"}")]).await;
        let mut exemplars = BTreeSet::new();
        for series in data.as_array().unwrap() {
            for exemplar in series["exemplars"].as_array().unwrap() {
                let t_ms = (exemplar["timestamp"].as_f64().unwrap() * 1000.0).round() as i64;
                let value = exemplar["value"].as_str().unwrap().to_owned();
                exemplars.insert((series["seriesLabels"].to_string(), t_ms, value, exemplar["labels"].to_string()));
            }
        }
        assert_eq!(self.exemplars, exemplars, "after {after}");
    }
}

fn counts(answer: &Answer) -> Counts {
    let count = |kind: &str| {
        let header = answer.headers.get(format!("x-prometheus-remote-write-{kind}-written"));
        header.map_or(0, |value| value.to_str().unwrap().parse().unwrap())
    };
    Counts { samples: count("samples"), histograms: count("histograms"), exemplars: count("exemplars") }
}

#[tokio::test]
async fn the_suite_of_remote_write_2_is_answered_and_what_was_written_is_read_back() {
    let Some(path) = conformance("compliance/rw-receiver-cases.jsonl") else { return };
    let cases = json_lines(&path);
    assert_eq!(cases.len(), 89);
    let dir = tempfile::tempdir().unwrap();
    let mut server = Longhaul::configured(dir.path(), CONFIGURATION).await;
    let client = Client::new(&server.url);
    let start_ms = now_ms() - 60_000;
    let mut ledger = Ledger::default();
    for (number, case) in cases.iter().enumerate() {
        let name = format!("{} {}", case["id"], case["name"]);
        let (message, written) = body(case, start_ms + number as i64 * STEP_MS);
        let answer = client.write_bytes(message, &request::headers(case)).await;
        let expect = &case["expect"];
        let expected = |kind: &str| expect[format!("{kind}_written")].as_u64().unwrap();
        let expected = Counts {
            samples: expected("samples"),
            histograms: expected("histograms"),
            exemplars: expected("exemplars"),
        };
        let got = counts(&answer);
        if expect["result"] == "reject" {
            assert_eq!(u64::from(answer.status), expect["code"].as_u64().unwrap(), "{name}: {}", answer.text);
            assert!(got.samples <= expected.samples && got.histograms <= expected.histograms, "{name}: {got:?}");
            assert!(got.exemplars <= expected.exemplars, "{name}: {got:?}");
        } else {
            assert_eq!((answer.status, &got), (204, &expected), "{name}: {}", answer.text);
        }
        let is_first_version = case["group"] == "rw1";
        let reports =
            answer.headers.keys().filter(|key| key.as_str().starts_with("x-prometheus-remote-write-")).count();
        let wanted = if is_first_version || answer.status == 415 { 0 } else { 3 };
        assert_eq!(reports, wanted, "{name}: headers that say what was written");
        if !is_first_version {
            assert_eq!(written.floats.len() as u64, got.samples, "{name}: what may be stored is");
            assert_eq!(written.histograms.len() as u64, got.histograms, "{name}: what may be stored is");
            assert_eq!(written.exemplars.len() as u64, got.exemplars, "{name}: what may be stored is");
        }
        ledger.add(&written);
        ledger.check(&client, now_ms(), &name).await;
    }
    server.kill();
    server.start_again().await;
    ledger.check(&client, now_ms(), "SIGKILL").await;
    server.flush().await;
    ledger.check(&client, now_ms(), "the flush").await;
}

#[tokio::test]
async fn a_sender_is_told_what_could_not_be_read_and_the_rest_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let server = Longhaul::configured(dir.path(), CONFIGURATION).await;
    let client = Client::new(&server.url);
    let t_ms = now_ms();
    let sample = || vec![write_v2::Sample { value: 7.0, timestamp: t_ms, start_timestamp: 0 }];
    let series = |labels_refs: &[u32], samples| write_v2::TimeSeries {
        labels_refs: labels_refs.to_vec(),
        samples,
        ..Default::default()
    };
    let request = write_v2::Request {
        symbols: ["", "__name__", "kept", "bare"].map(str::to_owned).to_vec(),
        timeseries: vec![
            series(&[1, 2], sample()),
            series(&[1, 4], sample()),
            series(&[1, 2, 3], sample()),
            series(&[1, 3], Vec::new()),
        ],
    };
    let headers = request::headers(&Value::Null);
    let answer = client.write_bytes(snappy::compress(&request.encode_to_vec()), &headers).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    for told in ["err-longhaul-symbol-reference", "symbol 4 of 4", "err-longhaul-series-without-samples", "bare"] {
        assert!(answer.text.contains(told), "{told} is not in: {}", answer.text);
    }
    assert_eq!(counts(&answer), Counts { samples: 1, histograms: 0, exemplars: 0 });
    let data = client.query("{__name__=~\".+\"}", &seconds(t_ms)).await;
    assert_eq!(data["result"].as_array().unwrap().len(), 1, "{data}");
    assert_eq!(data["result"][0]["metric"]["__name__"], "kept");
    assert_eq!(data["result"][0]["value"][1], "7");
}
