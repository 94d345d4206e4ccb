//! A segment file: its name, its header.

use crate::Offset;

/// A segment as its users see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its number; rising, with gaps.
    pub number: u64,
    /// No offset in it is below.
    pub base: Offset,
    /// The last offset in it; `base - 1` if it holds none.
    pub end: Offset,
    /// Length of the file, bytes.
    pub size_bytes: u64,
}
