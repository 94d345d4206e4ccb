//! Histogram chunks read: one by one and lossless, or all at once into columns.

use super::field::{Trend, XorReader};
use super::float::Float;
use super::integer::Integer;
use super::layout::Layout;
use super::{HEADER_BYTES, STARTED_COUNT_MASK, reset_at, reset_hint};
use crate::bits::BitReader;
use crate::starts::{self, StartReader};
use crate::varbit::take_int;
use crate::{Chunk, ChunkError, Encoding, HistogramColumns};
use longhaul_model::histogram::SCHEMA_MAX;
use longhaul_model::{CounterResetHint, FloatHistogram, Measurement, Value};
use std::sync::Arc;

/// The numbers of a sample, of one kind of histogram or the other, as they are read.
pub(super) trait ReadNumbers: Sized {
    /// Room for the numbers of samples with so many buckets.
    fn new(buckets: usize) -> Self;

    /// Takes the numbers of a chunk's first sample.
    fn take_first(&mut self, reader: &mut BitReader<'_>);

    /// Takes the numbers of the next sample.
    fn take(&mut self, reader: &mut BitReader<'_>);

    /// The sample as queries compute with it.
    fn to_float(&self, layout: &Layout, reset_hint: CounterResetHint) -> FloatHistogram;

    /// The sample as it is.
    fn to_value(&self, layout: &Layout, reset_hint: CounterResetHint) -> Value;
}

/// The samples of a histogram chunk one by one, losslessly, as far as they are asked for. Ends after the first error.
///
/// What is known of counter resets: a sample of a gauge chunk is a gauge; of another chunk the first sample is unknown,
/// whatever the header says, as the chunk before may be missing; no later one is a reset.
#[derive(Clone, Debug)]
pub struct HistogramIterator<'a>(Kind<'a>);

#[derive(Clone, Debug)]
enum Kind<'a> {
    Integer(Decoder<'a, Integer<XorReader>>),
    Float(Decoder<'a, Float<XorReader>>),
}

impl<'a> HistogramIterator<'a> {
    /// Opens a histogram chunk; a chunk of anything else is [`ChunkError::Unsupported`].
    pub fn new(chunk: &'a Chunk) -> Result<Self, ChunkError> {
        Self::open(chunk.encoding, &chunk.data)
    }

    /// Opens the data of a histogram chunk.
    pub(crate) fn open(encoding: Encoding, data: &'a [u8]) -> Result<Self, ChunkError> {
        match encoding {
            Encoding::Histogram | Encoding::HistogramSt => Ok(Self(Kind::Integer(Decoder::new(encoding, data)?))),
            Encoding::FloatHistogram | Encoding::FloatHistogramSt => {
                Ok(Self(Kind::Float(Decoder::new(encoding, data)?)))
            }
            unsupported => Err(ChunkError::Unsupported(unsupported.byte())),
        }
    }

    /// What the chunk's header says of how it follows the chunk before it.
    pub fn reset_hint(&self) -> CounterResetHint {
        match &self.0 {
            Kind::Integer(decoder) => decoder.reset_hint,
            Kind::Float(decoder) => decoder.reset_hint,
        }
    }
}

impl Iterator for HistogramIterator<'_> {
    type Item = Result<Measurement, ChunkError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Kind::Integer(decoder) => decoder.next_sample(),
            Kind::Float(decoder) => decoder.next_sample(),
        }
    }
}

/// Appends all samples of a histogram chunk to `out`. On an error `out` is left with what came before it.
pub(crate) fn decode_all(encoding: Encoding, data: &[u8], out: &mut HistogramColumns) -> Result<(), ChunkError> {
    match encoding {
        Encoding::Histogram | Encoding::HistogramSt => {
            Decoder::<Integer<XorReader>>::new(encoding, data)?.decode_all(out)
        }
        Encoding::FloatHistogram | Encoding::FloatHistogramSt => {
            Decoder::<Float<XorReader>>::new(encoding, data)?.decode_all(out)
        }
        unsupported => Err(ChunkError::Unsupported(unsupported.byte())),
    }
}

/// The count with which the data of chunks 5 and 6 begins, beside the reset flags.
pub(crate) fn count_of_started(data: &[u8]) -> Result<u16, ChunkError> {
    Ok(crate::count_of(data)? & STARTED_COUNT_MASK)
}

#[derive(Clone, Debug)]
struct Decoder<'a, N> {
    reader: BitReader<'a>,
    reset_hint: CounterResetHint,
    count: u16,
    index: u16,
    layout: Layout,
    time: Trend,
    starts: StartReader,
    /// Of the sample that was read last.
    numbers: N,
}

impl<'a, N: ReadNumbers> Decoder<'a, N> {
    fn new(encoding: Encoding, data: &'a [u8]) -> Result<Self, ChunkError> {
        let header: &[u8; HEADER_BYTES] =
            data.first_chunk().ok_or(ChunkError::Corrupt { at: data.len(), reason: "shorter than its header" })?;
        let (count, starts) = if encoding.has_starts() {
            (count_of_started(data)?, header[starts::HEADER_AT])
        } else {
            (crate::count_of(data)?, 0)
        };
        let mut reader = BitReader::new(data, HEADER_BYTES);
        let layout = if count > 0 { Layout::take(&mut reader)? } else { Layout::default() };
        // No sample takes less than four bits, whatever the count claims.
        if usize::from(count) > reader.remaining_bits() / 4 {
            return Err(ChunkError::Corrupt { at: 0, reason: "counts more samples than it can hold" });
        }
        Ok(Self {
            reader,
            reset_hint: reset_hint(header[reset_at(encoding)]),
            count,
            index: 0,
            time: Trend::default(),
            starts: StartReader::new(starts),
            numbers: N::new(layout.buckets()),
            layout,
        })
    }

    /// Takes the next sample and checks that all of it was there, so that nothing is made of what was not.
    #[inline]
    fn take(&mut self) -> Result<(), ChunkError> {
        let before_ms = self.time.value;
        if self.index == 0 {
            self.time = Trend::new(take_int(&mut self.reader));
            self.numbers.take_first(&mut self.reader);
            self.starts.take_first(&mut self.reader, self.time.value);
        } else {
            self.time.take(&mut self.reader);
            if self.time.value <= before_ms {
                self.reader.fail("times do not rise");
            }
            self.numbers.take(&mut self.reader);
            self.starts.take(&mut self.reader, self.index, before_ms);
        }
        self.index += 1;
        self.reader.verdict()
    }

    /// What is known of a counter reset between the sample read last and the one before it.
    fn hint(&self) -> CounterResetHint {
        match self.reset_hint {
            CounterResetHint::Gauge => CounterResetHint::Gauge,
            _ if self.index <= 1 => CounterResetHint::Unknown,
            _ => CounterResetHint::NotReset,
        }
    }

    fn next_sample(&mut self) -> Option<Result<Measurement, ChunkError>> {
        if self.index == self.count {
            return None;
        }
        if let Err(error) = self.take() {
            self.count = self.index;
            return Some(Err(error));
        }
        let value = self.numbers.to_value(&self.layout, self.hint());
        Some(Ok(Measurement { start_ms: self.starts.start_ms, t_ms: self.time.value, value }))
    }

    fn decode_all(mut self, out: &mut HistogramColumns) -> Result<(), ChunkError> {
        out.reserve(self.count.into());
        while self.index < self.count {
            self.take()?;
            let mut histogram = self.numbers.to_float(&self.layout, self.hint());
            // Schemas beyond are for versions to come; queries know none of them.
            histogram.reduce_resolution(SCHEMA_MAX);
            out.push_started(self.starts.start_ms, self.time.value, Arc::new(histogram));
        }
        Ok(())
    }
}
