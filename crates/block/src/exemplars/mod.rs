//! `exemplars`: the exemplars of a block's series, beside the samples (format: docs/formats/exemplars.md).
//!
//! Pages in the order of series, each with texts of its own, and a directory that tells of every page its times and its
//! metrics: who looks for some of them reads the directory and the pages that may hold them. The other files of the block
//! know nothing of it, so that foreign readers do not either.

mod merge;
mod page;
mod reader;
mod writer;

pub use merge::{ExemplarSource, ExemplarUnion, union_exemplars};
pub use reader::BlockExemplars;
pub(crate) use reader::check;
pub(crate) use writer::ExemplarsWriter;

use crate::files::BlockFile;

/// The file that this module writes and reads.
const FILE: BlockFile = BlockFile::Exemplars;

/// First and last four bytes of the file.
const MAGIC: [u8; 4] = *b"LHEX";

/// The version that is written, and the only one that is read.
const VERSION: u8 = 1;

/// Magic, version, three zero bytes.
const HEADER: [u8; 8] = [MAGIC[0], MAGIC[1], MAGIC[2], MAGIC[3], VERSION, 0, 0, 0];

/// Pages are closed at about this size: some hundred exemplars, whose reading costs little beside the request for them.
const PAGE_BYTES: usize = 32 << 10;

/// And where its labels, written out, have so many bytes: a few references stand for texts of any length.
const PAGE_LABEL_BYTES: usize = 1 << 20;

/// What a page's labels may have, written out, before it counts as damaged: far above what the writer lets one get to.
const PAGE_LABEL_BYTES_MAX: usize = 64 << 20;

#[cfg(test)]
mod tests;
