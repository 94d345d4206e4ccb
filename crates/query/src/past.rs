//! What a head has that is kept no more, and is in no answer (I-RETAIN-1). Of parts and blocks it is left out when they are
//! read.

use longhaul_chunk::{CHUNK_SAMPLES_MAX, ChunkError, SeriesChunks, decode_any, encode};
use longhaul_model::{Exemplar, Labels, TimeRange, Tombstone};
use longhaul_promql::source::SourceError;
use std::sync::Arc;

/// What is kept no more, as far as a selection can meet it. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct Past(Arc<[Arc<Tombstone>]>);

impl Past {
    /// Those of `tombstones` that are about something in `range`.
    pub(crate) fn of(tombstones: &[Arc<Tombstone>], range: TimeRange) -> Self {
        Self(tombstones.iter().filter(|it| it.range.overlaps(&range)).cloned().collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an exemplar is kept.
    pub(crate) fn keeps(&self, series: &Labels, exemplar: &Exemplar) -> bool {
        !self.0.iter().any(|it| it.range.contains(exemplar.t_ms) && it.is_about(series))
    }

    /// What is kept of some series.
    pub(crate) fn leave_out(&self, mut batch: Vec<SeriesChunks>) -> Result<Vec<SeriesChunks>, SourceError> {
        let Some(end_ms) = self.0.iter().map(|it| it.range.end_ms).max() else { return Ok(batch) };
        for series in &mut batch {
            if series.chunks.iter().any(|chunk| chunk.min_ms < end_ms) {
                self.leave_out_of(series).map_err(|error| SourceError::Storage(format!("the head: {error}")))?;
            }
        }
        batch.retain(|series| !series.chunks.is_empty());
        Ok(batch)
    }

    fn leave_out_of(&self, series: &mut SeriesChunks) -> Result<(), ChunkError> {
        // All of them reach back for ever, so that the latest end says it all.
        let about = self.0.iter().filter(|it| it.is_about(&series.labels));
        let Some(end_ms) = about.map(|it| it.range.end_ms).max() else { return Ok(()) };
        let mut kept = Vec::with_capacity(series.chunks.len());
        for chunk in std::mem::take(&mut series.chunks) {
            if chunk.min_ms >= end_ms {
                kept.push(chunk);
            } else if chunk.max_ms >= end_ms {
                let mut samples = Vec::new();
                decode_any(&chunk, &mut samples)?;
                samples.retain(|sample| sample.t_ms >= end_ms);
                encode(samples, CHUNK_SAMPLES_MAX, &mut kept);
            }
        }
        series.chunks = kept;
        Ok(())
    }
}
