//! Native histograms: the sample types beside floats. Integer histograms are what clients count, float histograms what
//! queries compute with; both lie in chunks and blocks (Prometheus `model/histogram`).
//!
//! The types are here; what is done with them lies in a file each. All of it takes any histogram without harm; what it
//! makes of one that [`FloatHistogram::validate`] refuses means nothing.
//!
//! Invariant of a valid histogram: the spans of a side name as many buckets as the side has, and no span but the first
//! begins before the end of the one before it.

mod arithmetic;
mod bucket;
mod compact;
mod equality;
mod integer;
mod reset;
mod schema;
mod side;
mod sum;
mod text;
mod trim;
mod validate;

#[cfg(test)]
mod test_histograms;
#[cfg(test)]
mod tests;

use crate::sample;
use std::sync::Arc;

pub use arithmetic::{Combined, IncompatibleSchemas};
pub use bucket::Bucket;
pub use integer::NotIntegral;
pub use schema::is_exponential;
pub use sum::{HistogramMean, HistogramSum};
pub use validate::HistogramError;

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

impl Histogram {
    /// Whether this is the marker that says that the series has ended.
    pub fn is_stale(&self) -> bool {
        sample::is_stale(self.sum)
    }

    /// Whether the buckets have listed bounds.
    pub fn uses_custom_bounds(&self) -> bool {
        self.schema == SCHEMA_CUSTOM
    }

    /// Whether this is a gauge.
    pub fn is_gauge(&self) -> bool {
        self.reset_hint == CounterResetHint::Gauge
    }
}

impl FloatHistogram {
    /// Whether this is the marker that says that the series has ended.
    pub fn is_stale(&self) -> bool {
        sample::is_stale(self.sum)
    }

    /// Whether the buckets have listed bounds.
    pub fn uses_custom_bounds(&self) -> bool {
        self.schema == SCHEMA_CUSTOM
    }

    /// Whether this is a gauge.
    pub fn is_gauge(&self) -> bool {
        self.reset_hint == CounterResetHint::Gauge
    }

    /// What this takes in memory, bytes, counted as Prometheus counts it: its statistics and limits take a histogram for
    /// as many samples as it has sixteen bytes.
    pub fn size_bytes(&self) -> usize {
        /// The fields that every histogram has.
        const FIXED: usize = 168;
        let spans = self.positive_spans.len() + self.negative_spans.len();
        let floats = self.positive_counts.len() + self.negative_counts.len() + self.custom_bounds.len();
        FIXED + spans * size_of::<BucketSpan>() + floats * size_of::<f64>()
    }
}
