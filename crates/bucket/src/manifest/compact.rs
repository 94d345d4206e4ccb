//! The change that a compaction makes, and the one that it makes when an input is no good.

use super::{LiveBlock, Manifest, Precedence};
use crate::error::Rejected;
use longhaul_model::BlockId;

impl Manifest {
    /// Puts `outputs`, merged from `inputs` as version `base` had them, in their place.
    ///
    /// Rejected unless all inputs are still live; if an output would win or lose against a block that overlaps an input and
    /// stays otherwise than that input did (I-COMPACT-1); and if a deletion lists an input
    /// that has come into force since `base`, whose deletions the merge has applied (I-DELETE-2).
    pub fn compact(
        &self,
        base: &Self,
        inputs: &[BlockId],
        outputs: Vec<LiveBlock>,
        now_ms: i64,
    ) -> Result<Self, Rejected> {
        let next = self.replace(inputs, outputs, now_ms)?;
        let replaced = || self.blocks.iter().filter(|block| inputs.contains(&block.id));
        let merged = replaced().map(LiveBlock::precedence).max().map(Precedence::of_merged);
        for input in replaced() {
            let stays = |other: &&LiveBlock| !inputs.contains(&other.id) && other.resolution_ms == input.resolution_ms;
            for other in self.blocks_in(input.range).filter(stays) {
                if (input.precedence() < other.precedence()) != (merged < Some(other.precedence())) {
                    return Err(Rejected::Other(format!("block {} lies between the inputs", other.id).into()));
                }
            }
        }
        self.check_applied(base, inputs)?;
        Ok(next)
    }

    /// Keeps those of `faults` (blocks and what is wrong with them) that are still live away from compaction. Rejected if
    /// none is.
    pub fn quarantine_all(&self, faults: &[(BlockId, String)], now_ms: i64) -> Result<Self, Rejected> {
        let mut next: Result<Self, Rejected> = Err(Rejected::Other("there is nothing to quarantine".into()));
        for (id, reason) in faults {
            match (next.as_ref().unwrap_or(self).quarantine(*id, reason, now_ms), &next) {
                (Ok(changed), _) => next = Ok(changed),
                (Err(rejected), Err(_)) => next = Err(rejected),
                (Err(_), Ok(_)) => {}
            }
        }
        next
    }
}
