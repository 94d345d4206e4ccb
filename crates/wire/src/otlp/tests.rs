//! The decoder against the vectors of the conformance data, against JSON that says the same, and with hostile messages.

mod deltas;

use super::*;
use crate::proto::opentelemetry as proto;
use crate::proto::opentelemetry::any_value::Value as Any;
use crate::proto::opentelemetry::number_data_point::Value as Number;
use longhaul_model::write_batch::HistogramValue;
use longhaul_model::{STALE_NAN_BITS, WriteBatch};
use proptest::prelude::*;
use serde_json::Value;
use std::path::Path;

/// A file of the conformance data; None where those are not at hand.
pub(super) fn vectors(name: &str) -> Option<Value> {
    Some(serde_json::from_str(&vectors_text(name)?).unwrap())
}

fn vectors_text(name: &str) -> Option<String> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/formats/vectors"));
    std::fs::read_to_string(folder.join(name)).ok()
}

fn decoded(message: &[u8], settings: &OtlpSettings) -> Decoded {
    decode(message, settings, &DecodeLimits::default()).unwrap()
}

/// A label section as `name="value"`, sorted as it stands.
fn text(section: LabelSection<'_>) -> String {
    let pairs = section.pairs().map(|pair| {
        let (name, value) = pair.unwrap();
        format!("{}={:?}", str::from_utf8(name).unwrap(), str::from_utf8(value).unwrap())
    });
    pairs.collect::<Vec<_>>().join(", ")
}

/// Each sample on a line, floats before histograms; the lines in order.
fn lines(batch: &WriteBatch) -> Vec<String> {
    let mut lines = Vec::new();
    for series in &batch.series {
        let labels = text(batch.labels(series));
        for at in series.samples.clone() {
            let sample = batch.samples[at as usize];
            let start_ms = batch.starts_ms.get(at as usize).copied().unwrap_or_default();
            lines.push(line(&labels, sample.t_ms, start_ms, sample.value));
        }
        for sample in batch.histograms(series) {
            let HistogramValue::Integer(it) = &sample.value else { panic!("{sample:?}") };
            lines.push(format!("{{{labels}}} {} since {} {it:?}", sample.t_ms, sample.start_ms));
        }
    }
    lines.sort();
    lines
}

fn line(labels: &str, t_ms: i64, start_ms: i64, value: f64) -> String {
    let value = if value.to_bits() == STALE_NAN_BITS { "stale".to_owned() } else { value.to_string() };
    format!("{{{labels}}} {t_ms} since {start_ms} {value}")
}

/// Labels of the vectors as [`text`] has them.
fn labels_text(labels: &Value) -> String {
    let sorted: std::collections::BTreeMap<&str, &str> =
        labels.as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
    sorted.iter().map(|(name, value)| format!("{name}={value:?}")).collect::<Vec<_>>().join(", ")
}

fn cases() -> Vec<(Value, Vec<u8>)> {
    let text = vectors_text("otlp-cases.jsonl").unwrap_or_default();
    let read = |line: &str| {
        let case: Value = serde_json::from_str(line).unwrap();
        let body = json::from_hex(case["body_hex"].as_str().unwrap()).unwrap();
        (case, body)
    };
    text.lines().map(read).collect()
}

#[test]
fn requests_become_the_series_that_the_vectors_say() {
    let cases = cases();
    for (case, body) in &cases {
        let Decoded { batch, refused } = decoded(body, &OtlpSettings::default());
        let mut wanted: Vec<String> = Vec::new();
        for series in case["expect"]["series"].as_array().unwrap() {
            let value = series["v"].as_f64().unwrap_or(f64::from_bits(STALE_NAN_BITS));
            let (t_ms, start_ms) = (series["t"].as_i64().unwrap(), series["start_t"].as_i64().unwrap());
            assert!(series.get("h").is_none() && series.get("histogram").is_none(), "{case}");
            wanted.push(line(&labels_text(&series["labels"]), t_ms, start_ms, value));
        }
        wanted.sort();
        assert_eq!(lines(&batch), wanted, "{case}");
        assert_eq!(refused.is_empty(), case["expect"]["code"] == 200, "{case} {refused:?}");
        let exemplars = batch.series.iter().flat_map(|series| {
            let of = text(batch.labels(series));
            let exemplars = batch.exemplars(series).iter();
            exemplars.map(move |it| (of.clone(), it.labels.clone(), it.t_ms, it.value)).collect::<Vec<_>>()
        });
        let exemplars: Vec<String> = exemplars
            .map(|(of, labels, t_ms, value)| {
                let labels = text(LabelSection::new(&batch.buffer[labels.start as usize..labels.end as usize]));
                format!("{{{of}}} {{{labels}}} {t_ms} {value}")
            })
            .collect();
        let wanted = case["expect"]["exemplars"].as_array().map_or(&[][..], Vec::as_slice).iter().map(|it| {
            let (of, labels) = (labels_text(&it["series"]), labels_text(&it["labels"]));
            format!("{{{of}}} {{{labels}}} {} {}", it["t"], it["value"])
        });
        assert_eq!(exemplars, wanted.collect::<Vec<_>>(), "{case}");
    }
    println!("{} requests", cases.len());
}

#[test]
fn buckets_are_laid_out_as_the_vectors_say() {
    for (name, scale) in [("otlp_exp_bucket_layout.json", true), ("otlp_nhcb_bucket_layout.json", false)] {
        let Some(vectors) = vectors(name) else { return };
        let cases = vectors["cases"].as_array().unwrap();
        for case in cases {
            let counts = case[if scale { "otlp_counts" } else { "counts" }].as_array().unwrap();
            let counts: Vec<u64> = counts.iter().map(|count| count.as_u64().unwrap()).collect();
            let number = |key: &str| case[key].as_i64().unwrap_or_default() as i32;
            let histogram = if scale {
                histogram::exponential(&proto::ExponentialHistogramDataPoint {
                    scale: 8 + number("scale_down"),
                    positive: Some(proto::exponential_histogram_data_point::Buckets {
                        offset: number("otlp_offset"),
                        bucket_counts: counts.clone(),
                    }),
                    ..Default::default()
                })
            } else {
                histogram::custom(&proto::HistogramDataPoint { bucket_counts: counts.clone(), ..Default::default() })
            };
            let histogram = histogram.unwrap();
            let spans: Vec<[i64; 2]> =
                histogram.positive_spans.iter().map(|span| [span.offset.into(), span.length.into()]).collect();
            assert_eq!(serde_json::json!(spans), case["want_spans"], "{case}");
            assert_eq!(serde_json::json!(histogram.positive_deltas), case["want_deltas"], "{case}");
        }
        println!("{} layouts of {name}", cases.len());
    }
}

/// A request of one metric of one resource.
fn request(data: Data) -> ExportMetricsServiceRequest {
    let text = |text: &str| Some(proto::AnyValue { value: Some(Any::StringValue(text.to_owned())) });
    let attribute = |key: &str, value: &str| proto::KeyValue { key: key.to_owned(), value: text(value) };
    let metric =
        Metric { name: "m".to_owned(), description: "what it is".to_owned(), unit: "By".to_owned(), data: Some(data) };
    let scope = proto::InstrumentationScope {
        name: "library".to_owned(),
        version: "2".to_owned(),
        attributes: vec![attribute("kind", "x")],
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(proto::Resource {
                attributes: vec![
                    attribute("service.name", "shop"),
                    attribute("service.namespace", "acme"),
                    attribute("host.name", "h1"),
                ],
            }),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope),
                metrics: vec![metric],
                schema_url: "https://schema".to_owned(),
            }],
            schema_url: String::new(),
        }],
    }
}

fn gauge(points: Vec<proto::NumberDataPoint>) -> ExportMetricsServiceRequest {
    request(Data::Gauge(proto::Gauge { data_points: points }))
}

fn number(seconds: u64, value: f64) -> proto::NumberDataPoint {
    let value = Some(Number::AsDouble(value));
    proto::NumberDataPoint { time_unix_nano: seconds * 1_000_000_000, value, ..Default::default() }
}

fn exponential(point: proto::ExponentialHistogramDataPoint) -> ExportMetricsServiceRequest {
    request(Data::ExponentialHistogram(proto::ExponentialHistogram {
        data_points: vec![point],
        aggregation_temporality: AggregationTemporality::Cumulative as i32,
    }))
}

fn listed(points: Vec<proto::HistogramDataPoint>) -> ExportMetricsServiceRequest {
    request(Data::Histogram(proto::Histogram {
        data_points: points,
        aggregation_temporality: AggregationTemporality::Cumulative as i32,
    }))
}

#[test]
fn exponential_histograms_are_native_ones() {
    let buckets = |offset, counts: &[u64]| {
        Some(proto::exponential_histogram_data_point::Buckets { offset, bucket_counts: counts.to_vec() })
    };
    let point = proto::ExponentialHistogramDataPoint {
        start_time_unix_nano: 1_000_000_000,
        time_unix_nano: 2_000_000_000,
        count: 11,
        sum: Some(4.5),
        scale: 10,
        zero_count: 1,
        positive: buckets(-4, &[1, 1, 1, 1, 2]),
        negative: buckets(8, &[0, 0, 0, 0, 4]),
        ..Default::default()
    };
    let Decoded { batch, refused } = decoded(&exponential(point.clone()).encode_to_vec(), &OtlpSettings::default());
    assert_eq!(refused, []);
    assert_eq!(text(batch.labels(&batch.series[0])), r#"__name__="m_bytes", job="acme/shop""#);
    let HistogramValue::Integer(histogram) = &batch.histograms[0].value else { panic!() };
    histogram.validate().unwrap();
    assert_eq!((batch.histograms[0].t_ms, batch.histograms[0].start_ms), (2000, 1000));
    assert_eq!((histogram.schema, histogram.count, histogram.zero_count), (8, 11, 1));
    assert_eq!((histogram.zero_threshold, histogram.sum), (1e-128, 4.5));
    assert_eq!(histogram.positive_deltas, [4, -2]); // indexes -1 and 0, one higher here
    assert_eq!((histogram.positive_spans[0].offset, histogram.positive_spans[0].length), (0, 2));
    assert_eq!(histogram.negative_deltas, [0, 4]);
    assert_eq!((histogram.negative_spans[0].offset, histogram.negative_spans[0].length), (3, 2));
    let metadata = &batch.metadata[0];
    let said = [&metadata.family, &metadata.help, &metadata.unit].map(|it| str::from_utf8(batch.bytes(it)).unwrap());
    assert_eq!((metadata.kind, said), (MetricKind::Histogram, ["m_bytes", "what it is", "bytes"]));

    // No recorded value: the marker, and no buckets.
    let stale = proto::ExponentialHistogramDataPoint { flags: 1, ..point.clone() };
    let Decoded { batch, .. } = decoded(&exponential(stale).encode_to_vec(), &OtlpSettings::default());
    let HistogramValue::Integer(histogram) = &batch.histograms[0].value else { panic!() };
    assert!(histogram.is_stale() && histogram.positive_spans.is_empty());
    histogram.validate().unwrap();

    for wrong in [
        proto::ExponentialHistogramDataPoint { scale: -5, ..point.clone() },
        proto::ExponentialHistogramDataPoint { positive: buckets(i32::MAX, &[1]), scale: 0, ..point.clone() },
        proto::ExponentialHistogramDataPoint { positive: buckets(0, &[u64::MAX]), ..point.clone() },
        proto::ExponentialHistogramDataPoint { positive: buckets(0, &[u64::MAX, 1]), ..point.clone() },
    ] {
        let Decoded { batch, refused } = decoded(&exponential(wrong).encode_to_vec(), &OtlpSettings::default());
        assert!(batch.series.is_empty(), "{batch:?}");
        assert_eq!((refused[0].reason, refused[0].count), (Reason::DataPoint, 1));
    }
}

#[test]
fn histograms_with_bounds_become_series_or_custom_buckets() {
    let point = proto::HistogramDataPoint {
        time_unix_nano: 2_000_000_000,
        count: 7,
        sum: Some(9.0),
        bucket_counts: vec![0, 3, 4],
        explicit_bounds: vec![1.0, 2.5],
        ..Default::default()
    };
    let custom = OtlpSettings { convert_histograms_to_nhcb: true, ..OtlpSettings::default() };
    let Decoded { batch, .. } = decoded(&listed(vec![point.clone()]).encode_to_vec(), &custom);
    let HistogramValue::Integer(histogram) = &batch.histograms[0].value else { panic!() };
    histogram.validate().unwrap();
    assert_eq!((histogram.schema, &*histogram.custom_bounds), (-53, &[1.0, 2.5][..]));
    assert_eq!(histogram.positive_deltas, [3, 1]);

    // A bound of infinity is said by the last bucket already.
    let infinite = proto::HistogramDataPoint {
        bucket_counts: vec![3, 4, 0],
        explicit_bounds: vec![1.0, f64::INFINITY],
        ..point.clone()
    };
    let Decoded { batch, .. } = decoded(&listed(vec![infinite]).encode_to_vec(), &OtlpSettings::default());
    let bounds: Vec<String> =
        batch.series.iter().map(|it| text(batch.labels(it))).filter(|it| it.contains("le=")).collect();
    assert_eq!(
        bounds,
        [
            r#"__name__="m_bytes_bucket", job="acme/shop", le="1""#,
            r#"__name__="m_bytes_bucket", job="acme/shop", le="+Inf""#
        ]
    );

    // The others of the request are taken.
    let wrong = [
        proto::HistogramDataPoint { bucket_counts: vec![1, 2], ..point.clone() },
        proto::HistogramDataPoint { bucket_counts: vec![], ..point.clone() },
        proto::HistogramDataPoint { explicit_bounds: vec![2.0, 1.0], ..point.clone() },
        proto::HistogramDataPoint { explicit_bounds: vec![1.0, f64::NAN], ..point.clone() },
        point,
    ];
    let Decoded { batch, refused } = decoded(&listed(wrong.to_vec()).encode_to_vec(), &OtlpSettings::default());
    assert_eq!((refused[0].reason, refused[0].count), (Reason::DataPoint, 4));
    assert_eq!(batch.series.len(), 2 + 3 + 1);
}

#[test]
fn what_is_promoted_is_a_label_of_every_series() {
    let request = gauge(vec![number(1, 2.0)]).encode_to_vec();
    let labels = |settings: OtlpSettings| {
        let batch = decoded(&request, &settings).batch;
        batch.series.iter().map(|series| text(batch.labels(series))).collect::<Vec<_>>()
    };
    let target = r#"__name__="target_info", host_name="h1", job="acme/shop""#;
    let one = OtlpSettings { promote_resource_attributes: vec!["host.name".to_owned()], ..Default::default() };
    assert_eq!(labels(one), [r#"__name__="m_bytes", host_name="h1", job="acme/shop""#, target]);
    let all = OtlpSettings {
        promote_all_resource_attributes: true,
        ignore_resource_attributes: vec!["service.name".to_owned(), "service.namespace".to_owned()],
        ..Default::default()
    };
    assert_eq!(labels(all)[0], r#"__name__="m_bytes", host_name="h1", job="acme/shop""#);
    let scopes = OtlpSettings {
        promote_scope_metadata: true,
        keep_identifying_resource_attributes: true,
        translation_strategy: TranslationStrategy::NoTranslation,
        ..Default::default()
    };
    assert_eq!(
        labels(scopes),
        [
            "__name__=\"m\", job=\"acme/shop\", otel_scope_kind=\"x\", otel_scope_name=\"library\", \
         otel_scope_schema_url=\"https://schema\", otel_scope_version=\"2\"",
            "__name__=\"target_info\", host.name=\"h1\", job=\"acme/shop\", service.name=\"shop\", \
         service.namespace=\"acme\"",
        ]
    );
}

#[test]
fn target_info_goes_from_the_earliest_to_the_latest_point_within_a_limit() {
    let times = |points: &[u64]| {
        let points = points.iter().map(|seconds| number(*seconds, 1.0)).collect();
        let batch = decoded(&gauge(points).encode_to_vec(), &OtlpSettings::default()).batch;
        let target = batch.series.last().unwrap();
        assert!(text(batch.labels(target)).starts_with("__name__=\"target_info\""));
        batch.samples(target).iter().map(|sample| sample.t_ms / 1000).collect::<Vec<_>>()
    };
    assert_eq!(times(&[1000]), [1000]);
    assert_eq!(times(&[1400, 1000, 1100]), [1000, 1150, 1300, 1400]);
    let far = times(&[0, 1_700_000_000]);
    assert_eq!((far.len() as i64, far[far.len() - 1]), (TARGET_INFO_SAMPLES_MAX + 1, 1_700_000_000));
}

#[test]
fn deltas_and_what_has_no_name_or_value_are_counted() {
    let points = vec![number(1, 1.0), number(2, 1.0)];
    let delta = request(Data::Sum(proto::Sum {
        data_points: points.clone(),
        aggregation_temporality: AggregationTemporality::Delta as i32,
        is_monotonic: true,
    }));
    let mut nameless = gauge(points.clone());
    nameless.resource_metrics[0].scope_metrics[0].metrics[0].unit = String::new();
    nameless.resource_metrics[0].scope_metrics[0].metrics[0].name = "__".to_owned();
    let mut untyped = gauge(points);
    untyped.resource_metrics[0].scope_metrics[0].metrics[0].data = None;
    let empty = gauge(vec![proto::NumberDataPoint::default()]);
    let key = proto::KeyValue { key: "___".to_owned(), value: None };
    let label = gauge(vec![proto::NumberDataPoint { attributes: vec![key], ..number(1, 1.0) }]);
    for (request, reason, count) in [
        (delta, Reason::Temporality, 2),
        (nameless, Reason::Name, 2),
        (untyped, Reason::DataPoint, 1),
        (empty, Reason::DataPoint, 1),
        (label, Reason::Name, 1),
    ] {
        let Decoded { batch, refused } = decoded(&request.encode_to_vec(), &OtlpSettings::default());
        assert!(batch.series.is_empty(), "{batch:?}");
        assert_eq!((refused[0].reason, refused[0].count), (reason, count), "{refused:?}");
    }
}

/// What OpenTelemetry's JSON looks like, beside the protobuf it stands for.
#[test]
fn json_says_the_same_as_protobuf() {
    let text = r#"{"resourceMetrics": [{
        "resource": {"attributes": [
            {"key": "service.name", "value": {"stringValue": "shop"}}, {"key": "n", "value": {"intValue": "-7"}},
            {"key": "list", "value": {"arrayValue": {"values": [{"boolValue": true}, {"doubleValue": 1.5}]}}},
            {"key": "map", "value": {"kvlistValue": {"values": [{"key": "b", "value": {"bytesValue": "AQI="}}]}}}]},
        "unknown": {"deep": [1, {"x": null}]},
        "scope_metrics": [{"scope": {"name": "l", "version": null}, "metrics": [
            {"name": "hits", "unit": "1", "sum": {"aggregationTemporality": 2, "isMonotonic": true, "dataPoints": [
                {"timeUnixNano": "1704067260000000000", "startTimeUnixNano": 1704067200000000000, "asInt": "42",
                 "exemplars": [{"timeUnixNano": "1704067255000000000", "asDouble": 0.5,
                                "traceId": "0102030405060708090A0b0c0d0e0f10", "spanId": "0102030405060708"}]}]}},
            {"name": "e", "exponentialHistogram": {"aggregationTemporality": "AGGREGATION_TEMPORALITY_CUMULATIVE",
                "dataPoints": [{"timeUnixNano": "1704067260000000000", "count": "3", "sum": 2, "scale": -1,
                    "zeroCount": 1, "positive": {"offset": -2, "bucketCounts": ["1", 1]}}]}},
            {"name": "g", "gauge": {"dataPoints": [
                {"timeUnixNano": "1704067260000000000", "asDouble": "NaN"},
                {"timeUnixNano": "1704067261000000000", "asDouble": 3}]}}]}]}]}"#;
    let message = json_to_protobuf(text.as_bytes(), 1 << 20).unwrap();
    let request = ExportMetricsServiceRequest::decode(&*message).unwrap();
    assert_eq!(request.encoded_len(), message.len(), "nothing is in it that the schema does not know");
    let Decoded { batch, refused } = decoded(&message, &OtlpSettings::default());
    assert_eq!(refused, []);
    let (time, job) = (1_704_067_260_000i64, "job=\"shop\"");
    let mut wanted = [
        format!("{{__name__=\"hits_total\", {job}}} {time} since 1704067200000 42"),
        format!("{{__name__=\"g\", {job}}} {time} since 0 NaN"),
        format!("{{__name__=\"g\", {job}}} {} since 0 3", time + 1000),
        format!(
            "{{__name__=\"target_info\", {job}, list=\"[true,1.5]\", map=\"{{\\\"b\\\":\\\"AQI=\\\"}}\", n=\"-7\"}} \
             {time} since 0 1"
        ),
        format!(
            "{{__name__=\"target_info\", {job}, list=\"[true,1.5]\", map=\"{{\\\"b\\\":\\\"AQI=\\\"}}\", n=\"-7\"}} \
             {} since 0 1",
            time + 1000
        ),
    ];
    wanted.sort();
    let all = lines(&batch);
    assert_eq!(
        all.iter().filter(|line| !line.contains("Histogram {")).collect::<Vec<_>>(),
        wanted.iter().collect::<Vec<_>>()
    );
    let HistogramValue::Integer(histogram) = &batch.histograms[0].value else { panic!() };
    assert_eq!((histogram.schema, histogram.positive_spans[0].offset), (-1, -1));
    let exemplar = &batch.exemplars[0];
    assert_eq!(
        self::text(LabelSection::new(batch.bytes(&exemplar.labels))),
        r#"span_id="0102030405060708", trace_id="0102030405060708090a0b0c0d0e0f10""#
    );
}

#[test]
fn wrong_json_is_refused_with_the_place() {
    for (text, what) in [
        ("", "EOF"),
        ("[]", "expected an object"),
        (r#"{"resourceMetrics": 7}"#, "`resourceMetrics` holds something else"),
        (r#"{"resourceMetrics": []} x"#, "trailing"),
        (r#"{"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": 7}]}]}]}"#, "`name` holds something else"),
    ] {
        let error = json_to_protobuf(text.as_bytes(), 1 << 20).unwrap_err().to_string();
        assert!(error.contains(what), "{text}: {error}");
    }
    let numbers = |count: usize| {
        let counts = vec!["1"; count].join(",");
        format!(
            r#"{{"resourceMetrics":{{"scopeMetrics":{{"metrics":{{"histogram":{{"dataPoints":{{"bucketCounts":[{counts}]}}}}}}}}}}}}"#
        )
    };
    assert!(json_to_protobuf(numbers(50).as_bytes(), 500).is_ok());
    let error = json_to_protobuf(numbers(1000).as_bytes(), 500).unwrap_err().to_string();
    assert!(error.contains("more than 500 bytes as protobuf"), "{error}");
    let deep = format!("{}{}{}", r#"{"resourceMetrics":"#, "[".repeat(500), "]".repeat(500));
    assert!(json_to_protobuf(deep.as_bytes(), 1 << 20).unwrap_err().to_string().contains("recursion"));
}

#[test]
fn a_message_is_weighed_before_it_is_decoded() {
    // Two bytes each on the wire.
    let many = [0x0a, 0].repeat(1000);
    assert!(weigh(&many).unwrap() >= 1000 * size_of::<ResourceMetrics>() as u64);
    for (_, body) in cases() {
        assert!(weigh(&body).unwrap() > body.len() as u64);
    }
    assert!(weigh(&[0x0a, 9]).is_err());
}

#[test]
fn limits_hold_whatever_the_message_repeats() {
    let points = (0..100).map(|at| number(at, 1.0)).collect();
    let message = gauge(points).encode_to_vec();
    let limited = |limits: DecodeLimits| decode(&message, &OtlpSettings::default(), &limits).unwrap_err();
    let limits = DecodeLimits::default();
    assert!(matches!(limited(DecodeLimits { series_max: 9, ..limits }), WireError::TooMany { .. }));
    assert!(matches!(limited(DecodeLimits { samples_max: 9, ..limits }), WireError::TooMany { .. }));
    assert!(matches!(limited(DecodeLimits { text_bytes_max: 99, ..limits }), WireError::TextsTooLarge { .. }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever comes: an answer, and what is stored holds together.
    #[test]
    fn damaged_requests_do_no_harm(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
        nhcb in any::<bool>(),
    ) {
        let mut bodies: Vec<Vec<u8>> = cases().into_iter().map(|(_, body)| body).collect();
        bodies.push(gauge(vec![number(1, 1.0)]).encode_to_vec());
        let mut body = which.get(&bodies).clone();
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if let Some(cut) = cut {
            body.truncate(cut.index(body.len()));
        }
        harmless(&body, nhcb)?;
    }

    #[test]
    fn any_bytes_do_no_harm(body in prop::collection::vec(any::<u8>(), 0..200), nhcb in any::<bool>()) {
        harmless(&body, nhcb)?;
    }

    #[test]
    fn any_text_is_json_or_is_not(text in r#"(\{|\}|\[|\]|"(resourceMetrics|scopeMetrics|metrics|sum|dataPoints|asInt|asDouble|name|attributes|value)"|:|,|null|true|-?[0-9]{1,20}(\.[0-9])?|"[0-9a-zA-Z=]{0,9}"){0,30}"#) {
        if let Ok(message) = json_to_protobuf(text.as_bytes(), 1 << 20) {
            harmless(&message, false)?;
        }
    }
}

fn harmless(body: &[u8], nhcb: bool) -> Result<(), TestCaseError> {
    let settings = OtlpSettings { convert_histograms_to_nhcb: nhcb, ..OtlpSettings::default() };
    let limits = DecodeLimits { samples_max: 10_000, ..DecodeLimits::default() };
    let weighed = weigh(body);
    let Ok(Decoded { batch, .. }) = decode(body, &settings, &limits) else { return Ok(()) };
    prop_assert!(weighed.is_ok(), "what can be decoded can be weighed");
    for series in &batch.series {
        prop_assert!(batch.labels(series).pairs().all(|pair| pair.is_ok_and(|(_, value)| !value.is_empty())));
        let names: Vec<_> = batch.labels(series).pairs().map(|pair| pair.unwrap().0).collect();
        prop_assert!(names.is_sorted_by(|before, after| before < after), "canonical");
    }
    Ok(())
}
