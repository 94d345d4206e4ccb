//! The bytes of a manifest: a header with magic, format version and checksum, then JSON in zstd. Layout and reasons:
//! docs/formats/manifest.md.
//!
//! A format version says everything: fields that it does not name are refused, since a program that carried a field
//! along without understanding it could commit a version that breaks what the field promises.

use super::{Deletion, LiveBlock, Manifest, Place, QuarantinedBlock, RetiredBlock, Through};
use crate::commit::OperationId;
use crate::error::{BucketError, Result};
use bytes::Bytes;
use longhaul_block::{ContentHash, Coverage};
use longhaul_model::{BlockId, LogId, MatchOp, Matcher, TimeRange, Tombstone};
use object_store::path::Path as Key;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::Read;
use std::sync::Arc;

/// First bytes of a manifest object.
const MAGIC: &[u8; 7] = b"LHMANIF";
/// The format that this program writes.
const FORMAT: u8 = 2;
/// The oldest format that it reads.
const FORMAT_MIN: u8 = 1;
/// Magic, format, and the first 8 bytes of the SHA-256 of what follows.
const HEADER_BYTES: usize = 16;
/// Largest JSON that is unpacked, bytes: a million blocks.
const JSON_BYTES_MAX: u64 = 512 << 20;
/// Beyond this level zstd takes several times as long for a few per cent.
const ZSTD_LEVEL: i32 = 9;

impl Manifest {
    /// The object of this version, after which [`Manifest::hash`] is its hash.
    pub(crate) fn encode(&mut self) -> Bytes {
        let json = serde_json::to_vec(&Document::from(&*self)).expect("a manifest is plain data with text keys");
        let packed = zstd::bulk::compress(&json, ZSTD_LEVEL).expect("zstd compresses any bytes");
        let mut bytes = Vec::with_capacity(HEADER_BYTES + packed.len());
        bytes.extend_from_slice(MAGIC);
        bytes.push(FORMAT);
        bytes.extend_from_slice(&Sha256::digest(&packed)[..8]);
        bytes.extend_from_slice(&packed);
        self.hash = Sha256::digest(&bytes).into();
        bytes.into()
    }

    /// Reads the object at `key`, which must hold `version`.
    pub(crate) fn decode(key: &Key, version: u64, bytes: &[u8]) -> Result<Self> {
        let corrupt = |reason: String| BucketError::corrupt(key, reason);
        let (header, packed) = bytes.split_at_checked(HEADER_BYTES).ok_or_else(|| corrupt("it is too short".into()))?;
        if &header[..7] != MAGIC {
            return Err(corrupt("it does not begin like a manifest".into()));
        }
        let format = header[7];
        if !(FORMAT_MIN..=FORMAT).contains(&format) {
            let reason = format!("format {format}, this program reads {FORMAT_MIN} to {FORMAT}");
            return Err(BucketError::Unsupported { key: key.clone(), reason: reason.into() });
        }
        if header[8..] != Sha256::digest(packed)[..8] {
            return Err(corrupt("checksum mismatch".into()));
        }
        let mut json = Vec::new();
        zstd::Decoder::with_buffer(packed)
            .and_then(|decoder| decoder.take(JSON_BYTES_MAX + 1).read_to_end(&mut json))
            .map_err(|error| corrupt(format!("zstd: {error}")))?;
        if json.len() as u64 > JSON_BYTES_MAX {
            return Err(corrupt(format!("its content is larger than {JSON_BYTES_MAX} bytes")));
        }
        let document = match format {
            1 => serde_json::from_slice(&json).map(Document::<Block1, Retired1>::upgrade),
            _ => serde_json::from_slice(&json),
        };
        let document: Document = document.map_err(|error| corrupt(error.to_string()))?;
        let mut manifest = document.into_manifest().map_err(corrupt)?;
        if manifest.version != version {
            return Err(corrupt(format!("it says that it is version {}", manifest.version)));
        }
        manifest.hash = Sha256::digest(bytes).into();
        Ok(manifest)
    }
}

/// The JSON. Rows are arrays; logs are numbered by their place in `logs`; the end of a range is given as its
/// distance from the start, in wrapping 64-bit arithmetic. What differs between formats is a parameter.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<Block = BlockRow, Retired = RetiredRow> {
    version: u64,
    previous: Hex,
    author: String,
    operation: OperationId,
    logs: Vec<LogId>,
    blocks: Vec<Block>,
    retired: Vec<Retired>,
    quarantined: Vec<(Id, i64, String)>,
    deletions: Vec<DeletionRow>,
    through: Vec<(u32, u32, Span, u64)>,
    orphan_boundary: Option<Id>,
}

/// id, range, level, resolution, sources (none: itself), coverage, bytes, series, samples, content hash, format, place.
type BlockRow = (Id, Span, u32, i64, Vec<Id>, Vec<CoverageRow>, u64, u64, u64, ContentHash, u32, PlaceNumber);
/// id, since, ids that took its place, place.
type RetiredRow = (Id, i64, Vec<Id>, PlaceNumber);
/// A live block in format 1: in its tenant's folder.
type Block1 = (Id, Span, u32, i64, Vec<Id>, Vec<CoverageRow>, u64, u64, u64, ContentHash, u32);
/// A retired one.
type Retired1 = (Id, i64, Vec<Id>);
/// log, partition, range (its start as the distance from the block's), from, distance of `to` from `from`.
type CoverageRow = (u32, u32, Span, u64, u64);
/// id, matchers, range, log, partition, offset, since, blocks.
type DeletionRow = (OperationId, Vec<MatcherRow>, Span, u32, u32, u64, i64, Vec<Id>);
/// name, op, value.
type MatcherRow = (String, String, String);

/// 0 is the tenant's folder, 1 the store's uppermost.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
struct PlaceNumber(Place);

/// Start, length.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Span(i64, i64);

/// A ULID as text.
#[derive(Clone, Copy)]
struct Id(BlockId);

/// A SHA-256 as text.
struct Hex([u8; 32]);

impl Span {
    fn of(range: TimeRange) -> Self {
        Self(range.start_ms, range.end_ms.wrapping_sub(range.start_ms))
    }

    fn range(self) -> TimeRange {
        TimeRange::new(self.0, self.0.wrapping_add(self.1))
    }

    /// The same with its start counted from `origin_ms`.
    fn relative_to(self, origin_ms: i64) -> Self {
        Self(self.0.wrapping_sub(origin_ms), self.1)
    }

    fn absolute(self, origin_ms: i64) -> Self {
        Self(self.0.wrapping_add(origin_ms), self.1)
    }
}

impl From<&Manifest> for Document {
    fn from(manifest: &Manifest) -> Self {
        let mut logs: Vec<LogId> = (manifest.blocks.iter().flat_map(|block| &block.coverage))
            .map(|coverage| coverage.log_id)
            .chain(manifest.through.entries().iter().map(|entry| entry.log_id))
            .chain(manifest.deletions.iter().map(|deletion| deletion.log_id))
            .collect();
        logs.sort_unstable();
        logs.dedup();
        let number = |log_id: LogId| logs.binary_search(&log_id).expect("every log was collected above") as u32;
        let blocks = manifest.blocks.iter().map(|block| block_row(block, number)).collect();
        let retired = (manifest.retired.iter())
            .map(|block| (Id(block.id), block.since_ms, to_ids(&block.replaced_by), PlaceNumber(block.place)))
            .collect();
        let quarantined =
            (manifest.quarantined.iter()).map(|block| (Id(block.id), block.since_ms, block.reason.clone())).collect();
        let deletions = (manifest.deletions.iter())
            .map(|deletion| {
                let Deletion { id, tombstone, log_id, partition, offset, since_ms, blocks } = deletion;
                let matchers = tombstone.matchers.iter().map(matcher_row).collect();
                let (span, log) = (Span::of(tombstone.range), number(*log_id));
                (*id, matchers, span, log, *partition, *offset, *since_ms, to_ids(blocks))
            })
            .collect();
        let through = (manifest.through.entries().iter())
            .map(|entry| (number(entry.log_id), entry.partition, Span::of(entry.range), entry.to))
            .collect();
        Self {
            version: manifest.version,
            previous: Hex(manifest.previous_hash),
            author: manifest.author.clone(),
            operation: manifest.operation,
            blocks,
            retired,
            quarantined,
            deletions,
            through,
            orphan_boundary: manifest.orphan_boundary.map(Id),
            logs,
        }
    }
}

fn block_row(block: &LiveBlock, number: impl Fn(LogId) -> u32) -> BlockRow {
    let sources = if block.sources == [block.id] { Vec::new() } else { to_ids(&block.sources) };
    let coverage = (block.coverage.iter())
        .map(|coverage| {
            let span = Span::of(coverage.range).relative_to(block.range.start_ms);
            let length = coverage.to.wrapping_sub(coverage.from);
            (number(coverage.log_id), coverage.partition, span, coverage.from, length)
        })
        .collect();
    let (id, span, hash) = (Id(block.id), Span::of(block.range), block.content_hash);
    let LiveBlock { level, resolution_ms, size_bytes, series, samples, format, place, .. } = *block;
    let place = PlaceNumber(place);
    (id, span, level, resolution_ms, sources, coverage, size_bytes, series, samples, hash, format, place)
}

fn matcher_row(matcher: &Matcher) -> MatcherRow {
    (matcher.name.clone(), matcher.op.to_string(), matcher.value.clone())
}

fn matcher((name, op, value): MatcherRow) -> Result<Matcher, String> {
    let ops = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];
    let op = ops.into_iter().find(|known| known.to_string() == op).ok_or_else(|| format!("{op} compares nothing"))?;
    Matcher::new(name, op, value).map_err(|error| error.to_string())
}

impl Document<Block1, Retired1> {
    fn upgrade(self) -> Document {
        let place = PlaceNumber(Place::Tenant);
        let block = |(id, span, level, resolution, sources, coverage, bytes, series, samples, hash, format): Block1| {
            (id, span, level, resolution, sources, coverage, bytes, series, samples, hash, format, place)
        };
        Document {
            version: self.version,
            previous: self.previous,
            author: self.author,
            operation: self.operation,
            logs: self.logs,
            blocks: self.blocks.into_iter().map(block).collect(),
            retired: self.retired.into_iter().map(|(id, since_ms, by)| (id, since_ms, by, place)).collect(),
            quarantined: self.quarantined,
            deletions: self.deletions,
            through: self.through,
            orphan_boundary: self.orphan_boundary,
        }
    }
}

impl Document {
    fn into_manifest(self) -> Result<Manifest, String> {
        let log = |number: u32| {
            self.logs.get(number as usize).copied().ok_or_else(|| format!("there is no log with number {number}"))
        };
        let mut through = Through::default();
        for (number, partition, span, to) in self.through {
            through.raise(log(number)?, partition, span.range(), to);
        }
        let deletions = (self.deletions.into_iter())
            .map(|(id, matchers, span, number, partition, offset, since_ms, blocks)| {
                let log_id = log(number)?;
                let matchers = matchers.into_iter().map(matcher).collect::<Result<_, String>>()?;
                let tombstone = Arc::new(Tombstone { matchers, range: span.range() });
                Ok(Deletion { id, tombstone, log_id, partition, offset, since_ms, blocks: from_ids(blocks) })
            })
            .collect::<Result<_, String>>()?;
        let blocks = (self.blocks.into_iter())
            .map(|row| {
                let (id, span, level, resolution_ms, sources, coverage, size_bytes, series, samples, hash, format, at) =
                    row;
                let coverage = (coverage.into_iter())
                    .map(|(number, partition, coverage_span, from, length)| {
                        let range = coverage_span.absolute(span.0).range();
                        Ok(Coverage { log_id: log(number)?, partition, range, from, to: from.wrapping_add(length) })
                    })
                    .collect::<Result<_, String>>()?;
                Ok(LiveBlock {
                    id: id.0,
                    place: at.0,
                    range: span.range(),
                    level,
                    resolution_ms,
                    sources: if sources.is_empty() { vec![id.0] } else { from_ids(sources) },
                    coverage,
                    size_bytes,
                    series,
                    samples,
                    content_hash: hash,
                    format,
                })
            })
            .collect::<Result<_, String>>()?;
        let retired = (self.retired.into_iter())
            .map(|(id, since_ms, by, place)| RetiredBlock {
                id: id.0,
                place: place.0,
                since_ms,
                replaced_by: from_ids(by),
            })
            .collect();
        let quarantined = (self.quarantined.into_iter())
            .map(|(id, since_ms, reason)| QuarantinedBlock { id: id.0, since_ms, reason })
            .collect();
        Ok(Manifest {
            version: self.version,
            previous_hash: self.previous.0,
            author: self.author,
            operation: self.operation,
            blocks,
            retired,
            quarantined,
            deletions,
            through,
            orphan_boundary: self.orphan_boundary.map(|id| id.0),
            hash: [0; 32],
        })
    }
}

impl From<PlaceNumber> for u8 {
    fn from(place: PlaceNumber) -> Self {
        match place.0 {
            Place::Tenant => 0,
            Place::Root => 1,
        }
    }
}

impl TryFrom<u8> for PlaceNumber {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, String> {
        match number {
            0 => Ok(Self(Place::Tenant)),
            1 => Ok(Self(Place::Root)),
            other => Err(format!("there is no place with number {other}")),
        }
    }
}

fn to_ids(ids: &[BlockId]) -> Vec<Id> {
    ids.iter().copied().map(Id).collect()
}

fn from_ids(ids: Vec<Id>) -> Vec<BlockId> {
    ids.into_iter().map(|id| id.0).collect()
}

impl Serialize for Id {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        BlockId::from_string(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Hex {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let mut hash = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(serde::de::Error::custom("a SHA-256 is 64 hexadecimal digits"));
        }
        for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(serde::de::Error::custom)?;
            *byte = u8::from_str_radix(digits, 16).map_err(serde::de::Error::custom)?;
        }
        Ok(Self(hash))
    }
}
