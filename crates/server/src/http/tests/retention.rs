//! Retention beside a simple model: whatever has been shipped, compacted or rewritten so far, an answer holds what is kept and
//! nothing else.

use super::{NOW_MS, Server};
use crate::config::Config;
use longhaul_model::{Clock, Labels, Sample, TenantId};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering::Relaxed;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

const RETENTION: &str = "retention: {defaults: {raw: 6d, series: [{match: '{env=\"dev\"}', raw: 5d}, \
    {match: '{level=~\"debug|trace\"}', raw: 2d}, {match: '{env!=\"\", level=\"trace\"}', raw: 1d}]}}";

/// Labels by turns, with how long their samples are kept.
fn series(n: usize) -> (Labels, i64) {
    let (env, level) = (["", "dev", "prod"][n % 3], ["info", "debug", "trace"][n / 3 % 3]);
    let kept_ms = match (env, level) {
        ("dev" | "prod", "trace") => DAY_MS,
        (_, "debug" | "trace") => 2 * DAY_MS,
        ("dev", _) => 5 * DAY_MS,
        _ => 6 * DAY_MS,
    };
    let number = n.to_string();
    let pairs = [("__name__", "m"), ("env", env), ("level", level), ("n", &number)];
    (Labels::from_pairs(pairs.into_iter().filter(|(_, value)| !value.is_empty())), kept_ms)
}

/// Samples by series, as a query of everything tells them.
type Told = BTreeMap<String, BTreeSet<i64>>;

async fn ask(server: &Server) -> Told {
    let now_ms = server.clock.now_ms();
    let range_s = (now_ms - NOW_MS + DAY_MS) / 1000;
    let answer = server.get(&format!("/api/v1/query?query=m[{range_s}s]&time={:.3}", now_ms as f64 / 1e3)).await.json();
    let result = answer["data"]["result"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let each = result.iter().map(|series| {
        let values = series["values"].as_array().unwrap().iter();
        let times = values.map(|value| (value[0].as_f64().unwrap() * 1e3).round() as i64).collect();
        (series["metric"]["n"].as_str().unwrap().to_owned(), times)
    });
    each.collect()
}

/// I-RETAIN-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_is_in_the_answer_and_nothing_else_is() {
    let (mut past, mut left_out, mut answers) = (0, 0, 0);
    for seed in 0..6 {
        let random = &mut StdRng::seed_from_u64(seed);
        let server = Server::start(Config::parse(RETENTION).unwrap()).await;
        let mut written: BTreeMap<usize, BTreeSet<i64>> = BTreeMap::new();
        for _ in 0..40 {
            let now_ms = server.clock.now_ms();
            match random.random_range(0..10) {
                0..4 => {
                    let n = random.random_range(0..9);
                    // In order and late; some are past their selector's retention when they come.
                    let age_ms = [0, 3 * HOUR_MS, 3 * DAY_MS][random.random_range(0..3)];
                    let times: BTreeSet<i64> = (0..5).map(|step| now_ms - age_ms - step * 600_000).collect();
                    let times: BTreeSet<i64> = times.into_iter().filter(|t_ms| *t_ms >= NOW_MS - DAY_MS / 2).collect();
                    let samples: Vec<Sample> = times.iter().map(|t_ms| Sample::new(*t_ms, 1.0)).collect();
                    if !samples.is_empty() {
                        server.write("anonymous", &[(series(n).0, &samples)]).await;
                        written.entry(n).or_default().extend(times);
                    }
                }
                4..6 => server.app.ingester.flush(None).await.unwrap(),
                6 => {
                    server.app.compactor.compact(Some(&TenantId::anonymous())).await.unwrap();
                }
                _ => server.clock.advance(random.random_range(0..30) * HOUR_MS + 17_000),
            }
            let now_ms = server.clock.now_ms();
            let mut kept = Told::new();
            for (n, times) in &written {
                let times: BTreeSet<i64> =
                    times.iter().copied().filter(|t_ms| *t_ms >= now_ms - series(*n).1).collect();
                if !times.is_empty() {
                    kept.insert(n.to_string(), times);
                }
            }
            assert_eq!(ask(&server).await, kept, "seed {seed}");
            answers += 1;
        }
        let metrics = server.app.compactor.metrics();
        past += metrics.blocks_past.load(Relaxed);
        left_out += metrics.samples_deleted.load(Relaxed);
    }
    println!("{answers} answers; {past} blocks were retired, {left_out} samples left out of others");
    assert!(past > 0 && left_out > 0);
}

/// A selector's series leave blocks in which others stay, some time after they have left the answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_are_rewritten_and_retired_in_time() {
    let server = Server::start(Config::parse(RETENTION).unwrap()).await;
    let sample = [Sample::new(NOW_MS, 1.0)];
    server.write("anonymous", &[(series(0).0, &sample), (series(3).0, &sample)]).await;
    server.app.ingester.flush(None).await.unwrap();
    let state = async || {
        let report = server.app.compactor.compact(Some(&TenantId::anonymous())).await.unwrap();
        assert!(report.failures.is_empty(), "{report:?}");
        let pin = server.app.ingester.pin(&TenantId::anonymous()).await.unwrap();
        pin.manifest.blocks.iter().map(|block| block.series).collect::<Vec<_>>()
    };
    assert_eq!(state().await, [2]);
    server.clock.advance(2 * DAY_MS + HOUR_MS);
    assert_eq!(state().await, [2], "it is in no hurry");
    server.clock.advance(12 * HOUR_MS);
    assert_eq!(state().await, [1]);
    assert_eq!(server.app.compactor.compact(None).await.unwrap().jobs, 0, "it settles");
    server.clock.advance(3 * DAY_MS);
    assert_eq!(state().await, [1]);
    server.clock.advance(DAY_MS);
    assert_eq!(state().await, Vec::<u64>::new());
}
