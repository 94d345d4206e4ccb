//! What readers of Mimir and Cortex find a tenant's blocks by: `bucket-index.json.gz`, and copies of deletion marks in
//! `markers/` (docs/formats/bucket.md).
//!
//! Both are projections of a manifest, written for others and never read by us. They may lag behind it: what they name is
//! there for as long as any reader of an old manifest may need it.

use crate::deletion::mark;
use crate::error::Result;
use crate::manifest::{Manifest, Place, RetiredBlock};
use crate::tenant_store::TenantStore;
use flate2::Compression;
use flate2::write::GzEncoder;
use longhaul_model::{BlockId, is_tagged};
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::Write;

/// The version of the index that knows of levels; Cortex' readers ignore what they do not know.
const VERSION: u32 = 2;
/// What a mark's name ends in.
const MARK: &str = "-deletion-mark.json";
/// Most objects of `markers/` that are looked at; there are two a block at most.
const MARKERS_MAX: usize = 1_000_000;

#[derive(Serialize)]
struct Index {
    version: u32,
    blocks: Vec<Block>,
    block_deletion_marks: Vec<DeletionMark>,
    /// Seconds since the epoch, as all times that are not of samples.
    updated_at: i64,
}

#[derive(Serialize)]
struct Block {
    block_id: String,
    /// Milliseconds.
    min_time: i64,
    max_time: i64,
    uploaded_at: u64,
    source: &'static str,
    compaction_level: u32,
}

#[derive(Serialize)]
struct DeletionMark {
    block_id: String,
    deletion_time: i64,
}

impl TenantStore {
    /// Writes `bucket-index.json.gz` as of a version of the manifest.
    pub async fn write_bucket_index(&self, manifest: &Manifest, now_ms: i64) -> Result<()> {
        self.store.put(&self.bucket_index_key(), bucket_index(manifest, now_ms).into()).await
    }

    /// Copies the marks of retired blocks to `markers/`, and removes those of blocks of ours that are gone.
    pub async fn mirror_deletion_marks(&self, manifest: &Manifest) -> Result<()> {
        let folder = self.markers_folder();
        let objects = self.store.list(&folder, MARKERS_MAX).await?;
        let marked: BTreeSet<BlockId> = (objects.iter())
            .filter_map(|object| BlockId::from_string(object.location.filename()?.strip_suffix(MARK)?).ok())
            .collect();
        let key = |id: BlockId| folder.clone().join(format!("{id}{MARK}"));
        for block in in_folder(manifest).filter(|block| !marked.contains(&block.id)) {
            self.store.put(&key(block.id), mark(block.id, block.since_ms, "retired").into()).await?;
        }
        let retired: BTreeSet<BlockId> = manifest.retired.iter().map(|block| block.id).collect();
        for id in marked.into_iter().filter(|id| is_tagged(*id) && !retired.contains(id)) {
            self.store.delete(&key(id)).await?;
        }
        Ok(())
    }
}

/// The object: gzip of one JSON document. Downsampled blocks are left out, since its readers cannot decode them, and so is
/// what lies outside of the tenant's folder, which they do not look at.
fn bucket_index(manifest: &Manifest, now_ms: i64) -> Vec<u8> {
    let readable = manifest.blocks.iter().filter(|block| block.place == Place::Tenant && block.resolution_ms == 0);
    let index = Index {
        version: VERSION,
        blocks: readable
            .map(|block| Block {
                block_id: block.id.to_string(),
                min_time: block.range.start_ms,
                max_time: block.range.end_ms,
                uploaded_at: block.id.timestamp_ms() / 1000,
                source: if block.format > 0 { "longhaul" } else { "" },
                compaction_level: block.level,
            })
            .collect(),
        block_deletion_marks: in_folder(manifest)
            .map(|block| DeletionMark {
                block_id: block.id.to_string(),
                deletion_time: block.since_ms.div_euclid(1000),
            })
            .collect(),
        updated_at: now_ms.div_euclid(1000),
    };
    let json = serde_json::to_vec(&index).expect("an index is plain data");
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(&json).and_then(|()| packed.finish()).expect("a Vec takes every byte")
}

fn in_folder(manifest: &Manifest) -> impl Iterator<Item = &RetiredBlock> {
    manifest.retired.iter().filter(|block| block.place == Place::Tenant)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestStore, block, hours, id};
    use crate::{Candidate, LiveBlock};
    use flate2::read::GzDecoder;
    use longhaul_block::BlockMeta;
    use longhaul_model::IdSource;
    use serde_json::{Value, json};
    use std::path::Path;

    fn read(packed: &[u8]) -> Value {
        serde_json::from_reader(GzDecoder::new(packed)).unwrap()
    }

    #[tokio::test]
    async fn what_readers_of_mimir_look_at_follows_the_manifest() {
        let tenant = TestStore::new().tenant();
        let ours = IdSource::new(|| 7).block_id(5000);
        let retired = |id, place| RetiredBlock { id, place, since_ms: 12_345, replaced_by: Vec::new() };
        let mut manifest = Manifest::default();
        manifest.blocks = vec![
            block(1, hours(0, 2)),
            LiveBlock { place: Place::Root, ..block(2, hours(0, 2)) },
            LiveBlock { resolution_ms: 300_000, ..block(3, hours(0, 2)) },
        ];
        manifest.retired =
            vec![retired(ours, Place::Tenant), retired(id(8), Place::Tenant), retired(id(9), Place::Root)];
        tenant.write_bucket_index(&manifest, 99_999).await.unwrap();
        let found = read(&tenant.store.get(&tenant.store.key("team-a/bucket-index.json.gz")).await.unwrap());
        let expected = json!({
            "version": 2,
            "updated_at": 99,
            "blocks": [{
                "block_id": id(1).to_string(), "min_time": 0, "max_time": 7_200_000, "uploaded_at": 0,
                "source": "longhaul", "compaction_level": 1,
            }],
            "block_deletion_marks": [
                { "block_id": ours.to_string(), "deletion_time": 12 },
                { "block_id": id(8).to_string(), "deletion_time": 12 },
            ],
        });
        assert_eq!(found, expected);

        let marks = async || {
            let objects = tenant.store.list(&tenant.markers_folder(), 100).await.unwrap();
            let names = objects.iter().map(|object| object.location.filename().unwrap().to_owned());
            names.collect::<BTreeSet<String>>()
        };
        tenant.mirror_deletion_marks(&manifest).await.unwrap();
        let name = |id: BlockId| format!("{id}-deletion-mark.json");
        assert_eq!(marks().await, [name(ours), name(id(8))].into());
        let mark = tenant.store.get(&tenant.markers_folder().join(name(ours))).await.unwrap();
        let mark: Value = serde_json::from_slice(&mark).unwrap();
        let expected = json!({"id": ours.to_string(), "version": 1, "details": "retired", "deletion_time": 12});
        assert_eq!(mark, expected);
        manifest.retired.clear();
        tenant.mirror_deletion_marks(&manifest).await.unwrap();
        assert_eq!(marks().await, [name(id(8))].into(), "blocks of others have masters of their own");
    }

    /// The tenant that Mimir itself has written: the same is said of the same block.
    #[test]
    fn it_says_what_mimir_says() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../../shared/conformance/fixtures/victoriametrics/mimir-tsdb/anonymous");
        if !folder.exists() {
            assert!(std::env::var_os("CI").is_none(), "{} is missing", folder.display());
            println!("skipped: {} is not here", folder.display());
            return;
        }
        let theirs = read(&std::fs::read(folder.join("bucket-index.json.gz")).unwrap());
        let id = theirs["blocks"][0]["block_id"].as_str().unwrap();
        let meta = BlockMeta::parse(&std::fs::read(folder.join(id).join("meta.json")).unwrap()).unwrap();
        let found = Candidate { meta, place: Place::Tenant, size_bytes: 0, marked_since_ms: None, fault: None };
        let manifest = Manifest::default().adopt(&[found]).manifest;
        let ours = read(&bucket_index(&manifest, theirs["updated_at"].as_i64().unwrap() * 1000));
        assert_eq!((&ours["version"], &ours["updated_at"]), (&theirs["version"], &theirs["updated_at"]));
        for key in ["block_id", "min_time", "max_time", "compaction_level"] {
            assert_eq!(ours["blocks"][0][key], theirs["blocks"][0][key], "{key}");
        }
    }
}
