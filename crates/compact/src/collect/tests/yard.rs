//! A bucket with a clock, and blocks in it that are made of nothing but their names.

use crate::{CollectReport, CollectSettings, Collector, CollectorParts};
use longhaul_block::ContentHash;
use longhaul_bucket::{LiveBlock, Manifest, OperationId, Place, Store, TenantStore};
use longhaul_model::{BlockId, IdSource, ManualClock, TenantId, TimeRange};
use longhaul_testkit::faulty_store::{FaultyStore, World};
use object_store::ObjectStoreExt;
use object_store::path::Path as Key;
use parking_lot::Mutex;
use std::sync::Arc;

pub(super) const HOUR_MS: i64 = 3_600_000;
/// A number of hours since the epoch, as the clock of a test counts them.
pub(super) const START: i64 = 480_000;

pub(super) struct Yard {
    pub(super) world: Arc<World>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) ids: Arc<IdSource>,
    pub(super) settings: CollectSettings,
    /// What collectors published.
    pub(super) published: Arc<Mutex<Vec<Arc<Manifest>>>>,
}

pub(super) fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

impl Yard {
    pub(super) fn new() -> Self {
        let clock = Arc::new(ManualClock::at(START * HOUR_MS));
        let mut n = 0u128;
        let ids = IdSource::new(move || {
            n += 1;
            n
        });
        let settings = CollectSettings { objects_per_second_max: u32::MAX, ..CollectSettings::default() };
        Self { world: World::new(clock.clone()), clock, ids: Arc::new(ids), settings, published: Arc::default() }
    }

    /// A view of the bucket, and a collector that has it.
    pub(super) fn collector(&self) -> (FaultyStore, Collector) {
        let view = FaultyStore::new(&self.world);
        let published = self.published.clone();
        let parts = CollectorParts {
            settings: self.settings,
            store: Store::new(Arc::new(view.clone()), "").unwrap(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            publish: Arc::new(move |_, manifest| published.lock().push(manifest)),
        };
        (view, Collector::new(parts))
    }

    /// One run of a collector that has seen nothing, which must come to its end.
    pub(super) async fn collect(&self) -> CollectReport {
        done(self.collector().1.collect(None).await)
    }

    pub(super) fn store(&self, name: &str) -> TenantStore {
        let view = FaultyStore::new(&self.world);
        TenantStore::new(Store::new(Arc::new(view), "").unwrap(), tenant(name))
    }

    pub(super) async fn manifest(&self, name: &str) -> Manifest {
        self.store(name).load_manifest().await.unwrap().unwrap()
    }

    pub(super) async fn commit(&self, name: &str, change: impl Fn(&Manifest) -> Manifest) {
        let store = self.store(name);
        let base = store.load_manifest().await.unwrap();
        let operation = OperationId::new(self.ids.random());
        store.commit(base.as_ref(), "test", operation, |manifest| Ok(change(manifest))).await.unwrap();
    }

    pub(super) async fn put(&self, key: &str) {
        FaultyStore::new(&self.world).put(&Key::parse(key).unwrap(), "content".into()).await.unwrap();
    }

    /// Uploads a block with an id of ours that is minted now.
    pub(super) async fn upload(&self, name: &str) -> BlockId {
        let id = self.ids.block_id(longhaul_model::Clock::now_ms(&*self.clock));
        self.upload_as(name, id).await;
        id
    }

    pub(super) async fn upload_as(&self, name: &str, id: BlockId) {
        for file in ["chunks/000001", "index", "meta.json"] {
            self.put(&format!("{name}/{id}/{file}")).await;
        }
    }

    /// Uploads a block and makes it live.
    pub(super) async fn ship(&self, name: &str) -> BlockId {
        let id = self.upload(name).await;
        self.commit(name, |manifest| manifest.ship(block(id), &[]).unwrap()).await;
        id
    }

    /// Puts a new block in the place of others.
    pub(super) async fn replace(&self, name: &str, inputs: &[BlockId]) -> BlockId {
        let output = self.upload(name).await;
        let now_ms = longhaul_model::Clock::now_ms(&*self.clock);
        self.commit(name, |manifest| manifest.replace(inputs, vec![block(output)], now_ms).unwrap()).await;
        output
    }

    pub(super) fn wait_hours(&self, hours: i64) {
        self.clock.advance(hours * HOUR_MS);
    }

    /// The objects whose keys contain `part`.
    pub(super) async fn keys(&self, part: &str) -> Vec<String> {
        let contents = self.world.contents().await;
        contents.keys().map(ToString::to_string).filter(|key| key.contains(part)).collect()
    }

    pub(super) async fn count(&self, part: &str) -> usize {
        self.keys(part).await.len()
    }
}

/// A report of a run that came to its end and in which nothing failed.
pub(super) fn done(report: CollectReport) -> CollectReport {
    assert!(report.stopped.is_none() && report.failures.is_empty(), "{report:?}");
    report
}

pub(super) fn block(id: BlockId) -> LiveBlock {
    LiveBlock {
        id,
        place: Place::Tenant,
        range: TimeRange::new(0, 2 * HOUR_MS),
        level: 1,
        resolution_ms: 0,
        sources: vec![id],
        coverage: Vec::new(),
        size_bytes: 10,
        series: 1,
        samples: 1,
        content_hash: ContentHash(1),
        format: 1,
    }
}
