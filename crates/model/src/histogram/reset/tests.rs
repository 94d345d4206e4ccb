//! Resets by hand.

use super::*;
use crate::histogram::test_histograms::{any_histogram, custom, exponential, span};
use proptest::prelude::*;

fn counter(counts: &[f64]) -> FloatHistogram {
    exponential(0, &[span(0, counts.len() as u32)], counts)
}

#[test]
fn less_in_any_place_is_a_reset() {
    let before = FloatHistogram {
        zero_threshold: 0.01,
        zero_count: 3.0,
        negative_spans: vec![span(0, 1)],
        negative_counts: vec![5.0],
        sum: 9.0,
        ..counter(&[1.0, 2.0])
    };
    assert!(!before.is_reset_after(&before));
    for (change, reset) in [
        ((|now| now.count -= 1.0) as fn(&mut FloatHistogram), true),
        (|now| now.zero_count = 2.0, true),
        (|now| now.positive_counts[1] = 1.0, true),
        (|now| now.negative_counts[0] = 4.0, true),
        (|now| now.negative_spans[0].offset = 1, true),
        (|now| now.sum = 0.0, false),
        (|now| now.count += 1.0, false),
        (|now| now.schema = 1, true),
        (|now| now.zero_threshold = 0.001, true),
    ] {
        let mut now = before.clone();
        change(&mut now);
        assert_eq!(now.is_reset_after(&before), reset, "{now}");
        now.reset_hint = CounterResetHint::NotReset;
        assert!(!now.is_reset_after(&before));
        now.reset_hint = CounterResetHint::Gauge;
        assert_eq!(now.is_reset_after(&before), reset, "{now}");
        now.reset_hint = CounterResetHint::Reset;
        assert!(now.is_reset_after(&before));
    }
}

#[test]
fn empty_buckets_may_come_and_go() {
    let before = exponential(0, &[span(0, 2), span(3, 2)], &[0.0, 2.0, 0.0, 0.0]);
    let now = exponential(0, &[span(1, 1), span(8, 1)], &[2.0, 1.0]);
    assert!(!now.is_reset_after(&before));
    assert!(exponential(0, &[], &[]).is_reset_after(&FloatHistogram { count: 0.0, ..before.clone() }));
    assert!(FloatHistogram { count: 9.0, ..exponential(0, &[span(0, 1)], &[9.0]) }.is_reset_after(&before));
    assert!(!now.is_reset_after(&exponential(0, &[], &[])));
}

#[test]
fn getting_coarser_is_no_reset() {
    let before = exponential(1, &[span(1, 4)], &[1.0, 2.0, 3.0, 4.0]);
    assert!(!counter(&[0.0, 3.0, 7.0]).is_reset_after(&before));
    assert!(FloatHistogram { count: 99.0, ..counter(&[0.0, 3.0, 6.0]) }.is_reset_after(&before));
}

#[test]
fn a_wider_zero_bucket_is_no_reset_unless_it_cuts_a_bucket() {
    let before = FloatHistogram { zero_threshold: 0.5, zero_count: 1.0, ..counter(&[2.0, 4.0]) }; // (0.5, 1], (1, 2]
    let now = |zero_threshold, zero_count| FloatHistogram {
        zero_threshold,
        zero_count,
        count: 7.0,
        ..exponential(0, &[span(1, 1)], &[4.0])
    };
    assert!(!now(1.0, 3.0).is_reset_after(&before));
    assert!(now(1.0, 2.0).is_reset_after(&before));
    assert!(now(0.75, 3.0).is_reset_after(&before));
    assert!(now(1.5, 7.0).is_reset_after(&before));
    // Of a coarser resolution, which 1.0 is a bound of, and 2.0 is not: (1, 4].
    let before = FloatHistogram { zero_threshold: 0.5, ..counter(&[2.0, 4.0, 5.0]) };
    let now = |zero_threshold, zero_count, count| FloatHistogram {
        zero_threshold,
        zero_count,
        count: 11.0,
        ..exponential(-1, &[span(1, 1)], &[count])
    };
    assert!(!now(1.0, 2.0, 9.0).is_reset_after(&before));
    assert!(now(1.0, 2.0, 8.0).is_reset_after(&before));
    assert!(!now(2.0, 6.0, 5.0).is_reset_after(&before));
    assert!(now(2.0, 6.0, 4.0).is_reset_after(&before));
}

#[test]
fn custom_buckets_are_compared_by_common_bounds() {
    let before = custom(&[1.0, 2.0, 4.0], &[span(0, 4)], &[1.0, 2.0, 3.0, 4.0]);
    for (now, reset) in [
        (custom(&[1.0, 2.0, 4.0], &[span(0, 4)], &[1.0, 2.0, 3.0, 4.0]), false),
        (custom(&[1.0, 2.0, 4.0], &[span(0, 4)], &[1.0, 2.0, 2.0, 9.0]), true),
        (custom(&[1.0, 4.0], &[span(0, 3)], &[1.0, 5.0, 4.0]), false),
        (custom(&[1.0, 4.0], &[span(0, 3)], &[2.0, 4.0, 9.0]), true),
        (custom(&[2.0, 3.0, 4.0], &[span(0, 4)], &[3.0, 1.0, 2.0, 4.0]), false),
        (custom(&[2.0, 3.0, 4.0], &[span(0, 4)], &[3.0, 1.0, 1.0, 9.0]), true),
        (custom(&[], &[span(0, 1)], &[10.0]), false),
        (exponential(0, &[span(0, 1)], &[99.0]), true),
    ] {
        assert_eq!(now.is_reset_after(&before), reset, "{now}");
    }
    assert!(before.is_reset_after(&exponential(0, &[], &[])));
}

proptest! {
    #[test]
    fn counting_on_is_no_reset_and_losing_is(before in any_histogram(), more in any_histogram(), lost in any::<prop::sample::Index>()) {
        let mut now = before.clone();
        prop_assert!(now.add(&more).is_ok());
        now.reset_hint = CounterResetHint::Unknown;
        prop_assert!(!now.is_reset_after(&before));
        prop_assert!(!before.is_reset_after(&before) || before.reset_hint == CounterResetHint::Reset);
        let populated: Vec<usize> = (0..now.positive_counts.len()).filter(|at| now.positive_counts[*at] > 0.0).collect();
        if !populated.is_empty() {
            let mut less = now.clone();
            less.positive_counts[populated[lost.index(populated.len())]] -= 1.0;
            prop_assert!(less.is_reset_after(&now));
        }
    }
}
