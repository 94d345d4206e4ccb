//! Queries over native histograms (integer, float, gauges, resets, a change of resolution, a series that mixes them with
//! floats) against recorded answers of Prometheus 2.53, as far as those are what 3.x answers too.

use crate::{conformance, json_labels, json_lines};
use futures::executor::block_on;
use longhaul_model::histogram::BucketSpan;
use longhaul_model::{CounterResetHint, FloatHistogram, Histogram, Measurement, STALE_NAN_BITS, measurement};
use longhaul_promql::source::SeriesSource;
use longhaul_promql::value::SampleValue;
use longhaul_promql::{Budget, Engine, EngineSettings, QueryError, QueryRequest, Value};
use longhaul_testkit::dataset::Dataset;
use longhaul_testkit::storage;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Recorded answers to queries; one more is of exemplars, of which the engine knows nothing.
const QUERIES: usize = 36;

/// A comparison of two histograms. 2.53 compares what histograms have as their number, 0 with 0, and answers 0; 3.x compares
/// the histograms and answers, as for floats, the left side: what this query does.
const COMPARES_HISTOGRAMS: (&str, &str) = ("nh:019", "nh_float");

/// Series by their labels, with points by time in ms.
type Answer = BTreeMap<String, BTreeMap<i64, Point>>;

#[derive(Debug)]
enum Point {
    Float(f64),
    Histogram { count: f64, sum: f64, buckets: Vec<Bucket> },
}

/// A bucket that is not empty.
#[derive(Debug)]
struct Bucket {
    /// Which of its bounds belong to it, as the HTTP API says it: the upper one, the lower one, neither, both.
    bounds: u8,
    lower: f64,
    upper: f64,
    count: f64,
}

#[test]
fn answers_of_histograms_are_prometheus_answers() {
    let Some(data) = conformance("oracle/nh-data.jsonl.gz") else { return };
    let mut loaded = Dataset::default();
    for line in json_lines(data) {
        let samples: Vec<Measurement> = line["samples"].as_array().unwrap().iter().map(sample).collect();
        loaded.append(&json_labels(&line["labels"]), &samples).unwrap();
    }
    let cases = json_lines(conformance("oracle/nh-golden.jsonl.gz").unwrap());
    let cases: Vec<Json> = cases.filter(|case| case["kind"] != "exemplars").collect();
    assert_eq!(cases.len(), QUERIES);
    let engine = Engine::new(EngineSettings::default());
    for way in storage::ALL {
        let source = way.store(&loaded).unwrap();
        let check = |case: &Json| {
            let checked = check(&engine, &source, case);
            checked.map_err(|why| format!("{} {}: {why}", case["id"], case["query"]))
        };
        let failed: Vec<String> = cases.iter().filter_map(|case| check(case).err()).collect();
        assert!(failed.is_empty(), "{}: {} of {QUERIES} queries:\n{}", way.name(), failed.len(), failed.join("\n"));
    }
}

fn sample(json: &Json) -> Measurement {
    let value = match (&json[1], json[1].get("h")) {
        (_, Some(histogram)) if histogram.get("float").is_some() => {
            measurement::Value::FloatHistogram(Arc::new(float_histogram(histogram)))
        }
        (_, Some(histogram)) => measurement::Value::Histogram(Arc::new(histogram_of(histogram))),
        (Json::String(text), None) if text == "stale" => measurement::Value::Float(f64::from_bits(STALE_NAN_BITS)),
        (Json::String(text), None) => measurement::Value::Float(text.parse().unwrap()),
        (number, None) => measurement::Value::Float(number.as_f64().unwrap()),
    };
    Measurement { t_ms: json[0].as_i64().unwrap(), start_ms: 0, value }
}

fn spans(json: &Json) -> Vec<BucketSpan> {
    let span =
        |span: &Json| BucketSpan { offset: span[0].as_i64().unwrap() as i32, length: span[1].as_u64().unwrap() as u32 };
    json.as_array().unwrap().iter().map(span).collect()
}

fn hint(json: &Json) -> CounterResetHint {
    match json.as_u64() {
        Some(0) => CounterResetHint::Unknown,
        Some(1) => CounterResetHint::Reset,
        Some(2) => CounterResetHint::NotReset,
        Some(3) => CounterResetHint::Gauge,
        _ => panic!("no hint {json}"),
    }
}

fn histogram_of(json: &Json) -> Histogram {
    let deltas = |json: &Json| json.as_array().unwrap().iter().map(|delta| delta.as_i64().unwrap()).collect();
    Histogram {
        reset_hint: hint(&json["hint"]),
        schema: json["schema"].as_i64().unwrap() as i32,
        zero_threshold: json["zt"].as_f64().unwrap(),
        zero_count: json["zero"].as_u64().unwrap(),
        count: json["count"].as_u64().unwrap(),
        sum: json["sum"].as_f64().unwrap(),
        positive_spans: spans(&json["ps"]),
        negative_spans: spans(&json["ns"]),
        positive_deltas: deltas(&json["pb"]),
        negative_deltas: deltas(&json["nb"]),
        ..Histogram::default()
    }
}

fn float_histogram(json: &Json) -> FloatHistogram {
    let counts = |json: &Json| json.as_array().unwrap().iter().map(|count| count.as_f64().unwrap()).collect();
    FloatHistogram {
        reset_hint: hint(&json["hint"]),
        schema: json["schema"].as_i64().unwrap() as i32,
        zero_threshold: json["zt"].as_f64().unwrap(),
        zero_count: json["zero"].as_f64().unwrap(),
        count: json["count"].as_f64().unwrap(),
        sum: json["sum"].as_f64().unwrap(),
        positive_spans: spans(&json["ps"]),
        negative_spans: spans(&json["ns"]),
        positive_counts: counts(&json["pb"]),
        negative_counts: counts(&json["nb"]),
        ..FloatHistogram::default()
    }
}

fn check(engine: &Engine, source: &Arc<dyn SeriesSource>, case: &Json) -> Result<(), String> {
    let query = case["query"].as_str().unwrap();
    let ms = |json: &Json| json.as_i64().unwrap() * 1000;
    let request = match case["kind"].as_str().unwrap() {
        "instant" => QueryRequest::instant(query, ms(&case["time"])),
        "range" => QueryRequest::range(query, ms(&case["start"]), ms(&case["end"]), ms(&case["step"])),
        other => panic!("no kind {other}"),
    };
    let response = &case["response"];
    let value = match block_on(engine.run(source.clone(), &request, &Budget::unlimited())) {
        Ok(result) if case["code"] == 200 => result.value,
        Err(QueryError::Execution(error)) if case["code"] == 422 && error == response["error"] => return Ok(()),
        other => return Err(format!("should answer {}: {other:?}", case["code"])),
    };
    if case["id"] == COMPARES_HISTOGRAMS.0 {
        let left = QueryRequest { text: COMPARES_HISTOGRAMS.1.into(), ..request };
        let left = block_on(engine.run(source.clone(), &left, &Budget::unlimited())).unwrap();
        return compare(&answered(left.value), &answered(value));
    }
    compare(&recorded(&response["data"]), &answered(value))
}

fn recorded(data: &Json) -> Answer {
    let one = |json: &Json| (time_ms(&json[0]), point(&json[1]));
    let many = |json: &Json| json.as_array().into_iter().flatten().map(one).collect::<Vec<_>>();
    let points = |series: &Json| match data["resultType"].as_str().unwrap() {
        "vector" => BTreeMap::from([one(series.get("value").unwrap_or(&series["histogram"]))]),
        _ => many(&series["values"]).into_iter().chain(many(&series["histograms"])).collect(),
    };
    let series = data["result"].as_array().unwrap().iter();
    series.map(|series| (json_labels(&series["metric"]).to_string(), points(series))).collect()
}

fn time_ms(json: &Json) -> i64 {
    (json.as_f64().unwrap() * 1000.0).round() as i64
}

fn number(json: &Json) -> f64 {
    json.as_str().unwrap().parse().unwrap()
}

fn point(json: &Json) -> Point {
    if json.is_string() {
        return Point::Float(number(json));
    }
    let bucket = |json: &Json| Bucket {
        bounds: json[0].as_u64().unwrap() as u8,
        lower: number(&json[1]),
        upper: number(&json[2]),
        count: number(&json[3]),
    };
    let buckets = json["buckets"].as_array().into_iter().flatten().map(bucket).collect();
    Point::Histogram { count: number(&json["count"]), sum: number(&json["sum"]), buckets }
}

fn answered(value: Value) -> Answer {
    let histogram = |histogram: &FloatHistogram| {
        let buckets = histogram.buckets().filter(|bucket| bucket.count != 0.0).map(|bucket| Bucket {
            bounds: match (bucket.lower_inclusive, bucket.upper_inclusive) {
                (false, true) => 0,
                (true, false) => 1,
                (false, false) => 2,
                (true, true) => 3,
            },
            lower: bucket.lower,
            upper: bucket.upper,
            count: bucket.count,
        });
        Point::Histogram { count: histogram.count, sum: histogram.sum, buckets: buckets.collect() }
    };
    match value {
        Value::Vector(vector) => {
            let series = vector.into_iter().map(|sample| {
                let point = match &sample.value {
                    SampleValue::Float(value) => Point::Float(*value),
                    SampleValue::Histogram(value) => histogram(value),
                };
                (sample.labels.to_string(), BTreeMap::from([(sample.t_ms, point)]))
            });
            series.collect()
        }
        Value::Matrix(matrix) => {
            let series = matrix.into_iter().map(|series| {
                let floats = series.points.t_ms.into_iter().zip(series.points.values.into_iter().map(Point::Float));
                let histograms = series.histograms.values.iter().map(|value| histogram(value));
                let points = floats.chain(series.histograms.t_ms.into_iter().zip(histograms));
                (series.labels.to_string(), points.collect())
            });
            series.collect()
        }
        other => panic!("unexpected {other:?}"),
    }
}

fn compare(expected: &Answer, found: &Answer) -> Result<(), String> {
    if !expected.keys().eq(found.keys()) {
        return Err(format!("{:?} should be {:?}", found.keys(), expected.keys()));
    }
    for (labels, points) in expected {
        if !points.keys().eq(found[labels].keys()) {
            return Err(format!("{labels}: {:?} should be {:?}", found[labels].keys(), points.keys()));
        }
        for (t_ms, point) in points {
            let found = &found[labels][t_ms];
            if !same_point(point, found) {
                return Err(format!("{labels} at {t_ms} ms: {found:?} should be {point:?}"));
            }
        }
    }
    Ok(())
}

fn same_point(a: &Point, b: &Point) -> bool {
    match (a, b) {
        (Point::Float(a), Point::Float(b)) => same(*a, *b),
        (
            Point::Histogram { count, sum, buckets },
            Point::Histogram { count: other_count, sum: other_sum, buckets: other_buckets },
        ) => {
            let bucket = |(a, b): (&Bucket, &Bucket)| {
                a.bounds == b.bounds && same(a.lower, b.lower) && same(a.upper, b.upper) && same(a.count, b.count)
            };
            same(*count, *other_count)
                && same(*sum, *other_sum)
                && buckets.len() == other_buckets.len()
                && buckets.iter().zip(other_buckets).all(bucket)
        }
        _ => false,
    }
}

fn same(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}
