//! Figures of one native histogram: quantile, fraction, variance (Prometheus `promql/quantile.go` and
//! `promql/functions.go`).
//!
//! Observations lie evenly in a bucket with custom bounds and in the zero bucket; in an exponential one they lie as they
//! would if its parts at a finer resolution held equally many.

use crate::engine::annotations::Note;
use crate::functions::Func;
use longhaul_model::kahan::Sum;
use longhaul_model::{Bucket, FloatHistogram};

/// The function of a single histogram that `func` is, if it is one.
pub fn figure(func: Func) -> Option<fn(&FloatHistogram) -> f64> {
    Some(match func {
        Func::HistogramCount => |histogram| histogram.count,
        Func::HistogramSum => |histogram| histogram.sum,
        Func::HistogramAvg => |histogram| histogram.sum / histogram.count,
        Func::HistogramStdvar => variance,
        Func::HistogramStddev => |histogram| variance(histogram).sqrt(),
        _ => return None,
    })
}

/// What observations of NaN do to a figure: they are counted, but lie in no bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NanObservations {
    /// The quantile is one of them.
    Answer,
    /// The quantile is higher than it would be without them.
    Skew,
    /// The fractions do not add up to one.
    Missing,
}

impl NanObservations {
    /// What is to be said of it.
    pub fn note(self, metric: String) -> Note {
        match self {
            Self::Answer => Note::NanQuantile(metric),
            Self::Skew => Note::SkewedQuantile(metric),
            Self::Missing => Note::NanFraction(metric),
        }
    }
}

/// The quantile `q`.
///
/// It is looked for from the nearer end, so that rounding in the counts of far buckets matters little; with observations
/// of NaN always from below, for NaN counts as the largest. (Prometheus 3.14 then interpolates in the last bucket of all
/// instead of the one that it has found, which is a slip: here it is the one that was found.)
pub fn quantile(q: f64, histogram: &FloatHistogram) -> (f64, Option<NanObservations>) {
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    } else if q > 1.0 {
        return (f64::INFINITY, None);
    } else if histogram.count == 0.0 || q.is_nan() {
        return (f64::NAN, None);
    }
    let nan = histogram.sum.is_nan();
    let upwards = nan || q < 0.5;
    let rank = if upwards { q * histogram.count } else { (1.0 - q) * histogram.count };
    let mut buckets = histogram.buckets();
    let (mut bucket, mut count) = (NO_BUCKET, 0.0);
    while let Some(next) = if upwards { buckets.next() } else { buckets.next_back() } {
        bucket = next;
        count += bucket.count;
        if bucket.count != 0.0 && count >= rank {
            break;
        }
    }
    let custom = histogram.uses_custom_bounds();
    if custom && bucket.lower == f64::NEG_INFINITY {
        if bucket.upper <= 0.0 {
            return (bucket.upper, None);
        }
        bucket.lower = 0.0;
    } else if custom && bucket.upper == f64::INFINITY {
        return (bucket.lower, None);
    } else if !custom && bucket.lower < 0.0 && bucket.upper > 0.0 {
        bound_by_zero(&mut bucket, histogram);
    }
    count = if count > histogram.count { histogram.count } else { count };
    if count < rank {
        // All buckets together do not reach the rank. Without NaN that is rounding.
        return if nan { (f64::NAN, Some(NanObservations::Answer)) } else { (bucket.upper, None) };
    }
    let within = if upwards { rank - (count - bucket.count) } else { count - rank };
    let found = bucket;
    let skewed = nan && buckets.fold(count, |count, bucket| count + bucket.count) < histogram.count;
    let value = interpolate(&found, within / found.count, custom);
    (value, skewed.then_some(NanObservations::Skew))
}

/// What stands for a bucket where there is none at all.
const NO_BUCKET: Bucket =
    Bucket { lower: 0.0, upper: 0.0, lower_inclusive: false, upper_inclusive: false, count: 0.0, index: 0 };

/// A zero bucket ends at zero on the side on which the histogram has nothing.
fn bound_by_zero(bucket: &mut Bucket, histogram: &FloatHistogram) {
    match (histogram.negative_counts.is_empty(), histogram.positive_counts.is_empty()) {
        (true, false) => bucket.lower = 0.0,
        (false, true) => bucket.upper = 0.0,
        _ => {}
    }
}

/// The value below which the `fraction` of a bucket's observations lies.
fn interpolate(bucket: &Bucket, fraction: f64, linear: bool) -> f64 {
    if linear || (bucket.lower <= 0.0 && bucket.upper >= 0.0) {
        return bucket.lower + (bucket.upper - bucket.lower) * fraction;
    }
    let (lower, upper) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
    if bucket.lower > 0.0 {
        (lower + (upper - lower) * fraction).exp2()
    } else {
        -(upper + (lower - upper) * (1.0 - fraction)).exp2()
    }
}

/// The share of observations between `lower` and `upper`.
pub fn fraction(lower: f64, upper: f64, histogram: &FloatHistogram) -> (f64, Option<NanObservations>) {
    if histogram.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return (f64::NAN, None);
    } else if lower >= upper {
        return (0.0, None);
    }
    let below = [lower, upper].map(|value| rank_of(value, histogram));
    let (mut count, mut missing) = (histogram.count, None);
    if histogram.sum.is_nan() {
        // Only what lies in buckets counts, if NaN was observed.
        count = histogram.buckets().map(|bucket| bucket.count).fold(0.0, |sum, count| sum + count);
        missing = (count < histogram.count).then_some(NanObservations::Missing);
    }
    let [below_lower, below_upper] = below.map(|rank| match rank {
        Some(rank) if rank > count => count,
        Some(rank) => rank,
        None => count,
    });
    ((below_upper - below_lower) / histogram.count, missing)
}

/// How many observations lie below `value`. None: all buckets do.
fn rank_of(value: f64, histogram: &FloatHistogram) -> Option<f64> {
    let custom = histogram.uses_custom_bounds();
    let mut rank = 0.0;
    for mut bucket in histogram.buckets() {
        let zero = bucket.lower <= 0.0 && bucket.upper >= 0.0;
        if zero {
            bound_by_zero(&mut bucket, histogram);
        }
        if bucket.lower >= value {
            return Some(rank);
        }
        if bucket.upper > value {
            // Nothing can be said of where observations lie in a bucket without a lower bound: all count.
            let endless = (custom || zero) && bucket.lower == f64::NEG_INFINITY;
            return Some(match endless {
                true => bucket.count,
                false => rank + bucket.count * bucket.fraction_below(value, custom || zero),
            });
        }
        rank += bucket.count;
    }
    None
}

/// The variance of the observations, each taken for the middle of its bucket.
pub fn variance(histogram: &FloatHistogram) -> f64 {
    let mean = histogram.sum / histogram.count;
    let mut squares = Sum { sum: 0.0, lost: 0.0 };
    for bucket in histogram.buckets().filter(|bucket| bucket.count != 0.0) {
        let middle = if histogram.uses_custom_bounds() {
            (bucket.upper + bucket.lower) / 2.0
        } else if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
            0.0
        } else {
            let middle = (bucket.upper * bucket.lower).sqrt();
            if bucket.upper < 0.0 { -middle } else { middle }
        };
        let distance = middle - mean;
        squares = squares.plus(bucket.count * distance * distance);
    }
    squares.total() / histogram.count
}

#[cfg(test)]
mod tests {
    use super::*;
    use longhaul_model::BucketSpan;
    use longhaul_model::histogram::SCHEMA_CUSTOM;
    use proptest::prelude::*;

    fn exponential(zero: f64, positive: &[f64], negative: &[f64]) -> FloatHistogram {
        let span = |counts: &[f64]| vec![BucketSpan { offset: 1, length: counts.len() as u32 }];
        FloatHistogram {
            zero_threshold: 0.5,
            zero_count: zero,
            count: zero + positive.iter().chain(negative).sum::<f64>(),
            sum: 1.0,
            positive_spans: span(positive),
            positive_counts: positive.to_vec(),
            negative_spans: span(negative),
            negative_counts: negative.to_vec(),
            ..FloatHistogram::default()
        }
    }

    fn custom(bounds: &[f64], counts: &[f64]) -> FloatHistogram {
        FloatHistogram {
            schema: SCHEMA_CUSTOM,
            count: counts.iter().sum(),
            sum: 1.0,
            positive_spans: vec![BucketSpan { offset: 0, length: counts.len() as u32 }],
            positive_counts: counts.to_vec(),
            custom_bounds: bounds.into(),
            ..FloatHistogram::default()
        }
    }

    fn of(q: f64, histogram: &FloatHistogram) -> f64 {
        quantile(q, histogram).0
    }

    #[test]
    fn quantiles_lie_where_observations_would() {
        // (1, 2] and (2, 4].
        let two = exponential(0.0, &[2.0, 2.0], &[]);
        assert_eq!((of(0.25, &two), of(0.75, &two)), (2f64.sqrt(), 8f64.sqrt()));
        assert_eq!((of(0.0, &two), of(0.5, &two), of(1.0, &two)), (1.0, 2.0, 4.0));
        assert_eq!(of(0.25, &exponential(0.0, &[], &[2.0, 2.0])), -(8f64.sqrt()));
        // The zero bucket is linear, and ends at zero where there is nothing on the other side.
        assert_eq!(of(0.25, &exponential(2.0, &[2.0], &[])), 0.25);
        assert_eq!(of(0.25, &exponential(2.0, &[], &[])), -0.25);
        let bounded = custom(&[1.0, 2.0], &[2.0, 2.0, 2.0]);
        assert_eq!((of(0.5, &bounded), of(1.0, &bounded)), (1.5, 2.0), "an endless bucket begins at its bound");
        assert_eq!(of(0.1, &custom(&[-1.0, 2.0], &[2.0, 2.0])), -1.0);
        assert_eq!((of(-0.1, &two), of(1.1, &two)), (f64::NEG_INFINITY, f64::INFINITY));
        assert!(of(f64::NAN, &two).is_nan() && of(0.5, &FloatHistogram::default()).is_nan());
    }

    #[test]
    fn observations_of_nan_count_as_the_largest() {
        let mut histogram = exponential(0.0, &[2.0, 2.0], &[]);
        (histogram.count, histogram.sum) = (8.0, f64::NAN);
        assert_eq!(quantile(0.125, &histogram), (2f64.sqrt(), Some(NanObservations::Skew)));
        let (value, found) = quantile(0.6, &histogram);
        assert!(value.is_nan() && found == Some(NanObservations::Answer));
        assert_eq!(fraction(f64::NEG_INFINITY, f64::INFINITY, &histogram), (0.5, Some(NanObservations::Missing)));
        // Infinities of both signs have no sum either, but lie in buckets.
        histogram.count = 4.0;
        assert_eq!(quantile(0.25, &histogram), (2f64.sqrt(), None));
    }

    #[test]
    fn variances_take_the_middle_of_each_bucket() {
        let bounded = FloatHistogram { sum: 6.0, ..custom(&[1.0, 3.0], &[0.0, 3.0]) };
        assert_eq!(variance(&bounded), 0.0);
        let spread = FloatHistogram { sum: 0.0, ..exponential(0.0, &[1.0], &[1.0]) };
        assert!((variance(&spread) - 2.0).abs() < 1e-12, "the middle of (1, 2] is the root of 2");
    }

    proptest! {
        /// The fraction below a quantile is the quantile's rank.
        #[test]
        fn fractions_undo_quantiles(
            zero in 0u32..5,
            positive in proptest::collection::vec(0u32..9, 0..6),
            negative in proptest::collection::vec(0u32..9, 0..6),
            q in 0.0..1.0f64,
        ) {
            let counts = |counts: &[u32]| counts.iter().copied().map(f64::from).collect::<Vec<_>>();
            let histogram = exponential(f64::from(zero), &counts(&positive), &counts(&negative));
            prop_assume!(histogram.count > 0.0);
            let (value, _) = quantile(q, &histogram);
            let (below, _) = fraction(f64::NEG_INFINITY, value, &histogram);
            // At the edge of empty buckets a quantile is any of their values.
            let (to, _) = fraction(f64::NEG_INFINITY, value.next_up(), &histogram);
            prop_assert!(below - 1e-9 <= q && q <= to + 1e-9, "{} lies below {}, which is the quantile {}", below, value, q);
        }
    }
}
