//! How a server learns of versions of manifests that others committed: compactors, other servers.
//!
//! Tenants that queries read are looked at often, others seldom: a look is two small requests. What is retired keeps its
//! bytes for longer than the longest time between two looks, so that a reader that knows an old version finds them; and a
//! newer version holds all that an older one held (I-READ-1).

use crate::housekeeper::guarded;
use crate::ingester::Inner;
use crate::tenant::Tenant;
use futures::StreamExt;
use longhaul_bucket::BucketError;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Tenants that are looked at at once.
const AT_ONCE: usize = 16;

/// Looks for newer manifests until the ingester closes.
pub(crate) async fn refresh_loop(inner: Arc<Inner>) {
    let mut closing = inner.closing.subscribe();
    loop {
        tokio::select! {
            _ = closing.wait_for(|closing| *closing) => return,
            () = tokio::time::sleep(Duration::from_millis(inner.settings.manifest_refresh_ms)) => {}
        }
        guarded(refresh(&inner)).await;
    }
}

/// One look at the tenants whose turn it is; false if something failed.
pub(crate) async fn refresh(inner: &Arc<Inner>) -> bool {
    let now_ms = inner.clock.now_ms();
    let due = inner.tenants.all().into_iter().filter(|tenant| is_due(tenant, now_ms, inner.settings.idle_refresh_ms));
    let looks = futures::stream::iter(due.collect::<Vec<_>>()).map(|tenant| async move {
        match look(&tenant).await {
            Ok(()) => {
                tenant.refreshed_ms.store(now_ms, Relaxed);
                true
            }
            Err(error) => {
                tenant.was_read.store(true, Relaxed); // once more next time
                tracing::warn!(tenant = %tenant.id, %error, "cannot look for a newer manifest");
                false
            }
        }
    });
    looks.buffer_unordered(AT_ONCE).fold(true, |all, one| async move { all && one }).await
}

fn is_due(tenant: &Tenant, now_ms: i64, idle_refresh_ms: i64) -> bool {
    let read = tenant.was_read.swap(false, Relaxed);
    let last_ms = tenant.refreshed_ms.load(Relaxed);
    if last_ms == 0 {
        tenant.refreshed_ms.store(now_ms, Relaxed); // what is known has just been read
    }
    read || last_ms != 0 && last_ms.saturating_add(idle_refresh_ms) <= now_ms
}

async fn look(tenant: &Tenant) -> Result<(), BucketError> {
    // What was never read is read when it is asked for.
    let Some(known) = tenant.read_manifest() else { return Ok(()) };
    if let Some(newer) = tenant.store.load_newer(&known).await? {
        tenant.publish_manifest(Arc::new(newer));
    }
    Ok(())
}
