//! A block that can be asked: open, select, label names and values.

use crate::error::{BlockError, Result};
use crate::{BlockFiles, BlockMeta};
use longhaul_chunk::SeriesChunks;
use longhaul_model::{Labels, Matcher, TimeRange};
use std::sync::Arc;

/// An open block. Cloning is cheap; all clones share what was read.
#[derive(Clone)]
pub struct Block {
    meta: Arc<BlockMeta>,
}

impl Block {
    /// Opens a block: reads the footer of its `lookup` (one read), or builds a lookup in memory from `index` when the
    /// block has none; reads the tombstones if `meta` counts any.
    pub fn open(files: Arc<dyn BlockFiles>, meta: BlockMeta) -> Result<Self> {
        let _ = files;
        Ok(Self { meta: Arc::new(meta) })
    }

    /// The block's `meta.json`.
    pub fn meta(&self) -> &BlockMeta {
        &self.meta
    }

    /// The series that satisfy all of `matchers`, with their chunks that meet `range`, deletions applied. Chunks may
    /// hold samples outside `range`.
    pub fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<BlockSeries> {
        let _ = (matchers, range);
        Err(BlockError::Refused("not written yet".into()))
    }

    /// The label sets of the series that satisfy all of `matchers` and have a chunk that meets `range`, in label order.
    pub fn series(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<Labels>> {
        let _ = (matchers, range);
        Err(BlockError::Refused("not written yet".into()))
    }

    /// The names of the labels that the series satisfying all of `matchers` have, sorted.
    pub fn label_names(&self, matchers: &[Matcher]) -> Result<Vec<String>> {
        let _ = matchers;
        Err(BlockError::Refused("not written yet".into()))
    }

    /// The values that the label `name` has among the series satisfying all of `matchers`, sorted.
    pub fn label_values(&self, name: &str, matchers: &[Matcher]) -> Result<Vec<String>> {
        let _ = (name, matchers);
        Err(BlockError::Refused("not written yet".into()))
    }
}

/// What [`Block::select`] found: an iterator of batches in label order, each of at most 512 series; chunks are read
/// as it advances, a bounded number of bytes at a time.
pub struct BlockSeries {
    _block: Block,
}

impl BlockSeries {
    /// How many series the matchers select in the block (before those without a chunk in the range are left out).
    pub fn series_matched(&self) -> u64 {
        0
    }

    /// The same, series by series.
    pub fn into_series(self) -> impl Iterator<Item = Result<SeriesChunks>> + Send {
        self.flat_map(|batch| match batch {
            Ok(series) => series.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => vec![Err(error)],
        })
    }
}

impl Iterator for BlockSeries {
    type Item = Result<Vec<SeriesChunks>>;

    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}
