//! From a scenario as the conformance data tells it to the body that a sender would post.

use longhaul_model::STALE_NAN_BITS;
use longhaul_wire::proto::write_v2::{self, BucketSpan, Exemplar, Histogram, Metadata, Sample, histogram};
use longhaul_wire::{proto, snappy};
use prost::Message;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What of a request can be stored: `(series, ms, value)`, `(series, ms, count, sum)`, and exemplars as
/// `(series, ms, value, labels)`, their values as the API writes them.
#[derive(Default)]
pub struct Written {
    pub floats: Vec<(String, i64, f64)>,
    pub histograms: Vec<(String, i64, f64, f64)>,
    pub exemplars: Vec<(String, i64, String, String)>,
}

/// The symbols of a request.
#[derive(Default)]
struct Symbols {
    texts: Vec<String>,
}

impl Symbols {
    fn reference(&mut self, text: &str) -> u32 {
        if self.texts.is_empty() {
            self.texts.push(String::new());
        }
        let known = self.texts.iter().position(|known| known == text);
        known.unwrap_or_else(|| {
            self.texts.push(text.to_owned());
            self.texts.len() - 1
        }) as u32
    }

    /// The labels last to first: senders need not sort them.
    fn labels(&mut self, labels: &BTreeMap<String, String>) -> Vec<u32> {
        labels.iter().rev().flat_map(|(name, value)| [self.reference(name), self.reference(value)]).collect()
    }
}

/// The headers that a scenario has otherwise than usual; an empty value leaves one out.
pub fn headers(case: &Value) -> Vec<(&str, &str)> {
    let mut headers = vec![
        ("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request"),
        ("X-Prometheus-Remote-Write-Version", "2.0.0"),
    ];
    for (name, value) in case["headers"].as_object().into_iter().flatten() {
        headers.retain(|header| header.0 != name);
        headers.push((name, value.as_str().unwrap_or_default()));
    }
    headers
}

/// The body of a scenario whose samples are from `t_ms`, and what of it can be stored.
pub fn body(case: &Value, t_ms: i64) -> (Vec<u8>, Written) {
    let all: Vec<Value> = case["series"].as_array().unwrap().iter().flat_map(repeated).collect();
    let mut written = Written::default();
    let message = if case["group"] == "rw1" {
        first_version(&all, t_ms, &mut written)
    } else {
        second_version(&all, t_ms, &mut written)
    };
    let mut body = snappy::compress(&message);
    match case["corrupt"].as_str() {
        None => {}
        Some(how) if how.contains("replaced by \"0\"") => body[0] = b'0',
        Some(how) if how.contains("0xFF") => body[0] = 0xff,
        Some(how) => panic!("{how}"),
    }
    if case.get("corrupt").is_some() || case["expect"]["code"] == 415 {
        written = Written::default();
    }
    (body, written)
}

/// A series that stands for many, with its number put in.
fn repeated(series: &Value) -> Vec<Value> {
    let Some(count) = series["repeat"].as_u64() else { return vec![series.clone()] };
    (0..count).map(|number| numbered(series, number)).collect()
}

fn numbered(value: &Value, number: u64) -> Value {
    match value {
        Value::String(text) => match text.as_str() {
            "{i}*100" => Value::from(number * 100),
            "{i}/10" => Value::from(number as f64 / 10.0),
            "{i} even" => Value::from(u64::from(number.is_multiple_of(2))),
            text => Value::from(text.replace("{i}", &number.to_string())),
        },
        Value::Array(all) => all.iter().map(|value| numbered(value, number)).collect(),
        Value::Object(all) => {
            Value::Object(all.iter().map(|(key, value)| (key.clone(), numbered(value, number))).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

fn first_version(all: &[Value], t_ms: i64, written: &mut Written) -> Vec<u8> {
    let timeseries = all.iter().map(|series| {
        let labels = labels(&series["labels"]);
        let value = number(&series["sample"]["value"]);
        written.floats.push((key(&labels), t_ms, value));
        proto::prometheus::TimeSeries {
            labels: labels.into_iter().map(|(name, value)| proto::prometheus::Label { name, value }).collect(),
            samples: vec![proto::prometheus::Sample { value, timestamp: t_ms }],
            ..Default::default()
        }
    });
    proto::prometheus::WriteRequest { timeseries: timeseries.collect(), ..Default::default() }.encode_to_vec()
}

fn second_version(all: &[Value], t_ms: i64, written: &mut Written) -> Vec<u8> {
    let (mut symbols, mut message) = (Symbols::default(), Vec::new());
    for series in all {
        let labels = labels(&series["labels"]);
        let is_good = labels.get("__name__").is_some_and(|name| !name.is_empty());
        let mut out = write_v2::TimeSeries { labels_refs: symbols.labels(&labels), ..Default::default() };
        if let Some(sample) = series.get("sample") {
            let (value, timestamp) = (number(&sample["value"]), at(sample, t_ms));
            out.samples.push(Sample { value, timestamp, start_timestamp: 0 });
            if is_good {
                written.floats.push((key(&labels), timestamp, value));
            }
        }
        if let Some(told) = series.get("histogram") {
            let histogram = histogram(told, at(told, t_ms));
            if is_good && told["bad_count"] != true {
                let Some(histogram::Count::CountInt(count)) = histogram.count else { unreachable!() };
                written.histograms.push((key(&labels), histogram.timestamp, count as f64, histogram.sum));
            }
            out.histograms.push(histogram);
        }
        for exemplar in series["exemplars"].as_array().into_iter().flatten() {
            let own = self::labels(&exemplar["labels"]);
            let labels_refs = symbols.labels(&own);
            let (value, timestamp) = (number(&exemplar["value"]), at(exemplar, t_ms));
            if is_good {
                written.exemplars.push((key(&labels), timestamp, text(value), key(&own)));
            }
            out.exemplars.push(Exemplar { labels_refs, value, timestamp });
        }
        if let Some(metadata) = series.get("metadata") {
            let kind = write_v2::metadata::MetricType::from_str_name(&format!(
                "METRIC_TYPE_{}",
                metadata["type"].as_str().unwrap()
            ));
            out.metadata = Some(Metadata {
                r#type: kind.unwrap() as i32,
                help_ref: symbols.reference(metadata["help"].as_str().unwrap_or_default()),
                unit_ref: symbols.reference(metadata["unit"].as_str().unwrap_or_default()),
            });
        }
        let mut bytes = out.encode_to_vec();
        if let Some(offset_s) = series["created_offset_s"].as_i64() {
            prost::encoding::int64::encode(6, &(t_ms + offset_s * 1000), &mut bytes);
        }
        prost::encoding::bytes::encode(5, &bytes, &mut message);
    }
    symbols.reference("");
    let mut request = write_v2::Request { symbols: symbols.texts, timeseries: Vec::new() }.encode_to_vec();
    request.extend(message);
    request
}

/// The histogram that the conformance data's notes describe.
fn histogram(told: &Value, timestamp: i64) -> Histogram {
    let has = |part: &str| told[part] == 1 || told[part] == true;
    let span = |offset, length| BucketSpan { offset, length };
    let mut histogram = Histogram { sum: number(&told["sum"]), timestamp, ..Default::default() };
    let mut count = 0;
    if has("positive") {
        histogram.positive_spans = vec![span(0, 3), span(2, 2)];
        histogram.positive_deltas = vec![1, 2, 1, 3, 1];
        count += 23;
    }
    if has("negative") {
        histogram.negative_spans = vec![span(0, 2)];
        histogram.negative_deltas = vec![1, 1];
        count += 3;
    }
    if has("zero") {
        histogram.zero_count = Some(histogram::ZeroCount::ZeroCountInt(1));
        count += 1;
    }
    if has("custom_buckets") {
        histogram.schema = -53;
        histogram.custom_values = vec![0.1, 0.5, 1.0, 2.5, 5.0, 10.0];
        histogram.positive_spans = vec![span(0, 6)];
        histogram.positive_deltas = vec![2, 1, 2, 3, -1, -2];
        count = 30;
    }
    if has("bad_count") {
        count = 99;
    }
    histogram.count = Some(histogram::Count::CountInt(count));
    histogram
}

fn at(told: &Value, t_ms: i64) -> i64 {
    t_ms + told["offset_s"].as_i64().unwrap_or(0) * 1000
}

fn labels(told: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    told.as_object().unwrap().iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

/// How the API writes a series.
fn key(labels: &BTreeMap<String, String>) -> String {
    serde_json::to_value(labels).unwrap().to_string()
}

/// A value as the API writes it; none here needs an exponent but one.
fn text(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        1e-10 => "1e-10".to_owned(),
        value => value.to_string().replace("inf", "Inf"),
    }
}

fn number(told: &Value) -> f64 {
    match told.as_str() {
        None => told.as_f64().unwrap(),
        Some("StaleNaN") => f64::from_bits(STALE_NAN_BITS),
        Some(text) => text.parse().unwrap(),
    }
}
