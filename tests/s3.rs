//! A bucket behind a network: moto's S3, and a proxy in front of it that can be away.

use crate::support::client::Client;
use crate::support::process::{Longhaul, Process, free_port};
use crate::support::proxy::Proxy;
use crate::support::values::{Matrix, count, exact_difference};
use crate::support::{now_ms, peers, seconds, wait_for};
use longhaul_model::{Labels, Sample};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// What is over is cut and shipped at once.
const CONFIGURATION: &str = "self_scrape: {enabled: false}\n\
    ship: {cut_delay: 0s, late_cut_interval: 0s, max_age: 0s, small: 1B}\n";
const SERIES: usize = 20;
const HOUR_MS: i64 = 3_600_000;
/// How long the bucket is away.
const OUTAGE: Duration = Duration::from_secs(60);
/// Shipping waits up to half a minute between attempts, and each may take as long to fail.
const RESUMED_WITHIN: Duration = Duration::from_secs(90);

/// Writes samples and knows what was acknowledged.
struct Writer {
    client: Client,
    next_ms: i64,
    acknowledged: Matrix,
}

impl Writer {
    /// Begins `age_ms` ago.
    fn new(client: Client, age_ms: i64) -> Self {
        Self { client, next_ms: now_ms() - age_ms, acknowledged: Matrix::new() }
    }

    /// One request: a sample for each series, the next one a minute on.
    async fn write(&mut self) {
        let t_ms = self.next_ms;
        self.next_ms += 60_000;
        let number = |n: usize| n.to_string();
        let samples: Vec<[Sample; 1]> =
            (0..SERIES).map(|n| [Sample::new(t_ms, (t_ms % 86_400_000) as f64 / 7.0 + n as f64)]).collect();
        let labels = (0..SERIES).map(|n| Labels::from_pairs([("__name__", "kept"), ("n", number(n).as_str())]));
        let series: Vec<(Labels, &[Sample])> = labels.zip(samples.iter().map(|one| one.as_slice())).collect();
        let answer = self.client.write(&series).await;
        assert_eq!(answer.status, 204, "{}", answer.text);
        for (n, [sample]) in samples.iter().enumerate() {
            let key = serde_json::json!({"__name__": "kept", "n": number(n)}).to_string();
            self.acknowledged.entry(key).or_default().insert(sample.t_ms, sample.value);
        }
    }

    async fn check(&self, place: &str) {
        let found = self.client.samples("kept", "30d", &seconds(now_ms())).await;
        if let Some(difference) = exact_difference(&self.acknowledged, &found) {
            panic!("{place}: {difference}");
        }
        println!("{place}: {} samples", count(&found));
    }

    /// Waits until everything is in the bucket, without asking for it.
    async fn shipped(&self) {
        wait_for("everything to be shipped", RESUMED_WITHIN, async || {
            self.client.metric("longhaul_head_samples").await == 0.0
                && self.client.metric("longhaul_parts").await == 0.0
        })
        .await;
    }
}

#[tokio::test]
async fn an_outage_of_the_bucket_costs_nothing_and_ends_by_itself() {
    let Some(moto) = peers::program("venv/bin/moto_server") else { return };
    let dir = tempfile::tempdir().unwrap();
    let (_moto, proxy) = start_moto(&moto, dir.path()).await;
    let endpoint = format!("http://127.0.0.1:{}", proxy.port);
    let environment = [
        ("AWS_ENDPOINT", endpoint.as_str()),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ACCESS_KEY_ID", "x"),
        ("AWS_SECRET_ACCESS_KEY", "y"),
        ("AWS_REGION", "us-east-1"),
    ];
    let configuration = Longhaul::configuration(dir.path(), CONFIGURATION);
    let arguments = ["--config", &configuration, "--store", "s3://metrics/some/prefix"];
    let mut server = Longhaul::start_with(dir.path(), &arguments, &environment).await;
    let mut writer = Writer::new(Client::new(&server.url), 23 * HOUR_MS);

    for _ in 0..180 {
        writer.write().await;
    }
    server.flush().await;
    assert_eq!(writer.client.metric("longhaul_head_samples").await, 0.0);
    assert_eq!(writer.client.metric("longhaul_parts").await, 0.0);
    assert!(writer.client.metric("longhaul_store_puts_total").await > 0.0);
    writer.check("bucket").await;

    // Away: writes go on, a flush says that it cannot.
    proxy.set_reachable(false);
    let started = Instant::now();
    let mut written = 0;
    let asked = {
        let (client, time) = (writer.client.clone(), seconds(now_ms()));
        tokio::spawn(async move { client.get("query", &[("query", "kept[30d]"), ("time", &time)]).await })
    };
    let (status, text) = {
        writer.write().await;
        let mut flush = std::pin::pin!(server.try_flush());
        let mut answer = None;
        while started.elapsed() < OUTAGE || answer.is_none() {
            tokio::select! {
                flushed = &mut flush, if answer.is_none() => answer = Some(flushed),
                () = tokio::time::sleep(Duration::from_millis(200)) => {
                    writer.write().await;
                    written += 1;
                }
            }
            assert!(started.elapsed() < OUTAGE * 2, "a flush without a bucket does not end");
        }
        answer.unwrap()
    };
    assert_eq!(status, 503, "{text}");
    println!("{written} requests acknowledged in {:?} without the bucket; flush: {text}", started.elapsed());
    // A query that needs what is away does not answer with less.
    let (status, answer) = asked.await.unwrap();
    assert!((500..504).contains(&status), "{status} without the bucket: {answer}");
    println!("a query without the bucket: {status} {}", answer["error"]);

    // Back: it ships by itself.
    proxy.set_reachable(true);
    writer.shipped().await;
    assert!(writer.client.metric("longhaul_ships_failed_total").await > 0.0);
    writer.check("bucket after an outage").await;

    // Away again, killed, started while still away.
    proxy.set_reachable(false);
    for _ in 0..60 {
        writer.write().await;
    }
    server.kill();
    server.spawn_again();
    wait_for("the first look at the bucket", Duration::from_secs(60), async || {
        server.process().log().contains("the store does not answer")
    })
    .await;
    proxy.set_reachable(true);
    server.ready().await;
    writer.check("after a SIGKILL during an outage").await;
    writer.shipped().await;
    writer.check("bucket after a SIGKILL during an outage").await;
}

/// Starts moto's server with an empty bucket, and a way to it.
async fn start_moto(program: &Path, dir: &Path) -> (Process, Proxy) {
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let mut command = Command::new(program);
    command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
    let moto = Process::start("moto", &mut command, dir, &format!("{url}/moto-api/")).await;
    let answer = reqwest::Client::new().put(format!("{url}/metrics")).send().await.unwrap();
    assert_eq!(answer.status(), 200, "creating a bucket");
    (moto, Proxy::start(port).await)
}
