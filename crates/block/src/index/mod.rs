//! `index`: the TSDB index, format versions 1 and 2 (docs/formats/block.md). Written in version 2 as Prometheus 3.14
//! does, read whole: queries go by the lookup, which is built from it where a block came without.

mod reader;
mod walk;
mod writer;

pub(crate) use reader::{IndexReader, PostingsEntry, SeriesEntry};
pub(crate) use walk::IndexWalk;
pub(crate) use writer::write_index;

/// First four bytes of the file.
const MAGIC: [u8; 4] = [0xba, 0xaa, 0xd7, 0x00];

/// The version that is written.
const VERSION: u8 = 2;

/// Magic and version.
const HEADER_BYTES: u64 = 5;

/// Six section offsets and a CRC, at the end of the file.
const TOC_BYTES: u64 = 6 * 8 + 4;

/// Series entries begin at multiples of this, and count it in references of version 2.
const SERIES_ALIGNMENT: u64 = 16;

#[cfg(test)]
mod tests;
