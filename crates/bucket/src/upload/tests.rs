//! Uploads: their order, their sizes, and stores that fail or cut short.

use super::*;
use crate::testing::*;
use longhaul_disk::RealFs;

/// A directory that looks like a block, with segments of the given sizes.
fn block_dir(segments: &[usize]) -> (tempfile::TempDir, BlockMeta) {
    let dir = tempfile::tempdir().unwrap();
    let meta = BlockMeta::new(id(1), hours(0, 2));
    let write = |path: &str, bytes: &[u8]| {
        let mut file = RealFs.create(&dir.path().join(path)).unwrap();
        file.append(bytes).unwrap();
    };
    RealFs.create_dir_all(&dir.path().join("chunks")).unwrap();
    for (n, size_bytes) in segments.iter().enumerate() {
        let bytes: Vec<u8> = (0..*size_bytes).map(|at| (at / 1000 + n) as u8).collect();
        write(&format!("chunks/{:06}", n + 1), &bytes);
    }
    write("exemplars", b"ex");
    write("index", b"the index");
    write("lookup", b"the lookup");
    write("meta.json", &meta.to_json());
    write("meta.json.tmp", b"half a");
    write("tombstones", b"none");
    (dir, meta)
}

fn fs() -> Arc<dyn Fs> {
    Arc::new(RealFs)
}

/// Rule 2.
#[tokio::test]
async fn objects_are_written_in_order_and_their_sizes_checked() {
    let (dir, meta) = block_dir(&[100, 50]);
    let test = TestStore::new();
    let uploaded = test.tenant().upload_block(&fs(), dir.path(), &meta).await.unwrap();
    let paths: Vec<&str> = uploaded.sizes.iter().map(|(path, _)| path.as_str()).collect();
    let order = ["chunks/000001", "chunks/000002", "index", "lookup", "exemplars", "tombstones", "meta.json"];
    assert_eq!(paths, order);
    let key = |path: &str| format!("team-a/{}/{path}", meta.ulid);
    let expected: Vec<_> = order
        .iter()
        .map(|path| (Call::Put, key(path)))
        .chain(order.iter().map(|path| (Call::Head, key(path))))
        .collect();
    assert_eq!(test.take_calls(), expected);
    assert_eq!(uploaded.size_bytes(), 100 + 50 + 9 + 10 + 2 + 4 + meta.to_json().len() as u64);
    assert_eq!(test.tenant().block_meta(BlockAddress::of_tenant(meta.ulid)).await.unwrap(), meta);
}

#[tokio::test]
async fn large_files_go_in_parts() {
    let size_bytes = 3 * PART_BYTES as usize + 5;
    let (dir, meta) = block_dir(&[size_bytes, PART_BYTES as usize]);
    let folder = tempfile::tempdir().unwrap();
    let local = crate::StoreUrl::File(folder.path().to_owned());
    let local = crate::open_store(&local, &crate::StoreOptions::default()).unwrap();
    let test = TestStore::new();
    let patient = test.store().with_call_budget(std::time::Duration::from_secs(20));
    for store in [patient, local].into_iter().chain(chosen_store()) {
        let tenant = TenantStore::new(store, longhaul_model::TenantId::anonymous());
        tenant.upload_block(&fs(), dir.path(), &meta).await.unwrap();
        let found =
            tenant.store.get(&tenant.block_key(BlockAddress::of_tenant(meta.ulid), "chunks/000001")).await.unwrap();
        assert!(found == RealFs.read(&dir.path().join("chunks/000001")).unwrap());
    }
    let multipart = test.take_calls().into_iter().filter(|(call, _)| *call == Call::Multipart).count();
    assert_eq!(multipart, 1, "a file of exactly one part goes with one PUT");
}

/// I-SHIP-2: after any failure the same upload may be tried again; no block is visible before it is whole.
#[tokio::test]
async fn an_upload_that_failed_is_tried_again() {
    let (dir, meta) = block_dir(&[100]);
    for act in [Act::FailBefore, Act::FailAfter, Act::HangAfter, Act::Deny] {
        for failing in ["chunks/000001", "lookup", "tombstones", "meta.json"] {
            let test = TestStore::new();
            let tenant = test.tenant();
            test.act(act, Call::Put, failing, 1);
            tenant.upload_block(&fs(), dir.path(), &meta).await.unwrap_err();
            if failing != "meta.json" {
                assert!(tenant.block_meta(BlockAddress::of_tenant(meta.ulid)).await.unwrap_err().is_not_found());
            }
            tenant.upload_block(&fs(), dir.path(), &meta).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_truncated_object_is_noticed() {
    let (dir, meta) = block_dir(&[100]);
    for cut in ["chunks/000001", "index", "meta.json"] {
        let test = TestStore::new();
        test.act(Act::Mangle, Call::Put, cut, 1);
        let error = test.tenant().upload_block(&fs(), dir.path(), &meta).await.unwrap_err();
        assert!(matches!(&error, BucketError::WrongSize { key, .. } if key.as_ref().ends_with(cut)), "{error}");
    }
    let test = TestStore::new();
    test.act(Act::Lie, Call::Put, "lookup", 1);
    assert!(test.tenant().upload_block(&fs(), dir.path(), &meta).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_directory_that_is_no_block_is_not_uploaded() {
    let (dir, meta) = block_dir(&[100]);
    RealFs.remove_file(&dir.path().join("meta.json")).unwrap();
    let test = TestStore::new();
    for path in [dir.path().to_owned(), dir.path().join("absent")] {
        let error = test.tenant().upload_block(&fs(), &path, &meta).await.unwrap_err();
        assert!(matches!(error, BucketError::Local { .. }), "{error}");
    }
    assert_eq!(test.take_calls(), []);
}
