//! One tenant's prefix, and the only way to form an object key (**I-TENANT-1**). Layout: docs/formats/bucket.md.
//!
//! Finding the newest manifest: `hint` says where to look first, `trim` below what nothing is left; from there upward,
//! versions are dense, so probing finds the newest. Neither object needs to be right, and no LIST is asked
//! (**I-MAN-3**).

use crate::error::{BucketError, Result};
use crate::local_files::CountedFiles;
use crate::manifest::{BlockAddress, Manifest, Place};
use crate::remote_files::RemoteFiles;
use crate::store::Store;
use futures::{StreamExt, TryStreamExt};
use longhaul_block::{BlockFiles, BlockMeta};
use longhaul_model::TenantId;
use object_store::path::Path as Key;
use std::path::Path;
use std::sync::Arc;

/// Tenants that are asked about at once while they are discovered.
const DISCOVERIES_MAX: usize = 32;

/// A tenant's objects. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TenantStore {
    pub(crate) store: Store,
    tenant: TenantId,
}

impl TenantStore {
    /// The objects of `tenant` in `store`.
    pub fn new(store: Store, tenant: TenantId) -> Self {
        Self { store, tenant }
    }

    /// Whose objects these are.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The store that they lie in.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The tenants that have a manifest, sorted.
    ///
    /// This is a LIST, used to discover whom to start with and never to decide anything (I-MAN-3): a
    /// tenant that it misses is found by its first write or query, which reads the manifest by its key.
    pub async fn tenants(store: &Store) -> Result<Vec<TenantId>> {
        // Folders of others, `__mimir_cluster` for one, are no tenants.
        let names = store.folders(None).await?;
        let candidates: Vec<TenantId> = names.iter().filter_map(|name| TenantId::parse(name).ok()).collect();
        let asked = candidates.into_iter().map(|tenant| async move {
            let this = Self::new(store.clone(), tenant.clone());
            let found =
                store.exists(&this.hint_key()).await? || !store.list(&this.versions_folder(), 1).await?.is_empty();
            Ok::<_, BucketError>(found.then_some(tenant))
        });
        let found: Vec<_> = futures::stream::iter(asked).buffer_unordered(DISCOVERIES_MAX).try_collect().await?;
        let mut tenants: Vec<TenantId> = found.into_iter().flatten().collect();
        tenants.sort();
        Ok(tenants)
    }

    /// The newest manifest; none for a tenant that has never committed anything.
    ///
    /// The newest version's hash is checked against its predecessor, if that is still there.
    pub async fn load_manifest(&self) -> Result<Option<Manifest>> {
        let (hint, boundary) = tokio::join!(self.number(self.hint_key()), self.trim_boundary());
        let hint = match hint {
            Err(error @ BucketError::Corrupt { .. }) => {
                tracing::warn!(%error, "the hint at the newest manifest is ignored");
                None
            }
            hint => hint?,
        };
        let mut start = hint.unwrap_or(0).max(boundary?).max(1);
        if !self.store.exists(&self.version_key(start)).await? {
            // A hint that runs ahead of the truth, or a boundary that moved on meanwhile.
            start = self.trim_boundary().await?.max(1);
            if !self.store.exists(&self.version_key(start)).await? {
                if start == 1 {
                    return Ok(None);
                }
                let key = self.trim_key();
                return Err(BucketError::corrupt(&key, format!("says that version {start} is there, which is not")));
            }
        }
        let newest = self.newest_from(start).await?;
        let manifest = self.load_version(newest).await?;
        if newest > 1 {
            match self.load_version(newest - 1).await {
                Ok(previous) => self.check_follows(&manifest, &previous)?,
                // What lies below the boundary is no part of the truth, be it there, damaged or gone.
                Err(_) if newest <= self.trim_boundary().await? => {}
                Err(error) if error.is_not_found() => {
                    return Err(BucketError::corrupt(
                        &self.version_key(newest - 1),
                        "a version that was not trimmed is missing",
                    ));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Some(manifest))
    }

    /// The newest manifest if it is newer than `known`: two small GETs when it is not.
    pub async fn load_newer(&self, known: &Manifest) -> Result<Option<Manifest>> {
        if known.version == 0 {
            return self.load_manifest().await;
        }
        let next = known.version + 1;
        let (found, boundary) = tokio::join!(self.load_version(next), self.trim_boundary());
        if boundary? > next {
            return self.load_manifest().await;
        }
        let mut newest = match found {
            Ok(manifest) => manifest,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        self.check_follows(&newest, known)?;
        loop {
            match self.load_version(newest.version + 1).await {
                Ok(next) => {
                    self.check_follows(&next, &newest)?;
                    newest = next;
                }
                Err(error) if error.is_not_found() => return Ok(Some(newest)),
                Err(error) => return Err(error),
            }
        }
    }

    /// One version of the manifest.
    pub async fn load_version(&self, version: u64) -> Result<Manifest> {
        let key = self.version_key(version);
        Manifest::decode(&key, version, &self.store.get(&key).await?)
    }

    /// `meta.json` of a block.
    pub async fn block_meta(&self, block: BlockAddress) -> Result<BlockMeta> {
        let json = self.store.get(&self.block_key(block, "meta.json")).await?;
        BlockMeta::parse(&json).map_err(|source| BucketError::Block { id: block.id, source })
    }

    /// Ranged reads of a block's files, for threads that may block: each read waits for `handle`'s runtime, and
    /// panics on one of its worker threads; where objects are files of this machine, they are read as such.
    pub fn block_files(&self, block: BlockAddress, handle: tokio::runtime::Handle) -> Arc<dyn BlockFiles> {
        let local = self.store.local_path(&self.block_key(block, "meta.json"));
        match local.as_deref().and_then(Path::parent) {
            Some(dir) => Arc::new(CountedFiles::new(dir.to_owned(), self.store.metrics().clone())),
            None => Arc::new(RemoteFiles::new(self.clone(), block, handle)),
        }
    }

    /// Best effort: a hint that is missing or old costs a few requests, nothing else.
    pub(crate) async fn write_hint(&self, version: u64) {
        let key = self.hint_key();
        if let Err(error) = self.store.put(&key, version.to_string().into()).await {
            tracing::warn!(%key, %error, "cannot write the hint at the newest manifest");
        }
    }

    pub(crate) fn check_follows(&self, manifest: &Manifest, previous: &Manifest) -> Result<()> {
        if manifest.follows(previous) {
            return Ok(());
        }
        let key = self.version_key(manifest.version);
        Err(BucketError::corrupt(&key, "the hash that it gives for its predecessor is not its predecessor's"))
    }

    pub(crate) fn version_key(&self, version: u64) -> Key {
        self.key(&format!("_longhaul/manifest/{version:020}"))
    }

    pub(crate) fn block_key(&self, block: BlockAddress, file: &str) -> Key {
        self.placed(block.place, &format!("{}/{file}", block.id))
    }

    pub(crate) fn block_folder(&self, block: BlockAddress) -> Key {
        self.placed(block.place, &block.id.to_string())
    }

    fn placed(&self, place: Place, path: &str) -> Key {
        match place {
            Place::Tenant => self.key(path),
            Place::Root => self.store.key(path),
        }
    }

    /// The tenant's folder.
    pub(crate) fn folder(&self) -> Key {
        self.store.key(self.tenant.as_str())
    }

    pub(crate) fn versions_folder(&self) -> Key {
        self.key("_longhaul/manifest")
    }

    pub(crate) fn bucket_index_key(&self) -> Key {
        self.key("bucket-index.json.gz")
    }

    /// Where Mimir and Cortex copy the marks of blocks to.
    pub(crate) fn markers_folder(&self) -> Key {
        self.key("markers")
    }

    fn hint_key(&self) -> Key {
        self.key("_longhaul/manifest/hint")
    }

    pub(crate) fn trim_key(&self) -> Key {
        self.key("_longhaul/manifest/trim")
    }

    fn key(&self, path: &str) -> Key {
        self.store.key(&format!("{}/{path}", self.tenant))
    }

    /// The newest version, given that `start` is there: doubling steps, then halving ones.
    async fn newest_from(&self, start: u64) -> Result<u64> {
        let (mut there, mut step) = (start, 1);
        let mut absent = loop {
            let probe = there.saturating_add(step);
            if !self.store.exists(&self.version_key(probe)).await? {
                break probe;
            }
            there = probe;
            step = step.saturating_mul(2);
        };
        while absent - there > 1 {
            let middle = there + (absent - there) / 2;
            if self.store.exists(&self.version_key(middle)).await? {
                there = middle;
            } else {
                absent = middle;
            }
        }
        Ok(there)
    }

    /// A small object that holds a decimal number.
    pub(crate) async fn number(&self, key: Key) -> Result<Option<u64>> {
        match self.store.get(&key).await {
            Ok(bytes) => parse_number(&key, &bytes).map(Some),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

pub(crate) fn parse_number(key: &Key, bytes: &[u8]) -> Result<u64> {
    let number = std::str::from_utf8(bytes).ok().and_then(|text| text.trim().parse().ok());
    number.ok_or_else(|| BucketError::corrupt(key, "expected a decimal number"))
}

#[cfg(test)]
mod tests;
