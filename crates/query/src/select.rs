//! Selections: the series of head, parts and blocks joined by their labels, pulled in batches.

use crate::join::{self, Lane};
use crate::past::Past;
use crate::view::TenantSource;
use async_trait::async_trait;
use longhaul_chunk::SeriesChunks;
use longhaul_head::HeadSeries;
use longhaul_model::METRIC_NAME;
use longhaul_promql::source::{LabelsWanted, SelectRequest, SeriesSet, SeriesSource, SourceError, UnreadBatch};
use std::sync::Arc;

/// Series a batch: enough to spread over a few cores, few enough to stay in their caches.
const BATCH: usize = 512;

#[async_trait]
impl SeriesSource for TenantSource {
    async fn select(&self, request: &SelectRequest) -> Result<Box<dyn SeriesSet>, SourceError> {
        // The head first: what leaves it from here on is readable elsewhere, and the view has pinned that.
        let range = self.kept_of(request.range);
        let mut head = self.view.head.pin(&request.matchers, range);
        let past = Past::of(&self.view.past, range);
        let missing = self.view.missing.clone();
        if request.newest_only {
            head.newest_only();
        }
        if self.is_head_only(range) {
            // What is joined with other sources is joined by all its labels, and by those it is said what is kept.
            if let LabelsWanted::Only(names) = &request.labels
                && past.is_empty()
            {
                let names: Vec<&str> = names.iter().map(String::as_str).chain([METRIC_NAME]).collect();
                head.project(&names, &["__type__", "__unit__"]);
            }
            return Ok(Box::new(HeadSet { head: Arc::new(head), past, next: 0, missing }));
        }
        let lanes = join::lanes(self, &request.matchers, range, head, past).await?;
        Ok(Box::new(JoinedSet { lanes, missing }))
    }
}

/// The answer of the head alone.
struct HeadSet {
    head: Arc<HeadSeries>,
    past: Past,
    next: usize,
    missing: Vec<String>,
}

#[async_trait]
impl SeriesSet for HeadSet {
    async fn next_batch(&mut self) -> Result<Option<Vec<SeriesChunks>>, SourceError> {
        next_read(self).await
    }

    async fn unread_batch(&mut self, series_max: usize) -> Result<Option<UnreadBatch>, SourceError> {
        let (head, past, begin) = (Arc::clone(&self.head), self.past.clone(), self.next);
        self.next = head.len().min(begin + series_max);
        let indexes = begin..self.next;
        Ok((!indexes.is_empty()).then(|| -> UnreadBatch { Box::new(move || past.leave_out(head.batch(indexes))) }))
    }

    fn warnings(&self) -> Vec<String> {
        self.missing.clone()
    }
}

/// The joined answer of several sources.
struct JoinedSet {
    lanes: Vec<Lane>,
    missing: Vec<String>,
}

#[async_trait]
impl SeriesSet for JoinedSet {
    async fn next_batch(&mut self) -> Result<Option<Vec<SeriesChunks>>, SourceError> {
        next_read(self).await
    }

    async fn unread_batch(&mut self, series_max: usize) -> Result<Option<UnreadBatch>, SourceError> {
        let pieces = join::cut(&mut self.lanes, series_max).await?;
        Ok((!pieces.is_empty()).then(|| -> UnreadBatch { Box::new(move || join::read(pieces)) }))
    }

    fn warnings(&self) -> Vec<String> {
        self.missing.clone()
    }
}

/// The next batch that has series, read here.
async fn next_read(set: &mut impl SeriesSet) -> Result<Option<Vec<SeriesChunks>>, SourceError> {
    while let Some(read) = set.unread_batch(BATCH).await? {
        let batch = read()?;
        if !batch.is_empty() {
            return Ok(Some(batch));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
