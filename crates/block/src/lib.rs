//! The TSDB block and its lookup index: write, read, verify, merge. Parts on disk and blocks in a bucket are the same.
//!
//! Layer 2, synchronous: bytes come through [`BlockFiles`], which may block. Formats: docs/formats/block.md and
//! docs/formats/lookup.md. Every byte that reaches a decoder was covered by a checksum that was checked
//! (**I-BLOCK-1**); lengths and offsets in files are hostile until proven otherwise.
//!
//! Knows nothing of tenants' directories, buckets, manifests or queries.

mod block;
mod columns;
mod content_hash;
mod cursor;
mod deleted;
mod downsample;
mod dropped;
mod dump;
mod error;
mod exemplars;
mod files;
mod index;
mod label_table;
mod lookup;
mod merge;
mod meta;
mod segments;
mod select;
mod sink;
mod stock;
mod tail;
#[cfg(test)]
mod testing;
mod tombstones;
mod verify;
mod writer;

pub use block::Block;
pub use columns::{BlockColumns, Column, ColumnSet, SeriesWindows};
pub use content_hash::{ContentHash, SeriesHash};
pub use downsample::{CoarseSeries, CoarseSource, RawDownsampler, fold_coarse};
pub use dropped::Dropped;
pub use dump::{Dump, DumpChunk, DumpSeries};
pub use error::{BlockError, ReadError, Result};
pub use exemplars::{BlockExemplars, ExemplarSource, ExemplarUnion, union_exemplars};
pub use files::{BlockFile, BlockFiles, LocalFiles};
pub use lookup::{PageCache, build_lookup};
pub use merge::{Merge, MergeAccount, MergedSeries, SeriesSource, Union, merge, union};
pub use meta::{
    BlockMeta, BlockStats, Compaction, Coverage, Downsample, FileEntry, FileHash, LONGHAUL_VERSION, LonghaulMeta,
    META_VERSION, Parent, ThanosMeta,
};
pub use select::{BlockSeries, FetchedSeries};
pub use tombstones::Tombstones;
pub use verify::{Problem, VerifyReport, verify};
pub use writer::{BlockWriter, write};
