//! When two values count as the same.

use super::histogram::describe;
use super::series::Written;
use longhaul_model::histogram::SCHEMA_CUSTOM;
use longhaul_model::{BucketSpan, FloatHistogram, is_stale};
use longhaul_promql::value::SampleValue;
use std::fmt;

/// The greatest difference between two numbers that are the same, as a part of the sum of their magnitudes.
const EPSILON: f64 = 1e-6;

/// Whether two numbers are the same: exactly if one of them is zero, else nearly. NaN is NaN, but for stale markers.
pub fn same(a: f64, b: f64) -> bool {
    if is_stale(a) || is_stale(b) {
        return is_stale(a) && is_stale(b);
    }
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let (difference, sum) = ((a - b).abs(), a.abs() + b.abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < EPSILON * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < EPSILON
}

impl Written {
    /// Compares with what was found.
    pub fn compare(&self, found: &SampleValue) -> Result<(), String> {
        let same = match (self, found) {
            (Self::Float(expected), SampleValue::Float(found)) => same(*expected, *found),
            (Self::Histogram { histogram, hint_given }, SampleValue::Histogram(found)) => {
                same_histogram(histogram, found) && (!hint_given || histogram.reset_hint == found.reset_hint)
            }
            (Self::Float(_), SampleValue::Histogram(_)) => return Err("there is a histogram, not a float".to_owned()),
            (Self::Histogram { .. }, SampleValue::Float(_)) => {
                return Err("there is a float, not a histogram".to_owned());
            }
        };
        if same { Ok(()) } else { Err(format!("another value than {self}")) }
    }
}

/// Whether two histograms are the same, whatever empty buckets they list and whatever they know about counter resets.
fn same_histogram(a: &FloatHistogram, b: &FloatHistogram) -> bool {
    a.schema == b.schema
        && same(a.count, b.count)
        && same(a.sum, b.sum)
        && same(a.zero_count, b.zero_count)
        && a.zero_threshold == b.zero_threshold
        && (a.schema != SCHEMA_CUSTOM || a.custom_bounds == b.custom_bounds)
        && same_buckets(filled(&a.positive_spans, &a.positive_counts), filled(&b.positive_spans, &b.positive_counts))
        && same_buckets(filled(&a.negative_spans, &a.negative_counts), filled(&b.negative_spans, &b.negative_counts))
}

fn same_buckets(mut a: impl Iterator<Item = (i32, f64)>, mut b: impl Iterator<Item = (i32, f64)>) -> bool {
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if a.0 == b.0 && same(a.1, b.1) => {}
            _ => return false,
        }
    }
}

/// The buckets of a side that are not empty, by their indexes.
fn filled<'a>(spans: &'a [BucketSpan], counts: &'a [f64]) -> impl Iterator<Item = (i32, f64)> + 'a {
    let mut end = 0;
    let indexes = spans.iter().flat_map(move |span| {
        let start = end + span.offset;
        end = start + span.length as i32;
        start..end
    });
    indexes.zip(counts.iter().copied()).filter(|(_, count)| *count != 0.0)
}

/// As a script writes it.
impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float(value) if is_stale(*value) => f.write_str("stale"),
            Self::Float(value) => value.fmt(f),
            Self::Histogram { histogram, .. } => f.write_str(&describe(histogram)),
        }
    }
}
