//! Sums by hand, and what holds for any two histograms.

use super::*;
use crate::histogram::test_histograms::{any_histogram, custom, exponential, span};
use proptest::prelude::*;

fn sum(left: &FloatHistogram, right: &FloatHistogram) -> (FloatHistogram, Combined) {
    let mut sum = left.clone();
    let combined = sum.add(right).unwrap();
    (sum, combined)
}

fn difference(left: &FloatHistogram, right: &FloatHistogram) -> (FloatHistogram, Combined) {
    let mut difference = left.clone();
    let combined = difference.sub(right).unwrap();
    (difference, combined)
}

#[test]
fn equal_layouts_add_up_bucket_by_bucket() {
    let left = FloatHistogram {
        zero_threshold: 0.01,
        zero_count: 11.0,
        count: 30.0,
        sum: 2.345,
        negative_spans: vec![span(3, 2), span(3, 2)],
        negative_counts: vec![3.0, 1.0, 5.0, 6.0],
        ..exponential(0, &[span(-2, 2), span(1, 3)], &[1.0, 0.0, 3.0, 4.0, 7.0])
    };
    let (total, combined) = sum(&left, &left);
    assert_eq!(combined, Combined::default());
    assert_eq!((total.zero_count, total.count, total.sum), (22.0, 60.0, 4.69));
    assert_eq!(total.positive_counts, [2.0, 0.0, 6.0, 8.0, 14.0]);
    assert_eq!(total.negative_counts, [6.0, 2.0, 10.0, 12.0]);
    assert_eq!((&total.positive_spans, &total.negative_spans), (&left.positive_spans, &left.negative_spans));
    let (nothing, _) = difference(&left, &left);
    assert_eq!((nothing.zero_count, nothing.count, nothing.sum), (0.0, 0.0, 0.0));
    assert_eq!(nothing.positive_counts, [0.0; 5]);
}

#[test]
fn missing_buckets_are_put_in() {
    let left = exponential(0, &[span(0, 2), span(4, 1)], &[1.0, 2.0, 3.0]); // 0 1 6
    for (spans, counts, expected_spans, expected) in [
        (vec![span(-3, 1)], vec![9.0], vec![span(-3, 1), span(2, 2), span(4, 1)], vec![9.0, 1.0, 2.0, 3.0]),
        (vec![span(-1, 1)], vec![9.0], vec![span(-1, 3), span(4, 1)], vec![9.0, 1.0, 2.0, 3.0]),
        (vec![span(2, 4)], vec![9.0; 4], vec![span(0, 7)], vec![1.0, 2.0, 9.0, 9.0, 9.0, 9.0, 3.0]),
        (vec![span(3, 1)], vec![9.0], vec![span(0, 2), span(1, 1), span(2, 1)], vec![1.0, 2.0, 9.0, 3.0]),
        (vec![span(5, 1)], vec![9.0], vec![span(0, 2), span(3, 2)], vec![1.0, 2.0, 9.0, 3.0]),
        (vec![span(7, 2)], vec![9.0; 2], vec![span(0, 2), span(4, 3)], vec![1.0, 2.0, 3.0, 9.0, 9.0]),
        (
            vec![span(1, 1), span(8, 1)],
            vec![9.0; 2],
            vec![span(0, 2), span(4, 1), span(3, 1)],
            vec![1.0, 11.0, 3.0, 9.0],
        ),
        (vec![span(1, 0), span(5, 1)], vec![9.0], vec![span(0, 2), span(4, 1)], vec![1.0, 2.0, 12.0]),
    ] {
        let right = exponential(0, &spans, &counts);
        let (total, _) = sum(&left, &right);
        assert_eq!((total.positive_spans, total.positive_counts), (expected_spans, expected), "{spans:?}");
    }
    let (total, _) = sum(&exponential(0, &[], &[]), &left);
    assert_eq!((total.positive_spans, total.positive_counts), (left.positive_spans, left.positive_counts));
}

#[test]
fn the_coarser_resolution_wins() {
    // Schema 1: bucket 1 is (1, 1.41], 2 is (1.41, 2], 3 is (2, 2.83]. Schema 0: 1 is (1, 2], 2 is (2, 4].
    let fine = exponential(1, &[span(1, 3)], &[1.0, 2.0, 4.0]);
    let coarse = exponential(0, &[span(1, 1)], &[10.0]);
    for (left, right) in [(&fine, &coarse), (&coarse, &fine)] {
        let (total, _) = sum(left, right);
        assert_eq!(total.schema, 0);
        assert_eq!((total.positive_spans, total.positive_counts), (vec![span(1, 2)], vec![13.0, 4.0]));
    }
}

#[test]
fn the_wider_zero_bucket_takes_in_what_it_covers() {
    let narrow = FloatHistogram {
        zero_threshold: 0.01,
        zero_count: 1.0,
        count: 16.0,
        negative_spans: vec![span(-1, 1)],
        negative_counts: vec![5.0],
        ..exponential(0, &[span(-3, 3)], &[2.0, 3.0, 5.0]) // (1/16, 1/8], (1/8, 1/4], (1/4, 1/2]
    };
    // A quarter is a bound: the buckets beyond stay as they are.
    let wide = FloatHistogram { zero_threshold: 0.25, zero_count: 100.0, ..exponential(0, &[], &[]) };
    for (left, right) in [(&narrow, &wide), (&wide, &narrow)] {
        let (total, _) = sum(left, right);
        assert_eq!((total.zero_threshold, total.zero_count), (0.25, 106.0));
        assert_eq!((total.positive_spans, total.positive_counts), (vec![span(-1, 1)], vec![5.0]));
        assert_eq!((total.negative_spans, total.negative_counts), (vec![span(-1, 1)], vec![5.0]));
    }
    // Within a populated bucket: the zero bucket takes it in whole, and then both of that place.
    let wide = FloatHistogram { zero_threshold: 0.3, zero_count: 100.0, ..exponential(0, &[], &[]) };
    for (left, right) in [(&narrow, &wide), (&wide, &narrow)] {
        let (total, _) = sum(left, right);
        assert_eq!((total.zero_threshold, total.zero_count), (0.5, 116.0));
        assert!(total.positive_counts.is_empty() && total.negative_counts.is_empty());
    }
    // Within an empty one: as it is.
    let empty = FloatHistogram { negative_counts: vec![0.0], ..exponential(0, &[span(-1, 1)], &[0.0]) };
    let (total, _) = sum(&FloatHistogram { zero_threshold: 0.01, ..empty }, &wide);
    assert_eq!((total.zero_threshold, total.zero_count), (0.3, 100.0));
    let (rest, _) = difference(&narrow, &wide);
    assert_eq!((rest.zero_threshold, rest.zero_count), (0.5, -84.0));
}

#[test]
fn what_lies_in_both_zero_buckets_is_counted_once() {
    // Its buckets below the threshold are not looked at in what is added, as in Prometheus.
    let odd = FloatHistogram { zero_threshold: 1.0, ..exponential(0, &[span(0, 2)], &[3.0, 4.0]) };
    let (total, _) = sum(&odd, &odd);
    assert_eq!(total.positive_counts, [3.0, 8.0]);
}

#[test]
fn thresholds_that_are_no_numbers_end_the_search() {
    for threshold in [f64::NAN, f64::INFINITY, -1.0] {
        let odd = FloatHistogram { zero_threshold: threshold, ..exponential(0, &[span(0, 2)], &[3.0, 4.0]) };
        let plain = FloatHistogram { zero_threshold: 0.1, ..odd.clone() };
        sum(&odd, &plain);
        sum(&plain, &odd);
        let _ = odd.is_reset_after(&plain) || plain.is_reset_after(&odd);
    }
}

#[test]
fn custom_buckets_are_added_by_the_bounds_that_both_have() {
    let left = custom(&[0.0, 5.0, 10.0], &[span(0, 4)], &[1.0, 2.0, 3.0, 4.0]);
    let (total, combined) = sum(&left, &left);
    assert!(!combined.bounds_reconciled);
    assert_eq!(total.positive_counts, [2.0, 4.0, 6.0, 8.0]);

    let right = custom(&[0.0, 10.0, 15.0], &[span(0, 1), span(1, 2)], &[10.0, 20.0, 40.0]);
    let (total, combined) = sum(&left, &right);
    assert!(combined.bounds_reconciled);
    assert_eq!(*total.custom_bounds, [0.0, 10.0]);
    assert_eq!((total.positive_spans, total.positive_counts), (vec![span(0, 3)], vec![11.0, 5.0, 64.0]));
    let (rest, _) = difference(&left, &right);
    assert_eq!(rest.positive_counts, [-9.0, 5.0, -56.0]);

    let (total, combined) = sum(&left, &custom(&[7.0], &[span(1, 1)], &[1.0]));
    assert!(combined.bounds_reconciled && total.custom_bounds.is_empty());
    assert_eq!((total.positive_spans, total.positive_counts), (vec![span(0, 1)], vec![11.0]));
}

#[test]
fn exponential_and_custom_buckets_have_no_sum() {
    let mut exponential = exponential(0, &[span(0, 1)], &[1.0]);
    let before = exponential.clone();
    let mut custom = custom(&[1.0], &[span(0, 1)], &[1.0]);
    assert_eq!(exponential.add(&custom), Err(IncompatibleSchemas));
    assert_eq!(custom.sub(&exponential), Err(IncompatibleSchemas));
    assert!(exponential.same(&before));
}

#[test]
fn hints_combine() {
    use CounterResetHint::{Gauge, NotReset, Reset, Unknown};
    let all = [Unknown, Reset, NotReset, Gauge];
    let expected = [
        [Unknown, Unknown, Unknown, Gauge],
        [Unknown, Reset, Unknown, Gauge],
        [Unknown, Unknown, NotReset, Gauge],
        [Gauge; 4],
    ];
    for (left, expected) in all.into_iter().zip(expected) {
        for (right, expected) in all.into_iter().zip(expected) {
            let [left_side, right_side] =
                [left, right].map(|reset_hint| FloatHistogram { reset_hint, ..Default::default() });
            for (result, combined) in [sum(&left_side, &right_side), difference(&left_side, &right_side)] {
                assert_eq!(result.reset_hint, expected, "{left:?} and {right:?}");
                let conflict = left != right && [left, right].iter().all(|hint| [Reset, NotReset].contains(hint));
                assert_eq!(combined.resets_conflict, conflict, "{left:?} and {right:?}");
            }
        }
    }
}

#[test]
fn scaling_and_dividing() {
    let plain = FloatHistogram { zero_count: 2.0, count: 6.0, sum: 3.0, ..exponential(0, &[span(0, 1)], &[4.0]) };
    let mut scaled = plain.clone();
    scaled.scale(2.0);
    assert_eq!((scaled.zero_count, scaled.count, scaled.sum), (4.0, 12.0, 6.0));
    assert_eq!((scaled.positive_counts, scaled.reset_hint), (vec![8.0], CounterResetHint::Unknown));
    let mut negated = plain.clone();
    negated.scale(-1.0);
    assert_eq!((negated.sum, negated.reset_hint), (-3.0, CounterResetHint::Gauge));
    let mut divided = plain.clone();
    divided.divide(-2.0);
    assert_eq!((divided.sum, divided.positive_counts.as_slice()), (-1.5, &[-2.0][..]));
    assert_eq!(divided.reset_hint, CounterResetHint::Gauge);
    let mut endless = plain.clone();
    endless.divide(0.0);
    assert_eq!((endless.count, endless.sum, endless.zero_count), (f64::INFINITY, f64::INFINITY, f64::INFINITY));
    assert!(endless.positive_counts.is_empty() && endless.positive_spans.is_empty());
    assert_eq!(endless.reset_hint, CounterResetHint::Unknown);
}

#[test]
fn resolution_is_reduced_by_merging_buckets() {
    // Buckets -3..=1 and 5: of two each becomes one, the upper of which has an even index.
    let mut histogram = exponential(3, &[span(-3, 5), span(3, 1)], &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0]);
    histogram.reduce_resolution(2);
    assert_eq!(histogram.positive_spans, [span(-1, 3), span(1, 1)]);
    assert_eq!(histogram.positive_counts, [3.0, 12.0, 16.0, 32.0]);
    histogram.reduce_resolution(5);
    assert_eq!(histogram.schema, 2, "nothing gets finer");
    histogram.reduce_resolution(-4);
    assert_eq!((histogram.positive_spans, histogram.positive_counts), (vec![span(0, 2)], vec![15.0, 48.0]));
    let mut reserved = exponential(52, &[span(i32::MAX - 1, 1)], &[1.0]);
    reserved.reduce_resolution(8);
    assert_eq!(reserved.positive_spans, [span(1, 1)]);
    let mut bounds = custom(&[1.0], &[span(0, 1)], &[1.0]);
    bounds.reduce_resolution(-60);
    assert_eq!(bounds.schema, SCHEMA_CUSTOM);
}

/// The buckets by index, without empty ones, in a resolution.
fn populated(histogram: &FloatHistogram, schema: i32) -> Vec<(bool, i64, f64)> {
    let mut copy = histogram.clone();
    copy.reduce_resolution(schema);
    copy.compact(0);
    let positive = Cells::new(&copy.positive_spans, &copy.positive_counts).map(|(at, count)| (true, at, count));
    let negative = Cells::new(&copy.negative_spans, &copy.negative_counts).map(|(at, count)| (false, at, count));
    negative.chain(positive).collect()
}

fn in_buckets(histogram: &FloatHistogram) -> f64 {
    histogram.zero_count + histogram.positive_counts.iter().chain(&histogram.negative_counts).sum::<f64>()
}

proptest! {
    #[test]
    fn addition_commutes_and_keeps_every_observation(left in any_histogram(), right in any_histogram()) {
        let (forth, _) = sum(&left, &right);
        let (back, _) = sum(&right, &left);
        prop_assert_eq!(forth.schema, back.schema);
        prop_assert_eq!(forth.zero_threshold, back.zero_threshold);
        prop_assert_eq!(forth.zero_count, back.zero_count);
        prop_assert_eq!(populated(&forth, forth.schema), populated(&back, forth.schema));
        prop_assert_eq!(in_buckets(&forth), in_buckets(&left) + in_buckets(&right));
        prop_assert!(forth.validate().is_ok());
    }

    #[test]
    fn subtraction_undoes_addition(left in any_histogram(), right in any_histogram()) {
        let (total, _) = sum(&left, &right);
        let (mut rest, _) = difference(&total, &right);
        rest.compact(0);
        // What is left is the first one, as coarse as the two together.
        let nothing = FloatHistogram {
            schema: total.schema,
            zero_threshold: total.zero_threshold,
            ..Default::default()
        };
        let (mut expected, _) = sum(&left, &nothing);
        expected.compact(0);
        prop_assert_eq!(rest.zero_threshold, expected.zero_threshold);
        prop_assert_eq!(rest.zero_count, expected.zero_count);
        prop_assert_eq!(&rest.positive_spans, &expected.positive_spans);
        prop_assert_eq!(&rest.positive_counts, &expected.positive_counts);
        prop_assert_eq!(&rest.negative_counts, &expected.negative_counts);
    }

    #[test]
    fn resolution_keeps_every_observation_and_the_steps_do_not_matter(
        histogram in any_histogram(), first in -4..=8i32, second in -4..=8i32,
    ) {
        let mut at_once = histogram.clone();
        at_once.reduce_resolution(first.min(second));
        let mut stepwise = histogram.clone();
        stepwise.reduce_resolution(first.max(second));
        stepwise.reduce_resolution(first.min(second));
        prop_assert_eq!(&at_once.positive_spans, &stepwise.positive_spans);
        prop_assert_eq!(&at_once.positive_counts, &stepwise.positive_counts);
        prop_assert_eq!(&at_once.negative_counts, &stepwise.negative_counts);
        prop_assert_eq!(in_buckets(&at_once), in_buckets(&histogram));
        prop_assert!(at_once.validate().is_ok());
    }
}
