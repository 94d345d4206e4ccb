//! The inputs of a job: opened in the bucket, and examined when something about them is wrong.

use crate::error::CompactError;
use crate::examine::examine;
use crate::settings::CompactSettings;
use longhaul_block::{Block, BlockError, BlockMeta, Dropped, ExemplarSource, ReadError, SeriesSource};
use longhaul_bucket::{BucketError, LiveBlock, TenantStore};
use longhaul_model::{BlockId, TimeRange, Tombstone};
use std::sync::Arc;
use tokio::runtime::Handle;

/// A block that is being merged.
pub(crate) struct Input {
    pub(crate) live: LiveBlock,
    block: Block,
    /// The deletions that are about it.
    tombstones: Vec<Arc<Tombstone>>,
    dropped: Dropped,
}

/// A block that cannot be read, so that it is to be quarantined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) id: BlockId,
    pub(crate) reason: String,
}

/// Why an input cannot be used.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// Its own bytes are at fault.
    Fault(Fault),
    /// The store is.
    Error(CompactError),
}

impl Input {
    /// Opens a live block that is to lose what `tombstones` are about. Blocks the thread.
    pub(crate) fn open(
        store: &TenantStore,
        live: &LiveBlock,
        tombstones: Vec<Arc<Tombstone>>,
        handle: &Handle,
    ) -> Result<Self, Unusable> {
        let meta = meta_of(store, live, handle)?;
        let block = Block::open(store.block_files(live.address(), handle.clone()), meta);
        let block = block.map_err(|error| unusable(live.id, error))?;
        Ok(Self { live: live.clone(), block, tombstones, dropped: Dropped::default() })
    }

    /// Its series, external labels among their own and without what is deleted. At most about `buffer_bytes` of chunks are
    /// in memory at a time. To be called once.
    pub(crate) fn series(&self, buffer_bytes: u64) -> Result<SeriesSource<'static>, BlockError> {
        let series = self.block.select(&[], TimeRange::ALL)?.reading_at_most(buffer_bytes);
        Ok(self.dropped.from_source(Box::new(series.into_series()), self.tombstones.clone()))
    }

    /// What was deleted from its series so far.
    pub(crate) fn dropped(&self) -> &Dropped {
        &self.dropped
    }

    /// Its exemplars, without what is deleted.
    pub(crate) fn exemplars(&self) -> Result<ExemplarSource<'static>, BlockError> {
        Ok(Box::new(self.block.without(self.tombstones.clone()).exemplars(&[], TimeRange::ALL)?))
    }

    /// Whether it loses something to deletions.
    pub(crate) fn has_deleted(&self) -> bool {
        !self.tombstones.is_empty()
    }

    /// The block's `meta.json`.
    pub(crate) fn meta(&self) -> &BlockMeta {
        self.block.meta()
    }
}

/// What is wrong with a block as an input, if anything is. Blocks the thread.
pub(crate) fn fault_of(
    store: &TenantStore,
    live: &LiveBlock,
    handle: &Handle,
    settings: &CompactSettings,
) -> Result<Option<Fault>, CompactError> {
    let files = store.block_files(live.address(), handle.clone());
    if let Some(reason) = examine(store, live, &*files, handle)?.problems.into_iter().next() {
        return Ok(Some(Fault { id: live.id, reason }));
    }
    // What is sound may still not be what a block of ours can hold.
    let merged = Input::open(store, live, Vec::new(), handle).and_then(|input| {
        let unusable = |error| unusable(live.id, error);
        let series = input.series(settings.memory_bytes).map_err(unusable)?;
        longhaul_block::merge(vec![series], settings.chunk_samples_max)
            .try_for_each(|series| series.map(drop))
            .map_err(unusable)
    });
    match merged {
        Ok(()) => Ok(None),
        Err(Unusable::Fault(fault)) => Ok(Some(fault)),
        Err(Unusable::Error(error)) => Err(error),
    }
}

/// `meta.json` of a live block, held against the manifest. Blocks the thread.
pub(crate) fn meta_of(store: &TenantStore, live: &LiveBlock, handle: &Handle) -> Result<BlockMeta, Unusable> {
    let meta = match handle.block_on(store.block_meta(live.address())) {
        Ok(meta) => meta,
        Err(BucketError::Block { source, .. }) => return Err(unusable(live.id, source)),
        Err(BucketError::NotFound { .. }) => return Err(fault(live.id, "meta.json is missing")),
        Err(error) => return Err(Unusable::Error(error.into())),
    };
    if meta.ulid != live.id {
        return Err(fault(live.id, &format!("its meta.json is that of {}", meta.ulid)));
    }
    if meta.range() != live.range || meta.resolution_ms() != live.resolution_ms {
        return Err(fault(live.id, "its meta.json has another range or resolution than the manifest"));
    }
    Ok(meta)
}

fn fault(id: BlockId, reason: &str) -> Unusable {
    Unusable::Fault(Fault { id, reason: reason.to_owned() })
}

/// Damage, and formats of newer programs, keep a block from being merged for good; a store that fails does not.
pub(crate) fn unusable(id: BlockId, error: BlockError) -> Unusable {
    match error {
        BlockError::Read(ReadError::Other { .. }) => Unusable::Error(CompactError::Fetch(error)),
        error => fault(id, &error.to_string()),
    }
}
