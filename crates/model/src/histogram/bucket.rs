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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::test_histograms::{any_histogram, custom, exponential, span};
    use proptest::prelude::*;

    fn bounds(buckets: impl Iterator<Item = Bucket>) -> Vec<(f64, f64, f64, i32)> {
        buckets.map(|bucket| (bucket.lower, bucket.upper, bucket.count, bucket.index)).collect()
    }

    #[test]
    fn buckets_come_by_rising_bounds() {
        let histogram = FloatHistogram {
            zero_threshold: 0.3,
            zero_count: 9.0,
            negative_spans: vec![span(-1, 1), span(1, 1)],
            negative_counts: vec![4.0, 5.0],
            ..exponential(0, &[span(-2, 2), span(0, 0), span(2, 1)], &[1.0, 0.0, 3.0])
        };
        let expected = [
            (-2.0, -1.0, 5.0, 1),
            (-0.5, -0.3, 4.0, -1), // cut by the zero bucket
            (-0.3, 0.3, 9.0, 0),
            (0.3, 0.25, 1.0, -2), // within it
            (0.3, 0.5, 0.0, -1),
            (2.0, 4.0, 3.0, 2),
        ];
        assert_eq!(bounds(histogram.buckets()), expected);
        let downward: Vec<_> = expected.into_iter().rev().collect();
        assert_eq!(bounds(histogram.buckets().rev()), downward);
        assert_eq!(bounds(histogram.negative_buckets()), [(-0.5, -0.25, 4.0, -1), (-2.0, -1.0, 5.0, 1)]);
        assert_eq!(bounds(histogram.positive_buckets().rev())[2], (0.125, 0.25, 1.0, -2));
        let no_zero = FloatHistogram { zero_count: 0.0, ..histogram };
        assert_eq!(no_zero.buckets().count(), 5);
        assert!(no_zero.zero_bucket().is_some_and(|zero| zero.lower_inclusive && zero.upper_inclusive));
    }

    #[test]
    fn bounds_belong_to_the_bucket_nearer_to_zero() {
        let histogram = FloatHistogram {
            negative_spans: vec![span(0, 1)],
            negative_counts: vec![1.0],
            ..exponential(2, &[span(0, 1)], &[1.0])
        };
        let inclusive: Vec<_> =
            histogram.buckets().map(|bucket| (bucket.lower_inclusive, bucket.upper_inclusive)).collect();
        assert_eq!(inclusive, [(true, false), (false, true)]);
        let histogram = custom(&[1.0], &[span(0, 2)], &[1.0, 2.0]);
        assert_eq!(bounds(histogram.buckets()), [(f64::NEG_INFINITY, 1.0, 1.0, 0), (1.0, f64::INFINITY, 2.0, 1)]);
        let inclusive: Vec<_> =
            histogram.buckets().map(|bucket| (bucket.lower_inclusive, bucket.upper_inclusive)).collect();
        assert_eq!(inclusive, [(true, true), (false, true)]);
        assert!(histogram.zero_bucket().is_none());
    }

    #[test]
    fn fractions_are_linear_or_logarithmic() {
        let histogram = FloatHistogram {
            negative_spans: vec![span(2, 1)],
            negative_counts: vec![1.0],
            ..exponential(0, &[span(2, 1)], &[1.0])
        };
        let [below, above] =
            [histogram.negative_buckets().next(), histogram.positive_buckets().next()].map(Option::unwrap);
        assert_eq!(above.fraction_below(2.5, true), 0.25);
        assert!((above.fraction_below(8f64.sqrt(), false) - 0.5).abs() < 1e-15);
        assert_eq!(below.fraction_below(-2.5, true), 0.75);
        assert!((below.fraction_below(-2.0 * 2f64.powf(0.25), false) - 0.75).abs() < 1e-15);
    }

    proptest! {
        #[test]
        fn both_ends_meet(histogram in any_histogram(), turns in proptest::collection::vec(any::<bool>(), 0..40)) {
            let all: Vec<Bucket> = histogram.buckets().collect();
            let mut buckets = histogram.buckets();
            let (mut first, mut last) = (Vec::new(), Vec::new());
            for from_front in turns {
                if from_front { first.extend(buckets.next()) } else { last.extend(buckets.next_back()) }
            }
            first.extend(buckets);
            first.extend(last.into_iter().rev());
            prop_assert_eq!(first, all);
        }
    }
}
