//! Keeps what readers of Mimir and Cortex look at in step with the manifest. Best effort: nothing of ours reads it.

use crate::compactor::Inner;
use longhaul_bucket::{BucketError, Manifest, TenantStore};

/// The last projection of a tenant's manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Projected {
    version: u64,
    at_ms: i64,
}

impl Inner {
    /// Writes the projections of the newest manifest that is known, if they are due.
    pub(crate) async fn project(&self, store: &TenantStore) {
        let tenant = store.tenant();
        let Some(manifest) = self.known.lock().get(tenant).cloned() else { return };
        let (last, now_ms) = (self.projected.lock().get(tenant).copied(), self.clock.now_ms());
        if !self.settings.bucket_index || !is_due(last, manifest.version, now_ms, self.settings.bucket_index_refresh_ms)
        {
            return;
        }
        match write(store, &manifest, now_ms).await {
            Ok(()) => {
                let projected = Projected { version: manifest.version, at_ms: now_ms };
                self.projected.lock().insert(tenant.clone(), projected);
            }
            Err(error) => tracing::warn!(%tenant, %error, "cannot write the bucket index; it will be tried again"),
        }
    }
}

/// Marks before the index: a reader that makes an index of its own sees them first.
async fn write(store: &TenantStore, manifest: &Manifest, now_ms: i64) -> Result<(), BucketError> {
    store.mirror_deletion_marks(manifest).await?;
    store.write_bucket_index(manifest, now_ms).await
}

/// Whether a version has not been projected yet, or so long ago that readers would not believe it any more.
fn is_due(last: Option<Projected>, version: u64, now_ms: i64, refresh_ms: Option<i64>) -> bool {
    last.is_none_or(|last| {
        last.version != version || refresh_ms.is_some_and(|refresh_ms| last.at_ms.saturating_add(refresh_ms) <= now_ms)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_projection_is_made_of_each_version_and_again_in_time() {
        let last = Some(Projected { version: 3, at_ms: 1000 });
        for (last, version, now_ms, refresh_ms, due) in [
            (None, 3, 0, None, true),
            (last, 4, 1000, None, true),
            (last, 3, i64::MAX, None, false),
            (last, 3, 1999, Some(1000), false),
            (last, 3, 2000, Some(1000), true),
        ] {
            assert_eq!(is_due(last, version, now_ms, refresh_ms), due, "{version} at {now_ms}, {refresh_ms:?}");
        }
    }
}
