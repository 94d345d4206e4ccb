//! A histogram chunk that grows: appends what the chunk can take, and says when a new one must begin.

use super::decode::HistogramIterator;
use super::field::{Known, Trend, XorWriter};
use super::float::Float;
use super::integer::Integer;
use super::layout::{Layout, within_bounds};
use super::spans::{Difference, compare, compare_counters, union};
use super::value::{HistogramRef, sums};
use super::{HEADER_BYTES, STARTED_COUNT_MASK, reset_at, reset_flags, reset_hint};
use crate::bits::BitWriter;
use crate::starts::StartWriter;
use crate::varbit::write_int;
use crate::{CHUNK_SAMPLES_MAX, Chunk, Encoding};
use bytes::Bytes;
use longhaul_model::histogram::SCHEMA_CUSTOM;
use longhaul_model::{BucketSpan, CounterResetHint, Measurement, STALE_NAN_BITS, Value};
use std::sync::Arc;

/// Bytes from which on a histogram chunk is full, as Prometheus aims at them.
pub const HISTOGRAM_CHUNK_BYTES: usize = 1024;

/// Samples that a histogram chunk has before it is full, however many bytes they take.
pub const HISTOGRAM_CHUNK_SAMPLES_MIN: u16 = 10;

/// An open chunk of histograms. Its bytes are a valid chunk after every sample.
#[derive(Clone, Debug)]
pub struct HistogramAppender {
    writer: BitWriter,
    encoding: Encoding,
    layout: Layout,
    min_ms: i64,
    time: Trend,
    starts: StartWriter,
    numbers: Numbers,
}

#[derive(Clone, Debug)]
enum Numbers {
    Integer(Integer<XorWriter>),
    Float(Float<XorWriter>),
}

/// The sample does not fit into the chunk, which is as it was: [`HistogramAppender::next`] begins another one with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextChunk;

/// What it takes to append a sample.
enum Fit {
    /// Both have the same buckets.
    AsItIs,
    /// The sample, and if it has buckets of its own the chunk, must be widened to these.
    Widened { positive_spans: Vec<BucketSpan>, negative_spans: Vec<BucketSpan>, chunk_too: bool },
    /// A new chunk must begin, with this in its header.
    NextChunk(CounterResetHint),
}

impl HistogramAppender {
    /// A chunk that begins with a sample of which nothing is known but itself. It can hold start timestamps if
    /// `start_ms` is one; 0 is none.
    ///
    /// # Panics
    /// If the histogram's spans do not fit its buckets or overlap.
    pub fn first<'h>(start_ms: i64, t_ms: i64, value: impl Into<HistogramRef<'h>>) -> Self {
        let value = value.into();
        let header = match value.reset_hint() {
            // That counting went on says nothing without the chunk before.
            CounterResetHint::NotReset => CounterResetHint::Unknown,
            known => known,
        };
        Self::begin(header, start_ms, t_ms, value)
    }

    /// A chunk that follows this one, which ends here: because it is full, or because it cannot take the sample.
    ///
    /// # Panics
    /// If the histogram's spans do not fit its buckets or overlap.
    pub fn next<'h>(&self, start_ms: i64, t_ms: i64, value: impl Into<HistogramRef<'h>>) -> Self {
        let value = value.into();
        let header = match value.reset_hint() {
            known @ (CounterResetHint::Gauge | CounterResetHint::Reset) => known,
            CounterResetHint::Unknown | CounterResetHint::NotReset => match self.fit(value) {
                Fit::NextChunk(header) => header,
                Fit::AsItIs | Fit::Widened { .. } => CounterResetHint::NotReset,
            },
        };
        Self::begin(header, start_ms, t_ms, value)
    }

    fn begin(header: CounterResetHint, start_ms: i64, t_ms: i64, value: HistogramRef<'_>) -> Self {
        let encoding = match (value, start_ms) {
            (HistogramRef::Integer(_), 0) => Encoding::Histogram,
            (HistogramRef::Integer(_), _) => Encoding::HistogramSt,
            (HistogramRef::Float(_), 0) => Encoding::FloatHistogram,
            (HistogramRef::Float(_), _) => Encoding::FloatHistogramSt,
        };
        Self::with_layout(Layout::of(value), encoding, header, start_ms, t_ms, value)
    }

    fn with_layout(
        layout: Layout,
        encoding: Encoding,
        header: CounterResetHint,
        start_ms: i64,
        t_ms: i64,
        value: HistogramRef<'_>,
    ) -> Self {
        let mut writer = BitWriter::new(&[0; HEADER_BYTES]);
        layout.write(&mut writer);
        write_int(&mut writer, t_ms);
        let numbers = match value {
            HistogramRef::Integer(it) => Numbers::Integer(Integer::write_first(&mut writer, it)),
            HistogramRef::Float(it) => Numbers::Float(Float::write_first(&mut writer, it)),
        };
        let mut starts = StartWriter::default();
        if encoding.has_starts() {
            starts.write(&mut writer, 0, t_ms, t_ms, start_ms);
        }
        let mut chunk = Self { writer, encoding, layout, min_ms: t_ms, time: Trend::new(t_ms), starts, numbers };
        chunk.set_samples(1);
        chunk.writer.bytes_mut()[reset_at(encoding)] |= reset_flags(header);
        chunk
    }

    /// Appends a sample if the chunk can take it. It cannot if counting has begun anew, if anything but the buckets is
    /// laid out otherwise, after a stale marker, if the kind changes or being a gauge does, for the first start
    /// timestamp, and when the chunk's count would overflow.
    ///
    /// # Panics
    /// If `t_ms` does not lie after the last sample's, or the histogram's spans do not fit its buckets or overlap.
    pub fn append<'h>(
        &mut self,
        start_ms: i64,
        t_ms: i64,
        value: impl Into<HistogramRef<'h>>,
    ) -> Result<(), NextChunk> {
        assert!(t_ms > self.max_ms(), "a chunk's times rise");
        let value = value.into();
        value.assert_laid_out();
        if self.samples() == self.samples_max() || (start_ms != 0 && !self.encoding.has_starts()) {
            return Err(NextChunk);
        }
        match self.fit(value) {
            Fit::AsItIs => self.write(start_ms, t_ms, value),
            Fit::Widened { positive_spans, negative_spans, chunk_too } => {
                if chunk_too {
                    *self = self.widened(&positive_spans, &negative_spans);
                }
                value.widened(&positive_spans, &negative_spans, |wide| self.write(start_ms, t_ms, wide));
            }
            Fit::NextChunk(_) => return Err(NextChunk),
        }
        Ok(())
    }

    /// Appends a sample that has the chunk's buckets.
    fn write(&mut self, start_ms: i64, t_ms: i64, value: HistogramRef<'_>) {
        let (samples, before_ms) = (self.samples(), self.time.value);
        self.time.write(&mut self.writer, t_ms);
        match (&mut self.numbers, value) {
            (Numbers::Integer(numbers), HistogramRef::Integer(it)) => numbers.write(&mut self.writer, it),
            (Numbers::Float(numbers), HistogramRef::Float(it)) => numbers.write(&mut self.writer, it),
            _ => unreachable!("a chunk has histograms of one kind"),
        }
        if self.encoding.has_starts() {
            self.starts.write(&mut self.writer, samples, before_ms, t_ms, start_ms);
        }
        self.set_samples(samples + 1);
    }

    /// The same chunk with more buckets, empty ones.
    fn widened(&self, positive_spans: &[BucketSpan], negative_spans: &[BucketSpan]) -> Self {
        let layout = Layout {
            positive_spans: positive_spans.to_vec(),
            negative_spans: negative_spans.to_vec(),
            ..self.layout.clone()
        };
        let mut wide_chunk: Option<Self> = None;
        for sample in HistogramIterator::open(self.encoding, self.bytes()).into_iter().flatten() {
            let Measurement { t_ms, start_ms, value } = sample.expect("an open chunk's own bytes can be read");
            let value = HistogramRef::of(&value).expect("a histogram chunk holds histograms");
            value.widened(positive_spans, negative_spans, |wide| match &mut wide_chunk {
                Some(chunk) => chunk.write(start_ms, t_ms, wide),
                None => {
                    let (layout, header) = (layout.clone(), self.reset_hint());
                    wide_chunk = Some(Self::with_layout(layout, self.encoding, header, start_ms, t_ms, wide));
                }
            });
        }
        wide_chunk.expect("an open chunk has a sample")
    }

    /// What it takes to append `value`, by the rules of Prometheus.
    fn fit(&self, value: HistogramRef<'_>) -> Fit {
        let gauge = self.reset_hint() == CounterResetHint::Gauge;
        if value.is_float() != self.is_float() || (value.is_gauge() != gauge && !value.is_stale()) {
            return Fit::NextChunk(CounterResetHint::Unknown);
        }
        if value.reset_hint() == CounterResetHint::Reset {
            return Fit::NextChunk(CounterResetHint::Reset);
        }
        if value.is_stale() {
            return Fit::AsItIs; // it has no buckets
        }
        if self.is_stale() {
            return Fit::NextChunk(CounterResetHint::Unknown);
        }
        let (count_shrinks, zero_count_shrinks) = self.totals_shrink(value);
        if !gauge && count_shrinks {
            return Fit::NextChunk(CounterResetHint::Reset);
        }
        let layout = &self.layout;
        if value.schema() != layout.schema || value.zero_threshold().to_bits() != layout.zero_threshold.to_bits() {
            // Whether counting has begun anew would be costly to tell.
            return Fit::NextChunk(CounterResetHint::Unknown);
        }
        let other_bounds = layout.schema == SCHEMA_CUSTOM && !same_bits(value.custom_bounds(), &layout.custom_bounds);
        if other_bounds || (!gauge && zero_count_shrinks) {
            return Fit::NextChunk(CounterResetHint::Reset);
        }
        self.fit_buckets(value, gauge)
    }

    fn fit_buckets(&self, value: HistogramRef<'_>, gauge: bool) -> Fit {
        let [positive_spans, negative_spans] = value.spans();
        let layout = &self.layout;
        let differences = if gauge {
            [compare(&layout.positive_spans, positive_spans), compare(&layout.negative_spans, negative_spans)]
        } else {
            match self.compare_counters(value) {
                Some(differences) => differences,
                None => return Fit::NextChunk(CounterResetHint::Reset),
            }
        };
        if differences == [Difference::default(); 2] {
            return Fit::AsItIs;
        }
        let joined = |difference: Difference, chunk: &[BucketSpan], sample: &[BucketSpan]| match (
            difference.fewer,
            difference.more,
        ) {
            (true, true) => union(chunk, sample),
            (false, true) => within_bounds(sample.to_vec()),
            (_, false) => chunk.to_vec(),
        };
        Fit::Widened {
            positive_spans: joined(differences[0], &layout.positive_spans, positive_spans),
            negative_spans: joined(differences[1], &layout.negative_spans, negative_spans),
            chunk_too: differences.iter().any(|difference| difference.more),
        }
    }

    /// Whether there are fewer observations than before: in all, and in the zero bucket.
    fn totals_shrink(&self, value: HistogramRef<'_>) -> (bool, bool) {
        match (&self.numbers, value) {
            (Numbers::Integer(before), HistogramRef::Integer(it)) => {
                (it.count < before.count.value as u64, it.zero_count < before.zero_count.value as u64)
            }
            (Numbers::Float(before), HistogramRef::Float(it)) => {
                (it.count < before.count.value(), it.zero_count < before.zero_count.value())
            }
            _ => (false, false),
        }
    }

    /// How the buckets of both sides lie to those of the sample before; none if one of them has shrunk.
    fn compare_counters(&self, value: HistogramRef<'_>) -> Option<[Difference; 2]> {
        let Layout { positive_spans, negative_spans, .. } = &self.layout;
        match (&self.numbers, value) {
            (Numbers::Integer(before), HistogramRef::Integer(it)) => {
                let [positive, negative] = before.counts(&self.layout);
                Some([
                    compare_counters(positive_spans, positive, &it.positive_spans, sums(&it.positive_deltas))?,
                    compare_counters(negative_spans, negative, &it.negative_spans, sums(&it.negative_deltas))?,
                ])
            }
            (Numbers::Float(before), HistogramRef::Float(it)) => {
                let [positive, negative] = before.counts(&self.layout);
                Some([
                    compare_counters(positive_spans, positive, &it.positive_spans, it.positive_counts.iter().copied())?,
                    compare_counters(negative_spans, negative, &it.negative_spans, it.negative_counts.iter().copied())?,
                ])
            }
            _ => None,
        }
    }

    /// Which histograms the chunk takes, and whether it can hold start timestamps.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// How many samples have been appended, at least one.
    pub fn samples(&self) -> u16 {
        let count = self.bytes().first_chunk().map_or(0, |count| u16::from_be_bytes(*count));
        count & self.samples_max()
    }

    /// Whether the chunk has the size at which Prometheus ends one. It can take more.
    pub fn is_full(&self) -> bool {
        self.size_bytes() >= HISTOGRAM_CHUNK_BYTES && self.samples() >= HISTOGRAM_CHUNK_SAMPLES_MIN
    }

    /// Bytes of the chunk so far.
    pub fn size_bytes(&self) -> usize {
        self.bytes().len()
    }

    /// Bytes allocated beside the value itself; custom bounds, which are shared, are not counted.
    pub fn heap_bytes(&self) -> usize {
        let buckets = match &self.numbers {
            Numbers::Integer(numbers) => numbers.buckets.capacity() * size_of::<Trend>(),
            Numbers::Float(numbers) => numbers.buckets.capacity() * size_of::<XorWriter>(),
        };
        self.writer.capacity_bytes() + self.layout.heap_bytes() + buckets
    }

    /// Time of the first sample.
    pub fn min_ms(&self) -> i64 {
        self.min_ms
    }

    /// Time of the last sample.
    pub fn max_ms(&self) -> i64 {
        self.time.value
    }

    /// The last sample, with the chunk's buckets.
    pub fn last(&self) -> Measurement {
        let hint = match self.reset_hint() {
            CounterResetHint::Gauge => CounterResetHint::Gauge,
            _ if self.samples() == 1 => CounterResetHint::Unknown,
            _ => CounterResetHint::NotReset,
        };
        let value = match &self.numbers {
            Numbers::Integer(numbers) => Value::Histogram(Arc::new(numbers.to_histogram(&self.layout, hint))),
            Numbers::Float(numbers) => Value::FloatHistogram(Arc::new(numbers.to_histogram(&self.layout, hint))),
        };
        Measurement { start_ms: self.starts.start_ms, t_ms: self.max_ms(), value }
    }

    /// The chunk so far: a valid chunk's data.
    pub fn bytes(&self) -> &[u8] {
        self.writer.bytes()
    }

    /// A copy of the chunk so far.
    pub fn to_chunk(&self) -> Chunk {
        self.chunk(Bytes::copy_from_slice(self.bytes()))
    }

    /// Ends the chunk, in an allocation of its size.
    pub fn seal(self) -> Chunk {
        let chunk = self.chunk(Bytes::new());
        Chunk { data: Bytes::from(self.writer.into_bytes()), ..chunk }
    }

    fn chunk(&self, data: Bytes) -> Chunk {
        Chunk { encoding: self.encoding, min_ms: self.min_ms(), max_ms: self.max_ms(), data }
    }

    /// What the chunk's header says of how it follows the chunk before it.
    fn reset_hint(&self) -> CounterResetHint {
        self.bytes().get(reset_at(self.encoding)).map_or(CounterResetHint::Unknown, |byte| reset_hint(*byte))
    }

    fn is_float(&self) -> bool {
        matches!(self.numbers, Numbers::Float(_))
    }

    /// Whether the last sample is a stale marker.
    fn is_stale(&self) -> bool {
        let bits = match &self.numbers {
            Numbers::Integer(numbers) => numbers.sum.bits(),
            Numbers::Float(numbers) => numbers.sum.bits(),
        };
        bits == STALE_NAN_BITS
    }

    /// Most samples that the chunk can count: also the bits of its count.
    fn samples_max(&self) -> u16 {
        if self.encoding.has_starts() { STARTED_COUNT_MASK } else { CHUNK_SAMPLES_MAX }
    }

    fn set_samples(&mut self, samples: u16) {
        let other_bits = !self.samples_max();
        if let Some(count) = self.writer.bytes_mut().first_chunk_mut() {
            *count = (u16::from_be_bytes(*count) & other_bits | samples).to_be_bytes();
        }
    }
}

fn same_bits(one: &[f64], other: &[f64]) -> bool {
    one.iter().map(|it| it.to_bits()).eq(other.iter().map(|it| it.to_bits()))
}
