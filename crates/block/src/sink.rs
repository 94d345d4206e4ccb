//! Where new files go: a file that is digested and synced, or memory.

use crate::error::{BlockError, Result};
use crate::files::BlockFile;
use crate::meta::{FileEntry, FileHash};
use longhaul_disk::{File, Fs};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Bytes are handed to the file system in pieces of this size: large enough that calls do not matter.
const BUFFER_BYTES: usize = 256 << 10;

/// Takes bytes one after the other.
pub(crate) trait Sink {
    fn append(&mut self, bytes: &[u8]) -> Result<()>;
}

impl Sink for Vec<u8> {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.extend_from_slice(bytes);
        Ok(())
    }
}

/// A new file of a block.
pub(crate) struct FileSink {
    file: Box<dyn File>,
    name: BlockFile,
    path: PathBuf,
    buffer: Vec<u8>,
    position: u64,
    digest: Sha256,
}

impl FileSink {
    /// Creates `name` in the block directory `dir`.
    pub fn create(fs: &dyn Fs, dir: &Path, name: BlockFile) -> Result<Self> {
        let path = dir.join(name.path());
        let file = fs.create(&path).map_err(|error| BlockError::Write { path: path.clone(), error })?;
        Ok(Self { file, name, path, buffer: Vec::new(), position: 0, digest: Sha256::new() })
    }

    /// Bytes appended so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Hands everything to the file system, so that the file can be read.
    pub fn flush(&mut self) -> Result<()> {
        if !self.buffer.is_empty() {
            self.digest.update(&self.buffer);
            let appended = self.file.append(&self.buffer);
            appended.map_err(|error| BlockError::Write { path: self.path.clone(), error })?;
            self.buffer.clear();
        }
        Ok(())
    }

    /// Makes the content durable; the answer is the file's line for the list in `meta.json`.
    pub fn finish(mut self) -> Result<FileEntry> {
        self.flush()?;
        self.file.sync_data().map_err(|error| BlockError::Write { path: self.path, error })?;
        Ok(FileEntry {
            rel_path: self.name.path(),
            size_bytes: Some(self.position),
            hash: Some(FileHash { function: "SHA256".into(), value: hex(&self.digest.finalize()) }),
            ..FileEntry::default()
        })
    }
}

impl Sink for FileSink {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(bytes);
        self.position += bytes.len() as u64;
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
