//! What a run of the collector did, for people and programs, and what all runs did.

use super::error::CollectError;
use crate::report::Failure;
use serde::{Serialize, Serializer};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// What one run did.
#[derive(Debug, Default, Serialize)]
pub struct CollectReport {
    /// Tenants that were looked at.
    pub tenants: u64,
    /// Retired blocks whose deletion was announced.
    pub blocks_marked: u64,
    /// Retired blocks whose objects are gone.
    pub blocks_deleted: u64,
    /// Blocks in no manifest whose objects are gone.
    pub orphans_deleted: u64,
    /// Objects deleted, manifests not counted.
    pub objects_deleted: u64,
    /// Old versions of manifests deleted.
    pub versions_deleted: u64,
    /// Whether the run ended because it had deleted as much as one run may: more may be left.
    pub capped: bool,
    /// What failed and will be tried again.
    pub failures: Vec<Failure>,
    /// Why the run ended before its end, if it did: something that speaks against any deletion, or a store that is away.
    #[serde(serialize_with = "text")]
    pub stopped: Option<CollectError>,
}

fn text<S: Serializer>(error: &Option<CollectError>, serializer: S) -> Result<S::Ok, S::Error> {
    error.as_ref().map(ToString::to_string).serialize(serializer)
}

/// Counts since the process started.
#[derive(Debug, Default)]
pub struct CollectMetrics {
    /// Runs that came to their end.
    pub runs: AtomicU64,
    /// Runs that stopped before it.
    pub runs_stopped: AtomicU64,
    /// As in [`CollectReport`].
    pub blocks_marked: AtomicU64,
    /// As in [`CollectReport`].
    pub blocks_deleted: AtomicU64,
    /// As in [`CollectReport`].
    pub orphans_deleted: AtomicU64,
    /// As in [`CollectReport`].
    pub objects_deleted: AtomicU64,
    /// As in [`CollectReport`].
    pub versions_deleted: AtomicU64,
}

impl CollectMetrics {
    /// Adds what a run did, however it ended.
    pub(super) fn add(&self, report: &CollectReport) {
        let runs = if report.stopped.is_none() { &self.runs } else { &self.runs_stopped };
        runs.fetch_add(1, Relaxed);
        let counts = [
            (&self.blocks_marked, report.blocks_marked),
            (&self.blocks_deleted, report.blocks_deleted),
            (&self.orphans_deleted, report.orphans_deleted),
            (&self.objects_deleted, report.objects_deleted),
            (&self.versions_deleted, report.versions_deleted),
        ];
        for (metric, count) in counts {
            metric.fetch_add(count, Relaxed);
        }
    }
}
