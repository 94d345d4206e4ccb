//! Numbers, texts and envelopes as Prometheus renders them, byte by byte, and long answers in chunks.

use super::numbers::{push_time, push_value};
use super::query::Timings;
use super::*;
use http_body_util::BodyExt;
use longhaul_model::ManualClock;
use longhaul_model::histogram::SCHEMA_CUSTOM;
use longhaul_model::{BucketSpan, FloatHistogram};
use longhaul_promql::value::{
    Histograms, InstantSample, Phases, Points, QueryStats, RangeSeries, SampleCounts, SampleValue, StepCounts, Value,
};
use longhaul_promql::{Budget, BudgetLimits, CancelFlag};
use proptest::prelude::*;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

fn value_text(value: f64) -> String {
    let mut out = Vec::new();
    push_value(&mut out, value);
    String::from_utf8(out).unwrap()
}

fn time_text(t_ms: i64) -> String {
    let mut out = Vec::new();
    push_time(&mut out, t_ms);
    String::from_utf8(out).unwrap()
}

/// The cases of json-encoding.jsonl; the expressions in it that are not numbers are done by hand.
#[test]
fn numbers_are_rendered_as_prometheus_recorded_them() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance/http-api/json-encoding.jsonl");
    let Ok(cases) = std::fs::read_to_string(&path) else {
        assert!(std::env::var_os("CI").is_none(), "{} is missing", path.display());
        return println!("skipped: {} is missing", path.display());
    };
    let (mut floats, mut times) = (0, 0);
    for line in cases.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let json = case["json"].as_str().unwrap();
        if case["kind"] == "float" {
            let value = match case["expr"].as_str().unwrap() {
                "1/3" => 1.0 / 3.0,
                "2/3" => 2.0 / 3.0,
                "2^53" => 2f64.powi(53),
                "2^63" => 2f64.powi(63),
                "2^64" => 2f64.powi(64),
                number => number.parse().unwrap(),
            };
            assert_eq!(format!("\"{}\"", value_text(value)), json, "{case}");
            floats += 1;
        } else {
            let seconds: f64 = case["time_param"].as_str().unwrap().parse().unwrap();
            assert_eq!(time_text((seconds * 1000.0).round() as i64), json, "{case}");
            times += 1;
        }
    }
    assert_eq!((floats, times), (35, 15));
}

#[test]
fn edges_of_the_number_format() {
    let cases = [
        (-0.0, "-0"),
        (f64::NAN, "NaN"),
        (f64::NEG_INFINITY, "-Inf"),
        (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
        (1e21f64.next_down(), "999999999999999900000"),
        (1e-6f64.next_down(), "9.999999999999997e-07"),
        (-0.000_001_25, "-0.00000125"),
        (-12_345_678_901_234_567.0, "-12345678901234568"),
        (9_007_199_254_740_993.0, "9007199254740992"),
        (-9_007_199_254_740_991.0, "-9007199254740991"),
        (2_251_799_813_685_249.5, "2251799813685249.5"),
        (i64::MIN as f64, "-9223372036854776000"),
        (1.5e300, "1.5e+300"),
        // Between two numbers of as many digits the even one.
        (-659_246_948_360_054.2, "-659246948360054.2"),
    ];
    for (value, text) in cases {
        assert_eq!(value_text(value), text);
    }
    assert_eq!(time_text(i64::MIN), "-9223372036854775.808");
    assert_eq!(time_text(-1), "-0.001");
}

proptest! {
    /// As many digits as std takes (which is slow and beyond doubt, but for the last digit of two that are as close), in
    /// Go's two layouts.
    #[test]
    fn numbers_read_back_and_are_laid_out_as_in_go(bits: u64, scale in -40i32..60, digits in 0u64..100_000) {
        for value in [f64::from_bits(bits), digits as f64 * 10f64.powi(scale), digits as f64] {
            let text = value_text(value);
            if !value.is_finite() {
                prop_assert!(["NaN", "+Inf", "-Inf"].contains(&text.as_str()));
                continue;
            }
            prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits());
            let expected = if value != 0.0 && !(1e-6..1e21).contains(&value.abs()) {
                let shortest = format!("{value:e}");
                let (mantissa, exponent) = shortest.split_once('e').unwrap();
                let exponent: i32 = exponent.parse().unwrap();
                format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
            } else {
                value.to_string()
            };
            let layout = |text: &str| text.replace(|digit: char| digit.is_ascii_digit(), "0");
            prop_assert_eq!(layout(&text), layout(&expected), "{} {}", text, expected);
        }
    }

    #[test]
    fn texts_read_back(text in "(.|\\PC|[\\x00-\\x7f])*") {
        let mut out = Vec::new();
        push_text(&mut out, &text);
        prop_assert!(out.iter().all(|byte| *byte >= 0x20));
        prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
    }
}

#[test]
fn only_what_must_be_escaped_is() {
    let mut out = Vec::new();
    push_text(&mut out, "<a href=\"x\">&\\ ☀ü\u{2028}\u{7f}\n\r\t\u{1}\u{1f}");
    assert_eq!(String::from_utf8(out).unwrap(), "\"<a href=\\\"x\\\">&\\\\ ☀ü\u{2028}\u{7f}\\n\\r\\t\\u0001\\u001f\"");
}

async fn body(response: Response) -> String {
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn notes(warnings: usize, infos: usize) -> Notes {
    let numbered = |count: usize| (0..count).map(|number| format!("n{number}")).collect();
    Notes { warnings: numbered(warnings), infos: numbered(infos) }
}

#[tokio::test]
async fn answers_have_prometheus_envelope() {
    let labels = Labels::from_pairs([("b", "x\"y"), ("a", "1")]);
    let none = Notes::default();
    let cases = [
        (
            query_answer(Value::Scalar { t_ms: 1500, value: 2.0 }, &none, None),
            r#"{"status":"success","data":{"resultType":"scalar","result":[1.500,"2"]}}"#,
        ),
        (
            query_answer(Value::String { t_ms: 0, value: "a\nb".to_owned() }, &none, None),
            r#"{"status":"success","data":{"resultType":"string","result":[0,"a\nb"]}}"#,
        ),
        (
            query_answer(Value::Vector(Vec::new()), &notes(1, 2), None),
            r#"{"status":"success","data":{"resultType":"vector","result":[]},"warnings":["n0"],"infos":["n0","n1"]}"#,
        ),
        (
            query_answer(
                Value::Vector(vec![
                    InstantSample { labels: labels.clone(), t_ms: 1000, value: SampleValue::Float(0.5) },
                    InstantSample { labels: Labels::empty(), t_ms: 1000, value: SampleValue::Float(-0.0) },
                ]),
                &none,
                None,
            ),
            concat!(
                r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"1","b":"x\"y"},"#,
                r#""value":[1,"0.5"]},{"metric":{},"value":[1,"-0"]}]}}"#
            ),
        ),
        (texts(vec!["a".to_owned(), "b".to_owned()], &none), r#"{"status":"success","data":["a","b"]}"#),
        (label_sets(vec![labels], &none), r#"{"status":"success","data":[{"a":"1","b":"x\"y"}]}"#),
        (success(&json!({})), r#"{"status":"success","data":{}}"#),
        (
            error(StatusCode::BAD_REQUEST, "bad_data", "no \"x\""),
            r#"{"status":"error","errorType":"bad_data","error":"no \"x\""}"#,
        ),
    ];
    for (response, text) in cases {
        assert_eq!(body(response).await, text);
    }
}

#[tokio::test]
async fn ten_notes_of_a_kind_are_listed_and_the_rest_counted() {
    let json: serde_json::Value = serde_json::from_str(&body(texts(Vec::new(), &notes(12, 10))).await).unwrap();
    assert_eq!(json["warnings"].as_array().unwrap().len(), 11);
    assert_eq!(json["warnings"][10], "2 more warning annotations omitted");
    assert_eq!(json["infos"].as_array().unwrap().len(), 10);

    let mut notes = notes(12, 0);
    let mut items = vec![1, 2, 3];
    notes.truncate(&mut items, Some(3));
    assert_eq!((items.len(), notes.warnings.len()), (3, 12));
    notes.truncate(&mut items, Some(2));
    assert_eq!((items.len(), notes.warnings[0].as_str()), (2, "results truncated due to limit"));
}

fn query_answer(value: Value, notes: &Notes, stats: Option<(Timings, QueryStats)>) -> Response {
    query::query_answer(value, Budget::unlimited().nothing_held(), notes, stats)
}

#[tokio::test]
async fn a_result_is_held_until_it_has_been_sent() {
    let limits = BudgetLimits { bytes_max: 100, ..BudgetLimits::default() };
    let budget = Budget::new(limits, Arc::new(ManualClock::at(0)), CancelFlag::default());
    let held = budget.hold(100).unwrap();
    let long = matrix(3, 10_000, |index, step| (index * step) as f64);
    let response = query::query_answer(long, held, &notes(0, 0), None);
    assert!(budget.hold(1).is_err());
    body(response).await;
    assert!(budget.hold(100).is_ok());
}

#[tokio::test]
async fn stats_stand_behind_the_result() {
    let timings = Timings { queue_ns: 1_000_000_000, preparation_ns: 250_000_000, evaluation_ns: 500_000_000 };
    let counted = SampleCounts { queried: 7, read: 5, steps: vec![StepCounts { t_ms: 1500, queried: 7, read: 5 }] };
    let phases = Phases { plan_ns: 1_000_000, evaluate_ns: 400_000_000, sort_ns: 99_000_000 };
    let stats = QueryStats { series: 1, samples: 5, bytes_peak: 64, phases, counted: Some(counted) };
    let response = query_answer(Value::Matrix(Vec::new()), &notes(1, 0), Some((timings, stats)));
    let json: serde_json::Value = serde_json::from_str(&body(response).await).unwrap();
    assert_eq!(json["data"]["result"], json!([]));
    let timings = &json["data"]["stats"]["timings"];
    assert_eq!((&timings["execTotalTime"], &timings["resultSortTime"]), (&json!(1.75), &json!(0.099)));
    assert_eq!((&timings["queryPreparationTime"], &timings["innerEvalTime"]), (&json!(0.251), &json!(0.4)));
    assert_eq!(
        json["data"]["stats"]["samples"],
        json!({
            "totalQueryableSamples": 7,
            "totalQueryableSamplesPerStep": [[1.5, 7]],
            "samplesRead": 5,
            "samplesReadPerStep": [[1.5, 5]],
            "peakSamples": 4,
        })
    );
    assert_eq!(json["warnings"], json!(["n0"]));
}

fn histogram() -> FloatHistogram {
    FloatHistogram {
        schema: 0,
        zero_threshold: 0.001,
        zero_count: 2.0,
        count: 7.5,
        sum: -18.4,
        positive_spans: vec![BucketSpan { offset: 0, length: 1 }, BucketSpan { offset: 1, length: 2 }],
        positive_counts: vec![1.5, 0.0, 2.0],
        negative_spans: vec![BucketSpan { offset: 1, length: 2 }],
        negative_counts: vec![1.0, 1.0],
        ..FloatHistogram::default()
    }
}

/// Buckets rise, empty ones are left out; the rule says which bounds belong to a bucket.
#[tokio::test]
async fn histograms_are_rendered_with_their_buckets() {
    const EXPONENTIAL: &str = concat!(
        r#"{"count":"7.5","sum":"-18.4","buckets":[[1,"-4","-2","1"],[1,"-2","-1","1"],[3,"-0.001","0.001","2"],"#,
        r#"[0,"0.5","1","1.5"],[0,"4","8","2"]]}"#
    );
    let custom = FloatHistogram {
        schema: SCHEMA_CUSTOM,
        count: 3.0,
        sum: f64::INFINITY,
        positive_spans: vec![BucketSpan { offset: 0, length: 3 }],
        positive_counts: vec![1.0, 0.0, 2.0],
        custom_bounds: [0.25, 1e7].into(),
        ..FloatHistogram::default()
    };
    let empty = FloatHistogram { count: 0.0, sum: f64::NAN, ..FloatHistogram::default() };
    let cases = [
        (histogram(), EXPONENTIAL),
        (custom, r#"{"count":"3","sum":"+Inf","buckets":[[3,"-Inf","0.25","1"],[0,"10000000","+Inf","2"]]}"#),
        (empty, r#"{"count":"0","sum":"NaN"}"#),
    ];
    for (histogram, text) in cases {
        let value = SampleValue::Histogram(histogram.into());
        let sample = InstantSample { labels: Labels::empty(), t_ms: 1500, value };
        let text = format!(r#"{{"resultType":"vector","result":[{{"metric":{{}},"histogram":[1.500,{text}]}}]}}"#);
        let response = query_answer(Value::Vector(vec![sample]), &Notes::default(), None);
        assert_eq!(body(response).await, format!(r#"{{"status":"success","data":{text}}}"#));
    }

    let mixed = RangeSeries {
        labels: Labels::empty(),
        points: Points { t_ms: vec![1000], values: vec![1.0] },
        histograms: Histograms { t_ms: vec![2000, 3000], values: vec![histogram().into(), histogram().into()] },
    };
    let text = format!(r#"[{{"metric":{{}},"values":[[1,"1"]],"histograms":[[2,{EXPONENTIAL}],[3,{EXPONENTIAL}]]}}]"#);
    let response = query_answer(Value::Matrix(vec![mixed]), &Notes::default(), None);
    assert_eq!(
        body(response).await,
        format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":{text}}}}}"#)
    );
}

fn matrix(series: usize, points: usize, value: impl Fn(usize, usize) -> f64) -> Value {
    let one = |index: usize| RangeSeries {
        labels: Labels::from_pairs([("__name__", "m"), ("i", index.to_string().as_str())]),
        points: Points {
            t_ms: (0..points).map(|step| 1_700_000_000_000 + step as i64 * 15_250).collect(),
            values: (0..points).map(|step| value(index, step)).collect(),
        },
        histograms: Histograms::default(),
    };
    Value::Matrix((0..series).map(one).collect())
}

/// A body of many pieces and chunks is one document, and its chunks are of the size that they should have.
#[tokio::test]
async fn long_matrices_are_rendered_in_chunks() {
    let response = query_answer(matrix(3, 10_000, |index, step| (index * step) as f64 / 3.0), &notes(1, 0), None);
    let (mut text, mut chunks, mut body) = (Vec::new(), 0, response.into_body());
    while let Some(frame) = body.frame().await {
        let chunk = frame.unwrap().into_data().unwrap();
        assert!(chunk.len() < 2 * CHUNK_BYTES, "{}", chunk.len());
        text.extend_from_slice(&chunk);
        chunks += 1;
    }
    assert!(chunks >= text.len() / (2 * CHUNK_BYTES), "{chunks} chunks");
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let result = json["data"]["result"].as_array().unwrap();
    assert_eq!(json["warnings"], json!(["n0"]));
    assert_eq!(result.len(), 3);
    for (index, series) in result.iter().enumerate() {
        assert_eq!(series["metric"], json!({"__name__": "m", "i": index.to_string()}));
        let values = series["values"].as_array().unwrap();
        assert_eq!(values.len(), 10_000);
        for (step, pair) in values.iter().enumerate() {
            assert_eq!(pair[0].as_f64(), Some((1_700_000_000_000 + step as i64 * 15_250) as f64 / 1000.0));
            assert_eq!(pair[1].as_str().unwrap().parse(), Ok((index * step) as f64 / 3.0));
        }
    }
}
