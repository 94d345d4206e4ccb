//! The text format, version 0.0.4 with quoted names (`expfmt.MetricFamilyToText` of `prometheus/common`): a line for the
//! type, and lines of `name{labels} value time`.

use crate::names::is_plain;
use crate::proto::client::{Histogram, LabelPair, Metric, MetricFamily, MetricType};
use std::io::Write;

/// From this power of ten on numbers are written with an exponent, as Go's shortest `%g` does.
const EXPONENT_MIN: i32 = 6;

/// Appends a family of numbers or of classic histograms.
pub(super) fn push_family(out: &mut Vec<u8>, family: &MetricFamily) {
    let name = family.name();
    out.extend_from_slice(b"# TYPE ");
    push_name(out, name);
    out.extend_from_slice(match family.r#type() {
        MetricType::Counter => b" counter\n",
        MetricType::Gauge => b" gauge\n",
        MetricType::Summary => b" summary\n",
        MetricType::Untyped => b" untyped\n",
        // The format knows no histograms that fall.
        MetricType::Histogram | MetricType::GaugeHistogram => b" histogram\n",
    });
    for metric in &family.metric {
        match &metric.histogram {
            Some(histogram) => push_histogram(out, name, metric, histogram),
            None => push_line(out, name, metric, None, metric.untyped.unwrap_or_default().value()),
        }
    }
}

fn push_histogram(out: &mut Vec<u8>, name: &str, metric: &Metric, histogram: &Histogram) {
    let bucket_name = format!("{name}_bucket");
    let count = histogram.sample_count_float();
    for bucket in &histogram.bucket {
        push_line(out, &bucket_name, metric, Some(bucket.upper_bound()), bucket.cumulative_count_float());
    }
    push_line(out, &bucket_name, metric, Some(f64::INFINITY), count);
    push_line(out, &format!("{name}_sum"), metric, None, histogram.sample_sum());
    push_line(out, &format!("{name}_count"), metric, None, count);
}

/// Appends a line; `bound` is the value of the label `le`.
fn push_line(out: &mut Vec<u8>, name: &str, metric: &Metric, bound: Option<f64>, value: f64) {
    let mut separator = b'{';
    if is_plain(name) {
        out.extend_from_slice(name.as_bytes());
    } else {
        out.push(separator);
        push_name(out, name);
        separator = b',';
    }
    for LabelPair { name, value } in &metric.label {
        out.push(separator);
        push_name(out, name.as_deref().unwrap_or_default());
        out.push(b'=');
        push_quoted(out, value.as_deref().unwrap_or_default());
        separator = b',';
    }
    if let Some(bound) = bound {
        out.push(separator);
        out.extend_from_slice(b"le=\"");
        push_number(out, bound);
        out.push(b'"');
        separator = b',';
    }
    if separator == b',' {
        out.push(b'}');
    }
    out.push(b' ');
    push_number(out, value);
    if let Some(timestamp_ms) = metric.timestamp_ms {
        write!(out, " {timestamp_ms}").expect("a vector takes it");
    }
    out.push(b'\n');
}

/// Appends a name, in quotes unless it is plain.
fn push_name(out: &mut Vec<u8>, name: &str) {
    if is_plain(name) {
        out.extend_from_slice(name.as_bytes());
    } else {
        push_quoted(out, name);
    }
}

fn push_quoted(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'"' => out.extend_from_slice(b"\\\""),
            b'\n' => out.extend_from_slice(b"\\n"),
            other => out.push(other),
        }
    }
    out.push(b'"');
}

/// Appends a number as Go's `%g` has it.
fn push_number(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() || value.is_infinite() {
        out.extend_from_slice(if value.is_nan() {
            b"NaN"
        } else if value > 0.0 {
            b"+Inf"
        } else {
            b"-Inf"
        });
        return;
    }
    // Zero has no sign here.
    let value = if value == 0.0 { 0.0 } else { value };
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().expect("a formatted float has a numeric exponent");
    let written = if (-4..EXPONENT_MIN).contains(&exponent) {
        write!(out, "{value}")
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(out, "{digits}e{sign}{:02}", exponent.abs())
    };
    written.expect("a vector takes it");
}
