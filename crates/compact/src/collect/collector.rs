//! Collects garbage, of one tenant after the other:
//!
//! 1. Ask the store for its time; clocks that disagree or have jumped end the run before it begins.
//! 2. Read the manifest. One in whose history a version is not that was seen before ends all deletions of this process:
//!    somebody has restored a bucket.
//! 3. Look at what there is ([`Survey`]), and decide by a pure function ([`plan`]).
//! 4. Commit the orphan boundary, if orphans lie above it, and decide again by the version that was read back.
//! 5. Mark, then delete, object by object, paced and capped; forget in the manifest what is gone.
//! 6. Trim the manifest's history.
//!
//! Whatever was true when a run looked stays true: a retired block never comes back, an id below the boundary never becomes
//! live, the trim boundary never falls. So a run that stalls for days and goes on does no harm.

use super::clocks::{Reading, trusted_now_ms};
use super::error::CollectError;
use super::pace::Pace;
use super::plan::{self, Deletion, Folder, Reason, Survey, plan};
use super::report::{CollectMetrics, CollectReport};
use super::settings::CollectSettings;
use crate::compactor::Publish;
use crate::report::Failure;
use futures::FutureExt;
use longhaul_bucket::{BlockAddress, BucketError, Manifest, OperationId, RetiredBlock, Store, TenantStore};
use longhaul_model::{BlockId, Clock, IdSource, TenantId, is_tagged};
use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

/// How the collector is named in manifests.
const AUTHOR: &str = "collector";

/// What a collector is made from.
pub struct CollectorParts {
    /// Settings.
    pub settings: CollectSettings,
    /// The bucket.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids of operations.
    pub ids: Arc<IdSource>,
    /// Who wants to know of commits.
    pub publish: Publish,
}

/// Collects garbage, and remembers what it has seen of the bucket. Cloning shares it.
#[derive(Clone)]
pub struct Collector {
    inner: Arc<Inner>,
}

struct Inner {
    settings: CollectSettings,
    store: Store,
    clock: Arc<dyn Clock>,
    ids: Arc<IdSource>,
    publish: Publish,
    metrics: Arc<CollectMetrics>,
    /// Held for a whole run: two of one process would only get in each other's way.
    memory: tokio::sync::Mutex<Memory>,
}

/// What a process knows from its earlier runs.
#[derive(Default)]
struct Memory {
    clocks: Option<Reading>,
    tenants: HashMap<TenantId, Known>,
    /// Which tenant comes first: one that takes all the deletions of a run, or fails, leaves the next to others.
    first: usize,
    /// A version that was seen is not in the history any more: tenant, version seen, version found. Nothing is deleted
    /// from then on.
    other_history: Option<(TenantId, u64, u64)>,
}

/// What a process knows of a tenant.
#[derive(Default)]
struct Known {
    version: u64,
    hash: [u8; 32],
    /// Retired blocks that bear the mark.
    marked: HashSet<BlockId>,
    /// The last look that left nothing to be done at once: the version that it met, and when it was.
    looked: Option<(u64, i64)>,
}

impl Collector {
    /// A collector that has seen nothing yet.
    pub fn new(parts: CollectorParts) -> Self {
        let CollectorParts { settings, store, clock, ids, publish } = parts;
        let (metrics, memory) = Default::default();
        Self { inner: Arc::new(Inner { settings, store, clock, ids, publish, metrics, memory }) }
    }

    /// Collects the garbage of one tenant, or of all that the bucket has, once; it goes on when the caller goes away.
    /// Whatever shakes the trust in clocks, credentials or manifests ends the run at once ([`CollectReport::stopped`]), a
    /// store that is away as well; another failure leaves one tenant for the next run.
    pub async fn collect(&self, tenant: Option<&TenantId>) -> CollectReport {
        let (inner, tenant) = (self.inner.clone(), tenant.cloned());
        match tokio::spawn(async move { inner.run(tenant).await }).await {
            Ok(report) => report,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => CollectReport { stopped: Some(CollectError::Closed), ..CollectReport::default() },
        }
    }

    /// Collects every so often, forever.
    pub async fn run_forever(&self) {
        loop {
            tokio::time::sleep(Duration::from_millis(self.inner.settings.interval_ms.max(1) as u64)).await;
            // A panic is a bug, which its own message reports; it must not end the loop, which serves all tenants.
            match AssertUnwindSafe(self.inner.run(None)).catch_unwind().await {
                Ok(CollectReport { stopped: Some(error), .. }) => {
                    tracing::warn!(%error, "collecting garbage stopped; it will be tried again");
                }
                Ok(_) => {}
                Err(_) => tracing::error!("a run of the collector panicked; the next one comes as always"),
            }
        }
    }

    /// The counters.
    pub fn metrics(&self) -> &Arc<CollectMetrics> {
        &self.inner.metrics
    }
}

impl Inner {
    async fn run(&self, tenant: Option<TenantId>) -> CollectReport {
        let mut memory = self.memory.lock().await;
        let mut report = CollectReport::default();
        report.stopped = self.run_once(&mut memory, tenant, &mut report).await.err();
        if let Some(CollectError::OtherHistory { tenant, seen, found }) = &report.stopped {
            memory.other_history = Some((tenant.clone(), *seen, *found));
        }
        self.metrics.add(&report);
        report
    }

    async fn run_once(
        &self,
        memory: &mut Memory,
        tenant: Option<TenantId>,
        report: &mut CollectReport,
    ) -> Result<(), CollectError> {
        // I-GC-5
        if let Some((tenant, seen, found)) = memory.other_history.clone() {
            return Err(CollectError::OtherHistory { tenant, seen, found });
        }
        let reading = Reading {
            store_ms: self.store.now_ms().await?,
            wall_ms: self.clock.now_ms(),
            monotonic_ms: (self.clock.monotonic_ns() / 1_000_000) as i64,
        };
        let before = memory.clocks.replace(reading);
        let now_ms = trusted_now_ms(before, reading, self.settings.clock_skew_max_ms)?;
        let tenants = match tenant {
            Some(tenant) => vec![tenant],
            None => TenantStore::tenants(&self.store).await?,
        };
        let mut pace = Pace::new(self.settings.objects_per_run_max, self.settings.objects_per_second_max);
        let first = memory.first % tenants.len().max(1);
        for (turn, tenant) in tenants[first..].iter().chain(&tenants[..first]).enumerate() {
            let known = memory.tenants.entry(tenant.clone()).or_default();
            let store = TenantStore::new(self.store.clone(), tenant.clone());
            report.tenants += 1;
            let done = self.collect(known, &store, now_ms, &mut pace, report).await;
            if done.is_err() || pace.is_spent() {
                memory.first = first + turn + 1;
            }
            match done {
                Err(error) if error.ends_run() => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, "collecting garbage failed; it will be tried again");
                    report.failures.push(Failure { tenant: tenant.clone(), error: error.to_string() });
                }
                Ok(()) => {}
            }
            if pace.is_spent() {
                report.capped = true;
                break;
            }
        }
        Ok(())
    }

    /// One tenant's turn.
    async fn collect(
        &self,
        known: &mut Known,
        store: &TenantStore,
        now_ms: i64,
        pace: &mut Pace,
        report: &mut CollectReport,
    ) -> Result<(), CollectError> {
        let tenant = store.tenant();
        let bucket = |source| CollectError::Bucket { tenant: tenant.clone(), source };
        let manifest = store.load_manifest().await.map_err(bucket)?.unwrap_or_default();
        self.check_history(known, store, &manifest).await?;
        // Where nobody has said what is live, nothing can be said of what lies there.
        if manifest.version == 0 || known.may_rest(&manifest, now_ms, &self.settings) {
            return Ok(());
        }
        known.looked = None;
        let survey = self.survey(known, store, &manifest, now_ms).await.map_err(bucket)?;
        let mut decided = plan(&survey, &manifest, &self.settings);
        if let Some(boundary) = decided.boundary {
            let raise = |newest: &Manifest| newest.raise_orphan_boundary(boundary);
            let committed = self.commit(known, store, &manifest, raise).await?;
            decided = plan(&survey, &committed, &self.settings);
        }
        for block in &decided.marks {
            let why = if block.replaced_by.is_empty() { "its data was dropped" } else { "it was compacted" };
            store.mark_deleted(block.address(), block.since_ms, why).await.map_err(bucket)?;
            known.marked.insert(block.id);
            report.blocks_marked += 1;
        }
        let mut gone = decided.gone;
        for deletion in &decided.deletions {
            if self.delete(store, deletion, pace, report).await.map_err(bucket)? && deletion.reason == Reason::Retired {
                gone.push(deletion.block);
            }
        }
        let mut forgotten = Vec::with_capacity(gone.len());
        for block in gone {
            // A LIST that lags behind must not make anybody forget a block (I-MAN-3).
            if !store.has_meta(block).await.map_err(bucket)? {
                forgotten.push(block.id);
            }
        }
        if !forgotten.is_empty() {
            self.commit(known, store, &manifest, |newest| newest.forget_retired(&forgotten)).await?;
            known.marked.retain(|id| !forgotten.contains(id));
        }
        self.trim(store, manifest.version, now_ms, pace, report).await.map_err(bucket)?;
        known.looked = (!pace.is_spent()).then_some((manifest.version, now_ms));
        Ok(())
    }

    /// Takes note of a version, in whose history must be what was seen before (I-GC-5).
    async fn check_history(
        &self,
        known: &mut Known,
        store: &TenantStore,
        manifest: &Manifest,
    ) -> Result<(), CollectError> {
        let tenant = store.tenant();
        let is_in_history = match manifest.version {
            newest if newest < known.version => false,
            newest if newest == known.version => manifest.hash() == known.hash,
            _ if known.version == 0 => true,
            _ => match store.load_version(known.version).await {
                Ok(version) => version.hash() == known.hash,
                Err(error) if error.is_not_found() => {
                    let boundary = store.load_trim_boundary().await;
                    let boundary =
                        boundary.map_err(|source| CollectError::Bucket { tenant: tenant.clone(), source })?;
                    known.version < boundary.version()
                }
                Err(source) => return Err(CollectError::Bucket { tenant: tenant.clone(), source }),
            },
        };
        if !is_in_history {
            let (seen, found) = (known.version, manifest.version);
            return Err(CollectError::OtherHistory { tenant: tenant.clone(), seen, found });
        }
        (known.version, known.hash) = (manifest.version, manifest.hash());
        Ok(())
    }

    /// Looks at the blocks about which something may have to be done.
    async fn survey(
        &self,
        known: &mut Known,
        store: &TenantStore,
        manifest: &Manifest,
        now_ms: i64,
    ) -> Result<Survey, BucketError> {
        let is_of_interest = |block: &RetiredBlock| {
            !known.marked.contains(&block.id) || plan::is_due(block.since_ms, self.settings.retired_delay_ms, now_ms)
        };
        let retired = manifest.retired.iter().filter(|block| is_of_interest(block)).map(RetiredBlock::address);
        let live = manifest.blocks.iter().map(|block| block.id);
        let in_manifest: HashSet<BlockId> = live.chain(manifest.retired.iter().map(|block| block.id)).collect();
        let unknown = store.block_folders().await?.into_iter().filter(|id| {
            let minted_ms = id.timestamp_ms() as i64;
            let is_due = plan::is_due(minted_ms, self.settings.orphan_age_ms, now_ms);
            is_tagged(*id) && is_due && !in_manifest.contains(id)
        });
        let mut folders = Vec::new();
        for block in retired.chain(unknown.map(BlockAddress::of_tenant)).collect::<Vec<_>>() {
            folders.push(Folder { block, objects: store.block_objects(block).await? });
        }
        let is_marked = |folder: &&Folder| folder.objects.iter().any(|object| object.is_deletion_mark());
        known.marked.extend(folders.iter().filter(is_marked).map(|folder| folder.block.id));
        Ok(Survey { now_ms, folders })
    }

    /// Deletes a block's objects in their order; true if nothing is left.
    async fn delete(
        &self,
        store: &TenantStore,
        deletion: &Deletion,
        pace: &mut Pace,
        report: &mut CollectReport,
    ) -> Result<bool, BucketError> {
        for object in &deletion.objects {
            if !pace.take().await {
                return Ok(false);
            }
            store.delete_block_object(deletion.block, object).await?;
            report.objects_deleted += 1;
        }
        // A request of long ago may have taken effect meanwhile: then its turn comes next time.
        if !store.block_objects(deletion.block).await?.is_empty() {
            return Ok(false);
        }
        match deletion.reason {
            Reason::Retired => report.blocks_deleted += 1,
            Reason::Orphan => report.orphans_deleted += 1,
        }
        tracing::info!(tenant = %store.tenant(), block = %deletion.block, reason = ?deletion.reason, "deleted");
        Ok(true)
    }

    /// Lets old versions of the manifest go, oldest first.
    async fn trim(
        &self,
        store: &TenantStore,
        newest: u64,
        now_ms: i64,
        pace: &mut Pace,
        report: &mut CollectReport,
    ) -> Result<(), BucketError> {
        let versions = store.versions().await?;
        let Some(lowest) = plan::trim_to(&versions, newest, self.settings.history_ms, now_ms) else { return Ok(()) };
        let boundary = store.raise_trim_boundary(lowest).await?;
        for old in versions.iter().filter(|old| old.version < boundary.version()) {
            if !pace.take().await {
                break;
            }
            store.delete_version(old.version, boundary).await?;
            report.versions_deleted += 1;
        }
        Ok(())
    }

    async fn commit(
        &self,
        known: &mut Known,
        store: &TenantStore,
        base: &Manifest,
        change: impl Fn(&Manifest) -> Manifest,
    ) -> Result<Manifest, CollectError> {
        let operation = OperationId::new(self.ids.random());
        let committed = store.commit(Some(base), AUTHOR, operation, |newest| Ok(change(newest))).await;
        let committed = committed.map_err(|source| CollectError::Commit { tenant: store.tenant().clone(), source })?;
        (known.version, known.hash) = (committed.version, committed.hash());
        (self.publish)(store.tenant(), Arc::new(committed.clone()));
        Ok(committed)
    }
}

impl Known {
    /// Whether there is nothing to be found: nothing is retired, and nothing has been committed since the last look, which
    /// is not long ago. Orphans that come without a commit wait for a look in spite of this.
    fn may_rest(&self, manifest: &Manifest, now_ms: i64, settings: &CollectSettings) -> bool {
        let is_recent = |at_ms| !plan::is_due(at_ms, settings.look_interval_ms, now_ms);
        manifest.retired.is_empty()
            && self.looked.is_some_and(|(version, at_ms)| version == manifest.version && is_recent(at_ms))
    }
}
