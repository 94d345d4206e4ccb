//! Whether a store keeps the promises that the manifest rests on, asked once at the start of a process.

use crate::error::{BucketError, Result};
use crate::store::Store;
use bytes::Bytes;
use object_store::path::Path as Key;

/// Size of the object whose ranges are read, bytes.
const PATTERN_BYTES: u64 = 4096;

/// Asks the store to show that it keeps its promises: of two puts-if-absent one wins and the other is told so, a
/// later one loses, an overwrite is read back, ranges are exact, a LIST and a GET see what was put and deleted before.
///
/// [`BucketError::Unfit`] says which promise was broken; other errors mean that the store could not be asked. Works on
/// objects below `_longhaul/probe/<nonce>`, which are gone afterwards; `nonce` is fresh randomness, so that processes
/// that start together do not meet.
pub async fn probe(store: &Store, nonce: u128) -> Result<()> {
    let keys = Keys {
        folder: store.key(&format!("_longhaul/probe/{nonce:032x}")),
        race: store.key(&format!("_longhaul/probe/{nonce:032x}/race")),
        pattern: store.key(&format!("_longhaul/probe/{nonce:032x}/pattern")),
    };
    let verdict = ask(store, &keys).await;
    // Cleaned up whatever the verdict; deleting is itself part of what is asked.
    for key in [&keys.race, &keys.pattern] {
        let deleted = store.delete(key).await;
        if verdict.is_ok() {
            deleted?;
            if store.exists(key).await? {
                return Err(unfit(store, "an object is still there after it was deleted"));
            }
        }
    }
    verdict
}

struct Keys {
    folder: Key,
    race: Key,
    pattern: Key,
}

async fn ask(store: &Store, keys: &Keys) -> Result<()> {
    if store.exists(&keys.race).await? {
        return Err(unfit(store, "it holds an object that was never written"));
    }
    put_if_absent(store, &keys.race).await?;
    overwrite(store, &keys.race).await?;
    ranges(store, &keys.pattern).await?;
    list(store, keys).await
}

async fn put_if_absent(store: &Store, key: &Key) -> Result<()> {
    let contents = [Bytes::from_static(b"the first"), Bytes::from_static(b"the second")];
    let (first, second) =
        tokio::join!(store.put_if_absent(key, contents[0].clone()), store.put_if_absent(key, contents[1].clone()));
    let winner = match (first, second) {
        (Ok(()), Ok(())) => {
            return Err(unfit(store, "put-if-absent does not work: two writers created the same object"));
        }
        (Ok(()), Err(BucketError::Exists { .. })) => 0,
        (Err(BucketError::Exists { .. }), Ok(())) => 1,
        // A store may answer two requests at once with a conflict for both; then one after the other must do.
        (Err(BucketError::Exists { .. }), Err(BucketError::Exists { .. })) => {
            match store.put_if_absent(key, contents[0].clone()).await {
                Ok(()) | Err(BucketError::Exists { .. }) => {}
                Err(error) => return Err(refused(store, error)),
            }
            let found = store.get(key).await?;
            contents.iter().position(|content| *content == found).unwrap_or(0)
        }
        (Err(BucketError::Exists { .. }), Err(error)) | (Err(error), _) | (Ok(()), Err(error)) => {
            return Err(refused(store, error));
        }
    };
    if store.get(key).await? != contents[winner] {
        return Err(unfit(store, "put-if-absent does not work: the object is not the winner's"));
    }
    match store.put_if_absent(key, Bytes::from_static(b"the third")).await {
        Err(BucketError::Exists { .. }) => {}
        Ok(()) => return Err(unfit(store, "put-if-absent does not work: it replaced an object")),
        Err(error) => return Err(error),
    }
    if store.get(key).await? != contents[winner] {
        return Err(unfit(store, "put-if-absent does not work: it was refused and replaced the object all the same"));
    }
    Ok(())
}

async fn overwrite(store: &Store, key: &Key) -> Result<()> {
    let content = Bytes::from_static(b"the last");
    store.put(key, content.clone()).await?;
    if store.get(key).await? != content {
        return Err(unfit(store, "a GET does not see the PUT before it"));
    }
    Ok(())
}

async fn ranges(store: &Store, key: &Key) -> Result<()> {
    let pattern: Bytes = (0..PATTERN_BYTES).map(|at| (at ^ (at >> 8)) as u8).collect::<Vec<_>>().into();
    store.put(key, pattern.clone()).await?;
    if store.head(key).await?.size != PATTERN_BYTES {
        return Err(unfit(store, "HEAD reports a wrong size"));
    }
    let ranges = [0..1, 100..612, PATTERN_BYTES - 16..PATTERN_BYTES];
    for range in &ranges {
        let found = store.get_ranges(key, std::slice::from_ref(range)).await?;
        if found.len() != 1 || found[0] != pattern.slice(range.start as usize..range.end as usize) {
            return Err(unfit(store, "it does not answer range requests with the range"));
        }
    }
    Ok(())
}

async fn list(store: &Store, keys: &Keys) -> Result<()> {
    let mut found: Vec<Key> = store.list(&keys.folder, 10).await?.into_iter().map(|object| object.location).collect();
    found.sort();
    let mut expected = vec![keys.race.clone(), keys.pattern.clone()];
    expected.sort();
    if found != expected {
        let names = found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        return Err(unfit(store, &format!("a LIST does not see the PUTs before it: it found [{names}]")));
    }
    Ok(())
}

/// The store does not know put-if-absent, or it could not be asked.
fn refused(store: &Store, error: BucketError) -> BucketError {
    match error {
        BucketError::Store { source: source @ object_store::Error::NotImplemented { .. }, .. } => {
            unfit(store, &format!("it has no put-if-absent: {source}"))
        }
        error => error,
    }
}

fn unfit(store: &Store, reason: &str) -> BucketError {
    BucketError::Unfit { store: store.to_string(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests;
