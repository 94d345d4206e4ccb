//! The ingester: accepts batches, and owns what becomes of them until they are in the bucket.
//!
//! The way of a batch: [`Ingester::write`] checks it and resolves its series (`accepted`) → the log makes it durable →
//! its tenant's lane applies it and gives the verdict (`lane`) → later a cut makes a part of it (`cut`) → parts are
//! shipped (`ship`) → the log may forget it (`housekeeper`).

use crate::accepted::{Accepted, Applied, Purpose, Resolved};
use crate::error::{DeleteError, IngestError, WriteError};
use crate::gate::{Gate, Inflight};
use crate::housekeeper;
use crate::lane::{Lanes, Log, Marker};
use crate::metadata::{Families, Metadata};
use crate::metrics::IngestMetrics;
use crate::part_writer::PartWriter;
use crate::recover;
use crate::refusal::{Cause, Refusals};
use crate::settings::{IngestSettings, WriteLimits};
use crate::tenant::{Pin, Tenant};
use crate::{cut, delete, refresh, ship};
use longhaul_bucket::{BucketError, Manifest, Store, TenantStore};
use longhaul_disk::Fs;
use longhaul_head::{HashSeed, Head, HeadSettings, HeadStats, Numbers};
use longhaul_log::{Append, LogSettings, Offset, Rejection};
use longhaul_model::{Clock, IdSource, LogId, TenantId, TimeRange, Tombstone, WriteBatch};
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// What an ingester is made from.
#[derive(Debug)]
pub struct IngesterParts {
    /// Settings.
    pub settings: IngestSettings,
    /// Settings of the log.
    pub log_settings: LogSettings,
    /// Where log, parts and ship directories lie.
    pub data_dir: PathBuf,
    /// The disk.
    pub fs: Arc<dyn Fs>,
    /// The bucket.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids of blocks and logs, and the key of label hashes.
    pub ids: Arc<IdSource>,
}

/// Accepts writes of all tenants, and keeps them until they are in the bucket. Cloning shares it.
#[derive(Clone)]
pub struct Ingester {
    pub(crate) inner: Arc<Inner>,
    loops: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

pub(crate) struct Inner {
    pub(crate) settings: IngestSettings,
    pub(crate) data_dir: PathBuf,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) part_writer: PartWriter,
    pub(crate) log_id: LogId,
    pub(crate) log: Arc<Log>,
    pub(crate) lanes: Lanes,
    pub(crate) tenants: Tenants,
    pub(crate) gate: Arc<Gate>,
    pub(crate) metrics: Arc<IngestMetrics>,
    pub(crate) closing: watch::Sender<bool>,
    /// Keeps other processes out of the data directory.
    pub(crate) _lock: Box<dyn Send + Sync>,
}

/// The tenants that this process knows, and what new ones are made from.
pub(crate) struct Tenants {
    by_id: RwLock<HashMap<TenantId, Arc<Tenant>>>,
    numbers: Arc<Numbers>,
    seed: HashSeed,
    head_settings: HeadSettings,
    parts_dir: PathBuf,
    store: Store,
    /// The log that lay in the data directory at the start.
    log_id: LogId,
}

/// What became of a write.
#[derive(Debug, Default)]
pub struct WriteReport {
    /// Samples that are on disk and readable, those that were there before included.
    pub stored: u64,
    /// How many of them are native histograms.
    pub histograms_stored: u64,
    /// Exemplars that are on disk and readable, those that were there before included.
    pub exemplars_stored: u64,
    /// What was not stored.
    pub refusals: Refusals,
}

/// Sizes of all heads together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Tenants in memory.
    pub tenants: usize,
    /// Series in memory.
    pub series: u64,
    /// Samples in memory.
    pub samples: u64,
    /// Exemplars in memory.
    pub exemplars: u64,
    /// Bytes of chunks.
    pub chunk_bytes: u64,
    /// Bytes of labels, symbols, postings and tables.
    pub series_bytes: u64,
    /// Local parts.
    pub parts: usize,
    /// Bytes of log on disk.
    pub log_bytes: u64,
    /// The last durable offset.
    pub log_end: u64,
}

impl Ingester {
    /// Recovers what the data directory holds and starts to work. Must be called within a tokio runtime.
    pub async fn open(parts: IngesterParts) -> Result<Self, IngestError> {
        let inner = recover::open(parts).await?;
        housekeeper::append_owed(&inner, &inner.tenants.all());
        let loops = vec![
            tokio::spawn(housekeeper::cut_loop(inner.clone())),
            tokio::spawn(housekeeper::ship_loop(inner.clone())),
            tokio::spawn(housekeeper::room_loop(inner.clone())),
            tokio::spawn(refresh::refresh_loop(inner.clone())),
        ];
        Ok(Self { inner, loops: Arc::new(Mutex::new(loops)) })
    }

    /// Stores a batch. When this returns, everything that it reports as stored is on disk and readable. Dropping the
    /// future changes nothing for a batch that has reached the log.
    pub async fn write(
        &self,
        tenant: &TenantId,
        batch: &WriteBatch,
        limits: &WriteLimits,
    ) -> Result<WriteReport, WriteError> {
        let inner = &self.inner;
        let size_bytes = batch.size_bytes() as u64;
        let inflight = inner.gate.admit(size_bytes, &inner.settings).inspect_err(|_| self.turned_away())?;
        let tenant = inner.tenants.get_or_create(tenant);
        tenant.head.set_series_max(limits.series_max.map_or(usize::MAX, |max| max as usize));
        let Resolved { entries, samples, others, exemplars, mut refusals } =
            Resolved::of(batch, &tenant, limits, inner.clock.now_ms(), inner.gate.new_series());
        let left_out = tenant.metadata.learn(batch, limits.metadata_max);
        inner.metrics.metadata_left_out.fetch_add(left_out, Relaxed);
        let (mut stored, mut histograms_stored, mut exemplars_stored) = (0, 0, 0);
        if !entries.is_empty() {
            let (reply, verdict) = oneshot::channel();
            let (purpose, inflight) = (Purpose::Write(reply), Some(inflight));
            let accepted = Accepted { tenant, entries, samples, others, exemplars, purpose, inflight };
            inner.log.append(Append::Batch(accepted)).map_err(|rejected| {
                self.turned_away();
                match rejected.why {
                    Rejection::Full => WriteError::Overloaded,
                    Rejection::Closed => WriteError::Closed,
                }
            })?;
            match verdict.await {
                Ok(Applied::Done { stored: new, duplicates, histograms, exemplars, conflicts, first_conflict }) => {
                    (stored, histograms_stored, exemplars_stored) = (new + duplicates, histograms, exemplars);
                    if conflicts > 0 {
                        refusals.add(Cause::DuplicateTimestamp, conflicts, || first_conflict.unwrap_or_default());
                    }
                }
                Ok(Applied::Failed(why)) => {
                    self.turned_away();
                    return Err(WriteError::Log(why));
                }
                Err(_) => return Err(WriteError::Closed),
            }
        }
        inner.metrics.samples_refused.fetch_add(refusals.count(), Relaxed);
        Ok(WriteReport { stored, histograms_stored, exemplars_stored, refusals })
    }

    /// Deletes of a tenant what `tombstone` is about and was written before. When this returns, the deletion is on disk and
    /// no query that begins from now on sees what it is about; blocks in the bucket are rewritten later. Dropping the future
    /// changes nothing once it has been polled.
    pub async fn delete(&self, tenant: &TenantId, tombstone: Tombstone) -> Result<(), DeleteError> {
        let inner = self.inner.clone();
        let known = inner.tenants.get(tenant);
        let tenant = match known {
            Some(tenant) => tenant,
            // Nothing of it is here; if nothing is in the bucket either, a deletion must not make a tenant of it.
            None if self.pin(tenant).await?.manifest.version == 0 => return Ok(()),
            None => inner.tenants.get_or_create(tenant),
        };
        let deleting = tokio::spawn(async move { delete::delete(&inner, &tenant, tombstone).await });
        match deleting.await {
            Ok(deleted) => deleted,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(DeleteError::Closed),
        }
    }

    /// Lets a request in whose body has up to `size_bytes`, before it is read; the memory is reserved until the answer
    /// is dropped.
    pub fn admit(&self, size_bytes: u64) -> Result<Inflight, WriteError> {
        self.inner.gate.admit(size_bytes, &self.inner.settings).inspect_err(|_| self.turned_away())
    }

    /// Pins what a query of `tenant` reads.
    pub async fn pin(&self, tenant: &TenantId) -> Result<Pin, BucketError> {
        match self.inner.tenants.get(tenant) {
            Some(tenant) => tenant.pin().await,
            // Nothing of this tenant is here, but its blocks may be in the bucket. A query creates no tenant.
            None => self.inner.tenants.make(tenant.clone(), u32::MAX).pin().await,
        }
    }

    /// What senders of `tenant` say of metric families: of all or of one, of as many as `families_max`, `per_family_max`
    /// things of each.
    pub fn metadata(
        &self,
        tenant: &TenantId,
        family: Option<&str>,
        families_max: usize,
        per_family_max: usize,
    ) -> Families {
        let tenant = self.inner.tenants.get(tenant);
        tenant.map(|it| it.metadata.families(family, families_max, per_family_max)).unwrap_or_default()
    }

    /// Hands over a version of a tenant's manifest that somebody else in this process committed or read: queries that begin
    /// from now on see it.
    pub fn publish_manifest(&self, tenant: &TenantId, manifest: Arc<Manifest>) {
        if let Some(tenant) = self.inner.tenants.get(tenant) {
            tenant.publish_manifest(manifest);
        }
    }

    /// Brings whatever of a tenant is here into the bucket if something of it has been deleted: afterwards the deletions are
    /// in the manifest, and nothing local holds what they are about.
    pub async fn ship_deletions(&self, tenant: &TenantId) -> Result<(), IngestError> {
        match self.inner.tenants.get(tenant) {
            Some(known) if !known.deletions.all().is_empty() => self.flush(Some(tenant)).await,
            _ => Ok(()),
        }
    }

    /// Cuts everything and ships it; returns when it is in the manifest.
    pub async fn flush(&self, tenant: Option<&TenantId>) -> Result<(), IngestError> {
        let tenants = match tenant {
            Some(tenant) => self.inner.tenants.get(tenant).into_iter().collect(),
            None => self.inner.tenants.all(),
        };
        // In a task of its own, which goes on when the caller goes away: a cut must not be left half-way.
        let inner = self.inner.clone();
        let flushing = tokio::spawn(async move {
            for tenant in tenants {
                inner.cut_all(&tenant).await?;
                let shipping = tenant.shipping.clone().lock_owned().await;
                ship::ship(&inner, &tenant, &shipping, true).await?;
            }
            Ok(())
        });
        match flushing.await {
            Ok(flushed) => flushed,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(IngestError::Closed),
        }
    }

    /// Lets nothing more in, answers what is in flight, ends the loops and closes the log. A cut that is being written is
    /// waited for; an upload is not: it is taken up again at the next start.
    pub async fn close(&self) {
        self.inner.gate.close();
        let _ = self.inner.closing.send_replace(true);
        let loops = std::mem::take(&mut *self.loops.lock());
        for (task, may_wait) in loops.into_iter().zip([true, false, true, false]) {
            if !may_wait {
                task.abort();
            }
            let _ = task.await;
        }
        let log = self.inner.log.clone();
        let _ = tokio::task::spawn_blocking(move || log.close()).await;
        self.inner.lanes.drained().await;
        housekeeper::save_metadata(&self.inner, Metadata::is_changed).await;
    }

    /// Sizes of everything in memory and on the local disk.
    pub fn totals(&self) -> Totals {
        self.inner.totals()
    }

    /// Counters.
    pub fn metrics(&self) -> &Arc<IngestMetrics> {
        &self.inner.metrics
    }

    /// The tenants in memory.
    pub fn tenants(&self) -> Vec<TenantId> {
        self.inner.tenants.all().iter().map(|tenant| tenant.id.clone()).collect()
    }

    /// The size of a tenant's head.
    pub fn head_stats(&self, tenant: &TenantId) -> HeadStats {
        self.inner.tenants.get(tenant).map(|tenant| tenant.head.stats()).unwrap_or_default()
    }

    fn turned_away(&self) {
        self.inner.metrics.requests_turned_away.fetch_add(1, Relaxed);
    }
}

impl Inner {
    /// Waits until the heads hold everything up to an offset, which is returned, and every refusal that was on its way
    /// to the log is durable or owed.
    pub(crate) async fn settle(&self) -> Result<Offset, IngestError> {
        let (reply, settled) = oneshot::channel();
        self.append(Append::Marker(Marker::Settle(reply)))?;
        let end = settled.await.map_err(|_| IngestError::Closed)?;
        self.lanes.drained().await;
        Ok(end)
    }

    /// Cuts everything that a tenant's head holds.
    pub(crate) async fn cut_all(self: &Arc<Self>, tenant: &Arc<Tenant>) -> Result<(), IngestError> {
        let mut ranges: Vec<TimeRange> = tenant.head.ranges().iter().map(|state| state.range).collect();
        let now_ms = self.clock.now_ms();
        ranges.iter_mut().for_each(|range| *range = cut::plan::cut_range(*range, now_ms, &self.settings));
        ranges.dedup();
        for range in ranges {
            let cutting = tenant.cutting.clone().lock_owned().await;
            cut::cut(self, tenant, cutting, range).await?;
        }
        Ok(())
    }

    pub(crate) fn append(&self, append: Append<Accepted, Marker>) -> Result<(), IngestError> {
        self.log.append(append).map_err(|_| IngestError::Closed)
    }

    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals { log_bytes: self.log.size_bytes(), log_end: self.log.end(), ..Totals::default() };
        for tenant in self.tenants.all() {
            let stats = tenant.head.stats();
            totals.tenants += 1;
            totals.series += stats.series as u64;
            totals.samples += stats.samples;
            totals.exemplars += stats.exemplars as u64;
            totals.chunk_bytes += stats.chunk_bytes as u64;
            totals.series_bytes += stats.series_bytes as u64;
            totals.parts += tenant.parts.all().len();
        }
        totals
    }
}

impl Tenants {
    pub(crate) fn new(
        settings: &IngestSettings,
        seed: HashSeed,
        parts_dir: PathBuf,
        store: Store,
        log_id: LogId,
    ) -> Self {
        let head_settings = HeadSettings {
            block_range_ms: settings.block_range_ms,
            chunk_samples_max: settings.chunk_samples_max,
            ..HeadSettings::default()
        };
        Self { by_id: RwLock::default(), numbers: Arc::default(), seed, head_settings, parts_dir, store, log_id }
    }

    pub(crate) fn get(&self, id: &TenantId) -> Option<Arc<Tenant>> {
        self.by_id.read().get(id).cloned()
    }

    pub(crate) fn get_or_create(&self, id: &TenantId) -> Arc<Tenant> {
        if let Some(tenant) = self.get(id) {
            return tenant;
        }
        let mut by_id = self.by_id.write();
        let number = by_id.len() as u32;
        by_id.entry(id.clone()).or_insert_with(|| Arc::new(self.make(id.clone(), number))).clone()
    }

    fn make(&self, id: TenantId, number: u32) -> Tenant {
        let head = Head::new(self.head_settings, self.numbers.clone(), self.seed.clone());
        let parts_dir = self.parts_dir.join(id.as_str());
        let store = TenantStore::new(self.store.clone(), id.clone());
        Tenant::new(id, number, head, parts_dir, store, self.log_id)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Tenant>> {
        let mut all: Vec<_> = self.by_id.read().values().cloned().collect();
        all.sort_by_key(|tenant| tenant.number);
        all
    }
}
