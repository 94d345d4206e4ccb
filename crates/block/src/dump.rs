//! A block's content as it stands, for `longhaul block dump` and golden tests: deleted samples included, external
//! labels left out, read from the TSDB index and not from the lookup.

use crate::BlockFiles;
use crate::error::{BlockError, Result};
use longhaul_chunk::Chunk;
use longhaul_model::Labels;

/// One series.
#[derive(Clone, Debug)]
pub struct DumpSeries {
    /// Its reference in the index.
    pub reference: u32,
    /// Its labels.
    pub labels: Labels,
    /// Its chunks in the order of the index.
    pub chunks: Vec<DumpChunk>,
}

/// One chunk.
#[derive(Clone, Debug)]
pub struct DumpChunk {
    /// Its reference: segment << 32 | offset.
    pub reference: u64,
    /// Samples, as its header counts them.
    pub samples: u16,
    /// The chunk, with the bounds that the index gives.
    pub chunk: Chunk,
}

/// Iterates over the series of a block.
pub struct Dump<'a> {
    _files: &'a dyn BlockFiles,
}

impl<'a> Dump<'a> {
    /// Begins at the first series.
    pub fn new(files: &'a dyn BlockFiles) -> Result<Self> {
        Ok(Self { _files: files })
    }
}

impl Iterator for Dump<'_> {
    type Item = Result<DumpSeries>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(Err(BlockError::Refused("not written yet".into())))
    }
}
