//! What a tenant's data looks like from outside: how much is in memory, and which blocks hold the rest.

use crate::view::{TenantSource, blocking};
use longhaul_bucket::Manifest;
use longhaul_head::HeadStatus;
use longhaul_promql::source::SourceError;

impl TenantSource {
    /// What is in memory, with `limit` entries a list.
    pub async fn head_status(&self, limit: usize) -> Result<HeadStatus, SourceError> {
        let head = self.view.head.clone();
        blocking(move |_| Ok(head.status(limit))).await
    }

    /// The blocks in the bucket.
    pub fn manifest(&self) -> &Manifest {
        &self.view.manifest
    }
}
