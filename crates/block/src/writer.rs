//! Writes a block into a directory, series by series in label order, in bounded memory.

use crate::BlockMeta;
use crate::error::{BlockError, Result};
use longhaul_chunk::SeriesChunks;
use longhaul_disk::Fs;
use std::path::Path;
use std::sync::Arc;

/// A block being written.
pub struct BlockWriter {
    _fs: Arc<dyn Fs>,
}

impl BlockWriter {
    /// Begins a block in `dir`, which must not hold files of a block yet (the caller chooses a temporary name, renames
    /// it when [`Self::finish`] has returned, and removes what a crash left). `seed` says what the samples do not: id,
    /// range, ancestry, the `thanos` labels, the `longhaul` section; statistics, file list and content hash are filled
    /// in. With an empty range the range is taken from the samples, otherwise every sample must lie inside.
    pub fn create(fs: Arc<dyn Fs>, dir: &Path, seed: BlockMeta) -> Result<Self> {
        let _ = (dir, seed);
        Ok(Self { _fs: fs })
    }

    /// Adds a series: labels above all before, chunks in time order and disjoint. A series without chunks is left out.
    pub fn push(&mut self, series: &SeriesChunks) -> Result<()> {
        let _ = series;
        Err(BlockError::Refused("not written yet".into()))
    }

    /// Writes what is left, `meta.json` last; everything is durable when it returns, the name of `dir` included.
    pub fn finish(self) -> Result<BlockMeta> {
        Err(BlockError::Refused("not written yet".into()))
    }
}

/// Writes a whole block: [`BlockWriter`] in one call.
pub fn write(
    fs: Arc<dyn Fs>,
    dir: &Path,
    seed: BlockMeta,
    series: impl IntoIterator<Item = Result<SeriesChunks>>,
) -> Result<BlockMeta> {
    let mut writer = BlockWriter::create(fs, dir, seed)?;
    for series in series {
        writer.push(&series?)?;
    }
    writer.finish()
}
