//! The command line: block tools, configuration check, load, and how a server starts and ends.

use crate::support::client::Client;
use crate::support::command::{Output, documents, fails, longhaul, succeeds};
use crate::support::process::{Longhaul, free_port};
use crate::support::values::count;
use crate::support::{block_dirs, conformance, copy_dir, json_lines, now_ms, seconds};
use longhaul_model::{Labels, Sample};
use longhaul_wire::{remote_write, snappy};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Blocks of others with their content, as another program has dumped it.
fn fixtures() -> Option<Vec<(PathBuf, PathBuf)>> {
    let root = conformance("fixtures")?;
    let folders = ["oracle-2.53.3", "victoriametrics/mimir-tsdb", "victoriametrics/thanos-snapshot"];
    let blocks: Vec<_> = folders
        .iter()
        .flat_map(|folder| block_dirs(&root.join(folder)))
        .map(|block| (block.with_extension("dump.jsonl.gz"), block))
        .filter(|(dump, _)| dump.exists())
        .map(|(dump, block)| (block, dump))
        .collect();
    assert!(blocks.len() >= 8, "{} blocks", blocks.len());
    Some(blocks)
}

#[test]
fn foreign_blocks_are_listed_inspected_verified_and_dumped() {
    let Some(fixtures) = fixtures() else { return };
    let (mut series, mut samples) = (0, 0);
    for (block, dump) in &fixtures {
        let (path, id) = (block.to_str().unwrap(), block.file_name().unwrap().to_str().unwrap());
        let meta: Value = serde_json::from_slice(&std::fs::read(block.join("meta.json")).unwrap()).unwrap();

        assert!(succeeds(&["block", "ls", path]).lines().nth(1).unwrap().starts_with(id));
        let listed = documents(&["block", "ls", path]);
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0]["ulid"], id);
        assert_eq!(listed[0]["series"], meta["stats"]["numSeries"]);
        let above = documents(&["block", "ls", block.parent().unwrap().to_str().unwrap()]);
        assert!(above.iter().any(|listed| listed["ulid"] == id), "{id} is not listed from above");

        let text = succeeds(&["block", "inspect", path]);
        assert!(text.contains(id) && text.contains("index") && text.contains("chunks/000001"), "{text}");
        let inspected = documents(&["block", "inspect", path]);
        assert_eq!(inspected[0]["meta"]["minTime"], meta["minTime"]);
        let index_bytes = std::fs::metadata(block.join("index")).unwrap().len();
        assert_eq!(inspected[0]["files"]["index"], index_bytes);

        let text = succeeds(&["block", "verify", path]);
        assert!(text.starts_with(&format!("{id}: sound")), "{text}");
        let verified = documents(&["block", "verify", path]);
        assert_eq!((&verified[0]["sound"], &verified[0]["problems"]), (&true.into(), &serde_json::json!([])));

        let found = documents(&["block", "dump", path]);
        let expected = json_lines(dump);
        assert_eq!(found.len(), expected.len(), "{id}");
        for (found, expected) in found.iter().zip(&expected) {
            samples += same_series(id, expected, found);
            series += 1;
        }
        let text = succeeds(&["block", "dump", path]);
        assert_eq!(text.lines().filter(|line| !line.starts_with(' ')).count(), expected.len(), "{id}");
    }
    println!("{} foreign blocks, {series} series, {samples} samples dumped alike", fixtures.len());
}

/// Compares a series of two dumps; returns how many samples were compared. Aggregates are compared by their chunks
/// only: they are not decoded.
fn same_series(id: &str, expected: &Value, found: &Value) -> usize {
    let labels = &expected["labels"];
    assert_eq!(&found["labels"], labels, "{id}");
    let (chunks, others) = (expected["chunks"].as_array().unwrap(), found["chunks"].as_array().unwrap());
    assert_eq!(chunks.len(), others.len(), "{id} {labels}");
    for (chunk, other) in chunks.iter().zip(others) {
        for key in ["mint", "maxt", "ref", "enc", "counter_reset_header"] {
            assert_eq!(other[key], chunk[key], "{id} {labels} {key}");
        }
    }
    if chunks.iter().any(|chunk| chunk["enc"] == 0xff) {
        return 0;
    }
    let (samples, others) = (expected["samples"].as_array().unwrap(), found["samples"].as_array().unwrap());
    assert_eq!(samples.len(), others.len(), "{id} {labels}");
    for (sample, other) in samples.iter().zip(others) {
        assert_eq!(sample[0], other[0], "{id} {labels}");
        let number = |value: &Value| value.as_f64().or_else(|| value.as_str()?.parse().ok());
        let same = match (number(&sample[1]), number(&other[1])) {
            (Some(value), Some(other)) => value.to_bits() == other.to_bits() || (value.is_nan() && other.is_nan()),
            _ => sample[1] == other[1],
        };
        assert!(same, "{id} {labels}: {sample} and {other}");
    }
    samples.len()
}

#[test]
fn damage_is_found_and_said() {
    let Some(fixtures) = fixtures() else { return };
    let (block, _) = &fixtures[0];
    let dir = tempfile::tempdir().unwrap();
    for (name, file) in [("a", "chunks/000001"), ("b", "index"), ("c", "meta.json")] {
        let copy = dir.path().join(name).join(block.file_name().unwrap());
        copy_dir(block, &copy);
        let path = copy.to_str().unwrap();
        succeeds(&["block", "verify", path]);
        let mut bytes = std::fs::read(copy.join(file)).unwrap();
        let middle = bytes.len() / 2;
        match file {
            "meta.json" => bytes.truncate(middle),
            _ => bytes[middle] ^= 0x10,
        }
        std::fs::write(copy.join(file), bytes).unwrap();
        if file == "meta.json" {
            fails(&["block", "verify", path]);
            continue;
        }
        assert!(fails(&["block", "verify", path]).contains("1 of 1 blocks are not sound"));
        let Output { out, .. } = longhaul(&["block", "verify", path, "--json"]);
        let document: Value = serde_json::from_str(out.trim()).unwrap();
        assert_eq!(document["sound"], false);
        let problems = document["problems"].as_array().unwrap();
        assert!(!problems.is_empty() && problems[0].as_str().unwrap().contains(file), "{document}");
    }
    let nowhere = dir.path().join("nowhere");
    assert!(fails(&["block", "ls", nowhere.to_str().unwrap()]).contains("nowhere"));
    let empty = dir.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let empty = empty.to_str().unwrap();
    assert!(documents(&["block", "ls", empty]).is_empty());
    assert!(fails(&["block", "verify", empty]).contains("holds no such block"));
    assert!(fails(&["block", "inspect", block.to_str().unwrap(), "--block", "nonsense"]).contains("--block"));
}

#[tokio::test]
async fn blocks_of_a_bucket_are_found_through_its_manifest() {
    let dir = tempfile::tempdir().unwrap();
    let server = Longhaul::configured(dir.path(), "self_scrape: {enabled: false}\nauth: {mode: header}\n").await;
    let client = Client::new(&server.url);
    let t_ms = now_ms() - 60_000;
    for (tenant, value) in [("a", 1.0), ("b", 2.0)] {
        let labels = Labels::from_pairs([("__name__", "m"), ("tenant", tenant)]);
        let samples = [Sample::new(t_ms, value), Sample::new(t_ms + 1, value / 3.0)];
        assert_eq!(client.of_tenant(tenant).write(&[(labels, &samples)]).await.status, 204);
    }
    server.flush().await;
    drop(server);
    let url = url::Url::from_directory_path(dir.path().join("data/bucket")).unwrap().to_string();

    let listed = documents(&["block", "ls", &url]);
    let tenants: Vec<&str> = listed.iter().map(|block| block["tenant"].as_str().unwrap()).collect();
    assert_eq!(tenants, ["a", "b"]);
    let of_b = documents(&["block", "ls", &url, "--tenant", "b"]);
    assert_eq!(of_b, listed[1..]);
    let id = of_b[0]["ulid"].as_str().unwrap();
    let verified = documents(&["block", "verify", &url, "--tenant", "b", "--block", id]);
    assert_eq!((&verified[0]["ulid"], &verified[0]["sound"]), (&id.into(), &true.into()));
    let inspected = documents(&["block", "inspect", &url, "--tenant", "b"]);
    assert!(inspected[0]["files"]["lookup"].as_u64().unwrap() > 0);
    let dumped = documents(&["block", "dump", &url, "--tenant", "b"]);
    assert_eq!(dumped[0]["labels"], serde_json::json!({"__name__": "m", "tenant": "b"}));
    assert_eq!(dumped[0]["samples"], serde_json::json!([[t_ms, 2.0], [t_ms + 1, 2.0 / 3.0]]));
    assert!(fails(&["block", "verify", &url, "--tenant", "nobody"]).contains("holds no such block"));
    assert!(fails(&["block", "ls", &url, "--tenant", "a/b"]).contains("tenant"));
    assert!(fails(&["block", "ls", "ftp://somewhere/else"]).contains("ftp"));
}

#[test]
fn configurations_are_checked() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/longhaul.example.yaml");
    assert!(longhaul(&["check-config", example]).error.contains("OK"));
    let dir = tempfile::tempdir().unwrap();
    let check = |yaml: &str| {
        let file = dir.path().join("longhaul.yaml");
        std::fs::write(&file, yaml).unwrap();
        let Output { success, out, error } = longhaul(&["check-config", file.to_str().unwrap()]);
        assert!(out.is_empty() && error.contains("longhaul.yaml"), "{yaml}: {out} {error}");
        (success, error)
    };
    for yaml in ["", "# nothing\n", "query: {timeout: 5s}\n", "http: {listen: 0.0.0.0:80}\nauth: {mode: header}\n"] {
        let (success, error) = check(yaml);
        assert!(success && error.contains("OK"), "{yaml}: {error}");
    }
    let bad = [
        ("http:\n  lisen: 127.0.0.1:1\n", "lisen"),
        ("query: {timeout: soon}\n", "soon"),
        ("limits: {series_max: 0}\n", "unlimited"),
        ("http: {listen: 0.0.0.0:80}\n", "auth.mode"),
        ("http: {listen: 127.0.0.1:9010}\n", "admin.listen"),
        ("self_scrape: {tenant: a/b}\n", "self_scrape.tenant"),
        ("{", "line"),
    ];
    for (yaml, says) in bad {
        let (success, error) = check(yaml);
        assert!(!success && error.contains(says), "{yaml}: {error}");
    }
    assert!(fails(&["check-config", "/nowhere/longhaul.yaml"]).contains("/nowhere/longhaul.yaml"));
}

#[tokio::test]
async fn a_server_that_must_not_start_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("open").to_str().unwrap().to_owned();
    let (open, admin) = (format!("0.0.0.0:{}", free_port()), format!("127.0.0.1:{}", free_port()));
    let error = fails(&["serve", "--http-listen", &open, "--admin-listen", &admin, "--data-dir", &data]);
    assert!(error.contains("--insecure-bind") && error.contains(&open), "{error}");
    assert!(!Path::new(&data).exists(), "a refused start has left something behind");

    let mut server = Longhaul::start(dir.path(), &[]).await;
    let (http, other) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
    let data = dir.path().join("data").to_str().unwrap().to_owned();
    let error = fails(&["serve", "--http-listen", &http, "--admin-listen", &other, "--data-dir", &data]);
    assert!(error.contains("is in use by another process") && error.contains(&data), "{error}");

    let taken = server.url.strip_prefix("http://").unwrap();
    let elsewhere = dir.path().join("elsewhere").to_str().unwrap().to_owned();
    let error = fails(&["serve", "--http-listen", taken, "--admin-listen", &other, "--data-dir", &elsewhere]);
    assert!(error.contains("cannot listen on") && error.contains(taken), "{error}");
    server.terminate().await;
    let error =
        fails(&["serve", "--http-listen", &http, "--admin-listen", &other, "--store", "s3:/x", "--data-dir", &data]);
    assert!(error.contains("s3:/x"), "{error}");
}

#[tokio::test]
async fn sigterm_answers_what_is_in_flight_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Longhaul::configured(dir.path(), "self_scrape: {enabled: false}\n").await;
    let client = Client::new(&server.url);
    let t_ms = now_ms() - 60_000;
    let write = |name: &str| {
        let labels = Labels::from_pairs([("__name__", name)]);
        snappy::compress(&remote_write::encode(&[(labels, &[Sample::new(t_ms, 42.0)])]))
    };
    assert_eq!(client.write_bytes(write("before"), &[]).await.status, 204);

    // A request of which half has arrived when the signal comes.
    let body = write("in_flight");
    let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).await.unwrap();
    let head = format!(
        "POST /api/v1/push HTTP/1.1\r\nHost: longhaul\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body: from here on the request is in flight.
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(&body[..5]).await.unwrap();
    server.process().ask_to_end();
    crate::support::wait_for("the end to begin", std::time::Duration::from_secs(30), async || {
        server.process().log().contains("stopping")
    })
    .await;
    stream.write_all(&body[5..]).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    let status = server.process().ended().await;
    assert_eq!(status.code(), Some(0));
    assert!(client.try_write_bytes(write("after"), &[]).await.is_err(), "the port is still open");

    server.start_again().await;
    let found = client.samples("{__name__=~\"before|in_flight|after\"}", "1h", &seconds(now_ms())).await;
    let expected = ["before", "in_flight"].map(|name| serde_json::json!({"__name__": name}).to_string());
    assert_eq!(found.keys().cloned().collect::<Vec<_>>(), expected);
    assert_eq!(count(&found), 2);
}

#[tokio::test]
async fn load_drives_a_server_and_reports() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Longhaul::configured(dir.path(), "self_scrape: {enabled: false}\n").await;
    let push = format!("{}/api/v1/push", server.url);
    let pid = server.process().pid().to_string();
    let arguments =
        ["load", "write", "--url", &push, "--series", "1000", "--samples", "20", "--pid", &pid, "--ahead-mib", "64"];
    let written: Value = serde_json::from_str(&succeeds(&[&arguments[..], &["--json"]].concat())).unwrap();
    let samples = written["samples"].as_u64().unwrap();
    assert!((19_000..=21_000).contains(&samples), "{written}");
    assert_eq!((&written["refused_requests"], &written["retries"]), (&0.into(), &0.into()));
    assert!(
        written["latency"]["p50_ms"].as_f64().unwrap() > 0.0
            && written["process"]["resident_mib"].as_f64().unwrap() > 0.0
    );
    let client = Client::new(&server.url);
    assert_eq!(client.metric("longhaul_samples_stored_total").await, samples as f64);

    let queries = [
        "load",
        "read",
        "--url",
        &server.url,
        "--query",
        "count({__name__=~\".+\"})",
        "--query",
        "nonsense(",
        "-n",
        "3",
    ];
    let Output { success, out, .. } = longhaul(&[&queries[..], &["--json"]].concat());
    assert!(!success, "a query failed and the command did not: {out}");
    let read: Value = serde_json::from_str(out.trim()).unwrap();
    assert_eq!((&read["queries"][0]["series"], &read["queries"][0]["error"]), (&1.into(), &Value::Null));
    assert!(read["queries"][1]["error"].as_str().unwrap().contains("400"), "{read}");
    let read = succeeds(&queries[..6]);
    assert!(read.contains("count("), "{read}");

    println!("{samples} samples in {} s", written["seconds"]);
}

/// The page that a newcomer reads first names files: they are there.
#[test]
fn the_files_that_the_architecture_names_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/ARCHITECTURE.md")).unwrap();
    let in_ticks = text.split('`').skip(1).step_by(2);
    let paths: Vec<&str> = in_ticks.filter(|text| text.contains('/') && !text.contains(['<', ' ', '*'])).collect();
    assert!(paths.len() > 20, "{paths:?}");
    let missing: Vec<_> = paths.iter().filter(|path| !root.join(path).exists()).collect();
    assert!(missing.is_empty(), "{missing:?}");
    println!("{} paths", paths.len());
}
