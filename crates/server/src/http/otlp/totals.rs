//! The running totals of the tenants whose deltas are added up: one lock each, held while a request of theirs is decoded.

use longhaul_model::TenantId;
use longhaul_wire::otlp::RunningTotals;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Totals by tenant; those of a tenant are made with its first request.
#[derive(Debug, Default)]
pub(crate) struct TenantTotals {
    tenants: Mutex<HashMap<TenantId, Arc<Mutex<RunningTotals>>>>,
}

impl TenantTotals {
    /// Those of a tenant, which may take `size_bytes_max`.
    pub(crate) fn of(&self, tenant: &TenantId, size_bytes_max: usize) -> Arc<Mutex<RunningTotals>> {
        let mut tenants = self.tenants.lock();
        match tenants.get(tenant) {
            Some(totals) => totals.clone(),
            None => {
                let totals = Arc::new(Mutex::new(RunningTotals::new(size_bytes_max)));
                tenants.entry(tenant.clone()).or_insert(totals).clone()
            }
        }
    }
}
