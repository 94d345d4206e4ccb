//! `longhaul bucket attach`: buckets of others are read as they lie there, and compacted.

use crate::support::client::Client;
use crate::support::command::{documents, fails, longhaul, succeeds};
use crate::support::process::Longhaul;
use crate::support::values::{Matrix, count, difference, exact_difference, matrix};
use crate::support::{block_dirs, conformance, copy_dir, json_lines};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const CONFIGURATION: &str = "self_scrape: {enabled: false}\ncompactor: {enabled: false}\n";

/// Copies the blocks of a fixture into a folder of a bucket.
fn copy_blocks(fixture: &Path, folder: &Path) -> Vec<String> {
    let blocks = block_dirs(fixture);
    let id = |block: &PathBuf| block.file_name().unwrap().to_str().unwrap().to_owned();
    blocks.iter().for_each(|block| copy_dir(block, &folder.join(id(block))));
    blocks.iter().map(id).collect()
}

/// Every byte of every file but those below `_longhaul`, which are ours.
fn content(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.path().is_dir() {
            true if entry.file_name() == "_longhaul" => {}
            true => content(&entry.path(), found),
            false => drop(found.insert(entry.path(), std::fs::read(entry.path()).unwrap())),
        }
    }
}

/// The samples of a dump, with external labels.
fn dumped(dump: &Path, external: &[(&str, &str)]) -> Matrix {
    let mut matrix = Matrix::new();
    for series in json_lines(dump) {
        let mut labels: BTreeMap<&str, &str> = series["labels"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (&**name, value.as_str().unwrap()))
            .collect();
        labels.extend(external.iter().copied());
        let point = |it: &Value| (it[0].as_i64().unwrap(), it[1].as_f64().unwrap());
        let points = series["samples"].as_array().unwrap().iter().map(point).collect();
        matrix.insert(json!(labels).to_string(), points);
    }
    matrix
}

#[tokio::test]
async fn a_tenant_of_mimir_is_attached_and_queried() {
    let Some(fixture) = conformance("fixtures/victoriametrics/mimir-tsdb") else { return };
    let dir = tempfile::tempdir().unwrap();
    let bucket = dir.path().join("data/bucket");
    copy_dir(&fixture.join("anonymous"), &bucket.join("anonymous"));
    let path = bucket.to_str().unwrap();
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    content(&bucket, &mut before);

    let text = succeeds(&["bucket", "attach", path, "--dry-run"]);
    assert!(text.starts_with("tenant anonymous: there would be 1 new blocks\n"), "{text}");
    assert!(fails(&["bucket", "stats", path, "--tenant", "anonymous"]).contains("has no manifest"));
    let attached = documents(&["bucket", "attach", path]);
    assert_eq!((attached.len(), &attached[0]["version"], &attached[0]["applied"]), (1, &1.into(), &true.into()));
    let block = &attached[0]["attached"][0];
    assert_eq!((&block["series"], &block["samples"], &block["resolution_ms"]), (&100.into(), &400.into(), &0.into()));
    let again = documents(&["bucket", "attach", path]);
    assert_eq!((&again[0]["attached"], &again[0]["version"]), (&json!([]), &1.into()), "it is known");
    content(&bucket, &mut after);
    assert!(before == after, "neither copied nor changed");
    assert_eq!(documents(&["bucket", "verify", path])[0]["sound"], true);

    let server = Longhaul::configured(dir.path(), CONFIGURATION).await;
    let expected: Value =
        serde_json::from_slice(&std::fs::read(fixture.join("expected_response.json")).unwrap()).unwrap();
    let expected = matrix(&expected["data"]);
    let found = Client::new(&server.url).samples("mimir_continuous_test_sine_wave_v2", "1h", "1734710000").await;
    assert_eq!((found.len(), count(&found), difference(&expected, &found)), (100, 400, None));
}

#[tokio::test]
async fn blocks_of_thanos_are_attached_and_queried() {
    let Some(fixture) = conformance("fixtures/victoriametrics/thanos-snapshot") else { return };
    let dir = tempfile::tempdir().unwrap();
    let bucket = dir.path().join("data/bucket");
    let ids = copy_blocks(&fixture, &bucket);
    let path = bucket.to_str().unwrap();
    assert!(fails(&["bucket", "attach", path]).contains("2 lie uppermost in the store: --root"));

    // A block of other external labels, one that is marked for deletion, one that was not uploaded wholly.
    for (n, change) in [(1, "other"), (2, "mark"), (3, "part")] {
        let id = format!("01KKS78P6B68DNJC87ZVPRGD{n}X");
        copy_dir(&bucket.join(&ids[0]), &bucket.join(&id));
        let meta = bucket.join(&id).join("meta.json");
        let text = std::fs::read_to_string(&meta).unwrap().replace(&ids[0], &id);
        std::fs::write(&meta, text.replace("\"replica\": \"0\"", &format!("\"tenant_id\": \"t{n}\""))).unwrap();
        match change {
            "mark" => std::fs::write(bucket.join(&id).join("deletion-mark.json"), "{}").unwrap(),
            "part" => std::fs::remove_file(meta).unwrap(),
            _ => {}
        }
    }
    let attached = documents(&["bucket", "attach", path, "--root", "--tenant-label", "tenant_id"]);
    let done: Vec<_> = attached.iter().map(|it| (&it["tenant"], &it["applied"])).collect();
    assert_eq!(
        done,
        [(&"t1".into(), &true.into()), (&"t2".into(), &false.into())],
        "one of them is marked for deletion"
    );
    let output = longhaul(&["bucket", "attach", path, "--root"]);
    assert!(output.success && output.out.starts_with("tenant anonymous: version 1 of the manifest has 2 new blocks"));
    assert!(output.out.contains(&format!("attached: {} raw ", ids[0])), "{}", output.out);
    assert!(output.out.contains(&format!("attached: {} 5m ", ids[1])), "{}", output.out);
    assert!(output.out.contains("{prometheus=\"test\", replica=\"0\"}"), "{}", output.out);
    assert!(output.out.contains("D2X: it is marked for deletion"), "{}", output.out);
    assert!(output.error.contains("D3X: there is no meta.json"), "{}", output.error);
    let stats = documents(&["bucket", "stats", path, "--tenant", "anonymous"]);
    let resolutions: Vec<_> =
        stats[0]["resolutions"].as_array().unwrap().iter().map(|it| &it["resolution_ms"]).collect();
    assert_eq!(resolutions, [0, 300_000]);
    assert!(documents(&["bucket", "verify", path]).iter().all(|block| block["sound"] == true));

    let server = Longhaul::configured(dir.path(), &format!("{CONFIGURATION}auth: {{mode: header}}\n")).await;
    let client = Client::new(&server.url);
    let dump = fixture.join(&ids[0]).with_extension("dump.jsonl.gz");
    for (tenant, external) in [("anonymous", ("replica", "0")), ("t1", ("tenant_id", "t1"))] {
        let expected = dumped(&dump, &[("prometheus", "test"), external]);
        let found = client.of_tenant(tenant).samples("{__name__=~\".+\"}", "1d", "1735700000").await;
        assert_eq!((count(&found), exact_difference(&expected, &found)), (480, None), "{tenant}");
    }
}

/// The compactor's report.
async fn compact(server: &Longhaul) -> Value {
    let answer = reqwest::Client::new().post(format!("{}/-/compact", server.admin_url)).send().await.unwrap();
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

#[tokio::test]
async fn what_was_attached_is_compacted_and_what_is_damaged_is_left_alone() {
    let Some(fixture) = conformance("fixtures/oracle-2.53.3") else { return };
    let dir = tempfile::tempdir().unwrap();
    let bucket = dir.path().join("data/bucket");
    copy_blocks(&fixture.join("compaction/input"), &bucket.join("whole"));
    copy_blocks(&fixture.join("tombstones/deleted"), &bucket.join("deleted"));
    let files = ["chunks/000001", "index", "chunks/000001", "index"];
    for (n, name) in files.iter().enumerate() {
        let folder = bucket.join(format!("damaged-{n}"));
        let ids = copy_blocks(&fixture.join("compaction/input"), &folder);
        let file = folder.join(&ids[n]).join(name);
        let mut bytes = std::fs::read(&file).unwrap();
        let at = if name == &"index" { 20 } else { bytes.len() / 3 }; // among the symbols: not all of an index is read
        bytes[at] ^= 0x55;
        std::fs::write(file, bytes).unwrap();
    }
    let attached = documents(&["bucket", "attach", bucket.to_str().unwrap()]);
    assert_eq!(attached.len(), 6);
    let server = Longhaul::configured(dir.path(), &format!("{CONFIGURATION}auth: {{mode: header}}\n")).await;
    let client = Client::new(&server.url);
    let read = async |tenant: &str| client.of_tenant(tenant).samples("{__name__=~\".+\"}", "10h", "1717230000").await;

    let output = block_dirs(&fixture.join("compaction/output")).remove(0);
    let expected = dumped(&output.with_extension("dump.jsonl.gz"), &[]);
    assert_eq!(exact_difference(&expected, &read("whole").await), None);
    let deleted = client.of_tenant("deleted").samples("{__name__=~\".+\"}", "1d", "1717640000").await;
    let cleaned = block_dirs(&fixture.join("tombstones/cleaned")).remove(0);
    let left = documents(&["block", "dump", cleaned.to_str().unwrap()]);
    let samples: usize = left.iter().map(|series| series["samples"].as_array().unwrap().len()).sum();
    assert_eq!(count(&deleted), samples);

    let report = compact(&server).await;
    assert_eq!((&report["failures"], report["jobs"].as_u64()), (&json!([]), Some(5)), "{report}");
    let quarantined: Vec<&str> =
        report["quarantined"].as_array().unwrap().iter().map(|it| it["tenant"].as_str().unwrap()).collect();
    assert_eq!(quarantined.len(), 4, "{report}");
    assert_eq!(exact_difference(&expected, &read("whole").await), None);
    assert_eq!(
        exact_difference(
            &deleted,
            &client.of_tenant("deleted").samples("{__name__=~\".+\"}", "1d", "1717640000").await
        ),
        None
    );
    for stats in documents(&["bucket", "stats", bucket.to_str().unwrap()]) {
        let damaged = stats["tenant"].as_str().unwrap().starts_with("damaged");
        let blocks = if damaged { 2 } else { 1 };
        assert_eq!(stats["resolutions"][0]["blocks"], blocks, "{stats}");
        assert_eq!(stats["quarantined"].as_array().unwrap().len(), usize::from(damaged), "{stats}");
    }
}
