//! Sums and means by hand, and that they are as exact as compensation makes them.

use super::*;
use crate::histogram::test_histograms::{any_histogram, custom, exponential, span};
use proptest::prelude::*;

fn sum(histograms: &[FloatHistogram]) -> FloatHistogram {
    let mut sum = HistogramSum::new(&histograms[0]);
    histograms[1..].iter().for_each(|histogram| assert!(sum.add(histogram).is_ok()));
    sum.total()
}

fn mean(histograms: &[FloatHistogram]) -> FloatHistogram {
    let mut mean = HistogramMean::new(&histograms[0]);
    histograms[1..].iter().for_each(|histogram| assert!(mean.add(histogram).is_ok()));
    mean.mean()
}

/// A histogram that holds `value` wherever it can.
fn filled(value: f64) -> FloatHistogram {
    FloatHistogram {
        zero_count: value,
        count: value,
        sum: value,
        negative_spans: vec![span(2, 1)],
        negative_counts: vec![value],
        ..exponential(0, &[span(0, 2)], &[value, value])
    }
}

fn values(histogram: &FloatHistogram) -> Vec<f64> {
    let totals = [histogram.zero_count, histogram.count, histogram.sum];
    [&totals[..], &histogram.positive_counts, &histogram.negative_counts].concat()
}

#[test]
fn sums_keep_what_rounding_loses() {
    let total = sum(&[1.0, 1e100, 1.0, -1e100].map(filled));
    assert_eq!(values(&total), [2.0; 6]);
    assert_eq!(values(&sum(&[filled(0.1); 1])), [0.1; 6]);
    assert_eq!(values(&mean(&[1.0, 1e100, 1.0, -1e100].map(filled))), [0.5; 6]);
    assert!(values(&sum(&[filled(-0.0)])).iter().all(|value| value.is_sign_negative()));
}

#[test]
fn what_is_lost_follows_its_bucket() {
    // The rest of 1e100 + 1 goes with its bucket: into the next coarser one, into common bounds, into the zero bucket.
    let fine = |first, second| exponential(1, &[span(1, 2)], &[first, second]);
    let coarse = exponential(0, &[span(1, 1)], &[-1e100]);
    assert_eq!(sum(&[fine(1e100, 0.0), fine(1.0, 2.0), coarse.clone()]).positive_counts, [3.0]);
    let wide = FloatHistogram { zero_threshold: 2.0, zero_count: -1e100, ..exponential(1, &[], &[]) };
    let total = sum(&[fine(1e100, 0.0), fine(1.0, 2.0), wide]);
    assert_eq!((total.zero_count, total.zero_threshold), (3.0, 2.0));
    assert!(total.positive_counts.is_empty());
    let bounded = |first, second| custom(&[1.0, 2.0], &[span(0, 2)], &[first, second]);
    let common = custom(&[2.0], &[span(0, 1)], &[-1e100]);
    assert_eq!(sum(&[bounded(1e100, 0.0), bounded(1.0, 2.0), common]).positive_counts, [3.0]);
}

#[test]
fn means_do_not_overflow() {
    let half = f64::MAX / 2.0;
    for (numbers, expected) in [
        (vec![f64::MAX, f64::MAX], f64::MAX),
        (vec![f64::MAX; 5], f64::MAX),
        (vec![half, half, f64::MAX, 0.0], half),
        (vec![1.0, 2.0, 6.0], 3.0),
        (vec![f64::INFINITY, 1.0], f64::INFINITY),
    ] {
        let histograms: Vec<_> = numbers.iter().map(|number| filled(*number)).collect();
        for value in values(&mean(&histograms)) {
            assert!(value == expected || (value / expected - 1.0).abs() < 1e-15, "{numbers:?}: {value:e}");
        }
    }
    let endless = [f64::NEG_INFINITY, f64::INFINITY].map(filled);
    assert!(values(&mean(&endless)).iter().all(|value| value.is_nan()));
    assert!(sum(&[f64::MAX, f64::MAX].map(filled)).sum.is_infinite());
}

/// The way of Prometheus: a copy for each addition, and a look whether it overflows.
#[test]
fn a_mean_that_fears_to_overflow_is_the_same() {
    let histograms: Vec<_> = (1..40).map(|at| filled(1.0 / f64::from(at))).collect();
    let mut careful = HistogramMean::new(&histograms[0]);
    careful.magnitude = f64::MAX;
    histograms[1..].iter().for_each(|histogram| assert!(careful.add(histogram).is_ok()));
    assert!(!careful.incremental);
    assert!(careful.mean().same(&mean(&histograms)));
}

#[test]
fn findings_are_about_all_of_them() {
    use CounterResetHint::{Gauge, NotReset, Reset, Unknown};
    let hinted = |reset_hint| FloatHistogram { reset_hint, ..Default::default() };
    for (hints, conflict) in [
        (&[Reset, Unknown, NotReset][..], true),
        (&[NotReset, Gauge, Reset], true),
        (&[Reset, Reset, Unknown, Gauge], false),
        (&[NotReset], false),
    ] {
        let (mut sum, mut mean) = (HistogramSum::new(&hinted(hints[0])), HistogramMean::new(&hinted(hints[0])));
        for hint in &hints[1..] {
            assert!(sum.add(&hinted(*hint)).is_ok() && mean.add(&hinted(*hint)).is_ok());
        }
        assert_eq!(sum.findings().resets_conflict, conflict, "{hints:?}");
        assert_eq!(mean.findings(), sum.findings());
    }
    let mut mean = HistogramMean::new(&custom(&[1.0], &[span(0, 1)], &[1.0]));
    assert_eq!(mean.add(&exponential(0, &[], &[])), Err(IncompatibleSchemas));
    assert!(mean.add(&custom(&[2.0], &[], &[])).is_ok_and(|combined| combined.bounds_reconciled));
    assert!(mean.add(&custom(&[], &[], &[])).is_ok_and(|combined| !combined.bounds_reconciled));
    assert!(mean.findings().bounds_reconciled);
}

proptest! {
    /// Whole numbers are added without rounding, so the compensated sum is the plain one.
    #[test]
    fn sums_of_whole_numbers_are_exact(histograms in proptest::collection::vec(any_histogram(), 1..5)) {
        let mut plain = histograms[0].clone();
        for histogram in &histograms[1..] {
            prop_assert!(plain.add(histogram).is_ok());
        }
        let total = sum(&histograms);
        prop_assert_eq!(&total.positive_spans, &plain.positive_spans);
        prop_assert_eq!(&total.positive_counts, &plain.positive_counts);
        prop_assert_eq!(&total.negative_counts, &plain.negative_counts);
        prop_assert_eq!((total.zero_count, total.count), (plain.zero_count, plain.count));
        prop_assert_eq!(total.reset_hint, plain.reset_hint);
        // Which buckets a wider zero bucket takes in depends on the order, not how much there is in all.
        let reversed = sum(&histograms.iter().rev().cloned().collect::<Vec<_>>());
        let in_buckets = |histogram: &FloatHistogram| {
            let buckets = histogram.positive_counts.iter().chain(&histogram.negative_counts);
            histogram.zero_count + buckets.sum::<f64>()
        };
        prop_assert_eq!(in_buckets(&reversed), in_buckets(&total));
        prop_assert_eq!((reversed.count, reversed.schema), (total.count, total.schema));
    }
}
