//! Reads of a block that are no faster than they may be.

use bytes::Bytes;
use longhaul_block::{BlockFile, BlockFiles, ReadError};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::runtime::Handle;

/// Rests are this long at least: shorter ones cost more than they spread.
const REST_MIN: Duration = Duration::from_millis(20);

/// Another's files, read at a bounded rate. Not for threads of `handle`'s runtime.
pub(crate) struct Paced {
    files: Arc<dyn BlockFiles>,
    bytes_per_second: u64,
    handle: Handle,
    closing: Arc<AtomicBool>,
    /// Bytes that were read and not rested for.
    owed_bytes: AtomicU64,
}

impl Paced {
    pub(crate) fn new(
        files: Arc<dyn BlockFiles>,
        bytes_per_second: u64,
        handle: Handle,
        closing: Arc<AtomicBool>,
    ) -> Self {
        Self { files, bytes_per_second: bytes_per_second.max(1), handle, closing, owed_bytes: AtomicU64::new(0) }
    }
}

impl BlockFiles for Paced {
    fn read(&self, file: BlockFile, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, ReadError> {
        if self.closing.load(Relaxed) {
            return Err(ReadError::Other { file, error: "shutting down".into() });
        }
        let buffers = self.files.read(file, ranges)?;
        let read_bytes: u64 = buffers.iter().map(|buffer| buffer.len() as u64).sum();
        let owed_bytes = self.owed_bytes.fetch_add(read_bytes, Relaxed) + read_bytes;
        let rest = Duration::from_secs_f64(owed_bytes as f64 / self.bytes_per_second as f64);
        if rest >= REST_MIN {
            self.owed_bytes.fetch_sub(owed_bytes, Relaxed);
            self.handle.block_on(tokio::time::sleep(rest));
        }
        Ok(buffers)
    }

    fn size(&self, file: BlockFile) -> Result<u64, ReadError> {
        self.files.size(file)
    }

    fn coalesce_gap_bytes(&self) -> u64 {
        self.files.coalesce_gap_bytes()
    }
}
