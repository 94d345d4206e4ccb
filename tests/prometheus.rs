//! A real Prometheus scrapes itself and a real node exporter and remote-writes to us, who are killed in between: what it
//! holds, we hold, in memory and in the bucket; its tools and a second Prometheus read our blocks, and a third one asks us by
//! remote read and scrapes our federation.

use crate::support::client::Client;
use crate::support::process::{Longhaul, Process, free_port};
use crate::support::values::{Matrix, count, difference, exact_difference, matrix};
use crate::support::{block_dirs, copy_dir, now_ms, peers, seconds, wait_for};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// How long Prometheus scrapes; Longhaul is killed in the middle.
const RUN: Duration = Duration::from_secs(135);
/// The part of it that is compared: two minutes, with the kill inside.
const MINUTES: i64 = 2;
/// How long remote write may take to catch up.
const CATCH_UP: Duration = Duration::from_secs(60);
const JOBS: [&str; 2] = ["node", "prometheus"];

/// Expressions that both are asked, as instant and as range queries. None has a window or a result that the two versions
/// of PromQL define differently; windows end where no sample lies.
const EXPRESSIONS: [&str; 24] = [
    "up",
    "node_memory_MemFree_bytes / node_memory_MemTotal_bytes",
    "rate(node_cpu_seconds_total[30s])",
    "sum by (mode) (rate(node_cpu_seconds_total[30s]))",
    "sum by (cpu) (increase(node_cpu_seconds_total{mode!=\"idle\"}[1m]))",
    "1 - avg without (cpu, mode) (irate(node_cpu_seconds_total{mode=\"idle\"}[10s]))",
    "histogram_quantile(0.9, sum by (le) (rate(prometheus_http_request_duration_seconds_bucket[1m])))",
    "histogram_quantile(0.5, sum by (le, handler) (prometheus_http_response_size_bytes_bucket))",
    "topk(2, node_memory_MemTotal_bytes or node_memory_MemFree_bytes or node_memory_Cached_bytes) > 0",
    "count by (__name__) ({job=\"node\"})",
    "count_values(\"value\", up)",
    "quantile by (job) (0.7, {__name__=~\".*_total\"})",
    "stddev(rate(prometheus_tsdb_head_samples_appended_total[20s]))",
    "max_over_time(node_load1[1m:5s])",
    "avg_over_time(go_goroutines[45s]) + on (instance, job) group_left min_over_time(up[45s])",
    "delta(process_resident_memory_bytes[1m])",
    "deriv(go_memstats_alloc_bytes[1m])",
    "predict_linear(process_open_fds[1m], 600)",
    "changes(process_cpu_seconds_total[1m]) or resets(process_cpu_seconds_total[1m])",
    "scrape_samples_scraped unless up{job=\"node\"}",
    "label_replace(up, \"host\", \"$1\", \"instance\", \"([^:]+):.*\") and on (job) scrape_duration_seconds >= 0",
    "sum by (job) (scrape_samples_scraped offset 10s)",
    "sum by (__name__) ({__name__=~\"prometheus_remote_storage_samples_.*\"})",
    "time() - process_start_time_seconds",
];

/// What one server said, to be compared with what others say.
struct Answers {
    /// Raw samples by job and minute.
    raw: Vec<Matrix>,
    /// Each expression at an instant and over the last minute.
    expressions: Vec<[Matrix; 2]>,
}

impl Answers {
    async fn of(client: &Client, t_ms: i64) -> Self {
        let (mut raw, mut expressions) = (Vec::new(), Vec::new());
        for minute in 0..MINUTES {
            for job in JOBS {
                raw.push(raw_minute(client, job, t_ms - minute * 60_000).await);
            }
        }
        let (start, end) = (seconds(t_ms - 60_000), seconds(t_ms));
        for query in EXPRESSIONS {
            let instant = matrix(&client.query(query, &end).await);
            let parameters = [("query", query), ("start", &start), ("end", &end), ("step", "5")];
            expressions.push([instant, matrix(&client.data("query_range", &parameters).await)]);
        }
        Self { raw, expressions }
    }

    fn assert_same(&self, other: &Self, place: &str) {
        for (index, (expected, found)) in self.raw.iter().zip(&other.raw).enumerate() {
            if let Some(difference) = exact_difference(expected, found) {
                panic!("{place}: raw samples of {}: {difference}", JOBS[index % JOBS.len()]);
            }
        }
        for (query, (expected, found)) in EXPRESSIONS.iter().zip(self.expressions.iter().zip(&other.expressions)) {
            for (kind, (expected, found)) in ["instant", "range"].into_iter().zip(expected.iter().zip(found)) {
                if let Some(difference) = difference(expected, found) {
                    panic!("{place}: {kind} {query}: {difference}");
                }
            }
        }
        let points: usize = self.expressions.iter().flatten().map(count).sum();
        let (series, samples) = self.size();
        println!(
            "{place}: {samples} raw samples of {series} series and {points} points of {} expressions agree",
            EXPRESSIONS.len()
        );
    }

    /// Series and samples of the last minute, and samples of all.
    fn size(&self) -> (usize, usize) {
        (self.raw[..JOBS.len()].iter().map(Matrix::len).sum(), self.raw.iter().map(count).sum())
    }
}

/// The raw samples of a job in the minute that ends at `t_ms`.
async fn raw_minute(client: &Client, job: &str, t_ms: i64) -> Matrix {
    client.samples(&format!("{{__name__=~\".+\", job=\"{job}\"}}"), "1m", &seconds(t_ms)).await
}

#[tokio::test]
async fn what_prometheus_holds_we_hold_and_it_reads_our_blocks() {
    let Some(prometheus) = peers::program("prometheus") else { return };
    let (exporter, promtool) =
        (peers::program("prometheus-node-exporter").unwrap(), peers::program("promtool").unwrap());
    let dir = tempfile::tempdir().unwrap();
    let mut server = Longhaul::configured(dir.path(), "self_scrape: {enabled: false}\nship: {cut_delay: 100y}\n").await;
    let ours = Client::new(&server.url);

    let node_port = free_port();
    let address = format!("127.0.0.1:{node_port}");
    let mut node = Process::start(
        "node_exporter",
        // What a test machine lacks would fill the log.
        Command::new(exporter)
            .args(["--no-collector.systemd", "--no-collector.textfile"])
            .arg(format!("--web.listen-address={address}")),
        dir.path(),
        &format!("http://{address}/"),
    )
    .await;
    let configuration = configuration(&address, &server.url);
    let (mut peer, url) = start_prometheus(&prometheus, dir.path(), "prometheus", &configuration).await;
    let theirs = Client::new(&url);

    let started = Instant::now();
    tokio::time::sleep(RUN / 2).await; // not waiting for a condition: the load itself takes its time
    server.kill();
    const RETRIED: &str = "prometheus_remote_storage_samples_retried_total";
    wait_for("Prometheus to notice", CATCH_UP, async || theirs.metric(RETRIED).await > 0.0).await;
    server.start_again().await;
    let replayed = ours.metric("longhaul_samples_replayed_total").await;
    assert!(replayed > 0.0);
    tokio::time::sleep(RUN.saturating_sub(started.elapsed())).await;

    let t_ms = free_instant(&theirs, now_ms()).await;
    let expected = Answers::of(&theirs, t_ms).await;
    let (series, samples) = expected.size();
    assert!(series > 800, "{series} series");
    // A sample every second, but for scrapes that a busy machine was late for.
    assert!(samples as i64 > series as i64 * 30 * MINUTES, "{samples} samples of {series} series");
    wait_for("remote write to catch up", CATCH_UP, async || {
        let mut found = 0;
        for minute in 0..MINUTES {
            for job in JOBS {
                found += count(&raw_minute(&ours, job, t_ms - minute * 60_000).await);
            }
        }
        found >= samples
    })
    .await;
    let retried = theirs.metric(RETRIED).await;
    let failed = theirs.metric("prometheus_remote_storage_samples_failed_total").await;
    assert_eq!(failed, 0.0, "Prometheus gave samples up");
    println!("killed after {replayed} samples; Prometheus sent {retried} samples again");
    expected.assert_same(&Answers::of(&ours, t_ms).await, "memory");
    let remote_read = format!("remote_read: [{{url: '{}/api/v1/read', read_recent: true}}]\n", server.url);
    let (mut remote, remote_url) = start_prometheus(&prometheus, dir.path(), "remote", &remote_read).await;
    let remote_reader = Client::new(&remote_url);
    expected.assert_same(&Answers::of(&remote_reader, t_ms).await, "a Prometheus that reads from our memory");
    federated(&prometheus, dir.path(), &server.url, series).await;

    peer.terminate().await;
    node.kill();
    server.flush().await;
    assert_eq!(ours.metric("longhaul_head_samples").await, 0.0);
    assert_eq!(ours.metric("longhaul_parts").await, 0.0);
    expected.assert_same(&Answers::of(&ours, t_ms).await, "bucket");
    expected.assert_same(&Answers::of(&remote_reader, t_ms).await, "a Prometheus that reads from our bucket");
    remote.terminate().await;

    let copy = dir.path().join("copy");
    let blocks = block_dirs(&dir.path().join("data/bucket"));
    assert!(!blocks.is_empty());
    for block in &blocks {
        copy_dir(block, &copy.join(block.file_name().unwrap()));
    }
    for block in &blocks {
        let id = block.file_name().unwrap().to_str().unwrap();
        let analysis = run(Command::new(&promtool).args(["tsdb", "analyze"]).arg(&copy).arg(id));
        assert!(analysis.contains(&format!("Block ID: {id}")), "{analysis}");
        assert!(analysis.contains("Total Series: "), "{analysis}");
        let list = run(Command::new(&promtool).args(["tsdb", "list"]).arg(&copy));
        assert!(list.contains(id), "{list}");
    }
    let nothing = "global: {scrape_interval: 1h}\n";
    let (mut second, url) = start_prometheus(&prometheus, dir.path(), "copy", nothing).await;
    let reader = Client::new(&url);
    assert_eq!(reader.metric("prometheus_tsdb_blocks_loaded").await, blocks.len() as f64);
    expected.assert_same(&Answers::of(&reader, t_ms).await, "a second Prometheus on our blocks");
    second.terminate().await;
}

/// A time in the last second on whose millisecond no sample lies in any second: no border of a window of whole seconds
/// meets a sample, and no step of a query does.
async fn free_instant(client: &Client, now_ms: i64) -> i64 {
    let mut taken = BTreeSet::new();
    for minute in 0..=MINUTES {
        for job in JOBS {
            let samples = raw_minute(client, job, now_ms - minute * 60_000).await;
            taken.extend(samples.values().flat_map(|points| points.keys().map(|t_ms| t_ms.rem_euclid(1000))));
        }
    }
    // Steps of subqueries lie on whole seconds, which must not be a border either; a scrape there does no harm, since what
    // a step looks back reaches beyond the first one.
    (now_ms - 1000..now_ms).find(|t_ms| !taken.contains(&t_ms.rem_euclid(1000)) && t_ms.rem_euclid(1000) != 0).unwrap()
}

fn configuration(node: &str, longhaul: &str) -> String {
    format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
         scrape_configs:\n\
         - job_name: node\n\
         \x20 static_configs: [{{targets: ['{node}']}}]\n\
         - job_name: prometheus\n\
         \x20 static_configs: [{{targets: ['PROMETHEUS']}}]\n\
         remote_write:\n\
         - url: {longhaul}/api/v1/push\n\
         \x20 queue_config: {{batch_send_deadline: 500ms, min_backoff: 30ms, max_backoff: 500ms}}\n\
         \x20 metadata_config: {{send: true, send_interval: 10s}}\n"
    )
}

/// A Prometheus that scrapes our newest samples finds about as many as there are series.
async fn federated(program: &Path, dir: &Path, longhaul: &str, series: usize) {
    let configuration = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
         scrape_configs:\n\
         - job_name: federate\n\
         \x20 honor_labels: true\n\
         \x20 metrics_path: /federate\n\
         \x20 params: {{'match[]': ['{{job=~\".+\"}}']}}\n\
         \x20 static_configs: [{{targets: ['{}']}}]\n",
        longhaul.strip_prefix("http://").unwrap()
    );
    let (mut peer, url) = start_prometheus(program, dir, "federate", &configuration).await;
    let client = Client::new(&url);
    wait_for("a scrape of our federation", CATCH_UP, async || {
        let scraped = client.query("scrape_samples_scraped{job=\"federate\"}", &seconds(now_ms())).await;
        let samples = matrix(&scraped).into_values().flat_map(|points| points.into_values()).next();
        samples.is_some_and(|samples| samples >= series as f64 * 0.9)
    })
    .await;
    let up = client.query("count(up{job=\"node\"} == 1)", &seconds(now_ms())).await;
    assert_eq!(count(&matrix(&up)), 1, "a federated sample keeps its labels");
    peer.terminate().await;
}

/// Starts a Prometheus with its data in `<dir>/<name>`; `PROMETHEUS` in its configuration becomes its address.
pub async fn start_prometheus(program: &Path, dir: &Path, name: &str, configuration: &str) -> (Process, String) {
    let address = format!("127.0.0.1:{}", free_port());
    let file = dir.join(format!("{name}.yml"));
    std::fs::write(&file, configuration.replace("PROMETHEUS", &address)).unwrap();
    let mut command = Command::new(program);
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", dir.join(name).display()))
        .arg("--storage.tsdb.retention.time=100y")
        .arg(format!("--web.listen-address={address}"));
    let url = format!("http://{address}");
    (Process::start(name, &mut command, dir, &format!("{url}/-/ready")).await, url)
}

/// Runs a program that must succeed; its output.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    text
}
