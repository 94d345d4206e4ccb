//! One series: who it is and what it holds.

use crate::samples::Samples;
use crate::{Head, SeriesKey};
use longhaul_model::Labels;
use parking_lot::Mutex;
use std::sync::atomic::AtomicU32;

/// One series of a head.
#[derive(Debug)]
pub struct Series {
    key: SeriesKey,
    labels: Box<[(u32, u32)]>,
    id: u32,
    number: u32,
    /// Its place in label order among the series that have one; see [`crate::order`].
    pub(crate) rank: AtomicU32,
    pub(crate) samples: Mutex<Samples>,
}

/// The rank of a series that has not got one yet.
pub(crate) const UNRANKED: u32 = u32::MAX;

const _: () = assert!(size_of::<Series>() <= 144, "there are millions of series; with its counters one is 160 bytes");

impl Series {
    pub(crate) fn new(key: SeriesKey, id: u32, number: u32, labels: Box<[(u32, u32)]>) -> Self {
        Self { key, labels, id, number, rank: AtomicU32::new(UNRANKED), samples: Mutex::new(Samples::new()) }
    }

    /// Its identity.
    pub fn key(&self) -> SeriesKey {
        self.key
    }

    /// Its number in the head's postings: rising in order of creation, never reused within the head.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Its number in the process: dense over all heads, never reused.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Its labels as pairs of symbols (name, value) in order of the names; [`Head::symbol`] has the texts.
    pub fn label_symbols(&self) -> &[(u32, u32)] {
        &self.labels
    }

    /// Its labels. `head` is the head that the series belongs to.
    pub fn labels(&self, head: &Head) -> Labels {
        head.index.read().labels(self.label_symbols())
    }

    /// The time of its newest sample, ms, as far as that is known: of a series that has come back into memory only once it
    /// has a sample again. `i64::MIN` before.
    pub fn newest_ms(&self) -> i64 {
        self.samples.lock().newest_ms
    }

    /// What it takes in memory beside its chunks.
    pub(crate) fn heap_bytes(&self) -> usize {
        size_of::<Self>() + 16 + size_of_val(&*self.labels)
    }
}
