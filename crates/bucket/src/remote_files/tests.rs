//! Ranged reads: exact bytes, few requests, and whose fault a failure is.

use super::*;
use crate::store::Store;
use crate::testing::*;
use longhaul_model::TenantId;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const SIZE: u64 = 3 << 20;

fn pattern() -> Bytes {
    (0..SIZE).map(|at| (at ^ (at >> 9)) as u8).collect::<Vec<_>>().into()
}

async fn with_block(store: Store) -> TenantStore {
    let tenant = TenantStore::new(store, TenantId::anonymous());
    tenant.store.put(&tenant.block_key(at(1), "chunks/000002"), pattern()).await.unwrap();
    tenant
}

fn local() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let url = crate::StoreUrl::File(dir.path().to_owned());
    let store = crate::open_store(&url, &crate::StoreOptions::default()).unwrap();
    (dir, store)
}

/// Runs on a thread that may block, as readers do.
async fn read(tenant: &TenantStore, file: BlockFile, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, ReadError> {
    let (files, ranges) = (tenant.block_files(at(1), Handle::current()), ranges.to_vec());
    tokio::task::spawn_blocking(move || files.read(file, &ranges)).await.unwrap()
}

#[tokio::test]
async fn ranges_are_exact_and_close_ones_go_together() {
    let (_dir, disk) = local();
    let test = TestStore::new();
    for store in [test.store(), Store::memory(), disk].into_iter().chain(chosen_store()) {
        let tenant = with_block(store).await;
        let ranges = vec![2 << 20..(2 << 20) + 9, 5..10, 10..10, 100..300, SIZE - 1..SIZE, 0..0, 7..200];
        let found = read(&tenant, BlockFile::Chunks(1), &ranges).await.unwrap();
        let expected: Vec<Bytes> =
            ranges.iter().map(|range| pattern().slice(range.start as usize..range.end as usize)).collect();
        assert_eq!(found, expected);
        assert!(read(&tenant, BlockFile::Chunks(1), &[]).await.unwrap().is_empty());
    }
    let gets = test.take_calls().into_iter().filter(|(call, _)| *call == Call::Get).count();
    assert_eq!(gets, 3, "three groups that lie further apart than the gap");
}

#[tokio::test]
async fn requests_and_bytes_are_counted() {
    let test = TestStore::new();
    let tenant = with_block(test.store()).await;
    read(&tenant, BlockFile::Chunks(1), &[0..10, 20..30, 1 << 20..(1 << 20) + 5]).await.unwrap();
    let metrics = tenant.store().metrics();
    assert_eq!(metrics.gets.load(Ordering::Relaxed), 2);
    assert_eq!(metrics.read_bytes.load(Ordering::Relaxed), 35, "what came, gaps included");
    assert_eq!(metrics.written_bytes.load(Ordering::Relaxed), SIZE);
}

/// Rule 9: what is missing is an error and never a gap.
#[tokio::test]
async fn what_is_missing_is_an_error() {
    let (_dir, disk) = local();
    for store in [TestStore::new().store(), disk].into_iter().chain(chosen_store()) {
        let tenant = with_block(store).await;
        let missing = read(&tenant, BlockFile::Index, std::slice::from_ref(&(0..5))).await.unwrap_err();
        assert!(matches!(missing, ReadError::Missing(BlockFile::Index)), "{missing}");
        for range in [SIZE - 1..SIZE + 1, SIZE..SIZE + 1, SIZE + 5..SIZE + 6] {
            let error = read(&tenant, BlockFile::Chunks(1), &[0..1, range.clone()]).await.unwrap_err();
            let expected = matches!(error, ReadError::Truncated { end, size_bytes: SIZE, .. } if end == range.end);
            assert!(expected, "{range:?}: {error}");
        }
    }
}

#[tokio::test]
async fn failures_of_the_store_are_not_the_blocks_fault() {
    let test = TestStore::new();
    let tenant = with_block(test.store()).await;
    for act in [Act::FailBefore, Act::HangAfter, Act::Deny, Act::Mangle, Act::BreakOff] {
        test.set(move |call, _| if call == Call::Get { act } else { Act::Honestly });
        let error = read(&tenant, BlockFile::Chunks(1), std::slice::from_ref(&(5..10))).await.unwrap_err();
        assert!(matches!(error, ReadError::Other { .. }), "{act:?}: {error}");
    }
    test.set(|call, _| if call == Call::Get { Act::BreakOff } else { Act::Honestly });
    let error = tenant.store.get(&tenant.block_key(at(1), "chunks/000002")).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}

#[tokio::test]
async fn a_size_is_asked_for_once() {
    let test = TestStore::new();
    let tenant = with_block(test.store()).await;
    let files: Arc<dyn BlockFiles> = tenant.block_files(at(1), Handle::current());
    let asked = files.clone();
    let ask = move || (asked.size(BlockFile::Chunks(1)).unwrap(), asked.size(BlockFile::Chunks(1)).unwrap());
    assert_eq!(tokio::task::spawn_blocking(ask).await.unwrap(), (SIZE, SIZE));
    assert_eq!(test.take_calls().into_iter().filter(|(call, _)| *call == Call::Head).count(), 1);
    let missing = tokio::task::spawn_blocking(move || files.size(BlockFile::Lookup)).await.unwrap();
    assert!(matches!(missing, Err(ReadError::Missing(BlockFile::Lookup))));
}

/// A whole block, written on a disk, uploaded, opened from the bucket: the same series, and the verifier is content.
#[tokio::test]
async fn a_block_reads_the_same_from_the_bucket() {
    use longhaul_block::{Block, BlockMeta, LocalFiles, verify, write};
    use longhaul_chunk::{SeriesChunks, XorAppender};
    use longhaul_model::{Labels, Matcher, TimeRange};

    let dir = tempfile::tempdir().unwrap();
    let fs: Arc<dyn longhaul_disk::Fs> = Arc::new(longhaul_disk::RealFs);
    let series = (100..400).map(|n| {
        let mut chunk = XorAppender::new();
        (0..50).for_each(|t| chunk.append(t * 1000, (n * t) as f64));
        let labels = Labels::from_pairs([("__name__", "m"), ("n", &n.to_string())]);
        Ok(SeriesChunks { labels, chunks: vec![chunk.seal()] })
    });
    let path = dir.path().join("block");
    let meta = write(fs.clone(), &path, BlockMeta::new(id(9), hours(0, 2)), series).unwrap();
    let test = TestStore::new();
    let tenant =
        TenantStore::new(test.store().with_call_budget(std::time::Duration::from_secs(20)), TenantId::anonymous());
    let uploaded = tenant.upload_block(&fs, &path, &meta).await.unwrap();
    assert!(uploaded.sizes.iter().any(|(path, _)| path == "lookup"));
    assert_eq!(tenant.block_meta(BlockAddress::of_tenant(meta.ulid)).await.unwrap(), meta);
    test.take_calls();

    let remote = tenant.block_files(BlockAddress::of_tenant(meta.ulid), Handle::current());
    let local: Arc<dyn BlockFiles> = Arc::new(LocalFiles::new(fs, &path));
    let work = move || {
        let select = |files: &Arc<dyn BlockFiles>| {
            let matchers = [Matcher::equal("n", "123")];
            let block = Block::open(files.clone(), meta.clone()).unwrap();
            let found: Vec<SeriesChunks> =
                block.select(&matchers, TimeRange::ALL).unwrap().into_series().map(Result::unwrap).collect();
            format!("{found:?}")
        };
        let found = select(&remote);
        let gets = test.take_calls().into_iter().filter(|(call, _)| *call == Call::Get).count();
        assert_eq!(found, select(&local));
        assert!(gets <= 6, "one series of a cold block took {gets} GETs");
        verify(remote.as_ref(), &meta).unwrap().sound().unwrap();
        // Any other answer than the bytes of the block is an error.
        for act in [Act::FailBefore, Act::Mangle, Act::Deny] {
            test.set(move |call, key| if call == Call::Get && key.contains("chunks") { act } else { Act::Honestly });
            let block = Block::open(remote.clone(), meta.clone()).unwrap();
            let found = block.select(&[Matcher::equal("__name__", "m")], TimeRange::ALL);
            assert!(found.is_err() || found.unwrap().into_series().any(|series| series.is_err()), "{act:?}");
        }
    };
    tokio::task::spawn_blocking(work).await.unwrap();
}
