//! Compressed runs of samples of one series: encode, iterate, merge.
//!
//! Layer 1: pure functions over bytes. The head appends to open chunks of floats and of histograms, blocks store sealed
//! ones, the engine decodes them into columns; all of them through this crate.
//!
//! Knows nothing of series ids, files or queries.

pub mod aggregate;
mod bits;
mod columns;
mod histogram;
mod measurements;
mod merge;
mod starts;
mod varbit;
mod windows;
mod xor;
mod xor2;

pub use bits::{BitReader, BitWriter};
pub use columns::{Columns, HistogramColumns, SampleColumns, Samples};
pub use histogram::{
    HISTOGRAM_CHUNK_BYTES, HISTOGRAM_CHUNK_SAMPLES_MIN, HistogramAppender, HistogramIterator, HistogramRef, NextChunk,
};
pub use measurements::{decode_any, measurement_at, measurement_in, reset_hint};
pub use merge::{FloatPacker, decode_histograms_into, decode_into, encode, merge_chunks, merge_into, merge_samples};
pub use xor::{CHUNK_SAMPLES_MAX, XorAppender, XorIterator};
pub use xor2::{StartedSample, Xor2Appender, Xor2Iterator};

use bytes::Bytes;
use longhaul_model::Labels;

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

/// How many samples a chunk claims to hold, without decoding it.
pub fn sample_count(chunk: &Chunk) -> Result<u16, ChunkError> {
    match chunk.encoding {
        Encoding::Xor | Encoding::Xor2 | Encoding::Histogram | Encoding::FloatHistogram => count_of(&chunk.data),
        Encoding::HistogramSt | Encoding::FloatHistogramSt => histogram::count_of_started(&chunk.data),
        Encoding::ThanosAggregate => Err(ChunkError::Unsupported(chunk.encoding.byte())),
    }
}

/// The count with which the data of all chunks begins but those of aggregates; in two encodings its upper bits mean more.
fn count_of(data: &[u8]) -> Result<u16, ChunkError> {
    let count = data.first_chunk().ok_or(ChunkError::Corrupt { at: data.len(), reason: "shorter than its header" })?;
    Ok(u16::from_be_bytes(*count))
}

impl Encoding {
    /// The encoding byte of a TSDB chunk.
    pub fn byte(self) -> u8 {
        self as u8
    }

    /// Whether the chunk holds plain floats.
    pub fn is_float(self) -> bool {
        matches!(self, Self::Xor | Self::Xor2)
    }

    /// Whether the chunk holds native histograms, integer or float.
    pub fn is_histogram(self) -> bool {
        matches!(self, Self::Histogram | Self::FloatHistogram | Self::HistogramSt | Self::FloatHistogramSt)
    }

    /// Whether the chunk can hold start timestamps.
    pub fn has_starts(self) -> bool {
        matches!(self, Self::Xor2 | Self::HistogramSt | Self::FloatHistogramSt)
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
