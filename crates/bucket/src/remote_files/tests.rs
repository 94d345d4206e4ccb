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
    tenant.store.put(&tenant.block_key(id(1), "chunks/000002"), pattern()).await.unwrap();
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
    let (files, ranges) = (tenant.block_files(id(1), Handle::current()), ranges.to_vec());
    tokio::task::spawn_blocking(move || files.read(file, &ranges)).await.unwrap()
}

#[tokio::test]
async fn ranges_are_exact_and_close_ones_go_together() {
    let (_dir, disk) = local();
    let test = TestStore::new();
    for store in [test.store(), Store::memory(), disk] {
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
    for store in [TestStore::new().store(), disk] {
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
    for act in [Act::FailBefore, Act::HangAfter, Act::Deny, Act::Mangle] {
        test.set(move |call, _| if call == Call::Get { act } else { Act::Honestly });
        let error = read(&tenant, BlockFile::Chunks(1), std::slice::from_ref(&(5..10))).await.unwrap_err();
        assert!(matches!(error, ReadError::Other { .. }), "{act:?}: {error}");
    }
}

#[tokio::test]
async fn a_size_is_asked_for_once() {
    let test = TestStore::new();
    let tenant = with_block(test.store()).await;
    let files: Arc<dyn BlockFiles> = tenant.block_files(id(1), Handle::current());
    let asked = files.clone();
    let ask = move || (asked.size(BlockFile::Chunks(1)).unwrap(), asked.size(BlockFile::Chunks(1)).unwrap());
    assert_eq!(tokio::task::spawn_blocking(ask).await.unwrap(), (SIZE, SIZE));
    assert_eq!(test.take_calls().into_iter().filter(|(call, _)| *call == Call::Head).count(), 1);
    let missing = tokio::task::spawn_blocking(move || files.size(BlockFile::Lookup)).await.unwrap();
    assert!(matches!(missing, Err(ReadError::Missing(BlockFile::Lookup))));
}
