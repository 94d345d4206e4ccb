//! What a query has pinned, and the source that it makes.

use crate::block_cache::BlockCache;
use crate::pick;
use longhaul_block::Block;
use longhaul_bucket::{Deletion, Manifest, TenantStore};
use longhaul_head::Head;
use longhaul_model::{TimeRange, Tombstone};
use longhaul_promql::source::SourceError;
use std::any::Any;
use std::sync::Arc;
use tokio::runtime::Handle;

/// One tenant's data as it is pinned for a whole query: head first, then parts, then one version of the manifest
/// (I-READ-1).
pub struct TenantView {
    /// Recent samples.
    pub head: Arc<Head>,
    /// Local blocks, in rising precedence, each read without what is deleted.
    pub parts: Vec<Arc<Block>>,
    /// Deletions that the manifest may not have yet. The head has lost what they are about.
    pub new_deletions: Vec<Arc<Deletion>>,
    /// What is kept no more.
    pub past: Vec<Arc<Tombstone>>,
    /// The blocks in the bucket.
    pub manifest: Arc<Manifest>,
    /// Where they lie.
    pub store: TenantStore,
    /// What is known to be missing: every answer says so.
    pub missing: Vec<String>,
    /// Whatever keeps all of it from being taken away while the view lives.
    pub keep: Box<dyn Any + Send + Sync>,
}

/// A tenant's data as the engine sees it. Cloning shares it.
#[derive(Clone)]
pub struct TenantSource {
    pub(crate) view: Arc<TenantView>,
    blocks: Arc<BlockCache>,
}

/// Everything that may hold samples of a range, opened: blocks in rising precedence, then the head.
pub(crate) struct Sources {
    pub(crate) blocks: Vec<Arc<Block>>,
    pub(crate) head: Arc<Head>,
}

impl TenantSource {
    /// A source over `view`.
    pub fn new(view: TenantView, blocks: Arc<BlockCache>) -> Self {
        Self { view: Arc::new(view), blocks }
    }

    /// The part of `range` of which anything is kept.
    pub(crate) fn kept_of(&self, range: TimeRange) -> TimeRange {
        let of_all = self.view.past.iter().filter(|past| past.matchers.is_empty());
        let start_ms = of_all.map(|past| past.range.end_ms).max().unwrap_or(range.start_ms);
        TimeRange::new(range.start_ms.max(start_ms), range.end_ms)
    }

    /// Whether nothing but the head can answer for `range`, so that no thread has to block.
    pub(crate) fn is_head_only(&self, range: TimeRange) -> bool {
        self.view.manifest.blocks_in(range).next().is_none() && self.local(range).next().is_none()
    }

    /// Opens what may hold samples of `range`. A block that should be there and cannot be opened is an error, never a
    /// gap. Blocks the thread.
    pub(crate) fn open(&self, range: TimeRange, handle: &Handle) -> Result<Sources, SourceError> {
        let (view, range) = (&self.view, self.kept_of(range));
        let mut blocks = Vec::new();
        for (block, deleted) in pick::blocks(&view.manifest, &view.new_deletions, range) {
            let opened = self.blocks.open(&view.store, block, handle);
            let opened = opened.map_err(|error| SourceError::Storage(format!("block {block}: {error}")))?;
            blocks.push(if deleted.is_empty() { opened } else { Arc::new(opened.without(deleted)) });
        }
        blocks.extend(self.local(range).map(|part| self.blocks.local(part)));
        for block in &mut blocks {
            if view.past.iter().any(|past| past.range.overlaps(&block.meta().range())) {
                *block = Arc::new(block.also_without(view.past.iter().cloned()));
            }
        }
        Ok(Sources { blocks, head: view.head.clone() })
    }

    fn local(&self, range: TimeRange) -> impl Iterator<Item = &Arc<Block>> {
        self.view.parts.iter().filter(move |part| part.meta().range().overlaps(&range))
    }
}

/// Runs work that may read files or wait for the store beside the network's threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce(&Handle) -> Result<T, SourceError> + Send + 'static,
) -> Result<T, SourceError> {
    let handle = Handle::current();
    match tokio::task::spawn_blocking(move || work(&handle)).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => Err(SourceError::Storage(error.to_string())),
    }
}

/// An error of a block as the query's.
pub(crate) fn storage(block: &Block, error: impl std::fmt::Display) -> SourceError {
    SourceError::Storage(format!("block {}: {error}", block.meta().ulid))
}
