//! Stores that misbehave on request and record what they are asked, and values to put into them.

use crate::manifest::{BlockAddress, LiveBlock, Place};
use crate::store::Store;
use crate::tenant_store::TenantStore;
use futures::StreamExt;
use futures::stream::BoxStream;
use longhaul_block::{ContentHash, Coverage};
use longhaul_model::{BlockId, LogId, TenantId, TimeRange};
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::*;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a [`TestStore`] was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Put,
    Create,
    Update,
    Multipart,
    Get,
    Head,
    Delete,
    List,
}

/// What a [`TestStore`] does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// As it should.
    Honestly,
    /// The call takes effect, and then fails with a 500.
    FailAfter,
    /// The call fails with a 500 and has no effect.
    FailBefore,
    /// The call takes effect and is never answered.
    HangAfter,
    /// The call is answered with a conflict and has no effect.
    Conflict,
    /// A retry below this store met its own first attempt: the call takes effect and is answered with a conflict.
    ConflictAfter,
    /// The call is denied.
    Deny,
    /// The call is confirmed and has no effect; a LIST finds nothing.
    Lie,
    /// A put-if-absent overwrites.
    Overwrite,
    /// A put is cut in half; a ranged GET is answered with the whole.
    Mangle,
    /// The answer to a GET breaks off in the middle.
    BreakOff,
}

type Rule = dyn Fn(Call, &str) -> Act + Send + Sync;

/// A store in memory, or another, that asks a rule what to do with each call.
pub(crate) struct TestStore {
    inner: Arc<dyn ObjectStore>,
    rule: Mutex<Arc<Rule>>,
    calls: Mutex<Vec<(Call, String)>>,
}

impl TestStore {
    pub(crate) fn new() -> Arc<Self> {
        Self::over(Arc::new(InMemory::new()))
    }

    pub(crate) fn over(inner: Arc<dyn ObjectStore>) -> Arc<Self> {
        Arc::new(Self { inner, rule: Mutex::new(Arc::new(|_, _| Act::Honestly)), calls: Mutex::default() })
    }

    pub(crate) fn set(&self, rule: impl Fn(Call, &str) -> Act + Send + Sync + 'static) {
        *self.rule.lock().unwrap() = Arc::new(rule);
    }

    /// Does `act` the first `times` times that `call` is about a key that ends in `suffix`.
    pub(crate) fn act(&self, act: Act, call: Call, suffix: &'static str, times: usize) {
        let left = Mutex::new(times);
        self.set(move |asked, key| {
            let mut left = left.lock().unwrap();
            if asked == call && key.ends_with(suffix) && *left > 0 {
                *left -= 1;
                return act;
            }
            Act::Honestly
        });
    }

    pub(crate) fn store(self: &Arc<Self>) -> Store {
        Store::new(self.clone(), "some/prefix").unwrap().with_call_budget(Duration::from_millis(50))
    }

    pub(crate) fn tenant(self: &Arc<Self>) -> TenantStore {
        TenantStore::new(self.store(), TenantId::parse("team-a").unwrap())
    }

    /// What was asked since the last time, without the prefix.
    pub(crate) fn take_calls(&self) -> Vec<(Call, String)> {
        let calls = std::mem::take(&mut *self.calls.lock().unwrap());
        calls.into_iter().map(|(call, key)| (call, key.replace("some/prefix/", ""))).collect()
    }

    fn ask(&self, call: Call, key: &Key) -> Act {
        self.calls.lock().unwrap().push((call, key.to_string()));
        let rule = self.rule.lock().unwrap().clone();
        rule(call, key.as_ref())
    }
}

fn broken() -> Error {
    Error::Generic { store: "test", source: "500".into() }
}

fn conflict(key: &Key) -> Error {
    Error::AlreadyExists { path: key.to_string(), source: "409".into() }
}

/// The common part of misbehaving: whether the work is done, and what is answered then.
async fn perform<T>(act: Act, key: &Key, work: impl Future<Output = Result<T>>) -> Result<T> {
    match act {
        Act::FailBefore => Err(broken()),
        Act::Conflict => Err(conflict(key)),
        Act::Deny => Err(Error::PermissionDenied { path: key.to_string(), source: "403".into() }),
        Act::FailAfter => work.await.and(Err(broken())),
        Act::ConflictAfter => work.await.and(Err(conflict(key))),
        Act::HangAfter => {
            work.await?;
            std::future::pending().await
        }
        _ => work.await,
    }
}

#[async_trait::async_trait]
impl ObjectStore for TestStore {
    async fn put_opts(&self, key: &Key, payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
        let call = match options.mode {
            PutMode::Overwrite => Call::Put,
            PutMode::Create => Call::Create,
            PutMode::Update(_) => Call::Update,
        };
        let act = self.ask(call, key);
        let mut payload = payload;
        match act {
            Act::Lie => return Ok(PutResult { e_tag: None, version: None, extensions: Default::default() }),
            Act::Overwrite => options.mode = PutMode::Overwrite,
            Act::Mangle => {
                let whole: Vec<u8> = payload.iter().flat_map(|part| part.iter().copied()).collect();
                payload = whole[..whole.len() / 2].to_vec().into();
            }
            _ => {}
        }
        perform(act, key, self.inner.put_opts(key, payload, options)).await
    }

    async fn put_multipart_opts(&self, key: &Key, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let act = self.ask(Call::Multipart, key);
        perform(act, key, self.inner.put_multipart_opts(key, options)).await
    }

    async fn get_opts(&self, key: &Key, mut options: GetOptions) -> Result<GetResult> {
        let act = self.ask(if options.head { Call::Head } else { Call::Get }, key);
        if act == Act::Mangle {
            options.range = None;
        }
        let mut answer = perform(act, key, self.inner.get_opts(key, options)).await?;
        if act == Act::BreakOff {
            let (meta, range) = (answer.meta.clone(), answer.range.clone());
            let bytes = answer.bytes().await?;
            let half = bytes.slice(..bytes.len() / 2);
            let payload = GetResultPayload::Stream(futures::stream::once(async { Ok(half) }).boxed());
            answer = GetResult { payload, meta, range, attributes: Default::default(), extensions: Default::default() };
        }
        Ok(answer)
    }

    fn delete_stream(&self, keys: BoxStream<'static, Result<Key>>) -> BoxStream<'static, Result<Key>> {
        let inner = self.inner.clone();
        // Asked outside the stream's own life, which may not borrow from here.
        let keys: Vec<_> = futures::executor::block_on(keys.collect());
        let acts: Vec<_> = keys.into_iter().map(|key| key.map(|key| (self.ask(Call::Delete, &key), key))).collect();
        futures::stream::iter(acts)
            .then(move |asked| {
                let inner = inner.clone();
                async move {
                    let (act, key) = asked?;
                    if act != Act::Lie {
                        perform(act, &key, inner.delete(&key)).await?;
                    }
                    Ok(key)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Key>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.ask(Call::List, prefix.unwrap_or(&Key::ROOT)) {
            Act::Lie => futures::stream::empty().boxed(),
            _ => self.inner.list(prefix),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Key>) -> Result<ListResult> {
        self.ask(Call::List, prefix.unwrap_or(&Key::ROOT));
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Key, to: &Key, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

impl std::fmt::Debug for TestStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TestStore")
    }
}

impl std::fmt::Display for TestStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TestStore")
    }
}

/// The store that `LONGHAUL_TEST_STORE` names (s3://bucket/prefix, ...; the prefix should be fresh), to try a real one.
pub(crate) fn chosen_store() -> Option<Store> {
    let url = std::env::var("LONGHAUL_TEST_STORE").ok()?;
    Some(crate::open_store(&url.parse().unwrap(), &crate::StoreOptions::default()).unwrap())
}

pub(crate) const HOUR_MS: i64 = 3_600_000;

pub(crate) fn log(n: u128) -> LogId {
    LogId::from_u128(n)
}

pub(crate) fn id(n: u64) -> BlockId {
    BlockId::from_parts(n, u128::from(n))
}

/// A block of the tenant's own.
pub(crate) fn at(n: u64) -> BlockAddress {
    BlockAddress::of_tenant(id(n))
}

pub(crate) fn hours(start: i64, end: i64) -> TimeRange {
    TimeRange::new(start * HOUR_MS, end * HOUR_MS)
}

pub(crate) fn coverage(range: TimeRange, from: u64, to: u64) -> Coverage {
    Coverage { log_id: log(1), partition: 0, range, from, to }
}

pub(crate) fn block(n: u64, range: TimeRange) -> LiveBlock {
    LiveBlock {
        id: id(n),
        place: Place::Tenant,
        range,
        level: 1,
        resolution_ms: 0,
        sources: vec![id(n)],
        coverage: Vec::new(),
        size_bytes: 1000 + n,
        series: n,
        samples: 10 * n,
        content_hash: ContentHash(n.into()),
        format: 1,
    }
}
