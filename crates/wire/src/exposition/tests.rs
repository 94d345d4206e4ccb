//! What clients ask for, and families as they get them.

mod decode;

use super::*;
use crate::proto::client::{Bucket, Histogram, LabelPair, Metric, MetricType, Untyped};

const PROTOBUF: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

#[test]
fn the_first_offer_that_suits_is_taken() {
    let prometheus =
        format!("{PROTOBUF};q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,*/*;q=0.1");
    let cases = [
        ("", FormatKind::Text, Escaping::Underscores),
        ("*/*", FormatKind::Text, Escaping::Underscores),
        ("text/plain;version=0.0.4;q=0.3, application/openmetrics-text", FormatKind::Text, Escaping::Underscores),
        (&prometheus, FormatKind::Protobuf, Escaping::Underscores),
        ("text/plain; escaping=allow-utf-8", FormatKind::Text, Escaping::AllowUtf8),
        ("text/plain; version=0.0.4; escaping=rot13", FormatKind::Text, Escaping::Underscores),
        // A clause that is not taken has its say about names all the same.
        ("application/openmetrics-text; escaping=values, text/plain", FormatKind::Text, Escaping::Values),
        (
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=text",
            FormatKind::Text,
            Escaping::Underscores,
        ),
        ("nonsense, /;;=,q, *;q=x", FormatKind::Text, Escaping::Underscores),
    ];
    for (accept, kind, escaping) in cases {
        assert_eq!(Format::negotiate(accept), Format { kind, escaping }, "{accept}");
    }
    let by_quality = format!("text/plain;q=0.5, {PROTOBUF};q=0.9");
    assert_eq!(Format::negotiate(&by_quality).kind, FormatKind::Protobuf);
    assert_eq!(Format::negotiate("").content_type(), "text/plain; version=0.0.4; charset=utf-8; escaping=underscores");
}

fn metric(labels: &[(&str, &str)]) -> Metric {
    let label =
        |(name, value): &(&str, &str)| LabelPair { name: Some((*name).to_owned()), value: Some((*value).to_owned()) };
    Metric { label: labels.iter().map(label).collect(), ..Metric::default() }
}

fn family(name: &str, kind: MetricType, metric: Vec<Metric>) -> MetricFamily {
    MetricFamily { name: Some(name.to_owned()), r#type: Some(kind.into()), metric, ..MetricFamily::default() }
}

fn text(family: MetricFamily, escaping: Escaping) -> String {
    let mut out = Vec::new();
    Format { kind: FormatKind::Text, escaping }.push(&mut out, family);
    String::from_utf8(out).unwrap()
}

fn number(labels: &[(&str, &str)], value: f64, timestamp_ms: Option<i64>) -> Metric {
    Metric { untyped: Some(Untyped { value: Some(value) }), timestamp_ms, ..metric(labels) }
}

#[test]
fn numbers_are_lines() {
    let values = [
        (1.5, "1.5"),
        (-0.0, "0"),
        (100_000.0, "100000"),
        (999_999.5, "999999.5"),
        (1_234_567.0, "1.234567e+06"),
        (1e6, "1e+06"),
        (-1e21, "-1e+21"),
        (1e-4, "0.0001"),
        (0.000_012_5, "1.25e-05"),
        (5e-324, "5e-324"),
        (f64::NAN, "NaN"),
        (f64::INFINITY, "+Inf"),
        (f64::NEG_INFINITY, "-Inf"),
    ];
    for (value, written) in values {
        let text = text(family("m", MetricType::Untyped, vec![number(&[], value, Some(-5))]), Escaping::Underscores);
        assert_eq!(text, format!("# TYPE m untyped\nm {written} -5\n"));
    }
}

#[test]
fn names_are_plain_quoted_or_escaped() {
    let labels = [("plain", "a\"b\\c\nd"), ("http.method", "ü")];
    let make = |name: &str| family(name, MetricType::Gauge, vec![number(&labels, 1.0, None), number(&[], 2.0, None)]);
    assert_eq!(
        text(make("my.metric"), Escaping::AllowUtf8),
        "# TYPE \"my.metric\" gauge\n\
         {\"my.metric\",plain=\"a\\\"b\\\\c\\nd\",\"http.method\"=\"ü\"} 1\n\
         {\"my.metric\"} 2\n"
    );
    assert_eq!(
        text(make("my.metric"), Escaping::Underscores),
        "# TYPE my_metric gauge\nmy_metric{plain=\"a\\\"b\\\\c\\nd\",http_method=\"ü\"} 1\nmy_metric 2\n"
    );
    assert_eq!(
        text(make("my_metric"), Escaping::Dots),
        "# TYPE my_metric gauge\nmy_metric{plain=\"a\\\"b\\\\c\\nd\",http_dot_method=\"ü\"} 1\nmy_metric 2\n"
    );
}

#[test]
fn classic_histograms_have_their_lines() {
    let bucket =
        |bound, count| Bucket { upper_bound: Some(bound), cumulative_count_float: Some(count), ..Bucket::default() };
    let histogram = Histogram {
        sample_count_float: Some(3.5),
        sample_sum: Some(0.25),
        bucket: vec![bucket(0.1, 1.0), bucket(1e6, 2.5)],
        ..Histogram::default()
    };
    let metric = Metric { histogram: Some(histogram), timestamp_ms: Some(7), ..metric(&[("a", "b")]) };
    assert_eq!(
        text(family("h", MetricType::GaugeHistogram, vec![metric]), Escaping::Underscores),
        "# TYPE h histogram\n\
         h_bucket{a=\"b\",le=\"0.1\"} 1 7\n\
         h_bucket{a=\"b\",le=\"1e+06\"} 2.5 7\n\
         h_bucket{a=\"b\",le=\"+Inf\"} 3.5 7\n\
         h_sum{a=\"b\"} 0.25 7\n\
         h_count{a=\"b\"} 3.5 7\n"
    );
}

#[test]
fn protobuf_families_stand_behind_their_lengths() {
    let format = Format { kind: FormatKind::Protobuf, escaping: Escaping::Values };
    let mut out = Vec::new();
    for name in ["one", "t.wo"] {
        format.push(&mut out, family(name, MetricType::Untyped, vec![number(&[("a", "b")], 1.0, Some(1))]));
    }
    let mut rest = out.as_slice();
    for name in ["one", "U__t_2e_wo"] {
        let read = MetricFamily::decode_length_delimited(&mut rest).unwrap();
        assert_eq!(read, family(name, MetricType::Untyped, vec![number(&[("a", "b")], 1.0, Some(1))]));
    }
    assert!(rest.is_empty());
}
