//! Sees every change of a bucket as it takes effect, and panics at what must not be: the rules of the storage design, by the
//! numbers of `docs/INVARIANTS.md`. It keeps its own copy of everything and believes nobody.

use bytes::Bytes;
use futures::FutureExt;
use longhaul_block::{BlockMeta, ContentHash};
use longhaul_bucket::{Manifest, Store, TenantStore};
use longhaul_model::{BlockId, TenantId, is_tagged};
use longhaul_testkit::faulty_store::Change;
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{ObjectStoreExt, PutMode};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// What is known of the bucket of one tenant.
#[derive(Clone)]
pub(crate) struct Judge {
    tenant: TenantId,
    objects: BTreeMap<Key, Bytes>,
    /// What an object of a block was when it was whole for the first time.
    first: HashMap<Key, Bytes>,
    pub(crate) newest: Arc<Manifest>,
    boundary: u64,
    /// When blocks were retired, ms.
    retired_ms: HashMap<BlockId, i64>,
    /// Whatever was live once.
    ever_live: BTreeSet<BlockId>,
    retired_delay_ms: i64,
    /// What the blocks that are live may hold together; empty: anything.
    pub(crate) totals: Vec<ContentHash>,
    pub(crate) changes: u64,
}

/// What a key is.
enum Object<'a> {
    Version(u64),
    Trim,
    /// Whatever may come and go.
    Other,
    Block(BlockId, &'a str),
}

impl Judge {
    pub(crate) fn new(tenant: TenantId) -> Self {
        Self {
            tenant,
            objects: BTreeMap::new(),
            first: HashMap::new(),
            newest: Arc::default(),
            boundary: 0,
            retired_ms: HashMap::new(),
            ever_live: BTreeSet::new(),
            retired_delay_ms: longhaul_compact::CollectSettings::default().retired_delay_ms,
            totals: Vec::new(),
            changes: 0,
        }
    }

    /// What all live blocks hold.
    pub(crate) fn total(&self) -> ContentHash {
        total(&self.newest)
    }

    /// The objects of blocks that are not live.
    pub(crate) fn garbage(&self) -> Vec<&Key> {
        let is_garbage = |key: &&Key| match self.object(key) {
            Object::Block(id, _) => self.newest.block(id).is_none(),
            Object::Version(version) => version < self.boundary,
            _ => false,
        };
        self.objects.keys().filter(is_garbage).collect()
    }

    pub(crate) fn see(&mut self, change: &Change, now_ms: i64) {
        self.changes += 1;
        match change {
            Change::Put { key, bytes, mode } => {
                match self.object(key) {
                    Object::Version(version) => self.see_version(key, version, bytes, mode, now_ms),
                    Object::Trim => self.see_trim(bytes),
                    Object::Block(id, file) => self.see_put(id, file, key, bytes, mode),
                    Object::Other => {}
                }
                self.objects.insert(key.clone(), bytes.clone());
            }
            Change::Delete { key } => {
                match self.object(key) {
                    Object::Version(version) => {
                        assert!(version < self.boundary, "I-MAN-4: {key} is not below the boundary {}", self.boundary);
                    }
                    Object::Trim => panic!("I-MAN-4: the boundary is deleted"),
                    Object::Block(id, file) => self.see_delete(id, file, key, now_ms),
                    Object::Other => {}
                }
                self.objects.remove(key);
            }
        }
    }

    fn object<'a>(&self, key: &'a Key) -> Object<'a> {
        let Some(path) = key.as_ref().strip_prefix(self.tenant.as_str()).and_then(|path| path.strip_prefix('/')) else {
            return Object::Other;
        };
        if let Some(name) = path.strip_prefix("_longhaul/manifest/") {
            return match name {
                "trim" => Object::Trim,
                "hint" => Object::Other,
                number => Object::Version(number.parse().expect("versions are numbers")),
            };
        }
        let (folder, file) = path.split_once('/').expect("whatever is a tenant's lies in a folder");
        Object::Block(BlockId::from_string(folder).expect("which is a block's"), file)
    }

    /// I-MAN-1, I-COMPACT-2, I-GC-4: a version is created once, over the newest one, and is a change that may be made.
    fn see_version(&mut self, key: &Key, version: u64, bytes: &Bytes, mode: &PutMode, now_ms: i64) {
        assert!(matches!(mode, PutMode::Create), "I-MAN-1: {key} is not written by put-if-absent");
        if version < self.boundary {
            return; // nobody believes it
        }
        let old = self.newest.clone();
        assert_eq!(version, old.version + 1, "I-MAN-1: not upon the newest");
        let new = self.decode(version, bytes);
        assert!(new.follows(&old), "I-MAN-1: {version} does not follow its predecessor");
        assert!(new.orphan_boundary >= old.orphan_boundary, "I-GC-4: the orphan boundary falls");
        for live in new.blocks.iter().filter(|live| old.block(live.id).is_none()) {
            let id = live.id;
            assert!(old.orphan_boundary.is_none_or(|boundary| id >= boundary), "I-GC-4: {id} lies below the boundary");
            assert!(self.ever_live.insert(id), "{id} was live before");
            self.assert_whole(id);
        }
        for gone in old.blocks.iter().filter(|live| new.block(live.id).is_none()) {
            assert!(new.retired.iter().any(|it| it.id == gone.id), "{} is neither live nor retired", gone.id);
            self.retired_ms.insert(gone.id, now_ms);
        }
        for gone in old.retired.iter().filter(|old| !new.retired.iter().any(|it| it.id == old.id)) {
            let meta = self.block_key(gone.id, "meta.json");
            assert!(!self.objects.contains_key(&meta), "{} is forgotten and there", gone.id);
        }
        for entry in old.through.entries() {
            let reached = new.through.reached(entry.log_id, entry.partition, entry.range);
            assert!(reached >= entry.to, "I-COVER-1: {entry:?} is forgotten");
        }
        let total = total(&new);
        assert!(
            self.totals.is_empty() || self.totals.contains(&total),
            "I-COMPACT-3, I-SHIP-3: version {version} by {} holds something else than was acknowledged",
            new.author
        );
        self.newest = Arc::new(new);
    }

    /// I-MAN-4
    fn see_trim(&mut self, bytes: &Bytes) {
        let boundary = std::str::from_utf8(bytes).unwrap().parse().unwrap();
        assert!(boundary >= self.boundary, "I-MAN-4: the boundary falls from {} to {boundary}", self.boundary);
        assert!(boundary <= self.newest.version, "I-MAN-4: the boundary {boundary} is above the newest version");
        self.boundary = boundary;
    }

    /// I-SHIP-2; `meta.json` comes last.
    fn see_put(&mut self, id: BlockId, file: &str, key: &Key, bytes: &Bytes, mode: &PutMode) {
        if file == "deletion-mark.json" {
            assert!(matches!(mode, PutMode::Create), "a mark tells since when: it is never written again");
            assert!(self.newest.block(id).is_none(), "I-GC-1: {id} is live and marked");
            return;
        }
        match self.first.get(key) {
            // A store may keep half of what was sent, and say so or not.
            Some(first) if bytes.len() < first.len() => {
                assert!(first.starts_with(bytes), "I-SHIP-2: {key} has changed");
                assert!(self.newest.block(id).is_none(), "I-SHIP-2: {key} is live and cut short");
            }
            Some(first) if first.len() < bytes.len() && bytes.starts_with(first) => {
                self.first.insert(key.clone(), bytes.clone());
            }
            Some(first) => assert!(first == bytes, "I-SHIP-2: {key} has changed"),
            None => {
                self.first.insert(key.clone(), bytes.clone());
            }
        }
        // Of an upload that stalled for days, whose id lies below the boundary by now, a part may be gone.
        let may_become_live = self.newest.orphan_boundary.is_none_or(|boundary| id >= boundary);
        if file == "meta.json"
            && may_become_live
            && let Ok(meta) = BlockMeta::parse(bytes)
        {
            for (path, _) in files(&meta) {
                let other = self.block_key(id, &path);
                assert!(self.objects.contains_key(&other), "{key} comes before {path}");
            }
        }
    }

    /// I-GC-1, I-GC-2, I-GC-3, I-GC-4; `meta.json` goes first, the mark last.
    fn see_delete(&self, id: BlockId, file: &str, key: &Key, now_ms: i64) {
        assert!(self.newest.block(id).is_none(), "I-GC-1: {key} is live");
        match self.retired_ms.get(&id) {
            Some(since_ms) => {
                assert!(now_ms - since_ms >= self.retired_delay_ms, "I-GC-3: {key} is deleted {} ms early", {
                    self.retired_delay_ms - (now_ms - since_ms)
                });
            }
            None => {
                assert!(is_tagged(id), "I-GC-2: {key} is not ours");
                let is_below = self.newest.orphan_boundary.is_some_and(|boundary| id < boundary);
                assert!(is_below, "I-GC-4: {key} may still become live");
            }
        }
        let is_there = |file: &str| self.objects.contains_key(&self.block_key(id, file));
        assert!(file == "meta.json" || !is_there("meta.json"), "{key} goes before meta.json");
        if file == "deletion-mark.json" {
            let folder = self.block_key(id, "");
            let left = self.objects.keys().filter(|other| other.prefix_matches(&folder)).count();
            assert_eq!(left, 1, "{key} goes before others");
        }
    }

    fn assert_whole(&self, id: BlockId) {
        let meta = self.objects.get(&self.block_key(id, "meta.json")).expect("a live block has a meta.json");
        let meta = BlockMeta::parse(meta).expect("which can be read");
        for (path, size_bytes) in files(&meta) {
            let found = self.objects.get(&self.block_key(id, &path)).map(|bytes| bytes.len() as u64);
            assert_eq!(found, Some(size_bytes), "I-COMPACT-2: {path} of {id}, which becomes live");
        }
    }

    fn block_key(&self, id: BlockId, file: &str) -> Key {
        Key::from(format!("{}/{id}/{file}", self.tenant))
    }

    fn decode(&self, version: u64, bytes: &Bytes) -> Manifest {
        let alone = InMemory::new();
        let key = Key::from(format!("{}/_longhaul/manifest/{version:020}", self.tenant));
        alone.put(&key, bytes.clone().into()).now_or_never().expect("memory does not wait").unwrap();
        let store = TenantStore::new(Store::new(Arc::new(alone), "").unwrap(), self.tenant.clone());
        store.load_version(version).now_or_never().expect("memory does not wait").unwrap()
    }
}

/// The files that a block says it has, with their sizes in bytes.
fn files(meta: &BlockMeta) -> Vec<(String, u64)> {
    let files = meta.thanos.iter().flat_map(|thanos| &thanos.files);
    files.filter_map(|file| Some((file.rel_path.clone(), file.size_bytes?))).collect()
}

fn total(manifest: &Manifest) -> ContentHash {
    manifest.blocks.iter().fold(ContentHash::default(), |sum, live| sum.plus(live.content_hash))
}
