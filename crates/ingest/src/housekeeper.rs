//! The two loops that move data on: head to part, part to bucket. Each asks a pure plan what is due, and does it.

use crate::cut::plan::{CutAction, CutReason, HeadState, Pressure, RangeState};
use crate::cut::{self, plan};
use crate::ingester::Inner;
use crate::ship;
use crate::tenant::Tenant;
use longhaul_log::Offset;
use std::sync::Arc;
use std::time::Duration;

/// A failed ship is tried again after this long, doubling up to the maximum: a store that is away is not asked in vain.
const SHIP_RETRY_MS: u64 = 1000;
const SHIP_RETRY_MS_MAX: u64 = 30_000;

/// Cuts heads, merges parts, releases log and lets idle series go, until the ingester closes.
pub(crate) async fn cut_loop(inner: Arc<Inner>) {
    let mut closing = inner.closing.subscribe();
    loop {
        tokio::select! {
            _ = closing.wait_for(|closing| *closing) => return,
            () = tokio::time::sleep(Duration::from_millis(inner.settings.tick_ms)) => {}
            () = inner.wake.notified() => {}
        }
        tick(&inner).await;
    }
}

/// Ships parts until the ingester closes.
pub(crate) async fn ship_loop(inner: Arc<Inner>) {
    let mut closing = inner.closing.subscribe();
    let mut wait_ms = inner.settings.tick_ms;
    loop {
        tokio::select! {
            _ = closing.wait_for(|closing| *closing) => return,
            () = tokio::time::sleep(Duration::from_millis(wait_ms)) => {}
        }
        let mut failed = false;
        for tenant in inner.tenants.all() {
            if tenant.parts.all().is_empty() && !tenant.has_pending_ship() {
                continue;
            }
            if let Err(error) = ship::ship(&inner, &tenant, false).await {
                tracing::warn!(tenant = %tenant.id, %error, "shipping failed; it will be tried again");
                failed = true;
                break; // the store is probably away for all
            }
        }
        wait_ms = match (failed, wait_ms) {
            (false, _) => inner.settings.tick_ms,
            (true, before) => (before * 2).clamp(SHIP_RETRY_MS, SHIP_RETRY_MS_MAX),
        };
    }
}

/// One look around.
pub(crate) async fn tick(inner: &Arc<Inner>) {
    let totals = inner.totals();
    inner.gate.update(
        inner.part_writer.fs.space(&inner.data_dir).ok(),
        totals.chunk_bytes,
        totals.series_bytes,
        &inner.settings,
    );
    let tenants = inner.tenants.all();
    let heads: Vec<HeadState> = tenants.iter().map(|tenant| head_state(tenant)).collect();
    let oldest = inner.log.segments().first().map_or(0, |segment| segment.end);
    let pressure =
        Pressure { chunk_bytes: totals.chunk_bytes, log_bytes: totals.log_bytes, oldest_segment_end: oldest };
    let now_ms = inner.clock.now_ms();
    for job in plan::plan(&heads, pressure, now_ms, &inner.settings) {
        let Some(tenant) = tenants.iter().find(|tenant| tenant.number == job.tenant_number) else { continue };
        let done = match job.action {
            CutAction::Cut { range, reason } => {
                if reason != CutReason::Age {
                    tracing::info!(tenant = %tenant.id, %range, ?reason, "cutting early");
                }
                cut::cut(inner, tenant, range).await.map(drop)
            }
            CutAction::LogAgain => cut::log_again(inner, tenant).await,
        };
        if let Err(error) = done {
            tracing::error!(tenant = %tenant.id, %error, "a cut failed; its samples stay in memory and in the log");
        }
        let totals = inner.totals();
        inner.gate.update(None, totals.chunk_bytes, totals.series_bytes, &inner.settings);
    }
    for tenant in &tenants {
        tenant.head.evict_idle(now_ms.saturating_sub(inner.settings.idle_series_ms));
        if tenant.has_pending_ship() {
            continue; // its parts must stay as they are until the block that holds them has arrived
        }
        for job in ship::plan::plan_local_merges(&ship::part_states(tenant), &inner.settings) {
            if let Err(error) = cut::merge_parts(inner, tenant, &job.parts).await {
                tracing::error!(tenant = %tenant.id, %error, "merging parts failed; they stay as they are");
            }
        }
    }
    release_log(inner, &tenants).await;
}

/// Lets the log forget what is covered (**I-COVER-1**: nothing at or above the lowest uncovered offset is released).
async fn release_log(inner: &Inner, tenants: &[Arc<Tenant>]) {
    // Everything up to `end` has been handed to the lanes; once they are drained, it is in heads that say what they pin.
    let end = inner.log.end();
    inner.lanes.drained().await;
    let lowest: Option<Offset> =
        tenants.iter().flat_map(|tenant| tenant.head.ranges()).map(|state| state.first_offset).min();
    if let Err(error) = inner.log.release(lowest.unwrap_or(end + 1).min(end + 1)) {
        tracing::error!(%error, "cannot remove released log segments");
    }
}

fn head_state(tenant: &Tenant) -> HeadState {
    let uncut = tenant.head.ranges().into_iter().filter(|state| state.samples > 0);
    let ranges = uncut.map(|state| RangeState {
        range: state.range,
        first_offset: state.first_offset,
        chunk_bytes: state.chunk_bytes as u64,
    });
    HeadState {
        tenant_number: tenant.number,
        ranges: ranges.collect(),
        last_cuts_ms: tenant.last_cuts_ms.lock().clone(),
        chunk_bytes: tenant.head.stats().chunk_bytes as u64,
    }
}
