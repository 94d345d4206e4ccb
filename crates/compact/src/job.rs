//! One job, from the manifest that it was planned from to the manifest that it makes.
//!
//! 1. Open the inputs in the bucket; merge them into the work directory, account for every sample, verify what was written.
//! 2. Upload, then commit; what came of it was read back.
//! 3. An input that cannot be read is quarantined instead; or retired, where a deletion has waited for it long enough.
//!
//! **Invariant I-COMPACT-2:** outputs become live in the commit that retires their inputs, and only if all of these are live
//! in the version that it replaces. Until then nothing that is live has been touched: whatever ends a job at whatever point
//! leaves at most blocks that no manifest knows, with ids of ours, which the garbage collector finds.

use crate::compactor::Inner;
use crate::error::CompactError;
use crate::input::{Fault, Input, Unusable, fault_of};
use crate::merge::{MergeError, Merged, merge};
use crate::plan::Job;
use longhaul_block::BlockMeta;
use longhaul_bucket::{CommitError, LiveBlock, Manifest, OperationId, Rejected, TenantStore};
use longhaul_model::{BlockId, Tombstone};
use std::sync::Arc;
use tokio::runtime::Handle;

/// Who commits, for people who read a manifest.
pub(crate) const AUTHOR: &str = "compactor";

/// What became of a job.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It was committed.
    Done(Done),
    /// Inputs were quarantined.
    Quarantined(Manifest, Vec<Fault>),
    /// Inputs that cannot be read were retired without replacement.
    Dropped(Manifest, Vec<Fault>),
    /// The manifest has moved on, so that the job no longer applies: plan again.
    Obsolete(Rejected),
}

/// A job that was committed.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) manifest: Manifest,
    pub(crate) bytes_in: u64,
    pub(crate) blocks_out: u64,
    pub(crate) bytes_out: u64,
    pub(crate) samples_in: u64,
    pub(crate) samples_duplicate: u64,
    pub(crate) samples_deleted: u64,
}

/// Outputs in the work directory, removed when this is dropped.
struct Outputs {
    inner: Arc<Inner>,
    ids: Vec<BlockId>,
}

impl Drop for Outputs {
    fn drop(&mut self) {
        self.inner.work.remove(self.ids.drain(..));
    }
}

/// What came out of the blocking half of a job.
enum Worked {
    Merged(Merged, Outputs),
    Faults(Vec<Fault>),
}

/// Carries out a job that was planned from `base`.
pub(crate) async fn run(
    inner: &Arc<Inner>,
    store: &TenantStore,
    base: &Manifest,
    job: &Job,
) -> Result<Outcome, CompactError> {
    let lives: Vec<LiveBlock> = job.inputs.iter().filter_map(|id| base.block(*id)).cloned().collect();
    assert_eq!(lives.len(), job.inputs.len(), "a plan names blocks of the manifest that it was made from");
    check_space(inner, lives.iter().map(|live| live.size_bytes).sum())?;
    let worked = {
        let (inner, store, handle) = (inner.clone(), store.clone(), Handle::current());
        let past = inner.settings.retentions.of(store.tenant()).past(inner.clock.now_ms());
        let gone = lives.iter().map(|live| {
            let past = past.iter().filter(|past| live.resolution_ms == 0 && past.range.overlaps(&live.range));
            [base.tombstones_of(live, &[]), past.cloned().collect()].concat()
        });
        let lives: Vec<_> = lives.iter().cloned().zip(gone).collect();
        blocking(move || work(&inner, &store, lives, &handle)).await?
    };
    let (merged, outputs) = match worked {
        Worked::Faults(faults) if job.drops_unreadable => return drop_unreadable(inner, store, base, faults).await,
        Worked::Faults(faults) => return quarantine(inner, store, base, faults).await,
        Worked::Merged(merged, outputs) => (merged, outputs),
    };
    let mut new = Vec::with_capacity(merged.outputs.len());
    for meta in &merged.outputs {
        new.push(upload(inner, store, meta).await?);
    }
    let (blocks_out, bytes_out) = (new.len() as u64, new.iter().map(|block| block.size_bytes).sum());
    let now_ms = inner.clock.now_ms();
    let change = |manifest: &Manifest| manifest.compact(base, &job.inputs, new.clone(), now_ms);
    let done = |manifest| {
        Outcome::Done(Done {
            manifest,
            bytes_in: lives.iter().map(|live| live.size_bytes).sum(),
            blocks_out,
            bytes_out,
            samples_in: merged.account.samples_in,
            samples_duplicate: merged.account.duplicates,
            samples_deleted: merged.dropped.0,
        })
    };
    let outcome = commit(inner, store, base, change, done).await;
    drop(outputs);
    outcome
}

/// Opens the blocks, merges them without what is to be left out of each, verifies; finds out which one is to blame when
/// something about them is wrong. Blocks the thread.
fn work(
    inner: &Arc<Inner>,
    store: &TenantStore,
    lives: Vec<(LiveBlock, Vec<Arc<Tombstone>>)>,
    handle: &Handle,
) -> Result<Worked, CompactError> {
    let (mut inputs, mut faults) = (Vec::with_capacity(lives.len()), Vec::new());
    for (live, deleted) in &lives {
        match Input::open(store, live, deleted.clone(), handle) {
            Ok(input) => inputs.push(input),
            Err(Unusable::Fault(fault)) => faults.push(fault),
            Err(Unusable::Error(error)) => return Err(error),
        }
    }
    if !faults.is_empty() {
        return Ok(Worked::Faults(faults));
    }
    let mut outputs = Outputs { inner: inner.clone(), ids: Vec::new() };
    let mint = || {
        let id = inner.ids.block_id(inner.clock.now_ms());
        outputs.ids.push(id);
        id
    };
    let merged = merge(store.tenant(), &inputs, &inner.work, &inner.settings, mint, &inner.closing);
    match merged {
        Ok(merged) => Ok(Worked::Merged(merged, outputs)),
        Err(MergeError::Other(error)) => Err(error),
        Err(MergeError::Suspicious(reason)) => {
            drop(outputs);
            tracing::warn!(tenant = %store.tenant(), %reason, "a merge failed; its inputs are examined");
            for (live, _) in &lives {
                faults.extend(fault_of(store, live, handle, &inner.settings)?);
            }
            match faults.is_empty() {
                true => Err(CompactError::Unsound(reason)),
                false => Ok(Worked::Faults(faults)),
            }
        }
    }
}

async fn upload(inner: &Inner, store: &TenantStore, meta: &BlockMeta) -> Result<LiveBlock, CompactError> {
    let uploaded = store.upload_block(&inner.work.fs, &inner.work.block(meta.ulid), meta).await?;
    Ok(LiveBlock::new(meta, uploaded.size_bytes()))
}

async fn quarantine(
    inner: &Inner,
    store: &TenantStore,
    base: &Manifest,
    faults: Vec<Fault>,
) -> Result<Outcome, CompactError> {
    let now_ms = inner.clock.now_ms();
    let reasons: Vec<_> = faults.iter().map(|fault| (fault.id, fault.reason.clone())).collect();
    let change = |manifest: &Manifest| manifest.quarantine_all(&reasons, now_ms);
    commit(inner, store, base, change, |manifest| Outcome::Quarantined(manifest, faults)).await
}

async fn drop_unreadable(
    inner: &Inner,
    store: &TenantStore,
    base: &Manifest,
    faults: Vec<Fault>,
) -> Result<Outcome, CompactError> {
    let now_ms = inner.clock.now_ms();
    let ids: Vec<BlockId> = faults.iter().map(|fault| fault.id).collect();
    let change = |manifest: &Manifest| manifest.replace(&ids, Vec::new(), now_ms);
    commit(inner, store, base, change, |manifest| Outcome::Dropped(manifest, faults)).await
}

/// Commits a change; what a manifest that has moved on rejects is planned again.
async fn commit(
    inner: &Inner,
    store: &TenantStore,
    base: &Manifest,
    change: impl Fn(&Manifest) -> Result<Manifest, Rejected>,
    outcome: impl FnOnce(Manifest) -> Outcome,
) -> Result<Outcome, CompactError> {
    match store.commit(Some(base), AUTHOR, OperationId::new(inner.ids.random()), change).await {
        Ok(manifest) => Ok(outcome(manifest)),
        Err(CommitError::Rejected(rejected)) => Ok(Outcome::Obsolete(rejected)),
        Err(error) => Err(error.into()),
    }
}

/// Whether the disk has room for an output as large as the inputs.
fn check_space(inner: &Inner, needed_bytes: u64) -> Result<(), CompactError> {
    let path = &inner.work.path;
    let space = inner.work.fs.space(path).map_err(CompactError::io("look at", path))?;
    let settings = &inner.settings;
    let reserve = (space.total_bytes / 100 * settings.disk_reserve_percent).min(settings.disk_reserve_bytes_max);
    let available_bytes = space.available_bytes.saturating_sub(reserve);
    if available_bytes < needed_bytes {
        return Err(CompactError::NoSpace { path: path.clone(), needed_bytes, available_bytes });
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CompactError> + Send + 'static,
) -> Result<T, CompactError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(CompactError::Closed),
    }
}
