//! What a run of the compactor did, for people and programs.

use longhaul_model::TenantId;
use serde::Serialize;

/// What was done; counts of jobs that were committed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CompactReport {
    /// Tenants that were looked at.
    pub tenants: u64,
    /// Jobs that were carried out.
    pub jobs: u64,
    /// Blocks that were merged.
    pub blocks_in: u64,
    /// Blocks that took their place.
    pub blocks_out: u64,
    /// Bytes of the former.
    pub bytes_in: u64,
    /// Bytes of the latter.
    pub bytes_out: u64,
    /// Samples that came in.
    pub samples_in: u64,
    /// Samples that went out.
    pub samples_out: u64,
    /// Samples that were dropped because another one at the same time takes precedence.
    pub samples_duplicate: u64,
    /// Samples that were left out because they had been deleted or are kept no more; they do not count as having come in.
    pub samples_deleted: u64,
    /// Blocks that were retired since nothing in them is kept any longer.
    pub blocks_past: u64,
    /// Blocks that were found unreadable and are left alone from now on.
    pub quarantined: Vec<Quarantine>,
    /// Blocks that could not be read and were dropped for the sake of a deletion that had waited for them long enough.
    pub dropped: Vec<Quarantine>,
    /// What failed and will be tried again.
    pub failures: Vec<Failure>,
}

/// A block that was quarantined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Quarantine {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub block: String,
    /// Why.
    pub reason: String,
}

/// Something that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Whose.
    pub tenant: TenantId,
    /// Why.
    pub error: String,
}
