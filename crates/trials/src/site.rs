//! A bucket in which everybody has something to do: blocks to merge, retired ones of which one is half deleted, uploads that
//! came to nothing, versions to trim, samples that were cut, and samples that are in memory.

use crate::judge::Judge;
use crate::process::{Process, ROLES, Role};
use bytes::Bytes;
use longhaul_block::{Block, ContentHash, SeriesHash};
use longhaul_bucket::{LiveBlock, TenantStore};
use longhaul_chunk::{Columns, SeriesChunks, merge_into};
use longhaul_compact::CollectSettings;
use longhaul_ingest::WriteLimits;
use longhaul_model::{
    Clock, IdSource, LabelSection, Labels, ManualClock, Sample, SeriesEntry, TenantId, TimeRange, WriteBatch,
};
use longhaul_testkit::faulty_store::{Fault, FaultyStore, Then, World};
use longhaul_testkit::sim_fs::SimFs;
use object_store::ObjectStoreExt;
use object_store::path::Path as Key;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use tokio::runtime::Handle;

pub(crate) const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// A Tuesday, two hours and a bit after midnight.
const START_MS: i64 = 20_000 * DAY_MS + 2 * HOUR_MS + 7 * 60_000;

/// Bits by series and time.
pub(crate) type Content = BTreeMap<String, BTreeMap<i64, u64>>;

pub(crate) fn tenant() -> TenantId {
    TenantId::parse("t").unwrap()
}

/// A bucket, a clock, and a disk for each role.
pub(crate) struct Site {
    pub(crate) world: Arc<World>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) judge: Arc<Mutex<Judge>>,
    pub(crate) collect_settings: CollectSettings,
    /// Every sample that was acknowledged.
    pub(crate) content: Content,
    /// Held while others work during a stall: two calls of one process may stall at once.
    pub(crate) stall: futures::lock::Mutex<()>,
    disks: Mutex<[SimFs; 3]>,
    processes: AtomicU64,
}

impl Site {
    /// The state from which all runs begin.
    pub(crate) async fn base(collect_settings: CollectSettings) -> Arc<Self> {
        let clock = Arc::new(ManualClock::at(START_MS - 20 * DAY_MS));
        let mut site = Self::with(World::new(clock.clone()), clock, Judge::new(tenant()), collect_settings);
        let mut content = Content::new();
        let ship = Process::open(&site, Role::Ship).await;
        // Three small blocks that become one, long ago.
        for n in 0..3 {
            site.write(&ship, &mut content, START_MS - 30 * DAY_MS + n * HOUR_MS, n as usize).await;
            ship.act().await.unwrap();
        }
        for role in [Role::Compact, Role::Collect] {
            Process::open(&site, role).await.act().await.unwrap();
        }
        // Uploads that came to nothing, one of them half-way; and what is not ours.
        let now_ms = site.clock.now_ms();
        for (id, files) in [(site.ids().block_id(now_ms), 3), (site.ids().block_id(now_ms + 1), 1)] {
            for file in ["chunks/000001", "index", "meta.json"].into_iter().take(files) {
                site.put(&format!("t/{id}/{file}")).await;
            }
        }
        site.put("t/01ARZ3NDEKTSV4RRFFQ69G5FAV/index").await;
        site.clock.advance(15 * DAY_MS);
        let manifest = site.judge.lock().newest.clone();
        site.remove(&format!("t/{}/meta.json", manifest.retired[0].id)).await;
        // Two that are to be merged.
        for n in 0..2 {
            site.write(&ship, &mut content, START_MS - 16 * DAY_MS + n * HOUR_MS, n as usize).await;
            ship.act().await.unwrap();
        }
        // Samples that were cut and could not be shipped; and more of the same range in memory.
        let cut_ms = START_MS - 6 * DAY_MS;
        site.write(&ship, &mut content, cut_ms, 3).await;
        ship.view.set_rule(|_| (Fault::Refused, Then::GoOn));
        ship.act().await.unwrap_err();
        ship.view.set_rule(|_| (Fault::None, Then::GoOn));
        let cut = hash_of(&content);
        site.write(&ship, &mut content, cut_ms + 60_000, 4).await;
        site.clock.advance(5 * DAY_MS);
        ship.close().await;
        let mut judge = site.judge.lock();
        judge.totals = vec![judge.total(), cut, hash_of(&content)];
        drop(judge);
        Arc::get_mut(&mut site).expect("nobody works here any more").content = content;
        site
    }

    fn with(world: Arc<World>, clock: Arc<ManualClock>, judge: Judge, collect_settings: CollectSettings) -> Arc<Self> {
        let judge = Arc::new(Mutex::new(judge));
        let (watching, time) = (judge.clone(), clock.clone());
        world.watch(move |change, _| watching.lock().see(change, time.now_ms()));
        Arc::new(Self {
            world,
            clock,
            judge,
            collect_settings,
            content: Content::new(),
            stall: Default::default(),
            disks: Mutex::new(ROLES.map(|_| SimFs::new())),
            processes: AtomicU64::new(0),
        })
    }

    /// The same place for a run of its own.
    pub(crate) fn fork(&self) -> Arc<Self> {
        let clock = Arc::new(ManualClock::at(self.clock.now_ms()));
        let judge = self.judge.lock().clone();
        let site = Self::with(self.world.fork(clock.clone()), clock, judge, self.collect_settings);
        *site.disks.lock() = self.disks.lock().each_ref().map(SimFs::fork);
        site.processes.store(self.processes.load(SeqCst), SeqCst);
        site
    }

    pub(crate) fn disk(&self, role: Role) -> SimFs {
        self.disks.lock()[role as usize].clone()
    }

    /// From here on the disk of a role is what it is now: what a process still does to it is lost.
    pub(crate) fn kill(&self, role: Role) {
        let disk = &mut self.disks.lock()[role as usize];
        *disk = disk.fork();
    }

    /// Ids of a process.
    pub(crate) fn ids(&self) -> Arc<IdSource> {
        let mut random = StdRng::seed_from_u64(self.processes.fetch_add(1, SeqCst));
        Arc::new(IdSource::new(move || random.random()))
    }

    pub(crate) fn tenant_store(&self) -> TenantStore {
        let view = FaultyStore::new(&self.world);
        TenantStore::new(longhaul_bucket::Store::new(Arc::new(view), "").unwrap(), tenant())
    }

    /// Writes some samples from `from_ms` on.
    async fn write(&self, process: &Process, content: &mut Content, from_ms: i64, value: usize) {
        let mut batch = WriteBatch::default();
        let mut buffer = Vec::new();
        for name in ["down", "up"] {
            let (labels, first) = (buffer.len() as u32, batch.samples.len() as u32);
            LabelSection::push(&mut buffer, "__name__", name);
            let samples = (0..3).map(|n| Sample::new(from_ms + n * 15_000, (value * 10) as f64 + n as f64));
            let of_series = content.entry(name.to_owned()).or_default();
            for sample in samples {
                of_series.insert(sample.t_ms, sample.value.to_bits());
                batch.samples.push(sample);
            }
            batch.series.push(SeriesEntry {
                labels: labels..buffer.len() as u32,
                samples: first..batch.samples.len() as u32,
                histograms: 0..0,
                exemplars: 0..0,
            });
        }
        batch.buffer = Bytes::from(buffer);
        let report = process.ingester().write(&tenant(), &batch, &WriteLimits::default()).await.unwrap();
        assert_eq!((report.stored, report.refusals.count()), (6, 0));
    }

    async fn put(&self, key: &str) {
        FaultyStore::new(&self.world).put(&Key::from(key), "content".into()).await.unwrap();
    }

    async fn remove(&self, key: &str) {
        FaultyStore::new(&self.world).delete(&Key::from(key)).await.unwrap();
    }
}

/// The hash of everything that was acknowledged.
pub(crate) fn hash_of(content: &Content) -> ContentHash {
    let mut sum = ContentHash::default();
    let mut scratch = Vec::new();
    for (name, samples) in content {
        let series = SeriesHash::of(&Labels::from_pairs([("__name__", name.as_str())]), &mut scratch);
        for (t_ms, bits) in samples {
            sum = sum.plus(series.of_float(*t_ms, 0, f64::from_bits(*bits)));
        }
    }
    sum
}

/// What the live blocks hold, each sample once.
pub(crate) async fn read(store: &TenantStore, blocks: &[LiveBlock]) -> Content {
    let mut content = Content::new();
    for live in blocks {
        let meta = store.block_meta(live.address()).await.unwrap();
        let files = store.block_files(live.address(), Handle::current());
        let work = move || {
            let block = Block::open(files, meta).unwrap();
            let series = block.select(&[], TimeRange::ALL).unwrap().into_series();
            series.map(Result::unwrap).collect::<Vec<SeriesChunks>>()
        };
        for series in tokio::task::spawn_blocking(work).await.unwrap() {
            let mut columns = Columns::default();
            merge_into(&series.chunks, TimeRange::ALL, &mut columns).unwrap();
            let of_series = content.entry(series.labels.metric_name().to_owned()).or_default();
            for (t_ms, value) in columns.t_ms.iter().zip(&columns.values) {
                let before = of_series.insert(*t_ms, value.to_bits());
                assert_eq!(before, None, "a sample is there twice: {} at {t_ms}", series.labels);
            }
        }
    }
    content
}
