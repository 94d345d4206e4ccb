//! What a query yields: what the engine hands to the server, which renders it.
//!
//! Labels of a result are final: names that an operation drops are gone, and no two series have the same labels. Series
//! of a matrix stand in label order; the order of a vector is the engine's (`sort`, `topk` make it one that counts).

use crate::budget::Held;
use longhaul_model::{FloatHistogram, Labels};
use std::sync::Arc;

/// A whole answer.
#[derive(Debug)]
pub struct QueryResult {
    /// The value, of the type of the expression (a range query turns scalars into vectors, and vectors into a matrix).
    pub value: Value,
    /// What may make the answer wrong, in Prometheus' words with line and column; sorted, unique.
    pub warnings: Vec<String>,
    /// What is worth knowing, likewise.
    pub infos: Vec<String>,
    /// What the query took.
    pub stats: QueryStats,
    /// Accounts for the value, until it is dropped.
    pub held: Held,
}

/// A value of one of PromQL's four types.
#[derive(Clone, Debug)]
pub enum Value {
    /// One number (instant queries only).
    Scalar {
        /// Time of evaluation, ms.
        t_ms: i64,
        /// The number.
        value: f64,
    },
    /// A text (instant queries only).
    String {
        /// Time of evaluation, ms.
        t_ms: i64,
        /// The text.
        value: String,
    },
    /// Many series at one instant.
    Vector(Vec<InstantSample>),
    /// Many series over time, in label order.
    Matrix(Vec<RangeSeries>),
}

/// One element of an instant vector.
#[derive(Clone, Debug)]
pub struct InstantSample {
    /// Which series.
    pub labels: Labels,
    /// Time of evaluation, ms (not of the sample that answered).
    pub t_ms: i64,
    /// The value.
    pub value: SampleValue,
}

/// The value of a sample.
#[derive(Clone, Debug)]
pub enum SampleValue {
    /// A number.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<FloatHistogram>),
}

impl SampleValue {
    /// The number, if it is one.
    pub fn float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            Self::Histogram(_) => None,
        }
    }

    /// The histogram, if it is one.
    pub fn histogram(&self) -> Option<&Arc<FloatHistogram>> {
        match self {
            Self::Float(_) => None,
            Self::Histogram(histogram) => Some(histogram),
        }
    }
}

impl From<f64> for SampleValue {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

/// Float points: two columns of the same length, times rising.
#[derive(Clone, Debug, Default)]
pub struct Points {
    /// Times, ms.
    pub t_ms: Vec<i64>,
    /// Values.
    pub values: Vec<f64>,
}

/// Native histograms over time: two columns of the same length, times rising.
#[derive(Clone, Debug, Default)]
pub struct Histograms {
    /// Times, ms.
    pub t_ms: Vec<i64>,
    /// Values.
    pub values: Vec<Arc<FloatHistogram>>,
}

/// A series with its points: floats, histograms or, where it changed, both; at least one point in all, and no time in
/// both columns.
#[derive(Clone, Debug)]
pub struct RangeSeries {
    /// Which series.
    pub labels: Labels,
    /// Its float points.
    pub points: Points,
    /// Its histograms.
    pub histograms: Histograms,
}

/// What a query took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryStats {
    /// Series that the source handed out.
    pub series: u64,
    /// Samples decoded.
    pub samples: u64,
    /// Most bytes held at one time, as far as they are accounted for.
    pub bytes_peak: u64,
    /// How long it took.
    pub phases: Phases,
    /// Its samples as Prometheus counts them, if the request asked for it.
    pub counted: Option<SampleCounts>,
}

/// How long the phases of a query took, ns of the budget's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// Parsing and planning.
    pub plan_ns: u64,
    /// Fetching and evaluating.
    pub evaluate_ns: u64,
    /// Bringing the result into its order and form.
    pub sort_ns: u64,
}

/// The samples of a query as Prometheus counts them (`util/stats/query_stats.go`); a histogram counts for one every 16
/// bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SampleCounts {
    /// What its steps look at, each step for itself (`totalQueryableSamples`).
    pub queried: u64,
    /// The same, but what neighbouring steps share counts once (`samplesRead`).
    pub read: u64,
    /// Both step by step; empty if only the sums were asked for.
    pub steps: Vec<StepCounts>,
}

/// What counts at one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepCounts {
    /// The step's time, ms.
    pub t_ms: i64,
    /// See [`SampleCounts::queried`].
    pub queried: u64,
    /// See [`SampleCounts::read`].
    pub read: u64,
}
