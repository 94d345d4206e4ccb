//! From one manifest to the next: pure functions, each with the check that makes it safe to apply to whatever version
//! it meets.

use super::{LiveBlock, Manifest, QuarantinedBlock, RetiredBlock};
use crate::error::Rejected;
use longhaul_block::Coverage;
use longhaul_model::{BlockId, LogId, TimeRange};

impl Manifest {
    /// Makes a block live that brings `coverage` into the bucket, and moves `through` accordingly.
    ///
    /// Rejected if `through` has passed the `from` of a coverage: if the whole of its range is in the bucket further
    /// than that. Whoever ships must ship parts whose ranges overlap together: `through` speaks for whole ranges and
    /// cannot know of a part that was left behind.
    pub fn ship(&self, block: LiveBlock, coverage: &[Coverage]) -> Result<Self, Rejected> {
        self.check_new(block.id)?;
        for coverage in coverage {
            let reached = self.through.reached(coverage.log_id, coverage.partition, coverage.range);
            if reached > coverage.from {
                return Err(Rejected::Passed { coverage: *coverage, reached });
            }
        }
        let mut next = self.clone();
        for coverage in coverage {
            next.through.raise(coverage.log_id, coverage.partition, coverage.range, coverage.to);
        }
        next.insert(block);
        Ok(next)
    }

    /// Records that the log is needed by nobody up to offset `to`, whatever the time of its samples: the bucket, or no
    /// part and no head, has anything below. `through` becomes as short as it can, and the `from` of whatever is shipped
    /// later has to be at least `to`.
    #[must_use]
    pub fn raise_floor(&self, log_id: LogId, partition: u32, to: u64) -> Self {
        let mut next = self.clone();
        next.through.raise(log_id, partition, TimeRange::ALL, to);
        next.end_deletions();
        next
    }

    /// Puts `outputs` in the place of `inputs`, all of which must still be live. Without outputs the data is dropped.
    pub fn replace(&self, inputs: &[BlockId], outputs: Vec<LiveBlock>, now_ms: i64) -> Result<Self, Rejected> {
        let mut retired = Vec::with_capacity(inputs.len());
        for id in inputs {
            retired.push(self.block(*id).ok_or(Rejected::NotLive(*id))?.address());
        }
        for output in &outputs {
            self.check_new(output.id)?;
        }
        let replaced_by: Vec<BlockId> = outputs.iter().map(|block| block.id).collect();
        let mut next = self.clone();
        next.blocks.retain(|block| !inputs.contains(&block.id));
        next.quarantined.retain(|block| !inputs.contains(&block.id));
        next.retired.extend(retired.into_iter().map(|address| RetiredBlock {
            id: address.id,
            place: address.place,
            since_ms: now_ms,
            replaced_by: replaced_by.clone(),
        }));
        for output in outputs {
            next.insert(output);
        }
        next.end_deletions();
        Ok(next)
    }

    /// Keeps a live block away from compaction. One that is quarantined already keeps its first reason.
    pub fn quarantine(&self, id: BlockId, reason: &str, now_ms: i64) -> Result<Self, Rejected> {
        if self.block(id).is_none() {
            return Err(Rejected::NotLive(id));
        }
        let mut next = self.clone();
        if !next.quarantined.iter().any(|block| block.id == id) {
            next.quarantined.push(QuarantinedBlock { id, since_ms: now_ms, reason: reason.to_owned() });
        }
        Ok(next)
    }

    /// Forgets retired blocks whose objects are gone.
    #[must_use]
    pub fn forget_retired(&self, ids: &[BlockId]) -> Self {
        let mut next = self.clone();
        next.retired.retain(|block| !ids.contains(&block.id));
        next
    }

    /// Moves the orphan boundary up. A live block below it stays: the boundary is about ids that are in no manifest.
    #[must_use]
    pub fn raise_orphan_boundary(&self, boundary: BlockId) -> Self {
        let mut next = self.clone();
        next.orphan_boundary = next.orphan_boundary.max(Some(boundary));
        next
    }

    /// Whether an id may become live: never committed before, and out of the garbage collector's reach.
    fn check_new(&self, id: BlockId) -> Result<(), Rejected> {
        if self.knows(id) {
            return Err(Rejected::Known(id));
        }
        match self.orphan_boundary {
            Some(boundary) if id < boundary => Err(Rejected::BelowOrphanBoundary { id, boundary }),
            _ => Ok(()),
        }
    }

    pub(super) fn insert(&mut self, block: LiveBlock) {
        let key = |block: &LiveBlock| (block.range.start_ms, block.id);
        let at = self.blocks.partition_point(|other| key(other) < key(&block));
        self.blocks.insert(at, block);
    }
}
