//! `tombstones`: deletions that have not been carried out yet (docs/formats/block.md). Our own blocks have an empty
//! file; those of Prometheus may not, and what is deleted there must not be seen.

use crate::cursor::{Cursor, checked, crc, push_uvarint, push_varint};
use crate::error::{BlockError, Result};
use crate::files::BlockFile;
use longhaul_chunk::{CHUNK_SAMPLES_MAX, Chunk, ChunkError, decode_any, encode};
use longhaul_model::TimeRange;
use std::collections::BTreeMap;

/// The file that this module reads.
const FILE: BlockFile = BlockFile::Tombstones;

const MAGIC: [u8; 4] = [0x01, 0x30, 0xba, 0x30];
const VERSION: u8 = 1;

/// The deleted ranges of a block's series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tombstones {
    /// By series reference of the index: ranges in rising order, disjoint.
    pub by_series: BTreeMap<u32, Vec<TimeRange>>,
}

impl Tombstones {
    /// Reads a tombstones file.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let mut header = Cursor::new(bytes, FILE, 0);
        if header.bytes(4)? != MAGIC {
            return Err(BlockError::corrupt(FILE, 0, "wrong magic number"));
        }
        let version = header.u8()?;
        if version != VERSION {
            let reason = format!("version {version}, this program reads {VERSION}").into();
            return Err(BlockError::Unsupported { file: FILE, reason });
        }
        let mut cursor = Cursor::new(checked(&bytes[header.at()..], FILE, 5)?, FILE, 5);
        let mut by_series: BTreeMap<u32, Vec<TimeRange>> = BTreeMap::new();
        while cursor.remaining() > 0 {
            let reference = cursor.uvarint_u32()?;
            let (first_ms, last_ms) = (cursor.varint()?, cursor.varint()?);
            if first_ms > last_ms {
                return Err(cursor.corrupt("a deletion ends before it begins"));
            }
            by_series.entry(reference).or_default().push(TimeRange::inclusive(first_ms, last_ms));
        }
        for ranges in by_series.values_mut() {
            *ranges = merged(std::mem::take(ranges));
        }
        Ok(Self { by_series })
    }

    /// The file's content, series in rising order. Nothing at all is 9 bytes, as Prometheus has it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut entries = Vec::new();
        for (reference, ranges) in &self.by_series {
            for range in ranges {
                push_uvarint(&mut entries, u64::from(*reference));
                push_varint(&mut entries, range.start_ms);
                push_varint(&mut entries, range.end_ms - 1);
            }
        }
        // The checksum covers the entries, not magic number and version.
        let mut bytes = [&MAGIC[..], &[VERSION], &entries].concat();
        bytes.extend_from_slice(&crc(&entries).to_be_bytes());
        bytes
    }

    /// How many deletions there are.
    pub fn len(&self) -> usize {
        self.by_series.values().map(Vec::len).sum()
    }

    /// Whether nothing is deleted.
    pub fn is_empty(&self) -> bool {
        self.by_series.is_empty()
    }
}

/// The same milliseconds as rising ranges of which no two meet.
pub(crate) fn merged(mut ranges: Vec<TimeRange>) -> Vec<TimeRange> {
    ranges.sort_unstable();
    ranges.dedup_by(|next, kept| {
        let meets = next.start_ms <= kept.end_ms;
        kept.end_ms = if meets { kept.end_ms.max(next.end_ms) } else { kept.end_ms };
        meets
    });
    ranges
}

/// Appends what is left of a chunk without the samples in `deleted`: the chunk as it is, what is left
/// written anew, or nothing. Aggregates can be deleted by whole chunks only.
pub(crate) fn mask(chunk: Chunk, deleted: &[TimeRange], out: &mut Vec<Chunk>) -> Result<(), ChunkError> {
    let bounds = TimeRange::inclusive(chunk.min_ms, chunk.max_ms);
    if !deleted.iter().any(|range| range.overlaps(&bounds)) {
        out.push(chunk);
    } else if !deleted.iter().any(|range| range.covers(&bounds)) {
        let mut samples = Vec::new();
        decode_any(&chunk, &mut samples)?;
        samples.retain(|sample| !deleted.iter().any(|range| range.contains(sample.t_ms)));
        encode(samples, CHUNK_SAMPLES_MAX, out);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use longhaul_model::Measurement;
    use longhaul_testkit::measurements::{KINDS, measurement};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_deleted_is_gone_and_nothing_else(
            times in proptest::collection::btree_set(-100i64..100, 1..60),
            cuts in proptest::collection::vec((-120i64..120, 0i64..40), 0..5),
            kind in 0..KINDS,
        ) {
            let samples: Vec<Measurement> = times.iter().map(|t_ms| measurement(*t_ms, kind, 0)).collect();
            let mut chunks = Vec::new();
            encode(samples.iter().cloned(), CHUNK_SAMPLES_MAX, &mut chunks);
            let mut tombstones = Tombstones::default();
            let ranges: Vec<_> = cuts.iter().map(|(at, length)| TimeRange::inclusive(*at, at + length)).collect();
            if !ranges.is_empty() {
                tombstones.by_series.insert(7, ranges.clone());
            }
            let tombstones = Tombstones::parse(&tombstones.to_bytes()).unwrap();
            let deleted = tombstones.by_series.get(&7).cloned().unwrap_or_default();
            prop_assert!(deleted.windows(2).all(|pair| pair[0].end_ms < pair[1].start_ms));
            let mut masked = Vec::new();
            chunks.into_iter().for_each(|chunk| mask(chunk, &deleted, &mut masked).unwrap());
            let mut left = Vec::new();
            for chunk in &masked {
                let first = left.len();
                decode_any(chunk, &mut left).unwrap();
                prop_assert_eq!((left[first].t_ms, left.last().unwrap().t_ms), (chunk.min_ms, chunk.max_ms));
            }
            let expected: Vec<_> =
                samples.into_iter().filter(|it| !ranges.iter().any(|range| range.contains(it.t_ms))).collect();
            prop_assert_eq!(left.len(), expected.len());
            for (found, expected) in left.iter().zip(&expected) {
                prop_assert_eq!((found.t_ms, found.start_ms), (expected.t_ms, expected.start_ms));
                prop_assert!(found.value.same(&expected.value));
            }
        }
    }

    #[test]
    fn an_empty_file_has_nine_bytes_and_damage_is_found() {
        let empty = Tombstones::default().to_bytes();
        assert_eq!(empty, [0x01, 0x30, 0xba, 0x30, 1, 0, 0, 0, 0]);
        assert!(Tombstones::parse(&empty).unwrap().is_empty());
        let one = Tombstones { by_series: [(3, vec![TimeRange::inclusive(i64::MIN, 5)])].into() };
        let bytes = one.to_bytes();
        assert_eq!(Tombstones::parse(&bytes).unwrap(), one);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(Tombstones::parse(&damaged).is_err(), "byte {at}");
            assert!(Tombstones::parse(&bytes[..at]).is_err(), "cut at {at}");
        }
    }
}
