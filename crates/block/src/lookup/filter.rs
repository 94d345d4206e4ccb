//! A split-block Bloom filter over (name, value) pairs: a block that lacks a label says so without a read.
//!
//! Blocks of 256 bits as eight words; a key sets one bit in each word of one block. About twelve bits a key, which
//! lets some 0.5 % of absent pairs pass.

use xxhash_rust::xxh3::Xxh3;

const BLOCK_BYTES: usize = 32;
const BITS_PER_KEY: usize = 12;

/// Odd multipliers that pick a bit in each of the eight words (those of the Parquet format's filter).
const SALTS: [u32; 8] =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// Builds the filter of a known number of pairs.
pub struct FilterBuilder(Vec<u8>);

impl FilterBuilder {
    /// An empty filter for `keys` pairs.
    pub fn new(keys: usize) -> Self {
        Self(vec![0; (keys * BITS_PER_KEY).div_ceil(BLOCK_BYTES * 8) * BLOCK_BYTES])
    }

    /// Adds a pair.
    pub fn insert(&mut self, name: &str, value: &str) {
        let (block, low) = place(self.0.len(), name, value);
        for (word, salt) in SALTS.iter().enumerate() {
            let bit = low.wrapping_mul(*salt) >> 27;
            self.0[block + word * 4 + bit as usize / 8] |= 1 << (bit % 8);
        }
    }

    /// The filter's bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Whether a filter's length is one that can be read.
pub fn is_valid(filter: &[u8]) -> bool {
    filter.len().is_multiple_of(BLOCK_BYTES)
}

/// Whether the pair may be in the set; `false` is certain.
pub fn may_contain(filter: &[u8], name: &str, value: &str) -> bool {
    if filter.is_empty() {
        return false;
    }
    let (block, low) = place(filter.len(), name, value);
    SALTS.iter().enumerate().all(|(word, salt)| {
        let bit = low.wrapping_mul(*salt) >> 27;
        filter[block + word * 4 + bit as usize / 8] & 1 << (bit % 8) != 0
    })
}

/// Offset of the pair's block, and the half of the hash that picks its bits. `filter_bytes` is not 0.
fn place(filter_bytes: usize, name: &str, value: &str) -> (usize, u32) {
    let mut hasher = Xxh3::new();
    hasher.update(name.as_bytes());
    hasher.update(&[0xff]); // no byte of a UTF-8 text
    hasher.update(value.as_bytes());
    let hash = hasher.digest();
    let blocks = (filter_bytes / BLOCK_BYTES) as u64;
    ((((hash >> 32) * blocks) >> 32) as usize * BLOCK_BYTES, hash as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_inserted_is_found_and_little_else() {
        let mut builder = FilterBuilder::new(10_000);
        (0..10_000).for_each(|i| builder.insert("pod", &format!("pod-{i}")));
        let filter = builder.into_bytes();
        assert!(is_valid(&filter));
        assert!((0..10_000).all(|i| may_contain(&filter, "pod", &format!("pod-{i}"))));
        let wrong = (0..10_000).filter(|i| may_contain(&filter, "instance", &format!("pod-{i}"))).count();
        assert!(wrong < 150, "{wrong} of 10000 absent pairs pass");
        assert!(!may_contain(&FilterBuilder::new(0).into_bytes(), "a", "b"));
    }
}
