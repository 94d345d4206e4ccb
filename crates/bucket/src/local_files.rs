//! A block's files in a bucket that is a directory of this machine: read where they lie, and counted as requests like
//! those of any other store.

use crate::store::{StoreMetrics, add};
use bytes::Bytes;
use longhaul_block::{BlockFile, BlockFiles, LocalFiles, ReadError};
use longhaul_disk::RealFs;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// See [`crate::TenantStore::block_files`].
#[derive(Debug)]
pub(crate) struct CountedFiles {
    files: LocalFiles,
    metrics: Arc<StoreMetrics>,
}

impl CountedFiles {
    /// The block in `dir`.
    pub(crate) fn new(dir: PathBuf, metrics: Arc<StoreMetrics>) -> Self {
        Self { files: LocalFiles::new(Arc::new(RealFs), dir), metrics }
    }
}

impl BlockFiles for CountedFiles {
    fn read(&self, file: BlockFile, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, ReadError> {
        let buffers = self.files.read(file, ranges);
        add(&self.metrics.gets, 1);
        match &buffers {
            Ok(buffers) => add(&self.metrics.read_bytes, buffers.iter().map(|buffer| buffer.len() as u64).sum()),
            Err(ReadError::Missing(_)) => {}
            Err(_) => add(&self.metrics.errors, 1),
        }
        buffers
    }

    fn size(&self, file: BlockFile) -> Result<u64, ReadError> {
        add(&self.metrics.heads, 1);
        self.files.size(file)
    }

    fn coalesce_gap_bytes(&self) -> u64 {
        self.files.coalesce_gap_bytes()
    }
}
