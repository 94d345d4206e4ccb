//! Through a head.

use super::Storage;
use crate::dataset::Dataset;
use async_trait::async_trait;
use longhaul_chunk::SeriesChunks;
use longhaul_head::{HashSeed, Head, HeadSeries, HeadSettings, Numbers, Verdict};
use longhaul_model::LabelSection;
use longhaul_promql::source::{SelectRequest, SeriesSet, SeriesSource, SourceError};
use std::sync::Arc;

/// A day in one range, so that what the scripts load lies in one chunk where the chunk's size allows it: what is known of
/// counter resets begins anew with each.
const BLOCK_RANGE_MS: i64 = 24 * 3_600_000;

/// Series a batch; small, so that scripts have more than one.
const BATCH: usize = 4;

/// The samples are appended to a head, as if they had been accepted in the order of their times.
#[derive(Clone, Copy, Debug)]
pub struct HeadStorage;

impl Storage for HeadStorage {
    fn name(&self) -> &'static str {
        "head"
    }

    fn store(&self, data: &Dataset) -> Result<Arc<dyn SeriesSource>, String> {
        Ok(Arc::new(HeadSource(filled(data)?)))
    }
}

/// A head that holds the samples.
pub(super) fn filled(data: &Dataset) -> Result<Arc<Head>, String> {
    let settings = HeadSettings { block_range_ms: BLOCK_RANGE_MS, ..HeadSettings::default() };
    let head = Head::new(settings, Numbers::new(), HashSeed::new(1));
    let mut offset = 0;
    for (labels, samples) in data.series() {
        let pairs: Vec<(&str, &str)> = labels.iter().collect();
        let mut section = Vec::new();
        pairs.iter().for_each(|(name, value)| LabelSection::push(&mut section, name, value));
        let series = head.create(head.key(&section), &pairs).map_err(|error| error.to_string())?;
        for sample in samples {
            offset += 1;
            let verdict = head.apply_any(&series, sample.clone(), offset, &());
            if verdict != Verdict::Stored {
                return Err(format!("{labels} at {} ms: {verdict:?}", sample.t_ms));
            }
        }
    }
    Ok(Arc::new(head))
}

struct HeadSource(Arc<Head>);

#[async_trait]
impl SeriesSource for HeadSource {
    async fn select(&self, request: &SelectRequest) -> Result<Box<dyn SeriesSet>, SourceError> {
        Ok(Box::new(HeadSet { series: self.0.pin(&request.matchers, request.range), next: 0 }))
    }
}

struct HeadSet {
    series: HeadSeries,
    next: usize,
}

#[async_trait]
impl SeriesSet for HeadSet {
    async fn next_batch(&mut self) -> Result<Option<Vec<SeriesChunks>>, SourceError> {
        while self.next < self.series.len() {
            let end = self.series.len().min(self.next + BATCH);
            let batch = self.series.batch(self.next..end);
            self.next = end;
            if !batch.is_empty() {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }
}
