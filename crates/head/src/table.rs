//! The series of a head by their keys: small in one piece, sharded once it has grown.
//!
//! Many threads find, one at a time inserts or removes (whoever holds the index for writing).

use crate::{Series, SeriesKey};
use hashbrown::HashTable;
use parking_lot::RwLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

#[derive(Debug, Default)]
pub(crate) struct Table {
    /// Everything, until it moves to `shards`; empty from then on.
    whole: Shard,
    shards: OnceLock<Box<[Shard; SHARDS]>>,
    heap_bytes: AtomicUsize,
}

type Shard = RwLock<HashTable<Arc<Series>>>;

/// As many as keep request threads of a big machine out of each other's way.
const SHARDS: usize = 64;

/// Below this there is no contention that could be worth 64 empty tables in each of ten thousand tenants.
const WHOLE_SERIES_MAX: usize = 1024;

impl Table {
    pub(crate) fn find(&self, key: SeriesKey) -> Option<Arc<Series>> {
        if let Some(shards) = self.shards.get() {
            return probe(shard(shards, key), key);
        }
        // What was not found may have moved just now: the move is published before `whole` is emptied.
        probe(&self.whole, key).or_else(|| probe(shard(self.shards.get()?, key), key))
    }

    /// Inserts a series whose key is not there. One thread at a time.
    pub(crate) fn insert(&self, series: Arc<Series>) {
        if self.shards.get().is_none() && self.whole.read().len() >= WHOLE_SERIES_MAX {
            self.split();
        }
        let mut table = self.home(series.key()).write();
        let before = table.allocation_size();
        table.insert_unique(series.key().lo, series, |series| series.key().lo);
        self.heap_bytes.fetch_add(table.allocation_size() - before, Ordering::Relaxed);
    }

    /// Removes the series with that key if `accept` says so; nobody can find it while `accept` runs. One thread at a
    /// time.
    pub(crate) fn remove_if(&self, key: SeriesKey, accept: impl FnOnce(&Arc<Series>) -> bool) -> Option<Arc<Series>> {
        let mut table = self.home(key).write();
        let entry = table.find_entry(key.lo, |series| series.key() == key).ok()?;
        accept(entry.get()).then(|| entry.remove().0)
    }

    /// Gives back the room that removed series have left. One thread at a time.
    pub(crate) fn shrink(&self) {
        for shard in self.shards.get().into_iter().flat_map(|shards| shards.iter()).chain([&self.whole]) {
            let mut table = shard.write();
            if table.len() * 4 < table.capacity() {
                let before = table.allocation_size();
                let room = table.len() * 2;
                table.shrink_to(room, |series| series.key().lo);
                self.heap_bytes.fetch_sub(before - table.allocation_size(), Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.heap_bytes.load(Ordering::Relaxed)
    }

    fn home(&self, key: SeriesKey) -> &Shard {
        self.shards.get().map_or(&self.whole, |shards| shard(shards, key))
    }

    fn split(&self) {
        let shards: Box<[Shard; SHARDS]> = Box::new(std::array::from_fn(|_| Shard::default()));
        for series in self.whole.read().iter() {
            shard(&shards, series.key()).write().insert_unique(series.key().lo, series.clone(), |it| it.key().lo);
        }
        let moved: usize = shards.iter().map(|shard| shard.read().allocation_size()).sum();
        self.heap_bytes.store(moved + size_of::<[Shard; SHARDS]>(), Ordering::Relaxed);
        assert!(self.shards.set(shards).is_ok(), "one thread at a time inserts");
        *self.whole.write() = HashTable::new();
    }
}

fn shard(shards: &[Shard; SHARDS], key: SeriesKey) -> &Shard {
    &shards[key.hi as usize % SHARDS]
}

fn probe(table: &Shard, key: SeriesKey) -> Option<Arc<Series>> {
    table.read().find(key.lo, |series| series.key() == key).cloned()
}
