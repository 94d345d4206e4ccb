//! A block's files in the bucket, read by ranged GETs: the remote twin of `block::LocalFiles`.

use crate::error::BucketError;
use crate::manifest::BlockAddress;
use crate::store::COALESCE_GAP_BYTES;
use crate::tenant_store::TenantStore;
use bytes::Bytes;
use longhaul_block::{BlockFile, BlockFiles, ReadError};
use object_store::path::Path as Key;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use tokio::runtime::Handle;

/// See [`TenantStore::block_files`].
#[derive(Debug)]
pub(crate) struct RemoteFiles {
    tenant_store: TenantStore,
    block: BlockAddress,
    handle: Handle,
    /// Objects of a block never change, so a size is asked for once.
    sizes: Mutex<HashMap<BlockFile, u64>>,
}

impl RemoteFiles {
    pub(crate) fn new(tenant_store: TenantStore, block: BlockAddress, handle: Handle) -> Self {
        Self { tenant_store, block, handle, sizes: Mutex::default() }
    }

    fn key(&self, file: BlockFile) -> Key {
        self.tenant_store.block_key(self.block, &file.path())
    }

    async fn fetch(&self, file: BlockFile, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, ReadError> {
        // Empty ranges are no valid requests.
        let wanted: Vec<Range<u64>> = ranges.iter().filter(|range| !range.is_empty()).cloned().collect();
        let fetched = match self.tenant_store.store.get_ranges(&self.key(file), &wanted).await {
            Ok(fetched) => fetched,
            Err(error) => {
                // Stores answer differently to ranges beyond the end; the size tells damage from a failing network.
                if matches!(error, BucketError::Store { .. }) {
                    self.check_ends(file, &wanted).await?;
                }
                return Err(read_error(file, error));
            }
        };
        if fetched.len() != wanted.len()
            || fetched.iter().zip(&wanted).any(|(bytes, range)| bytes.len() as u64 != range.end - range.start)
        {
            self.check_ends(file, &wanted).await?;
            return Err(ReadError::Other { file, error: "the store answered with other ranges".into() });
        }
        let mut fetched = fetched.into_iter();
        let empty_or_next = |range: &Range<u64>| match range.is_empty() {
            true => Bytes::new(),
            false => fetched.next().unwrap_or_default(),
        };
        Ok(ranges.iter().map(empty_or_next).collect())
    }

    async fn check_ends(&self, file: BlockFile, ranges: &[Range<u64>]) -> Result<(), ReadError> {
        let size_bytes = self.head(file).await?;
        match ranges.iter().map(|range| range.end).max() {
            Some(end) if end > size_bytes => Err(ReadError::Truncated { file, end, size_bytes }),
            _ => Ok(()),
        }
    }

    async fn head(&self, file: BlockFile) -> Result<u64, ReadError> {
        let known = |this: &Self| this.sizes.lock().unwrap_or_else(PoisonError::into_inner).get(&file).copied();
        if let Some(size_bytes) = known(self) {
            return Ok(size_bytes);
        }
        let object = self.tenant_store.store.head(&self.key(file)).await.map_err(|error| read_error(file, error))?;
        self.sizes.lock().unwrap_or_else(PoisonError::into_inner).insert(file, object.size);
        Ok(object.size)
    }
}

impl BlockFiles for RemoteFiles {
    fn read(&self, file: BlockFile, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, ReadError> {
        self.handle.block_on(self.fetch(file, ranges))
    }

    fn size(&self, file: BlockFile) -> Result<u64, ReadError> {
        self.handle.block_on(self.head(file))
    }

    fn coalesce_gap_bytes(&self) -> u64 {
        COALESCE_GAP_BYTES
    }
}

fn read_error(file: BlockFile, error: BucketError) -> ReadError {
    match error {
        BucketError::NotFound { .. } => ReadError::Missing(file),
        error => ReadError::Other { file, error: error.into() },
    }
}

#[cfg(test)]
mod tests;
