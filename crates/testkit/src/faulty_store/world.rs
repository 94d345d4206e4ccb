//! The objects themselves, the time at which they were written, and who is told of their changes.

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use longhaul_model::Clock;
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, PutResult, Result};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// Something that a call changes.
#[derive(Clone, Debug)]
pub enum Change {
    /// An object is written.
    Put {
        /// Which.
        key: Key,
        /// Its content.
        bytes: Bytes,
        /// On which condition.
        mode: PutMode,
    },
    /// An object is deleted.
    Delete {
        /// Which.
        key: Key,
    },
}

/// Is told of each change that took effect, and what was there before.
type Watcher = Box<dyn FnMut(&Change, Option<&ObjectMeta>) + Send>;

/// Objects in memory, or in another store, with a time of their own.
pub struct World {
    inner: Arc<dyn ObjectStore>,
    memory: Option<Arc<InMemory>>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Held for a change, so that watchers see changes in their order.
    turn: futures::lock::Mutex<()>,
}

#[derive(Default)]
struct State {
    modified_ms: HashMap<Key, i64>,
    /// What was there before each change, oldest first.
    past: Vec<(Key, Option<ObjectMeta>)>,
    late: Vec<Change>,
    watcher: Option<Watcher>,
}

impl Change {
    /// Which object changes.
    pub fn key(&self) -> &Key {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }

    pub(super) fn halved(self) -> Self {
        match self {
            Self::Put { key, bytes, mode } => Self::Put { key, bytes: bytes.slice(..bytes.len() / 2), mode },
            delete => delete,
        }
    }
}

impl World {
    /// Nothing yet, in memory; objects are stamped by `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Self::with(Arc::new(InMemory::new()), clock, State::default())
    }

    /// What another store holds and what is put there, stamped by `clock` from now on.
    pub fn over(inner: Arc<dyn ObjectStore>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { inner, memory: None, clock, state: Mutex::default(), turn: Default::default() })
    }

    fn with(memory: Arc<InMemory>, clock: Arc<dyn Clock>, state: State) -> Arc<Self> {
        let (state, turn) = (Mutex::new(state), Default::default());
        Arc::new(Self { inner: memory.clone(), memory: Some(memory), clock, state, turn })
    }

    /// The same objects in a world of its own, with another clock and without a watcher. Only what is in memory can be forked.
    pub fn fork(&self, clock: Arc<dyn Clock>) -> Arc<Self> {
        let memory = self.memory.as_ref().expect("what lies elsewhere cannot be forked");
        let modified_ms = self.state.lock().modified_ms.clone();
        Self::with(Arc::new(memory.fork()), clock, State { modified_ms, ..State::default() })
    }

    /// Tells `watcher` of every change from now on; it panics at what is not allowed.
    pub fn watch(&self, watcher: impl FnMut(&Change, Option<&ObjectMeta>) + Send + 'static) {
        self.state.lock().watcher = Some(Box::new(watcher));
    }

    /// Lets the changes take effect that were late, as far as their conditions hold; how many there were.
    pub async fn land(&self) -> usize {
        let late = std::mem::take(&mut self.state.lock().late);
        let count = late.len();
        for change in late {
            let _ = self.apply(change, 0).await;
        }
        count
    }

    /// All objects by their keys.
    pub async fn contents(&self) -> BTreeMap<Key, Bytes> {
        let mut contents = BTreeMap::new();
        for meta in self.listing(None).await.expect("listing what is in memory does not fail") {
            let bytes = async { self.inner.get(&meta.location).await?.bytes().await }.await;
            contents.insert(meta.location, bytes.expect("what is listed is there"));
        }
        contents
    }

    pub(super) fn inner(&self) -> &Arc<dyn ObjectStore> {
        &self.inner
    }

    pub(super) fn defer(&self, change: Change) {
        self.state.lock().late.push(change);
    }

    pub(super) async fn apply(&self, change: Change, skew_ms: i64) -> Result<PutResult> {
        let _turn = self.turn.lock().await;
        let key = change.key().clone();
        let before = self.inner.head(&key).await.ok().map(|meta| self.stamped(meta));
        let done = match &change {
            Change::Put { bytes, mode, .. } => {
                let payload = PutPayload::from(bytes.clone());
                self.inner.put_opts(&key, payload, PutOptions::from(mode.clone())).await?
            }
            Change::Delete { .. } => {
                if before.is_some() {
                    self.inner.delete(&key).await?;
                }
                PutResult { e_tag: None, version: None, extensions: Default::default() }
            }
        };
        let state = &mut *self.state.lock();
        match &change {
            Change::Put { .. } => {
                state.modified_ms.insert(key.clone(), self.clock.now_ms().saturating_add(skew_ms));
            }
            Change::Delete { .. } if before.is_none() => return Ok(done),
            Change::Delete { .. } => {
                state.modified_ms.remove(&key);
            }
        }
        if let Some(watcher) = &mut state.watcher {
            watcher(&change, before.as_ref());
        }
        state.past.push((key, before));
        Ok(done)
    }

    /// With the time of this world instead of the inner store's.
    pub(super) fn stamped(&self, mut meta: ObjectMeta) -> ObjectMeta {
        if let Some(modified_ms) = self.state.lock().modified_ms.get(&meta.location) {
            meta.last_modified = (UNIX_EPOCH + Duration::from_millis(modified_ms.max(&0).unsigned_abs())).into();
        }
        meta
    }

    pub(super) async fn listing(&self, prefix: Option<&Key>) -> Result<Vec<ObjectMeta>> {
        let found: BoxStream<'static, Result<ObjectMeta>> = self.inner.list(prefix);
        let found: Vec<Result<ObjectMeta>> = found.collect().await;
        found.into_iter().map(|meta| meta.map(|meta| self.stamped(meta))).collect()
    }

    /// What a LIST would have shown `changes_ago`.
    pub(super) async fn old_listing(&self, prefix: Option<&Key>, changes_ago: usize) -> Result<Vec<ObjectMeta>> {
        let now = self.listing(prefix).await?;
        let mut by_key: BTreeMap<Key, ObjectMeta> = now.into_iter().map(|meta| (meta.location.clone(), meta)).collect();
        for (key, before) in self.state.lock().past.iter().rev().take(changes_ago) {
            if prefix.is_some_and(|prefix| !key.prefix_matches(prefix) || key == prefix) {
                continue;
            }
            match before {
                Some(meta) => by_key.insert(key.clone(), meta.clone()),
                None => by_key.remove(key),
            };
        }
        Ok(by_key.into_values().collect())
    }
}
