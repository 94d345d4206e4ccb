//! What can go wrong in ingesting, and what a caller does about it.

use longhaul_block::BlockError;
use longhaul_bucket::{BucketError, CommitError};
use longhaul_log::LogError;
use std::io;
use std::path::{Path, PathBuf};

/// Errors of the ingester's own work: starting, cutting, shipping.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// Another process has the data directory.
    #[error("{} is in use by another process", .0.display())]
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
    /// A part cannot be written or read.
    #[error("part {}: {source}", dir.display())]
    Part {
        /// Its directory.
        dir: PathBuf,
        /// Why.
        source: BlockError,
    },
    /// A part that was just written does not read back as it should; it is not used.
    #[error("part {} does not verify: {reason}", dir.display())]
    Unsound {
        /// Its directory.
        dir: PathBuf,
        /// The first problem.
        reason: String,
    },
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
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

impl IngestError {
    /// Whether a part's own bytes are at fault, so that trying again will not help.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::Part { source, .. } => source.is_corrupt(),
            Self::Unsound { .. } => true,
            Self::Io { source, .. } => matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof),
            _ => false,
        }
    }

    /// Whether the store is the reason, so that it is of no use to ask it for another tenant's sake right away.
    pub(crate) fn is_of_store(&self) -> bool {
        match self {
            Self::Bucket(error) | Self::Commit(CommitError::Bucket(error)) => error.is_transient(),
            Self::Commit(CommitError::Unclear { .. } | CommitError::Contended(_)) => true,
            _ => false,
        }
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn part(dir: &Path) -> impl FnOnce(BlockError) -> Self {
        let dir = dir.to_owned();
        move |source| Self::Part { dir, source }
    }
}

/// Why nothing was deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// Too many deletions are in force: try again when blocks have been rewritten.
    #[error("{0} deletions are being carried out already; try again when some have ended")]
    TooMany(usize),
    /// The log could not be written. After a crash the deletion may be found in it nevertheless.
    #[error("the deletion could not be made durable: {0}")]
    Log(String),
    /// The tenant is not known here, and the bucket does not answer.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// The process is going down.
    #[error("shutting down")]
    Closed,
}

/// Why a whole write was turned away; all of them mean "try again".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Too much is waiting already.
    #[error("err-longhaul-overloaded: too many writes are waiting; try again")]
    Overloaded,
    /// The data disk is almost full.
    #[error("err-longhaul-disk-full: the data disk is below its reserve; writes go on once there is space")]
    DiskFull,
    /// The heads hold more than the budget and are being cut.
    #[error("err-longhaul-memory: recent data takes more memory than its budget and is being moved to disk; try again")]
    Memory,
    /// The log could not be written.
    #[error("err-longhaul-log: the write could not be made durable: {0}")]
    Log(String),
    /// The process is going down.
    #[error("err-longhaul-shutting-down: shutting down")]
    Closed,
}
