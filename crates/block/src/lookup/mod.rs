//! `lookup`: our paged index, made for reads from far away (format: docs/formats/lookup.md).
//!
//! Footer, postings pages, series pages: three rounds of reads lead from matchers to labels and to the places of
//! chunks. The TSDB index is not needed on the way, and a lookup can always be built from it ([`build_lookup`]).

mod build;
mod filter;
mod page_cache;
mod reader;
mod series_page;
mod writer;

pub use build::build_lookup;
pub(crate) use build::{with_external, write_lookup};
pub use page_cache::PageCache;
pub(crate) use reader::{Lookup, Selection};
pub(crate) use series_page::{PageSeries, SeriesRun};
pub(crate) use writer::{FinishedLookup, LookupWriter};

/// First and last four bytes of the file.
const MAGIC: [u8; 4] = *b"LHLK";

/// The version that is written, and the only one that is read; a lookup of another version is built anew.
const VERSION: u8 = 1;

/// Magic, version, three zero bytes.
const HEADER: [u8; 8] = [MAGIC[0], MAGIC[1], MAGIC[2], MAGIC[3], VERSION, 0, 0, 0];

/// Footer length, footer CRC, version, three zero bytes, magic.
const TRAILER_BYTES: u64 = 16;

/// Pages are closed at about this size: small enough that a look-up reads little it does not need,
/// large enough that the directory of pages stays small and a request is worth its latency.
const PAGE_BYTES: usize = 32 << 10;

/// Where a chunk lies, and which times it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkPlace {
    /// Time of the first sample, ms.
    pub min_ms: i64,
    /// Time of the last sample, ms.
    pub max_ms: i64,
    /// Number of the segment, from 0.
    pub segment: u32,
    /// Offset of the chunk's length field in the segment.
    pub start: u32,
    /// Bytes up to the next chunk; at least what the chunk takes.
    pub length: u32,
}

impl ChunkPlace {
    /// The reference of the TSDB index.
    pub fn reference(&self) -> u64 {
        u64::from(self.segment) << 32 | u64::from(self.start)
    }

    /// Offset of the first byte after the chunk.
    pub fn end(&self) -> u64 {
        u64::from(self.start) + u64::from(self.length)
    }
}

/// How many leading bytes two texts share, not splitting a character.
fn shared_prefix(a: &str, b: &str) -> usize {
    let mut shared = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    while !b.is_char_boundary(shared) {
        shared -= 1;
    }
    shared
}

#[cfg(test)]
mod tests;
