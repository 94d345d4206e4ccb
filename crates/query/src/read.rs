//! The series of a selection with everything that they hold of a range: as samples, or as chunks. What remote read hands
//! out.

use crate::view::{TenantSource, blocking};
use longhaul_chunk::{Chunk, ChunkError, SeriesChunks, decode_any, encode, merge_chunks, sample_count};
use longhaul_model::{Labels, Matcher, Measurement, TimeRange};
use longhaul_promql::source::{SelectRequest, SeriesSet, SeriesSource};
use longhaul_promql::{Budget, QueryError};

/// Samples of a chunk that is written anew, because another one overlaps it or part of it lies outside of the range:
/// as many as chunks of the head have.
const CHUNK_SAMPLES: u16 = 120;

/// The answer to a selection, read batch by batch in label order.
pub struct Reader {
    set: Box<dyn SeriesSet>,
    range: TimeRange,
    budget: Budget,
}

/// A series with its samples, stale markers among them, in order of time.
#[derive(Clone, Debug)]
pub struct SeriesSamples {
    /// Which series.
    pub labels: Labels,
    /// Its samples.
    pub samples: Vec<Measurement>,
}

impl TenantSource {
    /// Selects series. All that is read is counted on `budget`.
    pub async fn read(&self, matchers: Vec<Matcher>, range: TimeRange, budget: &Budget) -> Result<Reader, QueryError> {
        let set = self.select(&SelectRequest::all(matchers, range)).await?;
        Ok(Reader { set, range, budget: budget.clone() })
    }
}

impl Reader {
    /// The next series, with chunks in order of time that overlap nowhere and hold nothing outside of the range; None when
    /// there are no more. Of series without samples there is none.
    pub async fn next_chunks(&mut self) -> Result<Option<Vec<SeriesChunks>>, QueryError> {
        let range = self.range;
        self.next(move |series| {
            let chunks = cropped(series.chunks, range)?;
            Ok((!chunks.is_empty()).then_some(SeriesChunks { labels: series.labels, chunks }))
        })
        .await
    }

    /// The next series with their samples; None when there are no more. Of series without samples there is none.
    pub async fn next_samples(&mut self) -> Result<Option<Vec<SeriesSamples>>, QueryError> {
        let (range, budget) = (self.range, self.budget.clone());
        self.next(move |series| {
            let mut samples = Vec::new();
            for chunk in merge_chunks(series.chunks, CHUNK_SAMPLES)? {
                if !range.overlaps(&bounds(&chunk)) {
                    continue;
                }
                budget.count_samples(u64::from(sample_count(&chunk)?))?;
                decode_any(&chunk, &mut samples)?;
            }
            samples.retain(|sample| range.contains(sample.t_ms));
            Ok((!samples.is_empty()).then_some(SeriesSamples { labels: series.labels, samples }))
        })
        .await
    }

    /// Takes a batch apart beside the network's threads.
    async fn next<T: Send + 'static>(
        &mut self,
        read: impl Fn(SeriesChunks) -> Result<Option<T>, QueryError> + Send + 'static,
    ) -> Result<Option<Vec<T>>, QueryError> {
        let Some(batch) = self.set.next_batch().await? else { return Ok(None) };
        self.budget.check()?;
        self.budget.count_series(batch.len() as u64)?;
        let chunks = batch.iter().flat_map(|series| &series.chunks);
        let held = self.budget.hold(chunks.map(|chunk| chunk.data.len() + size_of::<Chunk>()).sum())?;
        let taken_apart = blocking(move |_| {
            let _held = held;
            Ok(batch.into_iter().filter_map(|series| read(series).transpose()).collect())
        });
        let all: Result<Vec<T>, QueryError> = taken_apart.await.map_err(QueryError::from)?;
        all.map(Some)
    }
}

/// What chunks hold of `range`, in chunks that overlap nowhere, in order of time.
fn cropped(chunks: Vec<Chunk>, range: TimeRange) -> Result<Vec<Chunk>, ChunkError> {
    let mut kept = Vec::with_capacity(chunks.len());
    for chunk in merge_chunks(chunks, CHUNK_SAMPLES)? {
        let bounds = bounds(&chunk);
        if range.covers(&bounds) {
            kept.push(chunk);
        } else if range.overlaps(&bounds) {
            let mut samples = Vec::new();
            decode_any(&chunk, &mut samples)?;
            samples.retain(|sample| range.contains(sample.t_ms));
            encode(samples, CHUNK_SAMPLES, &mut kept);
        }
    }
    Ok(kept)
}

fn bounds(chunk: &Chunk) -> TimeRange {
    TimeRange::inclusive(chunk.min_ms, chunk.max_ms)
}
