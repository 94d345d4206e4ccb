//! `columns`: the windows of a downsampled block, column after column (format: docs/formats/columns.md).
//!
//! Runs of series, of each run a page a column, so that who computes a rate reads counts and ends and nothing else. In a page
//! each series has a *cell*, coded for what it is: the difference to what was to be expected, where there is one. Equal cells
//! of a page are written once. Series are known by their ordinals in the block's index.
//!
//! Counts, times and values come back to the bit. Sums may be off by 2^-50 of themselves, squares by 2^-41: far below what
//! rounding does to them anyway (docs/formats/columns.md says which and why).

mod bits;
mod cell;
mod choice;
mod column;
mod histograms;
mod page;
mod reader;
mod series;
mod values;
mod writer;

pub use column::{Column, ColumnSet};
pub(crate) use reader::check;
pub use reader::{BlockColumns, SeriesWindows};
pub(crate) use writer::ColumnsWriter;

use crate::files::BlockFile;

/// The file that this module writes and reads.
const FILE: BlockFile = BlockFile::Columns;

/// First and last four bytes of the file.
const MAGIC: [u8; 4] = *b"LHCO";

/// The version that is written, and the only one that is read.
const VERSION: u8 = 1;

/// Magic, version, three zero bytes.
const HEADER: [u8; 8] = [MAGIC[0], MAGIC[1], MAGIC[2], MAGIC[3], VERSION, 0, 0, 0];

/// A run of series is closed at so many windows: a page of values is then some tens of kilobytes, worth a request.
const RUN_WINDOWS: u64 = 16 << 10;

/// And at so many series, however few windows they have: their cells are looked through one by one.
const RUN_SERIES: u64 = 4 << 10;

/// Windows of one series at most: more than a year of five minutes. No run has more than one such series beyond a full run,
/// so that a few bytes cannot stand for gigabytes.
const SERIES_WINDOWS_MAX: u64 = 1 << 17;

#[cfg(test)]
mod tests;
