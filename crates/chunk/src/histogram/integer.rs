//! The numbers of integer histograms: total, zero count and every bucket as changes of changes, the sum XORed. A bucket
//! is the difference to the bucket before it, as in [`Histogram`].

use super::decode::ReadNumbers;
use super::field::{Known, Trend, XorReader, XorWriter};
use super::layout::Layout;
use crate::bits::{BitReader, BitWriter};
use crate::varbit::{take_int, take_uint, write_int, write_uint};
use longhaul_model::{CounterResetHint, FloatHistogram, Histogram, STALE_NAN_BITS, Value, is_stale};
use std::sync::Arc;

/// The numbers of the last sample that was written or read; `X` is how its sum is. Counts are modulo 2^64. After a stale
/// marker only the sum says anything.
#[derive(Clone, Debug)]
pub(super) struct Integer<X> {
    pub(super) count: Trend,
    pub(super) zero_count: Trend,
    pub(super) sum: X,
    /// The positive buckets, then the negative ones.
    pub(super) buckets: Vec<Trend>,
}

impl Integer<XorWriter> {
    /// Writes the first sample of a chunk.
    pub(super) fn write_first(writer: &mut BitWriter, histogram: &Histogram) -> Self {
        let stale = is_stale(histogram.sum);
        let (count, zero_count) = if stale { (0, 0) } else { (histogram.count, histogram.zero_count) };
        write_uint(writer, count);
        write_uint(writer, zero_count);
        let sum = XorWriter::write_first(writer, histogram.sum);
        let deltas = histogram.positive_deltas.iter().chain(&histogram.negative_deltas).filter(|_| !stale);
        let buckets = deltas.map(|delta| {
            write_int(writer, *delta);
            Trend::new(*delta)
        });
        let buckets = buckets.collect();
        Self { count: Trend::new(count as i64), zero_count: Trend::new(zero_count as i64), sum, buckets }
    }

    /// Writes a later sample. Its buckets are those of the layout; of a stale marker none are written.
    pub(super) fn write(&mut self, writer: &mut BitWriter, histogram: &Histogram) {
        if is_stale(histogram.sum) {
            writer.write(0, 2); // the counts are said to go on as before
            return self.sum.write(writer, histogram.sum);
        }
        self.count.write(writer, histogram.count as i64);
        self.zero_count.write(writer, histogram.zero_count as i64);
        self.sum.write(writer, histogram.sum);
        let deltas = histogram.positive_deltas.iter().chain(&histogram.negative_deltas);
        self.buckets.iter_mut().zip(deltas).for_each(|(bucket, delta)| bucket.write(writer, *delta));
    }
}

impl<X: Known> Integer<X> {
    /// The counts of the positive and of the negative buckets.
    pub(super) fn counts(&self, layout: &Layout) -> [impl Iterator<Item = i64>; 2] {
        let (positive, negative) = self.buckets.split_at(layout.positive_buckets());
        [positive, negative].map(|side| {
            let mut count = 0_i64;
            side.iter().map(move |bucket| {
                count = count.wrapping_add(bucket.value);
                count
            })
        })
    }

    /// The sample.
    pub(super) fn to_histogram(&self, layout: &Layout, reset_hint: CounterResetHint) -> Histogram {
        if self.sum.bits() == STALE_NAN_BITS {
            return Histogram { reset_hint, sum: self.sum.value(), ..Histogram::default() };
        }
        let (positive, negative) = self.buckets.split_at(layout.positive_buckets());
        let deltas = |side: &[Trend]| side.iter().map(|bucket| bucket.value).collect();
        Histogram {
            reset_hint,
            schema: layout.schema,
            zero_threshold: layout.zero_threshold,
            zero_count: self.zero_count.value as u64,
            count: self.count.value as u64,
            sum: self.sum.value(),
            positive_spans: layout.positive_spans.clone(),
            negative_spans: layout.negative_spans.clone(),
            positive_deltas: deltas(positive),
            negative_deltas: deltas(negative),
            custom_bounds: Arc::clone(&layout.custom_bounds),
        }
    }
}

impl ReadNumbers for Integer<XorReader> {
    fn new(buckets: usize) -> Self {
        let zero = Trend::default();
        Self { count: zero, zero_count: zero, sum: XorReader::default(), buckets: vec![zero; buckets] }
    }

    fn take_first(&mut self, reader: &mut BitReader<'_>) {
        self.count = Trend::new(take_uint(reader) as i64);
        self.zero_count = Trend::new(take_uint(reader) as i64);
        self.sum.take_first(reader);
        self.buckets.iter_mut().for_each(|bucket| *bucket = Trend::new(take_int(reader)));
    }

    #[inline]
    fn take(&mut self, reader: &mut BitReader<'_>) {
        self.count.take(reader);
        self.zero_count.take(reader);
        self.sum.take(reader);
        if self.sum.bits() != STALE_NAN_BITS {
            self.buckets.iter_mut().for_each(|bucket| bucket.take(reader));
        }
    }

    fn to_float(&self, layout: &Layout, reset_hint: CounterResetHint) -> FloatHistogram {
        if self.sum.bits() == STALE_NAN_BITS {
            return FloatHistogram { reset_hint, sum: self.sum.value(), ..FloatHistogram::default() };
        }
        let [positive_counts, negative_counts] =
            self.counts(layout).map(|counts| counts.map(|count| count as f64).collect());
        FloatHistogram {
            reset_hint,
            schema: layout.schema,
            zero_threshold: layout.zero_threshold,
            zero_count: self.zero_count.value as u64 as f64,
            count: self.count.value as u64 as f64,
            sum: self.sum.value(),
            positive_spans: layout.positive_spans.clone(),
            negative_spans: layout.negative_spans.clone(),
            positive_counts,
            negative_counts,
            custom_bounds: Arc::clone(&layout.custom_bounds),
        }
    }

    fn to_value(&self, layout: &Layout, reset_hint: CounterResetHint) -> Value {
        Value::Histogram(Arc::new(self.to_histogram(layout, reset_hint)))
    }
}
