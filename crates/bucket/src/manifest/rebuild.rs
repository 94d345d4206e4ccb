//! A manifest from what lies in the bucket: pure functions over blocks' `meta.json` files.
//!
//! Which of several blocks that hold the same is live cannot be known: a block that was merged from others may have been
//! committed or not, it may be one of several that were made at once, and each of its parents may have been merged into
//! another block since. So:
//!
//! 1. What is marked for deletion was retired.
//! 2. A block whose parents are all there, whole and unmarked, adds nothing to them: it is left out. (It may be half of
//!    what a merge made.)
//! 3. Everything else is live. Where that is the same twice, answers do not change, and the next compaction makes it one.
//!
//! **Invariant:** whatever a live block held when the bucket was whole is held by the live blocks of the result.

use super::{LiveBlock, Manifest, Place, QuarantinedBlock, RetiredBlock};
use longhaul_block::BlockMeta;
use longhaul_model::BlockId;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A block that was found in the bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Its `meta.json`.
    pub meta: BlockMeta,
    /// Where it lies.
    pub place: Place,
    /// All its objects together, bytes.
    pub size_bytes: u64,
    /// Since when it has been marked for deletion, ms since the epoch.
    pub marked_since_ms: Option<i64>,
    /// What is wrong with it as far as a LIST can tell.
    pub fault: Option<String>,
}

/// What becomes of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Queries read it.
    Live,
    /// It is marked for deletion, or known to be retired.
    Retired,
    /// Everything that it was made from is there.
    Redundant,
}

/// A manifest that was made from what lies in the bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct Rebuilt {
    /// The content of the next version.
    pub manifest: Manifest,
    /// What became of each candidate, by id.
    pub fates: BTreeMap<BlockId, Fate>,
}

/// What becomes of each candidate, where the blocks `retired` are known to be so.
pub fn settle(candidates: &[Candidate], retired: &BTreeSet<BlockId>) -> BTreeMap<BlockId, Fate> {
    let is_retired = |it: &Candidate| it.marked_since_ms.is_some() || retired.contains(&it.meta.ulid);
    let whole: HashMap<BlockId, i64> = (candidates.iter())
        .filter(|it| !is_retired(it) && it.fault.is_none())
        .map(|it| (it.meta.ulid, it.meta.resolution_ms()))
        .collect();
    let fate = |it: &Candidate| {
        // Blocks of another resolution may name the same parents, which they do not replace.
        let there = |id: &BlockId| whole.get(id) == Some(&it.meta.resolution_ms());
        let parents = &it.meta.compaction.parents;
        if is_retired(it) {
            Fate::Retired
        } else if !parents.is_empty() && parents.iter().all(|parent| there(&parent.ulid)) {
            Fate::Redundant
        } else {
            Fate::Live
        }
    };
    candidates.iter().map(|it| (it.meta.ulid, fate(it))).collect()
}

impl Manifest {
    /// Makes blocks of others live that are not known yet, but those that [`settle`] finds no use for, and those whose parents
    /// are all known: those have the same samples.
    pub fn adopt(&self, candidates: &[Candidate]) -> Rebuilt {
        let new: Vec<Candidate> = candidates.iter().filter(|it| !self.knows(it.meta.ulid)).cloned().collect();
        let mut fates = settle(&new, &BTreeSet::new());
        let mut manifest = self.clone();
        for candidate in &new {
            let parents = &candidate.meta.compaction.parents;
            let fate = fates.get_mut(&candidate.meta.ulid).expect("every candidate has a fate");
            if *fate == Fate::Live && !parents.is_empty() && parents.iter().all(|parent| self.knows(parent.ulid)) {
                *fate = Fate::Redundant;
            }
            if *fate == Fate::Live {
                let live = LiveBlock::new(&candidate.meta, candidate.size_bytes);
                manifest.insert(LiveBlock { place: candidate.place, ..live });
            }
        }
        Rebuilt { manifest, fates }
    }

    /// The manifest of the blocks that were found. `base` is what is still known of an earlier version: what it says of
    /// retired blocks, deletions, quarantine and logs is kept. What is wrong with a block keeps it from compaction, and not
    /// from being live: a gap would be worse than an error.
    pub fn rebuild(base: Option<&Self>, candidates: &[Candidate], now_ms: i64) -> Rebuilt {
        let mut manifest = base.cloned().unwrap_or_default();
        let fates = settle(candidates, &manifest.retired.iter().map(|block| block.id).collect());
        manifest.blocks.clear();
        for candidate in candidates {
            let (id, meta) = (candidate.meta.ulid, &candidate.meta);
            // What was retired has been in the bucket, and so has what may never have been committed: its parents are there.
            for it in meta.longhaul.iter().flat_map(|ours| &ours.coverage) {
                manifest.through.raise(it.log_id, it.partition, it.range, it.to);
            }
            match fates[&id] {
                Fate::Live => {
                    let live = LiveBlock { place: candidate.place, ..LiveBlock::new(meta, candidate.size_bytes) };
                    manifest.blocks.push(live);
                    let known = manifest.quarantined.iter().any(|block| block.id == id);
                    if let (Some(reason), false) = (&candidate.fault, known) {
                        let reason = reason.clone();
                        manifest.quarantined.push(QuarantinedBlock { id, since_ms: now_ms, reason });
                    }
                }
                // The delay before its objects go begins anew, so that there is time to look at what was made here.
                Fate::Retired if !manifest.retired.iter().any(|block| block.id == id) => {
                    let place = candidate.place;
                    manifest.retired.push(RetiredBlock { id, place, since_ms: now_ms, replaced_by: Vec::new() });
                }
                Fate::Retired | Fate::Redundant => {}
            }
        }
        manifest.blocks.sort_by_key(|block| (block.range.start_ms, block.id));
        let live: BTreeSet<BlockId> = manifest.blocks.iter().map(|block| block.id).collect();
        manifest.quarantined.retain(|block| live.contains(&block.id));
        Rebuilt { manifest, fates }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{hours, id};
    use longhaul_block::{Compaction, Coverage, LonghaulMeta, Parent};
    use longhaul_model::{LogId, TenantId};
    use proptest::prelude::*;

    fn candidate(n: u64, level: u32, parents: &[u64]) -> Candidate {
        let mut meta = BlockMeta::new(id(n), hours(0, 2));
        let parent = |n: &u64| Parent { ulid: id(*n), min_ms: 0, end_ms: 1 };
        meta.compaction = Compaction { level, parents: parents.iter().map(parent).collect(), ..Compaction::default() };
        Candidate { meta, place: Place::Tenant, size_bytes: n, marked_since_ms: None, fault: None }
    }

    #[test]
    fn a_merge_counts_once_a_parent_of_it_is_not_there() {
        let [a, b, c] = [1, 2, 3].map(|n| candidate(n, 1, &[]));
        let ab = candidate(10, 2, &[1, 2]);
        let abc = candidate(11, 3, &[10, 3]);
        let of = |all: &[&Candidate]| {
            let fates = settle(&all.iter().copied().cloned().collect::<Vec<_>>(), &BTreeSet::new());
            fates.into_iter().filter(|(_, fate)| *fate == Fate::Live).map(|(id, _)| id).collect::<Vec<_>>()
        };
        assert_eq!(of(&[&a, &b, &ab]), [id(1), id(2)], "half of what the merge made may be missing");
        assert_eq!(of(&[&a, &ab]), [id(1), id(10)], "the other parent may have gone into another block");
        assert_eq!(of(&[&ab]), [id(10)]);
        assert_eq!(of(&[&a, &b, &c, &ab, &abc]), [id(1), id(2), id(3)]);
        assert_eq!(of(&[&ab, &abc]), [id(10), id(11)]);
        let (mut marked, mut broken) = (a.clone(), a.clone());
        marked.marked_since_ms = Some(0);
        broken.fault = Some("index is missing".into());
        assert_eq!(of(&[&marked, &b, &ab]), [id(2), id(10)]);
        assert_eq!(of(&[&broken, &b, &ab]), [id(1), id(2), id(10)]);
        // What was downsampled names the parents of its raw block.
        let mut coarse = candidate(12, 2, &[1, 2]);
        coarse.meta.thanos = Some(longhaul_block::ThanosMeta {
            downsample: longhaul_block::Downsample { resolution: 300_000, ..Default::default() },
            ..Default::default()
        });
        assert_eq!(of(&[&a, &b, &coarse]), [id(1), id(2), id(12)]);
    }

    #[test]
    fn what_is_known_of_an_earlier_version_is_kept() {
        let ours = |mut candidate: Candidate, to| {
            let coverage = Coverage { log_id: LogId::nil(), partition: 0, range: hours(0, 2), from: 0, to };
            let section = LonghaulMeta::new(TenantId::parse("t").unwrap());
            candidate.meta.longhaul = Some(LonghaulMeta { coverage: vec![coverage], ..section });
            candidate
        };
        let mut damaged = ours(candidate(1, 1, &[]), 5);
        damaged.fault = Some("index is missing".into());
        let retired = ours(candidate(2, 1, &[]), 7);
        let base = Manifest {
            retired: vec![RetiredBlock { id: id(2), place: Place::Tenant, since_ms: 3, replaced_by: vec![id(10)] }],
            orphan_boundary: Some(id(1)),
            quarantined: vec![QuarantinedBlock { id: id(9), since_ms: 0, reason: "gone".into() }],
            ..Manifest::default()
        };
        let mut marked = ours(candidate(3, 1, &[]), 2);
        marked.marked_since_ms = Some(50);
        let found = [damaged, retired, marked, ours(candidate(10, 2, &[2]), 4)];
        let Rebuilt { manifest, fates } = Manifest::rebuild(Some(&base), &found, 100);
        assert_eq!(manifest.blocks.iter().map(|block| block.id).collect::<Vec<_>>(), [id(1), id(10)]);
        let retired: Vec<_> = manifest.retired.iter().map(|it| (it.id, it.since_ms)).collect();
        assert_eq!(retired, [(id(2), 3), (id(3), 100)]);
        let quarantined: Vec<_> = manifest.quarantined.iter().map(|it| (it.id, it.reason.as_str())).collect();
        assert_eq!(quarantined, [(id(1), "index is missing")]);
        assert_eq!((fates[&id(2)], manifest.orphan_boundary), (Fate::Retired, Some(id(1))));
        assert_eq!(manifest.known_end(LogId::nil()), Some(7), "what was retired had been in the bucket");

        let without = Manifest::rebuild(None, &found, 100);
        assert_eq!(without.fates[&id(2)], Fate::Live, "nothing says that it was retired");
        assert_eq!(without.fates[&id(10)], Fate::Redundant);
    }

    #[test]
    fn what_is_adopted_is_not_known_yet_and_not_there_twice() {
        let block = |n, place| Candidate { place, ..candidate(n, 1, &[]) };
        let first = [block(1, Place::Root), block(2, Place::Root)];
        let adopted = Manifest::default().adopt(&first).manifest;
        let live = |manifest: &Manifest| manifest.blocks.iter().map(|it| (it.id, it.place)).collect::<Vec<_>>();
        assert_eq!(live(&adopted), [(id(1), Place::Root), (id(2), Place::Root)]);
        let retired = adopted.replace(&[id(1)], Vec::new(), 5).unwrap();
        let mut marked = block(4, Place::Root);
        marked.marked_since_ms = Some(0);
        let later = [block(1, Place::Root), marked, block(5, Place::Root), candidate(6, 2, &[1, 2])];
        let Rebuilt { manifest, fates } = retired.adopt(&later);
        assert_eq!(live(&manifest), [(id(2), Place::Root), (id(5), Place::Root)]);
        assert_eq!(manifest.retired, retired.retired);
        assert_eq!((fates[&id(4)], fates[&id(6)], fates.get(&id(1))), (Fate::Retired, Fate::Redundant, None));
    }

    /// A bucket's life, one step at a time. A block holds numbers; every number comes into the bucket once.
    #[derive(Clone, Debug)]
    enum Step {
        Ship,
        /// Merges some live blocks into so many, and goes as far as: some outputs uploaded, all, committed, marked.
        Compact {
            from: usize,
            inputs: usize,
            outputs: u64,
            progress: u8,
        },
        /// Removes the oldest retired block, after it was marked.
        Collect,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let compact = (0usize..8, 1usize..4, 1u64..3, 0u8..4)
            .prop_map(|(from, inputs, outputs, progress)| Step::Compact { from, inputs, outputs, progress });
        let step = prop_oneof![3 => Just(Step::Ship), 3 => compact, 2 => Just(Step::Collect)];
        proptest::collection::vec(step, 1..40)
    }

    proptest! {
        #[test]
        fn no_live_block_is_lost(steps in steps()) {
            let mut bucket: BTreeMap<u64, (Candidate, BTreeSet<u64>)> = BTreeMap::new();
            let (mut is_live, mut retired, mut next, mut shipped) = (BTreeSet::new(), Vec::new(), 1, 0);
            for step in steps {
                match step {
                    Step::Ship => {
                        bucket.insert(next, (candidate(next, 1, &[]), (shipped..shipped + 4).collect()));
                        is_live.insert(next);
                        (next, shipped) = (next + 1, shipped + 4);
                    }
                    Step::Compact { from, inputs, outputs, progress } => {
                        let inputs: Vec<u64> = is_live.iter().copied().skip(from).take(inputs).collect();
                        if inputs.is_empty() {
                            continue;
                        }
                        let held: BTreeSet<u64> = inputs.iter().flat_map(|n| bucket[n].1.clone()).collect();
                        let level = 1 + inputs.iter().map(|n| bucket[n].0.meta.compaction.level).max().unwrap();
                        let uploaded = if progress == 0 { outputs - 1 } else { outputs };
                        for part in 0..uploaded {
                            let held = held.iter().copied().filter(|n| n % outputs == part).collect();
                            bucket.insert(next, (candidate(next, level, &inputs), held));
                            if progress > 1 {
                                is_live.insert(next);
                            }
                            next += 1;
                        }
                        if progress > 1 {
                            inputs.iter().for_each(|n| assert!(is_live.remove(n)));
                            retired.extend(&inputs);
                        }
                        if progress > 2 {
                            inputs.iter().for_each(|n| bucket.get_mut(n).unwrap().0.marked_since_ms = Some(0));
                        }
                    }
                    Step::Collect if !retired.is_empty() => {
                        bucket.remove(&retired.remove(0));
                    }
                    Step::Collect => {}
                }
                let found: Vec<Candidate> = bucket.values().map(|(candidate, _)| candidate.clone()).collect();
                let rebuilt = Manifest::rebuild(None, &found, 0).manifest;
                let held = |n: &u64| bucket[n].1.iter().copied();
                let expected: BTreeSet<u64> = is_live.iter().flat_map(held).collect();
                let numbers = rebuilt.blocks.iter().map(|block| block.size_bytes);
                let found: BTreeSet<u64> = numbers.flat_map(|n| held(&n)).collect();
                prop_assert_eq!(&found, &expected);
                prop_assert_eq!(found.len() as u64, shipped);
            }
        }
    }
}
