//! Reads what is live slowly in the background, so that what rots is found while something can still be done about it.
//!
//! Every block has a moment in each period that follows from its id, so that nothing needs to be remembered: what came due
//! between two looks is read after the second. Several scrubbers do the same work again, and no harm.

use crate::error::CompactError;
use crate::examine::{Examined, examine};
use crate::paced::Paced;
use futures::FutureExt;
use longhaul_bucket::{BucketError, CommitError, LiveBlock, Manifest, OperationId, Store, TenantStore};
use longhaul_model::{BlockId, Clock, IdSource, TenantId};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};
use std::time::Duration;
use tokio::runtime::Handle;

/// Who commits, for people who read a manifest.
const AUTHOR: &str = "scrubber";

/// How much is read, and how fast.
#[derive(Clone, Debug, PartialEq)]
pub struct ScrubSettings {
    /// Every block is read once in this time, ms.
    pub period_ms: i64,
    /// No faster than this, bytes a second: a scrubber should not be seen in the bill or in queries.
    pub bytes_per_second: u64,
    /// How long it rests between two looks at the bucket, ms: two small requests a tenant and a LIST each.
    pub interval_ms: i64,
}

impl Default for ScrubSettings {
    fn default() -> Self {
        Self { period_ms: 30 * 86_400_000, bytes_per_second: 8 << 20, interval_ms: 3_600_000 }
    }
}

/// Counters since the process started.
#[derive(Debug, Default)]
pub struct ScrubMetrics {
    /// Blocks that were read.
    pub blocks: AtomicU64,
    /// Bytes of them.
    pub bytes: AtomicU64,
    /// Blocks that were quarantined.
    pub quarantined: AtomicU64,
    /// Blocks and tenants that could not be read because the store did not answer; blocks are left to the next period.
    pub failures: AtomicU64,
    /// What came due up to here has been read, ms since the epoch.
    pub read_up_to_ms: AtomicI64,
}

/// What a scrubber is made from.
pub struct ScrubberParts {
    /// Settings.
    pub settings: ScrubSettings,
    /// The bucket.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids of operations.
    pub ids: Arc<IdSource>,
    /// Who wants to know of commits.
    pub publish: crate::Publish,
}

/// Verifies live blocks, and quarantines those that are not sound. Cloning shares it.
#[derive(Clone)]
pub struct Scrubber {
    parts: Arc<ScrubberParts>,
    metrics: Arc<ScrubMetrics>,
    closing: Arc<AtomicBool>,
}

impl Scrubber {
    /// A scrubber; nothing is read before it runs.
    pub fn new(parts: ScrubberParts) -> Self {
        let metrics = ScrubMetrics { read_up_to_ms: AtomicI64::new(parts.clock.now_ms()), ..ScrubMetrics::default() };
        Self { parts: Arc::new(parts), metrics: Arc::new(metrics), closing: Arc::default() }
    }

    /// Counters.
    pub fn metrics(&self) -> &Arc<ScrubMetrics> {
        &self.metrics
    }

    /// Ends what is being read.
    pub fn close(&self) {
        self.closing.store(true, Relaxed);
    }

    /// Scrubs forever.
    pub async fn run_forever(&self) {
        loop {
            tokio::time::sleep(Duration::from_millis(self.parts.settings.interval_ms.max(1) as u64)).await;
            // A panic is a bug, which its own message reports; it must not end the loop, which serves all tenants.
            if AssertUnwindSafe(self.catch_up()).catch_unwind().await.is_err() {
                tracing::error!("a run of the scrubber panicked; the next one comes as always");
            }
        }
    }

    /// Reads what has come due since the last time.
    pub async fn catch_up(&self) {
        let (since_ms, now_ms) = (self.metrics.read_up_to_ms.load(Relaxed), self.parts.clock.now_ms());
        let tenants = match TenantStore::tenants(&self.parts.store).await {
            Ok(tenants) => tenants,
            Err(error) => {
                tracing::warn!(%error, "cannot list the tenants; it will be tried again");
                return;
            }
        };
        for tenant in tenants {
            if let Err(error) = self.tenant(&tenant, since_ms, now_ms).await {
                self.metrics.failures.fetch_add(1, Relaxed);
                tracing::warn!(%tenant, %error, "cannot scrub");
            }
            if self.closing.load(Relaxed) {
                return;
            }
        }
        self.metrics.read_up_to_ms.store(now_ms, Relaxed);
    }

    async fn tenant(&self, tenant: &TenantId, since_ms: i64, now_ms: i64) -> Result<(), BucketError> {
        let store = TenantStore::new(self.parts.store.clone(), tenant.clone());
        let Some(manifest) = store.load_manifest().await? else { return Ok(()) };
        for live in due(&manifest, since_ms, now_ms, self.parts.settings.period_ms) {
            match self.examine(&store, live).await {
                Ok(examined) => {
                    self.metrics.blocks.fetch_add(1, Relaxed);
                    self.metrics.bytes.fetch_add(examined.bytes_read, Relaxed);
                    if let Some(reason) = examined.problems.first() {
                        self.quarantine(&store, &manifest, live.id, reason).await;
                    }
                }
                Err(CompactError::Closed) => return Ok(()),
                Err(error) => {
                    self.metrics.failures.fetch_add(1, Relaxed);
                    tracing::warn!(%tenant, block = %live.id, %error, "cannot scrub a block");
                }
            }
            if self.closing.load(Relaxed) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Examines a block on a thread that may block.
    async fn examine(&self, store: &TenantStore, live: &LiveBlock) -> Result<Examined, CompactError> {
        let (store, live, handle) = (store.clone(), live.clone(), Handle::current());
        let (rate, closing) = (self.parts.settings.bytes_per_second, self.closing.clone());
        let work = move || {
            let files = store.block_files(live.address(), handle.clone());
            examine(&store, &live, &Paced::new(files, rate, handle.clone(), closing), &handle)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(examined) => examined,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(CompactError::Closed),
        }
    }

    /// Records what was found, unless the block is live no more.
    async fn quarantine(&self, store: &TenantStore, base: &Manifest, id: BlockId, reason: &str) {
        let (tenant, now_ms) = (store.tenant(), self.parts.clock.now_ms());
        let operation = OperationId::new(self.parts.ids.random());
        match store.commit(Some(base), AUTHOR, operation, |manifest| manifest.quarantine(id, reason, now_ms)).await {
            Ok(manifest) => {
                tracing::error!(%tenant, block = %id, reason, "quarantined");
                self.metrics.quarantined.fetch_add(1, Relaxed);
                (self.parts.publish)(tenant, Arc::new(manifest));
            }
            Err(CommitError::Rejected(rejected)) => tracing::info!(%tenant, block = %id, %rejected, "not quarantined"),
            Err(error) => {
                self.metrics.failures.fetch_add(1, Relaxed);
                tracing::warn!(%tenant, block = %id, reason, %error, "cannot quarantine");
            }
        }
    }
}

/// The blocks whose moment lies in `(since_ms, now_ms]`, in the order of their moments. Those that are known to be broken are
/// left out.
fn due(manifest: &Manifest, since_ms: i64, now_ms: i64, period_ms: i64) -> Vec<&LiveBlock> {
    let period_ms = period_ms.max(1);
    let broken: BTreeSet<BlockId> = manifest.quarantined.iter().map(|block| block.id).collect();
    let mut due: BTreeMap<(i64, BlockId), &LiveBlock> = BTreeMap::new();
    for live in manifest.blocks.iter().filter(|live| !broken.contains(&live.id)) {
        let offset_ms = offset_of(live.id, period_ms);
        // The last of its moments that is not after now.
        let moment_ms = now_ms - (now_ms - offset_ms).rem_euclid(period_ms);
        if moment_ms > since_ms {
            due.insert((moment_ms, live.id), live);
        }
    }
    due.into_values().collect()
}

/// The moment of a block, counted from the begin of a period. Ids that were minted one after the other may differ little:
/// they are spread by Fibonacci hashing.
fn offset_of(id: BlockId, period_ms: i64) -> i64 {
    const GOLDEN: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835; // 2^128 over the golden ratio
    ((u128::from(id).wrapping_mul(GOLDEN) >> 64) % period_ms as u128) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use longhaul_block::BlockMeta;
    use longhaul_model::TimeRange;
    use proptest::prelude::*;

    fn manifest(randoms: &BTreeSet<u64>) -> Manifest {
        let block = |random: &u64| {
            let id = BlockId::from_parts(1, u128::from(*random));
            LiveBlock::new(&BlockMeta::new(id, TimeRange::new(0, 1)), 0)
        };
        let mut manifest = Manifest::default();
        manifest.blocks = randoms.iter().map(block).collect();
        manifest
    }

    proptest! {
        #[test]
        fn every_block_is_due_once_a_period(
            randoms: BTreeSet<u64>, begin in 0i64..1 << 40, steps in proptest::collection::vec(0i64..400, 0..20),
        ) {
            let manifest = manifest(&randoms);
            let (mut seen, mut now_ms) = (Vec::new(), begin);
            for step in steps.into_iter().chain([1000]) {
                let next_ms = (now_ms + step).min(begin + 1000);
                seen.extend(due(&manifest, now_ms, next_ms, 1000).iter().map(|live| live.id));
                now_ms = next_ms;
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, manifest.blocks.iter().map(|live| live.id).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_is_broken_already_is_not_read_again() {
        let whole = manifest(&[1, 2, 3].into());
        let broken = whole.quarantine(whole.blocks[1].id, "rotten", 0).unwrap();
        let ids = |manifest: &Manifest| due(manifest, 0, 100, 10).iter().map(|live| live.id).collect::<BTreeSet<_>>();
        assert_eq!(ids(&whole).len(), 3);
        assert_eq!(ids(&broken), [whole.blocks[0].id, whole.blocks[2].id].into());
    }
}
