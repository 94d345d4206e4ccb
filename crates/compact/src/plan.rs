//! Which blocks become one block now: a pure function of a manifest, the time and the settings.
//!
//! Three causes. *Windows*: what lies in an aligned range that is over becomes one block, the longest window first, so that
//! a backlog is not written level by level. *Overlaps*: blocks whose ranges overlap become one, so that queries need not
//! merge them again and again. Neither is worth it while all but one of the blocks are small and young. *Deletions*:
//! blocks that hold what is deleted are written anew in time (`plan/rewrite.rs`).
//!
//! **Invariant I-COMPACT-1:** a job changes nothing that a query sees: raw blocks are not merged with coarser ones, and
//! the output has the same precedence as each input against every block that stays and overlaps the input.

mod rewrite;

use crate::retain::Expired;
use crate::settings::CompactSettings;
use longhaul_bucket::{LiveBlock, Manifest, Precedence};
use longhaul_model::{BlockId, TimeRange};
use rewrite::{Urgency, listed};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Blocks that become one. Jobs of one plan do not meet in time, so that they may run at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// In rising precedence.
    pub inputs: Vec<BlockId>,
    /// The hull of their ranges.
    pub range: TimeRange,
    /// Whether some of them overlap.
    pub overlap: bool,
    /// Since when it could have been done, ms since the epoch: how far behind its tenant is.
    pub due_ms: i64,
    /// Whether an input that cannot be read is retired instead of kept: the deletions that wait for it have waited long
    /// enough. Only such a job has quarantined inputs.
    pub drops_unreadable: bool,
}

/// Plans what is merged; overlaps first, then what has waited longest. Quarantined blocks are left out, and so is what
/// may still be added to soon.
pub fn plan(manifest: &Manifest, now_ms: i64, settings: &CompactSettings) -> Vec<Job> {
    plan_all(manifest, &Expired::new(), now_ms, settings)
}

/// The same, and what is rewritten for the sake of series that are kept no more.
pub(crate) fn plan_all(manifest: &Manifest, expired: &Expired, now_ms: i64, settings: &CompactSettings) -> Vec<Job> {
    plan_with(manifest, expired, now_ms, settings, |planner| planner.plan())
}

/// Plans the rewrite of all blocks that deletions list, or that hold series which are kept no more, since however short a time;
/// nothing else.
pub(crate) fn plan_rewrites(
    manifest: &Manifest,
    expired: &Expired,
    now_ms: i64,
    settings: &CompactSettings,
) -> Vec<Job> {
    plan_with(manifest, expired, now_ms, settings, |planner| {
        let mut jobs = Jobs::default();
        planner.add_all_rewrites(&mut jobs);
        jobs.by_start.into_values().collect()
    })
}

fn plan_with(
    manifest: &Manifest,
    expired: &Expired,
    now_ms: i64,
    settings: &CompactSettings,
    plan: impl Fn(&Planner<'_>) -> Vec<Job>,
) -> Vec<Job> {
    let resolutions: BTreeSet<i64> = manifest.blocks.iter().map(|block| block.resolution_ms).collect();
    let quarantined: HashSet<BlockId> = manifest.quarantined.iter().map(|block| block.id).collect();
    let mut listed = listed(manifest);
    for (id, since_ms) in expired {
        let first = listed.entry(*id).or_insert(*since_ms);
        *first = (*since_ms).min(*first);
    }
    let mut jobs = Vec::new();
    for resolution_ms in resolutions {
        let planner = Planner::new(manifest, resolution_ms, &quarantined, &listed, now_ms, settings);
        jobs.extend(plan(&planner));
    }
    jobs.sort_by_key(|job| (Reverse(job.overlap), job.due_ms, job.range));
    jobs
}

/// Plans for the blocks of one resolution.
struct Planner<'a> {
    /// Sorted by start, as in the manifest.
    blocks: Vec<&'a LiveBlock>,
    /// The highest end of the blocks up to each.
    ends_ms: Vec<i64>,
    /// Whether each may be an input.
    usable: Vec<bool>,
    /// Those that hold what is deleted or kept no more, with the first moment from which that was so, ms since the epoch.
    listed: &'a HashMap<BlockId, i64>,
    /// The latest start of any block of the tenant.
    newest_start_ms: i64,
    /// Whether blocks that overlap can be merged: chunks of aggregates cannot.
    merges_overlaps: bool,
    now_ms: i64,
    settings: &'a CompactSettings,
}

impl<'a> Planner<'a> {
    fn new(
        manifest: &'a Manifest,
        resolution_ms: i64,
        quarantined: &HashSet<BlockId>,
        listed: &'a HashMap<BlockId, i64>,
        now_ms: i64,
        settings: &'a CompactSettings,
    ) -> Self {
        let mut blocks: Vec<&LiveBlock> =
            manifest.blocks.iter().filter(|block| block.resolution_ms == resolution_ms).collect();
        blocks.sort_by_key(|block| (block.range.start_ms, block.id));
        let mut end_ms = i64::MIN;
        let ends_ms = blocks
            .iter()
            .map(|block| {
                end_ms = end_ms.max(block.range.end_ms);
                end_ms
            })
            .collect();
        let usable = blocks.iter().map(|block| !quarantined.contains(&block.id) && !block.range.is_empty()).collect();
        Self {
            ends_ms,
            usable,
            listed,
            newest_start_ms: manifest.blocks.iter().map(|block| block.range.start_ms).max().unwrap_or(i64::MIN),
            merges_overlaps: resolution_ms == 0,
            blocks,
            now_ms,
            settings,
        }
    }

    fn plan(&self) -> Vec<Job> {
        let mut jobs = Jobs::default();
        self.add_rewrites(Urgency::Overdue, &mut jobs);
        let long = (self.settings.long_range_ms, self.settings.long_bytes_max);
        let lengths = self.settings.ranges_ms.iter().map(|length_ms| (*length_ms, self.settings.job_bytes_max));
        for (length_ms, bytes_max) in std::iter::once(long).chain(lengths.rev()).filter(|(length_ms, _)| *length_ms > 0)
        {
            for (window, members) in self.windows(length_ms) {
                let due_ms = window.end_ms.saturating_add(self.settings.settle_ms);
                if self.is_complete(window) && self.bytes(&members) <= bytes_max {
                    jobs.add(self.job(members, due_ms));
                }
            }
        }
        if self.merges_overlaps {
            for members in self.clusters() {
                let due_ms = self.hull(&members).end_ms.saturating_add(self.settings.settle_ms);
                if due_ms <= self.now_ms && self.bytes(&members) <= self.settings.job_bytes_max {
                    jobs.add(self.job(members, due_ms));
                }
            }
        }
        self.add_rewrites(Urgency::Due, &mut jobs);
        jobs.by_start.into_values().collect()
    }

    /// The usable blocks that lie within one aligned range of the given length, by range.
    fn windows(&self, length_ms: i64) -> impl Iterator<Item = (TimeRange, Vec<usize>)> {
        let mut windows: BTreeMap<TimeRange, Vec<usize>> = BTreeMap::new();
        for (i, block) in self.blocks.iter().enumerate().filter(|(i, _)| self.usable[*i]) {
            let window = TimeRange::aligned(block.range.start_ms, length_ms);
            if window.covers(&block.range) {
                windows.entry(window).or_default().push(i);
            }
        }
        windows.into_iter()
    }

    /// Nothing is likely to be added to a range that is over once newer data has been shipped, or in the end anyway.
    fn is_complete(&self, window: TimeRange) -> bool {
        let over = |wait_ms: i64| window.end_ms.saturating_add(wait_ms) <= self.now_ms;
        over(self.settings.settle_ms) && (self.newest_start_ms >= window.end_ms || over(self.settings.wait_max_ms))
    }

    /// Usable blocks whose ranges overlap, directly or through others.
    fn clusters(&self) -> Vec<Vec<usize>> {
        let mut clusters: Vec<(TimeRange, Vec<usize>)> = Vec::new();
        for (i, block) in self.blocks.iter().enumerate().filter(|(i, _)| self.usable[*i]) {
            match clusters.last_mut() {
                Some((hull, members)) if hull.overlaps(&block.range) => {
                    *hull = hull.hull(&block.range);
                    members.push(i);
                }
                _ => clusters.push((block.range, vec![i])),
            }
        }
        clusters.into_iter().map(|(_, members)| members).collect()
    }

    /// The job that makes one block of `members`, if that is worth it and changes nothing for queries.
    fn job(&self, members: Vec<usize>, due_ms: i64) -> Option<Job> {
        let overlap = self.overlap(&members);
        let worth_it = members.len() <= self.settings.inputs_max
            && !self.is_one(&members)
            && self.is_worth(&members)
            && (!overlap || self.merges_overlaps)
            && self.keeps_precedence(&members);
        if !worth_it {
            return None;
        }
        let newest_ms = members.iter().map(|i| minted_ms(self.blocks[*i])).max().unwrap_or(0);
        let range = self.hull(&members);
        let mut inputs: Vec<&LiveBlock> = members.iter().map(|i| self.blocks[*i]).collect();
        inputs.sort_by_key(|block| block.precedence());
        Some(Job {
            inputs: inputs.iter().map(|block| block.id).collect(),
            range,
            overlap,
            due_ms: due_ms.max(newest_ms).min(self.now_ms), // others' clocks may run ahead
            drops_unreadable: false,
        })
    }

    /// Whether the members are one block already, or what one was split into.
    fn is_one(&self, members: &[usize]) -> bool {
        let first = self.blocks[members[0]];
        members.iter().all(|i| are_siblings(first, self.blocks[*i]))
    }

    /// Whether all but the largest are large enough together, or one of them has waited long enough.
    fn is_worth(&self, members: &[usize]) -> bool {
        let total: u128 = self.bytes(members).into();
        let Some(largest) = members.iter().max_by_key(|i| (self.blocks[**i].size_bytes, Reverse(**i))) else {
            return false;
        };
        let rest = total - u128::from(self.blocks[*largest].size_bytes);
        let oldest_ms = members.iter().filter(|i| *i != largest).map(|i| minted_ms(self.blocks[*i])).min();
        let aged = oldest_ms.is_some_and(|at_ms| at_ms.saturating_add(self.settings.late_wait_ms) <= self.now_ms);
        aged || rest * 100 >= total * u128::from(self.settings.late_percent)
    }

    /// Whether two of the members overlap, other than what one block was split into.
    fn overlap(&self, members: &[usize]) -> bool {
        let mut reach: Option<usize> = None; // the member that ends last so far
        for &i in members {
            let block = self.blocks[i];
            if let Some(last) = reach.map(|last| self.blocks[last])
                && block.range.start_ms < last.range.end_ms
                && !are_siblings(last, block)
            {
                return true;
            }
            if reach.is_none_or(|last| self.blocks[last].range.end_ms < block.range.end_ms) {
                reach = Some(i);
            }
        }
        false
    }

    /// I-COMPACT-1: a block that stays and overlaps inputs wins or loses against the output as it did against them.
    fn keeps_precedence(&self, members: &[usize]) -> bool {
        self.in_between(members).is_none()
    }

    /// A block that stays and would win or lose otherwise.
    fn in_between(&self, members: &[usize]) -> Option<usize> {
        let inputs: HashSet<usize> = members.iter().copied().collect();
        let output = members.iter().map(|i| self.blocks[*i].precedence()).max().map(Precedence::of_merged)?;
        members.iter().find_map(|&i| {
            let input = self.blocks[i];
            self.overlapping(input.range).filter(|j| !inputs.contains(j)).find(|&j| {
                let other = self.blocks[j].precedence();
                (input.precedence() < other) != (output < other)
            })
        })
    }

    /// The blocks, usable or not, that overlap `range`.
    fn overlapping(&self, range: TimeRange) -> impl Iterator<Item = usize> {
        let first = self.ends_ms.partition_point(|end_ms| *end_ms <= range.start_ms);
        (first..self.blocks.len())
            .take_while(move |i| self.blocks[*i].range.start_ms < range.end_ms)
            .filter(move |i| self.blocks[*i].range.overlaps(&range))
    }

    fn hull(&self, members: &[usize]) -> TimeRange {
        members.iter().fold(TimeRange::new(0, 0), |hull, i| hull.hull(&self.blocks[*i].range))
    }

    fn bytes(&self, members: &[usize]) -> u64 {
        members.iter().fold(0, |bytes, i| bytes.saturating_add(self.blocks[*i].size_bytes))
    }
}

/// Jobs that do not meet in time, by start.
#[derive(Default)]
struct Jobs {
    by_start: BTreeMap<i64, Job>,
}

impl Jobs {
    fn add(&mut self, job: Option<Job>) {
        let Some(job) = job else { return };
        // They do not meet, so that of those that begin before the end of this one only the last can reach into it.
        let before = self.by_start.range(..job.range.end_ms).next_back();
        if before.is_none_or(|(_, other)| !other.range.overlaps(&job.range)) {
            self.by_start.insert(job.range.start_ms, job);
        }
    }
}

/// When a block was made, ms since the epoch.
fn minted_ms(block: &LiveBlock) -> i64 {
    i64::try_from(block.id.timestamp_ms()).unwrap_or(i64::MAX)
}

/// Whether both came out of one job, whose output was split by series: they have no series in common. Every block is
/// its own sibling.
fn are_siblings(a: &LiveBlock, b: &LiveBlock) -> bool {
    a.id == b.id || (a.level > 1 && a.level == b.level && a.sources == b.sources)
}

#[cfg(test)]
mod tests;
