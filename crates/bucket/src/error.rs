//! What can go wrong with a bucket, by what a caller does about it.

use longhaul_block::{BlockError, Coverage};
use longhaul_model::BlockId;
use object_store::path::Path as Key;
use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

/// Result of this crate.
pub type Result<T, E = BucketError> = std::result::Result<T, E>;

/// Why something could not be done with a bucket.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// The configuration names no store that can be opened: tell the operator.
    #[error("store {url:?}: {reason}")]
    Configuration {
        /// What was configured.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store does not keep the promises that the manifest rests on: do not start.
    #[error("the store {store} cannot be used: {reason}")]
    Unfit {
        /// Which store.
        store: String,
        /// The promise that it broke.
        reason: String,
    },
    /// There is no such object.
    #[error("{key}: no such object")]
    NotFound {
        /// The object.
        key: Key,
    },
    /// A put-if-absent found something, or a condition did not hold. By itself it does not say whose object it is.
    #[error("{key}: exists already")]
    Exists {
        /// The object.
        key: Key,
    },
    /// The credentials do not suffice: stop, and do not delete anything.
    #[error("{key}: access denied: {source}")]
    Denied {
        /// The object.
        key: Key,
        /// What the store said.
        source: object_store::Error,
    },
    /// The call's budget ran out; a write may or may not have taken effect, even later.
    #[error("{key}: no answer within {budget:?}")]
    TimedOut {
        /// The object.
        key: Key,
        /// How long was waited.
        budget: Duration,
    },
    /// The store failed in some other way: retry later. A write may or may not have taken effect.
    #[error("{key}: {source}")]
    Store {
        /// The object.
        key: Key,
        /// What the store said.
        source: object_store::Error,
    },
    /// An object of ours is not what was written: never go on from it.
    #[error("{key} is corrupt: {reason}")]
    Corrupt {
        /// The object.
        key: Key,
        /// What was found.
        reason: Cow<'static, str>,
    },
    /// An object was written by a newer version of this program: leave it alone.
    #[error("{key} is not supported: {reason}")]
    Unsupported {
        /// The object.
        key: Key,
        /// What was found, and what would be read.
        reason: Cow<'static, str>,
    },
    /// An uploaded object has another size than the file it was made from.
    #[error("{key} has {found_bytes} bytes after an upload of {sent_bytes}")]
    WrongSize {
        /// The object.
        key: Key,
        /// Length of the local file, bytes.
        sent_bytes: u64,
        /// Length that the store reports, bytes.
        found_bytes: u64,
    },
    /// A local file that was to be uploaded cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Local {
        /// The file or directory.
        path: PathBuf,
        /// What the file system said.
        source: std::io::Error,
    },
    /// A block's own metadata cannot be read.
    #[error("block {id}: {source}")]
    Block {
        /// Which block.
        id: BlockId,
        /// Why.
        source: BlockError,
    },
}

impl BucketError {
    /// Maps a store's answer to a call about `key`.
    pub(crate) fn from_store(key: &Key, source: object_store::Error) -> Self {
        use object_store::Error;
        let key = key.clone();
        match source {
            Error::NotFound { .. } => Self::NotFound { key },
            Error::AlreadyExists { .. } | Error::Precondition { .. } => Self::Exists { key },
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => Self::Denied { key, source },
            source => Self::Store { key, source },
        }
    }

    pub(crate) fn corrupt(key: &Key, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Corrupt { key: key.clone(), reason: reason.into() }
    }

    /// Whether the object is simply not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether the same call may succeed later without anybody doing something about it.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::TimedOut { .. } => true,
            Self::Store { source, .. } => {
                use object_store::Error;
                !matches!(source, Error::NotImplemented { .. } | Error::NotSupported { .. } | Error::InvalidPath { .. })
            }
            _ => false,
        }
    }
}

/// Why a change of a manifest no longer applies. Nothing was committed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The block is live or retired: it was committed before.
    #[error("block {0} has been committed before")]
    Known(BlockId),
    /// The bucket has that stretch of the log already, from another block.
    #[error("offsets up to {reached} of {coverage:?} are in the bucket already")]
    Passed {
        /// What was to be shipped.
        coverage: Coverage,
        /// How far the bucket has come for the whole of its range.
        reached: u64,
    },
    /// An input of a compaction is not live any more.
    #[error("block {0} is not live")]
    NotLive(BlockId),
    /// The id lies below the orphan boundary, where the garbage collector may delete it: mint another.
    #[error("block {id} lies below the orphan boundary {boundary}")]
    BelowOrphanBoundary {
        /// The block.
        id: BlockId,
        /// The boundary.
        boundary: BlockId,
    },
    /// A reason of the caller's own.
    #[error("{0}")]
    Other(Cow<'static, str>),
}

/// Why a commit did not come about, or may not have.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The change does not apply to the newest version. Nothing was committed.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// Whether the version was created could not be found out. Call again with the same base and operation id: it is
    /// applied once.
    #[error("whether version {version} was committed is not known: {source}")]
    Unclear {
        /// The version that was tried.
        version: u64,
        /// The last failure.
        source: BucketError,
    },
    /// Others were quicker every time. Nothing was committed.
    #[error("gave up after losing {0} races for the next version")]
    Contended(u32),
    /// The bucket failed before anything was written, or for good.
    #[error(transparent)]
    Bucket(#[from] BucketError),
}
