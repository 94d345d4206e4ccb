//! What can be said of a query beside its answer, in Prometheus' words (`util/annotations`).

use crate::ast::{AggregateOp, BinaryOp};
use crate::engine::classic_buckets::Falls;
use crate::literal::{format_general, quote};
use std::fmt;

/// What can be worth a word. Texts are names of metrics, unless they say otherwise.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// A quantile outside `[0, 1]`.
    InvalidQuantile(f64),
    /// A ratio of `limit_ratio` outside `[-1, 1]`, and what it was taken for.
    InvalidRatio(f64, f64),
    /// A bucket's bound cannot be read: the label's value and the metric's name.
    BadBucketLabel(String, String),
    /// `rate` of something not named like a counter.
    PossibleNonCounter(String),
    /// `rate` of something whose type, the second text, is no counter's.
    PossibleNonCounterType(String, String),
    /// `sort` does nothing in a range query.
    SortInRangeQuery,
    /// Classic buckets did not rise.
    ForcedMonotonicity {
        /// The metric.
        metric: String,
        /// Where.
        falls: Falls,
        /// When.
        t_ms: i64,
    },
    /// A sample counts since a time before the last sample, and since another one than that.
    StartOverlap(String),
    /// Floats and histograms in a range that must hold one kind.
    MixedInRange(String),
    /// Floats and histograms in a group that must hold one kind.
    MixedInAggregation,
    /// Buckets in series of their own beside native histograms.
    MixedClassicNative(String),
    /// Exponential beside custom buckets.
    MixedSchemas(String),
    /// A counter's function over histograms that are gauges.
    NotCounter(String),
    /// A gauge's function over histograms that are none.
    NotGauge(String),
    /// An operator between exponential and custom buckets.
    IncompatibleBuckets(BinaryOp),
    /// An operator that there is not between these kinds of sample.
    IncompatibleTypes {
        /// The operator.
        op: BinaryOp,
        /// What stands left.
        lhs: &'static str,
        /// What stands right.
        rhs: &'static str,
    },
    /// A counter reset here, none there.
    ConflictingResets(Operation),
    /// Custom buckets had different bounds: those in common remain.
    ReconciledBounds(Operation),
    /// An aggregation of floats met histograms.
    IgnoredInAggregation(AggregateOp),
    /// A function of floats met histograms beside them.
    IgnoredInRange(String),
    /// See [`NanObservations::Answer`](crate::engine::native_quantile::NanObservations::Answer).
    NanQuantile(String),
    /// See [`NanObservations::Skew`](crate::engine::native_quantile::NanObservations::Skew).
    SkewedQuantile(String),
    /// See [`NanObservations::Missing`](crate::engine::native_quantile::NanObservations::Missing).
    NanFraction(String),
}

/// What was done with histograms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Addition,
    Subtraction,
    Aggregation,
}

impl Note {
    /// Whether people are told how often it was made.
    pub fn is_counted(&self) -> bool {
        matches!(self, Self::StartOverlap(_) | Self::ForcedMonotonicity { .. })
    }

    /// Whether it is an info; else it is a warning.
    pub fn is_info(&self) -> bool {
        matches!(
            self,
            Self::PossibleNonCounter(_)
                | Self::PossibleNonCounterType(..)
                | Self::ForcedMonotonicity { .. }
                | Self::IncompatibleTypes { .. }
                | Self::ReconciledBounds(_)
                | Self::IgnoredInAggregation(_)
                | Self::IgnoredInRange(_)
                | Self::NanQuantile(_)
                | Self::SkewedQuantile(_)
                | Self::NanFraction(_)
        )
    }
}

/// Prometheus' words (`util/annotations`), without place and counts: by these, notes are the same.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidQuantile(q) => {
                write!(f, "quantile value should be between 0 and 1, got {}", format_general(*q))
            }
            Self::InvalidRatio(asked, taken) => {
                let (asked, taken) = (format_general(*asked), format_general(*taken));
                write!(f, "ratio value should be between -1 and 1, got {asked}, capping to {taken}")
            }
            Self::BadBucketLabel(value, metric) => write!(
                f,
                "bucket label \"le\" is missing or has a malformed value of {}{}",
                quote(value),
                of_metric(metric)
            ),
            Self::PossibleNonCounter(metric) => write!(
                f,
                "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {}",
                quote(metric)
            ),
            Self::PossibleNonCounterType(metric, kind) => write!(
                f,
                "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got {}: {}",
                quote(kind),
                quote(metric)
            ),
            Self::SortInRangeQuery => {
                f.write_str("sort is ineffective for range queries since results are always ordered by labels")
            }
            Self::ForcedMonotonicity { metric, .. } => write!(
                f,
                "input to histogram_quantile needed to be fixed for monotonicity (see \
                 https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile){}",
                of_metric(metric)
            ),
            Self::StartOverlap(metric) => write!(
                f,
                "sample has start time that overlaps with previous sample timestamp for metric {}",
                quote(metric)
            ),
            Self::MixedInRange(metric) => {
                write!(f, "encountered a mix of histograms and floats for metric name {}", quote(metric))
            }
            Self::MixedInAggregation => f.write_str("encountered a mix of histograms and floats for aggregation"),
            Self::MixedClassicNative(metric) => {
                write!(f, "vector contains a mix of classic and native histograms{}", of_metric(metric))
            }
            Self::MixedSchemas(metric) => write!(
                f,
                "vector contains a mix of histograms with exponential and custom buckets schemas for metric name \
                 {}",
                quote(metric)
            ),
            Self::NotCounter(metric) => write!(f, "this native histogram metric is not a counter: {}", quote(metric)),
            Self::NotGauge(metric) => write!(f, "this native histogram metric is not a gauge: {}", quote(metric)),
            Self::IncompatibleBuckets(op) => {
                write!(f, "incompatible bucket layout encountered for binary operator {op}")
            }
            Self::IncompatibleTypes { op, lhs, rhs } => {
                write!(f, "incompatible sample types encountered for binary operator \"{op}\": {lhs} {op} {rhs}")
            }
            Self::ConflictingResets(operation) => {
                write!(f, "conflicting counter resets during histogram {operation}")
            }
            Self::ReconciledBounds(operation) => {
                write!(f, "mismatched custom buckets were reconciled during {operation}")
            }
            Self::IgnoredInAggregation(op) => write!(f, "ignored histogram in {op} aggregation"),
            Self::IgnoredInRange(metric) => write!(
                f,
                "ignored histograms in a range containing both floats and histograms for metric name {}",
                quote(metric)
            ),
            Self::NanQuantile(metric) => {
                write!(f, "input to histogram_quantile has NaN observations, result is NaN{}", of_metric(metric))
            }
            Self::SkewedQuantile(metric) => write!(
                f,
                "input to histogram_quantile has NaN observations, result is skewed higher{}",
                of_metric(metric)
            ),
            Self::NanFraction(metric) => write!(
                f,
                "input to histogram_fraction has NaN observations, which are excluded from all fractions{}",
                of_metric(metric)
            ),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Addition => "addition",
            Self::Subtraction => "subtraction",
            Self::Aggregation => "aggregation",
        })
    }
}

fn of_metric(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" for metric name {}", quote(name)) }
}

/// A number as Go's `%.2g` writes it: two significant digits.
pub fn two_digits(value: f64) -> String {
    let text = format!("{value:.1e}");
    match text.split_once('e').and_then(|(_, exponent)| exponent.parse::<i32>().ok()) {
        None => format_general(value),
        Some(exponent @ (-4..2)) => {
            let text = format!("{value:.*}", (1 - exponent) as usize);
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
        }
        Some(_) => with_exponent(&text.replacen(".0e", "e", 1)),
    }
}

/// Writes the exponent of `1.5e7` with a sign and two digits at least.
fn with_exponent(text: &str) -> String {
    let (digits, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_go_writes_them() {
        let cases = [(0.0, "0"), (2.0, "2"), (12.0, "12"), (0.126, "0.13"), (123.0, "1.2e+02"), (1e-5, "1e-05")];
        for (value, text) in cases.into_iter().chain([(9.96, "10"), (99.6, "1e+02"), (f64::INFINITY, "+Inf")]) {
            assert_eq!(two_digits(value), text);
        }
    }
}
