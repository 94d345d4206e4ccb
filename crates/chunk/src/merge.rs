//! Several chunks of one series as one run of samples: for queries as columns, for block merges as chunks again.
//!
//! Everywhere the chunk that stands later in the list wins at equal times, whether the two hold floats or histograms.

mod encode;
mod gather;

use crate::{Chunk, ChunkError, Columns, Encoding, HistogramColumns, HistogramIterator, Samples, histogram, xor, xor2};
pub use encode::{FloatPacker, encode};
use gather::Gathered;
use longhaul_model::{CounterResetHint, Measurement, TimeRange, Value};
use smallvec::SmallVec;
use std::sync::Arc;

/// Appends to `out` the samples of a chunk of floats that lie in `range`; times rise strictly. `out` is not cleared, and
/// is as it was after an error; a chunk of anything else is [`ChunkError::Unsupported`].
pub fn decode_into(chunk: &Chunk, range: TimeRange, out: &mut Columns) -> Result<(), ChunkError> {
    let mark = out.mark();
    let decoded = match chunk.encoding {
        Encoding::Xor => xor::decode_all(&chunk.data, out),
        Encoding::Xor2 => xor2::decode_all(&chunk.data, out),
        unsupported => Err(ChunkError::Unsupported(unsupported.byte())),
    };
    if decoded.is_err() {
        out.rewind(mark);
        return decoded;
    }
    out.retain_range(mark, range);
    Ok(())
}

/// [`decode_into`] for a chunk of histograms.
pub fn decode_histograms_into(chunk: &Chunk, range: TimeRange, out: &mut HistogramColumns) -> Result<(), ChunkError> {
    let mark = out.mark();
    let decoded = histogram::decode_all(chunk.encoding, &chunk.data, out);
    if decoded.is_err() {
        out.rewind(mark);
        return decoded;
    }
    out.retain_range(mark, range);
    Ok(())
}

/// [`merge_samples`] for chunks of floats alone; any other is [`ChunkError::Unsupported`].
pub fn merge_into(chunks: &[Chunk], range: TimeRange, out: &mut Columns) -> Result<(), ChunkError> {
    if let Some(other) = chunks.iter().find(|chunk| overlaps(chunk, range) && !chunk.encoding.is_float()) {
        return Err(ChunkError::Unsupported(other.encoding.byte()));
    }
    let mut samples = Samples { floats: std::mem::take(out), ..Samples::default() };
    let merged = merge_samples(chunks, range, &mut samples);
    *out = samples.floats;
    merged
}

/// Appends to `out` the samples of `chunks` that lie in `range`, merged: rising times, one sample a time, the later
/// chunk in the list winning. `out` is not cleared, and is as it was after an error; its last times must lie before the
/// first that is appended.
pub fn merge_samples(chunks: &[Chunk], range: TimeRange, out: &mut Samples) -> Result<(), ChunkError> {
    let marks = (out.floats.mark(), out.histograms.mark());
    let rewind = |out: &mut Samples| {
        out.floats.rewind(marks.0);
        out.histograms.rewind(marks.1);
    };
    let merged = match concatenate(chunks, range, out) {
        Ok(true) => Ok(()),
        Ok(false) => {
            rewind(out);
            sort(chunks, range, out)
        }
        Err(error) => Err(error),
    };
    if merged.is_err() {
        rewind(out);
    }
    merged
}

/// The same samples in chunks that overlap nowhere, in order of time.
///
/// A chunk that overlaps no other is passed on as it is, whatever its encoding. What overlaps is decoded, merged and
/// written again, at most `samples_per_chunk_max` (at least 1) a chunk: floats as XOR, or as XOR2 if they have starts,
/// histograms as they were, integer or float.
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
            merge_run(&run, samples_per_chunk_max, &mut chunks)?;
        }
    }
    Ok(chunks)
}

/// Appends to `merged` the samples of chunks that overlap.
fn merge_run(run: &[Chunk], samples_per_chunk_max: u16, merged: &mut Vec<Chunk>) -> Result<(), ChunkError> {
    let mut columns = Columns::default();
    if run.iter().all(|chunk| chunk.encoding == Encoding::Xor) {
        sort_floats(run, TimeRange::ALL, &mut columns)?;
        FloatPacker::default().pack(&columns, samples_per_chunk_max, merged);
        return Ok(());
    }
    let mut gathered = Gathered::default();
    for chunk in run {
        if chunk.encoding.is_float() {
            columns.clear();
            decode_into(chunk, TimeRange::ALL, &mut columns)?;
            gathered.push_floats(&columns);
            continue;
        }
        let samples = HistogramIterator::new(chunk)?;
        let header = samples.reset_hint();
        for (at, sample) in samples.enumerate() {
            let mut sample = sample?;
            if at == 0 && header == CounterResetHint::Reset {
                // The sender may have said so, and then comparing would not find it out.
                set_reset_hint(&mut sample.value, header);
            }
            gathered.push(sample);
        }
        gathered.end_chunk();
    }
    encode(gathered.merged().map(|it| it.sample), samples_per_chunk_max, merged);
    Ok(())
}

fn set_reset_hint(value: &mut Value, hint: CounterResetHint) {
    match value {
        Value::Float(_) => {}
        Value::Histogram(histogram) => Arc::make_mut(histogram).reset_hint = hint,
        Value::FloatHistogram(histogram) => Arc::make_mut(histogram).reset_hint = hint,
    }
}

/// Decodes chunk after chunk in order of time, the cheap way for what needs no merging. False, with something in `out`, if
/// some overlap.
fn concatenate(chunks: &[Chunk], range: TimeRange, out: &mut Samples) -> Result<bool, ChunkError> {
    let mut ordered: SmallVec<[&Chunk; 8]> = chunks.iter().filter(|chunk| overlaps(chunk, range)).collect();
    // Blocks come in the order of their precedence, which need not be that of time.
    ordered.sort_by_key(|chunk| chunk.min_ms);
    let mut max_ms = None;
    let mut last_ms = None;
    for chunk in ordered {
        if max_ms.is_some_and(|max_ms| chunk.min_ms <= max_ms) {
            return Ok(false);
        }
        max_ms = Some(chunk.max_ms);
        let decoded = if chunk.encoding.is_float() {
            let seam = out.floats.len();
            decode_into(chunk, range, &mut out.floats)?;
            &out.floats.t_ms[seam..]
        } else {
            let seam = out.histograms.len();
            decode_histograms_into(chunk, range, &mut out.histograms)?;
            &out.histograms.t_ms[seam..]
        };
        // The bounds come from an index that may be wrong about them.
        if decoded.first().is_some_and(|first_ms| last_ms.is_some_and(|last_ms| *first_ms <= last_ms)) {
            return Ok(false);
        }
        last_ms = decoded.last().copied().or(last_ms);
    }
    Ok(true)
}

/// Decodes all chunks and sorts what comes out.
fn sort(chunks: &[Chunk], range: TimeRange, out: &mut Samples) -> Result<(), ChunkError> {
    if chunks.iter().all(|chunk| chunk.encoding == Encoding::Xor) {
        return sort_floats(chunks, range, &mut out.floats);
    }
    let mut gathered = Gathered::default();
    let mut decoded = Samples::default();
    for chunk in chunks.iter().filter(|chunk| overlaps(chunk, range)) {
        decoded.clear();
        if chunk.encoding.is_float() {
            decode_into(chunk, range, &mut decoded.floats)?;
            gathered.push_floats(&decoded.floats);
            continue;
        }
        decode_histograms_into(chunk, range, &mut decoded.histograms)?;
        let HistogramColumns { t_ms, values, start_ms } = &mut decoded.histograms;
        for (at, (t_ms, value)) in t_ms.iter().zip(values.drain(..)).enumerate() {
            let start_ms = start_ms.get(at).copied().unwrap_or(0);
            gathered.push(Measurement { t_ms: *t_ms, start_ms, value: Value::FloatHistogram(value) });
        }
        gathered.end_chunk();
    }
    for it in gathered.merged() {
        let Measurement { t_ms, start_ms, value } = it.sample;
        match value {
            Value::Float(value) => out.floats.push_started(start_ms, t_ms, value),
            Value::Histogram(_) => unreachable!("columns hold float histograms"),
            Value::FloatHistogram(mut value) => {
                if !it.follows && value.reset_hint == CounterResetHint::NotReset {
                    Arc::make_mut(&mut value).reset_hint = CounterResetHint::Unknown;
                }
                out.histograms.push_started(start_ms, t_ms, value);
            }
        }
    }
    Ok(())
}

/// [`sort`] for XOR chunks alone, which are most: times and values are all there is.
fn sort_floats(chunks: &[Chunk], range: TimeRange, out: &mut Columns) -> Result<(), ChunkError> {
    let mut decoded = Columns::default();
    let mut samples = Vec::new();
    for chunk in chunks.iter().filter(|chunk| overlaps(chunk, range)) {
        decoded.clear();
        decode_into(chunk, range, &mut decoded)?;
        samples.extend(decoded.t_ms.iter().copied().zip(decoded.values.iter().copied()));
    }
    samples.sort_by_key(|&(t_ms, _)| t_ms); // stable: of equal times the last is the one that wins
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

#[cfg(test)]
mod tests;
