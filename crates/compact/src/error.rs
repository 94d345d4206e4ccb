//! What can go wrong in compaction. None of it harms a block that is live: the worst is work done in vain.

use longhaul_block::BlockError;
use longhaul_bucket::{BucketError, CommitError};
use std::io;
use std::path::{Path, PathBuf};

/// Why a job came to nothing, or a compactor did not start.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// Another process has the work directory.
    #[error("{} is in use by another compactor", .0.display())]
    InUse(PathBuf),
    /// The local disk refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The local disk has no room for what the job would write.
    #[error("{needed_bytes} bytes are needed in {}, {available_bytes} may be used", path.display())]
    NoSpace {
        /// The work directory.
        path: PathBuf,
        /// Bytes of the job's inputs.
        needed_bytes: u64,
        /// Bytes above the reserve.
        available_bytes: u64,
    },
    /// An input could not be fetched: retry later.
    #[error(transparent)]
    Fetch(BlockError),
    /// What was written is not what it should be. The inputs were read again and are sound: a bug, or memory that fails.
    #[error("the merge is not used: {0}")]
    Unsound(String),
    /// The bucket: retry later.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// The manifest could not be moved on: retry later.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The process is going down.
    #[error("shutting down")]
    Closed,
}

impl CompactError {
    /// Whether the store is the reason, so that it is of no use to ask it for another tenant's sake right away.
    pub(crate) fn is_of_store(&self) -> bool {
        match self {
            Self::Bucket(error) | Self::Commit(CommitError::Bucket(error)) => error.is_transient(),
            Self::Commit(CommitError::Unclear { .. } | CommitError::Contended(_)) => true,
            Self::Fetch(_) => true,
            _ => false,
        }
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
