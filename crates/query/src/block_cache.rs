//! Opened blocks of the bucket: opening one costs a round to the store, so it is done once for many queries.

use longhaul_block::{Block, BlockError, PageCache};
use longhaul_bucket::{BlockAddress, BucketError, TenantStore};
use longhaul_model::TenantId;
use quick_cache::sync::Cache;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Keeps the most useful opened blocks of all tenants, and the most useful pages of their lookups and of those of local
/// blocks. Blocks never change, so nothing in here goes stale.
#[derive(Debug)]
pub struct BlockCache {
    blocks: Cache<(TenantId, BlockAddress), Arc<Block>>,
    pages: Arc<PageCache>,
}

/// Why a block cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error(transparent)]
    Bucket(#[from] BucketError),
    #[error(transparent)]
    Block(#[from] BlockError),
}

impl BlockCache {
    /// A cache of `blocks_max` opened blocks, each of which holds its directory of pages, some kilobytes; and of
    /// `pages_bytes_max` of decoded pages.
    pub fn new(blocks_max: usize, pages_bytes_max: u64) -> Self {
        Self { blocks: Cache::new(blocks_max), pages: Arc::new(PageCache::new(pages_bytes_max)) }
    }

    /// A block of a tenant, opened at most once at a time. Blocks the thread.
    pub(crate) fn open(
        &self,
        store: &TenantStore,
        block: BlockAddress,
        handle: &Handle,
    ) -> Result<Arc<Block>, OpenError> {
        let key = (store.tenant().clone(), block);
        self.blocks.get_or_insert_with(&key, || {
            let meta = handle.block_on(store.block_meta(block))?;
            let block = Block::open(store.block_files(block, handle.clone()), meta)?;
            block.keep_pages(&self.pages);
            Ok(Arc::new(block))
        })
    }

    /// A local block, which keeps its pages here from now on.
    pub(crate) fn local(&self, part: &Arc<Block>) -> Arc<Block> {
        part.keep_pages(&self.pages);
        part.clone()
    }
}
