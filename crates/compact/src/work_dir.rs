//! The directory in which outputs are written before they are uploaded. Nothing in it outlives its process: an output
//! that was not committed gets another id the next time.

use crate::error::CompactError;
use longhaul_disk::Fs;
use longhaul_model::BlockId;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The name of the lock in it.
const LOCK: &str = "lock";

/// A work directory, locked.
pub(crate) struct WorkDir {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) path: PathBuf,
    _lock: Box<dyn Send + Sync>,
}

impl WorkDir {
    /// Takes the directory and removes what an earlier process left in it.
    pub(crate) fn take(fs: Arc<dyn Fs>, path: &Path) -> Result<Self, CompactError> {
        fs.create_dir_all(path).map_err(CompactError::io("create", path))?;
        let lock = fs.lock(&path.join(LOCK)).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => CompactError::InUse(path.to_owned()),
            _ => CompactError::io("lock", path)(error),
        })?;
        for entry in fs.list(path).map_err(CompactError::io("list", path))? {
            let left = path.join(&entry.name);
            if entry.is_dir {
                fs.remove_dir_all(&left).map_err(CompactError::io("remove", &left))?;
            }
        }
        Ok(Self { fs, path: path.to_owned(), _lock: lock })
    }

    /// Where a block is written.
    pub(crate) fn block(&self, id: BlockId) -> PathBuf {
        self.path.join(id.to_string())
    }

    /// Removes what was written of blocks. What is left in spite of this goes with the next start.
    pub(crate) fn remove(&self, ids: impl IntoIterator<Item = BlockId>) {
        for id in ids {
            let dir = self.block(id);
            match self.fs.remove_dir_all(&dir) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    tracing::warn!(path = %dir.display(), %error, "cannot remove a block that was being written");
                }
                _ => {}
            }
        }
    }
}
