//! SIGKILL again and again while senders write: what was acknowledged is there, with the values that were sent, and
//! nothing that was not sent.

use crate::support::client::Client;
use crate::support::process::Longhaul;
use crate::support::values::Matrix;
use crate::support::{now_ms, seconds, wait_for};
use longhaul_model::{Labels, Sample};
use longhaul_wire::{remote_write, snappy};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;
use tokio::task::JoinSet;

/// Kills, each after a different number of requests, and each followed by one during the recovery.
const KILLS: u64 = 8;
const WRITERS: u64 = 4;
/// Series of a writer, all in each of its requests.
const SERIES: u64 = 5;
/// Samples of a series in a request.
const SAMPLES: u64 = 4;
/// Time between two samples of a series: some seventy requests go from one day, which is cut as one range, to the next.
const STEP_MS: i64 = 5 * 60_000;
const DAY_MS: i64 = 24 * 3_600_000;

/// Cuts, ships and new segments happen all the time, so that kills hit them too.
const CONFIGURATION: &str = "self_scrape: {enabled: false}\n\
    log: {segment_size: 64KiB, replay_max: 256KiB}\n\
    ship: {cut_delay: 0s, late_cut_interval: 0s, max_age: 0s, small: 1B}\n";

/// One sender: each series has a sample for every number from 0 on.
struct Writer {
    id: u64,
    client: Client,
    start_ms: i64,
    /// Requests that were sent for the first time, and those that were acknowledged.
    sent: AtomicU64,
    acknowledged: AtomicU64,
    /// Sent again because there was no answer, or one that says so.
    again: AtomicU64,
}

impl Writer {
    fn name(&self) -> String {
        format!("writer_{}", self.id)
    }

    fn sample(&self, series: u64, number: u64) -> Sample {
        let value = (self.id * 1000 + series) as f64 + (number as f64).sqrt();
        Sample::new(self.start_ms + number as i64 * STEP_MS, value)
    }

    fn request(&self, number: u64) -> Vec<u8> {
        let numbers = number * SAMPLES..(number + 1) * SAMPLES;
        let samples: Vec<Vec<Sample>> =
            (0..SERIES).map(|series| numbers.clone().map(|n| self.sample(series, n)).collect()).collect();
        let labels = |series: usize| {
            Labels::from_pairs([("__name__", self.name().as_str()), ("series", series.to_string().as_str())])
        };
        let all: Vec<(Labels, &[Sample])> =
            samples.iter().enumerate().map(|(series, samples)| (labels(series), samples.as_slice())).collect();
        snappy::compress(&remote_write::encode(&all))
    }

    /// Sends one request after the other as a sender does: without an answer, the same again.
    async fn run(&self, stop: &AtomicBool) {
        for number in 0.. {
            if stop.load(SeqCst) {
                return;
            }
            let body = self.request(number);
            self.sent.store(number + 1, SeqCst);
            loop {
                match self.client.try_write_bytes(body.clone(), &[]).await {
                    Ok(answer) if answer.status == 204 => break,
                    Ok(answer) => assert_eq!(answer.status, 503, "{}", answer.text),
                    Err(_) => {}
                }
                self.again.fetch_add(1, SeqCst);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            self.acknowledged.store(number + 1, SeqCst);
        }
    }

    /// Checks what is stored: all of the first `acknowledged` requests, then at most what was sent by now, without a gap
    /// in a series, each value the one that was sent.
    fn check(&self, acknowledged: u64, found: &Matrix) {
        let sent = self.sent.load(SeqCst) * SAMPLES;
        for series in 0..SERIES {
            let key = serde_json::json!({"__name__": self.name(), "series": series.to_string()}).to_string();
            let stored = found.get(&key).map_or(0, |points| points.len() as u64);
            assert!(
                stored >= acknowledged * SAMPLES,
                "{key}: {stored} samples of {} acknowledged",
                acknowledged * SAMPLES
            );
            assert!(stored <= sent, "{key}: {stored} samples of {sent} sent");
            for number in 0..stored {
                let sample = self.sample(series, number);
                let value = found[&key].get(&sample.t_ms);
                assert_eq!(value, Some(&sample.value), "{key}: sample {number} of {stored}");
            }
        }
        assert!(found.len() as u64 <= SERIES);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_survives_every_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Longhaul::configured(dir.path(), CONFIGURATION).await;
    let client = Client::new(&server.url);
    let start_ms = now_ms() - 200 * DAY_MS;
    let writers: Vec<Arc<Writer>> = (0..WRITERS)
        .map(|id| {
            let counters = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
            let (sent, acknowledged, again) = counters;
            Arc::new(Writer { id, client: client.clone(), start_ms, sent, acknowledged, again })
        })
        .collect();
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for writer in &writers {
        let (writer, stop) = (writer.clone(), stop.clone());
        tasks.spawn(async move { writer.run(&stop).await });
    }

    let mut shipped = 0.0;
    for kill in 0..KILLS {
        // A different moment each time: right after the start, in the midst of cuts, in the midst of ships.
        let requests = 3 + 11 * kill;
        let before: Vec<u64> = acknowledged(&writers);
        wait_for("every writer to go on", Duration::from_secs(60), async || {
            assert!(tasks.try_join_next().is_none(), "a writer has ended");
            acknowledged(&writers).iter().zip(&before).all(|(now, before)| *now >= before + requests)
        })
        .await;
        if kill % 2 == 1 {
            wait_for("a day to be shipped", Duration::from_secs(60), async || {
                client.metric("longhaul_blocks_shipped_total").await > 0.0
            })
            .await;
        }
        shipped += client.metric("longhaul_blocks_shipped_total").await;
        server.kill();
        let before = acknowledged(&writers);
        // Killed once more in the midst of coming back; at which moment differs.
        server.spawn_again();
        tokio::time::sleep(Duration::from_millis(25 * kill)).await;
        server.kill();
        server.start_again().await;
        check(&client, &writers, &before, &format!("kill {}", kill + 1)).await;
    }
    stop.store(true, SeqCst);
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let acknowledged = acknowledged(&writers);
    assert_eq!(acknowledged, writers.iter().map(|writer| writer.sent.load(SeqCst)).collect::<Vec<_>>());
    check(&client, &writers, &acknowledged, "the end").await;
    server.terminate().await;
    server.start_again().await;
    check(&client, &writers, &acknowledged, "an orderly end").await;
    server.flush().await;
    assert_eq!(client.metric("longhaul_head_samples").await, 0.0);
    check(&client, &writers, &acknowledged, "a flush").await;
    let again: u64 = writers.iter().map(|writer| writer.again.load(SeqCst)).sum();
    let samples = acknowledged.iter().sum::<u64>() * SERIES * SAMPLES;
    println!(
        "twice {KILLS} kills, {samples} samples acknowledged, {again} requests sent again, {shipped} blocks shipped between kills"
    );
}

fn acknowledged(writers: &[Arc<Writer>]) -> Vec<u64> {
    writers.iter().map(|writer| writer.acknowledged.load(SeqCst)).collect()
}

async fn check(client: &Client, writers: &[Arc<Writer>], acknowledged: &[u64], after: &str) {
    for (writer, acknowledged) in writers.iter().zip(acknowledged) {
        let found = client.samples(&writer.name(), "250d", &seconds(now_ms())).await;
        writer.check(*acknowledged, &found);
    }
    println!("after {after}: {acknowledged:?} requests and more");
}
