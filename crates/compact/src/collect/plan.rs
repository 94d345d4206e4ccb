//! What is garbage: a pure function of what lies in the bucket, what the manifest says, and the time.

use super::CollectSettings;
use longhaul_bucket::{BlockAddress, BlockObject, Manifest, Place, RetiredBlock, StoredVersion};
use longhaul_model::{BlockId, is_tagged};

/// What was found in the bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The time, ms since the epoch: neither our clock nor the store's is behind it.
    pub now_ms: i64,
    /// Folders that may be garbage; others may be among them.
    pub folders: Vec<Folder>,
}

/// A block's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Which block's.
    pub block: BlockAddress,
    /// What is in it, in the order in which it has to go.
    pub objects: Vec<BlockObject>,
}

/// What has to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Commit this orphan boundary first, then plan again: there are orphans that it has to be above.
    pub boundary: Option<BlockId>,
    /// Announce the deletion of these.
    pub marks: Vec<RetiredBlock>,
    /// Delete these.
    pub deletions: Vec<Deletion>,
    /// Nothing is left of these: the manifest may forget them.
    pub gone: Vec<BlockAddress>,
}

/// A block to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// Which one.
    pub block: BlockAddress,
    /// Why it may go.
    pub reason: Reason,
    /// What is left of it, in the order in which it has to go.
    pub objects: Vec<BlockObject>,
}

/// Why a block may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It was live once, and another has been in its place for long enough.
    Retired,
    /// It is ours, and never became live nor ever can.
    Orphan,
}

/// Decides what to do about `survey`.
pub fn plan(survey: &Survey, manifest: &Manifest, settings: &CollectSettings) -> Plan {
    let mut plan = Plan::default();
    for Folder { block, objects } in &survey.folders {
        if manifest.block(block.id).is_some() {
            continue; // I-GC-1
        }
        let delete = |reason| Deletion { block: *block, reason, objects: objects.clone() };
        if let Some(retired) = manifest.retired.iter().find(|retired| retired.address() == *block) {
            match retired_step(retired, objects, survey.now_ms, settings) {
                Step::Mark => plan.marks.push(retired.clone()),
                Step::Delete => plan.deletions.push(delete(Reason::Retired)),
                Step::Forget => plan.gone.push(*block),
                Step::Wait => {}
            }
        } else if is_orphan(*block, objects, survey.now_ms, settings) && !manifest.knows(block.id) {
            // I-GC-4: a commit that is on its way may still bring an id that lies above the boundary.
            match manifest.orphan_boundary {
                Some(boundary) if block.id < boundary => plan.deletions.push(delete(Reason::Orphan)),
                _ => plan.boundary = plan.boundary.max(Some(after(block.id))),
            }
        }
    }
    plan
}

enum Step {
    Wait,
    Mark,
    Delete,
    Forget,
}

/// I-GC-3: the delay has passed since the commit that retired the block, by the clock of who made it, and since the mark
/// was put beside it, by the store's. A committer whose clock was wrong cannot shorten it.
fn retired_step(retired: &RetiredBlock, objects: &[BlockObject], now_ms: i64, settings: &CollectSettings) -> Step {
    let due = |since_ms| is_due(since_ms, settings.retired_delay_ms, now_ms);
    match objects.iter().find(|object| object.is_deletion_mark()) {
        _ if objects.is_empty() => {
            if due(retired.since_ms) {
                Step::Forget
            } else {
                Step::Wait
            }
        }
        None => Step::Mark,
        Some(mark) if due(retired.since_ms) && due(mark.modified_ms) => Step::Delete,
        Some(_) => Step::Wait,
    }
}

/// Whether a folder that is in no manifest is ours and old. An id from the future waits until its time has come: the
/// boundary that is above it would be above everybody's.
fn is_orphan(block: BlockAddress, objects: &[BlockObject], now_ms: i64, settings: &CollectSettings) -> bool {
    let old = |since_ms| is_due(since_ms, settings.orphan_age_ms, now_ms);
    // I-GC-2
    is_tagged(block.id)
        && block.place == Place::Tenant
        && old(block.id.timestamp_ms() as i64)
        && !objects.is_empty()
        && objects.iter().all(|object| old(object.modified_ms))
}

pub(super) fn is_due(since_ms: i64, delay_ms: i64, now_ms: i64) -> bool {
    since_ms.saturating_add(delay_ms) <= now_ms
}

/// The lowest id above `id`.
fn after(id: BlockId) -> BlockId {
    u128::from(id).saturating_add(1).into()
}

/// The lowest version of a manifest that has to stay, if there are any below: one that was the newest `history_ms` ago, or
/// came later. At least the one before `newest` stays.
pub(super) fn trim_to(versions: &[StoredVersion], newest: u64, history_ms: i64, now_ms: i64) -> Option<u64> {
    let may_be_lowest = |it: &&StoredVersion| it.version < newest && is_due(it.modified_ms, history_ms, now_ms);
    let lowest = versions.iter().filter(may_be_lowest).map(|it| it.version).max()?;
    versions.iter().any(|it| it.version < lowest).then_some(lowest)
}

#[cfg(test)]
mod tests;
