//! The manifest: which blocks of a tenant are live, and how far each log is in the bucket. One immutable object a
//! version; a version is a plain value here, and everything that changes it is a pure function (`ship.rs`).
//!
//! **Invariant:** within one manifest an id is live or retired, never both; live blocks are sorted by (start, id).

mod codec;
mod compact;
mod delete;
mod rebuild;
mod ship;
mod through;

pub use delete::Deletion;
pub use rebuild::{Candidate, Fate, Rebuilt, settle};
pub use through::{Through, ThroughEntry};

use crate::commit::OperationId;
use longhaul_block::{BlockMeta, ContentHash, Coverage};
use longhaul_model::{BlockId, LogId, TimeRange};

/// One version of a tenant's manifest. The default is version 0: nothing has been committed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manifest {
    /// Its number; the first that is stored is 1.
    pub version: u64,
    /// SHA-256 of the predecessor's object; zeros in version 1.
    pub previous_hash: [u8; 32],
    /// Who committed it, for people.
    pub author: String,
    /// The commit that made it, by which its author recognises it.
    pub operation: OperationId,
    /// The blocks that queries read, sorted by (start, id).
    pub blocks: Vec<LiveBlock>,
    /// Blocks that were live and whose objects wait for their deletion.
    pub retired: Vec<RetiredBlock>,
    /// Blocks that compaction leaves alone, because they could not be read. They are among `blocks` still.
    pub quarantined: Vec<QuarantinedBlock>,
    /// Deletions of series that are still being carried out.
    pub deletions: Vec<Deletion>,
    /// How far each log is in the bucket.
    pub through: Through,
    /// No block id below it may be committed: tagged directories below it that are in no manifest are garbage.
    pub orphan_boundary: Option<BlockId>,
    /// SHA-256 of this version's object; zeros in one that was never encoded.
    hash: [u8; 32],
}

/// Whose folder a block's own folder lies in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// The tenant's, where ours are and Mimir's and Cortex'.
    #[default]
    Tenant,
    /// The store's uppermost, where Thanos and Prometheus have them.
    Root,
}

/// Where to find a block's objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockAddress {
    /// The block, after which its folder is named.
    pub id: BlockId,
    /// Where that folder lies.
    pub place: Place,
}

/// A block that queries read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveBlock {
    /// Its id.
    pub id: BlockId,
    /// Where it lies.
    pub place: Place,
    /// Its time range.
    pub range: TimeRange,
    /// Compaction level, from 1.
    pub level: u32,
    /// Milliseconds a window of a downsampled block; 0 for raw samples.
    pub resolution_ms: i64,
    /// The blocks of level 1 that it descends from; itself for one of level 1 or of unknown descent. Never empty.
    pub sources: Vec<BlockId>,
    /// Which stretches of which logs it holds; empty for a foreign block.
    pub coverage: Vec<Coverage>,
    /// All its objects together, bytes.
    pub size_bytes: u64,
    /// Series.
    pub series: u64,
    /// Samples.
    pub samples: u64,
    /// Order-independent hash over its samples; zero for a foreign block.
    pub content_hash: ContentHash,
    /// The version of its `longhaul` section; 0 for a foreign block.
    pub format: u32,
}

/// Which of two blocks wins where both have a sample of a series at the same time: the greater. Foreign blocks lose
/// against ours; of ours the one that reaches further into the log wins, then the one whose id is younger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Precedence {
    ours: bool,
    reach: u64,
    id: BlockId,
}

/// A block that is live no more and not yet deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetiredBlock {
    /// Its id.
    pub id: BlockId,
    /// Where it lies.
    pub place: Place,
    /// When it was retired, ms since the epoch.
    pub since_ms: i64,
    /// The blocks that took its place; none if its data was dropped.
    pub replaced_by: Vec<BlockId>,
}

/// A block that compaction leaves alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantinedBlock {
    /// Its id.
    pub id: BlockId,
    /// Since when, ms since the epoch.
    pub since_ms: i64,
    /// What was wrong with it.
    pub reason: String,
}

impl Manifest {
    /// The live block with this id.
    pub fn block(&self, id: BlockId) -> Option<&LiveBlock> {
        self.blocks.iter().find(|block| block.id == id)
    }

    /// Whether a block with this id is live or retired.
    pub fn knows(&self, id: BlockId) -> bool {
        self.block(id).is_some() || self.retired.iter().any(|block| block.id == id)
    }

    /// The live blocks that may hold samples of `range`.
    pub fn blocks_in(&self, range: TimeRange) -> impl Iterator<Item = &LiveBlock> {
        self.blocks.iter().filter(move |block| block.range.overlaps(&range))
    }

    /// Whether a sample at `t_ms` that was accepted at `offset` is in the bucket.
    pub fn covered(&self, log_id: LogId, partition: u32, t_ms: i64, offset: u64) -> bool {
        self.through.covered(log_id, partition, t_ms, offset)
    }

    /// The highest offset of a log that is in the bucket. A log of this id that ends before it has lost its disk.
    pub fn known_end(&self, log_id: LogId) -> Option<u64> {
        self.through.known_end(log_id)
    }

    /// Whether `previous` is the version that this one was made from.
    pub fn follows(&self, previous: &Self) -> bool {
        self.version == previous.version + 1 && self.previous_hash == previous.hash
    }

    /// SHA-256 of this version's object.
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }
}

impl LiveBlock {
    /// What it wins or loses against other blocks with.
    pub fn precedence(&self) -> Precedence {
        let reach = self.coverage.iter().map(|stretch| stretch.to).max().unwrap_or(0);
        Precedence { ours: self.format > 0, reach, id: self.id }
    }

    /// Where its objects are.
    pub fn address(&self) -> BlockAddress {
        BlockAddress { id: self.id, place: self.place }
    }

    /// What the manifest says of a block in its tenant's folder whose objects take `size_bytes` together.
    pub fn new(meta: &BlockMeta, size_bytes: u64) -> Self {
        let ours = meta.longhaul.as_ref();
        let sources = &meta.compaction.sources;
        Self {
            id: meta.ulid,
            place: Place::Tenant,
            range: meta.range(),
            level: meta.compaction.level,
            resolution_ms: meta.resolution_ms(),
            sources: if sources.is_empty() { vec![meta.ulid] } else { sources.clone() },
            coverage: ours.map_or_else(Vec::new, |ours| ours.coverage.clone()),
            size_bytes,
            series: meta.stats.num_series,
            samples: meta.stats.num_samples,
            content_hash: ours.map_or_else(ContentHash::default, |ours| ours.content_hash),
            format: ours.map_or(0, |ours| ours.version),
        }
    }
}

impl Precedence {
    /// That of the block which a merge will make of blocks of which this is the highest: ours, with a new id.
    #[must_use]
    pub fn of_merged(self) -> Self {
        Self { ours: true, reach: self.reach, id: BlockId::from(u128::MAX) }
    }
}

impl RetiredBlock {
    /// Where its objects are.
    pub fn address(&self) -> BlockAddress {
        BlockAddress { id: self.id, place: self.place }
    }
}

impl BlockAddress {
    /// A block of ours: in its tenant's folder.
    pub fn of_tenant(id: BlockId) -> Self {
        Self { id, place: Place::Tenant }
    }
}

impl std::fmt::Display for BlockAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.id.fmt(f)
    }
}

#[cfg(test)]
mod tests;
