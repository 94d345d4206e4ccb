//! `longhaul bucket`: what is in a bucket, and whether it is whole.

use crate::support::client::Client;
use crate::support::command::{documents, fails, longhaul, succeeds};
use crate::support::process::Longhaul;
use crate::support::values::{Matrix, count, exact_difference};
use crate::support::{block_dirs, copy_dir, now_ms, seconds};
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

/// What tenant `a` can read.
async fn read(server: &Longhaul) -> Matrix {
    Client::new(&server.url).of_tenant("a").samples("m", "3h", &seconds(now_ms())).await
}

#[tokio::test]
async fn a_manifest_that_was_lost_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let bucket = bucket(dir.path()).await;
    let path = bucket.to_str().unwrap();
    let manifests = bucket.join("a/_longhaul/manifest");
    let configuration = "self_scrape: {enabled: false}\nauth: {mode: header}\ncompactor: {enabled: false}\n";
    let server = Longhaul::configured(dir.path(), configuration).await;
    let before = read(&server).await;
    assert_eq!(count(&before), 300);
    drop(server);

    assert!(fails(&["bucket", "rebuild-manifest", path, "--tenant", "a"]).contains("--replace rebuilds it"));
    let last = std::fs::read_dir(&manifests)
        .unwrap()
        .map(|it| it.unwrap().path())
        .filter(|it| it.file_stem().unwrap().len() == 20)
        .max()
        .unwrap();
    damage(&last);
    assert!(fails(&["bucket", "rebuild-manifest", path, "--tenant", "a"]).contains("which is damaged"));
    let would = documents(&["bucket", "rebuild-manifest", path, "--tenant", "a", "--replace"]);
    assert_eq!((would[0]["live"].as_array().unwrap().len(), &would[0]["applied"]), (3, &false.into()));
    assert!(!longhaul(&["bucket", "verify", path, "--tenant", "a"]).success, "nothing was changed");

    // All of it is gone; one block is half there, one is another tenant's.
    std::fs::remove_dir_all(bucket.join("a/_longhaul")).unwrap();
    let blocks = block_dirs(&bucket.join("a"));
    let other = block_dirs(&bucket.join("b")).remove(0);
    copy_dir(&other, &bucket.join("a").join(other.file_name().unwrap()));
    copy_dir(&blocks[0], &bucket.join("a/01ARZ3NDEKTSV4RRFFQ69G5FAV"));
    std::fs::remove_file(bucket.join("a/01ARZ3NDEKTSV4RRFFQ69G5FAV/meta.json")).unwrap();
    let meta = std::fs::read(blocks[1].join("meta.json")).unwrap();
    std::fs::write(blocks[1].join("meta.json"), &meta[..meta.len() / 2]).unwrap();
    let output = longhaul(&["bucket", "rebuild-manifest", path]);
    assert!(output.success && output.error.contains("tenant b has version 1 of a manifest"), "{}", output.error);
    for said in ["there is no manifest", "2 live blocks", "it is a block of tenant b", "FAV: there is no meta.json"] {
        assert!(output.out.contains(said), "{said} in {}", output.out);
    }
    assert!(fails(&["bucket", "rebuild-manifest", path, "--apply"]).contains("1 blocks cannot be read"));
    std::fs::write(blocks[1].join("meta.json"), meta).unwrap();
    let done = documents(&["bucket", "rebuild-manifest", path, "--apply"]);
    assert_eq!((&done[0]["next_version"], &done[0]["applied"]), (&1.into(), &true.into()), "{done:?}");

    let server = Longhaul::configured(dir.path(), configuration).await;
    assert_eq!(exact_difference(&before, &read(&server).await), None);
    let labels = Labels::from_pairs([("__name__", "m"), ("tenant", "new")]);
    let answer = Client::new(&server.url).of_tenant("a").write(&[(labels, &[Sample::new(now_ms(), 1.0)])]).await;
    assert_eq!(answer.status, 204);
    server.flush().await;
    assert_eq!(count(&read(&server).await), 301, "and it goes on");
    drop(server);
    succeeds(&["bucket", "verify", path]);
    let kept = documents(&["bucket", "rebuild-manifest", path, "--tenant", "a", "--replace", "--apply"]);
    assert_eq!((kept[0]["live"].as_array().unwrap().len(), &kept[0]["deletions_lost"]), (4, &false.into()));
    succeeds(&["bucket", "verify", path, "--tenant", "a"]);
}
