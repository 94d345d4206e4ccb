//! What is a store's URL, what is not, and why.

use super::*;

#[test]
fn urls_name_stores() {
    let parse = |text: &str| StoreUrl::parse(text).unwrap();
    assert_eq!(parse("file:///var/lib/longhaul"), StoreUrl::File("/var/lib/longhaul".into()));
    assert_eq!(parse("file:///with%20space"), StoreUrl::File("/with space".into()));
    assert_eq!(parse("memory:"), StoreUrl::Memory);
    let (bucket, prefix) = ("b".to_owned(), "x/y".to_owned());
    assert_eq!(parse("s3://b/x/y/"), StoreUrl::S3 { bucket: bucket.clone(), prefix: prefix.clone() });
    assert_eq!(parse("s3://b"), StoreUrl::S3 { bucket: bucket.clone(), prefix: String::new() });
    assert_eq!(parse("gs://b/x/y"), StoreUrl::Gcs { bucket: bucket.clone(), prefix: prefix.clone() });
    assert_eq!(parse("az://b/x/y"), StoreUrl::Azure { container: bucket, prefix });
    for text in ["file:///var/lib/longhaul", "memory:", "s3://b/x/y", "gs://b/x/y", "az://b/x/y"] {
        assert_eq!(parse(text).to_string(), text);
    }
}

#[test]
fn what_is_no_store_is_refused_with_a_reason() {
    for (text, reason) in [
        ("", "expected file:///path"),
        ("/var/lib", "expected file:///path"),
        ("file:///", "root of the file system"),
        ("file://host/path", "expected file:///absolute/path"),
        ("s3:///x", "name of the bucket is missing"),
        ("ftp://host/x", "unknown scheme \"ftp\""),
        ("s3://b/x?region=eu", "endpoints come from the environment"),
        ("s3://b/x//y", "empty"),
    ] {
        let error = StoreUrl::parse(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
    let error = StoreUrl::parse("s3://key:hunter2@b/x").unwrap_err().to_string();
    assert!(error.contains("credentials do not belong") && !error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_local_store_is_created_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let url = StoreUrl::File(dir.path().join("new/bucket"));
    for expected in [false, true] {
        let store = open_store(&url, &StoreOptions::default()).unwrap();
        assert!(format!("{store:?}").contains("fsync: true"), "rule 5");
        let key = store.key("a*b/c");
        assert_eq!(store.exists(&key).await.unwrap(), expected);
        store.put(&key, bytes::Bytes::from_static(b"x")).await.unwrap();
    }
    assert_eq!(std::fs::read(dir.path().join("new/bucket/a*b/c")).unwrap(), b"x");
}

/// The builders take our settings; nothing is asked of the network.
#[test]
fn cloud_stores_can_be_opened() {
    let s3 = open_store(&StoreUrl::parse("s3://b/x").unwrap(), &StoreOptions::default()).unwrap();
    assert_eq!(s3.key("k").to_string(), "x/k");
}
