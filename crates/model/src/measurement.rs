//! A sample of any kind: a number or a native histogram, with the time since when it counts.
//!
//! The hot paths carry plain floats ([`crate::Sample`]); whatever a series holds beside them travels in this form
//! through the head, through merges and into blocks.

use crate::{BucketSpan, CounterResetHint, FloatHistogram, Histogram, Sample, is_stale};
use std::sync::Arc;

/// What was measured.
#[derive(Clone, Debug)]
pub enum Value {
    /// A number; every bit pattern is legal and kept.
    Float(f64),
    /// A native histogram of counted observations.
    Histogram(Arc<Histogram>),
    /// A native histogram whose counts are any numbers.
    FloatHistogram(Arc<FloatHistogram>),
}

/// A value at a time.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// Milliseconds since the Unix epoch; may be negative.
    pub t_ms: i64,
    /// Since when the value counts, ms since the Unix epoch; 0 where that is not known.
    pub start_ms: i64,
    /// What was measured.
    pub value: Value,
}

impl Value {
    /// Whether the value says that the series has ended.
    pub fn is_stale(&self) -> bool {
        is_stale(match self {
            Self::Float(value) => *value,
            Self::Histogram(histogram) => histogram.sum,
            Self::FloatHistogram(histogram) => histogram.sum,
        })
    }

    /// Whether both are the same value. Floats are compared by their bits. Histograms are the same if they are of one
    /// kind and say the same of every possible bucket, whatever their spans; what they know about counter resets is
    /// not compared, but for gauges, as that depends on the samples around them. Stale markers of one kind are all
    /// the same.
    pub fn same(&self, other: &Self) -> bool {
        if let (Self::Float(one), Self::Float(other)) = (self, other) {
            return one.to_bits() == other.to_bits();
        }
        let canonical = |value: &Self| {
            let mut bytes = Vec::new();
            value.canonical(&mut bytes);
            bytes
        };
        canonical(self) == canonical(other)
    }

    /// About what the value takes in memory beside itself, bytes.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Float(_) => 0,
            Self::Histogram(it) => {
                size_of::<Histogram>()
                    + size_of_val(&*it.positive_spans)
                    + size_of_val(&*it.negative_spans)
                    + size_of_val(&*it.positive_deltas)
                    + size_of_val(&*it.negative_deltas)
                    + size_of_val(&*it.custom_bounds)
            }
            Self::FloatHistogram(it) => {
                size_of::<FloatHistogram>()
                    + size_of_val(&*it.positive_spans)
                    + size_of_val(&*it.negative_spans)
                    + size_of_val(&*it.positive_counts)
                    + size_of_val(&*it.negative_counts)
                    + size_of_val(&*it.custom_bounds)
            }
        }
    }

    /// Appends bytes that are equal exactly for values that are the [`Self::same`]. All numbers are little endian.
    ///
    /// A float is its 8 bytes. A histogram: a byte for its kind (1 integer, 2 float); then of a stale one the 8 bytes
    /// of the sum and nothing else; else a byte that is 1 for a gauge, schema (4), zero threshold (8), zero count (8),
    /// count (8), sum (8); for the positive and then the negative side how many buckets are not empty (4) and of each
    /// its index (4) and count (8); how many custom bounds there are (4) and each of them (8).
    pub fn canonical(&self, out: &mut Vec<u8>) {
        match self {
            Self::Float(value) => out.extend_from_slice(&value.to_bits().to_le_bytes()),
            Self::Histogram(it) if is_stale(it.sum) => push_stale(out, INTEGER, it.sum),
            Self::FloatHistogram(it) if is_stale(it.sum) => push_stale(out, FLOAT, it.sum),
            Self::Histogram(it) => {
                out.extend_from_slice(&[INTEGER, u8::from(it.reset_hint == CounterResetHint::Gauge)]);
                let numbers = [it.zero_threshold.to_bits(), it.zero_count, it.count, it.sum.to_bits()];
                push_numbers(out, it.schema, numbers);
                for (spans, deltas) in
                    [(&it.positive_spans, &it.positive_deltas), (&it.negative_spans, &it.negative_deltas)]
                {
                    let running = deltas.iter().scan(0i64, |count, delta| {
                        *count = count.wrapping_add(*delta);
                        Some(*count as u64)
                    });
                    push_buckets(out, spans, running);
                }
                push_bounds(out, &it.custom_bounds);
            }
            Self::FloatHistogram(it) => {
                out.extend_from_slice(&[FLOAT, u8::from(it.reset_hint == CounterResetHint::Gauge)]);
                let numbers = [it.zero_threshold, it.zero_count, it.count, it.sum].map(f64::to_bits);
                push_numbers(out, it.schema, numbers);
                for (spans, counts) in
                    [(&it.positive_spans, &it.positive_counts), (&it.negative_spans, &it.negative_counts)]
                {
                    // Adding a zero makes a negative zero a positive one: either is an empty bucket.
                    push_buckets(out, spans, counts.iter().map(|count| (count + 0.0).to_bits()));
                }
                push_bounds(out, &it.custom_bounds);
            }
        }
    }
}

impl From<Sample> for Measurement {
    fn from(sample: Sample) -> Self {
        Self { t_ms: sample.t_ms, start_ms: 0, value: Value::Float(sample.value) }
    }
}

const INTEGER: u8 = 1;
const FLOAT: u8 = 2;

fn push_stale(out: &mut Vec<u8>, kind: u8, sum: f64) {
    out.push(kind);
    out.extend_from_slice(&sum.to_bits().to_le_bytes());
}

fn push_numbers(out: &mut Vec<u8>, schema: i32, numbers: [u64; 4]) {
    out.extend_from_slice(&schema.to_le_bytes());
    numbers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
}

/// Appends the buckets of one side whose count is not 0, with their indexes.
fn push_buckets(out: &mut Vec<u8>, spans: &[BucketSpan], mut counts: impl Iterator<Item = u64>) {
    let length_at = out.len();
    out.extend_from_slice(&[0; 4]);
    let (mut filled, mut index) = (0u32, 0i32);
    for span in spans {
        index = index.wrapping_add(span.offset);
        for count in counts.by_ref().take(span.length as usize) {
            if count != 0 {
                out.extend_from_slice(&index.to_le_bytes());
                out.extend_from_slice(&count.to_le_bytes());
                filled += 1;
            }
            index = index.wrapping_add(1);
        }
    }
    out[length_at..length_at + 4].copy_from_slice(&filled.to_le_bytes());
}

fn push_bounds(out: &mut Vec<u8>, bounds: &[f64]) {
    out.extend_from_slice(&(bounds.len() as u32).to_le_bytes());
    bounds.iter().for_each(|bound| out.extend_from_slice(&bound.to_bits().to_le_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::STALE_NAN_BITS;

    fn span(offset: i32, length: u32) -> BucketSpan {
        BucketSpan { offset, length }
    }

    fn histogram() -> Histogram {
        Histogram {
            schema: 1,
            zero_threshold: 0.001,
            zero_count: 2,
            count: 12,
            sum: 3.5,
            positive_spans: vec![span(-1, 2), span(3, 1)],
            positive_deltas: vec![1, 2, 0],
            negative_spans: vec![span(4, 1)],
            negative_deltas: vec![3],
            ..Histogram::default()
        }
    }

    fn integer(histogram: Histogram) -> Value {
        Value::Histogram(Arc::new(histogram))
    }

    fn float(histogram: &Histogram) -> FloatHistogram {
        FloatHistogram::from(histogram)
    }

    #[test]
    fn empty_buckets_spans_and_reset_hints_make_no_difference() {
        let wide = Histogram {
            reset_hint: CounterResetHint::NotReset,
            positive_spans: vec![span(-3, 4), span(0, 0), span(3, 2)],
            positive_deltas: vec![0, 0, 1, 2, 0, -3],
            negative_spans: vec![span(2, 4)],
            negative_deltas: vec![0, 0, 3, -3],
            ..histogram()
        };
        assert!(integer(histogram()).same(&integer(wide.clone())));
        let mut negative_zero = float(&wide);
        negative_zero.negative_counts[0] = -0.0;
        let narrow = Value::FloatHistogram(Arc::new(float(&histogram())));
        assert!(narrow.same(&Value::FloatHistogram(Arc::new(negative_zero))));
    }

    #[test]
    fn everything_else_does() {
        let base = histogram();
        let others = [
            Histogram { schema: 2, ..base.clone() },
            Histogram { zero_threshold: 0.002, ..base.clone() },
            Histogram { zero_count: 3, ..base.clone() },
            Histogram { count: 13, ..base.clone() },
            Histogram { sum: 3.25, ..base.clone() },
            Histogram { sum: f64::NAN, ..base.clone() },
            Histogram { positive_spans: vec![span(0, 2), span(3, 1)], ..base.clone() },
            Histogram { positive_deltas: vec![1, 2, 1], ..base.clone() },
            Histogram { negative_deltas: vec![4], ..base.clone() },
            Histogram { negative_spans: vec![], negative_deltas: vec![], ..base.clone() },
            Histogram { custom_bounds: [1.0].into(), ..base.clone() },
            Histogram { reset_hint: CounterResetHint::Gauge, ..base.clone() },
        ];
        for other in others {
            assert!(!integer(base.clone()).same(&integer(other.clone())), "{other:?}");
            let floats = [&base, &other].map(|it| Value::FloatHistogram(Arc::new(float(it))));
            assert!(!floats[0].same(&floats[1]), "{other:?}");
        }
        assert!(!integer(base.clone()).same(&Value::FloatHistogram(Arc::new(float(&base)))));
        assert!(!Value::Float(0.0).same(&Value::Float(-0.0)));
        assert!(!Value::Float(3.5).same(&integer(base)));
    }

    #[test]
    fn stale_markers_are_alike_within_a_kind() {
        let sum = f64::from_bits(STALE_NAN_BITS);
        let stale = integer(Histogram { sum, ..histogram() });
        assert!(stale.is_stale() && stale.same(&integer(Histogram { sum, ..Histogram::default() })));
        let other = Value::FloatHistogram(Arc::new(FloatHistogram { sum, ..FloatHistogram::default() }));
        assert!(other.is_stale() && !other.same(&stale) && !Value::Float(sum).same(&stale));
        assert!(Value::Float(sum).is_stale() && !Value::Float(f64::NAN).is_stale());
    }
}
