//! An object store with a prefix, a budget for each call, and counters: the one way to the network.

use crate::error::{BucketError, Result};
use bytes::Bytes;
use futures::StreamExt;
use longhaul_disk::Fs;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{
    GetOptions, GetResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
    UpdateVersion, coalesce_ranges,
};
use std::ops::{ControlFlow, Range};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Ranges of an object that are no further apart than this are fetched by one GET, bytes: about what a connection
/// carries in the time that a further request takes to be answered.
pub(crate) const COALESCE_GAP_BYTES: u64 = 512 << 10;

/// Requests and bytes since the process started. Retries inside `object_store` are not seen here.
#[derive(Debug, Default)]
pub struct StoreMetrics {
    /// GETs; one a coalesced range.
    pub gets: AtomicU64,
    /// PUTs; one a part of a multipart upload, and two for its begin and end.
    pub puts: AtomicU64,
    /// LISTs; one a thousand keys.
    pub lists: AtomicU64,
    /// HEADs.
    pub heads: AtomicU64,
    /// DELETEs.
    pub deletes: AtomicU64,
    /// Bytes that came.
    pub read_bytes: AtomicU64,
    /// Bytes that were sent.
    pub written_bytes: AtomicU64,
    /// Calls that failed for another reason than that an object is absent, or present.
    pub errors: AtomicU64,
}

/// Where a store that is a directory lies: what object stores can and file systems cannot is done there with a lock.
#[derive(Clone, Debug)]
pub(crate) struct LocalDirectory {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) path: PathBuf,
    /// Knows which file holds an object.
    pub(crate) objects: Arc<LocalFileSystem>,
}

/// A bucket, or a prefix of one. Clones share connections and counters.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<dyn ObjectStore>,
    prefix: Key,
    call_budget: Duration,
    local: Option<LocalDirectory>,
    cheap_reads: bool,
    metrics: Arc<StoreMetrics>,
}

impl Store {
    /// A store whose keys all begin with `prefix` (which may be empty).
    pub fn new(inner: Arc<dyn ObjectStore>, prefix: &str) -> Result<Self> {
        let prefix = Key::parse(prefix).map_err(|error| BucketError::Configuration {
            url: format!("{inner}/{prefix}"),
            reason: error.to_string(),
        })?;
        let call_budget = crate::url::StoreOptions::default().call_budget;
        Ok(Self { inner, prefix, call_budget, local: None, cheap_reads: false, metrics: Arc::default() })
    }

    /// An empty store that is gone with the process.
    pub fn memory() -> Self {
        let inner = Arc::new(object_store::memory::InMemory::new());
        Self::new(inner, "").expect("the empty prefix is one").with_cheap_reads()
    }

    /// The same with another budget for each call.
    #[must_use]
    pub fn with_call_budget(mut self, call_budget: Duration) -> Self {
        self.call_budget = call_budget;
        self
    }

    /// The same, as it lies in a local directory, without a prefix.
    #[must_use]
    pub(crate) fn with_local(mut self, directory: LocalDirectory) -> Self {
        self.local = Some(directory);
        self
    }

    /// Where it lies, if that is a local directory.
    pub(crate) fn local(&self) -> Option<&LocalDirectory> {
        self.local.as_ref()
    }

    /// Ranges are read one by one, since a request costs nothing.
    #[must_use]
    pub(crate) fn with_cheap_reads(mut self) -> Self {
        self.cheap_reads = true;
        self
    }

    /// The file that holds an object, if objects are files of this machine.
    pub(crate) fn local_path(&self, key: &Key) -> Option<PathBuf> {
        self.local.as_ref()?.objects.path_to_filesystem(key).ok()
    }

    /// The counters.
    pub fn metrics(&self) -> &Arc<StoreMetrics> {
        &self.metrics
    }

    /// The key of `path` below the prefix. `path` consists of names that are safe by construction.
    pub(crate) fn key(&self, path: &str) -> Key {
        let text = if self.prefix.is_root() { path.to_owned() } else { format!("{}/{path}", self.prefix) };
        // `parse` and not `from`: `*` is valid in a tenant id and must not be escaped, Mimir does not either.
        Key::parse(text).expect("object keys are made of tenant ids, block ids and fixed names")
    }

    pub(crate) async fn get(&self, key: &Key) -> Result<Bytes> {
        let bytes = self.call(&self.metrics.gets, key, async { body(self.inner.get(key).await?).await }).await?;
        add(&self.metrics.read_bytes, bytes.len() as u64);
        Ok(bytes)
    }

    /// As [`Store::get`], with what a conditional put wants to know.
    pub(crate) async fn get_versioned(&self, key: &Key) -> Result<(Bytes, UpdateVersion)> {
        let (bytes, version) = self
            .call(&self.metrics.gets, key, async {
                let answer = self.inner.get(key).await?;
                let version = UpdateVersion { e_tag: answer.meta.e_tag.clone(), version: answer.meta.version.clone() };
                Ok((body(answer).await?, version))
            })
            .await?;
        add(&self.metrics.read_bytes, bytes.len() as u64);
        Ok((bytes, version))
    }

    /// One buffer a range; a range that reaches beyond the object's end yields a short one or an error.
    pub(crate) async fn get_ranges(&self, key: &Key, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        if !self.cheap_reads {
            return coalesce_ranges(ranges, |range| self.get_range(key, range), COALESCE_GAP_BYTES).await;
        }
        let buffers = self.call(&self.metrics.gets, key, self.inner.get_ranges(key, ranges)).await?;
        add(&self.metrics.read_bytes, buffers.iter().map(|buffer| buffer.len() as u64).sum());
        Ok(buffers)
    }

    async fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes> {
        let options = GetOptions { range: Some(range.clone().into()), ..GetOptions::default() };
        let (found, bytes) = self
            .call(&self.metrics.gets, key, async {
                let answer = self.inner.get_opts(key, options).await?;
                Ok((answer.range.clone(), body(answer).await?))
            })
            .await?;
        add(&self.metrics.read_bytes, bytes.len() as u64);
        if found.start != range.start || found.end > range.end {
            let reason = format!("{key}: asked for bytes {range:?}, it sent {found:?}");
            return Err(BucketError::Unfit { store: self.to_string(), reason });
        }
        Ok(bytes)
    }

    /// Writes an object, over one that is there.
    pub(crate) async fn put(&self, key: &Key, bytes: Bytes) -> Result<()> {
        self.put_with(key, bytes, PutMode::Overwrite).await
    }

    /// Writes an object; [`BucketError::Exists`] if the store says that one is there (which may be our own).
    pub(crate) async fn put_if_absent(&self, key: &Key, bytes: Bytes) -> Result<()> {
        self.put_with(key, bytes, PutMode::Create).await
    }

    pub(crate) async fn put_with(&self, key: &Key, bytes: Bytes, mode: PutMode) -> Result<()> {
        add(&self.metrics.written_bytes, bytes.len() as u64);
        let put = self.inner.put_opts(key, PutPayload::from(bytes), PutOptions::from(mode));
        self.call(&self.metrics.puts, key, put).await.map(drop)
    }

    pub(crate) async fn begin_multipart(&self, key: &Key) -> Result<Box<dyn MultipartUpload>> {
        self.call(&self.metrics.puts, key, self.inner.put_multipart(key)).await
    }

    pub(crate) async fn put_part(&self, key: &Key, part: object_store::UploadPart, size_bytes: u64) -> Result<()> {
        add(&self.metrics.written_bytes, size_bytes);
        self.call(&self.metrics.puts, key, part).await
    }

    pub(crate) async fn end_multipart(&self, key: &Key, upload: &mut dyn MultipartUpload) -> Result<()> {
        self.call(&self.metrics.puts, key, upload.complete()).await.map(drop)
    }

    pub(crate) async fn head(&self, key: &Key) -> Result<ObjectMeta> {
        self.call(&self.metrics.heads, key, self.inner.head(key)).await
    }

    pub(crate) async fn exists(&self, key: &Key) -> Result<bool> {
        match self.head(key).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What time it is by the store's own clock, ms since the epoch: when an object was written just now. Stores may
    /// tell whole seconds only.
    pub async fn now_ms(&self) -> Result<i64> {
        let key = self.key("_longhaul/clock");
        self.put(&key, Bytes::new()).await?;
        Ok(self.head(&key).await?.last_modified.timestamp_millis())
    }

    /// Deletes an object; one that is not there is no error.
    pub(crate) async fn delete(&self, key: &Key) -> Result<()> {
        match self.call(&self.metrics.deletes, key, self.inner.delete(key)).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    /// The objects below a folder, in no particular order; at most `objects_max`.
    pub(crate) async fn list(&self, folder: &Key, objects_max: usize) -> Result<Vec<ObjectMeta>> {
        let mut objects = Vec::new();
        let mut collect = |object| {
            objects.push(object);
            if objects.len() < objects_max { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        if objects_max > 0 {
            self.for_each(folder, &mut collect).await?;
        }
        Ok(objects)
    }

    /// Shows `visit` the objects below a folder one after the other, in no particular order, until it breaks off.
    pub(crate) async fn for_each(
        &self,
        folder: &Key,
        visit: &mut (dyn FnMut(ObjectMeta) -> ControlFlow<()> + Send),
    ) -> Result<()> {
        let mut stream = self.inner.list(Some(folder));
        let (pages, mut seen) = (AtomicU64::new(0), 0u64);
        add(&self.metrics.lists, 1);
        while let Some(object) = self.call(&pages, folder, async { stream.next().await.transpose() }).await? {
            if visit(object).is_break() {
                break;
            }
            seen += 1;
            if seen.is_multiple_of(1000) {
                add(&self.metrics.lists, 1);
            }
        }
        Ok(())
    }

    /// The names of the folders directly below `folder`, or below the prefix.
    pub(crate) async fn folders(&self, folder: Option<&Key>) -> Result<Vec<String>> {
        let folder = folder.or((!self.prefix.is_root()).then_some(&self.prefix));
        let found = self.call(&self.metrics.lists, &self.prefix, self.inner.list_with_delimiter(folder)).await?;
        Ok(found.common_prefixes.iter().filter_map(|folder| folder.filename().map(str::to_owned)).collect())
    }

    async fn call<T>(
        &self,
        count: &AtomicU64,
        key: &Key,
        work: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T> {
        add(count, 1);
        let error = match tokio::time::timeout(self.call_budget, work).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => BucketError::from_store(key, error),
            Err(_) => BucketError::TimedOut { key: key.clone(), budget: self.call_budget },
        };
        if !matches!(error, BucketError::NotFound { .. } | BucketError::Exists { .. }) {
            add(&self.metrics.errors, 1);
        }
        Err(error)
    }
}

impl std::fmt::Display for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.inner, self.prefix)
    }
}

/// What an answer brings. One that breaks off is the store's failure, and must not be taken for damage of the object.
async fn body(answer: GetResult) -> object_store::Result<Bytes> {
    let promised_bytes = answer.range.end - answer.range.start;
    let bytes = answer.bytes().await?;
    if bytes.len() as u64 == promised_bytes {
        return Ok(bytes);
    }
    let source = format!("the answer breaks off after {} of {promised_bytes} bytes", bytes.len()).into();
    Err(object_store::Error::Generic { store: "bucket", source })
}

pub(crate) fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}
