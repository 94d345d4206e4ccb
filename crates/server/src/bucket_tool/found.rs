//! Blocks that were found in a bucket, and those that are left out of a manifest, with the reason.

use crate::block_tool::ToolError;
use crate::progress::progress_bar;
use longhaul_bucket::{BlockAddress, Candidate, Fate, FoundBlock, FoundContent, TenantStore};
use longhaul_model::BlockId;
use serde::Serialize;
use std::collections::BTreeMap;

/// What was found.
pub(super) struct Found {
    pub(super) blocks: Vec<Candidate>,
    pub(super) left_out: Vec<LeftOut>,
    /// Of those left out, the blocks whose samples may be nowhere else.
    pub(super) unreadable: usize,
}

/// A block that does not become live, or not without a note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct LeftOut {
    block: String,
    reason: String,
}

impl LeftOut {
    pub(super) fn new(block: BlockId, reason: String) -> Self {
        Self { block: block.to_string(), reason }
    }
}

impl std::fmt::Display for LeftOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.block, self.reason)
    }
}

/// Looks into the folders of `blocks`; `refuse` says why a block is not wanted.
pub(super) async fn candidates(
    store: &TenantStore,
    blocks: &[BlockAddress],
    refuse: impl Fn(&Candidate) -> Option<String>,
) -> Result<Found, ToolError> {
    let progress = progress_bar(Some(blocks.len() as u64), "blocks");
    let inventory = store.inventory(blocks, || progress.inc(1)).await?;
    progress.finish_and_clear();
    let mut found = Found { blocks: Vec::new(), left_out: Vec::new(), unreadable: 0 };
    for FoundBlock { address, content } in inventory {
        let reason = match content {
            FoundContent::Block(candidate) => match refuse(&candidate) {
                None => {
                    found.blocks.push(*candidate);
                    continue;
                }
                Some(reason) => reason,
            },
            FoundContent::Partial => "there is no meta.json: an upload or a deletion under way, or given up".to_owned(),
            FoundContent::Unreadable(reason) => {
                found.unreadable += 1;
                reason
            }
        };
        found.left_out.push(LeftOut::new(address.id, reason));
    }
    Ok(found)
}

/// Adds those that were found and do not become live.
pub(super) fn left_out(mut left_out: Vec<LeftOut>, fates: &BTreeMap<BlockId, Fate>) -> Vec<LeftOut> {
    for (id, fate) in fates {
        let reason = match fate {
            Fate::Live => continue,
            Fate::Retired => "it is marked for deletion, or was retired",
            Fate::Redundant => "everything that it was made from is there",
        };
        left_out.push(LeftOut::new(*id, reason.to_owned()));
    }
    left_out.sort_by(|a, b| a.block.cmp(&b.block));
    left_out
}
