//! Histograms without buckets that nobody needs.

use super::FloatHistogram;
use super::side::Side;

impl FloatHistogram {
    /// Takes empty buckets out and lays the spans anew, with at most `empty_max` empty buckets in a row within a span.
    /// Two histograms with the same populated buckets have the same layout afterwards.
    ///
    /// Up to `empty_max` buckets come in for each one that is there, where spans are near each other.
    pub fn compact(&mut self, empty_max: usize) {
        Side::edit(&mut self.positive_spans, &mut self.positive_counts, |side| side.compact(empty_max));
        Side::edit(&mut self.negative_spans, &mut self.negative_counts, |side| side.compact(empty_max));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::BucketSpan;
    use crate::histogram::test_histograms::{any_histogram, exponential, span};
    use proptest::prelude::*;

    fn compacted(spans: &[BucketSpan], counts: &[f64], empty_max: usize) -> (Vec<BucketSpan>, Vec<f64>) {
        let mut histogram = exponential(0, spans, counts);
        histogram.compact(empty_max);
        (histogram.positive_spans, histogram.positive_counts)
    }

    #[test]
    fn empty_buckets_go() {
        for (spans, counts, empty_max, expected_spans, expected) in [
            // At the ends of a span, whatever may stay.
            (vec![span(-2, 4)], vec![0.0, 1.0, 2.0, 0.0], 9, vec![span(-1, 2)], vec![1.0, 2.0]),
            // In the middle if there are more than may stay.
            (vec![span(0, 4)], vec![1.0, 0.0, 0.0, 2.0], 1, vec![span(0, 1), span(2, 1)], vec![1.0, 2.0]),
            (vec![span(0, 4)], vec![1.0, 0.0, 0.0, 2.0], 2, vec![span(0, 4)], vec![1.0, 0.0, 0.0, 2.0]),
            // Gaps are filled up to as many.
            (
                vec![span(0, 1), span(2, 1), span(3, 1)],
                vec![1.0, 2.0, 3.0],
                2,
                vec![span(0, 4), span(3, 1)],
                vec![1.0, 0.0, 0.0, 2.0, 3.0],
            ),
            // Spans that touch become one, those without buckets go.
            (
                vec![span(1, 1), span(0, 1), span(2, 0), span(1, 1)],
                vec![1.0, 2.0, 3.0],
                0,
                vec![span(1, 2), span(3, 1)],
                vec![1.0, 2.0, 3.0],
            ),
            // A whole span may go, and all.
            (
                vec![span(0, 1), span(1, 2), span(1, 1)],
                vec![1.0, 0.0, 0.0, 3.0],
                3,
                vec![span(0, 1), span(4, 1)],
                vec![1.0, 3.0],
            ),
            (vec![span(5, 2)], vec![0.0, -0.0], 1, vec![], vec![]),
            // What is less than nothing, or no number, is something.
            (vec![span(0, 2)], vec![-1.0, f64::INFINITY], 0, vec![span(0, 2)], vec![-1.0, f64::INFINITY]),
        ] {
            assert_eq!(
                compacted(&spans, &counts, empty_max),
                (expected_spans, expected),
                "{spans:?} {counts:?} {empty_max}"
            );
        }
    }

    proptest! {
        #[test]
        fn every_populated_bucket_stays(histogram in any_histogram(), empty_max in 0..4usize) {
            let mut compact = histogram.clone();
            compact.compact(empty_max);
            let populated = |it: &FloatHistogram| it.buckets().filter(|bucket| bucket.count != 0.0).collect::<Vec<_>>();
            prop_assert_eq!(populated(&compact), populated(&histogram));
            prop_assert!(compact.validate().is_ok());
            let offsets = compact.positive_spans.iter().skip(1).map(|span| span.offset as usize);
            prop_assert!(offsets.into_iter().all(|offset| offset > empty_max));
            let runs = compact.positive_counts.split(|count| *count != 0.0);
            prop_assert!(runs.into_iter().all(|empty| empty.len() <= empty_max));
            let mut again = compact.clone();
            again.compact(empty_max);
            prop_assert!(again.same(&compact));
            compact.compact(0);
            let mut at_once = histogram.clone();
            at_once.compact(0);
            prop_assert_eq!(compact.positive_spans, at_once.positive_spans);
        }
    }
}
