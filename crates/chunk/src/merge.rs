//! Several chunks of one series as one run of samples: for queries as columns, for block merges as chunks again.
//!
//! Everywhere the chunk that stands later in the list wins at equal times.

use crate::{Chunk, ChunkError, Columns, Encoding, Samples, XorAppender, XorIterator, xor, xor2};
use longhaul_model::{Sample, TimeRange};

/// Appends to `out` the samples of `chunk` that lie in `range`; times rise strictly. `out` is not cleared, and is as it
/// was after an error.
pub fn decode_into(chunk: &Chunk, range: TimeRange, out: &mut Columns) -> Result<(), ChunkError> {
    let begin = out.len();
    let decoded = match chunk.encoding {
        Encoding::Xor => xor::decode_all(&chunk.data, out),
        Encoding::Xor2 => xor2::decode_all(&chunk.data, out),
        unsupported => Err(ChunkError::Unsupported(unsupported.byte())),
    };
    if decoded.is_err() {
        out.truncate(begin);
        return decoded;
    }
    out.retain_range(begin, range);
    Ok(())
}

/// Appends to `out` the samples of `chunks` that lie in `range`, merged: rising times, one sample a time, the later
/// chunk in the list winning. `out` is not cleared, and is as it was after an error; its last time must lie before the
/// first that is appended.
pub fn merge_into(chunks: &[Chunk], range: TimeRange, out: &mut Columns) -> Result<(), ChunkError> {
    let begin = out.len();
    let merged = match concatenate(chunks, range, out) {
        Ok(true) => Ok(()),
        Ok(false) => {
            out.truncate(begin);
            sort(chunks, range, out)
        }
        Err(error) => Err(error),
    };
    if merged.is_err() {
        out.truncate(begin);
    }
    merged
}

/// [`merge_into`] for chunks of floats and of histograms.
pub fn merge_samples(chunks: &[Chunk], range: TimeRange, out: &mut Samples) -> Result<(), ChunkError> {
    merge_into(chunks, range, &mut out.floats)
}

/// The value at exactly `t_ms`, decoding no further than needed.
pub fn sample_at(chunks: &[Chunk], t_ms: i64) -> Result<Option<f64>, ChunkError> {
    for chunk in chunks.iter().rev().filter(|chunk| chunk.min_ms <= t_ms && t_ms <= chunk.max_ms) {
        if let Some(value) = match chunk.encoding {
            Encoding::Xor => find(XorIterator::new(&chunk.data)?, t_ms)?,
            Encoding::Xor2 => find(xor2::Xor2Iterator::new(&chunk.data)?.map(|item| item.map(|it| it.sample)), t_ms)?,
            unsupported => return Err(ChunkError::Unsupported(unsupported.byte())),
        } {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// The same samples in chunks that overlap nowhere, in order of time.
///
/// A chunk that overlaps no other is passed on as it is, whatever its encoding. What overlaps is decoded, merged and
/// written again as XOR, at most `samples_per_chunk_max` (at least 1) a chunk; start timestamps are lost there.
pub fn merge_chunks(mut chunks: Vec<Chunk>, samples_per_chunk_max: u16) -> Result<Vec<Chunk>, ChunkError> {
    if disjoint_in_order(&chunks) {
        return Ok(chunks);
    }
    // Sorting is stable: among equal bounds the precedence remains.
    let mut ranked: Vec<(usize, Chunk)> = chunks.drain(..).enumerate().collect();
    ranked.sort_by_key(|(_, chunk)| (chunk.min_ms, chunk.max_ms));
    // The same chunk twice, as two uploads of one block have it, is no overlap.
    ranked.dedup_by(|(rank, later), (kept_rank, kept)| {
        let same = later == kept;
        if same {
            *kept_rank = (*kept_rank).max(*rank);
        }
        same
    });
    let mut rest = ranked.into_iter().peekable();
    while let Some((rank, first)) = rest.next() {
        let mut max_ms = first.max_ms;
        let mut run = vec![(rank, first)];
        while let Some(next) = rest.next_if(|(_, chunk)| chunk.min_ms <= max_ms) {
            max_ms = max_ms.max(next.1.max_ms);
            run.push(next);
        }
        run.sort_by_key(|&(rank, _)| rank);
        let run: Vec<Chunk> = run.into_iter().map(|(_, chunk)| chunk).collect();
        if run.len() == 1 {
            chunks.extend(run);
        } else {
            let mut columns = Columns::default();
            sort(&run, TimeRange::ALL, &mut columns)?;
            encode(&columns, samples_per_chunk_max, &mut chunks);
        }
    }
    Ok(chunks)
}

/// Appends `columns` to `chunks` as XOR chunks of about the same count of samples.
fn encode(columns: &Columns, samples_per_chunk_max: u16, chunks: &mut Vec<Chunk>) {
    let samples = columns.len();
    let parts = samples.div_ceil(usize::from(samples_per_chunk_max.max(1)));
    for part in 0..parts {
        let mut chunk = XorAppender::new();
        for at in samples * part / parts..samples * (part + 1) / parts {
            chunk.append(columns.t_ms[at], columns.values[at]);
        }
        chunks.push(chunk.seal());
    }
}

/// Decodes chunk after chunk, the cheap way for what needs no merging. False, with something in `out`, if the times do
/// not rise from chunk to chunk.
fn concatenate(chunks: &[Chunk], range: TimeRange, out: &mut Columns) -> Result<bool, ChunkError> {
    let begin = out.len();
    let mut max_ms = None;
    for chunk in chunks.iter().filter(|chunk| overlaps(chunk, range)) {
        if max_ms.is_some_and(|max_ms| chunk.min_ms <= max_ms) {
            return Ok(false);
        }
        max_ms = Some(chunk.max_ms);
        let seam = out.len();
        decode_into(chunk, range, out)?;
        // The bounds come from an index that may be wrong about them.
        if begin < seam && seam < out.len() && out.t_ms[seam] <= out.t_ms[seam - 1] {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Decodes all chunks and sorts what comes out; stable, so that of equal times the last is the one that wins.
fn sort(chunks: &[Chunk], range: TimeRange, out: &mut Columns) -> Result<(), ChunkError> {
    let mut decoded = Columns::default();
    let mut samples = Vec::new();
    for chunk in chunks.iter().filter(|chunk| overlaps(chunk, range)) {
        decoded.clear();
        decode_into(chunk, range, &mut decoded)?;
        samples.extend(decoded.t_ms.iter().copied().zip(decoded.values.iter().copied()));
    }
    samples.sort_by_key(|&(t_ms, _)| t_ms);
    for (at, &(t_ms, value)) in samples.iter().enumerate() {
        if samples.get(at + 1).is_none_or(|next| next.0 != t_ms) {
            out.push(t_ms, value);
        }
    }
    Ok(())
}

fn disjoint_in_order(chunks: &[Chunk]) -> bool {
    chunks.windows(2).all(|pair| pair[0].max_ms < pair[1].min_ms)
}

fn overlaps(chunk: &Chunk, range: TimeRange) -> bool {
    chunk.min_ms < range.end_ms && range.start_ms <= chunk.max_ms
}

fn find(samples: impl Iterator<Item = Result<Sample, ChunkError>>, t_ms: i64) -> Result<Option<f64>, ChunkError> {
    for sample in samples {
        let sample = sample?;
        if sample.t_ms >= t_ms {
            return Ok((sample.t_ms == t_ms).then_some(sample.value));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
