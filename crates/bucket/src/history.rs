//! The old versions of a manifest: which there are, and their end.
//!
//! The trim boundary rises first, then the versions below it may go (**I-MAN-4**): whoever creates a version in a place
//! where one has been sees the boundary above it, and knows that it does not count.

use crate::error::{BucketError, Result};
use crate::manifest::Manifest;
use crate::store::LocalDirectory;
use crate::tenant_store::{TenantStore, parse_number};
use object_store::PutMode;
use object_store::path::Path as Key;
use std::io::ErrorKind;

/// Most versions that are looked at in one listing; further ones are found by the next.
const VERSIONS_MAX: usize = 100_000;

/// A version of the manifest as a LIST shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredVersion {
    /// Its number.
    pub version: u64,
    /// When it was written by the store's clock, ms since the epoch.
    pub modified_ms: i64,
}

/// Versions below it are gone, or may go: the store has it so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrimBoundary(u64);

impl TrimBoundary {
    /// The lowest version that is there still; 0 if none was ever trimmed.
    pub fn version(self) -> u64 {
        self.0
    }
}

impl TenantStore {
    /// The versions that a LIST shows, sorted: good for finding those that may go, and for nothing else (I-MAN-3).
    pub async fn versions(&self) -> Result<Vec<StoredVersion>> {
        let objects = self.store.list(&self.versions_folder(), VERSIONS_MAX).await?;
        let version = |object: &object_store::ObjectMeta| {
            let name = object.location.filename().filter(|name| name.len() == 20)?;
            Some(StoredVersion { version: name.parse().ok()?, modified_ms: object.last_modified.timestamp_millis() })
        };
        let mut versions: Vec<_> = objects.iter().filter_map(version).collect();
        versions.sort_by_key(|version| version.version);
        Ok(versions)
    }

    /// Reads every version from the newest, which the caller has, down to the trim boundary, and holds each against the hash
    /// that its successor gives for it. How many there are; an error names the first that is damaged, missing or another.
    pub async fn check_history(&self, newest: &Manifest) -> Result<u64> {
        let oldest = self.trim_boundary().await?.max(1);
        let (mut later, mut versions) = (newest.clone(), 1);
        while later.version > oldest {
            let earlier = self.load_version(later.version - 1).await?;
            self.check_follows(&later, &earlier)?;
            later = earlier;
            versions += 1;
        }
        Ok(versions)
    }

    /// The boundary as it is.
    pub async fn load_trim_boundary(&self) -> Result<TrimBoundary> {
        self.trim_boundary().await.map(TrimBoundary)
    }

    /// Declares the versions below `version` gone, unless the boundary is higher already; returns where it is. Which
    /// versions are old enough is the caller's to know; the newest and at least one before it should stay. Nobody who
    /// does the same at the same time can lower it.
    ///
    /// [`BucketError::NotFound`] if `version` is not there itself.
    pub async fn raise_trim_boundary(&self, version: u64) -> Result<TrimBoundary> {
        let key = self.trim_key();
        let (known, mode) = match self.store.get_versioned(&key).await {
            Ok((bytes, found)) => (parse_number(&key, &bytes)?, PutMode::Update(found)),
            Err(error) if error.is_not_found() => (0, PutMode::Create),
            Err(error) => return Err(error),
        };
        if known >= version {
            return Ok(TrimBoundary(known));
        }
        self.store.head(&self.version_key(version)).await?;
        if let Some(directory) = self.store.local() {
            let directory = directory.clone();
            let raised = tokio::task::spawn_blocking(move || raise_locally(&directory, &key, version)).await;
            return raised.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        }
        self.store.put_with(&key, version.to_string().into(), mode).await?;
        Ok(TrimBoundary(version))
    }

    /// Deletes a version below the boundary.
    pub async fn delete_version(&self, version: u64, boundary: TrimBoundary) -> Result<()> {
        assert!(version < boundary.0, "I-MAN-4: version {version} is not below the boundary {}", boundary.0);
        self.store.delete(&self.version_key(version)).await
    }

    /// The boundary below which versions of the manifest are gone; 0 if none are.
    pub(crate) async fn trim_boundary(&self) -> Result<u64> {
        Ok(self.number(self.trim_key()).await?.unwrap_or(0))
    }
}

/// Raises the boundary where there is no compare-and-swap: a lock is held over reading, comparing and writing, until the
/// file is on disk, be the caller still there or not.
fn raise_locally(directory: &LocalDirectory, key: &Key, version: u64) -> Result<TrimBoundary> {
    let path = directory.path.join(key.as_ref());
    let failed = |source| BucketError::Local { path: path.clone(), source };
    let _lock = directory.fs.lock(&path.with_extension("lock")).map_err(failed)?;
    let known = match directory.fs.read(&path) {
        Ok(bytes) => parse_number(key, &bytes)?,
        Err(error) if error.kind() == ErrorKind::NotFound => 0,
        Err(error) => return Err(failed(error)),
    };
    if known < version {
        longhaul_disk::write_atomically(directory.fs.as_ref(), &path, version.to_string().as_bytes())
            .map_err(failed)?;
    }
    Ok(TrimBoundary(known.max(version)))
}
