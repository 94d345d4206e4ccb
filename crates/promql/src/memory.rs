//! A source that holds its series in memory: for tests, benchmarks and tools.

use crate::source::{SelectRequest, SeriesSet, SeriesSource, SourceError};
use async_trait::async_trait;
use longhaul_chunk::{SeriesChunks, XorAppender, encode};
use longhaul_model::{Labels, Measurement, Sample};
use std::sync::Arc;

/// Samples in a chunk at most, as in a head.
const CHUNK_SAMPLES: usize = 120;

/// Series in label order.
#[derive(Clone, Debug)]
pub struct MemorySource {
    series: Arc<Vec<SeriesChunks>>,
    batch_series: usize,
}

impl MemorySource {
    /// Holds these series; they need not be sorted, but each stands there once.
    pub fn new(mut series: Vec<SeriesChunks>) -> Self {
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Self { series: Arc::new(series), batch_series: 256 }
    }

    /// Encodes samples (rising times) in chunks.
    pub fn from_samples<'a>(series: impl IntoIterator<Item = (Labels, &'a [Sample])>) -> Self {
        let chunks = |samples: &[Sample]| {
            let seal = |run: &[Sample]| {
                let mut chunk = XorAppender::new();
                run.iter().for_each(|sample| chunk.append(sample.t_ms, sample.value));
                chunk.seal()
            };
            samples.chunks(CHUNK_SAMPLES).map(seal).collect()
        };
        let all = series.into_iter().map(|(labels, samples)| SeriesChunks { labels, chunks: chunks(samples) });
        Self::new(all.collect())
    }

    /// The same for samples of any kind, which may have start timestamps; a series may have changed its kind.
    pub fn from_measurements<'a>(series: impl IntoIterator<Item = (Labels, &'a [Measurement])>) -> Self {
        let chunks = |samples: &[Measurement]| {
            let mut chunks = Vec::new();
            encode(samples.iter().cloned(), CHUNK_SAMPLES as u16, &mut chunks);
            chunks
        };
        let all = series.into_iter().map(|(labels, samples)| SeriesChunks { labels, chunks: chunks(samples) });
        Self::new(all.collect())
    }

    /// Delivers so many series at once.
    pub fn with_batches_of(self, batch_series: usize) -> Self {
        Self { batch_series: batch_series.max(1), ..self }
    }
}

#[async_trait]
impl SeriesSource for MemorySource {
    async fn select(&self, request: &SelectRequest) -> Result<Box<dyn SeriesSet>, SourceError> {
        let (first_ms, end_ms) = (request.range.start_ms, request.range.end_ms);
        let matches = |labels: &Labels| {
            request.matchers.iter().all(|matcher| matcher.matches(labels.get(&matcher.name).unwrap_or("")))
        };
        let selected = self.series.iter().filter(|series| matches(&series.labels)).filter_map(|series| {
            let inside = series.chunks.iter().filter(|chunk| chunk.max_ms >= first_ms && chunk.min_ms < end_ms);
            let chunks: Vec<_> = inside.cloned().collect();
            (!chunks.is_empty()).then(|| SeriesChunks { labels: series.labels.clone(), chunks })
        });
        let selected: Vec<_> = selected.collect();
        Ok(Box::new(MemorySet { rest: selected.into_iter(), batch_series: self.batch_series }))
    }
}

struct MemorySet {
    rest: std::vec::IntoIter<SeriesChunks>,
    batch_series: usize,
}

#[async_trait]
impl SeriesSet for MemorySet {
    async fn next_batch(&mut self) -> Result<Option<Vec<SeriesChunks>>, SourceError> {
        let batch: Vec<_> = self.rest.by_ref().take(self.batch_series).collect();
        Ok((!batch.is_empty()).then_some(batch))
    }
}
