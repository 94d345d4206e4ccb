//! Which blocks of a manifest a query reads, in which order of precedence, and what it leaves out of them: a pure function.

use longhaul_bucket::{BlockAddress, Deletion, LiveBlock, Manifest};
use longhaul_model::{TimeRange, Tombstone};
use std::sync::Arc;

/// The raw blocks that may hold samples of `range`, in rising precedence, each with what is deleted of it.
pub(crate) fn blocks(
    manifest: &Manifest,
    new_deletions: &[Arc<Deletion>],
    range: TimeRange,
) -> Vec<(BlockAddress, Vec<Arc<Tombstone>>)> {
    let mut picked: Vec<&LiveBlock> = manifest.blocks_in(range).filter(|block| block.resolution_ms == 0).collect();
    picked.sort_by_key(|block| block.precedence());
    picked.into_iter().map(|block| (block.address(), manifest.tombstones_of(block, new_deletions))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use longhaul_block::{BlockMeta, Coverage};
    use longhaul_model::{BlockId, LogId};

    fn live(n: u128, range: TimeRange, to: Option<u64>) -> LiveBlock {
        let mut block = LiveBlock::new(&BlockMeta::new(BlockId::from_parts(n as u64, n), range), 0);
        if let Some(to) = to {
            block.format = 1;
            block.coverage = vec![Coverage { log_id: LogId::nil(), partition: 0, range, from: 0, to }];
        }
        block
    }

    #[test]
    fn later_offsets_win_over_earlier_ones_and_over_foreign_blocks() {
        let range = TimeRange::new(0, 100);
        let mut coarse = live(5, range, Some(90));
        coarse.resolution_ms = 300_000;
        let elsewhere = live(4, TimeRange::new(100, 200), Some(70));
        let mut manifest = Manifest::default();
        manifest.blocks =
            vec![live(1, range, Some(50)), live(2, range, Some(20)), live(3, range, None), elsewhere, coarse];
        let picked: Vec<u128> =
            blocks(&manifest, &[], TimeRange::new(50, 100)).iter().map(|(block, _)| block.id.random()).collect();
        assert_eq!(picked, [3, 2, 1]);
    }
}
