//! What compaction counts of itself; the server exposes it.

use longhaul_model::TenantId;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

/// Counters since the process started.
#[derive(Debug, Default)]
pub struct CompactMetrics {
    /// Runs over all tenants or one.
    pub runs: AtomicU64,
    /// Jobs that were committed.
    pub jobs: AtomicU64,
    /// Jobs that failed and will be tried again.
    pub jobs_failed: AtomicU64,
    /// Jobs whose work was in vain because the manifest had moved on.
    pub jobs_obsolete: AtomicU64,
    /// Blocks that were merged.
    pub blocks_in: AtomicU64,
    /// Blocks that took their place.
    pub blocks_out: AtomicU64,
    /// Bytes of the former.
    pub bytes_in: AtomicU64,
    /// Bytes of the latter.
    pub bytes_out: AtomicU64,
    /// Samples that came in.
    pub samples_in: AtomicU64,
    /// Samples that went out.
    pub samples_out: AtomicU64,
    /// Samples that were dropped because another one at the same time takes precedence.
    pub samples_duplicate: AtomicU64,
    /// Samples that were left out because they had been deleted or are kept no more; they do not count as having come in.
    pub samples_deleted: AtomicU64,
    /// Blocks that were retired since nothing in them is kept any longer.
    pub blocks_past: AtomicU64,
    /// Blocks that could not be read and were dropped for the sake of a deletion.
    pub blocks_dropped: AtomicU64,
    /// Nanoseconds that jobs took, failed ones included.
    pub duration_ns: AtomicU64,
    /// How tenants are doing, as of the last look at each.
    pub tenants: Mutex<BTreeMap<TenantId, TenantState>>,
}

/// How a tenant is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TenantState {
    /// For how long the oldest job has been due, ms; 0 if nothing is.
    pub lag_ms: i64,
    /// Quarantined blocks.
    pub quarantined: u64,
    /// Live blocks.
    pub blocks: u64,
}
