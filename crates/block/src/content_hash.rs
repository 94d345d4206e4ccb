//! A hash of what a block holds that does not depend on how it is laid out.
//!
//! The hash of a set of samples is the sum, modulo 2^128, of one 128-bit XXH3 hash a sample, taken over
//! (series hash, time, value, start), little endian; the series hash is the 128-bit XXH3 of the labels' canonical
//! section (`model::LabelSection`), the value its canonical form (`model::Value::canonical`), of a float its bits; the
//! start is left out where it is not known. So the order of samples, their chunks and their blocks do not matter, and
//! what a merge drops can be subtracted: the accounts of a merge hold if the hashes of what came in equal the hash of
//! what went out plus the hash of what was dropped.
//!
//! A chunk of aggregates counts as one item: hash over (series hash, encoding, bytes). Merges pass such chunks on as
//! they are.

use longhaul_chunk::Chunk;
use longhaul_model::{LabelSection, Labels, Measurement};
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

    /// The hash of one float sample; `start_ms` 0 is none.
    pub fn of_float(self, t_ms: i64, start_ms: i64, value: f64) -> ContentHash {
        let mut bytes = [0; 40];
        bytes[..16].copy_from_slice(&self.0.to_le_bytes());
        bytes[16..24].copy_from_slice(&t_ms.to_le_bytes());
        bytes[24..32].copy_from_slice(&value.to_bits().to_le_bytes());
        bytes[32..].copy_from_slice(&start_ms.to_le_bytes());
        ContentHash(if start_ms == 0 { xxh3_128(&bytes[..32]) } else { xxh3_128(&bytes) })
    }

    /// The hash of one sample of any kind; `scratch` is overwritten.
    pub fn of_any(self, sample: &Measurement, scratch: &mut Vec<u8>) -> ContentHash {
        scratch.clear();
        scratch.extend_from_slice(&self.0.to_le_bytes());
        scratch.extend_from_slice(&sample.t_ms.to_le_bytes());
        sample.value.canonical(scratch);
        if sample.start_ms != 0 {
            scratch.extend_from_slice(&sample.start_ms.to_le_bytes());
        }
        ContentHash(xxh3_128(scratch))
    }

    /// The hash of a chunk of aggregates.
    pub fn of_aggregates(self, chunk: &Chunk) -> ContentHash {
        let item = xxh3_128_with_seed(&chunk.data, chunk.encoding.byte().into()) ^ self.0;
        ContentHash(xxh3_128(&item.to_le_bytes()))
    }
}

impl ContentHash {
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
    use longhaul_model::Value;

    #[test]
    fn order_does_not_matter_and_everything_else_does() {
        let (a, b) = (Labels::from_pairs([("a", "1")]), Labels::from_pairs([("a", "2")]));
        let mut scratch = Vec::new();
        let (a, b) = (SeriesHash::of(&a, &mut scratch), SeriesHash::of(&b, &mut scratch));
        let sum = |items: &[(SeriesHash, i64, f64)]| {
            let hashes = items.iter().map(|(series, t_ms, value)| series.of_float(*t_ms, 0, *value));
            hashes.fold(ContentHash::default(), ContentHash::plus)
        };
        let both = sum(&[(a, 1, 2.0), (b, 1, 2.0)]);
        assert_eq!(both, sum(&[(b, 1, 2.0), (a, 1, 2.0)]));
        assert_eq!(both.minus(sum(&[(b, 1, 2.0)])), sum(&[(a, 1, 2.0)]));
        for other in [[(a, 1, 2.0), (b, 2, 2.0)], [(a, 1, 2.0), (b, 1, 2.5)], [(a, 1, 2.0), (a, 1, 2.0)]] {
            assert_ne!(both, sum(&other));
        }
        assert_ne!(sum(&[(a, 1, 0.0)]), sum(&[(a, 1, -0.0)]));
        for (start_ms, value) in [(0, -0.0), (1, 2.0)] {
            let float = Measurement { t_ms: 1, start_ms, value: Value::Float(value) };
            assert_eq!(a.of_any(&float, &mut scratch), a.of_float(1, start_ms, value));
        }
        assert_ne!(a.of_float(1, 0, 2.0), a.of_float(1, 1, 2.0));
        let json = serde_json::to_string(&both).unwrap();
        assert_eq!(serde_json::from_str::<ContentHash>(&json).unwrap(), both);
        assert!(serde_json::from_str::<ContentHash>("\"+0000000000000000000000000000001\"").is_err());
    }
}
