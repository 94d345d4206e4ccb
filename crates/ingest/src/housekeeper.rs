//! The two loops that move data on: head to part, part to bucket. Each asks a pure plan what is due, and does it.

use crate::cut::plan::{CutAction, CutReason, HeadState, Pressure, RangeState};
use crate::cut::{self, plan};
use crate::delete;
use crate::error::IngestError;
use crate::ingester::Inner;
use crate::lane::Marker;
use crate::metadata::{self, Metadata};
use crate::recover::METADATA;
use crate::settings::IngestSettings;
use crate::ship;
use crate::tenant::Tenant;
use futures::{FutureExt, StreamExt};
use longhaul_log::{Append, Offset};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// What failed is tried again after this long, doubling up to the maximum: a store that is away, or a disk that is full,
/// is not asked in vain.
const RETRY_MS: u64 = 1000;
const RETRY_MS_MAX: u64 = 30_000;
/// Log-again jobs that run at once: they share the log's syncs.
const LOG_AGAINS_AT_ONCE: usize = 32;
/// Idle series are looked for this many times in the time after which they may leave: each look walks over all series.
const EVICTIONS_PER_IDLE_TIME: i64 = 8;

/// Cuts heads, merges parts, releases log and lets idle series go, until the ingester closes.
pub(crate) async fn cut_loop(inner: Arc<Inner>) {
    let mut closing = inner.closing.subscribe();
    let mut wait_ms = inner.settings.tick_ms;
    loop {
        tokio::select! {
            _ = closing.wait_for(|closing| *closing) => return,
            () = tokio::time::sleep(Duration::from_millis(wait_ms)) => {}
        }
        wait_ms = next_wait_ms(wait_ms, guarded(tick(&inner)).await, &inner);
    }
}

/// Keeps the gate up to date until the ingester closes, however long a round of the other loops takes.
pub(crate) async fn room_loop(inner: Arc<Inner>) {
    let mut closing = inner.closing.subscribe();
    loop {
        tokio::select! {
            _ = closing.wait_for(|closing| *closing) => return,
            () = tokio::time::sleep(Duration::from_millis(inner.settings.tick_ms)) => look_at_room(&inner),
        }
    }
}

/// Ships parts until the ingester closes.
pub(crate) async fn ship_loop(inner: Arc<Inner>) {
    let mut closing = inner.closing.subscribe();
    let (mut wait_ms, mut first) = (inner.settings.tick_ms, 0);
    loop {
        tokio::select! {
            _ = closing.wait_for(|closing| *closing) => return,
            () = tokio::time::sleep(Duration::from_millis(wait_ms)) => {}
        }
        wait_ms = next_wait_ms(wait_ms, guarded(ship_round(&inner, &mut first)).await, &inner);
    }
}

/// Runs one round of a loop. A panic in it is a bug, which the panic's own message reports; it counts as a failure and
/// must not end the loop, which serves all tenants.
pub(crate) async fn guarded(round: impl Future<Output = bool>) -> bool {
    AssertUnwindSafe(round).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!("a round of the housekeeper panicked; it is tried again");
        false
    })
}

fn next_wait_ms(wait_ms: u64, all_well: bool, inner: &Inner) -> u64 {
    match all_well {
        true => inner.settings.tick_ms,
        false => (wait_ms * 2).clamp(RETRY_MS, RETRY_MS_MAX.max(inner.settings.tick_ms)),
    }
}

/// Ships what is due of every tenant, beginning with number `first`; false if something failed. A store that does not
/// answer ends the round, and the next one begins behind the tenant that met it: should it be that tenant's alone, the
/// others get their turn.
pub(crate) async fn ship_round(inner: &Arc<Inner>, first: &mut usize) -> bool {
    let mut tenants = inner.tenants.all();
    let begin = *first % tenants.len().max(1);
    tenants.rotate_left(begin);
    let mut all_well = true;
    for tenant in &tenants {
        if tenant.parts.all().is_empty() && !tenant.has_pending_ship() && !delete::is_due(inner, tenant) {
            continue;
        }
        let Ok(shipping) = tenant.shipping.clone().try_lock_owned() else { continue };
        if *inner.closing.borrow() {
            break;
        }
        if let Err(error) = ship::ship(inner, tenant, &shipping, false).await {
            tracing::warn!(tenant = %tenant.id, %error, "shipping failed; it will be tried again");
            all_well = false;
            if error.is_of_store() {
                *first = tenant.number as usize + 1;
                break;
            }
        }
    }
    all_well
}

/// One look around; false if something failed.
pub(crate) async fn tick(inner: &Arc<Inner>) -> bool {
    look_at_room(inner);
    let tenants = inner.tenants.all();
    append_owed(inner, &tenants);
    let now_ms = inner.clock.now_ms();
    save_metadata(inner, |metadata| metadata.is_due(now_ms)).await;
    let mut all_well = cut_what_is_due(inner, &tenants, now_ms).await;
    for tenant in &tenants {
        evict_idle(tenant, now_ms, inner.settings.idle_series_ms);
        if tenant.parts.all().len() <= inner.settings.parts_per_range_max {
            continue;
        }
        let Ok(shipping) = tenant.shipping.clone().try_lock_owned() else { continue };
        if let Err(error) = cut::merge_parts(inner, tenant, shipping).await {
            tracing::error!(tenant = %tenant.id, %error, "merging parts failed; they stay as they are");
            all_well = false;
        }
    }
    match release_log(inner).await {
        Ok(()) | Err(IngestError::Closed) => all_well,
        Err(error) => {
            tracing::error!(%error, "cannot remove released log segments");
            false
        }
    }
}

/// Writes the metadata of tenants where it is time to. What fails is tried again later: it is of no use to hold up anything
/// else for it.
pub(crate) async fn save_metadata(inner: &Arc<Inner>, is_due: impl Fn(&Metadata) -> bool) {
    let due: Vec<_> = inner.tenants.all().into_iter().filter(|tenant| is_due(&tenant.metadata)).collect();
    if due.is_empty() {
        return;
    }
    let saving = {
        let inner = inner.clone();
        cut::blocking(move || {
            let now_ms = inner.clock.now_ms();
            for tenant in due {
                let path = inner.data_dir.join(METADATA).join(metadata::file_name(&tenant.id));
                tenant
                    .metadata
                    .save(inner.part_writer.fs.as_ref(), &path, now_ms)
                    .map_err(IngestError::io("write", &path))?;
            }
            Ok(())
        })
    };
    if let Err(error) = saving.await {
        tracing::warn!(%error, "metadata cannot be saved; it is tried again");
    }
}

fn look_at_room(inner: &Inner) {
    let totals = inner.totals();
    let space = inner.part_writer.fs.space(&inner.data_dir).ok();
    inner.gate.update(space, totals.chunk_bytes, totals.series_bytes, &inner.settings);
}

async fn cut_what_is_due(inner: &Arc<Inner>, tenants: &[Arc<Tenant>], now_ms: i64) -> bool {
    let heads: Vec<HeadState> = tenants.iter().map(|tenant| head_state(tenant, now_ms, &inner.settings)).collect();
    let pressure = Pressure {
        chunk_bytes: heads.iter().map(|head| head.chunk_bytes).sum(),
        log_bytes: inner.log.size_bytes(),
        oldest_segment_end: inner.log.segments().first().map_or(0, |segment| segment.end),
    };
    let jobs = plan::plan(&heads, pressure, now_ms, &inner.settings);
    let (again, cuts): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.action == CutAction::LogAgain);
    let again = again.into_iter().filter_map(|job| {
        let tenant = tenants.get(job.tenant_number as usize)?;
        Some((tenant, tenant.cutting.clone().try_lock_owned().ok()?))
    });
    futures::stream::iter(again)
        .for_each_concurrent(LOG_AGAINS_AT_ONCE, |(tenant, cutting)| async move {
            let _ = cut::log_again(inner, tenant, cutting).await; // it fails only because the log is closed
        })
        .await;
    let mut all_well = true;
    for job in cuts {
        let CutAction::Cut { range, reason } = job.action else { continue };
        let Some(tenant) = tenants.get(job.tenant_number as usize) else { continue };
        // A slow reader keeps an earlier view in the head: its tenant's turn comes later.
        let Ok(cutting) = tenant.cutting.clone().try_lock_owned() else { continue };
        if *inner.closing.borrow() {
            return true;
        }
        if reason != CutReason::Age {
            tracing::info!(tenant = %tenant.id, %range, ?reason, "cutting early");
        }
        if let Err(error) = cut::cut(inner, tenant, cutting, range).await {
            tracing::error!(tenant = %tenant.id, %error, "a cut failed; its samples stay in memory and in the log");
            all_well = false; // perhaps this tenant's alone: the others get their turn
        }
        if reason == CutReason::Bytes {
            look_at_room(inner);
        }
    }
    all_well
}

fn evict_idle(tenant: &Tenant, now_ms: i64, idle_ms: i64) {
    let last_ms = tenant.last_evicted_ms.load(Relaxed);
    // From the last time on, or from the first on at a time of the tenant's own: not all of them at once.
    let spread_ms = idle_ms / EVICTIONS_PER_IDLE_TIME * i64::from(tenant.number % 64) / 64;
    if last_ms == 0 {
        tenant.last_evicted_ms.store(now_ms.saturating_sub(spread_ms), Relaxed);
    } else if last_ms.saturating_add(idle_ms / EVICTIONS_PER_IDLE_TIME) <= now_ms {
        tenant.last_evicted_ms.store(now_ms, Relaxed);
        tenant.head.evict_idle(now_ms.saturating_sub(idle_ms));
    }
}

/// Appends refusals once more that could not be made durable.
pub(crate) fn append_owed(inner: &Inner, tenants: &[Arc<Tenant>]) {
    for tenant in tenants {
        for refusals in tenant.owed.take_failed() {
            let owed = Append::Refusals(refusals, Marker::Owed { tenant: tenant.clone() });
            if inner.append(owed).is_err() {
                return; // closed: nothing is answered any more
            }
        }
    }
}

/// Lets the log forget what is covered (**I-COVER-1**: nothing at or above the lowest uncovered offset is released).
pub(crate) async fn release_log(inner: &Inner) -> Result<(), IngestError> {
    let end = inner.settle().await?;
    // Only now: a tenant that is not among them has nothing in the log up to `end`.
    let tenants = inner.tenants.all();
    let in_heads = tenants.iter().flat_map(|tenant| tenant.head.ranges()).map(|state| state.first_offset);
    // A deletion that no manifest has is nowhere but in the log.
    let deletions = tenants.iter().flat_map(|tenant| tenant.deletions.uncommitted()).map(|deletion| deletion.offset);
    let lowest: Option<Offset> = in_heads.chain(deletions).min();
    // What was refused against samples that are about to go must not be applied by a replay in their stead: the records
    // that are on their way have arrived after this, or are owed.
    inner.settle().await?;
    if tenants.iter().any(|tenant| tenant.owed.any_failed()) {
        return Ok(());
    }
    Ok(inner.log.release(lowest.unwrap_or(end + 1).min(end + 1))?)
}

fn head_state(tenant: &Tenant, now_ms: i64, settings: &IngestSettings) -> HeadState {
    let uncut = tenant.head.ranges().into_iter().filter(|state| state.samples + state.exemplars > 0);
    let ranges = uncut.map(|state| RangeState {
        range: state.range,
        first_offset: state.first_offset,
        chunk_bytes: state.chunk_bytes as u64,
    });
    let mut last_cuts_ms = tenant.last_cuts_ms.lock();
    last_cuts_ms.retain(|_, last_ms| last_ms.saturating_add(settings.late_cut_interval_ms) > now_ms);
    HeadState {
        tenant_number: tenant.number,
        ranges: ranges.collect(),
        last_cuts_ms: last_cuts_ms.clone(),
        chunk_bytes: tenant.head.stats().chunk_bytes as u64,
    }
}
