//! Native histograms: the sample types beside floats. Integer histograms are what clients count, float histograms what
//! queries compute with; both lie in chunks and blocks (Prometheus `model/histogram`).
//!
//! Invariant of a valid histogram: the spans of a side name as many buckets as the side has, and no span but the first
//! begins before the end of the one before it.

use std::sync::Arc;

/// The schema of histograms whose bucket bounds are listed; exponential schemas lie between [`SCHEMA_MIN`] and
/// [`SCHEMA_MAX`].
pub const SCHEMA_CUSTOM: i32 = -53;

/// The coarsest exponential schema: a bucket's upper bound is 65,536 times its lower one.
pub const SCHEMA_MIN: i32 = -4;

/// The finest exponential schema: 256 buckets between a power of two and the next.
pub const SCHEMA_MAX: i32 = 8;

/// What is known about counting having begun anew between the sample before and this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CounterResetHint {
    /// Nothing: compare the buckets.
    #[default]
    Unknown,
    /// It began anew.
    Reset,
    /// It went on.
    NotReset,
    /// The histogram is a gauge; it may go up and down.
    Gauge,
}

/// A run of neighbouring buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct BucketSpan {
    /// Of the first span: the index of its first bucket. Of any other: how many buckets lie between it and the one before.
    pub offset: i32,
    /// How many buckets there are.
    pub length: u32,
}

/// A native histogram of counted observations.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// Whether counting began anew.
    pub reset_hint: CounterResetHint,
    /// The resolution: -4 to 8, or [`SCHEMA_CUSTOM`].
    pub schema: i32,
    /// Observations whose absolute value is at most this are in the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: u64,
    /// Observations in all.
    pub count: u64,
    /// Sum of the observations; the stale marker's bits say that the series has ended.
    pub sum: f64,
    /// Where the buckets of positive observations lie.
    pub positive_spans: Vec<BucketSpan>,
    /// Where the buckets of negative observations lie; their indexes count absolute values.
    pub negative_spans: Vec<BucketSpan>,
    /// Each positive bucket's count less that of the one before.
    pub positive_deltas: Vec<i64>,
    /// Each negative bucket's count less that of the one before.
    pub negative_deltas: Vec<i64>,
    /// Upper bounds of the buckets of [`SCHEMA_CUSTOM`], rising, without infinity.
    pub custom_bounds: Arc<[f64]>,
}

/// A native histogram whose counts are any numbers: rates, sums and means of histograms are.
#[derive(Clone, Debug, Default)]
pub struct FloatHistogram {
    /// Whether counting began anew.
    pub reset_hint: CounterResetHint,
    /// The resolution: -4 to 8, or [`SCHEMA_CUSTOM`].
    pub schema: i32,
    /// Observations whose absolute value is at most this are in the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// Observations in all.
    pub count: f64,
    /// Sum of the observations; the stale marker's bits say that the series has ended.
    pub sum: f64,
    /// Where the buckets of positive observations lie.
    pub positive_spans: Vec<BucketSpan>,
    /// Where the buckets of negative observations lie; their indexes count absolute values.
    pub negative_spans: Vec<BucketSpan>,
    /// Each positive bucket's count.
    pub positive_counts: Vec<f64>,
    /// Each negative bucket's count.
    pub negative_counts: Vec<f64>,
    /// Upper bounds of the buckets of [`SCHEMA_CUSTOM`], rising, without infinity.
    pub custom_bounds: Arc<[f64]>,
}

impl From<&Histogram> for FloatHistogram {
    fn from(integer: &Histogram) -> Self {
        Self {
            reset_hint: integer.reset_hint,
            schema: integer.schema,
            zero_threshold: integer.zero_threshold,
            zero_count: integer.zero_count as f64,
            count: integer.count as f64,
            sum: integer.sum,
            positive_spans: integer.positive_spans.clone(),
            negative_spans: integer.negative_spans.clone(),
            positive_counts: counts(&integer.positive_deltas),
            negative_counts: counts(&integer.negative_deltas),
            custom_bounds: Arc::clone(&integer.custom_bounds),
        }
    }
}

/// Counts from the differences between neighbours.
fn counts(deltas: &[i64]) -> Vec<f64> {
    let running = deltas.iter().scan(0i64, |count, delta| {
        *count = count.wrapping_add(*delta);
        Some(*count as f64)
    });
    running.collect()
}
