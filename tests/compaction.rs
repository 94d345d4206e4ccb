//! Compaction by the real binary: what is asked is answered alike before and after, after a restart, and by foreign tools.

use crate::golden;
use crate::prometheus::{run, start_prometheus};
use crate::support::client::Client;
use crate::support::process::Longhaul;
use crate::support::values::{Matrix, count, exact_difference};
use crate::support::{block_dirs, conformance, copy_dir, json_lines, now_ms, peers, seconds};
use longhaul_model::{Labels, Sample};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const SERIES: usize = 20;
const CONFIGURATION: &str =
    "self_scrape: {enabled: false}\nship: {cut_delay: 100y}\ncompactor: {enabled: false, late_wait: 100y}\n";

async fn write(client: &Client, from_ms: i64, to_ms: i64, value: f64) {
    for n in 0..SERIES {
        let labels = Labels::from_pairs([("__name__", "sun"), ("n", &n.to_string())]);
        let samples: Vec<Sample> = (from_ms..to_ms)
            .step_by(30_000)
            .map(|t_ms| Sample::new(t_ms, value + n as f64 + (t_ms % 7919) as f64))
            .collect();
        let answer = client.write(&[(labels, &samples)]).await;
        assert_eq!(answer.status, 204, "{}", answer.text);
    }
}

async fn read(client: &Client, day_ms: i64) -> Matrix {
    client.samples("sun", "25h", &seconds(day_ms + DAY_MS)).await
}

async fn compact(server: &Longhaul) -> Value {
    let answer = reqwest::Client::new().post(format!("{}/-/compact", server.admin_url)).send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn answers_are_the_same_before_and_after_compaction() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Longhaul::configured(dir.path(), CONFIGURATION).await;
    let client = Client::new(&server.url);
    let day_ms = (now_ms() / DAY_MS - 5) * DAY_MS;
    for n in 0..6 {
        write(&client, day_ms + n * 4 * HOUR_MS, day_ms + (n + 1) * 4 * HOUR_MS, 1000.0).await;
        server.flush().await;
    }
    // Corrections: what has left the machine can be written again, and the later value counts.
    write(&client, day_ms + 7 * HOUR_MS, day_ms + 9 * HOUR_MS, 5000.0).await;
    server.flush().await;
    let before = read(&client, day_ms).await;
    assert_eq!(count(&before), SERIES * 2880);

    let report = compact(&server).await;
    println!("{report}");
    assert_eq!((&report["jobs"], &report["blocks_in"], &report["blocks_out"]), (&1.into(), &7.into(), &1.into()));
    let corrected = (SERIES * 240) as u64;
    assert_eq!(report["samples_duplicate"], corrected);
    assert_eq!(report["samples_out"], (SERIES * 2880) as u64);
    assert_eq!(exact_difference(&before, &read(&client, day_ms).await), None);
    assert_eq!(client.metric("longhaul_compaction_jobs_total").await, 1.0);
    assert_eq!(client.metric("longhaul_compaction_lag_seconds{tenant=\"anonymous\"}").await, 0.0);
    assert_eq!(client.metric("longhaul_bucket_blocks{tenant=\"anonymous\"}").await, 1.0);
    assert_eq!(report["garbage"]["blocks_marked"], 7, "they stay for two days");
    assert_eq!(client.metric("longhaul_collection_blocks_marked_total").await, 7.0);
    let again = compact(&server).await;
    assert_eq!((&again["jobs"], &again["garbage"]["objects_deleted"]), (&0.into(), &0.into()), "nothing is left to do");
    let quarantine = reqwest::get(format!("{}/-/quarantine", server.admin_url)).await.unwrap().text().await.unwrap();
    assert_eq!(quarantine, "[]");

    server.kill();
    server.start_again().await;
    assert_eq!(exact_difference(&before, &read(&client, day_ms).await), None);
    assert!(peers::program("promtool").is_none() || promtool_reads_them(dir.path()) == 1);

    // An upload of four days ago that came to nothing; the other is not ours.
    let bucket = dir.path().join("data/bucket/anonymous");
    let [orphan, foreign] = ["10NGHA", "000000"].map(|tag| {
        let id = longhaul_model::BlockId::from_parts((now_ms() - 4 * DAY_MS) as u64, 7).to_string();
        bucket.join(format!("{}{tag}{}", &id[..10], &id[16..]))
    });
    for folder in [&orphan, &foreign] {
        std::fs::create_dir_all(folder).unwrap();
        let file = std::fs::File::create(folder.join("index")).unwrap();
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(4 * 86_400)).unwrap();
    }

    // Another process compacts while the server runs; what the server knows of is still there.
    write(&client, day_ms + 10 * HOUR_MS, day_ms + 20 * HOUR_MS, 9000.0).await;
    server.flush().await;
    let before = read(&client, day_ms).await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_longhaul"));
    command.args(["compact", "--once", "--tenant", "anonymous", "--data-dir"]).arg(dir.path().join("data"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["jobs"], &report["blocks_in"]), (&1.into(), &2.into()), "{report}");
    assert_eq!((&report["garbage"]["orphans_deleted"], &report["garbage"]["stopped"]), (&1.into(), &Value::Null));
    assert_eq!((orphan.join("index").exists(), foreign.join("index").exists()), (false, true));
    assert_eq!(exact_difference(&before, &read(&client, day_ms).await), None);
    assert_eq!(compact(&server).await["jobs"], 0, "the server learns of it");
    assert_eq!(exact_difference(&before, &read(&client, day_ms).await), None);
}

/// The recorded queries, asked of blocks that were merged from four over the same time: of us, and of a real Prometheus that is
/// started on a copy of the bucket's blocks.
#[tokio::test]
async fn prometheus_answers_from_our_compacted_blocks() {
    let Some(data) = conformance("oracle/demo-data.jsonl.gz") else { return };
    let Some(prometheus) = peers::program("prometheus") else { return };
    let golden = json_lines(&conformance("oracle/promql-compliance-golden.jsonl.gz").unwrap());
    let lines = json_lines(&data);
    let dir = tempfile::tempdir().unwrap();
    let server = Longhaul::configured(dir.path(), CONFIGURATION).await;
    let client = Client::new(&server.url);
    let mut written = 0;
    for part in 0..4 {
        written += golden::write(&client, &lines, |t_ms| t_ms / 60_000 % 4 == part).await as u64;
        server.flush().await;
    }
    let report = compact(&server).await;
    println!("{report}");
    assert_eq!((&report["samples_in"], &report["samples_out"]), (&written.into(), &written.into()));
    assert_eq!(client.metric("longhaul_bucket_blocks{tenant=\"anonymous\"}").await, 1.0);
    assert_eq!(golden::ask_all(&client, &golden, "compacted").await, golden.len());

    let copied = promtool_reads_them(dir.path());
    assert_eq!(copied, 1);
    let nothing = "global: {scrape_interval: 1h}\n";
    let (mut peer, url) = start_prometheus(&prometheus, dir.path(), COPY, nothing).await;
    let theirs = Client::new(&url);
    assert_eq!(theirs.metric("prometheus_tsdb_blocks_loaded").await, copied as f64);
    let passed = golden::ask_all(&theirs, &golden, "a Prometheus on our compacted blocks").await;
    println!("{passed} of {} recorded queries, range and instant, answered alike by Prometheus", golden.len());
    assert_eq!(passed, golden.len());
    peer.terminate().await;
}

/// Where blocks are copied to, below a test's directory.
const COPY: &str = "copy";

/// Copies the blocks that took the place of others; `promtool tsdb analyze` and `tsdb list` read them. Returns how many
/// there are.
fn promtool_reads_them(dir: &Path) -> usize {
    let Some(promtool) = peers::program("promtool") else { return 0 };
    let copy = dir.join(COPY);
    let mut merged = Vec::new();
    for block in block_dirs(&dir.join("data/bucket")) {
        let meta: Value = serde_json::from_slice(&std::fs::read(block.join("meta.json")).unwrap()).unwrap();
        if meta["compaction"]["level"] != 1 {
            let id = block.file_name().unwrap().to_str().unwrap().to_owned();
            copy_dir(&block, &copy.join(&id));
            merged.push((id, meta["stats"]["numSeries"].clone()));
        }
    }
    let list = run(Command::new(&promtool).args(["tsdb", "list"]).arg(&copy));
    for (id, series) in &merged {
        assert!(list.contains(id), "{list}");
        let analysis = run(Command::new(&promtool).args(["tsdb", "analyze"]).arg(&copy).arg(id));
        let expected = [format!("Block ID: {id}"), format!("Total Series: {series}")];
        assert!(expected.iter().all(|line| analysis.contains(line)), "{analysis}");
    }
    merged.len()
}
