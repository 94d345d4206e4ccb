//! Compressed runs of samples of one series: encode, iterate, merge.
//!
//! Layer 1: pure functions over bytes. The head appends to an open XOR chunk, blocks store sealed ones, the engine
//! decodes them into columns; all of them through this crate.
//!
//! Knows nothing of series ids, files or queries.

use bytes::Bytes;
use longhaul_model::{Labels, TimeRange};

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
}

/// Appends to `out` the samples of `chunks` that lie in `range`, merged: rising times, one sample a time, the later
/// chunk in the list winning. `out` is not cleared; its last time must lie before the first that is appended.
pub fn merge_into(chunks: &[Chunk], range: TimeRange, out: &mut Columns) -> Result<(), ChunkError> {
    let _ = (chunks, range, out);
    Err(ChunkError::Corrupt { at: 0, reason: "not written yet" })
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
