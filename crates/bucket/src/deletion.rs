//! The end of a block's objects: what there is of a block, in the order in which it goes, so that what is left over
//! never looks like a block. Whether a block may go is the caller's to know.

use crate::error::{BucketError, Result};
use crate::manifest::BlockAddress;
use crate::tenant_store::TenantStore;
use longhaul_model::BlockId;

/// Goes first: without it, nobody takes the rest for a block.
const META: &str = "meta.json";
/// Goes last: until then it tells that the rest is on its way out.
pub(crate) const MARK: &str = "deletion-mark.json";
/// Most objects that are looked at of one block. Segments of chunks are half a gibibyte each, so a block with more
/// objects is none; what is left is found by the next run.
const OBJECTS_MAX: usize = 10_000;

/// One object of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockObject {
    /// Its path inside the block's folder.
    pub path: String,
    /// Its length, bytes.
    pub size_bytes: u64,
    /// When it was written by the store's clock, ms since the epoch.
    pub modified_ms: i64,
}

impl BlockObject {
    /// Whether it is the block's `meta.json`.
    pub fn is_meta(&self) -> bool {
        self.path == META
    }

    /// Whether it is the mark that announces the block's deletion.
    pub fn is_deletion_mark(&self) -> bool {
        self.path == MARK
    }
}

impl TenantStore {
    /// The ids after which folders are named that lie in the tenant's own, sorted. A LIST: good for finding what may
    /// be garbage, and for nothing else (I-MAN-3).
    pub async fn block_folders(&self) -> Result<Vec<BlockId>> {
        let names = self.store.folders(Some(&self.folder())).await?;
        let mut ids: Vec<BlockId> = names.iter().filter_map(|name| BlockId::from_string(name).ok()).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// What there is of a block, in the order in which it has to go: `meta.json` first, the deletion mark last.
    pub async fn block_objects(&self, block: BlockAddress) -> Result<Vec<BlockObject>> {
        let folder = self.block_folder(block);
        let mut objects = Vec::new();
        for object in self.store.list(&folder, OBJECTS_MAX).await? {
            let Some(parts) = object.location.prefix_match(&folder) else {
                let reason = format!("listing {folder} brought {}", object.location);
                return Err(BucketError::Unfit { store: self.store.to_string(), reason });
            };
            let path = parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/");
            let modified_ms = object.last_modified.timestamp_millis();
            objects.push(BlockObject { path, size_bytes: object.size, modified_ms });
        }
        objects.sort_by(|a, b| {
            let order = |object: &BlockObject| (!object.is_meta(), object.is_deletion_mark());
            order(a).cmp(&order(b)).then_with(|| a.path.cmp(&b.path))
        });
        Ok(objects)
    }

    /// Whether the block's `meta.json` is there: without it there is no block, whatever else a LIST may show or miss.
    pub async fn has_meta(&self, block: BlockAddress) -> Result<bool> {
        self.store.exists(&self.block_key(block, META)).await
    }

    /// Deletes one of the objects that [`Self::block_objects`] found; one that is gone is no error.
    pub async fn delete_block_object(&self, block: BlockAddress, object: &BlockObject) -> Result<()> {
        self.store.delete(&self.block_key(block, &object.path)).await
    }

    /// Writes `deletion-mark.json`, as Thanos, Mimir and Cortex do, unless there is one. It tells their tools to leave
    /// the block alone, and ours by the store's own clock since when the block has been on its way out.
    pub async fn mark_deleted(&self, block: BlockAddress, since_ms: i64, details: &str) -> Result<()> {
        let mark = mark(block.id, since_ms, details);
        match self.store.put_if_absent(&self.block_key(block, MARK), mark.into()).await {
            Err(BucketError::Exists { .. }) => Ok(()),
            written => written,
        }
    }
}

/// The content of `deletion-mark.json`, as Thanos, Mimir and Cortex have it.
pub(crate) fn mark(block: BlockId, since_ms: i64, details: &str) -> String {
    let mark = serde_json::json!({
        "id": block.to_string(),
        "version": 1,
        "details": details,
        "deletion_time": since_ms.div_euclid(1000),
    });
    mark.to_string()
}
