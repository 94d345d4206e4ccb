//! Everything that the ingester holds of one tenant.

use crate::deletions::{Deletions, tombstones_of};
use crate::metadata::Metadata;
use crate::owed::Owed;
use crate::parts::{Part, Parts};
use crate::readers::{ReaderGuard, Readers};
use crate::ship::PendingShip;
use arc_swap::ArcSwapOption;
use longhaul_block::Block;
use longhaul_bucket::{BucketError, Deletion, Manifest, TenantStore};
use longhaul_head::Head;
use longhaul_model::{LogId, TenantId};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};

/// One tenant's head, parts and manifest.
pub(crate) struct Tenant {
    pub(crate) id: TenantId,
    /// Dense in this process; also chooses the lane.
    pub(crate) number: u32,
    pub(crate) head: Arc<Head>,
    pub(crate) parts: Parts,
    pub(crate) parts_dir: PathBuf,
    pub(crate) store: TenantStore,
    pub(crate) readers: Arc<Readers>,
    manifest: ArcSwapOption<Manifest>,
    /// Whether it was pinned since a newer manifest was last looked for.
    pub(crate) was_read: AtomicBool,
    /// When that was, ms; 0 if never.
    pub(crate) refreshed_ms: AtomicI64,
    /// When each range was last cut, ms, by the range's start.
    pub(crate) last_cuts_ms: Mutex<BTreeMap<i64, i64>>,
    /// When idle series were last looked for, ms.
    pub(crate) last_evicted_ms: AtomicI64,
    /// What is said of metric families.
    pub(crate) metadata: Metadata,
    /// What is deleted and may be somewhere still.
    pub(crate) deletions: Deletions,
    /// Held while the head is logged once more, and while a deletion is on its way through the log.
    pub(crate) logging_again: tokio::sync::Mutex<()>,
    /// Refusals that are not on disk yet.
    pub(crate) owed: Owed,
    /// Held from the taking of a view to its end (**I-CUT-2**).
    pub(crate) cutting: Arc<tokio::sync::Mutex<()>>,
    /// Held while parts are merged or shipped: what one of them works on, the other leaves alone. A cut may add parts
    /// meanwhile; they hold later offsets only.
    pub(crate) shipping: Arc<tokio::sync::Mutex<()>>,
    pending_ship: Mutex<Option<PendingShip>>,
    /// Parts that could not be opened: answers say that they are missing.
    damaged: Mutex<Vec<PathBuf>>,
}

/// What a query reads: pinned in this order, and kept until it is dropped (I-READ-1).
pub struct Pin {
    /// Keeps head and part data from being taken away.
    pub guard: ReaderGuard,
    /// Recent samples.
    pub head: Arc<Head>,
    /// Local blocks, in rising precedence.
    pub parts: Arc<Vec<Arc<Part>>>,
    /// The same, to be read: without what is deleted.
    pub part_blocks: Vec<Arc<Block>>,
    /// Deletions that may not be in the manifest yet: they are about all blocks in the bucket then.
    pub new_deletions: Vec<Arc<Deletion>>,
    /// Directories of parts that cannot be opened: their data is missing, and an answer must say so.
    pub damaged: Vec<PathBuf>,
    /// The blocks in the bucket.
    pub manifest: Arc<Manifest>,
    /// Where they lie.
    pub store: TenantStore,
}

impl Tenant {
    pub(crate) fn new(
        id: TenantId,
        number: u32,
        head: Head,
        parts_dir: PathBuf,
        store: TenantStore,
        log_id: LogId,
    ) -> Self {
        Self {
            id,
            number,
            head: Arc::new(head),
            parts: Parts::default(),
            parts_dir,
            store,
            readers: Arc::default(),
            manifest: ArcSwapOption::empty(),
            was_read: AtomicBool::new(false),
            refreshed_ms: AtomicI64::new(0),
            last_cuts_ms: Mutex::default(),
            last_evicted_ms: AtomicI64::new(0),
            metadata: Metadata::default(),
            deletions: Deletions::new(log_id),
            logging_again: tokio::sync::Mutex::default(),
            owed: Owed::default(),
            cutting: Arc::default(),
            shipping: Arc::default(),
            pending_ship: Mutex::default(),
            damaged: Mutex::default(),
        }
    }

    /// The manifest as this process knows it; read from the bucket the first time. An empty one if there is none yet.
    pub(crate) async fn manifest(&self) -> Result<Arc<Manifest>, BucketError> {
        if let Some(manifest) = self.manifest.load_full() {
            return Ok(manifest);
        }
        let loaded = Arc::new(self.store.load_manifest().await?.unwrap_or_default());
        // A commit may have been quicker: the newest version stays.
        self.publish_manifest(loaded);
        Ok(self.manifest.load_full().expect("a manifest was just published"))
    }

    /// The manifest, if it has been read.
    pub(crate) fn read_manifest(&self) -> Option<Arc<Manifest>> {
        self.manifest.load_full()
    }

    /// The manifest as far as it has been read.
    pub(crate) fn known_manifest(&self) -> Arc<Manifest> {
        self.manifest.load_full().unwrap_or_default()
    }

    /// Makes `manifest` the one that readers pin, unless a newer one is there.
    pub(crate) fn publish_manifest(&self, manifest: Arc<Manifest>) {
        self.publish(manifest);
        self.forget_deletions();
    }

    /// Makes a manifest that was just committed the one that readers pin; it has had the deletions `committed`.
    pub(crate) fn publish_commit(&self, manifest: Manifest, committed: &[Arc<Deletion>]) {
        self.publish(Arc::new(manifest));
        self.deletions.committed(committed);
        self.forget_deletions();
    }

    /// Forgets the deletions that are over; to be called when parts have gone.
    pub(crate) fn forget_deletions(&self) {
        self.deletions.forget(&self.known_manifest(), &self.parts.all());
    }

    fn publish(&self, manifest: Arc<Manifest>) {
        self.deletions.learn(&manifest);
        self.manifest.rcu(|current| match current {
            Some(current) if current.version > manifest.version => Some(current.clone()),
            _ => Some(manifest.clone()),
        });
    }

    pub(crate) fn pending_ship(&self) -> Option<PendingShip> {
        self.pending_ship.lock().clone()
    }

    pub(crate) fn has_pending_ship(&self) -> bool {
        self.pending_ship.lock().is_some()
    }

    pub(crate) fn set_pending_ship(&self, pending: Option<PendingShip>) {
        *self.pending_ship.lock() = pending;
    }

    pub(crate) fn add_damaged(&self, damaged: impl IntoIterator<Item = PathBuf>) {
        self.damaged.lock().extend(damaged);
    }

    pub(crate) fn has_damaged(&self) -> bool {
        !self.damaged.lock().is_empty()
    }

    /// Pins head, parts and manifest for a reader.
    pub(crate) async fn pin(&self) -> Result<Pin, BucketError> {
        self.manifest().await?; // before anything is pinned: the store may be slow, and those who move data wait for pins
        self.was_read.store(true, Relaxed);
        let guard = self.readers.enter();
        let deletions = self.deletions.all(); // before the parts: I-DELETE-1
        let head = self.head.clone();
        let parts = self.parts.all();
        let manifest = self.known_manifest();
        let damaged = self.damaged.lock().clone();
        let part_blocks = parts.iter().map(|part| part.without(tombstones_of(part, &deletions))).collect();
        let new_deletions = deletions.iter().filter(|it| !it.is_committed).map(|it| it.deletion.clone()).collect();
        Ok(Pin { guard, head, parts, part_blocks, new_deletions, damaged, manifest, store: self.store.clone() })
    }
}
