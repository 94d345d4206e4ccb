//! From part to block: overlapping parts become one block, which is uploaded, committed to the manifest, published to
//! readers, and only then the parts go.
//!
//! 1. [`plan`] chooses the parts.
//! 2. One part is uploaded as it is; several are merged into `<data>/ship/<ulid>`, which is synced before the upload
//!    begins, so that every retry, after a crash as well, sends the same bytes under the same id (storage.md, rule 1).
//! 3. Upload, then commit; both can be repeated. The pending ship is tried again before anything else is shipped.
//! 4. After the commit was read back: publish the manifest, take the parts away from new readers, wait for the old
//!    ones, delete.

pub(crate) mod plan;

use crate::cut::{blocking, remove_parts};
use crate::error::IngestError;
use crate::ingester::Inner;
use crate::parts::{self, Part};
use crate::tenant::Tenant;
use longhaul_bucket::{CommitError, LiveBlock, Manifest, OperationId, Rejected};
use longhaul_disk::Fs;
use longhaul_model::TimeRange;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// A block on its way to the bucket.
#[derive(Clone, Debug)]
pub(crate) struct PendingShip {
    /// The block: a merged one under `ship/`, or the one part itself.
    block: Arc<Part>,
}

/// Ships what is due of a tenant, or with `everything` all of its parts; returns when it is in the manifest.
pub(crate) async fn ship(inner: &Arc<Inner>, tenant: &Arc<Tenant>, everything: bool) -> Result<(), IngestError> {
    let _changing = tenant.changing.lock().await;
    if let Some(pending) = tenant.pending_ship() {
        finish(inner, tenant, pending).await?;
    }
    let uncut: Vec<TimeRange> = tenant.head.ranges().iter().map(|state| state.range).collect();
    let now_ms = inner.clock.now_ms();
    for job in plan::plan(&part_states(tenant), &uncut, now_ms, everything, &inner.settings) {
        let parts = tenant.parts.find(&job.parts);
        let block = match parts.as_slice() {
            [] => continue,
            [part] => part.clone(),
            _ => {
                let (inner, tenant) = (inner.clone(), tenant.clone());
                let into = inner.data_dir.join("ship");
                Arc::new(blocking(move || inner.part_writer.write_merged(&tenant, &parts, &into, false)).await?)
            }
        };
        let pending = PendingShip { block };
        tenant.set_pending_ship(Some(pending.clone()));
        finish(inner, tenant, pending).await?;
    }
    Ok(())
}

/// What the planner sees of a tenant's parts.
pub(crate) fn part_states(tenant: &Tenant) -> Vec<plan::PartState> {
    let state = |part: &Arc<Part>| plan::PartState {
        id: part.id(),
        range: part.range,
        size_bytes: part.size_bytes,
        written_ms: part.written_ms(),
    };
    tenant.parts.all().iter().map(state).collect()
}

/// Uploads and commits a block, then lets the parts go that it holds.
async fn finish(inner: &Arc<Inner>, tenant: &Arc<Tenant>, pending: PendingShip) -> Result<(), IngestError> {
    let block = &pending.block;
    let shipped = upload_and_commit(inner, tenant, block).await.inspect_err(|_| {
        inner.metrics.ships_failed.fetch_add(1, Relaxed);
    })?;
    tenant.publish_manifest(Arc::new(shipped));
    let old: Vec<Arc<Part>> = tenant.parts.all().iter().filter(|part| is_within(part, block)).cloned().collect();
    let ids: Vec<_> = old.iter().map(|part| part.id()).collect();
    tenant.parts.swap(None, &ids);
    tenant.set_pending_ship(None);
    remove_parts(inner.part_writer.fs.as_ref(), tenant, old).await?;
    if !block.dir.starts_with(&tenant.parts_dir) {
        parts::remove(inner.part_writer.fs.as_ref(), &block.dir)?;
    }
    inner.metrics.blocks_shipped.fetch_add(1, Relaxed);
    tracing::info!(tenant = %tenant.id, block = %block.id(), range = %block.range, "shipped");
    Ok(())
}

async fn upload_and_commit(inner: &Inner, tenant: &Tenant, block: &Part) -> Result<Manifest, IngestError> {
    let base = tenant.store.load_manifest().await?.unwrap_or_default();
    if base.knows(block.id()) {
        return Ok(base); // committed before the crash, or before an answer that was lost
    }
    let meta = block.block.meta();
    let uploaded = tenant.store.upload_block(&inner.part_writer.fs, &block.dir, meta).await?;
    let live = LiveBlock::new(meta, uploaded.size_bytes());
    let operation = OperationId::new(block.id().into());
    let change = |manifest: &Manifest| manifest.ship(live.clone(), block.coverage());
    match tenant.store.commit(Some(&base), "ingester", operation, change).await {
        Ok(manifest) => Ok(manifest),
        // A commit of ours whose answer was lost, found only now.
        Err(CommitError::Rejected(Rejected::Known(_))) => Ok(tenant.store.load_manifest().await?.unwrap_or_default()),
        Err(error) => Err(error.into()),
    }
}

/// Whether every stretch of the log that `part` holds is in `block`.
fn is_within(part: &Part, block: &Part) -> bool {
    part.coverage().iter().all(|stretch| block.coverage().contains(stretch))
}

/// Merged blocks that were on their way when the process ended.
#[derive(Debug)]
pub(crate) struct Interrupted {
    blocks: Vec<Part>,
}

/// Finds them, and removes the unfinished ones.
pub(crate) fn recover(fs: &Arc<dyn Fs>, ship_dir: &Path) -> Result<Interrupted, IngestError> {
    Ok(Interrupted { blocks: parts::recover(fs, ship_dir)?.parts })
}

impl Interrupted {
    /// Gives a tenant the block that it was shipping; removes it if it has arrived.
    pub(crate) fn resume(&mut self, fs: &dyn Fs, tenant: &Tenant, manifest: &Manifest) -> Result<(), IngestError> {
        let of_tenant = |block: &Part| block.block.meta().longhaul.as_ref().is_some_and(|own| own.tenant == tenant.id);
        let (mine, others) = std::mem::take(&mut self.blocks).into_iter().partition(of_tenant);
        self.blocks = others;
        let mine: Vec<Part> = mine;
        for block in mine {
            let parts_are_here = block
                .coverage()
                .iter()
                .all(|stretch| tenant.parts.all().iter().any(|part| part.coverage().contains(stretch)));
            if manifest.knows(block.id()) || !parts_are_here {
                parts::remove(fs, &block.dir)?;
            } else {
                tenant.set_pending_ship(Some(PendingShip { block: Arc::new(block) }));
            }
        }
        Ok(())
    }
}
