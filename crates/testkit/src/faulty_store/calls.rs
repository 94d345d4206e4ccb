//! The calls of an object store, each a step.

use super::{Call, Change, Fault, FaultyStore, broken, refusal};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use object_store::path::Path as Key;
use object_store::*;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;

#[async_trait::async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, key: &Key, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let call = match options.mode {
            PutMode::Overwrite => Call::Put,
            PutMode::Create => Call::Create,
            PutMode::Update(_) => Call::Update,
        };
        self.change(call, Change::Put { key: key.clone(), bytes: payload.into(), mode: options.mode }).await
    }

    async fn put_multipart_opts(&self, key: &Key, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.step(Call::Part, key, async |fault| refusal(fault, key)).await?;
        Ok(Box::new(Parts { store: self.clone(), key: key.clone(), parts: Arc::default() }))
    }

    async fn get_opts(&self, key: &Key, options: GetOptions) -> Result<GetResult> {
        let call = if options.head { Call::Head } else { Call::Get };
        self.step(call, key, async |fault| {
            refusal(fault, key)?;
            let mut answer = self.world().inner().get_opts(key, options).await?;
            answer.meta = self.world().stamped(answer.meta);
            if fault == Fault::Halved {
                let (meta, range, attributes) = (answer.meta.clone(), answer.range.clone(), answer.attributes.clone());
                let bytes = answer.bytes().await?;
                let half = bytes.slice(..bytes.len() / 2);
                let payload = GetResultPayload::Stream(futures::stream::once(async { Ok(half) }).boxed());
                answer = GetResult { payload, meta, range, attributes, extensions: Default::default() };
            }
            Ok(answer)
        })
        .await
    }

    fn delete_stream(&self, keys: BoxStream<'static, Result<Key>>) -> BoxStream<'static, Result<Key>> {
        let this = self.clone();
        keys.then(move |key| {
            let this = this.clone();
            async move {
                let key = key?;
                this.change(Call::Delete, Change::Delete { key: key.clone() }).await?;
                Ok(key)
            }
        })
        .boxed()
    }

    fn list(&self, prefix: Option<&Key>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (this, prefix) = (self.clone(), prefix.cloned());
        let listed = async move {
            match this.listed(prefix.as_ref()).await {
                Ok(found) => futures::stream::iter(found.into_iter().map(Ok)).boxed(),
                Err(error) => futures::stream::once(async { Err(error) }).boxed(),
            }
        };
        futures::stream::once(listed).flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Key>) -> Result<ListResult> {
        let root = Key::ROOT;
        let folder = prefix.unwrap_or(&root);
        let (mut objects, mut folders) = (Vec::new(), BTreeSet::new());
        for meta in self.listed(prefix).await? {
            let mut rest = meta.location.prefix_match(folder).into_iter().flatten();
            match (rest.next(), rest.next()) {
                (Some(name), Some(_)) => {
                    folders.insert(folder.clone().join(name));
                }
                (Some(_), None) => objects.push(meta.clone()),
                (None, _) => {}
            }
        }
        Ok(ListResult { common_prefixes: folders.into_iter().collect(), objects, extensions: Default::default() })
    }

    async fn copy_opts(&self, _: &Key, _: &Key, _: CopyOptions) -> Result<()> {
        Err(Error::NotSupported { source: "nobody copies objects".into() })
    }
}

impl FaultyStore {
    async fn listed(&self, prefix: Option<&Key>) -> Result<Vec<ObjectMeta>> {
        let key = prefix.cloned().unwrap_or(Key::ROOT);
        self.step(Call::List, &key, async |fault| {
            refusal(fault, &key)?;
            match fault {
                Fault::Stale(changes_ago) => self.world().old_listing(prefix, changes_ago).await,
                _ => self.world().listing(prefix).await,
            }
        })
        .await
    }
}

/// An upload in parts.
#[derive(Debug)]
struct Parts {
    store: FaultyStore,
    key: Key,
    parts: Arc<Mutex<Vec<Bytes>>>,
}

#[async_trait::async_trait]
impl MultipartUpload for Parts {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let mut parts = self.parts.lock();
        let at = parts.len();
        parts.push(Bytes::new());
        let (store, key, parts) = (self.store.clone(), self.key.clone(), self.parts.clone());
        async move {
            let work = async |fault| {
                refusal(fault, &key)?;
                if fault == Fault::Torn {
                    return Err(broken("503"));
                }
                parts.lock()[at] = data.into();
                Ok(())
            };
            store.step(Call::Part, &key, work).await
        }
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let bytes = Bytes::from(self.parts.lock().concat());
        self.store.change(Call::Put, Change::Put { key: self.key.clone(), bytes, mode: PutMode::Overwrite }).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.store.step(Call::Part, &self.key, async |fault| refusal(fault, &self.key)).await
    }
}
