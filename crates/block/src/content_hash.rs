//! A hash of what a block holds that does not depend on how it is laid out.
//!
//! The hash of a set of samples is the sum, modulo 2^128, of one 128-bit XXH3 hash a sample, taken over
//! (series hash, time, value bits), each little endian; the series hash is the 128-bit XXH3 of the labels' canonical
//! section (`model::LabelSection`). So the order of samples, their chunks and their blocks do not matter, and what a
//! merge drops can be subtracted: the accounts of a merge hold if the hashes of what came in equal the hash of what
//! went out plus the hash of what was dropped.
//!
//! A chunk that holds no plain floats (histograms, aggregates) counts as one item: hash over (series hash, encoding,
//! bytes). Merges pass such chunks on as they are.

use longhaul_chunk::{Chunk, Columns};
use longhaul_model::{LabelSection, Labels};
use xxhash_rust::xxh3::{xxh3_128, xxh3_128_with_seed};

/// The order-independent hash of a multiset of samples. Written as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ContentHash(pub u128);

/// What a series contributes to the hash of each of its samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeriesHash(u128);

impl SeriesHash {
    /// The hash of a label set; `scratch` is overwritten.
    pub fn of(labels: &Labels, scratch: &mut Vec<u8>) -> Self {
        scratch.clear();
        for (name, value) in labels.iter() {
            LabelSection::push(scratch, name, value);
        }
        Self(xxh3_128(scratch))
    }

    fn item(self, t_ms: i64, value: f64) -> u128 {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&self.0.to_le_bytes());
        bytes[16..24].copy_from_slice(&t_ms.to_le_bytes());
        bytes[24..].copy_from_slice(&value.to_bits().to_le_bytes());
        xxh3_128(&bytes)
    }
}

impl ContentHash {
    /// Adds one float sample.
    pub fn add_sample(&mut self, series: SeriesHash, t_ms: i64, value: f64) {
        self.0 = self.0.wrapping_add(series.item(t_ms, value));
    }

    /// Adds decoded float samples.
    pub fn add_columns(&mut self, series: SeriesHash, columns: &Columns) {
        for (t_ms, value) in columns.t_ms.iter().zip(&columns.values) {
            self.add_sample(series, *t_ms, *value);
        }
    }

    /// Adds a chunk that holds something other than floats, as one item.
    pub fn add_opaque(&mut self, series: SeriesHash, chunk: &Chunk) {
        let seed = u64::from(chunk.encoding as u8);
        let item = xxh3_128_with_seed(&chunk.data, seed) ^ series.0;
        self.0 = self.0.wrapping_add(xxh3_128(&item.to_le_bytes()));
    }

    /// The hash of both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }

    /// The hash of what is left when `other` is taken away.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.wrapping_sub(other.0))
    }
}

impl std::fmt::Display for ContentHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl serde::Serialize for ContentHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for ContentHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let value = hex.then(|| u128::from_str_radix(&text, 16).ok()).flatten();
        value.map(Self).ok_or_else(|| serde::de::Error::custom("a content hash is 32 hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_everything_else_does() {
        let (a, b) = (Labels::from_pairs([("a", "1")]), Labels::from_pairs([("a", "2")]));
        let mut scratch = Vec::new();
        let (a, b) = (SeriesHash::of(&a, &mut scratch), SeriesHash::of(&b, &mut scratch));
        let sum = |items: &[(SeriesHash, i64, f64)]| {
            let mut hash = ContentHash::default();
            items.iter().for_each(|(series, t_ms, value)| hash.add_sample(*series, *t_ms, *value));
            hash
        };
        let both = sum(&[(a, 1, 2.0), (b, 1, 2.0)]);
        assert_eq!(both, sum(&[(b, 1, 2.0), (a, 1, 2.0)]));
        assert_eq!(both.minus(sum(&[(b, 1, 2.0)])), sum(&[(a, 1, 2.0)]));
        for other in [[(a, 1, 2.0), (b, 2, 2.0)], [(a, 1, 2.0), (b, 1, 2.5)], [(a, 1, 2.0), (a, 1, 2.0)]] {
            assert_ne!(both, sum(&other));
        }
        assert_ne!(sum(&[(a, 1, 0.0)]), sum(&[(a, 1, -0.0)]));
        let json = serde_json::to_string(&both).unwrap();
        assert_eq!(serde_json::from_str::<ContentHash>(&json).unwrap(), both);
        assert!(serde_json::from_str::<ContentHash>("\"+0000000000000000000000000000001\"").is_err());
    }
}
