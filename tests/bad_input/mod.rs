//! What each input of remote write 1.0 gets: status, message, and what is in the database afterwards.
//!
//! A case is a request and what it adds. After each one the *whole* database must be what all requests so far have
//! added: nothing lost, nothing invented. At the end the same is asked after a SIGKILL, and of the bucket.

mod cases;
mod recorded;
mod request;
mod tenants;

use crate::support::client::{Answer, Client};
use crate::support::process::Longhaul;
use crate::support::values::{Matrix, count, exact_difference};
use crate::support::{block_dirs, now_ms, seconds};
use longhaul_model::STALE_NAN_BITS;
use request::{Key, Series, body, sample, series};

/// Nothing of our own in the database, nothing cut before its time.
const CONFIGURATION: &str = "self_scrape: {enabled: false}\nship: {cut_delay: 100y}\n";

/// A request and what must come of it.
struct Case {
    name: &'static str,
    body: Vec<u8>,
    /// Headers beside or instead of the usual ones; an empty value leaves one out.
    headers: Vec<(&'static str, &'static str)>,
    status: u16,
    /// What the answer's text says, each somewhere.
    says: Vec<String>,
    /// What the database holds that it did not hold before.
    adds: Vec<Series>,
}

impl Case {
    /// A request that is wholly stored.
    fn stored(name: &'static str, body: Vec<u8>, adds: Vec<Series>) -> Self {
        Self { name, body, headers: Vec::new(), status: 204, says: Vec::new(), adds }
    }

    /// A request of which nothing, or not all, is stored.
    fn refused(name: &'static str, body: Vec<u8>, status: u16, says: &[&str]) -> Self {
        let says = says.iter().map(ToString::to_string).collect();
        Self { name, body, headers: Vec::new(), status, says, adds: Vec::new() }
    }

    fn with_headers(mut self, headers: &[(&'static str, &'static str)]) -> Self {
        self.headers = headers.to_vec();
        self
    }

    fn adding(mut self, adds: Vec<Series>) -> Self {
        self.adds = adds;
        self
    }
}

/// What the database must hold.
#[derive(Default)]
struct Ledger {
    holds: Matrix,
}

impl Ledger {
    fn add(&mut self, all: &[Series]) {
        for series in all {
            let points = self.holds.entry(series.key()).or_default();
            points.extend(series.samples.iter().map(|sample| (sample.timestamp, sample.value)));
        }
    }

    async fn check(&self, client: &Client, t_ms: i64, after: &str) {
        let found = client.samples("{__name__=~\".+\"}", "100d", &seconds(t_ms)).await;
        if let Some(difference) = exact_difference(&self.holds, &found) {
            panic!("after {after}: {difference}");
        }
    }
}

fn check_answer(case: &Case, answer: &Answer) {
    let Case { name, status, says, .. } = case;
    assert_eq!(answer.status, *status, "{name}: {}", answer.text);
    for text in says {
        assert!(answer.text.contains(text), "{name}: no {text:?} in {:?}", answer.text);
    }
    assert!(answer.text.len() <= 4096, "{name}: a message of {} bytes", answer.text.len());
    assert_eq!(answer.text.is_empty(), *status == 204, "{name}: {:?}", answer.text);
    let written = |header: &&str| header.starts_with("x-prometheus-remote-write-") && header.ends_with("-written");
    assert_eq!(
        answer.headers.keys().map(|key| key.as_str()).find(written),
        None,
        "{name}: a header of remote write 2.0"
    );
}

/// Posts the cases in their order and checks the database after each one.
async fn run(client: &Client, ledger: &mut Ledger, cases: &[Case], t_ms: i64) {
    for case in cases {
        let answer = client.write_bytes(case.body.clone(), &case.headers).await;
        check_answer(case, &answer);
        ledger.add(&case.adds);
        ledger.check(client, t_ms, case.name).await;
    }
}

#[tokio::test]
async fn every_input_gets_its_answer_and_nothing_is_lost_or_invented() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Longhaul::configured(dir.path(), CONFIGURATION).await;
    let client = Client::new(&server.url);
    let now_ms = now_ms();
    // Everything lies before this, samples from the allowed future as well.
    let t_ms = now_ms + 3_600_000;
    let mut ledger = Ledger::default();
    let cases: Vec<Case> = [
        cases::bodies(now_ms),
        cases::headers(now_ms),
        cases::labels(now_ms),
        cases::label_limits(now_ms),
        cases::values_and_times(now_ms),
        cases::beside_floats(now_ms),
        cases::repetition_and_conflict(now_ms),
    ]
    .into_iter()
    .flatten()
    .collect();
    run(&client, &mut ledger, &cases, t_ms).await;

    server.kill();
    server.start_again().await;
    ledger.check(&client, t_ms, "a SIGKILL").await;
    server.flush().await;
    assert_eq!(client.metric("longhaul_head_samples").await, 0.0);
    ledger.check(&client, t_ms, "a flush").await;
    check_bits(dir.path(), now_ms);
    println!(
        "{} requests, each read back; {} series with {} samples after a kill and from the bucket",
        cases.len(),
        ledger.holds.len(),
        count(&ledger.holds)
    );
}

/// The API shows every NaN as `NaN` and no stale marker at all: what was stored is in the blocks.
fn check_bits(dir: &std::path::Path, now_ms: i64) {
    use longhaul_block::{Dump, LocalFiles};
    use longhaul_model::Value;
    let fs: std::sync::Arc<dyn longhaul_disk::Fs> = std::sync::Arc::new(longhaul_disk::RealFs);
    let mut bits = Vec::new();
    for block in block_dirs(&dir.join("data/bucket")) {
        let files = LocalFiles::new(fs.clone(), block);
        for series in Dump::new(&files).unwrap().map(Result::unwrap) {
            if series.labels.get("__name__") == Some("special_values") {
                let samples = series.chunks.iter().flat_map(|chunk| chunk.decode().unwrap());
                bits.extend(samples.map(|sample| match sample.value {
                    Value::Float(value) => value.to_bits(),
                    histogram => panic!("nobody sent {histogram:?}"),
                }));
            }
        }
    }
    let expected: Vec<u64> = cases::special_values(now_ms).iter().map(|sample| sample.value.to_bits()).collect();
    assert_eq!(bits, expected);
    assert!(bits.contains(&STALE_NAN_BITS));
}

/// Caps far below the defaults, so that a test can exceed them.
#[tokio::test]
async fn caps_and_limits_hold_and_known_series_are_still_written() {
    const LIMITS: &str = "self_scrape: {enabled: false}\n\
        http: {body_max: 64KiB, decoded_max: 128KiB}\n\
        retention: {defaults: {raw: 1h}}\n\
        limits: {series_max: 3, series_per_request_max: 100, samples_per_request_max: 200}\n";
    let dir = tempfile::tempdir().unwrap();
    let mut server = Longhaul::configured(dir.path(), LIMITS).await;
    let client = Client::new(&server.url);
    let (now_ms, mut ledger) = (now_ms(), Ledger::default());
    let cases: Vec<Case> =
        [cases::caps(now_ms), cases::retention(now_ms), cases::series_limit(now_ms)].into_iter().flatten().collect();
    run(&client, &mut ledger, &cases, now_ms + 3_600_000).await;

    let before_kib = peak_memory_kib(server.process().pid());
    for _ in 0..200 {
        let answer = client.write_bytes(request::bomb(u32::MAX), &[]).await;
        assert_eq!(answer.status, 413, "{}", answer.text);
    }
    let grown_kib = peak_memory_kib(server.process().pid()) - before_kib;
    assert!(grown_kib < 64 << 10, "200 bombs of 4 GiB each cost {grown_kib} KiB");
    let (status, text) = request::post_chunked(&server.url, 65 << 10).await;
    assert_eq!(status, 413, "{text}");
    ledger.check(&client, now_ms + 3_600_000, "bombs").await;
    println!("{} requests, each read back; 200 bombs cost {grown_kib} KiB", cases.len());
}

fn peak_memory_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn only_post_writes() {
    let dir = tempfile::tempdir().unwrap();
    let server = Longhaul::configured(dir.path(), CONFIGURATION).await;
    let http = reqwest::Client::new();
    let writes = body(vec![series(&[("__name__", "method")], &[sample(now_ms(), 1.0)])]);
    for prefix in ["", "/prometheus"] {
        for path in ["push", "write", "receive"] {
            let url = format!("{}{prefix}/api/v1/{path}", server.url);
            for method in [reqwest::Method::GET, reqwest::Method::PUT, reqwest::Method::DELETE] {
                let answer = http.request(method.clone(), &url).body(writes.clone()).send().await.unwrap();
                assert_eq!(answer.status(), 405, "{method} {url}");
                assert_eq!(answer.headers()["allow"], "POST", "{method} {url}");
            }
        }
    }
    let client = Client::new(&server.url);
    Ledger::default().check(&client, now_ms() + 60_000, "other methods").await;
    for path in ["push", "write", "receive"] {
        let answer = http.post(format!("{}/api/v1/{path}", server.url)).body(writes.clone()).send().await.unwrap();
        assert_eq!(answer.status(), 204, "{path}");
    }
    assert_eq!(count(&client.samples("method", "1h", &seconds(now_ms() + 60_000)).await), 1);
}
