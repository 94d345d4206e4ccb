//! Which blocks are written anew for the sake of deletions: those that a deletion lists and no merge has taken along in
//! time. As a deletion gets older,
//!
//! 1. its blocks wait for a merge, which costs nothing more;
//! 2. from half of the deadline on they are rewritten, unless a merge of theirs is planned;
//! 3. from the deadline on they no longer wait for a merge;
//! 4. in the end a block that cannot be read stands in the way of nothing any more: it is tried once more, and dropped
//!    if that is in vain. So every deletion ends.

use super::{Job, Jobs, Planner};
use crate::settings::CompactSettings;
use longhaul_bucket::{LiveBlock, Manifest};
use longhaul_model::BlockId;
use std::collections::{HashMap, HashSet};

/// How urgent a rewrite is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    /// If no merge is planned.
    Due,
    /// Whatever else is planned.
    Overdue,
}

/// The blocks that deletions list, with when the oldest of these was asked for, ms since the epoch.
pub(super) fn listed(manifest: &Manifest) -> HashMap<BlockId, i64> {
    let mut since = HashMap::new();
    for deletion in &manifest.deletions {
        for id in &deletion.blocks {
            let since_ms = since.entry(*id).or_insert(deletion.since_ms);
            *since_ms = deletion.since_ms.min(*since_ms);
        }
    }
    since
}

/// When a deletion's blocks begin to be rewritten without a merge, ms since the epoch. It leaves as much time again.
fn due_ms(since_ms: i64, settings: &CompactSettings) -> i64 {
    since_ms.saturating_add(settings.delete_deadline_ms / 2)
}

impl Planner<'_> {
    /// Adds the rewrites of this urgency.
    pub(super) fn add_rewrites(&self, urgency: Urgency, jobs: &mut Jobs) {
        self.add_rewrites_of(jobs, |since_ms| {
            let due_ms = due_ms(since_ms, self.settings);
            let overdue_ms = since_ms.saturating_add(self.settings.delete_deadline_ms);
            let is_meant = match urgency {
                Urgency::Due => due_ms <= self.now_ms && self.now_ms < overdue_ms,
                Urgency::Overdue => overdue_ms <= self.now_ms,
            };
            let drops_unreadable = overdue_ms.saturating_add(self.settings.delete_unreadable_ms) <= self.now_ms;
            is_meant.then_some((due_ms, drops_unreadable))
        });
    }

    /// Rewrites of all that deletions list and that can be read, however young they are.
    pub(super) fn add_all_rewrites(&self, jobs: &mut Jobs) {
        self.add_rewrites_of(jobs, |_| Some((self.now_ms, false)));
    }

    /// Adds rewrites of the listed blocks that no job has yet. `how` says, by when the oldest deletion was asked for, whether
    /// there is to be one, since when it is due, and whether it may drop what cannot be read.
    fn add_rewrites_of(&self, jobs: &mut Jobs, how: impl Fn(i64) -> Option<(i64, bool)>) {
        if self.listed.is_empty() {
            return;
        }
        let mut taken: HashSet<BlockId> = jobs.by_start.values().flat_map(|job| job.inputs.iter().copied()).collect();
        for (i, block) in self.blocks.iter().enumerate().filter(|(_, block)| self.listed.contains_key(&block.id)) {
            let Some((due_ms, drops_unreadable)) = how(self.listed[&block.id]) else { continue };
            if !taken.contains(&block.id)
                && let Some(job) = self.rewrite(i, due_ms, drops_unreadable)
            {
                taken.extend(&job.inputs);
                jobs.add(Some(job));
            }
        }
    }

    /// The job that writes a block anew, together with those without which it would come to win or lose against others
    /// otherwise (I-COMPACT-1).
    fn rewrite(&self, block: usize, due_ms: i64, drops_unreadable: bool) -> Option<Job> {
        let mut members = vec![block];
        while let Some(between) = self.in_between(&members) {
            members.push(between);
        }
        let readable = |i: &usize| !self.blocks[*i].range.is_empty() && (drops_unreadable || self.usable[*i]);
        if !members.iter().all(readable) {
            return None;
        }
        members.sort_unstable();
        let overlap = members.len() > 1;
        let mut inputs: Vec<&LiveBlock> = members.iter().map(|i| self.blocks[*i]).collect();
        inputs.sort_by_key(|block| block.precedence());
        Some(Job {
            inputs: inputs.iter().map(|block| block.id).collect(),
            range: self.hull(&members),
            overlap,
            due_ms: due_ms.min(self.now_ms),
            drops_unreadable,
        })
    }
}
