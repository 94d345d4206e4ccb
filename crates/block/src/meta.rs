//! `meta.json`: what a block is, in Prometheus' words, Thanos' and ours.
//!
//! Written as Prometheus writes it (tab indentation, no newline at the end, zero statistics left out); keys that this
//! version does not know are kept and written back (formats: docs/formats/block.md).

use crate::content_hash::ContentHash;
use crate::error::{BlockError, Result};
use crate::files::BlockFile;
use longhaul_model::{BlockId, LogId, TenantId, TimeRange};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The only version of `meta.json` there is; others are refused.
pub const META_VERSION: u32 = 1;

/// The version of the `longhaul` section that this program writes, and the newest that it reads.
pub const LONGHAUL_VERSION: u32 = 1;

/// The content of `meta.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockMeta {
    /// The block's id, which is also its directory's name.
    #[serde(with = "ulid_text")]
    pub ulid: BlockId,
    /// First millisecond of the block's range.
    #[serde(rename = "minTime")]
    pub min_ms: i64,
    /// First millisecond after it.
    #[serde(rename = "maxTime")]
    pub end_ms: i64,
    /// What it holds, counted.
    #[serde(default)]
    pub stats: BlockStats,
    /// Where it comes from.
    #[serde(default)]
    pub compaction: Compaction,
    /// [`META_VERSION`].
    pub version: u32,
    /// What Thanos and Mimir say about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thanos: Option<ThanosMeta>,
    /// What Longhaul says about it; blocks of others have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longhaul: Option<LonghaulMeta>,
    /// Keys of others.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Counts of a block's content; those that are zero are not written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlockStats {
    /// Samples of any kind, stale markers included.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_samples: u64,
    /// Float samples (newer writers only).
    #[serde(skip_serializing_if = "is_zero")]
    pub num_float_samples: u64,
    /// Histogram samples (newer writers only).
    #[serde(skip_serializing_if = "is_zero")]
    pub num_histogram_samples: u64,
    /// Series.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_series: u64,
    /// Chunks.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_chunks: u64,
    /// Entries of the tombstones file.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_tombstones: u64,
    /// Keys of others.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A block's ancestry.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Compaction {
    /// 1 for a block cut from a head, one more than the highest parent's for a merged one.
    pub level: u32,
    /// All ancestors of level 1, sorted; a block of level 1 lists itself.
    #[serde(with = "ulid_texts", skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<BlockId>,
    /// Whether a compaction left nothing, so that the block may go.
    #[serde(skip_serializing_if = "is_false")]
    pub deletable: bool,
    /// What it was merged from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<Parent>,
    /// Whether a compaction of it failed.
    #[serde(skip_serializing_if = "is_false")]
    pub failed: bool,
    /// Hints of Prometheus (`from-out-of-order`, ...).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// Keys of others.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A block that another was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parent {
    /// Its id.
    #[serde(with = "ulid_text")]
    pub ulid: BlockId,
    /// First millisecond of its range.
    #[serde(rename = "minTime")]
    pub min_ms: i64,
    /// First millisecond after it.
    #[serde(rename = "maxTime")]
    pub end_ms: i64,
}

/// The `thanos` section (docs/formats/block.md).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ThanosMeta {
    /// 1, or absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// External labels.
    pub labels: BTreeMap<String, String>,
    /// Resolution.
    pub downsample: Downsample,
    /// What wrote the block.
    pub source: String,
    /// Names of the chunk files, in old blocks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub segment_files: Vec<String>,
    /// The block's files, sorted by path; `meta.json` without size.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileEntry>,
    /// Keys of others.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// How coarse a block is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Downsample {
    /// Milliseconds a window; 0 for raw samples.
    pub resolution: i64,
    /// Keys of others.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// One file of a block.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Path inside the block's directory.
    pub rel_path: String,
    /// Length, bytes; absent for `meta.json` itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// Digest of the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<FileHash>,
    /// Keys of others.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The digest of a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FileHash {
    /// `SHA256` is the only function in use.
    #[serde(rename = "hashFunc")]
    pub function: String,
    /// Hexadecimal digest.
    pub value: String,
}

/// The `longhaul` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LonghaulMeta {
    /// [`LONGHAUL_VERSION`]; newer ones are refused.
    pub version: u32,
    /// Whose data it is.
    pub tenant: TenantId,
    /// Which stretches of which logs it holds.
    #[serde(default)]
    pub coverage: Vec<Coverage>,
    /// Order-independent hash over every sample (see [`ContentHash`]).
    #[serde(default)]
    pub content_hash: ContentHash,
    /// Length of the footer and trailer of `lookup`, so that one read of the file's tail gets them; 0 if not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lookup_footer_bytes: u64,
    /// How many exemplars the block's file of them holds; without any there is no file.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub exemplars: u64,
    /// Keys of a later version that kept the number.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The block holds every sample of `range` that was accepted at an offset in `(from, to]` of a log's partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Coverage {
    /// Which log.
    pub log_id: LogId,
    /// Which partition of it.
    pub partition: u32,
    /// Of which time range.
    pub range: TimeRange,
    /// Offset before the first that is covered.
    pub from: u64,
    /// Last offset that is covered.
    pub to: u64,
}

impl LonghaulMeta {
    /// The section of a new block; the writer fills in what it knows.
    pub fn new(tenant: TenantId) -> Self {
        Self {
            version: LONGHAUL_VERSION,
            tenant,
            coverage: Vec::new(),
            content_hash: ContentHash::default(),
            lookup_footer_bytes: 0,
            exemplars: 0,
            other: Map::new(),
        }
    }
}

impl BlockMeta {
    /// The seed of a new block of level 1 with its own id as only source. An empty range (`min_ms >= end_ms`) asks
    /// the writer to take the range from the samples.
    pub fn new(ulid: BlockId, range: TimeRange) -> Self {
        Self {
            ulid,
            min_ms: range.start_ms,
            end_ms: range.end_ms,
            stats: BlockStats::default(),
            compaction: Compaction { level: 1, sources: vec![ulid], ..Compaction::default() },
            version: META_VERSION,
            thanos: None,
            longhaul: None,
            other: Map::new(),
        }
    }

    /// Reads `meta.json`. Errors: not JSON of this shape, another version, a negative range.
    pub fn parse(json: &[u8]) -> Result<Self> {
        /// Looked at first, so that a document of another version is refused as that, whatever else it holds.
        #[derive(Deserialize)]
        struct Version {
            version: i64,
        }
        let malformed = |error: serde_json::Error| BlockError::corrupt(BlockFile::Meta, 0, error.to_string());
        let unsupported = |what: &str, version: i64, known: u32| BlockError::Unsupported {
            file: BlockFile::Meta,
            reason: format!("unexpected {what} version {version}, this program reads {known}").into(),
        };
        let Version { version } = serde_json::from_slice(json).map_err(malformed)?;
        if version != i64::from(META_VERSION) {
            return Err(unsupported("meta file", version, META_VERSION));
        }
        let meta: Self = serde_json::from_slice(json).map_err(malformed)?;
        if meta.min_ms > meta.end_ms {
            return Err(BlockError::corrupt(BlockFile::Meta, 0, "minTime lies after maxTime"));
        }
        if let Some(version) = meta.thanos.as_ref().and_then(|thanos| thanos.version).filter(|version| *version > 1) {
            return Err(unsupported("thanos section", version.into(), 1));
        }
        if let Some(longhaul) = meta.longhaul.as_ref().filter(|longhaul| longhaul.version > LONGHAUL_VERSION) {
            return Err(unsupported("longhaul section", longhaul.version.into(), LONGHAUL_VERSION));
        }
        Ok(meta)
    }

    /// `meta.json` as Prometheus lays it out.
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        self.serialize(&mut serde_json::Serializer::with_formatter(&mut json, formatter))
            .expect("the keys of a BlockMeta are strings, and a Vec takes every byte");
        json
    }

    /// The block's time range.
    pub fn range(&self) -> TimeRange {
        TimeRange::new(self.min_ms, self.end_ms)
    }

    /// Milliseconds a window of a downsampled block; 0 for raw samples.
    pub fn resolution_ms(&self) -> i64 {
        self.thanos.as_ref().map_or(0, |thanos| thanos.downsample.resolution)
    }

    /// How many exemplars it has; blocks of others have none that this program reads.
    pub fn exemplars(&self) -> u64 {
        self.longhaul.as_ref().map_or(0, |longhaul| longhaul.exemplars)
    }

    /// The size of one of the block's files as the `thanos` section has it, bytes.
    pub fn file_size_bytes(&self, file: BlockFile) -> Option<u64> {
        let path = file.path();
        self.thanos.as_ref()?.files.iter().find(|entry| entry.rel_path == path)?.size_bytes
    }

    /// The labels that a reader adds to every series of the block, over labels of the same name: the external labels
    /// of a foreign block, without those that only Mimir's and Cortex' own machinery reads. Our blocks carry all
    /// their labels in the series.
    pub fn external_labels(&self) -> Vec<(&str, &str)> {
        const NOT_FOR_QUERIES: [&str; 4] = ["__org_id__", "__ingester_id__", "__compactor_shard_id__", "__shard_id__"];
        let labels = match (&self.longhaul, &self.thanos) {
            (None, Some(thanos)) => &thanos.labels,
            _ => return Vec::new(),
        };
        labels
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, value)| !value.is_empty() && !NOT_FOR_QUERIES.contains(name))
            .collect()
    }
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

fn is_false(value: &bool) -> bool {
    !*value
}

/// A ULID as its 26 characters.
mod ulid_text {
    use longhaul_model::BlockId;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(ulid: &BlockId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&ulid.to_string())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BlockId, D::Error> {
        let text = String::deserialize(deserializer)?;
        BlockId::from_string(&text).map_err(|error| serde::de::Error::custom(format!("ULID {text:?}: {error}")))
    }
}

/// A list of ULIDs.
mod ulid_texts {
    use longhaul_model::BlockId;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Text(#[serde(with = "super::ulid_text")] BlockId);

    pub fn serialize<S: Serializer>(ulids: &[BlockId], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(ulids.iter().map(|ulid| Text(*ulid)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<BlockId>, D::Error> {
        Ok(Option::<Vec<Text>>::deserialize(deserializer)?.unwrap_or_default().into_iter().map(|text| text.0).collect())
    }
}

#[cfg(test)]
mod tests;
