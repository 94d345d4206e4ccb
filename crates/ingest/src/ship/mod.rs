//! From part to block: overlapping parts become one block, which is uploaded, committed to the manifest, published to
//! readers, and only then the parts go.
//!
//! 1. [`plan`] chooses the parts.
//! 2. One part is uploaded as it is; several are merged into `<data>/ship/<ulid>`, which is synced before the upload
//!    begins, so that every retry, after a crash as well, sends the same bytes under the same id (**I-SHIP-2**).
//! 3. Upload, then commit; both can be repeated. The pending ship is tried again before anything else is shipped.
//! 4. After the commit was read back: publish the manifest, take the parts away from new readers, wait for the old
//!    ones, delete.

pub(crate) mod plan;

use crate::cut::{Held, blocking, remove_parts, set_damaged_aside};
use crate::delete;
use crate::error::IngestError;
use crate::ingester::Inner;
use crate::part_writer::PARTITION;
use crate::parts::{self, Part};
use crate::tenant::Tenant;
use longhaul_bucket::{CommitError, LiveBlock, Manifest, OperationId, Rejected};
use longhaul_disk::Fs;
use longhaul_log::Offset;
use longhaul_model::TimeRange;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// A block on its way to the bucket.
#[derive(Clone, Debug)]
pub(crate) struct PendingShip {
    /// The block: a merged one under `ship/`, or the one part itself.
    block: Arc<Part>,
    /// The deletions that it was written without.
    applied: Vec<OperationId>,
}

/// Who commits, for people who read a manifest.
pub(crate) const AUTHOR: &str = "ingester";

/// What the parts of a job have become.
enum Prepared {
    Ship(PendingShip),
    /// All that they have is deleted: there is nothing to ship.
    Nothing(Vec<Arc<Part>>),
    /// Some of them are damaged; the others wait for the next look.
    Later,
}

/// Ships what is due of a tenant, or with `everything` all of its parts; returns when it is in the manifest. What cannot
/// be shipped holds up nothing else, unless the store is the reason; the first error is returned.
pub(crate) async fn ship(
    inner: &Arc<Inner>,
    tenant: &Arc<Tenant>,
    shipping: &Held,
    everything: bool,
) -> Result<(), IngestError> {
    if let Some(pending) = tenant.pending_ship() {
        finish(inner, tenant, shipping, pending).await?;
    }
    delete::commit(inner, tenant).await?;
    let uncut: Vec<TimeRange> = tenant.head.ranges().iter().map(|state| state.range).collect();
    let now_ms = inner.clock.now_ms();
    let mut result = Ok(());
    for job in plan::plan(&part_states(tenant), &uncut, now_ms, everything, &inner.settings) {
        let shipped = match prepare(inner, tenant, tenant.parts.find(&job.parts)).await {
            Ok(Prepared::Later) => Ok(()),
            Ok(Prepared::Nothing(parts)) => drop_shipped(inner, tenant, parts).await,
            Ok(Prepared::Ship(pending)) => {
                tenant.set_pending_ship(Some(pending.clone()));
                finish(inner, tenant, shipping, pending).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = shipped {
            // What is pending goes first; and a store that is away is away for all.
            if tenant.has_pending_ship() || error.is_of_store() {
                return Err(error);
            }
            result = result.and(Err(error));
        }
    }
    result
}

/// The block that `parts` make, checked. Those that are damaged are set aside.
async fn prepare(inner: &Arc<Inner>, tenant: &Arc<Tenant>, parts: Vec<Arc<Part>>) -> Result<Prepared, IngestError> {
    let deletions = tenant.deletions.all(); // after the parts: I-DELETE-1
    let boundary = tenant.known_manifest().orphan_boundary;
    let prepared = {
        let (inner, tenant, parts) = (inner.clone(), tenant.clone(), parts.clone());
        blocking(move || match parts.as_slice() {
            [] => Ok(Prepared::Later),
            // Its id is still good, so it goes as it is; its bytes may have rotted since it was written.
            [part] if boundary.is_none_or(|boundary| part.id() >= boundary) => {
                inner.part_writer.verify(part)?;
                let block = Arc::new(Part::open(&inner.part_writer.fs, part.dir.clone())?);
                Ok(Prepared::Ship(PendingShip { block, applied: Vec::new() }))
            }
            _ => {
                let into = inner.data_dir.join("ship");
                let merged = inner.part_writer.write_merged(&tenant, &parts, &deletions, &into, false)?;
                let Some(block) = merged.map(Arc::new) else { return Ok(Prepared::Nothing(parts)) };
                let applied = deletions.iter().map(|it| it.deletion.id).collect();
                Ok(Prepared::Ship(PendingShip { block, applied }))
            }
        })
        .await
    };
    match prepared {
        Err(error) if error.is_damage() && set_damaged_aside(inner, tenant, &parts).await? > 0 => Ok(Prepared::Later),
        prepared => prepared,
    }
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
async fn finish(
    inner: &Arc<Inner>,
    tenant: &Arc<Tenant>,
    _shipping: &Held,
    pending: PendingShip,
) -> Result<(), IngestError> {
    let block = &pending.block;
    match upload_and_commit(inner, tenant, &pending).await {
        Ok(()) => {}
        Err(error) => {
            inner.metrics.ships_failed.fetch_add(1, Relaxed);
            if let IngestError::Commit(CommitError::Rejected(_)) = &error {
                give_up(inner, tenant, block).await?;
            }
            return Err(error);
        }
    }
    tenant.set_pending_ship(None);
    let old = tenant.parts.all().iter().filter(|part| is_within(part, block)).cloned().collect();
    drop_shipped(inner, tenant, old).await?;
    remove_merged(inner, tenant, block)?;
    inner.metrics.blocks_shipped.fetch_add(1, Relaxed);
    tracing::info!(tenant = %tenant.id, block = %block.id(), range = %block.range, "shipped");
    Ok(())
}

/// A block that does not apply to the manifest never will: some of it is in the bucket by an earlier commit whose
/// outcome had been unclear, or its id is too old. What the manifest covers goes, the rest is planned anew.
async fn give_up(inner: &Arc<Inner>, tenant: &Arc<Tenant>, block: &Part) -> Result<(), IngestError> {
    let manifest = Arc::new(tenant.store.load_manifest().await?.unwrap_or_default());
    tenant.publish_manifest(manifest.clone());
    tenant.set_pending_ship(None);
    let covered = tenant.parts.all().iter().filter(|part| part.is_covered_by(&manifest)).cloned().collect();
    drop_shipped(inner, tenant, covered).await?;
    remove_merged(inner, tenant, block)
}

/// Takes parts away whose block is in the published manifest (**I-SHIP-3**).
async fn drop_shipped(inner: &Inner, tenant: &Tenant, parts: Vec<Arc<Part>>) -> Result<(), IngestError> {
    let ids: Vec<_> = parts.iter().map(|part| part.id()).collect();
    tenant.parts.swap(None, &ids);
    remove_parts(inner, tenant, parts).await
}

/// Removes a block that was merged for shipping; a part that was shipped as it is lies elsewhere.
fn remove_merged(inner: &Inner, tenant: &Tenant, block: &Part) -> Result<(), IngestError> {
    if block.dir.starts_with(&tenant.parts_dir) {
        return Ok(());
    }
    parts::remove(inner.part_writer.fs.as_ref(), &block.dir)
}

/// Uploads a block, commits it together with the deletions that came before anything in it, and publishes the manifest.
async fn upload_and_commit(inner: &Inner, tenant: &Tenant, pending: &PendingShip) -> Result<(), IngestError> {
    let block = &pending.block;
    let base = tenant.store.load_manifest().await?.unwrap_or_default();
    if base.knows(block.id()) {
        tenant.publish_manifest(Arc::new(base)); // committed before the crash, or before an answer that was lost
        return Ok(());
    }
    let meta = block.block.meta();
    let uploaded = tenant.store.upload_block(&inner.part_writer.fs, &block.dir, meta).await?;
    let live = LiveBlock::new(meta, uploaded.size_bytes());
    let operation = OperationId::new(block.id().into());
    let floor = floor(inner, tenant, Some(block)).await?;
    // After the floor: of what came since, none is about anything that it speaks of.
    let deletions = tenant.deletions.all();
    let new = tenant.deletions.uncommitted();
    let not_applied = deletions.iter().filter(|it| it.is_about(block) && !pending.applied.contains(&it.deletion.id));
    let not_applied: Vec<OperationId> = not_applied.map(|it| it.deletion.id).collect();
    let change = |manifest: &Manifest| {
        let deleted = new.iter().fold(manifest.clone(), |manifest, deletion| manifest.delete(deletion));
        let shipped = deleted.ship(live.clone(), block.coverage())?.list_for(live.id, &not_applied);
        Ok(shipped.raise_floor(inner.log_id, PARTITION, floor))
    };
    match tenant.store.commit(Some(&base), AUTHOR, operation, change).await {
        Ok(manifest) => tenant.publish_commit(manifest, &new),
        // A commit of ours whose answer was lost, found only now.
        Err(CommitError::Rejected(Rejected::Known(_))) => {
            tenant.publish_manifest(Arc::new(tenant.store.load_manifest().await?.unwrap_or_default()));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// The offset up to which the tenant needs the log no more once `block`, if there is one, is committed: neither its head nor another part
/// has a sample of an offset up to it. Stated in the manifest, it keeps the list of what is covered short. 0 where
/// nothing can be said: of another log, or beside parts whose coverage cannot be read.
pub(crate) async fn floor(inner: &Inner, tenant: &Tenant, block: Option<&Part>) -> Result<Offset, IngestError> {
    let is_of_this_log = |block: &Part| block.coverage().iter().any(|stretch| stretch.log_id == inner.log_id);
    if tenant.has_damaged() || !block.is_none_or(is_of_this_log) {
        return Ok(0);
    }
    let end = inner.settle().await?; // so that the head speaks for everything up to `end`
    // First the head, then the parts: a cut may move samples from one to the other meanwhile.
    let in_head: Vec<Offset> = tenant.head.ranges().into_iter().map(|state| state.first_offset - 1).collect();
    let parts = tenant.parts.all();
    let others = parts.iter().filter(|part| !block.is_some_and(|block| is_within(part, block)));
    let in_parts = others.flat_map(|part| part.coverage()).filter(|stretch| stretch.log_id == inner.log_id);
    let needed = in_head.into_iter().chain(in_parts.map(|stretch| stretch.from)).min();
    Ok(needed.map_or(end, |needed| needed.min(end)))
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
            // Of two, none is in the manifest, and either holds what its parts hold.
            if manifest.knows(block.id()) || !parts_are_here || tenant.has_pending_ship() {
                parts::remove(fs, &block.dir)?;
            } else {
                // What it was written without is not on record: it is rewritten for nothing then.
                tenant.set_pending_ship(Some(PendingShip { block: Arc::new(block), applied: Vec::new() }));
            }
        }
        Ok(())
    }
}
