//! Looks at tenants in turns, plans, and has jobs carried out, until nothing is left to do.

use crate::error::CompactError;
use crate::job::{self, Done, Outcome};
use crate::metrics::{CompactMetrics, TenantState};
use crate::plan::{Job, plan_all, plan_rewrites};
use crate::projection::Projected;
use crate::report::{CompactReport, Failure, Quarantine};
use crate::retain::{Expired, LookedInto};
use crate::settings::CompactSettings;
use crate::work_dir::WorkDir;
use futures::{FutureExt, StreamExt};
use longhaul_bucket::{BucketError, Manifest, Store, TenantStore};
use longhaul_disk::Fs;
use longhaul_model::{BlockId, Clock, IdSource, TenantId};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Plans of one tenant in one run at most. Each but the last does something, so that only others who write without end
/// keep a run from ending.
const PLANS_MAX: usize = 1000;
/// Tenants that are looked at at once; the jobs of all share `jobs_at_once`.
const TENANTS_AT_ONCE: usize = 16;

/// Is given every version of a manifest that a compactor commits, so that queries of its process see it at once.
pub type Publish = Arc<dyn Fn(&TenantId, Arc<Manifest>) + Send + Sync>;

/// What there is to do, by a manifest, the blocks with series that are kept no more, the time and the settings.
type Plan = fn(&Manifest, &Expired, i64, &CompactSettings) -> Vec<Job>;

/// What a compactor is made from.
pub struct CompactorParts {
    /// Settings.
    pub settings: CompactSettings,
    /// Where blocks are written before they are uploaded; nobody else's.
    pub work_dir: PathBuf,
    /// The disk.
    pub fs: Arc<dyn Fs>,
    /// The bucket.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids of blocks and operations.
    pub ids: Arc<IdSource>,
    /// Who wants to know of commits.
    pub publish: Publish,
}

/// Makes larger blocks of smaller ones. Cloning shares it.
#[derive(Clone)]
pub struct Compactor {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) settings: CompactSettings,
    pub(crate) work: WorkDir,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<IdSource>,
    /// Set when the process goes down: merges look at it.
    pub(crate) closing: AtomicBool,
    store: Store,
    publish: Publish,
    pub(crate) metrics: Arc<CompactMetrics>,
    /// Jobs that may still begin.
    slots: Semaphore,
    /// Held by a run: two of one process would do the same work.
    running: tokio::sync::Mutex<()>,
    /// The manifests as this compactor knows them.
    pub(crate) known: Mutex<BTreeMap<TenantId, Arc<Manifest>>>,
    /// What has been found out about retention.
    pub(crate) looked_into: LookedInto,
    /// What of them has been projected.
    pub(crate) projected: Mutex<BTreeMap<TenantId, Projected>>,
}

impl Compactor {
    /// Takes the work directory and removes what an earlier process left in it.
    pub fn open(parts: CompactorParts) -> Result<Self, CompactError> {
        let CompactorParts { settings, work_dir, fs, store, clock, ids, publish } = parts;
        let work = WorkDir::take(fs, &work_dir)?;
        let slots = Semaphore::new(settings.jobs_at_once.max(1));
        let inner = Inner {
            settings,
            work,
            clock,
            ids,
            closing: AtomicBool::new(false),
            store,
            publish,
            metrics: Arc::default(),
            slots,
            running: tokio::sync::Mutex::default(),
            known: Mutex::default(),
            looked_into: Mutex::default(),
            projected: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Compacts what there is to compact, of one tenant or of all that the bucket has, until nothing is left to do. It goes
    /// on when the caller goes away. What fails is in the report; the error is that of finding the tenants.
    pub async fn compact(&self, tenant: Option<&TenantId>) -> Result<CompactReport, CompactError> {
        let (inner, tenant) = (self.inner.clone(), tenant.cloned());
        to_its_end(async move {
            let tenants = match tenant {
                Some(tenant) => BTreeSet::from([tenant]),
                None => TenantStore::tenants(&inner.store).await?.into_iter().collect(),
            };
            Ok(inner.run(&tenants, plan_all).await)
        })
        .await
    }

    /// Rewrites the blocks of a tenant that deletions list, without waiting for their deadlines, and nothing else. It goes on
    /// when the caller goes away.
    pub async fn carry_out_deletions(&self, tenant: &TenantId) -> Result<CompactReport, CompactError> {
        let (inner, tenants) = (self.inner.clone(), BTreeSet::from([tenant.clone()]));
        to_its_end(async move { Ok(inner.run(&tenants, plan_rewrites).await) }).await
    }

    /// Compacts every so often, forever.
    pub async fn run_forever(&self) {
        let inner = &self.inner;
        let mut tenants = BTreeSet::new();
        let mut discovered_ms = i64::MIN;
        loop {
            tokio::time::sleep(Duration::from_millis(inner.settings.interval_ms.max(1) as u64)).await;
            let now_ms = inner.clock.now_ms();
            if discovered_ms.saturating_add(inner.settings.discovery_interval_ms) <= now_ms {
                match TenantStore::tenants(&inner.store).await {
                    Ok(found) => (tenants, discovered_ms) = (found.into_iter().collect(), now_ms),
                    Err(error) => tracing::warn!(%error, "cannot list the tenants; it will be tried again"),
                }
            }
            // A panic is a bug, which its own message reports; it must not end the loop, which serves all tenants.
            if AssertUnwindSafe(inner.run(&tenants, plan_all)).catch_unwind().await.is_err() {
                tracing::error!("a run of the compactor panicked; the next one comes as always");
            }
        }
    }

    /// Lets no merge go on. What has been uploaded and not committed is garbage.
    pub fn close(&self) {
        self.inner.closing.store(true, Relaxed);
    }

    /// Counters and the state of tenants.
    pub fn metrics(&self) -> &Arc<CompactMetrics> {
        &self.inner.metrics
    }

    /// The quarantined blocks of all tenants, as of the last look at each.
    pub fn quarantined(&self) -> Vec<Quarantine> {
        let known = self.inner.known.lock();
        let blocks =
            known.iter().flat_map(|(tenant, manifest)| manifest.quarantined.iter().map(move |it| (tenant, it)));
        blocks
            .map(|(tenant, it)| Quarantine {
                tenant: tenant.clone(),
                block: it.id.to_string(),
                reason: it.reason.clone(),
            })
            .collect()
    }
}

/// Does it in a task of its own, which goes on when the caller goes away.
async fn to_its_end(
    work: impl Future<Output = Result<CompactReport, CompactError>> + Send + 'static,
) -> Result<CompactReport, CompactError> {
    match tokio::spawn(work).await {
        Ok(report) => report,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(CompactError::Closed),
    }
}

impl Inner {
    async fn run(self: &Arc<Self>, tenants: &BTreeSet<TenantId>, plan: Plan) -> CompactReport {
        let _running = self.running.lock().await;
        self.metrics.runs.fetch_add(1, Relaxed);
        let report = Mutex::new(CompactReport { tenants: tenants.len() as u64, ..CompactReport::default() });
        let noted = &report;
        futures::stream::iter(tenants)
            .for_each_concurrent(TENANTS_AT_ONCE, |tenant| async move {
                let store = TenantStore::new(self.store.clone(), tenant.clone());
                if let Err(error) = self.settle(&store, plan, noted).await {
                    tracing::warn!(%tenant, %error, "cannot compact; it will be tried again");
                    noted.lock().failures.push(Failure { tenant: tenant.clone(), error: error.to_string() });
                }
                self.project(&store).await;
            })
            .await;
        report.into_inner()
    }

    /// Plans and carries out until nothing is left to do of a tenant but what has failed.
    async fn settle(
        self: &Arc<Self>,
        store: &TenantStore,
        plan: Plan,
        report: &Mutex<CompactReport>,
    ) -> Result<(), CompactError> {
        let tenant = store.tenant();
        let mut failed: HashSet<Vec<BlockId>> = HashSet::new();
        for _ in 0..PLANS_MAX {
            let Some(manifest) = self.newest(store).await? else { break };
            let Some(manifest) = self.retire_past(store, manifest, report).await? else { continue };
            let expired = self.find_expired(store, &manifest).await;
            let mut jobs = plan(&manifest, &expired, self.clock.now_ms(), &self.settings);
            self.note_state(tenant, &manifest, &jobs);
            jobs.retain(|job| !failed.contains(&job.inputs));
            if jobs.is_empty() || self.closing.load(Relaxed) {
                break;
            }
            let outcomes = futures::stream::iter(jobs)
                .map(|job| async {
                    let _slot = self.slots.acquire().await.map_err(|_| CompactError::Closed)?;
                    let outcome = self.carry_out(store, &manifest, &job, report).await;
                    outcome.map_err(|error| (job, error)).map_or_else(|failure| Ok(Some(failure)), |()| Ok(None))
                })
                .buffer_unordered(self.settings.jobs_at_once.max(1));
            let outcomes: Vec<Result<Option<(Job, CompactError)>, CompactError>> = outcomes.collect().await;
            for outcome in outcomes {
                let Some((job, error)) = outcome? else { continue };
                self.metrics.jobs_failed.fetch_add(1, Relaxed);
                if error.is_of_store() || matches!(error, CompactError::Closed) {
                    return Err(error);
                }
                tracing::error!(%tenant, range = %job.range, %error, "a compaction failed; its blocks stay as they are");
                report.lock().failures.push(Failure { tenant: tenant.clone(), error: error.to_string() });
                failed.insert(job.inputs);
            }
        }
        Ok(())
    }

    async fn carry_out(
        self: &Arc<Self>,
        store: &TenantStore,
        base: &Manifest,
        job: &Job,
        report: &Mutex<CompactReport>,
    ) -> Result<(), CompactError> {
        let tenant = store.tenant();
        let started_ns = self.clock.monotonic_ns();
        let outcome = job::run(self, store, base, job).await;
        self.metrics.duration_ns.fetch_add(self.clock.monotonic_ns().saturating_sub(started_ns), Relaxed);
        match outcome? {
            Outcome::Done(done) => {
                self.count(job, &done, &mut report.lock());
                tracing::info!(
                    %tenant,
                    range = %job.range,
                    blocks_in = job.inputs.len(),
                    blocks_out = done.blocks_out,
                    samples = done.samples_in,
                    "compacted"
                );
                self.learn(tenant, Arc::new(done.manifest));
            }
            Outcome::Quarantined(manifest, faults) => {
                for fault in faults {
                    tracing::error!(%tenant, block = %fault.id, reason = fault.reason, "quarantined");
                    let block = fault.id.to_string();
                    report.lock().quarantined.push(Quarantine { tenant: tenant.clone(), block, reason: fault.reason });
                }
                self.learn(tenant, Arc::new(manifest));
            }
            Outcome::Dropped(manifest, faults) => {
                self.metrics.blocks_dropped.fetch_add(faults.len() as u64, Relaxed);
                for fault in faults {
                    tracing::error!(
                        %tenant, block = %fault.id, reason = fault.reason,
                        "dropped: it holds what was deleted long ago, and cannot be read"
                    );
                    let block = fault.id.to_string();
                    report.lock().dropped.push(Quarantine { tenant: tenant.clone(), block, reason: fault.reason });
                }
                self.learn(tenant, Arc::new(manifest));
            }
            Outcome::Obsolete(rejected) => {
                self.metrics.jobs_obsolete.fetch_add(1, Relaxed);
                tracing::info!(%tenant, range = %job.range, %rejected, "the manifest has moved on; planning again");
            }
        }
        Ok(())
    }

    fn count(&self, job: &Job, done: &Done, report: &mut CompactReport) {
        let metrics = &self.metrics;
        let samples_out = done.samples_in - done.samples_duplicate;
        let counts = [
            (&metrics.jobs, &mut report.jobs, 1),
            (&metrics.blocks_in, &mut report.blocks_in, job.inputs.len() as u64),
            (&metrics.blocks_out, &mut report.blocks_out, done.blocks_out),
            (&metrics.bytes_in, &mut report.bytes_in, done.bytes_in),
            (&metrics.bytes_out, &mut report.bytes_out, done.bytes_out),
            (&metrics.samples_in, &mut report.samples_in, done.samples_in),
            (&metrics.samples_out, &mut report.samples_out, samples_out),
            (&metrics.samples_duplicate, &mut report.samples_duplicate, done.samples_duplicate),
            (&metrics.samples_deleted, &mut report.samples_deleted, done.samples_deleted),
        ];
        for (metric, reported, count) in counts {
            metric.fetch_add(count, Relaxed);
            *reported += count;
        }
    }

    /// The newest manifest of a tenant; none if it has none.
    async fn newest(&self, store: &TenantStore) -> Result<Option<Arc<Manifest>>, BucketError> {
        let tenant = store.tenant();
        let known = self.known.lock().get(tenant).cloned();
        let newer = match &known {
            Some(known) => store.load_newer(known).await?,
            None => store.load_manifest().await?,
        };
        if let Some(newer) = newer {
            self.learn(tenant, Arc::new(newer));
        }
        Ok(self.known.lock().get(tenant).cloned())
    }

    /// Remembers a manifest, and hands it on, unless a newer one is known.
    pub(crate) fn learn(&self, tenant: &TenantId, manifest: Arc<Manifest>) {
        let mut known = self.known.lock();
        if known.get(tenant).is_none_or(|known| known.version < manifest.version) {
            known.insert(tenant.clone(), manifest.clone());
            drop(known);
            (self.publish)(tenant, manifest);
        }
    }

    fn note_state(&self, tenant: &TenantId, manifest: &Manifest, jobs: &[Job]) {
        let now_ms = self.clock.now_ms();
        let state = TenantState {
            lag_ms: jobs.iter().map(|job| now_ms.saturating_sub(job.due_ms).max(0)).max().unwrap_or(0),
            quarantined: manifest.quarantined.len() as u64,
            blocks: manifest.blocks.len() as u64,
        };
        self.metrics.tenants.lock().insert(tenant.clone(), state);
    }
}
