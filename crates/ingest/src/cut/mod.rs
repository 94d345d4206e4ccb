//! From head to part: a cut's view is written as a block, verified, made visible, and only then taken from the head.
//!
//! Decided by [`plan`], acted out by [`cut`] and [`log_again`]; both hold the tenant's `changing` lock to their end, so
//! that no two of them speak for the same samples (**I-CUT-2**: while a view is neither released nor abandoned, no other
//! view of the tenant is taken; a part's coverage would else claim samples that only the first view has).

pub(crate) mod plan;

use crate::error::IngestError;
use crate::ingester::Inner;
use crate::lane::{Command, Marker};
use crate::parts::{self, Part};
use crate::tenant::Tenant;
use longhaul_disk::Fs;
use longhaul_log::Append;
use longhaul_model::{BlockId, TimeRange};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::sync::oneshot;

/// Cuts `range` of a tenant's head into a part; false if there was nothing to cut.
pub(crate) async fn cut(inner: &Arc<Inner>, tenant: &Arc<Tenant>, range: TimeRange) -> Result<bool, IngestError> {
    let _changing = tenant.changing.lock().await;
    tenant.last_cuts_ms.lock().insert(range.start_ms, inner.clock.now_ms());
    let (reply, taken) = oneshot::channel();
    inner.append(Append::Marker(Marker::Cut { tenant: tenant.clone(), range, reply }))?;
    let Ok(Some(view)) = taken.await else { return Ok(false) };
    let view = Arc::new(view);
    let written = {
        let (inner, tenant, view) = (inner.clone(), tenant.clone(), view.clone());
        blocking(move || inner.part_writer.write_view(&tenant, &view, inner.log_id)).await
    };
    match written {
        Ok(part) => {
            tenant.parts.swap(Some(Arc::new(part)), &[]);
            tenant.readers.quiesce().await;
            let (reply, released) = oneshot::channel();
            inner.lanes.send(tenant, Command::Release { tenant: tenant.clone(), view, reply });
            let _ = released.await;
            inner.metrics.parts_written.fetch_add(1, Relaxed);
            Ok(true)
        }
        Err(error) => {
            inner.metrics.cuts_failed.fetch_add(1, Relaxed);
            inner.lanes.send(tenant, Command::Abandon { tenant: tenant.clone(), view });
            Err(error)
        }
    }
}

/// Appends the samples of a tiny head to the log once more, so that the segments that hold them can go.
pub(crate) async fn log_again(inner: &Inner, tenant: &Arc<Tenant>) -> Result<(), IngestError> {
    let _changing = tenant.changing.lock().await;
    let (done, finished) = oneshot::channel();
    inner.append(Append::Marker(Marker::LogAgain { tenant: tenant.clone(), done }))?;
    if finished.await.is_ok() {
        inner.metrics.heads_logged_again.fetch_add(1, Relaxed);
    }
    Ok(())
}

/// Merges parts into one that replaces them.
pub(crate) async fn merge_parts(inner: &Arc<Inner>, tenant: &Arc<Tenant>, ids: &[BlockId]) -> Result<(), IngestError> {
    let _changing = tenant.changing.lock().await;
    let old = tenant.parts.find(ids);
    let merged = {
        let (inner, tenant, old) = (inner.clone(), tenant.clone(), old.clone());
        blocking(move || inner.part_writer.write_merged(&tenant, &old, &tenant.parts_dir, true)).await?
    };
    tenant.parts.swap(Some(Arc::new(merged)), ids);
    remove_parts(inner.part_writer.fs.as_ref(), tenant, old).await
}

/// Takes away parts whose data is readable elsewhere, once nobody reads them any more.
pub(crate) async fn remove_parts(fs: &dyn Fs, tenant: &Tenant, old: Vec<Arc<Part>>) -> Result<(), IngestError> {
    tenant.readers.quiesce().await;
    for part in old {
        parts::remove(fs, &part.dir)?;
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
