//! A bucket, a clock and a disk for compactors; blocks made by hand; reading everything back the naive way.

use crate::{CompactSettings, Compactor, CompactorParts};
use longhaul_block::{
    Block, BlockError, BlockMeta, BlockWriter, Compaction, ContentHash, Coverage, LocalFiles, LonghaulMeta,
    VerifyReport,
};
use longhaul_bucket::{LiveBlock, Manifest, OperationId, Store, TenantStore};
use longhaul_chunk::{SeriesChunks, decode_any, encode};
use longhaul_disk::{Fs, RealFs};
use longhaul_model::{BlockId, Exemplar, IdSource, Labels, LogId, ManualClock, Measurement, TenantId, TimeRange};
use object_store::memory::InMemory;
use object_store::{ObjectStoreExt, path::Path as Key};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::runtime::Handle;

pub(super) const HOUR_MS: i64 = 3_600_000;
pub(super) const DAY_MS: i64 = 24 * HOUR_MS;

/// Canonical values and starts by series and time.
pub(super) type Content = BTreeMap<Labels, BTreeMap<i64, (i64, Vec<u8>)>>;

pub(super) struct Site {
    objects: Arc<InMemory>,
    pub(super) store: Store,
    pub(super) clock: Arc<ManualClock>,
    pub(super) ids: Arc<IdSource>,
    pub(super) settings: CompactSettings,
    /// What compactors published.
    pub(super) published: Arc<Mutex<Vec<Arc<Manifest>>>>,
    pub(super) dir: tempfile::TempDir,
    fs: Arc<dyn Fs>,
}

pub(super) fn tenant() -> TenantId {
    TenantId::parse("team-a").unwrap()
}

/// A block of ours before it is written.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) series: BTreeMap<Labels, Vec<Measurement>>,
    /// How far in the log it reaches.
    pub(super) to: u64,
    /// When it is made.
    pub(super) at_ms: i64,
}

impl Site {
    pub(super) fn new(now_ms: i64) -> Self {
        let mut n = 0u128;
        let ids = IdSource::new(move || {
            n += 1;
            n
        });
        let objects = Arc::new(InMemory::new());
        Self {
            store: Store::new(objects.clone(), "").unwrap(),
            objects,
            clock: Arc::new(ManualClock::at(now_ms)),
            ids: Arc::new(ids),
            settings: CompactSettings { disk_reserve_bytes_max: 0, ..CompactSettings::default() },
            published: Arc::default(),
            dir: tempfile::tempdir().unwrap(),
            fs: Arc::new(RealFs),
        }
    }

    /// A compactor with a work directory of its own.
    pub(super) fn compactor(&self, name: &str) -> Compactor {
        let published = self.published.clone();
        let parts = CompactorParts {
            settings: self.settings.clone(),
            work_dir: self.dir.path().join(name),
            fs: self.fs.clone(),
            store: self.store.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            publish: Arc::new(move |_, manifest| published.lock().push(manifest)),
        };
        Compactor::open(parts).unwrap()
    }

    pub(super) fn tenant_store(&self) -> TenantStore {
        TenantStore::new(self.store.clone(), tenant())
    }

    pub(super) async fn manifest(&self) -> Manifest {
        self.tenant_store().load_manifest().await.unwrap().unwrap()
    }

    /// Uploads and commits the block in a directory; its id.
    pub(super) async fn ship(&self, dir: &Path) -> BlockId {
        let meta = BlockMeta::parse(&std::fs::read(dir.join("meta.json")).unwrap()).unwrap();
        let store = self.tenant_store();
        let uploaded = store.upload_block(&self.fs, dir, &meta).await.unwrap();
        let live = LiveBlock::new(&meta, uploaded.size_bytes());
        let coverage = meta.longhaul.as_ref().map_or_else(Vec::new, |own| own.coverage.clone());
        let base = store.load_manifest().await.unwrap();
        let operation = OperationId::new(self.ids.random());
        store
            .commit(base.as_ref(), "test", operation, |manifest| {
                let mut next = manifest.ship(live.clone(), &[])?;
                for it in &coverage {
                    next.through.raise(it.log_id, it.partition, it.range, it.to);
                }
                Ok(next)
            })
            .await
            .unwrap();
        meta.ulid
    }

    /// Writes a block of ours and ships it.
    pub(super) async fn make(&self, made: &Made) -> BlockId {
        let dir = self.write(made);
        self.ship(&dir).await
    }

    fn write(&self, made: &Made) -> PathBuf {
        let id = self.ids.block_id(made.at_ms);
        let times = || made.series.values().flatten().map(|sample| sample.t_ms);
        let range = TimeRange::inclusive(times().min().unwrap(), times().max().unwrap());
        let mut meta = BlockMeta::new(id, range);
        meta.compaction = Compaction { level: 1, sources: vec![id], ..Compaction::default() };
        let coverage = Coverage { log_id: LogId::nil(), partition: 0, range, from: made.to - 1, to: made.to };
        meta.longhaul = Some(LonghaulMeta { coverage: vec![coverage], ..LonghaulMeta::new(tenant()) });
        let dir = self.dir.path().join("made").join(id.to_string());
        let mut writer = BlockWriter::create(self.fs.clone(), &dir, meta).unwrap();
        for (labels, samples) in &made.series {
            let mut chunks = Vec::new();
            encode(samples.iter().cloned(), 20, &mut chunks);
            writer.push(&SeriesChunks { labels: labels.clone(), chunks }).unwrap();
            for exemplar in samples.iter().filter_map(exemplar_at) {
                writer.push_exemplar(labels, &exemplar).unwrap();
            }
        }
        writer.finish().unwrap();
        dir
    }

    /// The exemplars of all live blocks.
    pub(super) async fn exemplars(&self) -> BTreeSet<(Labels, Exemplar)> {
        let (store, manifest) = (self.tenant_store(), self.manifest().await);
        let mut all = BTreeSet::new();
        for live in &manifest.blocks {
            let meta = store.block_meta(live.address()).await.unwrap();
            let files = store.block_files(live.address(), Handle::current());
            let read = move || {
                let exemplars = Block::open(files, meta).unwrap().exemplars(&[], TimeRange::ALL).unwrap();
                exemplars.map(Result::unwrap).collect::<Vec<_>>()
            };
            all.extend(tokio::task::spawn_blocking(read).await.unwrap());
        }
        all
    }

    /// Puts other bytes in an object's place.
    pub(super) async fn overwrite(&self, key: &str, bytes: Vec<u8>) {
        self.objects.put(&Key::from(key), bytes.into()).await.unwrap();
    }

    pub(super) async fn remove(&self, key: &str) {
        self.objects.delete(&Key::from(key)).await.unwrap();
    }

    pub(super) async fn object(&self, key: &str) -> Vec<u8> {
        self.objects.get(&Key::from(key)).await.unwrap().bytes().await.unwrap().into()
    }

    /// What a query of everything sees, block by block in rising precedence.
    pub(super) async fn read(&self) -> Content {
        self.read_but(&[]).await
    }

    /// The same without some of the blocks.
    pub(super) async fn read_but(&self, but: &[BlockId]) -> Content {
        let (store, manifest) = (self.tenant_store(), self.manifest().await);
        let mut rising: Vec<LiveBlock> =
            manifest.blocks.iter().filter(|live| !but.contains(&live.id)).cloned().collect();
        rising.sort_by_key(LiveBlock::precedence);
        let mut content = Content::new();
        for live in rising {
            let meta = store.block_meta(live.address()).await.unwrap();
            let files = store.block_files(live.address(), Handle::current());
            let read = tokio::task::spawn_blocking(move || read_block(&Block::open(files, meta)?)).await.unwrap();
            overlay(&mut content, read.unwrap());
        }
        content
    }

    /// Verifies every live block but the given ones, and holds its entry against it.
    pub(super) async fn verify(&self, but: &[BlockId]) {
        let (store, manifest) = (self.tenant_store(), self.manifest().await);
        for live in manifest.blocks.iter().filter(|live| !but.contains(&live.id)) {
            let meta = store.block_meta(live.address()).await.unwrap();
            let files = store.block_files(live.address(), Handle::current());
            let verified = {
                let meta = meta.clone();
                tokio::task::spawn_blocking(move || longhaul_block::verify(&*files, &meta)).await.unwrap()
            };
            let report = verified.and_then(VerifyReport::sound).unwrap();
            assert_eq!((live.range, live.samples), (meta.range(), report.stats.num_samples));
            if live.content_hash != ContentHash::default() {
                assert_eq!(live.content_hash, report.content_hash);
            }
        }
    }

    /// What is left in the work directory of a compactor.
    pub(super) fn left_in(&self, name: &str) -> Vec<String> {
        let entries = self.fs.list(&self.dir.path().join(name)).unwrap();
        entries.into_iter().filter(|entry| entry.is_dir).map(|entry| entry.name).collect()
    }
}

/// What a block in a local directory holds.
pub(super) fn read_dir(dir: &Path) -> Content {
    let meta = BlockMeta::parse(&std::fs::read(dir.join("meta.json")).unwrap()).unwrap();
    read_block(&Block::open(Arc::new(LocalFiles::new(Arc::new(RealFs), dir)), meta).unwrap()).unwrap()
}

fn read_block(block: &Block) -> Result<Content, BlockError> {
    let mut content = Content::new();
    for series in block.select(&[], TimeRange::ALL)?.into_series() {
        let SeriesChunks { labels, chunks } = series?;
        let samples = content.entry(labels).or_default();
        for chunk in &chunks {
            let mut decoded = Vec::new();
            decode_any(chunk, &mut decoded).unwrap();
            samples.extend(decoded.iter().map(canonical));
        }
    }
    Ok(content)
}

/// Every minute has one, the same in whichever block.
fn exemplar_at(sample: &Measurement) -> Option<Exemplar> {
    let labels = Labels::from_pairs([("trace_id", sample.t_ms.to_string().as_str())]);
    (sample.t_ms % 60_000 == 0).then_some(Exemplar { t_ms: sample.t_ms, value: 0.5, labels })
}

/// A sample as it is compared.
pub(super) fn canonical(sample: &Measurement) -> (i64, (i64, Vec<u8>)) {
    let mut value = Vec::new();
    sample.value.canonical(&mut value);
    (sample.t_ms, (sample.start_ms, value))
}

/// Puts `above` over `content`.
pub(super) fn overlay(content: &mut Content, above: Content) {
    for (labels, samples) in above {
        content.entry(labels).or_default().extend(samples);
    }
}
