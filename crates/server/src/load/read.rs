//! Asking queries: each one so often, one after the other, the first time reported apart from the rest because it warms
//! caches.

use super::process::Usage;
use super::report::{Cost, Latencies, QueryReport, ReadReport};
use super::send::{client, describe};
use super::{LoadError, ReadArguments};
use crate::progress::progress_bar;
use bytes::Bytes;
use longhaul_model::Clock;
use std::sync::Arc;

/// Asks everything that `arguments` describe.
pub async fn run(arguments: &ReadArguments, clock: Arc<dyn Clock>) -> Result<ReadReport, LoadError> {
    let mut queries = arguments.query.clone();
    if let Some(path) = &arguments.queries {
        let text = std::fs::read_to_string(path).map_err(|cause| LoadError::File { path: path.clone(), cause })?;
        queries.extend(text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_owned));
    }
    let end_ms = arguments.end.unwrap_or_else(|| clock.now_ms());
    let client = client()?;
    let repetitions = arguments.repetitions.max(1);
    let progress = progress_bar(Some(queries.len() as u64 * u64::from(repetitions)), "queries");
    let before = arguments.pid.map(Usage::of).transpose()?;
    let mut reports = Vec::with_capacity(queries.len());
    for query in queries {
        let url = url_of(arguments, &query, end_ms);
        let before = arguments.pid.map(Usage::of).transpose()?;
        let mut latencies_ns = Vec::with_capacity(repetitions as usize);
        let mut answer = Answer::default();
        for _ in 0..repetitions {
            let begun_ns = clock.monotonic_ns();
            let (status, body) = ask(&client, arguments, url.clone()).await?;
            latencies_ns.push(clock.monotonic_ns() - begun_ns);
            // What it takes to understand the answer is this program's time, not the server's.
            answer = read_answer(status, &body);
            progress.inc(1);
            if answer.error.is_some() {
                break;
            }
        }
        let first_ms = latencies_ns[0] as f64 / 1e6;
        let asked = latencies_ns.len();
        if asked > 1 {
            latencies_ns.remove(0);
        }
        let cpu_ms = before.map(|before| {
            let now = arguments.pid.map_or(Ok(before), Usage::of)?;
            Ok((now.cpu_s - before.cpu_s) * 1e3 / asked as f64)
        });
        reports.push(QueryReport {
            query,
            first_ms,
            latency: Latencies::of(latencies_ns),
            cpu_ms: cpu_ms.transpose()?,
            series: answer.series,
            answer_bytes: answer.size_bytes,
            error: answer.error,
        });
    }
    progress.finish_and_clear();
    let cost = |before: Usage| Usage::of(arguments.pid.unwrap_or(0)).map(|now| Cost::between(before, now, 0));
    Ok(ReadReport { queries: reports, process: before.map(cost).transpose()? })
}

/// The prefix's `/api/v1/query` or `/api/v1/query_range` with all parameters.
fn url_of(arguments: &ReadArguments, query: &str, end_ms: i64) -> url::Url {
    let mut url = arguments.url.clone();
    let endpoint = if arguments.range.is_some() { "query_range" } else { "query" };
    let path = format!("{}/api/v1/{endpoint}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    let seconds = |ms: i64| format!("{:.3}", ms as f64 / 1e3);
    let mut pairs = url.query_pairs_mut();
    pairs.append_pair("query", query);
    match arguments.range {
        Some(range_ms) => pairs
            .append_pair("start", &seconds(end_ms - range_ms))
            .append_pair("end", &seconds(end_ms))
            .append_pair("step", &seconds(arguments.step)),
        None => pairs.append_pair("time", &seconds(end_ms)),
    };
    pairs.extend_pairs(&arguments.parameters);
    drop(pairs);
    url
}

#[derive(Default)]
struct Answer {
    series: usize,
    size_bytes: usize,
    error: Option<String>,
}

/// Asks, and waits for the last byte of the answer.
async fn ask(
    client: &reqwest::Client,
    arguments: &ReadArguments,
    url: url::Url,
) -> Result<(reqwest::StatusCode, Bytes), LoadError> {
    let mut get = client.get(url);
    if let Some(tenant) = &arguments.tenant {
        get = get.header("X-Scope-OrgID", tenant);
    }
    let gave_up = |error: reqwest::Error| LoadError::GaveUp(describe(&error));
    let response = get.send().await.map_err(gave_up)?;
    let status = response.status();
    Ok((status, response.bytes().await.map_err(gave_up)?))
}

fn read_answer(status: reqwest::StatusCode, body: &[u8]) -> Answer {
    let size_bytes = body.len();
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let result = &json["data"]["result"];
    if status.is_success() && json["status"] == "success" {
        let series = if json["data"]["resultType"] == "scalar" { 1 } else { result.as_array().map_or(0, Vec::len) };
        return Answer { series, size_bytes, error: None };
    }
    let text = json["error"].as_str().map_or_else(|| String::from_utf8_lossy(body).trim().to_owned(), str::to_owned);
    Answer { series: 0, size_bytes, error: Some(format!("{status} {}", text.chars().take(500).collect::<String>())) }
}
