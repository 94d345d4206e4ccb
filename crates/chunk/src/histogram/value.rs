//! A histogram of either kind, borrowed: what a chunk takes.

use super::spans::{are_apart, bucket_count, widen};
use longhaul_model::{BucketSpan, CounterResetHint, FloatHistogram, Histogram, Value, is_stale};
use std::sync::Arc;

/// A histogram for a chunk of its kind.
#[derive(Clone, Copy, Debug)]
pub enum HistogramRef<'a> {
    /// For an integer histogram chunk.
    Integer(&'a Histogram),
    /// For a float histogram chunk.
    Float(&'a FloatHistogram),
}

impl<'a> HistogramRef<'a> {
    /// The histogram that `value` is; none if it is a float.
    pub fn of(value: &'a Value) -> Option<Self> {
        match value {
            Value::Float(_) => None,
            Value::Histogram(histogram) => Some(Self::Integer(histogram)),
            Value::FloatHistogram(histogram) => Some(Self::Float(histogram)),
        }
    }

    pub(super) fn is_float(self) -> bool {
        matches!(self, Self::Float(_))
    }

    pub(super) fn is_stale(self) -> bool {
        is_stale(match self {
            Self::Integer(it) => it.sum,
            Self::Float(it) => it.sum,
        })
    }

    pub(super) fn is_gauge(self) -> bool {
        self.reset_hint() == CounterResetHint::Gauge
    }

    pub(super) fn reset_hint(self) -> CounterResetHint {
        match self {
            Self::Integer(it) => it.reset_hint,
            Self::Float(it) => it.reset_hint,
        }
    }

    pub(super) fn schema(self) -> i32 {
        match self {
            Self::Integer(it) => it.schema,
            Self::Float(it) => it.schema,
        }
    }

    pub(super) fn zero_threshold(self) -> f64 {
        match self {
            Self::Integer(it) => it.zero_threshold,
            Self::Float(it) => it.zero_threshold,
        }
    }

    pub(super) fn custom_bounds(self) -> &'a Arc<[f64]> {
        match self {
            Self::Integer(it) => &it.custom_bounds,
            Self::Float(it) => &it.custom_bounds,
        }
    }

    /// Positive and negative spans.
    pub(super) fn spans(self) -> [&'a [BucketSpan]; 2] {
        match self {
            Self::Integer(it) => [&it.positive_spans, &it.negative_spans],
            Self::Float(it) => [&it.positive_spans, &it.negative_spans],
        }
    }

    /// # Panics
    /// If the spans of a side do not name as many buckets as it has, or overlap; those of a stale marker do not matter.
    pub(super) fn assert_laid_out(self) {
        if self.is_stale() {
            return;
        }
        let buckets = match self {
            Self::Integer(it) => [it.positive_deltas.len(), it.negative_deltas.len()],
            Self::Float(it) => [it.positive_counts.len(), it.negative_counts.len()],
        };
        for (spans, buckets) in self.spans().into_iter().zip(buckets) {
            assert!(are_apart(spans), "the spans of a histogram overlap");
            assert!(bucket_count(spans) == buckets as u64, "the spans of a histogram do not fit its buckets");
        }
    }

    /// Hands on the same histogram with the buckets of other spans, which name all that it has.
    pub(super) fn widened<R>(
        self,
        positive_spans: &[BucketSpan],
        negative_spans: &[BucketSpan],
        then: impl FnOnce(HistogramRef<'_>) -> R,
    ) -> R {
        match self {
            Self::Integer(it) => then(HistogramRef::Integer(&Histogram {
                positive_deltas: widen_deltas(&it.positive_deltas, &it.positive_spans, positive_spans),
                negative_deltas: widen_deltas(&it.negative_deltas, &it.negative_spans, negative_spans),
                positive_spans: positive_spans.to_vec(),
                negative_spans: negative_spans.to_vec(),
                custom_bounds: Arc::clone(&it.custom_bounds),
                ..*it
            })),
            Self::Float(it) => then(HistogramRef::Float(&FloatHistogram {
                positive_counts: widen(&it.positive_counts, &it.positive_spans, positive_spans),
                negative_counts: widen(&it.negative_counts, &it.negative_spans, negative_spans),
                positive_spans: positive_spans.to_vec(),
                negative_spans: negative_spans.to_vec(),
                custom_bounds: Arc::clone(&it.custom_bounds),
                ..*it
            })),
        }
    }
}

impl<'a> From<&'a Histogram> for HistogramRef<'a> {
    fn from(histogram: &'a Histogram) -> Self {
        Self::Integer(histogram)
    }
}

impl<'a> From<&'a FloatHistogram> for HistogramRef<'a> {
    fn from(histogram: &'a FloatHistogram) -> Self {
        Self::Float(histogram)
    }
}

/// Counts from the differences between neighbours.
pub(super) fn sums(deltas: &[i64]) -> impl Iterator<Item = i64> {
    let mut count = 0_i64;
    deltas.iter().map(move |delta| {
        count = count.wrapping_add(*delta);
        count
    })
}

fn widen_deltas(deltas: &[i64], from: &[BucketSpan], to: &[BucketSpan]) -> Vec<i64> {
    let counts: Vec<i64> = sums(deltas).collect();
    let mut before = 0_i64;
    let deltas =
        widen(&counts, from, to).into_iter().map(|count| count.wrapping_sub(std::mem::replace(&mut before, count)));
    deltas.collect()
}
