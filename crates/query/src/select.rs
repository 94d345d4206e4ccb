//! Selections: the series of head, parts and blocks joined by their labels, pulled in batches.

use crate::view::{Sources, TenantSource, blocking, storage};
use async_trait::async_trait;
use longhaul_block::{BlockError, SeriesSource as BlockSource, Union, union};
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
        let mut head = self.view.head.pin(&request.matchers, request.range);
        let missing = self.view.missing.clone();
        if self.is_head_only(request.range) {
            // What is joined with other sources is joined by all its labels.
            if let LabelsWanted::Only(names) = &request.labels {
                let names: Vec<&str> = names.iter().map(String::as_str).chain([METRIC_NAME]).collect();
                head.project(&names, &["__type__", "__unit__"]);
            }
            if request.newest_only {
                head.newest_only();
            }
            return Ok(Box::new(HeadSet { head: Arc::new(head), next: 0, missing }));
        }
        let (source, request) = (self.clone(), request.clone());
        let joined = blocking(move |handle| {
            let sources = source.open(request.range, handle)?;
            join(&sources, &request, head)
        })
        .await?;
        Ok(Box::new(JoinedSet { joined: Some(joined), missing }))
    }
}

fn join(sources: &Sources, request: &SelectRequest, head: HeadSeries) -> Result<Union<'static>, SourceError> {
    let mut all: Vec<BlockSource<'static>> = Vec::with_capacity(sources.blocks.len() + 1);
    for block in &sources.blocks {
        let series = block.select(&request.matchers, request.range).map_err(|error| storage(block, error))?;
        all.push(Box::new(series.into_series()));
    }
    let starts = (0..head.len()).step_by(BATCH);
    all.push(Box::new(
        starts.flat_map(move |start| head.batch(start..head.len().min(start + BATCH)).into_iter().map(Ok)),
    ));
    Ok(union(all))
}

/// The answer of the head alone.
struct HeadSet {
    head: Arc<HeadSeries>,
    next: usize,
    missing: Vec<String>,
}

#[async_trait]
impl SeriesSet for HeadSet {
    async fn next_batch(&mut self) -> Result<Option<Vec<SeriesChunks>>, SourceError> {
        while let Some(read) = self.unread_batch(BATCH) {
            let batch = read()?;
            if !batch.is_empty() {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    fn unread_batch(&mut self, series_max: usize) -> Option<UnreadBatch> {
        let (head, begin) = (Arc::clone(&self.head), self.next);
        self.next = head.len().min(begin + series_max);
        let indexes = begin..self.next;
        (!indexes.is_empty()).then(|| -> UnreadBatch { Box::new(move || Ok(head.batch(indexes))) })
    }

    fn remaining(&self) -> Option<usize> {
        Some(self.head.len() - self.next)
    }

    fn warnings(&self) -> Vec<String> {
        self.missing.clone()
    }
}

/// The joined answer of several sources; pulling it reads files and waits for the store.
struct JoinedSet {
    joined: Option<Union<'static>>,
    missing: Vec<String>,
}

#[async_trait]
impl SeriesSet for JoinedSet {
    async fn next_batch(&mut self) -> Result<Option<Vec<SeriesChunks>>, SourceError> {
        let Some(mut joined) = self.joined.take() else { return Ok(None) };
        let (batch, joined) = blocking(move |_| {
            let batch: Result<Vec<SeriesChunks>, BlockError> = joined.by_ref().take(BATCH).collect();
            Ok((batch.map_err(|error| SourceError::Storage(error.to_string()))?, joined))
        })
        .await?;
        if batch.is_empty() {
            return Ok(None);
        }
        self.joined = Some(joined);
        Ok(Some(batch))
    }

    fn warnings(&self) -> Vec<String> {
        self.missing.clone()
    }
}

#[cfg(test)]
mod tests;
