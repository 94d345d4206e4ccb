//! `longhaul bucket`: what is in a bucket, and whether it is whole.

use crate::support::client::Client;
use crate::support::command::{documents, fails, longhaul, succeeds};
use crate::support::process::Longhaul;
use crate::support::{block_dirs, now_ms};
use longhaul_model::{Labels, Sample};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A bucket with three blocks of tenant `a` and one of `b`; the server that wrote it has gone.
async fn bucket(dir: &Path) -> PathBuf {
    let configuration = "self_scrape: {enabled: false}\nauth: {mode: header}\ncompactor: {enabled: false}\n";
    let server = Longhaul::configured(dir, configuration).await;
    let client = Client::new(&server.url);
    for n in 0..3 {
        for tenant in ["a", "b"].into_iter().take(if n == 0 { 2 } else { 1 }) {
            let labels = Labels::from_pairs([("__name__", "m"), ("tenant", tenant)]);
            let samples: Vec<Sample> =
                (0..100).map(|i| Sample::new(now_ms() - (4 - n) * 600_000 + i * 1000, (i % 7) as f64)).collect();
            assert_eq!(client.of_tenant(tenant).write(&[(labels, &samples)]).await.status, 204);
        }
        server.flush().await;
    }
    dir.join("data/bucket")
}

fn damage(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(file, bytes).unwrap();
}

#[tokio::test]
async fn what_is_in_a_bucket_is_counted_and_verified() {
    let dir = tempfile::tempdir().unwrap();
    let bucket = bucket(dir.path()).await;
    let path = bucket.to_str().unwrap();

    let stats = documents(&["bucket", "stats", path]);
    assert_eq!((stats.len(), &stats[0]["tenant"], &stats[1]["tenant"]), (2, &"a".into(), &"b".into()));
    let raw = &stats[0]["resolutions"][0];
    let counts = ["resolution_ms", "blocks", "series", "samples"].map(|key| raw[key].as_u64().unwrap());
    assert_eq!(counts, [0, 3, 3, 300]);
    let of_part = |part: &Value| part["size_bytes"].as_u64().unwrap();
    let parts = stats[0]["parts"].as_array().unwrap();
    let names: Vec<&str> = parts.iter().map(|part| part["part"].as_str().unwrap()).collect();
    for name in ["chunks", "index", "lookup", "meta.json"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert_eq!(parts.iter().map(of_part).sum::<u64>(), raw["size_bytes"].as_u64().unwrap());
    assert_eq!((&stats[0]["missing"], &stats[0]["unknown"]["objects"]), (&serde_json::json!([]), &0.into()));
    let text = succeeds(&["bucket", "stats", path, "--tenant", "b"]);
    assert!(text.starts_with("tenant b: version ") && text.contains("raw") && !text.contains("tenant a"), "{text}");

    let verified = documents(&["bucket", "verify", path]);
    assert_eq!(verified.len(), 4);
    assert!(verified.iter().all(|block| block["sound"] == true && block["samples"] == 100), "{verified:?}");
    let text = succeeds(&["bucket", "verify", path, "--jobs", "1"]);
    assert!(text.ends_with("2 tenants, 4 blocks, 0 of them not sound\n"), "{text}");

    let blocks = block_dirs(&bucket.join("a"));
    let id = |block: &Path| block.file_name().unwrap().to_str().unwrap().to_owned();
    damage(&blocks[0].join("chunks/000001"));
    std::fs::remove_file(blocks[1].join("index")).unwrap();
    std::fs::remove_file(blocks[2].join("meta.json")).unwrap();
    let output = longhaul(&["bucket", "verify", path]);
    assert!(!output.success && output.error.contains("longhaul: 3 of 4 blocks are not sound"), "{}", output.error);
    for (block, said) in
        [(&blocks[0], "chunks/000001 at "), (&blocks[1], "index"), (&blocks[2], "meta.json is missing")]
    {
        let begin = format!("a {}: {said}", id(block));
        assert!(output.out.lines().any(|line| line.starts_with(&begin)), "{begin} in {}", output.out);
    }
    let output = longhaul(&["bucket", "verify", path, "--json"]);
    let sound = |line: &str| serde_json::from_str::<Value>(line).unwrap()["sound"] == true;
    assert_eq!(output.out.lines().filter(|line| sound(line)).count(), 1);
    succeeds(&["bucket", "verify", path, "--tenant", "b"]);

    // A version of the manifest that is not what its successor says.
    damage(&bucket.join("a/_longhaul/manifest/00000000000000000001"));
    assert!(fails(&["bucket", "verify", path]).contains("the manifests of 1 tenants cannot be read"));
    let nowhere = dir.path().join("nowhere");
    assert!(fails(&["bucket", "stats", nowhere.to_str().unwrap()]).contains("is no directory"));
    assert!(!nowhere.exists());
    assert!(fails(&["bucket", "stats", path, "--tenant", "c"]).contains("tenant c has no manifest"));
    assert!(fails(&["bucket", "verify", path, "--jobs", "1", "--tenant", "../b"]).contains("tenant: "));
}
