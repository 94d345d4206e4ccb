//! Merged samples as chunks again, cut as Prometheus cuts them.

use crate::windows::WindowPlan;
use crate::{Chunk, Columns, HistogramAppender, HistogramRef, xor, xor2};
use longhaul_model::{Measurement, Value};

/// Appends `samples`, by rising time, to `chunks`, at most `samples_per_chunk_max` (at least 1) a chunk.
pub fn encode(samples: impl IntoIterator<Item = Measurement>, samples_per_chunk_max: u16, chunks: &mut Vec<Chunk>) {
    let (mut floats, mut packer) = (Columns::default(), FloatPacker::default());
    let mut open: Option<HistogramAppender> = None;
    for sample in samples {
        if let Value::Float(value) = sample.value {
            chunks.extend(open.take().map(HistogramAppender::seal));
            floats.push_started(sample.start_ms, sample.t_ms, value);
        } else if let Some(histogram) = HistogramRef::of(&sample.value) {
            packer.pack(&floats, samples_per_chunk_max, chunks);
            floats.clear();
            let chunk = open.take();
            open = Some(append(chunk, sample.start_ms, sample.t_ms, histogram, samples_per_chunk_max, chunks));
        }
    }
    packer.pack(&floats, samples_per_chunk_max, chunks);
    chunks.extend(open.map(HistogramAppender::seal));
}

/// Appends a histogram to the open chunk, or to one that follows it; returns what is open then.
fn append(
    open: Option<HistogramAppender>,
    start_ms: i64,
    t_ms: i64,
    histogram: HistogramRef<'_>,
    samples_per_chunk_max: u16,
    chunks: &mut Vec<Chunk>,
) -> HistogramAppender {
    let Some(mut chunk) = open else { return HistogramAppender::first(start_ms, t_ms, histogram) };
    let full = chunk.is_full() || chunk.samples() >= samples_per_chunk_max;
    if full || chunk.append(start_ms, t_ms, histogram).is_err() {
        let next = chunk.next(start_ms, t_ms, histogram);
        chunks.push(std::mem::replace(&mut chunk, next).seal());
    }
    chunk
}

/// Writes floats that are all known as chunks. Its buffers live from series to series.
#[derive(Debug, Default)]
pub struct FloatPacker {
    plan: WindowPlan,
}

impl FloatPacker {
    /// Appends `columns` to `chunks` as chunks of about the same count of samples, at most `samples_per_chunk_max` (at least
    /// 1): XOR, or XOR2 if there are starts; in the fewest bits (docs/decisions/0006).
    pub fn pack(&mut self, columns: &Columns, samples_per_chunk_max: u16, chunks: &mut Vec<Chunk>) {
        let samples = columns.len();
        let parts = samples.div_ceil(usize::from(samples_per_chunk_max.max(1)));
        for part in 0..parts {
            let part = samples * part / parts..samples * (part + 1) / parts;
            let (t_ms, values) = (&columns.t_ms[part.clone()], &columns.values[part.clone()]);
            chunks.push(match columns.start_ms.get(part) {
                None => xor::pack(t_ms, values, &mut self.plan),
                Some(start_ms) => xor2::pack(start_ms, t_ms, values, &mut self.plan),
            });
        }
    }
}
