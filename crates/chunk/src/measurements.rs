//! Chunks of any encoding as the samples that were put in: a histogram of whole counts stays one.

use crate::{Chunk, ChunkError, Encoding, HistogramIterator, Xor2Iterator, XorIterator};
use longhaul_model::{CounterResetHint, Measurement, Sample};

/// Appends all samples of `chunk` to `out`; times rise strictly. After an error `out` is as it was.
pub fn decode_any(chunk: &Chunk, out: &mut Vec<Measurement>) -> Result<(), ChunkError> {
    let begin = out.len();
    let decoded = each(chunk.encoding, &chunk.data, |sample| {
        out.push(sample);
        true
    });
    if decoded.is_err() {
        out.truncate(begin);
    }
    decoded
}

/// What was measured at exactly `t_ms`, of several chunks the later one winning. Decodes no further than needed.
pub fn measurement_at(chunks: &[Chunk], t_ms: i64) -> Result<Option<Measurement>, ChunkError> {
    for chunk in chunks.iter().rev().filter(|chunk| chunk.min_ms <= t_ms && t_ms <= chunk.max_ms) {
        if let Some(found) = measurement_in(chunk.encoding, &chunk.data, t_ms)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// [`measurement_at`] for the data of one chunk.
pub fn measurement_in(encoding: Encoding, data: &[u8], t_ms: i64) -> Result<Option<Measurement>, ChunkError> {
    match encoding {
        // Most chunks by far, and a sample that comes again has to look for itself.
        Encoding::Xor => {
            let reached = |sample: &Result<Sample, ChunkError>| sample.as_ref().map_or(true, |it| it.t_ms >= t_ms);
            let found = XorIterator::new(data)?.find(reached).transpose()?;
            Ok(found.filter(|it| it.t_ms == t_ms).map(Measurement::from))
        }
        _ => {
            let mut found = None;
            each(encoding, data, |sample| {
                let before = sample.t_ms < t_ms;
                found = (sample.t_ms == t_ms).then_some(sample);
                before
            })?;
            Ok(found)
        }
    }
}

/// What the header of a histogram chunk says of how it follows the chunk before it; None of other chunks.
pub fn reset_hint(chunk: &Chunk) -> Option<CounterResetHint> {
    let samples = if chunk.encoding.is_histogram() { HistogramIterator::new(chunk).ok() } else { None };
    samples.map(|samples| samples.reset_hint())
}

/// Calls `visit` with sample after sample, as long as it says true.
fn each(encoding: Encoding, data: &[u8], visit: impl FnMut(Measurement) -> bool) -> Result<(), ChunkError> {
    match encoding {
        Encoding::Xor => all(XorIterator::new(data)?.map(|sample| sample.map(Measurement::from)), visit),
        Encoding::Xor2 => {
            let samples = Xor2Iterator::new(data)?
                .map(|sample| sample.map(|it| Measurement { start_ms: it.start_ms, ..it.sample.into() }));
            all(samples, visit)
        }
        _ => all(HistogramIterator::open(encoding, data)?, visit),
    }
}

fn all(
    samples: impl Iterator<Item = Result<Measurement, ChunkError>>,
    mut visit: impl FnMut(Measurement) -> bool,
) -> Result<(), ChunkError> {
    for sample in samples {
        if !visit(sample?) {
            break;
        }
    }
    Ok(())
}
