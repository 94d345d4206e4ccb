//! Opened blocks of the bucket: opening one costs a round to the store, so it is done once for many queries.

use longhaul_block::{Block, BlockError};
use longhaul_bucket::{BlockAddress, BucketError, TenantStore};
use longhaul_model::TenantId;
use quick_cache::sync::Cache;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Keeps the most useful opened blocks of all tenants. Blocks never change, so nothing in here goes stale.
#[derive(Debug)]
pub struct BlockCache {
    blocks: Cache<(TenantId, BlockAddress), Arc<Block>>,
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
    /// A cache of `blocks_max` opened blocks; each holds its directory of pages, some kilobytes.
    pub fn new(blocks_max: usize) -> Self {
        Self { blocks: Cache::new(blocks_max) }
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
            Ok(Arc::new(Block::open(store.block_files(block, handle.clone()), meta)?))
        })
    }
}
