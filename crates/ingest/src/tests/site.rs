//! A place where ingesters run one after the other: a disk, a bucket, a clock, and ways to write and to read back.

use super::history_store::HistoryStore;
use crate::ingester::Inner;
use crate::tenant::Tenant;
use crate::{
    Cause, DeleteError, IngestSettings, Ingester, IngesterParts, Pin, WriteError, WriteLimits, WriteReport, cut, ship,
};
use bytes::Bytes;
use longhaul_block::Block;
use longhaul_bucket::{BlockAddress, LiveBlock};
use longhaul_chunk::{Columns, SeriesChunks, merge_into, sample_count};
use longhaul_log::LogSettings;
use longhaul_model::{
    IdSource, LabelSection, ManualClock, Matcher, Sample, SeriesEntry, TenantId, TimeRange, Tombstone, WriteBatch,
};
use longhaul_testkit::sim_fs::SimFs;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::runtime::Handle;

pub(crate) const SECOND_MS: i64 = 1000;
pub(crate) const MINUTE_MS: i64 = 60 * SECOND_MS;
pub(crate) const HOUR_MS: i64 = 60 * MINUTE_MS;
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;
/// A Tuesday, two hours and a bit after midnight.
pub(crate) const START_MS: i64 = 20_000 * DAY_MS + 2 * HOUR_MS + 7 * MINUTE_MS;

/// Bits by series and time.
pub(crate) type Content = BTreeMap<String, BTreeMap<i64, u64>>;

pub(crate) struct Site {
    pub(crate) fs: SimFs,
    pub(crate) bucket: Arc<HistoryStore>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) settings: IngestSettings,
    pub(crate) log_settings: LogSettings,
    seed: AtomicU64,
}

impl Site {
    pub(crate) fn new(seed: u64) -> Self {
        let fs = SimFs::new();
        let bucket = HistoryStore::new(fs.clone());
        Self::with(fs, bucket, START_MS, seed)
    }

    pub(crate) fn with(fs: SimFs, bucket: Arc<HistoryStore>, now_ms: i64, seed: u64) -> Self {
        // The loops never tick: the tests do it for them.
        let settings = IngestSettings {
            tick_ms: u64::MAX >> 20,
            manifest_refresh_ms: u64::MAX >> 20,
            chunk_samples_max: 20,
            ..IngestSettings::default()
        };
        let log_settings = LogSettings { segment_size_bytes: 2000, segment_size_bytes_max: 4000, ..Default::default() };
        let (clock, seed) = (Arc::new(ManualClock::at(now_ms)), AtomicU64::new(seed << 32));
        Self { fs, bucket, clock, settings, log_settings, seed }
    }

    /// The same place after everything in memory is gone and the disk holds `fs`.
    pub(crate) fn restarted_on(&self, fs: SimFs, bucket: Arc<HistoryStore>) -> Self {
        let mut site = Self::with(fs, bucket, longhaul_model::Clock::now_ms(&*self.clock), 0);
        site.settings = self.settings.clone();
        site.log_settings = self.log_settings.clone();
        site.seed = AtomicU64::new(self.seed.fetch_add(1 << 16, Relaxed) + (1 << 15));
        site
    }

    /// What is seen now, as if the process were killed and the machine went on.
    pub(crate) fn killed(&self) -> Self {
        let fs = self.fs.fork();
        self.restarted_on(fs.clone(), self.bucket.fork(fs))
    }

    pub(crate) fn parts(&self) -> IngesterParts {
        let mut random = StdRng::seed_from_u64(self.seed.fetch_add(1, Relaxed));
        IngesterParts {
            settings: self.settings.clone(),
            log_settings: self.log_settings.clone(),
            data_dir: "/var/longhaul".into(),
            fs: Arc::new(self.fs.clone()),
            store: self.bucket.store(),
            clock: self.clock.clone(),
            ids: Arc::new(IdSource::new(move || random.random())),
        }
    }

    pub(crate) async fn open(&self) -> Ingester {
        Ingester::open(self.parts()).await.unwrap()
    }
}

pub(crate) fn tenant(n: usize) -> TenantId {
    TenantId::parse(&format!("tenant-{n}")).unwrap()
}

pub(crate) fn sample(t_ms: i64, value: f64) -> Sample {
    Sample::new(t_ms, value)
}

/// A batch of series, known by their metric names.
pub(crate) fn batch(series: &[(String, Vec<Sample>)]) -> WriteBatch {
    let mut batch = WriteBatch::default();
    let mut buffer = Vec::new();
    for (name, samples) in series {
        let (labels, first) = (buffer.len() as u32, batch.samples.len() as u32);
        LabelSection::push(&mut buffer, "__name__", name);
        LabelSection::push(&mut buffer, "job", "test");
        batch.samples.extend(samples);
        batch.series.push(SeriesEntry {
            labels: labels..buffer.len() as u32,
            samples: first..batch.samples.len() as u32,
            histograms: 0..0,
            exemplars: 0..0,
        });
    }
    batch.buffer = Bytes::from(buffer);
    batch
}

pub(crate) async fn write(
    ingester: &Ingester,
    tenant: &TenantId,
    series: &[(String, Vec<Sample>)],
) -> Result<WriteReport, WriteError> {
    ingester.write(tenant, &batch(series), &WriteLimits::default()).await
}

/// Writes one sample: true if it is stored (or was), false if it is refused as a conflict.
pub(crate) async fn put(ingester: &Ingester, tenant: &TenantId, series: &str, t_ms: i64, value: f64) -> bool {
    let report = write(ingester, tenant, &[(series.to_owned(), vec![sample(t_ms, value)])]).await.unwrap();
    let causes: Vec<Cause> = report.refusals.causes().iter().map(|it| it.cause).collect();
    match (report.stored, causes.as_slice()) {
        (1, []) => true,
        (0, [Cause::DuplicateTimestamp]) => false,
        other => panic!("neither stored nor refused: {other:?}"),
    }
}

/// Deletes what a series has in `range`.
pub(crate) async fn delete(
    ingester: &Ingester,
    tenant: &TenantId,
    series: &str,
    range: TimeRange,
) -> Result<(), DeleteError> {
    ingester.delete(tenant, Tombstone { matchers: vec![Matcher::equal("__name__", series)], range }).await
}

/// Cuts the aligned range around `t_ms`.
pub(crate) async fn cut_range(ingester: &Ingester, id: &TenantId, t_ms: i64) {
    let tenant = ingester.tenant(id);
    let cutting = tenant.cutting.clone().lock_owned().await;
    let range = TimeRange::aligned(t_ms, ingester.inner.settings.block_range_ms);
    assert!(cut::cut(&ingester.inner, &tenant, cutting, range).await.unwrap());
    drop(tenant.cutting.lock().await); // the head has let go
}

impl Ingester {
    pub(crate) fn tenant(&self, id: &TenantId) -> Arc<Tenant> {
        self.inner.tenants.get(id).unwrap()
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    /// Cuts everything that the head of a tenant holds.
    pub(crate) async fn cut_all(&self, id: &TenantId) -> Result<(), crate::IngestError> {
        self.inner.cut_all(&self.tenant(id)).await
    }

    pub(crate) async fn log_again(&self, id: &TenantId) {
        let tenant = self.tenant(id);
        let cutting = tenant.cutting.clone().lock_owned().await;
        let _ = cut::log_again(&self.inner, &tenant, cutting).await;
    }

    pub(crate) async fn ship(&self, id: &TenantId, everything: bool) -> Result<(), crate::IngestError> {
        let tenant = self.tenant(id);
        let shipping = tenant.shipping.clone().lock_owned().await;
        ship::ship(&self.inner, &tenant, &shipping, everything).await
    }

    pub(crate) async fn merge_parts(&self, id: &TenantId) -> Result<(), crate::IngestError> {
        let tenant = self.tenant(id);
        let shipping = tenant.shipping.clone().lock_owned().await;
        cut::merge_parts(&self.inner, &tenant, shipping).await
    }

    pub(crate) fn part_count(&self, id: &TenantId) -> usize {
        self.tenant(id).parts.all().len()
    }
}

/// What a tenant's data reads as.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Read {
    /// Everything, later sources winning.
    pub(crate) all: Content,
    /// What is in the bucket.
    pub(crate) in_blocks: Content,
    /// What is in local parts.
    pub(crate) in_parts: Content,
    /// What is in the head.
    pub(crate) in_head: Content,
}

/// Reads all of a tenant, the way a query does: head, parts and blocks by one pin, later offsets winning.
pub(crate) async fn read(ingester: &Ingester, id: &TenantId) -> Read {
    let pin = ingester.pin(id).await.unwrap();
    assert_eq!(pin.damaged, Vec::<std::path::PathBuf>::new());
    let mut blocks = Vec::new();
    for (block, deleted) in by_precedence(&pin) {
        blocks.push((pin.store.block_meta(block).await.unwrap(), block, deleted));
    }
    let handle = Handle::current();
    let work = move || {
        let mut read = Read::default();
        for (meta, block, deleted) in blocks {
            let block = Block::open(pin.store.block_files(block, handle.clone()), meta).unwrap().without(deleted);
            read.add(series_of(&block), |read| &mut read.in_blocks);
        }
        // In the order of a query: the head is read last, and what a cut moves meanwhile stays in it.
        for part in &pin.part_blocks {
            read.add(series_of(part), |read| &mut read.in_parts);
        }
        read.add(pin.head.select(&[], TimeRange::ALL), |read| &mut read.in_head);
        drop(pin.guard);
        read
    };
    tokio::task::spawn_blocking(work).await.unwrap()
}

fn series_of(block: &Block) -> Vec<SeriesChunks> {
    let all: Vec<SeriesChunks> = block.select(&[], TimeRange::ALL).unwrap().into_series().map(Result::unwrap).collect();
    for series in &all {
        let claimed: usize = series.chunks.iter().map(|chunk| usize::from(sample_count(chunk).unwrap())).sum();
        assert_eq!(claimed, decode(series).len(), "a block holds each sample once");
    }
    all
}

fn decode(series: &SeriesChunks) -> Vec<(i64, u64)> {
    let mut columns = Columns::default();
    merge_into(&series.chunks, TimeRange::ALL, &mut columns).unwrap();
    columns.t_ms.iter().zip(&columns.values).map(|(t_ms, value)| (*t_ms, value.to_bits())).collect()
}

impl Read {
    fn add(&mut self, series: Vec<SeriesChunks>, to: impl Fn(&mut Self) -> &mut Content) {
        for series in series {
            assert_eq!(series.labels.get("job"), Some("test"));
            let (name, samples) = (series.labels.metric_name().to_owned(), decode(&series));
            to(self).entry(name.clone()).or_default().extend(samples.iter().copied());
            self.all.entry(name).or_default().extend(samples);
        }
    }

    pub(crate) fn value(&self, series: &str, t_ms: i64) -> Option<f64> {
        get(&self.all, series, t_ms).map(f64::from_bits)
    }
}

pub(crate) fn get(content: &Content, series: &str, t_ms: i64) -> Option<u64> {
    content.get(series)?.get(&t_ms).copied()
}

/// As `longhaul_query` has it.
fn by_precedence(pin: &Pin) -> Vec<(BlockAddress, Vec<Arc<Tombstone>>)> {
    let mut blocks: Vec<_> = pin.manifest.blocks.iter().collect();
    blocks.sort_by_key(|block| (block.coverage.iter().map(|it| it.to).max(), block.id));
    let with_deleted = |block: &&LiveBlock| (block.address(), pin.manifest.tombstones_of(block, &pin.new_deletions));
    blocks.iter().map(with_deleted).collect()
}
