//! The end of a block's objects, in an order that never leaves something that looks like a block.

use crate::error::{BucketError, Result};
use crate::tenant_store::TenantStore;
use longhaul_model::BlockId;

/// Most objects that are deleted with a block. Segments of chunks are half a gibibyte each, so a block with more
/// objects is none; what is left is deleted by the next run.
const OBJECTS_MAX: usize = 10_000;

impl TenantStore {
    /// Writes `deletion-mark.json`, which tells foreign tools to leave the block alone; for ours it means nothing.
    pub async fn mark_deleted(&self, id: BlockId, since_ms: i64, details: &str) -> Result<()> {
        let mark = serde_json::json!({
            "id": id.to_string(),
            "version": 1,
            "details": details,
            "deletion_time": since_ms.div_euclid(1000),
        });
        self.store.put(&self.block_key(id, "deletion-mark.json"), mark.to_string().into()).await
    }

    /// Deletes a block's objects: `meta.json` first, the deletion mark last. Returns how many there were. Whether the
    /// block may go is the caller's to know; the LIST only says what is left of it.
    pub async fn delete_block(&self, id: BlockId) -> Result<usize> {
        let (meta, mark) = (self.block_key(id, "meta.json"), self.block_key(id, "deletion-mark.json"));
        let folder = self.block_folder(id);
        let mut keys: Vec<_> =
            self.store.list(&folder, OBJECTS_MAX).await?.into_iter().map(|object| object.location).collect();
        if let Some(stray) = keys.iter().find(|key| !key.prefix_matches(&folder)) {
            let reason = format!("listing {folder} brought {stray}");
            return Err(BucketError::Unfit { store: self.store.to_string(), reason });
        }
        keys.sort_by_key(|key| (*key != meta, *key == mark));
        for key in &keys {
            self.store.delete(key).await?;
        }
        Ok(keys.len())
    }
}
