//! The local file system as a value: everything that log, parts and ship directories do to a disk goes through
//! [`Fs`], so that tests can record every write and every sync and replay a crash after any of them.
//!
//! Layer 1, beside the codecs (docs/decisions/0001). Paths are the caller's; durability is explicit: nothing is on
//! disk before [`File::sync_data`] (content) and [`Fs::sync_dir`] (names) have returned.
//!
//! Knows nothing of logs, blocks, tenants or object storage.

mod real;

pub use real::RealFs;

use std::io;
use std::path::Path;
use std::sync::Arc;

/// A file system.
pub trait Fs: Send + Sync + std::fmt::Debug + 'static {
    /// Creates a file that must not exist yet, open for appending. Its name is durable after [`Fs::sync_dir`].
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>>;

    /// Opens a file for positional reads.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn ReadAt>>;

    /// Reads a whole file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.open(path)?;
        let mut bytes = vec![0; usize::try_from(file.len()?).map_err(|_| io::ErrorKind::FileTooLarge)?];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    /// Cuts an existing file to `len_bytes` and syncs it.
    fn truncate(&self, path: &Path, len_bytes: u64) -> io::Result<()>;

    /// Renames a file or directory, replacing a file of the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory and all in it.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Creates a directory and its missing parents. The new names are durable after `sync_dir` of each parent.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// The entries of a directory, sorted by name.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;

    /// Bytes that can still be written by this process, and the size of the file system, both in bytes.
    fn space(&self, path: &Path) -> io::Result<Space>;

    /// Takes an exclusive lock that lasts as long as the returned guard; `WouldBlock` if another process has it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>>;
}

/// A file open for appending.
pub trait File: Send + std::fmt::Debug {
    /// Appends all of `bytes`.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes everything appended so far durable (`fdatasync`). After an error the file must not be used again: what
    /// the kernel dropped it will not report twice.
    fn sync_data(&mut self) -> io::Result<()>;
}

/// A file open for positional reads.
pub trait ReadAt: Send + Sync + std::fmt::Debug {
    /// The file's length, bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file is empty.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills `buffer` from `offset`; `UnexpectedEof` when the file ends before.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, without the directory. Names that are not UTF-8 are not ours and not listed.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Length of a file, bytes.
    pub len_bytes: u64,
}

/// Room on a file system, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that an unprivileged process can still write.
    pub available_bytes: u64,
    /// Size of the file system.
    pub total_bytes: u64,
}

/// Writes a small file so that after a crash it is either absent, or the old one, or the new one whole: to
/// `path` + ".tmp", synced, renamed, directory synced.
pub fn write_atomically(fs: &dyn Fs, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = Path::new(&temporary);
    match fs.remove_file(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs.create(temporary)?;
    file.append(bytes)?;
    file.sync_data()?;
    fs.rename(temporary, path)?;
    fs.sync_dir(path.parent().unwrap_or(Path::new(".")))
}
