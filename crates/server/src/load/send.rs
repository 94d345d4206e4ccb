//! Posting the requests: one task a connection, each request answered before the next is sent, as Prometheus' shards
//! do. What the server asks to be sent again (429, 5xx) is, after a pause; what it refuses for good is counted.

use super::process::Usage;
use super::report::{Cost, Latencies, WriteReport};
use super::source::{self, Feed};
use super::{LoadError, WriteArguments};
use crate::progress::progress_bar;
use futures::future::try_join_all;
use indicatif::ProgressBar;
use longhaul_model::Clock;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use std::sync::Arc;
use std::time::Duration;

/// Pauses between attempts double between these, as Prometheus' do.
const PAUSE_MIN: Duration = Duration::from_millis(30);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Attempts at one request: over a minute and a half of pauses.
const ATTEMPTS_MAX: u32 = 25;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Of an answer that refuses, so much is kept.
const REFUSAL_BYTES_MAX: usize = 500;

/// What one connection has seen.
#[derive(Default)]
struct Sent {
    requests: u64,
    samples: u64,
    body_bytes: u64,
    retries: u64,
    refused_requests: u64,
    refused_samples: u64,
    first_refusal: Option<String>,
    latencies_ns: Vec<u64>,
}

/// Sends everything that `arguments` describe.
pub async fn run(arguments: &WriteArguments, clock: Arc<dyn Clock>) -> Result<WriteReport, LoadError> {
    let expected = arguments.recorded.is_none().then(|| u64::from(arguments.series) * u64::from(arguments.samples));
    let feeds = source::start(arguments, arguments.start, clock.now_ms()).await;
    let progress = progress_bar(expected, "samples");
    let before = arguments.pid.map(Usage::of).transpose()?;
    let begun_ns = clock.monotonic_ns();
    let connections = feeds.into_iter().map(|feed| connection(arguments, feed, &*clock, &progress));
    let sent = try_join_all(connections).await?;
    let elapsed_s = (clock.monotonic_ns() - begun_ns) as f64 / 1e9;
    progress.finish_and_clear();
    let total = |count: fn(&Sent) -> u64| sent.iter().map(count).sum::<u64>();
    let samples = total(|s| s.samples);
    let cost = |before: Usage| Usage::of(arguments.pid.unwrap_or(0)).map(|now| Cost::between(before, now, samples));
    let process = before.map(cost).transpose()?;
    let settled = if arguments.settle > 0 {
        tokio::time::sleep(Duration::from_millis(arguments.settle as u64)).await;
        before.map(cost).transpose()?
    } else {
        None
    };
    Ok(WriteReport {
        requests: total(|s| s.requests),
        samples,
        seconds: elapsed_s,
        samples_per_second: samples as f64 / elapsed_s,
        body_bytes: total(|s| s.body_bytes),
        retries: total(|s| s.retries),
        refused_requests: total(|s| s.refused_requests),
        refused_samples: total(|s| s.refused_samples),
        first_refusal: sent.iter().find_map(|s| s.first_refusal.clone()),
        latency: Latencies::of(sent.into_iter().flat_map(|s| s.latencies_ns).collect()),
        process,
        settled,
    })
}

async fn connection(
    arguments: &WriteArguments,
    mut feed: Feed,
    clock: &dyn Clock,
    progress: &ProgressBar,
) -> Result<Sent, LoadError> {
    let client = client()?;
    let mut sent = Sent::default();
    while let Some(request) = feed.next().await {
        let request = request?;
        let mut attempt = 1;
        loop {
            let mut post = client
                .post(arguments.url.clone())
                .header(CONTENT_TYPE, "application/x-protobuf")
                .header(CONTENT_ENCODING, "snappy")
                .header("X-Prometheus-Remote-Write-Version", "0.1.0")
                .body(request.body.clone());
            if let Some(tenant) = &arguments.tenant {
                post = post.header("X-Scope-OrgID", tenant);
            }
            let begun_ns = clock.monotonic_ns();
            let answer = post.send().await;
            sent.latencies_ns.push(clock.monotonic_ns() - begun_ns);
            let trouble = match answer {
                Ok(answer) if answer.status().is_success() => {
                    sent.samples += u64::from(request.samples);
                    break;
                }
                Ok(answer) if is_temporary(answer.status()) => {
                    let pause = pause(attempt, retry_after(&answer));
                    (format!("{} {}", answer.status(), text(answer).await), pause)
                }
                Ok(answer) => {
                    sent.refused_requests += 1;
                    sent.refused_samples += u64::from(request.samples);
                    let status = answer.status();
                    sent.first_refusal.get_or_insert(format!("{status} {}", text(answer).await));
                    break;
                }
                Err(error) => (describe(&error), pause(attempt, None)),
            };
            if attempt == ATTEMPTS_MAX {
                return Err(LoadError::GaveUp(trouble.0));
            }
            attempt += 1;
            sent.retries += 1;
            tokio::time::sleep(trouble.1).await;
        }
        sent.requests += 1;
        sent.body_bytes += request.body.len() as u64;
        progress.inc(u64::from(request.samples));
    }
    Ok(sent)
}

/// A client of its own for each connection, so that connections are not shared.
pub fn client() -> Result<Client, LoadError> {
    let builder = Client::builder().http1_only().pool_max_idle_per_host(1).timeout(REQUEST_TIMEOUT).tcp_nodelay(true);
    builder.build().map_err(|error| LoadError::GaveUp(describe(&error)))
}

fn is_temporary(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

/// The server's own word, else doubled with each attempt.
fn pause(attempt: u32, retry_after: Option<Duration>) -> Duration {
    retry_after.unwrap_or_else(|| PAUSE_MIN * 2u32.pow(attempt.min(10) - 1)).min(PAUSE_MAX)
}

fn retry_after(answer: &Response) -> Option<Duration> {
    answer.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

async fn text(answer: Response) -> String {
    let text = answer.text().await.unwrap_or_default();
    text.trim().chars().take(REFUSAL_BYTES_MAX).collect()
}

/// An error with its causes: reqwest's own text leaves the cause out.
pub fn describe(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
