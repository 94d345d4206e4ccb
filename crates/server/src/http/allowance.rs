//! What one request of the read API may use: a budget, a time, and the flag that stops its work.
//!
//! Invariant: when the future of a request is dropped, because its client has gone or its time is up, its allowance is
//! dropped with it, and whatever still works for the request stops at its next look at the budget.

use crate::app::App;
use crate::http::error::ApiError;
use crate::http::params::DurationNs;
use longhaul_promql::{Budget, BudgetLimits, CancelFlag};
use std::time::Duration;

/// The allowance of one request.
pub(crate) struct Allowance {
    /// What is used is counted here.
    pub(crate) budget: Budget,
    /// How long the request may take from its beginning.
    pub(crate) time_max: Duration,
    cancel: CancelFlag,
}

impl Allowance {
    /// What the configuration allows, for no longer than the client is willing to wait.
    pub(crate) fn new(app: &App, timeout: Option<DurationNs>) -> Self {
        let query = &app.config.query;
        let asked_ms = timeout.map_or(i64::MAX, DurationNs::whole_ms);
        let limits = BudgetLimits {
            samples_max: query.samples_max,
            series_max: query.series_max,
            bytes_max: query.memory_max.bytes,
            time_max_ms: asked_ms.min(query.timeout.ms).max(0) as u64,
        };
        let cancel = CancelFlag::default();
        Self {
            budget: Budget::new(limits, app.clock.clone(), cancel.clone()),
            time_max: Duration::from_millis(limits.time_max_ms),
            cancel,
        }
    }

    /// Waits for `work` for as long as the request may take; `phase` says what was going on when the time is up.
    pub(crate) async fn within<T>(
        &self,
        phase: &str,
        work: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        // Not even a start, if there is no time at all.
        if self.time_max.is_zero() {
            return Err(ApiError::timed_out(phase));
        }
        tokio::time::timeout(self.time_max, work).await.unwrap_or_else(|_| Err(ApiError::timed_out(phase)))
    }
}

impl Drop for Allowance {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}
