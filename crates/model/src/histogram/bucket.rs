//! The buckets of a float histogram with their bounds, from either end: what quantiles, fractions and JSON are made of.

use super::side::Cells;
use super::{BucketSpan, FloatHistogram, SCHEMA_CUSTOM, schema};

/// A bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket<Count = f64> {
    /// The lower bound; minus infinity for the first custom bucket.
    pub lower: f64,
    /// The upper bound; infinity for the last custom bucket and for the one of infinite observations.
    pub upper: f64,
    /// Whether the lower bound belongs to it.
    pub lower_inclusive: bool,
    /// Whether the upper bound belongs to it.
    pub upper_inclusive: bool,
    /// The observations in it.
    pub count: Count,
    /// Its index in its schema, counted on its side; 0 for the zero bucket.
    pub index: i32,
}

impl Bucket {
    /// How much of a finite bucket's width lies below `value`, which lies within it: on a logarithmic scale, or on a
    /// linear one, as for custom buckets and the zero bucket.
    pub fn fraction_below(&self, value: f64, linear: bool) -> f64 {
        if linear {
            return (value - self.lower) / (self.upper - self.lower);
        }
        let [lower, upper, at] = [self.lower, self.upper, value].map(|bound| bound.abs().log2());
        if value > 0.0 { (at - lower) / (upper - lower) } else { 1.0 - (at - upper) / (lower - upper) }
    }
}

impl FloatHistogram {
    /// All buckets that exist, empty ones too, by rising bounds: the negative ones, the zero bucket unless it is empty, the
    /// positive ones. A bucket that the zero bucket overlaps begins or ends at the zero threshold.
    ///
    /// `rev()` walks down.
    pub fn buckets(&self) -> impl DoubleEndedIterator<Item = Bucket> + Clone + '_ {
        let threshold = self.zero_threshold;
        let beside_zero = move |mut bucket: Bucket| {
            if bucket.lower > 0.0 && bucket.lower < threshold {
                bucket.lower = threshold;
            }
            if bucket.upper < 0.0 && bucket.upper > -threshold {
                bucket.upper = -threshold;
            }
            bucket
        };
        let negative = self.negative_buckets().rev().map(beside_zero);
        let zero = self.zero_bucket().filter(|bucket| bucket.count > 0.0);
        negative.chain(zero).chain(self.positive_buckets().map(beside_zero))
    }

    /// The positive buckets by rising index, that is away from zero.
    pub fn positive_buckets(&self) -> impl DoubleEndedIterator<Item = Bucket> + Clone + '_ {
        positive(self.schema, &self.positive_spans, &self.positive_counts, &self.custom_bounds)
    }

    /// The negative buckets by rising index, that is away from zero: their bounds fall.
    pub fn negative_buckets(&self) -> impl DoubleEndedIterator<Item = Bucket> + Clone + '_ {
        negative(self.schema, &self.negative_spans, &self.negative_counts)
    }

    /// The zero bucket, even if it is empty; None with custom bounds.
    pub fn zero_bucket(&self) -> Option<Bucket> {
        zero(self.schema, self.zero_threshold, self.zero_count)
    }
}

/// Positive buckets by rising index.
pub(super) fn positive<'a, C: Copy>(
    schema: i32,
    spans: &'a [BucketSpan],
    counts: &'a [C],
    custom_bounds: &'a [f64],
) -> impl DoubleEndedIterator<Item = Bucket<C>> + Clone + 'a {
    let bound = move |index| schema::bound(index, schema, custom_bounds);
    Cells::new(spans, counts).map(move |(index, count)| Bucket {
        lower: bound(index - 1),
        upper: bound(index),
        lower_inclusive: schema == SCHEMA_CUSTOM && index == 0,
        upper_inclusive: true,
        count,
        index: index as i32,
    })
}

/// Negative buckets by rising index.
pub(super) fn negative<'a, C: Copy>(
    schema: i32,
    spans: &'a [BucketSpan],
    counts: &'a [C],
) -> impl DoubleEndedIterator<Item = Bucket<C>> + Clone + 'a {
    let bound = move |index| -schema::bound(index, schema, &[]);
    Cells::new(spans, counts).map(move |(index, count)| Bucket {
        lower: bound(index),
        upper: bound(index - 1),
        lower_inclusive: true,
        upper_inclusive: false,
        count,
        index: index as i32,
    })
}

/// The zero bucket; None with custom bounds.
pub(super) fn zero<C>(schema: i32, threshold: f64, count: C) -> Option<Bucket<C>> {
    (schema != SCHEMA_CUSTOM).then_some(Bucket {
        lower: -threshold,
        upper: threshold,
        lower_inclusive: true,
        upper_inclusive: true,
        count,
        index: 0,
    })
}
