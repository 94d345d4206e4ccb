//! What a series is known by: its key, its number, and the secret behind the keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use xxhash_rust::xxh3::{xxh3_64_with_secret, xxh3_128_with_secret, xxh3_128_with_seed};

/// Hands out series numbers: dense in this process, over all heads, never reused.
#[derive(Debug, Default)]
pub struct Numbers(AtomicU32);

/// The secret behind [`SeriesKey`]s and symbol tables: tenants choose their labels, but not their hashes.
#[derive(Clone)]
pub struct HashSeed(Arc<[u8; SECRET_BYTES]>);

/// A series' identity within its head: the keyed 128-bit hash of its canonical label section.
///
/// Two label sets are one series if and only if their keys are equal; labels are not compared. At a billion series the
/// chance that any two of them collide is below 2^-68, and without the secret nobody can look for a collision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeriesKey {
    /// The upper half; chooses the shard.
    pub hi: u64,
    /// The lower half; chooses the place in the shard.
    pub lo: u64,
}

/// XXH3's own default length; it asks for 136 at least.
const SECRET_BYTES: usize = 192;

impl Numbers {
    /// Numbers from 0 on.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// How many numbers have been handed out: all of them lie below.
    pub fn issued(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// The next number; None when all 2^32 - 1 are spent.
    pub(crate) fn next(&self) -> Option<u32> {
        self.0.try_update(Ordering::Relaxed, Ordering::Relaxed, |next| next.checked_add(1)).ok()
    }
}

impl HashSeed {
    /// A secret stretched from 128 random bits.
    pub fn new(random: u128) -> Self {
        let mut secret = [0; SECRET_BYTES];
        for (i, part) in secret.chunks_exact_mut(16).enumerate() {
            part.copy_from_slice(&xxh3_128_with_seed(&random.to_le_bytes(), i as u64).to_le_bytes());
        }
        Self(Arc::new(secret))
    }

    pub(crate) fn key(&self, section: &[u8]) -> SeriesKey {
        let hash = xxh3_128_with_secret(section, &self.0[..]);
        SeriesKey { hi: (hash >> 64) as u64, lo: hash as u64 }
    }

    pub(crate) fn text(&self, text: &str) -> u64 {
        xxh3_64_with_secret(text.as_bytes(), &self.0[..])
    }
}

impl std::fmt::Debug for HashSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashSeed")
    }
}
