//! From a block.

use super::{Storage, head};
use crate::dataset::Dataset;
use crate::sim_fs::SimFs;
use async_trait::async_trait;
use longhaul_block::{Block, BlockMeta, BlockSeries, LocalFiles, LonghaulMeta, write};
use longhaul_chunk::SeriesChunks;
use longhaul_disk::Fs;
use longhaul_model::{BlockId, TenantId, TimeRange};
use longhaul_promql::source::{SelectRequest, SeriesSet, SeriesSource, SourceError};
use std::path::Path;
use std::sync::Arc;

/// The samples are appended to a head, cut from it and written as a block, which is opened again.
#[derive(Clone, Copy, Debug)]
pub struct BlockStorage;

impl Storage for BlockStorage {
    fn name(&self) -> &'static str {
        "block"
    }

    fn store(&self, data: &Dataset) -> Result<Arc<dyn SeriesSource>, String> {
        Ok(Arc::new(BlockSource(written(data)?)))
    }
}

/// The block; None without any samples.
fn written(data: &Dataset) -> Result<Option<Block>, String> {
    let head = head::filled(data)?;
    let length_ms = head.settings().block_range_ms;
    let Some(first) = head.ranges().first().map(|state| state.range) else { return Ok(None) };
    let last = head.ranges().last().map_or(first, |state| state.range);
    let all = TimeRange::new(first.start_ms, last.end_ms);
    assert_eq!((all.end_ms - all.start_ms) % length_ms, 0, "ranges are aligned");
    let through = head.ranges().iter().map(|state| state.samples).sum();
    let Some(cut) = head.cut(all, through) else { return Ok(None) };
    let fs: Arc<dyn Fs> = Arc::new(SimFs::new());
    let dir = Path::new("/block");
    let mut seed = BlockMeta::new(BlockId::from_parts(1, 1), TimeRange::new(0, 0));
    seed.longhaul = Some(LonghaulMeta::new(TenantId::anonymous()));
    let meta = write(fs.clone(), dir, seed, cut.series().map(Ok)).map_err(|error| error.to_string())?;
    Block::open(Arc::new(LocalFiles::new(fs, dir)), meta).map(Some).map_err(|error| error.to_string())
}

struct BlockSource(Option<Block>);

#[async_trait]
impl SeriesSource for BlockSource {
    async fn select(&self, request: &SelectRequest) -> Result<Box<dyn SeriesSet>, SourceError> {
        let select = |block: &Block| block.select(&request.matchers, request.range);
        let series = self.0.as_ref().map(select).transpose();
        Ok(Box::new(BlockSet(series.map_err(|error| SourceError::Storage(error.to_string()))?)))
    }
}

struct BlockSet(Option<BlockSeries>);

#[async_trait]
impl SeriesSet for BlockSet {
    async fn next_batch(&mut self) -> Result<Option<Vec<SeriesChunks>>, SourceError> {
        let batch = self.0.as_mut().and_then(Iterator::next).transpose();
        batch.map_err(|error| SourceError::Storage(error.to_string()))
    }
}
