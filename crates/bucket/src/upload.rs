//! A block's directory becomes objects, `meta.json` last, so that whatever looks like a block is whole.

use crate::error::{BucketError, Result};
use crate::manifest::BlockAddress;
use crate::tenant_store::TenantStore;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use longhaul_block::BlockMeta;
use longhaul_disk::{Fs, ReadAt};
use object_store::MultipartUpload;
use object_store::path::Path as Key;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Size of a part of a multipart upload, bytes; smaller files go with one PUT. S3 allows 10,000 parts of one object,
/// and segments of chunks are at most 512 MiB.
const PART_BYTES: u64 = 8 << 20;
/// Parts under way at once, each of them in memory.
const PARTS_MAX: usize = 3;

/// What an upload brought into the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// Every object by its path inside the block, in upload order, with its size in bytes.
    pub sizes: Vec<(String, u64)>,
}

impl Uploaded {
    /// All objects together, bytes.
    pub fn size_bytes(&self) -> u64 {
        self.sizes.iter().map(|(_, size_bytes)| size_bytes).sum()
    }
}

impl TenantStore {
    /// Uploads the block in the local directory `dir`: chunks, index, lookup, other files, `meta.json`; then asks the
    /// store for every object's size. The directory must not change any more; after an error the same upload may be
    /// tried again, and writes the same bytes (I-SHIP-2).
    pub async fn upload_block(&self, fs: &Arc<dyn Fs>, dir: &Path, meta: &BlockMeta) -> Result<Uploaded> {
        let local = |source| BucketError::Local { path: dir.to_owned(), source };
        let mut files = blocking(fs, dir, files_of).await?;
        files.sort_by_cached_key(|(path, _)| (rank(path), path.clone()));
        if files.last().is_none_or(|(path, _)| path != "meta.json") {
            return Err(local(std::io::Error::new(std::io::ErrorKind::NotFound, "meta.json is missing")));
        }
        for (path, size_bytes) in &files {
            self.upload_file(
                fs,
                &dir.join(path),
                &self.block_key(BlockAddress::of_tenant(meta.ulid), path),
                *size_bytes,
            )
            .await?;
        }
        for (path, sent_bytes) in &files {
            let key = self.block_key(BlockAddress::of_tenant(meta.ulid), path);
            let found_bytes = self.store.head(&key).await?.size;
            if found_bytes != *sent_bytes {
                return Err(BucketError::WrongSize { key, sent_bytes: *sent_bytes, found_bytes });
            }
        }
        Ok(Uploaded { sizes: files })
    }

    async fn upload_file(&self, fs: &Arc<dyn Fs>, path: &Path, key: &Key, size_bytes: u64) -> Result<()> {
        let file = blocking(fs, path, |fs, path| fs.open(path)).await?;
        if size_bytes <= PART_BYTES {
            let bytes = read(&file, path, 0, size_bytes).await?;
            return self.store.put(key, bytes).await;
        }
        let mut upload = self.store.begin_multipart(key).await?;
        let sent = match self.upload_parts(&file, path, key, size_bytes, upload.as_mut()).await {
            Ok(()) => self.store.end_multipart(key, upload.as_mut()).await,
            Err(error) => Err(error),
        };
        if sent.is_err() {
            // Parts of an upload that nobody completes are paid for until a rule of the bucket removes them.
            if let Err(error) = upload.abort().await {
                tracing::warn!(%key, %error, "cannot abort an upload");
            }
        }
        sent
    }

    async fn upload_parts(
        &self,
        file: &Arc<dyn ReadAt>,
        path: &Path,
        key: &Key,
        size_bytes: u64,
        upload: &mut dyn MultipartUpload,
    ) -> Result<()> {
        let mut under_way = FuturesUnordered::new();
        for start in (0..size_bytes).step_by(PART_BYTES as usize) {
            if under_way.len() == PARTS_MAX {
                under_way.next().await.transpose()?;
            }
            let bytes = read(file, path, start, PART_BYTES.min(size_bytes - start)).await?;
            let part_bytes = bytes.len() as u64;
            under_way.push(self.store.put_part(key, upload.put_part(bytes.into()), part_bytes));
        }
        while let Some(sent) = under_way.next().await {
            sent?;
        }
        Ok(())
    }
}

/// Where in the order of an upload a file stands.
fn rank(path: &str) -> u8 {
    match path {
        "meta.json" => 4,
        "index" => 1,
        "lookup" => 2,
        _ if path.starts_with("chunks/") => 0,
        _ => 3,
    }
}

/// The files below a block's directory by their paths inside it, with their sizes. Temporary files are left out.
fn files_of(fs: &dyn Fs, dir: &Path) -> std::io::Result<Vec<(String, u64)>> {
    let mut files = Vec::new();
    for entry in fs.list(dir)? {
        if entry.is_dir {
            let inner = files_of(fs, &dir.join(&entry.name))?;
            files.extend(inner.into_iter().map(|(path, size_bytes)| (format!("{}/{path}", entry.name), size_bytes)));
        } else if !entry.name.ends_with(".tmp") {
            files.push((entry.name, entry.len_bytes));
        }
    }
    Ok(files)
}

async fn read(file: &Arc<dyn ReadAt>, path: &Path, offset: u64, size_bytes: u64) -> Result<Bytes> {
    let file = file.clone();
    let work = move || {
        let mut buffer = vec![0; size_bytes as usize];
        file.read_exact_at(&mut buffer, offset).map(|()| Bytes::from(buffer))
    };
    run(path.to_owned(), work).await
}

async fn blocking<T: Send + 'static>(
    fs: &Arc<dyn Fs>,
    path: &Path,
    work: impl FnOnce(&dyn Fs, &Path) -> std::io::Result<T> + Send + 'static,
) -> Result<T> {
    let (fs, path) = (fs.clone(), path.to_owned());
    run(path.clone(), move || work(fs.as_ref(), &path)).await
}

async fn run<T: Send + 'static>(
    path: PathBuf,
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other);
    done.flatten().map_err(|source| BucketError::Local { path, source })
}

#[cfg(test)]
mod tests;
