//! Deleting: a deletion takes its place in the log, the tenant's lane applies it there, and a manifest gets to know of it.
//!
//! 1. The frame is durable; the lane adds the deletion to the tenant's list and takes what it is about out of the head.
//!    Only now the answer: the next query sees nothing of it (I-DELETE-1).
//! 2. With the next commit of this tenant the deletion is in the manifest, which lists the blocks that it is about. Until
//!    then its frame stays in the log. A commit that ships samples which came later brings the deletion along, so that no
//!    manifest has those without it.
//! 3. Whoever rewrites blocks takes them off the list; the deletion ends when it is empty and nothing older can come.

use crate::deletions::DELETIONS_MAX;
use crate::error::{DeleteError, IngestError};
use crate::ingester::Inner;
use crate::lane::Marker;
use crate::part_writer::PARTITION;
use crate::ship;
use crate::tenant::Tenant;
use longhaul_bucket::{Deletion, Manifest, OperationId};
use longhaul_log::Append;
use longhaul_model::Tombstone;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Deletes of a tenant what `tombstone` is about; returns when it is durable and seen by nobody who begins to read.
///
/// Must not be dropped half-way: whoever calls it runs in a task of its own.
pub(crate) async fn delete(inner: &Inner, tenant: &Arc<Tenant>, tombstone: Tombstone) -> Result<(), DeleteError> {
    // A head that is logged once more between the deletion's frame and its application would have what is deleted
    // after it in the log.
    let _no_log_again = tenant.logging_again.lock().await;
    if tenant.deletions.count() >= DELETIONS_MAX {
        return Err(DeleteError::TooMany(DELETIONS_MAX));
    }
    let (id, since_ms) = (inner.part_writer.ids.random(), inner.clock.now_ms());
    let deletion = longhaul_log::Deletion { tenant: tenant.id.clone(), id, tombstone, since_ms };
    let (reply, applied) = oneshot::channel();
    let marker = Marker::Delete { tenant: tenant.clone(), log_id: inner.log_id, reply };
    inner.append(Append::Deletion(deletion, marker)).map_err(|_| DeleteError::Closed)?;
    match applied.await {
        Ok(applied) => applied.map_err(DeleteError::Log),
        Err(_) => Err(DeleteError::Closed),
    }
}

impl Tenant {
    /// Applies a deletion at its place in the log's order. Lane, or replay.
    pub(crate) fn apply_deletion(&self, deletion: Deletion) {
        let tombstone = deletion.tombstone.clone();
        self.deletions.add(deletion); // first: whatever leaves the head from here on is filtered
        self.head.delete(&tombstone);
    }
}

/// What the log has of a deletion, as the manifest will have it.
pub(crate) fn from_log(deletion: longhaul_log::Deletion, log_id: longhaul_model::LogId, offset: u64) -> Deletion {
    let longhaul_log::Deletion { id, tombstone, since_ms, .. } = deletion;
    Deletion {
        id: OperationId::new(id),
        tombstone: Arc::new(tombstone),
        log_id,
        partition: PARTITION,
        offset,
        since_ms,
        blocks: Vec::new(),
    }
}

/// Whether [`commit`] may have something to do.
pub(crate) fn is_due(inner: &Inner, tenant: &Tenant) -> bool {
    let waits = |manifest: &Manifest| {
        let may_end = |it: &&Deletion| it.log_id == inner.log_id && it.blocks.is_empty() && !manifest.is_behind(it);
        manifest.deletions.iter().any(|it| may_end(&it))
    };
    let list = tenant.deletions.all();
    list.iter().any(|it| !it.is_committed) || !list.is_empty() && waits(&tenant.known_manifest())
}

/// Commits deletions that are in no manifest yet, and says how far the log is needed, so that those can end whose blocks are
/// all rewritten.
pub(crate) async fn commit(inner: &Inner, tenant: &Tenant) -> Result<(), IngestError> {
    if !is_due(inner, tenant) {
        return Ok(());
    }
    let base = tenant.manifest().await?;
    let floor = ship::floor(inner, tenant, None).await?;
    let new = tenant.deletions.uncommitted();
    let change = |manifest: &Manifest| {
        let deleted = new.iter().fold(manifest.clone(), |manifest, deletion| manifest.delete(deletion));
        deleted.raise_floor(inner.log_id, PARTITION, floor)
    };
    if new.is_empty() && change(&base).deletions == base.deletions {
        return Ok(());
    }
    let operation = OperationId::new(inner.part_writer.ids.random());
    let committed = tenant.store.commit(Some(&base), ship::AUTHOR, operation, |manifest| Ok(change(manifest))).await?;
    tenant.publish_commit(committed, &new);
    Ok(())
}
