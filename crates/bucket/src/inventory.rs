//! What lies in a bucket, whatever the manifest says: for making a manifest where there is none.
//!
//! This is a LIST and a GET of every `meta.json`. It is how a bucket of others is taken over, and how a manifest that was
//! lost is made anew; nothing else may rest on it (I-MAN-3).

use crate::deletion::BlockObject;
use crate::error::{BucketError, Result};
use crate::manifest::{BlockAddress, Candidate, Place};
use crate::store::Store;
use crate::tenant_store::TenantStore;
use futures::{StreamExt, TryStreamExt};
use longhaul_block::BlockMeta;
use longhaul_model::{BlockId, TenantId};
use serde::Deserialize;
use std::collections::HashSet;

/// Blocks that are looked at at once.
const BLOCKS_AT_ONCE: usize = 32;
/// Most objects of `markers/` that are looked at: two a block at most.
const MARKERS_MAX: usize = 1_000_000;

/// A folder that is named like a block.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundBlock {
    /// The folder.
    pub address: BlockAddress,
    /// What is in it.
    pub content: FoundContent,
}

/// What is in a folder that is named like a block.
#[derive(Clone, Debug, PartialEq)]
pub enum FoundContent {
    /// A block. It may still be damaged.
    Block(Box<Candidate>),
    /// No `meta.json`: an upload or a deletion that is under way, or was given up.
    Partial,
    /// A `meta.json` that is not a block's, with what is wrong about it.
    Unreadable(String),
}

impl TenantStore {
    /// What there is in the folders of `blocks`, in their order. `looked` is called for each of them.
    pub async fn inventory(&self, blocks: &[BlockAddress], looked: impl Fn()) -> Result<Vec<FoundBlock>> {
        let marked = &self.global_marks().await?;
        let found = blocks.iter().map(|block| async move {
            let content = self.look_into(*block, block.place == Place::Tenant && marked.contains(&block.id)).await?;
            Ok::<_, BucketError>(FoundBlock { address: *block, content })
        });
        let look = futures::stream::iter(found).buffered(BLOCKS_AT_ONCE).inspect_ok(|_| looked());
        look.try_collect().await
    }

    async fn look_into(&self, block: BlockAddress, marked: bool) -> Result<FoundContent> {
        let objects = self.block_objects(block).await?;
        if !objects.iter().any(BlockObject::is_meta) {
            return Ok(FoundContent::Partial);
        }
        let meta = match self.block_meta(block).await {
            Ok(meta) if meta.ulid != block.id => {
                return Ok(FoundContent::Unreadable(format!("its meta.json is that of {}", meta.ulid)));
            }
            Ok(meta) => meta,
            Err(BucketError::Block { source, .. }) => return Ok(FoundContent::Unreadable(source.to_string())),
            Err(error) if error.is_not_found() => return Ok(FoundContent::Partial),
            Err(error) => return Err(error),
        };
        let marked_since_ms = match objects.iter().find(|object| object.is_deletion_mark()) {
            Some(mark) => Some(self.marked_since(block).await?.unwrap_or(mark.modified_ms)),
            None => marked.then_some(0),
        };
        Ok(FoundContent::Block(Box::new(Candidate {
            place: block.place,
            size_bytes: objects.iter().filter(|object| !object.is_deletion_mark()).map(|it| it.size_bytes).sum(),
            marked_since_ms,
            fault: missing_file(&meta, &objects),
            meta,
        })))
    }

    /// What a deletion mark says; none if it does not say.
    async fn marked_since(&self, block: BlockAddress) -> Result<Option<i64>> {
        #[derive(Deserialize)]
        struct Mark {
            deletion_time: i64,
        }
        match self.store.get(&self.block_key(block, crate::deletion::MARK)).await {
            Ok(json) => {
                Ok(serde_json::from_slice(&json).ok().map(|mark: Mark| mark.deletion_time.saturating_mul(1000)))
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The blocks whose deletion mark Mimir and Cortex have copied to `markers/`.
    async fn global_marks(&self) -> Result<HashSet<BlockId>> {
        let objects = self.store.list(&self.markers_folder(), MARKERS_MAX).await?;
        let marked = |object: &object_store::ObjectMeta| {
            BlockId::from_string(object.location.filename()?.strip_suffix("-deletion-mark.json")?).ok()
        };
        Ok(objects.iter().filter_map(marked).collect())
    }

    /// The names of folders that may be tenants', whether they have a manifest or not: those that hold blocks.
    pub async fn tenants_with_blocks(store: &Store) -> Result<Vec<TenantId>> {
        let names = store.folders(None).await?;
        let is_block = |name: &String| BlockId::from_string(name).is_ok();
        let candidates: Vec<TenantId> =
            names.iter().filter(|name| !is_block(name)).filter_map(|name| TenantId::parse(name).ok()).collect();
        let asked = candidates.into_iter().map(|tenant| async move {
            let found = !Self::new(store.clone(), tenant.clone()).block_folders().await?.is_empty();
            Ok::<_, BucketError>(found.then_some(tenant))
        });
        let found: Vec<_> = futures::stream::iter(asked).buffer_unordered(BLOCKS_AT_ONCE).try_collect().await?;
        let mut tenants: Vec<TenantId> = found.into_iter().flatten().collect();
        tenants.sort();
        Ok(tenants)
    }
}

/// The folders that are named like blocks and lie uppermost in the store, sorted. They may be anybody's.
pub async fn root_blocks(store: &Store) -> Result<Vec<BlockAddress>> {
    let names = store.folders(None).await?;
    let mut ids: Vec<BlockId> = names.iter().filter_map(|name| BlockId::from_string(name).ok()).collect();
    ids.sort_unstable();
    Ok(ids.into_iter().map(|id| BlockAddress { id, place: Place::Root }).collect())
}

/// A file without which a block cannot be read, or one that is not as long as `meta.json` says.
fn missing_file(meta: &BlockMeta, objects: &[BlockObject]) -> Option<String> {
    let size_of = |path: &str| objects.iter().find(|object| object.path == path).map(|object| object.size_bytes);
    if size_of("index").is_none() {
        return Some("index is missing".to_owned());
    }
    if meta.stats.num_chunks > 0 && !objects.iter().any(|object| object.path.starts_with("chunks/")) {
        return Some("chunks are missing".to_owned());
    }
    meta.thanos.iter().flat_map(|thanos| &thanos.files).find_map(|file| {
        match (size_of(&file.rel_path), file.size_bytes) {
            (None, _) => Some(format!("{} is missing", file.rel_path)),
            (Some(found), Some(said)) if found != said => {
                Some(format!("{} has {found} bytes, not {said}", file.rel_path))
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestStore, at, hours, id};
    use longhaul_block::{FileEntry, ThanosMeta};

    #[tokio::test]
    async fn what_is_named_like_a_block_is_told_apart() {
        let tenant = TestStore::new().tenant();
        let put = async |key, bytes: Vec<u8>| tenant.store.put(&key, bytes.into()).await.unwrap();
        let meta = |n: u64| {
            let mut meta = BlockMeta::new(id(n), hours(0, 2));
            meta.stats.num_chunks = 1;
            meta
        };
        for n in 1..=7 {
            put(tenant.block_key(at(n), "chunks/000001"), vec![0; 10]).await;
            let listed = FileEntry { rel_path: "index".into(), size_bytes: Some(5), ..FileEntry::default() };
            let mut meta = meta(n);
            match n {
                2 => meta = BlockMeta::new(id(20), hours(0, 2)),
                7 => meta.thanos = Some(ThanosMeta { files: vec![listed], ..ThanosMeta::default() }),
                _ => {}
            }
            let json = if n == 3 { b"{".to_vec() } else { meta.to_json() };
            if n != 4 {
                put(tenant.block_key(at(n), "meta.json"), json).await;
            }
            if n != 6 {
                put(tenant.block_key(at(n), "index"), vec![0; 7]).await;
            }
        }
        tenant.mark_deleted(at(5), 1_700_000_000_123, "by hand").await.unwrap();
        put(tenant.store.key(&format!("team-a/markers/{}-deletion-mark.json", id(1))), vec![]).await;
        put(tenant.store.key(&format!("{}/meta.json", id(9))), meta(9).to_json()).await;

        let looked = std::sync::atomic::AtomicUsize::new(0);
        let count = || {
            looked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        };
        let folders = tenant.block_folders().await.unwrap();
        let folders: Vec<_> = folders.into_iter().map(BlockAddress::of_tenant).collect();
        let found = tenant.inventory(&folders, count).await.unwrap();
        assert_eq!(looked.into_inner(), 7);
        let told = |found: &FoundBlock| match &found.content {
            FoundContent::Partial => "partial".to_owned(),
            FoundContent::Unreadable(reason) => reason.clone(),
            FoundContent::Block(it) => format!("{} {:?} {:?}", it.size_bytes, it.marked_since_ms, it.fault),
        };
        let size = |n: u64| 17 + meta(n).to_json().len();
        let told: Vec<String> = found.iter().map(told).collect();
        assert_eq!(told[0], format!("{} Some(0) None", size(1)), "by Mimir's copy of the mark");
        assert_eq!(told[1], format!("its meta.json is that of {}", id(20)));
        assert!(told[2].contains("meta.json is corrupt"), "{}", told[2]);
        assert_eq!(told[3], "partial");
        assert_eq!(told[4], format!("{} Some(1700000000000) None", size(5)));
        assert_eq!(told[5], format!("{} None Some(\"index is missing\")", size(6) - 7));
        assert!(told[6].ends_with("None Some(\"index has 7 bytes, not 5\")"), "{}", told[6]);

        let root = root_blocks(&tenant.store).await.unwrap();
        assert_eq!(root, [BlockAddress { id: id(9), place: Place::Root }]);
        let found = tenant.inventory(&root, || ()).await.unwrap();
        assert!(matches!(&found[0].content, FoundContent::Block(it) if it.meta.ulid == id(9)), "{found:?}");
        let tenants = TenantStore::tenants_with_blocks(&tenant.store).await.unwrap();
        assert_eq!(tenants, [tenant.tenant().clone()]);
    }
}
