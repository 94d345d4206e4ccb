//! Why nothing, or nothing more, is deleted.

use super::clocks::ClockJump;
use longhaul_bucket::{BucketError, CommitError};
use longhaul_model::TenantId;

/// Why a run stopped.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// Time cannot be relied on; nothing was deleted.
    #[error("nothing is deleted: {0}")]
    Clock(#[from] ClockJump),
    /// The bucket is not what it was: nothing of anybody is deleted any more in this process.
    #[error(
        "nothing is deleted any more: version {seen} of tenant {tenant}'s manifest was there and is not in the history of \
         version {found}, which is; restart if the bucket was restored on purpose"
    )]
    OtherHistory {
        /// Whose manifest.
        tenant: TenantId,
        /// The version that this process knew.
        seen: u64,
        /// The newest version that is there; 0 for none.
        found: u64,
    },
    /// The store failed, or refused.
    #[error("tenant {tenant}: {source}")]
    Bucket {
        /// Whose objects.
        tenant: TenantId,
        /// Why.
        source: BucketError,
    },
    /// A manifest could not be committed.
    #[error("tenant {tenant}: {source}")]
    Commit {
        /// Whose manifest.
        tenant: TenantId,
        /// Why.
        source: CommitError,
    },
    /// The store as a whole could not be asked: for its time, or for its tenants.
    #[error("the store cannot be asked: {0}")]
    Store(#[from] BucketError),
    /// The process goes down.
    #[error("shutting down")]
    Closed,
}

impl CollectError {
    /// Whether nothing more may be deleted of anybody in this run: what is wrong is wrong for all, or the store is away.
    pub(super) fn ends_run(&self) -> bool {
        let of_bucket = |error: &BucketError| {
            matches!(error, BucketError::Denied { .. } | BucketError::Unfit { .. }) || error.is_transient()
        };
        match self {
            Self::Bucket { source, .. } => of_bucket(source),
            Self::Commit { source: CommitError::Bucket(source) | CommitError::Unclear { source, .. }, .. } => {
                of_bucket(source)
            }
            Self::Commit { .. } => false,
            _ => true,
        }
    }
}
