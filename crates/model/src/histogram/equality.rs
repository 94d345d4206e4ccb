//! When two histograms are the same (`==` in PromQL): equal buckets in an equal layout, counts and sums bit by bit.

use super::{BucketSpan, FloatHistogram, Histogram, schema};

impl FloatHistogram {
    /// Whether both hold the same data. Hints do not count, nor do spans without buckets; empty buckets do, so compact
    /// first. NaN is the same as NaN of the same bits.
    pub fn same(&self, other: &Self) -> bool {
        let bits = |left: f64, right: f64| left.to_bits() == right.to_bits();
        let counts = |left: &[f64], right: &[f64]| {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| bits(*left, *right))
        };
        self.schema == other.schema
            && bits(self.count, other.count)
            && bits(self.sum, other.sum)
            && (!self.uses_custom_bounds() || schema::same_bounds(&self.custom_bounds, &other.custom_bounds))
            && self.zero_threshold == other.zero_threshold
            && bits(self.zero_count, other.zero_count)
            && same_layout(&self.negative_spans, &other.negative_spans)
            && counts(&self.negative_counts, &other.negative_counts)
            && same_layout(&self.positive_spans, &other.positive_spans)
            && counts(&self.positive_counts, &other.positive_counts)
    }
}

impl Histogram {
    /// Whether both hold the same data; see [`FloatHistogram::same`].
    pub fn same(&self, other: &Self) -> bool {
        self.schema == other.schema
            && self.count == other.count
            && self.sum.to_bits() == other.sum.to_bits()
            && (!self.uses_custom_bounds() || schema::same_bounds(&self.custom_bounds, &other.custom_bounds))
            && self.zero_threshold == other.zero_threshold
            && self.zero_count == other.zero_count
            && same_layout(&self.negative_spans, &other.negative_spans)
            && self.negative_deltas == other.negative_deltas
            && same_layout(&self.positive_spans, &other.positive_spans)
            && self.positive_deltas == other.positive_deltas
    }
}

/// Whether two lists of spans are equal but for spans without buckets.
fn same_layout(left: &[BucketSpan], right: &[BucketSpan]) -> bool {
    left == right || populated(left).eq(populated(right))
}

/// The spans with buckets, each with the offsets of those without that stand before it.
fn populated(spans: &[BucketSpan]) -> impl Iterator<Item = BucketSpan> + '_ {
    let mut skipped = 0i32;
    spans.iter().filter_map(move |span| {
        let offset = skipped.wrapping_add(span.offset);
        skipped = if span.length == 0 { offset } else { 0 };
        (span.length > 0).then_some(BucketSpan { offset, length: span.length })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(offset: i32, length: u32) -> BucketSpan {
        BucketSpan { offset, length }
    }

    fn sample() -> FloatHistogram {
        FloatHistogram {
            count: 3.0,
            sum: f64::NAN,
            positive_spans: vec![span(1, 2)],
            positive_counts: vec![1.0, 2.0],
            ..Default::default()
        }
    }

    #[test]
    fn bits_count_and_hints_do_not() {
        let mut other = FloatHistogram { reset_hint: crate::CounterResetHint::Gauge, ..sample() };
        assert!(sample().same(&other));
        other.sum = f64::from_bits(f64::NAN.to_bits() + 1);
        assert!(!sample().same(&other), "another NaN");
        for change in [
            |other: &mut FloatHistogram| other.zero_count = -0.0,
            |other: &mut FloatHistogram| other.count = 4.0,
            |other: &mut FloatHistogram| other.schema = 1,
            |other: &mut FloatHistogram| other.zero_threshold = 1.0,
            |other: &mut FloatHistogram| other.positive_counts[1] = 1.0,
            |other: &mut FloatHistogram| other.positive_spans[0].offset = 0,
            |other: &mut FloatHistogram| other.negative_spans.push(span(0, 1)),
        ] {
            let mut other = sample();
            change(&mut other);
            assert!(!sample().same(&other));
        }
        let zero = FloatHistogram { zero_threshold: -0.0, ..sample() };
        assert!(sample().same(&zero), "thresholds are numbers");
        let bounds = FloatHistogram { custom_bounds: [1.0].into(), ..sample() };
        assert!(sample().same(&bounds), "exponential buckets have no use for bounds");
        let custom = |bounds: &[f64]| FloatHistogram { schema: -53, custom_bounds: bounds.into(), ..sample() };
        assert!(custom(&[1.0, 2.0]).same(&custom(&[1.0, 2.0])) && !custom(&[1.0, 2.0]).same(&custom(&[1.0, 3.0])));
    }

    #[test]
    fn spans_without_buckets_do_not_count() {
        assert!(same_layout(&[span(1, 0), span(2, 1), span(0, 0)], &[span(3, 1)]));
        assert!(same_layout(&[span(5, 0)], &[]));
        assert!(!same_layout(&[span(0, 1), span(0, 1)], &[span(0, 2)]));
        assert!(!same_layout(&[span(0, 1), span(1, 0), span(1, 1)], &[span(0, 1), span(1, 1)]));
        assert!(same_layout(&[span(i32::MAX, 0), span(i32::MAX, 1)], &[span(-2, 1)]));
    }
}
