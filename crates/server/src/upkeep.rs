//! One round of upkeep of a bucket: merge what there is to merge, then take away what is garbage by now. `longhaul compact`
//! and the operators' listener ask for it; in the background both run by themselves.

use longhaul_compact::{CollectReport, Collector, CompactError, CompactReport, Compactor};
use longhaul_model::TenantId;
use serde::Serialize;

/// What a round did.
#[derive(Debug, Serialize)]
pub(crate) struct UpkeepReport {
    #[serde(flatten)]
    pub(crate) compaction: CompactReport,
    pub(crate) garbage: CollectReport,
}

impl UpkeepReport {
    /// What went wrong first, if anything did.
    pub(crate) fn failure(&self) -> Option<String> {
        let mut failures = self.compaction.failures.iter().chain(&self.garbage.failures);
        let failed = failures.next().map(|it| format!("tenant {}: {}", it.tenant, it.error));
        failed.or_else(|| self.garbage.stopped.as_ref().map(ToString::to_string))
    }
}

/// A round over one tenant, or all; the error is that of finding the tenants.
pub(crate) async fn upkeep(
    compactor: &Compactor,
    collector: &Collector,
    tenant: Option<&TenantId>,
) -> Result<UpkeepReport, CompactError> {
    let compaction = compactor.compact(tenant).await?;
    Ok(UpkeepReport { compaction, garbage: collector.collect(tenant).await })
}
