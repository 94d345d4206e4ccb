//! Encoding 0xff: Thanos' five aggregates of a downsampled series, as it writes and reads them (`pkg/compact/downsample`).
//!
//! A chunk of chunks: count, sum, min, max and counter, each of XOR or of histograms, each of which may be missing. Windows
//! are [k*r, (k+1)*r) there, right-open; NaN and stale markers count for nothing. What queries of ours read is not this.
//!
//! Invariant: a counter's chunk holds its first value, the corrected value at the end of each window, and last, at the time of
//! the one before, the value as it was measured: from there the next chunk goes on.

mod counter;
mod downsample;

pub use counter::{CounterSamples, apply_resets};
pub use downsample::{AggregateSamples, downsample_aggregates, downsample_floats};

use crate::{Chunk, ChunkError, Encoding, XorAppender, XorIterator};
use bytes::Bytes;
use longhaul_model::Sample;

/// What a chunk of aggregates holds; also its place in the chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Aggregate {
    /// How many samples there are.
    Count,
    /// Their sum.
    Sum,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The value of a counter.
    Counter,
}

/// Bytes of the longest varint.
const VARINT_BYTES_MAX: u32 = 10;

impl Aggregate {
    /// All of them in their order.
    pub const ALL: [Self; 5] = [Self::Count, Self::Sum, Self::Min, Self::Max, Self::Counter];

    /// Its name, for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Min => "min",
            Self::Max => "max",
            Self::Counter => "counter",
        }
    }
}

/// The chunks within a chunk of aggregates, by their places; None for those that are missing. They have the bounds of the
/// whole.
pub fn unpack(chunk: &Chunk) -> Result<[Option<Chunk>; 5], ChunkError> {
    if chunk.encoding != Encoding::ThanosAggregate {
        return Err(ChunkError::Unsupported(chunk.encoding.byte()));
    }
    let (mut at, mut parts) = (0, [const { None }; 5]);
    for part in &mut parts {
        let length = take_length(&chunk.data, &mut at)?;
        if length == 0 {
            continue;
        }
        let corrupt = ChunkError::Corrupt { at, reason: "an aggregate reaches beyond its chunk" };
        // The length does not count the byte of the encoding.
        let end = at.checked_add(1).and_then(|begin| begin.checked_add(length)).filter(|end| *end <= chunk.data.len());
        let end = end.ok_or(corrupt)?;
        let encoding = Encoding::try_from(chunk.data[at])?;
        let data = chunk.data.slice(at + 1..end);
        *part = Some(Chunk { encoding, min_ms: chunk.min_ms, max_ms: chunk.max_ms, data });
        at = end;
    }
    if at < chunk.data.len() {
        return Err(ChunkError::Corrupt { at, reason: "bytes are left over behind the aggregates" });
    }
    Ok(parts)
}

fn take_length(data: &[u8], at: &mut usize) -> Result<usize, ChunkError> {
    let begin = *at;
    let mut length = 0u64;
    for shift in (0..7 * VARINT_BYTES_MAX).step_by(7) {
        let byte = *data.get(*at).ok_or(ChunkError::Corrupt { at: *at, reason: "an aggregate is missing" })?;
        *at += 1;
        length |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte < 0x80 {
            return usize::try_from(length)
                .map_err(|_| ChunkError::Corrupt { at: begin, reason: "an aggregate is too long" });
        }
    }
    Err(ChunkError::Corrupt { at: begin, reason: "a varint is longer than 64 bits" })
}

/// Packs aggregates of floats: five chunks of XOR, none missing, though any may be empty. The bounds are those of `bounds`,
/// ms, inclusive.
pub fn pack(samples: &AggregateSamples, bounds: (i64, i64)) -> Chunk {
    let mut data = Vec::new();
    for aggregate in Aggregate::ALL {
        let part = append_all(samples.of(aggregate));
        let mut length = part.len() as u64;
        while length >= 0x80 {
            data.push(length as u8 | 0x80);
            length >>= 7;
        }
        data.push(length as u8);
        data.push(Encoding::Xor.byte());
        data.extend_from_slice(&part);
    }
    Chunk { encoding: Encoding::ThanosAggregate, min_ms: bounds.0, max_ms: bounds.1, data: data.into() }
}

/// A chunk of XOR whose times may stand still, as that of a counter does at its end.
fn append_all(samples: &[Sample]) -> Bytes {
    let mut chunk = XorAppender::new();
    samples.iter().for_each(|sample| chunk.append_any(sample.t_ms, sample.value));
    chunk.seal().data
}

/// The samples of an aggregate of floats. Stale markers and samples whose time goes back are left out, equal times stay, as
/// Thanos reads it (`ExpandChunkIterator`).
pub fn expand(chunk: &Chunk, out: &mut Vec<Sample>) -> Result<(), ChunkError> {
    let begin = out.len();
    let expanded = match chunk.encoding {
        Encoding::Xor => expand_all(&chunk.data, out),
        other => Err(ChunkError::Unsupported(other.byte())),
    };
    if expanded.is_err() {
        out.truncate(begin);
    }
    expanded
}

fn expand_all(data: &[u8], out: &mut Vec<Sample>) -> Result<(), ChunkError> {
    let mut last_ms = i64::MIN;
    for sample in XorIterator::in_any_order(data)? {
        let sample = sample?;
        if !longhaul_model::is_stale(sample.value) && sample.t_ms >= last_ms {
            last_ms = sample.t_ms;
            out.push(sample);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
