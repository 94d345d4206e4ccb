//! A bucket in memory that remembers the order of its changes, marks each in the trace of a disk, and can be away.

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use longhaul_bucket::Store;
use longhaul_testkit::sim_fs::{Operation, SimFs};
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::*;
use parking_lot::Mutex;
use std::sync::Arc;

/// What a change of the bucket is called in the trace.
pub(crate) const MARK: &str = "store";

/// What a store does with a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Honestly,
    /// It fails and has no effect.
    FailBefore,
    /// It takes effect, and the answer is lost.
    FailAfter,
}

type Rule = Box<dyn FnMut(&str) -> Act + Send>;

pub(crate) struct HistoryStore {
    inner: InMemory,
    disk: SimFs,
    changes: Mutex<Vec<(Key, Option<Bytes>)>>,
    rule: Mutex<Rule>,
    away: Mutex<bool>,
}

impl HistoryStore {
    pub(crate) fn new(disk: SimFs) -> Arc<Self> {
        Self::over(InMemory::new(), disk)
    }

    fn over(inner: InMemory, disk: SimFs) -> Arc<Self> {
        let rule: Mutex<Rule> = Mutex::new(Box::new(|_| Act::Honestly));
        Arc::new(Self { inner, disk, changes: Mutex::default(), rule, away: Mutex::default() })
    }

    /// The bucket as a value for an ingester.
    pub(crate) fn store(self: &Arc<Self>) -> Store {
        Store::new(self.clone(), "").unwrap()
    }

    /// The same content, in a bucket of its own beside `disk`.
    pub(crate) fn fork(&self, disk: SimFs) -> Arc<Self> {
        Self::over(self.inner.fork(), disk)
    }

    /// Asks `rule` what to do with each change from now on.
    pub(crate) fn set_rule(&self, rule: impl FnMut(&str) -> Act + Send + 'static) {
        *self.rule.lock() = Box::new(rule);
    }

    /// From now on the store does not answer, or answers again.
    pub(crate) fn set_away(&self, away: bool) {
        *self.away.lock() = away;
    }

    /// The keys and contents of all changes, oldest first; a removal has no content.
    pub(crate) fn changes(&self) -> Vec<(Key, Option<Bytes>)> {
        self.changes.lock().clone()
    }

    fn refuse(&self) -> Result<()> {
        if *self.away.lock() { Err(broken()) } else { Ok(()) }
    }

    /// Carries a change out; nothing in memory ever waits.
    fn change<T>(&self, key: &Key, content: Option<Bytes>, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.refuse()?;
        let act = (self.rule.lock())(key.as_ref());
        if act == Act::FailBefore {
            return Err(broken());
        }
        let mut changes = self.changes.lock();
        let done = work.now_or_never().expect("a store in memory does not wait")?;
        changes.push((key.clone(), content));
        self.disk.mark(MARK);
        if act == Act::FailAfter { Err(broken()) } else { Ok(done) }
    }
}

/// A bucket that is rebuilt change by change, as crash points are visited in order.
pub(crate) struct Rebuilt<'a> {
    changes: &'a [(Key, Option<Bytes>)],
    applied: usize,
    inner: InMemory,
}

impl<'a> Rebuilt<'a> {
    pub(crate) fn new(changes: &'a [(Key, Option<Bytes>)]) -> Self {
        Self { changes, applied: 0, inner: InMemory::new() }
    }

    /// The bucket as it was after `trace`, which must not be shorter than the last time.
    pub(crate) fn after(&mut self, trace: &[Operation], disk: SimFs) -> Arc<HistoryStore> {
        let is_change = |it: &&Operation| matches!(it, Operation::Mark(label) if label == MARK);
        let count = trace.iter().filter(is_change).count();
        for (key, content) in &self.changes[self.applied..count] {
            let done = match content {
                Some(bytes) => self.inner.put(key, bytes.clone().into()).map(|done| done.map(drop)).now_or_never(),
                None => self.inner.delete(key).now_or_never(),
            };
            done.expect("a store in memory does not wait").unwrap();
        }
        self.applied = count;
        HistoryStore::over(self.inner.fork(), disk)
    }
}

fn broken() -> Error {
    Error::Generic { store: "history", source: "away".into() }
}

#[async_trait::async_trait]
impl ObjectStore for HistoryStore {
    async fn put_opts(&self, key: &Key, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let content = Bytes::from(payload.clone());
        self.change(key, Some(content), self.inner.put_opts(key, payload, options))
    }

    async fn put_multipart_opts(&self, _: &Key, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        unimplemented_here()
    }

    async fn get_opts(&self, key: &Key, options: GetOptions) -> Result<GetResult> {
        self.refuse()?;
        self.inner.get_opts(key, options).await
    }

    fn delete_stream(&self, _: BoxStream<'static, Result<Key>>) -> BoxStream<'static, Result<Key>> {
        futures::stream::once(async { unimplemented_here() }).boxed()
    }

    fn list(&self, prefix: Option<&Key>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.refuse() {
            Ok(()) => self.inner.list(prefix),
            Err(error) => futures::stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Key>) -> Result<ListResult> {
        self.refuse()?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _: &Key, _: &Key, _: CopyOptions) -> Result<()> {
        unimplemented_here()
    }
}

/// Ingesting uploads small files, and neither copies nor removes objects.
fn unimplemented_here<T>() -> Result<T> {
    Err(Error::NotSupported { source: "ingesting does not need it".into() })
}

impl std::fmt::Debug for HistoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HistoryStore")
    }
}

impl std::fmt::Display for HistoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HistoryStore")
    }
}
