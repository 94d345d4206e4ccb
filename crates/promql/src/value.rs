//! What a query yields: what the engine hands to the server, which renders it.
//!
//! Labels of a result are final: names that an operation drops are gone, and no two series have the same labels. Series
//! of a matrix stand in label order; the order of a vector is the engine's (`sort`, `topk` make it one that counts).

use longhaul_model::Labels;

/// A whole answer.
#[derive(Clone, Debug)]
pub struct QueryResult {
    /// The value, of the type of the expression (a range query turns scalars into vectors, and vectors into a matrix).
    pub value: Value,
    /// What may make the answer wrong, in Prometheus' words with line and column; sorted, unique.
    pub warnings: Vec<String>,
    /// What is worth knowing, likewise.
    pub infos: Vec<String>,
    /// What the query took.
    pub stats: QueryStats,
}

/// A value of one of PromQL's four types.
#[derive(Clone, Debug, PartialEq)]
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
#[derive(Clone, Debug, PartialEq)]
pub struct InstantSample {
    /// Which series.
    pub labels: Labels,
    /// Time of evaluation, ms (not of the sample that answered).
    pub t_ms: i64,
    /// The value.
    pub value: f64,
}

/// One series of a matrix: two columns of the same length, times rising. (Native histograms will stand beside them, in
/// columns of their own with times of their own: a series may mix both.)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Points {
    /// Times, ms.
    pub t_ms: Vec<i64>,
    /// Values.
    pub values: Vec<f64>,
}

/// A series with its points.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeSeries {
    /// Which series.
    pub labels: Labels,
    /// Its float points; at least one.
    pub points: Points,
}

/// What a query took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryStats {
    /// Series that the source handed out.
    pub series: u64,
    /// Samples decoded.
    pub samples: u64,
    /// Most bytes held at one time, as far as they are accounted for.
    pub bytes_peak: u64,
}
