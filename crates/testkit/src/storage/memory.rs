//! Plain chunks in memory.

use super::Storage;
use crate::dataset::Dataset;
use longhaul_chunk::{Chunk, SeriesChunks, Xor2Appender, XorAppender};
use longhaul_model::Measurement;
use longhaul_model::measurement::Value;
use longhaul_promql::memory::MemorySource;
use longhaul_promql::source::SeriesSource;
use std::sync::Arc;

/// Samples in one chunk at most, as in a head.
const CHUNK_SAMPLES_MAX: usize = 120;

/// Chunks in memory, without any storage engine.
#[derive(Clone, Copy, Debug)]
pub struct MemoryStorage;

impl Storage for MemoryStorage {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn store(&self, data: &Dataset) -> Result<Arc<dyn SeriesSource>, String> {
        let series = data
            .series()
            .map(|(labels, samples)| Ok(SeriesChunks { labels: labels.clone(), chunks: chunks(samples)? }));
        Ok(Arc::new(MemorySource::new(series.collect::<Result<_, String>>()?)))
    }
}

/// The samples of a series as chunks.
fn chunks(samples: &[Measurement]) -> Result<Vec<Chunk>, String> {
    samples.chunks(CHUNK_SAMPLES_MAX).map(floats).collect()
}

fn floats(samples: &[Measurement]) -> Result<Chunk, String> {
    let number = |sample: &Measurement| match sample.value {
        Value::Float(value) => Ok(value),
        _ => Err("histograms cannot be stored yet".to_owned()),
    };
    if samples.iter().all(|sample| sample.start_ms == 0) {
        let mut chunk = XorAppender::new();
        for sample in samples {
            chunk.append(sample.t_ms, number(sample)?);
        }
        return Ok(chunk.seal());
    }
    let mut chunk = Xor2Appender::new();
    for sample in samples {
        chunk.append(sample.start_ms, sample.t_ms, number(sample)?);
    }
    Ok(chunk.seal())
}
