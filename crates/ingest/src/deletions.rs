//! The deletions of a tenant that are in force, as this process knows them: what they are about is left out of local parts
//! and, until the manifest lists its blocks, of everything in the bucket.
//!
//! A deletion comes in from its place in the log ([`Deletions::add`]) or from a manifest ([`Deletions::learn`]), and stays
//! until a manifest that had it has it no more and no part here can hold what it is about.
//!
//! **Invariant I-DELETE-1:** between the answer to a deletion and its end no reader sees what it is about: the head loses it
//! before the answer, the list says which parts are filtered, and readers pin the list before the parts.

use crate::parts::Part;
use arc_swap::ArcSwap;
use longhaul_bucket::{Deletion, Manifest, OperationId};
use longhaul_model::{Labels, LogId, Tombstone};
use parking_lot::Mutex;
use std::sync::Arc;

/// Deletions that may be in force at once: each costs every query a little.
pub(crate) const DELETIONS_MAX: usize = 1000;

/// A deletion in force.
#[derive(Clone, Debug)]
pub(crate) struct InForce {
    pub(crate) deletion: Arc<Deletion>,
    /// Whether a manifest has had it: from then on its list of blocks counts.
    pub(crate) is_committed: bool,
    /// Whether its offset is one of this data directory's log, so that parts of an older log came before it.
    is_ours: bool,
}

impl InForce {
    /// Whether a part may hold what the deletion is about: if all of it was accepted before. Parts with something later are
    /// made after the deletion was added here, and from then on all that makes parts leaves out what is deleted.
    pub(crate) fn is_about(&self, part: &Part) -> bool {
        let is_of_its_log = || part.coverage().iter().any(|stretch| stretch.log_id == self.deletion.log_id);
        part.last_offset() <= self.deletion.offset
            && part.range.overlaps(&self.deletion.tombstone.range)
            && (self.is_ours || is_of_its_log())
    }
}

/// What is to be left out of a part.
pub(crate) fn tombstones_of(part: &Part, deletions: &[InForce]) -> Vec<Arc<Tombstone>> {
    let about = deletions.iter().filter(|it| it.is_about(part));
    about.map(|it| it.deletion.tombstone.clone()).collect()
}

/// The list.
#[derive(Debug)]
pub(crate) struct Deletions {
    list: ArcSwap<Vec<InForce>>,
    /// Held by who changes the list.
    changing: Mutex<()>,
    /// Those whose frame could not be made durable, and may be found in the log after a crash nevertheless.
    unclear: Mutex<Vec<Tombstone>>,
    log_id: LogId,
}

impl Deletions {
    /// An empty list. `log_id` is the log that lies in the data directory when the process starts.
    pub(crate) fn new(log_id: LogId) -> Self {
        Self { list: ArcSwap::default(), changing: Mutex::default(), unclear: Mutex::default(), log_id }
    }

    /// All of them.
    pub(crate) fn all(&self) -> Arc<Vec<InForce>> {
        self.list.load_full()
    }

    /// Those that no manifest has had yet.
    pub(crate) fn uncommitted(&self) -> Vec<Arc<Deletion>> {
        let list = self.list.load();
        list.iter().filter(|it| !it.is_committed).map(|it| it.deletion.clone()).collect()
    }

    /// Adds one that the log has just delivered. Lane, or replay.
    pub(crate) fn add(&self, deletion: Deletion) {
        let deletion = InForce { deletion: Arc::new(deletion), is_committed: false, is_ours: true };
        self.change(|list| list.push(deletion));
    }

    /// Notes one that the log could not make durable: it is not in force, unless the next replay finds it.
    pub(crate) fn add_unclear(&self, tombstone: Tombstone) {
        self.unclear.lock().push(tombstone);
    }

    /// Whether a replay may find a deletion of this sample that is not in force here.
    pub(crate) fn may_be_about(&self, labels: impl FnOnce() -> Labels, t_ms: i64) -> bool {
        let unclear = self.unclear.lock();
        let mut meant = unclear.iter().filter(|it| it.range.contains(t_ms)).peekable();
        meant.peek().is_some() && {
            let labels = labels();
            meant.any(|it| it.is_about(&labels))
        }
    }

    /// How many there are, those that are unclear included.
    pub(crate) fn count(&self) -> usize {
        self.list.load().len() + self.unclear.lock().len()
    }

    /// Adds what a manifest has, before that manifest is published.
    pub(crate) fn learn(&self, manifest: &Manifest) {
        let list = self.list.load();
        let is_known = |id: OperationId| list.iter().any(|it| it.is_committed && it.deletion.id == id);
        if manifest.deletions.iter().all(|deletion| is_known(deletion.id)) {
            return;
        }
        self.change(|list| {
            for deletion in &manifest.deletions {
                match list.iter_mut().find(|it| it.deletion.id == deletion.id) {
                    Some(known) => known.is_committed = true,
                    None => list.push(InForce {
                        is_ours: deletion.log_id == self.log_id,
                        deletion: Arc::new(Deletion { blocks: Vec::new(), ..deletion.clone() }),
                        is_committed: true,
                    }),
                }
            }
        });
    }

    /// Says that these are in a published manifest, or were and are over.
    pub(crate) fn committed(&self, committed: &[Arc<Deletion>]) {
        if !committed.is_empty() {
            self.change(|list| {
                let is_meant = |it: &&mut InForce| committed.iter().any(|other| other.id == it.deletion.id);
                list.iter_mut().filter(is_meant).for_each(|it| it.is_committed = true);
            });
        }
    }

    /// Forgets those that are over: no longer in the published manifest, and about none of the parts.
    pub(crate) fn forget(&self, manifest: &Manifest, parts: &[Arc<Part>]) {
        let is_over = |it: &InForce| {
            it.is_committed
                && manifest.deletion(it.deletion.id).is_none()
                && !parts.iter().any(|part| it.is_about(part))
        };
        if self.list.load().iter().any(is_over) {
            self.change(|list| list.retain(|it| !is_over(it)));
        }
    }

    fn change(&self, change: impl FnOnce(&mut Vec<InForce>)) {
        let _changing = self.changing.lock();
        let mut list = Vec::clone(&self.list.load());
        change(&mut list);
        self.list.store(Arc::new(list));
    }
}
