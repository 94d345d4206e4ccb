//! The numbers of float histograms, each XORed with the one before it in its place. A bucket is its count, as in
//! [`FloatHistogram`].

use super::decode::ReadNumbers;
use super::field::{Known, XorReader, XorWriter};
use super::layout::Layout;
use crate::bits::{BitReader, BitWriter};
use longhaul_model::{CounterResetHint, FloatHistogram, STALE_NAN_BITS, Value, is_stale};
use std::sync::Arc;

/// The numbers of the last sample that was written or read; `X` is how they are. After a stale marker only the sum says
/// anything.
#[derive(Clone, Debug)]
pub(super) struct Float<X> {
    pub(super) count: X,
    pub(super) zero_count: X,
    pub(super) sum: X,
    /// The positive buckets, then the negative ones.
    pub(super) buckets: Vec<X>,
}

impl Float<XorWriter> {
    /// Writes the first sample of a chunk.
    pub(super) fn write_first(writer: &mut BitWriter, histogram: &FloatHistogram) -> Self {
        let stale = is_stale(histogram.sum);
        let (count, zero_count) = if stale { (0.0, 0.0) } else { (histogram.count, histogram.zero_count) };
        let count = XorWriter::write_first(writer, count);
        let zero_count = XorWriter::write_first(writer, zero_count);
        let sum = XorWriter::write_first(writer, histogram.sum);
        let counts = histogram.positive_counts.iter().chain(&histogram.negative_counts).filter(|_| !stale);
        let buckets = counts.map(|count| XorWriter::write_first(writer, *count)).collect();
        Self { count, zero_count, sum, buckets }
    }

    /// Writes a later sample. Its buckets are those of the layout; of a stale marker none are written.
    pub(super) fn write(&mut self, writer: &mut BitWriter, histogram: &FloatHistogram) {
        let stale = is_stale(histogram.sum);
        self.count.write(writer, if stale { 0.0 } else { histogram.count });
        self.zero_count.write(writer, if stale { 0.0 } else { histogram.zero_count });
        self.sum.write(writer, histogram.sum);
        let counts = histogram.positive_counts.iter().chain(&histogram.negative_counts).filter(|_| !stale);
        self.buckets.iter_mut().zip(counts).for_each(|(bucket, count)| bucket.write(writer, *count));
    }
}

impl<X: Known> Float<X> {
    /// The counts of the positive and of the negative buckets.
    pub(super) fn counts(&self, layout: &Layout) -> [impl Iterator<Item = f64>; 2] {
        let (positive, negative) = self.buckets.split_at(layout.positive_buckets());
        [positive, negative].map(|side| side.iter().map(X::value))
    }

    /// The sample.
    pub(super) fn to_histogram(&self, layout: &Layout, reset_hint: CounterResetHint) -> FloatHistogram {
        if self.sum.bits() == STALE_NAN_BITS {
            return FloatHistogram { reset_hint, sum: self.sum.value(), ..FloatHistogram::default() };
        }
        let [positive_counts, negative_counts] = self.counts(layout).map(Iterator::collect);
        FloatHistogram {
            reset_hint,
            schema: layout.schema,
            zero_threshold: layout.zero_threshold,
            zero_count: self.zero_count.value(),
            count: self.count.value(),
            sum: self.sum.value(),
            positive_spans: layout.positive_spans.clone(),
            negative_spans: layout.negative_spans.clone(),
            positive_counts,
            negative_counts,
            custom_bounds: Arc::clone(&layout.custom_bounds),
        }
    }
}

impl ReadNumbers for Float<XorReader> {
    fn new(buckets: usize) -> Self {
        let zero = XorReader::default();
        Self { count: zero, zero_count: zero, sum: zero, buckets: vec![zero; buckets] }
    }

    fn take_first(&mut self, reader: &mut BitReader<'_>) {
        self.count.take_first(reader);
        self.zero_count.take_first(reader);
        self.sum.take_first(reader);
        self.buckets.iter_mut().for_each(|bucket| bucket.take_first(reader));
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
        self.to_histogram(layout, reset_hint)
    }

    fn to_value(&self, layout: &Layout, reset_hint: CounterResetHint) -> Value {
        Value::FloatHistogram(Arc::new(self.to_histogram(layout, reset_hint)))
    }
}
