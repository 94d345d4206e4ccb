//! Deletions of series in a manifest: how they come into force, which blocks they are about, when they are over.
//!
//! **Invariant I-DELETE-2:** a live raw block that may hold samples which a deletion is about is in the deletion's list until
//! it has been rewritten without them; and nothing that such a block is merged into becomes live without that.

use super::{LiveBlock, Manifest};
use crate::commit::OperationId;
use crate::error::Rejected;
use longhaul_block::Coverage;
use longhaul_model::{BlockId, LogId, TimeRange, Tombstone};
use std::sync::Arc;

/// A deletion of series that is in force: it is about what was written before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// Its id.
    pub id: OperationId,
    /// Which samples.
    pub tombstone: Arc<Tombstone>,
    /// The log that it stands in.
    pub log_id: LogId,
    /// The partition of that log.
    pub partition: u32,
    /// Where it stands: what was accepted there and before is meant.
    pub offset: u64,
    /// When it was asked for, ms since the epoch.
    pub since_ms: i64,
    /// The live blocks that may hold what it is about: queries leave that out of them, and they are to be rewritten. Nothing
    /// until the deletion is in a manifest.
    pub blocks: Vec<BlockId>,
}

impl Deletion {
    /// Whether a block may hold samples that the deletion is about: unless one of its stretches of the deletion's log ends
    /// after it. What came by other ways counts as having been there before.
    fn is_about(&self, block: &LiveBlock) -> bool {
        let is_later =
            |it: &Coverage| (it.log_id, it.partition) == (self.log_id, self.partition) && it.to > self.offset;
        block.resolution_ms == 0 && block.range.overlaps(&self.tombstone.range) && !block.coverage.iter().any(is_later)
    }
}

impl Manifest {
    /// The deletion with this id, if it is in force.
    pub fn deletion(&self, id: OperationId) -> Option<&Deletion> {
        self.deletions.iter().find(|deletion| deletion.id == id)
    }

    /// What has to be left out of a live block. `new` are deletions of this process' own that may not be in a manifest yet:
    /// those that are not are about all that is in the bucket.
    pub fn tombstones_of(&self, block: &LiveBlock, new: &[Arc<Deletion>]) -> Vec<Arc<Tombstone>> {
        let listed = self.deletions.iter().filter(|deletion| deletion.blocks.contains(&block.id));
        let new = new.iter().filter(|new| self.deletion(new.id).is_none() && new.is_about(block));
        listed.chain(new.map(|new| &**new)).map(|deletion| deletion.tombstone.clone()).collect()
    }

    /// Whether nothing that a deletion is about can come into the bucket any more.
    pub fn is_behind(&self, deletion: &Deletion) -> bool {
        self.through.reached(deletion.log_id, deletion.partition, TimeRange::ALL) >= deletion.offset
    }

    /// Brings a deletion into force. Without effect if it is already, or if it is over: a commit may be repeated.
    #[must_use]
    pub fn delete(&self, deletion: &Deletion) -> Self {
        let mut next = self.clone();
        if self.deletion(deletion.id).is_none() && !self.is_behind(deletion) {
            let meant = self.blocks.iter().filter(|block| deletion.is_about(block));
            let blocks = meant.map(|block| block.id).collect();
            next.deletions.push(Deletion { blocks, ..deletion.clone() });
        }
        next
    }

    /// Says of a block that has just become live that it may hold what these deletions are about: whoever ships knows which
    /// came later than its samples and were not applied to them.
    #[must_use]
    pub fn list_for(&self, id: BlockId, deletions: &[OperationId]) -> Self {
        let mut next = self.clone();
        let Some(block) = self.block(id) else { return next };
        let meant = next.deletions.iter_mut().filter(|deletion| deletions.contains(&deletion.id));
        for deletion in meant.filter(|deletion| deletion.tombstone.range.overlaps(&block.range)) {
            if !deletion.blocks.contains(&id) {
                deletion.blocks.push(id);
            }
        }
        next
    }

    /// Rejected if an input has come to be listed by a deletion since `base`, whose deletions the merge has applied.
    pub(super) fn check_applied(&self, base: &Self, inputs: &[BlockId]) -> Result<(), Rejected> {
        for deletion in &self.deletions {
            let applied = base.deletion(deletion.id).map_or(&[][..], |applied| &applied.blocks);
            if inputs.iter().any(|id| deletion.blocks.contains(id) && !applied.contains(id)) {
                return Err(Rejected::Other("a deletion has come into force meanwhile".into()));
            }
        }
        Ok(())
    }

    /// Takes blocks off the lists that are not live any more, and forgets the deletions that are over: whose blocks are all
    /// rewritten, and whose samples have all been in the bucket, as far as they ever will be.
    pub(super) fn end_deletions(&mut self) {
        let mut deletions = std::mem::take(&mut self.deletions);
        for deletion in &mut deletions {
            deletion.blocks.retain(|id| self.block(*id).is_some());
        }
        deletions.retain(|deletion| !deletion.blocks.is_empty() || !self.is_behind(deletion));
        self.deletions = deletions;
    }
}

#[cfg(test)]
mod tests;
