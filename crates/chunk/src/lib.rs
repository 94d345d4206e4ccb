//! Compressed runs of samples of one series: encode, iterate, merge.
//!
//! Layer 1: pure functions over bytes. The head appends to an open XOR chunk, blocks store sealed ones, the engine
//! decodes them into columns; all of them through this crate.
//!
//! Knows nothing of series ids, files or queries.

mod bits;
mod merge;
mod varbit;
mod xor;
mod xor2;

pub use merge::{decode_into, merge_chunks, merge_into, merge_samples, sample_at};
pub use xor::{CHUNK_SAMPLES_MAX, XorAppender, XorIterator};
pub use xor2::{StartedSample, Xor2Appender, Xor2Iterator};

use bytes::Bytes;
use longhaul_model::{FloatHistogram, Labels, TimeRange};
use std::sync::Arc;

/// How a chunk's bytes are to be read (the encoding byte of a TSDB chunk; Prometheus `tsdb/chunkenc/chunk.go`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Encoding {
    /// Gorilla-compressed floats.
    Xor = 1,
    /// Integer native histograms.
    Histogram = 2,
    /// Float native histograms.
    FloatHistogram = 3,
    /// Floats with optional start timestamps.
    Xor2 = 4,
    /// Integer native histograms with start timestamps.
    HistogramSt = 5,
    /// Float native histograms with start timestamps.
    FloatHistogramSt = 6,
    /// Thanos' bundle of up to five aggregate chunks.
    ThanosAggregate = 0xff,
}

/// A sealed chunk: bytes of one encoding with the bounds of what they hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// How `data` is to be read.
    pub encoding: Encoding,
    /// Time of the first sample, ms.
    pub min_ms: i64,
    /// Time of the last sample, ms; inclusive, as in the TSDB index.
    pub max_ms: i64,
    /// The chunk's data: what stands between the encoding byte and the CRC in a segment.
    pub data: Bytes,
}

/// One series with its chunks: the currency between head, block, merge and engine.
///
/// Chunks may overlap and stand in any order of time; at equal timestamps **the later one in the list wins**. Whoever
/// joins sources appends them in rising precedence.
#[derive(Clone, Debug)]
pub struct SeriesChunks {
    /// The series' labels.
    pub labels: Labels,
    /// Its chunks, in rising precedence.
    pub chunks: Vec<Chunk>,
}

/// Decoded float samples as two columns of the same length, times strictly rising.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    /// Times, ms.
    pub t_ms: Vec<i64>,
    /// Values, to the bit as stored.
    pub values: Vec<f64>,
    /// Since when each counts, ms since the Unix epoch, 0 where that is not known. Empty if no sample has a start.
    pub start_ms: Vec<i64>,
}

/// Decoded samples of a series: floats and histograms apart. No time stands in both, and a later chunk wins over an
/// earlier one whatever the kinds of the two.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    /// The float samples.
    pub floats: Columns,
    /// The histograms.
    pub histograms: HistogramColumns,
}

/// Decoded histograms as columns of the same length, times strictly rising. Integer histograms come as float histograms:
/// queries compute with nothing else.
#[derive(Clone, Debug, Default)]
pub struct HistogramColumns {
    /// Times, ms.
    pub t_ms: Vec<i64>,
    /// Values; a stale marker is a histogram whose sum has the marker's bits.
    pub values: Vec<Arc<FloatHistogram>>,
    /// Since when each counts, ms since the Unix epoch, 0 where that is not known. Empty if no sample has a start.
    pub start_ms: Vec<i64>,
}

/// How many samples a chunk claims to hold, without decoding it.
pub fn sample_count(chunk: &Chunk) -> Result<u16, ChunkError> {
    match chunk.encoding {
        Encoding::Xor | Encoding::Xor2 | Encoding::Histogram | Encoding::FloatHistogram => count_of(&chunk.data),
        // These share their first two bits with the counter reset header.
        Encoding::HistogramSt | Encoding::FloatHistogramSt => Ok(count_of(&chunk.data)? & 0x3fff),
        Encoding::ThanosAggregate => Err(ChunkError::Unsupported(chunk.encoding.byte())),
    }
}

/// The count with which the data of all float chunks begins.
fn count_of(data: &[u8]) -> Result<u16, ChunkError> {
    let count = data.first_chunk().ok_or(ChunkError::Corrupt { at: data.len(), reason: "shorter than its header" })?;
    Ok(u16::from_be_bytes(*count))
}

impl Encoding {
    /// The encoding byte of a TSDB chunk.
    pub fn byte(self) -> u8 {
        self as u8
    }

    /// Whether the chunk holds plain floats, which this version can read.
    pub fn is_float(self) -> bool {
        matches!(self, Self::Xor | Self::Xor2)
    }
}

impl TryFrom<u8> for Encoding {
    type Error = ChunkError;

    fn try_from(byte: u8) -> Result<Self, ChunkError> {
        const ALL: [Encoding; 7] = [
            Encoding::Xor,
            Encoding::Histogram,
            Encoding::FloatHistogram,
            Encoding::Xor2,
            Encoding::HistogramSt,
            Encoding::FloatHistogramSt,
            Encoding::ThanosAggregate,
        ];
        ALL.into_iter().find(|encoding| encoding.byte() == byte).ok_or(ChunkError::Unsupported(byte))
    }
}

impl Samples {
    /// Lets all samples go and keeps the allocations.
    pub fn clear(&mut self) {
        self.floats.clear();
        self.histograms.t_ms.clear();
        self.histograms.values.clear();
        self.histograms.start_ms.clear();
    }
}

impl Columns {
    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.t_ms.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.t_ms.is_empty()
    }

    /// Appends a sample; its time must lie after the last one's.
    #[inline]
    pub fn push(&mut self, t_ms: i64, value: f64) {
        self.t_ms.push(t_ms);
        self.values.push(value);
    }

    /// Lets all samples go and keeps the allocations.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Keeps the first `len` samples.
    pub fn truncate(&mut self, len: usize) {
        self.t_ms.truncate(len);
        self.values.truncate(len);
    }

    /// Of the samples from index `begin` on keeps those in `range`.
    fn retain_range(&mut self, begin: usize, range: TimeRange) {
        let (Some(&first), Some(&last)) = (self.t_ms[begin..].first(), self.t_ms.last()) else { return };
        if range.contains(first) && range.contains(last) {
            return;
        }
        let times = &self.t_ms[begin..];
        let from = times.partition_point(|&t_ms| t_ms < range.start_ms);
        let to = times.partition_point(|&t_ms| t_ms < range.end_ms).max(from);
        self.truncate(begin + to);
        self.t_ms.drain(begin..begin + from);
        self.values.drain(begin..begin + from);
    }
}

/// Why a chunk cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// The bytes are not a chunk of their encoding.
    #[error("corrupt chunk at byte {at}: {reason}")]
    Corrupt {
        /// Byte offset in the chunk's data.
        at: usize,
        /// What was found.
        reason: &'static str,
    },
    /// An encoding that this version does not read.
    #[error("chunk encoding {0} is not supported")]
    Unsupported(u8),
}

#[cfg(test)]
mod tests;
