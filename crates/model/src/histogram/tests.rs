//! What holds for histograms that no validation has seen.

use super::test_histograms::hostile_histogram;
use super::*;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Nothing panics, hangs, or makes more buckets than there were.
    #[test]
    fn hostile_histograms_do_no_harm(left in hostile_histogram(), right in hostile_histogram(), bound in any::<f64>()) {
        let buckets = |histogram: &FloatHistogram| histogram.positive_counts.len() + histogram.negative_counts.len();
        let buckets_max = buckets(&left) + buckets(&right);
        for mut changed in [left.clone(), right.clone()] {
            let _ = (changed.validate(), changed.to_string(), changed.size_bytes(), changed.same(&right));
            prop_assert!(changed.buckets().count() <= buckets(&changed) + 1);
            prop_assert!(changed.buckets().rev().count() <= buckets(&changed) + 1);
            changed.reduce_resolution(-4);
            changed.compact(3);
            prop_assert!(buckets(&changed) <= 4 * buckets_max);
        }
        let _ = (left.is_reset_after(&right), left.trim(bound, true), left.trim(bound, false));
        let (mut sum, mut difference) = (left.clone(), left.clone());
        let _ = (sum.add(&right), difference.sub(&right));
        let (mut running, mut mean) = (HistogramSum::new(&left), HistogramMean::new(&left));
        for _ in 0..2 {
            let _ = (running.add(&right), mean.add(&right));
        }
        for result in [sum, difference, running.total(), mean.mean()] {
            prop_assert!(buckets(&result) <= 2 * buckets_max);
        }
    }
}
