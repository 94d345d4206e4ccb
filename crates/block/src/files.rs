//! Where a block's bytes come from: a directory here, a bucket elsewhere, one trait for both.
//!
//! Everything that reads a block goes through [`BlockFiles`]; one call of [`BlockFiles::read`] is one round of
//! requests, so counting calls counts round trips.

use crate::error::{BlockError, ReadError, Result};
use bytes::Bytes;
use longhaul_disk::{Fs, ReadAt};
use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A file of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BlockFile {
    /// `meta.json`.
    Meta,
    /// `index`: the TSDB index.
    Index,
    /// `lookup`: our paged index.
    Lookup,
    /// `tombstones`.
    Tombstones,
    /// `exemplars`: those of the block's series.
    Exemplars,
    /// `columns`: the windows of a downsampled block.
    Columns,
    /// A segment of chunks by its number in chunk references, which counts from 0: `Chunks(0)` is `chunks/000001`.
    Chunks(u32),
}

impl BlockFile {
    /// The path inside the block's directory, with `/` between components.
    pub fn path(&self) -> String {
        self.to_string()
    }

    /// The file with this path inside a block's directory, if it is one that this crate knows.
    pub fn from_path(path: &str) -> Option<Self> {
        Some(match path {
            "meta.json" => Self::Meta,
            "index" => Self::Index,
            "lookup" => Self::Lookup,
            "tombstones" => Self::Tombstones,
            "exemplars" => Self::Exemplars,
            "columns" => Self::Columns,
            _ => {
                let digits = path.strip_prefix("chunks/")?;
                let file = Self::Chunks(digits.parse::<u32>().ok()?.checked_sub(1)?);
                (file.path() == path).then_some(file)?
            }
        })
    }
}

impl std::fmt::Display for BlockFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Meta => f.write_str("meta.json"),
            Self::Index => f.write_str("index"),
            Self::Lookup => f.write_str("lookup"),
            Self::Tombstones => f.write_str("tombstones"),
            Self::Exemplars => f.write_str("exemplars"),
            Self::Columns => f.write_str("columns"),
            Self::Chunks(segment) => write!(f, "chunks/{:06}", u64::from(*segment) + 1),
        }
    }
}

/// Positional reads of one block's files. Implementations may block.
pub trait BlockFiles: Send + Sync {
    /// Reads `ranges` of `file` in one round; the answer has one buffer a range, each exactly as long as its range.
    fn read(&self, file: BlockFile, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, ReadError>;

    /// The length of `file`, bytes; [`ReadError::Missing`] if the block has no such file.
    fn size(&self, file: BlockFile) -> Result<u64, ReadError>;

    /// Ranges that are no further apart than this are better read as one, bytes. A remote store keeps the default.
    fn coalesce_gap_bytes(&self) -> u64 {
        64 << 10
    }
}

/// The files of a block in a local directory. Files are opened on first use and stay open.
#[derive(Debug)]
pub struct LocalFiles {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    open: Mutex<HashMap<BlockFile, Arc<dyn ReadAt>>>,
}

impl LocalFiles {
    /// The block in `dir`. Nothing is opened yet.
    pub fn new(fs: Arc<dyn Fs>, dir: impl Into<PathBuf>) -> Self {
        Self { fs, dir: dir.into(), open: Mutex::default() }
    }

    /// The block's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn file(&self, file: BlockFile) -> Result<Arc<dyn ReadAt>, ReadError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reader) = open.get(&file) {
            return Ok(reader.clone());
        }
        let reader = self.fs.open(&self.dir.join(file.path())).map_err(|error| read_error(file, error))?;
        open.insert(file, reader.clone());
        Ok(reader)
    }
}

fn read_error(file: BlockFile, error: io::Error) -> ReadError {
    match error.kind() {
        io::ErrorKind::NotFound => ReadError::Missing(file),
        _ => ReadError::Other { file, error: Box::new(error) },
    }
}

impl BlockFiles for LocalFiles {
    fn read(&self, file: BlockFile, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, ReadError> {
        let reader = self.file(file)?;
        let size_bytes = reader.len().map_err(|error| read_error(file, error))?;
        let mut buffers = Vec::with_capacity(ranges.len());
        for range in ranges {
            let length = range.end.saturating_sub(range.start);
            if range.end > size_bytes || length > isize::MAX as u64 {
                return Err(ReadError::Truncated { file, end: range.end, size_bytes });
            }
            let mut buffer = vec![0; length as usize];
            reader.read_exact_at(&mut buffer, range.start).map_err(|error| read_error(file, error))?;
            buffers.push(buffer.into());
        }
        Ok(buffers)
    }

    fn size(&self, file: BlockFile) -> Result<u64, ReadError> {
        self.file(file)?.len().map_err(|error| read_error(file, error))
    }

    /// A read of the page cache costs little more than the copy.
    fn coalesce_gap_bytes(&self) -> u64 {
        4 << 10
    }
}

/// Reads one range, and checks that the implementation kept its promise about the length.
pub(crate) fn read_range(files: &dyn BlockFiles, file: BlockFile, range: Range<u64>) -> Result<Bytes> {
    let mut buffers = read_ranges(files, file, std::slice::from_ref(&range))?;
    Ok(buffers.pop().unwrap_or_default())
}

/// Reads several ranges in one round, checked like [`read_range`].
pub(crate) fn read_ranges(files: &dyn BlockFiles, file: BlockFile, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
    let buffers = files.read(file, ranges)?;
    let as_asked = buffers.len() == ranges.len()
        && buffers.iter().zip(ranges).all(|(b, r)| b.len() as u64 == r.end.saturating_sub(r.start));
    if !as_asked {
        return Err(BlockError::corrupt(
            file,
            ranges.first().map_or(0, |r| r.start),
            "the store returned a short read",
        ));
    }
    Ok(buffers)
}
