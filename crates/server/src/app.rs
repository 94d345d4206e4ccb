//! What every handler shares.

use crate::config::Config;
use crate::http::error::ApiError;
use crate::http::otlp::TenantTotals;
use crate::metrics::Metrics;
use longhaul_bucket::BucketError;
use longhaul_compact::{Collector, Compactor};
use longhaul_ingest::{Ingester, Pin, Screen, WriteLimits};
use longhaul_model::{Clock, Retentions, TenantId};
use longhaul_promql::engine::Engine;
use longhaul_query::{BlockCache, TenantSource, TenantView};
use std::ops::Deref;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The shared state; cloning shares it.
#[derive(Clone)]
pub(crate) struct AppState(pub(crate) Arc<App>);

/// The running program.
pub(crate) struct App {
    pub(crate) config: Config,
    /// Of all tenants; see [`App::write_limits`].
    pub(crate) common_limits: WriteLimits,
    /// How long samples are kept.
    pub(crate) retentions: Retentions,
    /// What of a write its tenant wants.
    pub(crate) screen: Screen,
    /// What the deltas of OpenTelemetry's senders come to.
    pub(crate) otlp_totals: TenantTotals,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) started_ms: i64,
    pub(crate) ingester: Ingester,
    pub(crate) compactor: Compactor,
    pub(crate) collector: Collector,
    pub(crate) engine: Engine,
    pub(crate) blocks: Arc<BlockCache>,
    /// One permit a query that runs.
    pub(crate) query_slots: Arc<Semaphore>,
    pub(crate) metrics: Metrics,
}

impl Deref for AppState {
    type Target = App;

    fn deref(&self) -> &App {
        &self.0
    }
}

impl App {
    /// What a write of a tenant may contain.
    pub(crate) fn write_limits(&self, tenant: &TenantId) -> WriteLimits {
        WriteLimits { retention_ms: self.retentions.of(tenant).raw_ms, ..self.common_limits.clone() }
    }

    /// Waits until one more query may run.
    pub(crate) async fn query_slot(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        self.query_slots.clone().acquire_owned().await.map_err(|_| ApiError::internal("shutting down"))
    }

    /// Pins a tenant's data for a query. The query's slot is held as long as anything reads from it: work that a client
    /// has walked away from still counts.
    pub(crate) async fn source(
        &self,
        tenant: &TenantId,
        slot: OwnedSemaphorePermit,
    ) -> Result<TenantSource, BucketError> {
        let Pin { guard, head, parts, part_blocks, new_deletions, damaged, manifest, store } =
            self.ingester.pin(tenant).await?;
        let missing = damaged
            .iter()
            .filter_map(|dir| dir.file_name())
            .map(|name| format!("local part {} cannot be read: its samples are missing", name.display()))
            .collect();
        let view = TenantView {
            head,
            parts: part_blocks,
            new_deletions,
            past: self.retentions.of(tenant).past(self.clock.now_ms()),
            manifest,
            store,
            missing,
            keep: Box::new((guard, parts, slot)),
        };
        Ok(TenantSource::new(view, self.blocks.clone()))
    }
}
