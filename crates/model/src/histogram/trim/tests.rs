//! Trimming by hand. Prometheus' own cases run with the other `.test` files.

use super::*;
use crate::histogram::test_histograms::{any_histogram, custom, exponential, span};
use proptest::prelude::*;

/// Count, sum and zero count, then the positive and negative buckets.
fn left(histogram: &FloatHistogram, bound: f64, upper: bool) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let trimmed = histogram.trim(bound, upper);
    assert!(trimmed.validate().is_ok());
    (vec![trimmed.count, trimmed.sum, trimmed.zero_count], trimmed.positive_counts, trimmed.negative_counts)
}

#[test]
fn custom_buckets_are_cut_linearly() {
    let histogram = FloatHistogram { sum: 172.5, ..custom(&[5.0, 10.0, 20.0], &[span(0, 4)], &[2.0, 4.0, 10.0, 1.0]) };
    for (bound, upper, totals, counts) in [
        (10.0, true, [6.0, 2.0 * 2.5 + 4.0 * 7.5, 0.0], &[2.0, 4.0][..]),
        (10.0, false, [11.0, 10.0 * 15.0 + 20.0, 0.0], &[10.0, 1.0]),
        (12.0, true, [8.0, 2.0 * 2.5 + 4.0 * 7.5 + 2.0 * 11.0, 0.0], &[2.0, 4.0, 2.0]),
        (12.0, false, [9.0, 8.0 * 16.0 + 20.0, 0.0], &[8.0, 1.0]),
        // The first bucket is taken to begin at zero, the last is there as a whole or not at all.
        (2.0, true, [0.8, 0.8, 0.0], &[0.8]),
        (2.0, false, [16.2, 1.2 * 3.5 + 4.0 * 7.5 + 10.0 * 15.0 + 20.0, 0.0], &[1.2, 4.0, 10.0, 1.0]),
        (-1.0, true, [0.0, 0.0, 0.0], &[]),
        (100.0, true, [16.0, 2.0 * 2.5 + 4.0 * 7.5 + 10.0 * 15.0, 0.0], &[2.0, 4.0, 10.0]),
        (100.0, false, [1.0, 100.0, 0.0], &[1.0]),
        // Nothing is taken away: everything stays.
        (f64::INFINITY, true, [17.0, 172.5, 0.0], &[2.0, 4.0, 10.0, 1.0]),
        (f64::NEG_INFINITY, false, [17.0, 172.5, 0.0], &[2.0, 4.0, 10.0, 1.0]),
        (f64::INFINITY, false, [0.0, 0.0, 0.0], &[]),
    ] {
        let (found, positive, _) = left(&histogram, bound, upper);
        assert_eq!((found.as_slice(), positive.as_slice()), (&totals[..], counts), "{bound} {upper}");
    }
    let below_zero = custom(&[-5.0], &[span(0, 2)], &[3.0, 1.0]);
    assert_eq!(left(&below_zero, -7.0, true).0, [3.0, -21.0, 0.0]);
    assert_eq!(left(&below_zero, -7.0, false).0, [1.0, -5.0, 0.0]);
}

#[test]
fn exponential_buckets_are_cut_on_a_logarithmic_scale() {
    let root = |value: f64| value.sqrt();
    let histogram = FloatHistogram {
        sum: 1.0,
        count: 18.0,
        negative_spans: vec![span(2, 1)],
        negative_counts: vec![8.0],                   // [-4, -2)
        ..exponential(0, &[span(1, 2)], &[4.0, 6.0])  // (1, 2], (2, 4]
    };
    let close = |found: &[f64], expected: &[f64]| {
        found.len() == expected.len() && found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-12)
    };
    for (bound, upper, totals, positive, negative) in [
        (root(2.0), true, [10.0, -8.0 * root(8.0) + 2.0 * root(root(2.0)), 0.0], &[2.0][..], &[8.0][..]),
        (root(8.0), false, [3.0, 3.0 * root(4.0 * root(8.0)), 0.0], &[3.0], &[]),
        (-root(8.0), true, [4.0, -4.0 * root(4.0 * root(8.0)), 0.0], &[], &[4.0]),
        (-4.0 / 2f64.powf(0.25), true, [2.0, -2.0 * root(16.0 / 2f64.powf(0.25)), 0.0], &[], &[2.0]),
        (0.0, false, [10.0, 4.0 * root(2.0) + 6.0 * root(8.0), 0.0], &[4.0, 6.0], &[]),
    ] {
        let found = left(&histogram, bound, upper);
        assert!(
            close(&found.0, &totals) && close(&found.1, positive) && close(&found.2, negative),
            "{bound}: {found:?}"
        );
    }
}

#[test]
fn the_zero_bucket_reaches_to_zero_if_there_are_buckets_on_one_side_only() {
    let zero = FloatHistogram { zero_threshold: 0.5, zero_count: 4.0, count: 4.0, sum: 9.0, ..Default::default() };
    assert_eq!(left(&zero, 0.25, true).0, [3.0, 3.0 * -0.125, 3.0]);
    assert_eq!(left(&zero, 0.25, false).0, [1.0, 0.375, 1.0]);
    assert_eq!(left(&zero, 0.5, true).0, [4.0, 9.0, 4.0]);
    assert_eq!(left(&zero, -0.5, true).0, [0.0, 0.0, 0.0]);
    let positive = FloatHistogram { positive_spans: vec![span(0, 1)], positive_counts: vec![2.0], ..zero.clone() };
    assert_eq!(left(&positive, 0.25, true).0, [2.0, 2.0 * 0.125, 2.0]);
    assert_eq!(left(&positive, 0.0, true).0, [0.0, 0.0, 0.0]);
    let negative = FloatHistogram { negative_spans: vec![span(0, 1)], negative_counts: vec![2.0], ..zero };
    assert_eq!(left(&negative, -0.25, false).0, [2.0, 2.0 * -0.125, 2.0]);
    assert_eq!(left(&negative, 0.0, false).0, [0.0, 0.0, 0.0]);
}

#[test]
fn a_bound_that_is_no_number_leaves_nothing_certain() {
    let histogram = FloatHistogram { zero_count: 1.0, zero_threshold: 0.1, ..exponential(0, &[span(0, 1)], &[3.0]) };
    let trimmed = histogram.trim(f64::NAN, true);
    assert!(trimmed.count.is_nan() && trimmed.positive_counts.is_empty());
}

proptest! {
    /// What is cut off on one side is what is left on the other.
    #[test]
    fn both_parts_make_the_whole(histogram in any_histogram(), bound in -70.0..70.0f64) {
        let [below, above] = [true, false].map(|upper| histogram.trim(bound, upper));
        let parts = below.count + above.count;
        prop_assert!((parts - histogram.count).abs() < 1e-9 * histogram.count.max(1.0), "{} of {}", parts, histogram.count);
        prop_assert!(below.count >= 0.0 && above.count >= 0.0);
        prop_assert!(above.buckets().filter(|bucket| bucket.count > 0.0).all(|bucket| bucket.upper >= bound));
        prop_assert!(below.buckets().filter(|bucket| bucket.count > 0.0).all(|bucket| bucket.lower <= bound));
    }
}
