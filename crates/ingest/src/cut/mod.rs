//! From head to part: a cut's view is written as a block, verified, made visible, and only then taken from the head.
//!
//! Decided by [`plan`], acted out by [`cut`] and [`log_again`]; both hold the tenant's `cutting` lock from the taking of
//! their view to its end (**I-CUT-2**: while a view is neither released nor abandoned, no other view of the tenant is
//! taken; a part's coverage would else claim samples that only the first view has).
//!
//! Nothing here may be dropped half-way: whoever calls it runs in a task of its own.

pub(crate) mod plan;

use crate::error::IngestError;
use crate::ingester::Inner;
use crate::lane::{Command, Lanes, Marker};
use crate::parts::{self, Part};
use crate::ship;
use crate::tenant::Tenant;
use longhaul_head::CutView;
use longhaul_log::Append;
use longhaul_model::TimeRange;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::sync::oneshot;

/// What a cut, or a merge or ship, holds of its tenant.
pub(crate) type Held = tokio::sync::OwnedMutexGuard<()>;

/// Cuts `range` of a tenant's head into a part; false if there was nothing to cut. `cutting` is let go once the head has
/// forgotten what the part has, which may take as long as the slowest reader, and is not waited for here.
pub(crate) async fn cut(
    inner: &Arc<Inner>,
    tenant: &Arc<Tenant>,
    cutting: Held,
    range: TimeRange,
) -> Result<bool, IngestError> {
    let (reply, taken) = oneshot::channel();
    inner.append(Append::Marker(Marker::Cut { tenant: tenant.clone(), range, reply }))?;
    let view = match taken.await {
        Ok(Some(view)) => Arc::new(view),
        Ok(None) => return Ok(false),
        Err(_) => return Err(IngestError::Closed),
    };
    let written = {
        let (inner, tenant, view) = (inner.clone(), tenant.clone(), view.clone());
        blocking(move || inner.part_writer.write_view(&tenant, &view, inner.log_id)).await
    };
    match written {
        Ok(part) => {
            // None: all that the view had was deleted meanwhile.
            part.into_iter().for_each(|part| tenant.parts.swap(Some(Arc::new(part)), &[]));
            tenant.last_cuts_ms.lock().insert(range.start_ms, inner.clock.now_ms());
            inner.metrics.parts_written.fetch_add(1, Relaxed);
            tokio::spawn(release(inner.lanes.clone(), tenant.clone(), cutting, view));
            Ok(true)
        }
        Err(error) => {
            inner.metrics.cuts_failed.fetch_add(1, Relaxed);
            inner.lanes.send(tenant, Command::Abandon { tenant: tenant.clone(), view });
            Err(error)
        }
    }
}

/// Lets the head forget a view whose part is visible, once nobody reads who came before the part.
async fn release(lanes: Lanes, tenant: Arc<Tenant>, cutting: Held, view: Arc<CutView>) {
    tenant.readers.quiesce().await;
    let (reply, released) = oneshot::channel();
    lanes.send(&tenant, Command::Release { tenant: tenant.clone(), view: view.clone(), reply });
    let _ = released.await;
    drop((view, cutting)); // here, since freeing a large view would keep the lane from its work
}

/// Appends the samples of a tiny head to the log once more, so that the segments that hold them can go.
pub(crate) async fn log_again(inner: &Inner, tenant: &Arc<Tenant>, cutting: Held) -> Result<(), IngestError> {
    let _no_deletion = tenant.logging_again.lock().await;
    let (done, finished) = oneshot::channel();
    inner.append(Append::Marker(Marker::LogAgain { tenant: tenant.clone(), done }))?;
    if finished.await.is_ok() {
        inner.metrics.heads_logged_again.fetch_add(1, Relaxed);
    }
    drop(cutting);
    Ok(())
}

/// Merges the parts of every range that has too many.
pub(crate) async fn merge_parts(inner: &Arc<Inner>, tenant: &Arc<Tenant>, shipping: Held) -> Result<(), IngestError> {
    if tenant.has_pending_ship() {
        return Ok(()); // its parts must stay as they are until the block that holds them has arrived
    }
    let mut replaced = Vec::new();
    for job in ship::plan::plan_local_merges(&ship::part_states(tenant), &inner.settings) {
        let old = tenant.parts.find(&job.parts);
        let deletions = tenant.deletions.all(); // after the parts: I-DELETE-1
        let merged = {
            let (inner, tenant, old) = (inner.clone(), tenant.clone(), old.clone());
            blocking(move || inner.part_writer.write_merged(&tenant, &old, &deletions, &tenant.parts_dir, true)).await
        };
        match merged {
            // None: all that they have is deleted. A replay that meets it again meets the deletion, too.
            Ok(merged) => tenant.parts.swap(merged.map(Arc::new), &job.parts),
            Err(error) if error.is_damage() && set_damaged_aside(inner, tenant, &old).await? > 0 => continue,
            Err(error) => return Err(error),
        }
        replaced.extend(old);
    }
    if !replaced.is_empty() {
        let (inner, tenant) = (inner.clone(), tenant.clone());
        tokio::spawn(async move {
            if let Err(error) = remove_parts(&inner, &tenant, replaced).await {
                tracing::error!(tenant = %tenant.id, %error, "parts that were merged stay until the next start");
            }
            drop(shipping);
        });
    }
    Ok(())
}

/// Takes those of `parts` out of the way that cannot be read: answers say from now on that they are missing, and the
/// others are not held up. Returns how many there were.
pub(crate) async fn set_damaged_aside(
    inner: &Arc<Inner>,
    tenant: &Arc<Tenant>,
    parts: &[Arc<Part>],
) -> Result<usize, IngestError> {
    let (inner, tenant, parts) = (inner.clone(), tenant.clone(), parts.to_vec());
    blocking(move || {
        let mut damaged = 0;
        for part in parts {
            let Err(error) = inner.part_writer.verify(&part) else { continue };
            if !error.is_damage() {
                return Err(error);
            }
            tracing::error!(tenant = %tenant.id, %error, "a part cannot be read and is set aside");
            let aside = parts::put_aside(inner.part_writer.fs.as_ref(), &part.dir)?;
            tenant.add_damaged([aside]);
            tenant.parts.swap(None, &[part.id()]);
            damaged += 1;
        }
        Ok(damaged)
    })
    .await
}

/// Removes parts that are in no list any more, once nobody reads them: no query, and no lane on behalf of a late sample.
pub(crate) async fn remove_parts(inner: &Inner, tenant: &Tenant, old: Vec<Arc<Part>>) -> Result<(), IngestError> {
    tenant.readers.quiesce().await;
    inner.lanes.drained().await;
    tenant.forget_deletions();
    for part in old {
        parts::remove(inner.part_writer.fs.as_ref(), &part.dir)?;
    }
    Ok(())
}

/// Runs work that blocks beside the network's threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, IngestError> + Send + 'static,
) -> Result<T, IngestError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(IngestError::Closed),
    }
}
