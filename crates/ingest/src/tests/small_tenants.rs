//! Many small tenants beside a big one: log, memory and parts stay within their bounds.

use super::site::*;
use crate::housekeeper;
use futures::StreamExt;
use longhaul_model::Clock;
use std::sync::atomic::Ordering::Relaxed;

const SMALL: usize = 2000;
const SEGMENT_BYTES: u64 = 128 << 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_small_tenants_do_not_pin_the_log_of_a_big_one() {
    let mut site = Site::new(1);
    site.log_settings.segment_size_bytes = SEGMENT_BYTES;
    site.log_settings.segment_size_bytes_max = SEGMENT_BYTES;
    let settings = &mut site.settings;
    settings.replay_bytes_max = 3 << 20;
    settings.tiny_head_bytes = 2 << 10;
    settings.chunk_budget_bytes = 3 << 20;
    let bounds = settings.clone();
    let ingester = site.open().await;
    let small = |n: usize| tenant(n + 1);
    let big = tenant(0);
    let scrape = async |t_ms: i64| {
        let writes = (0..SMALL).map(|n| {
            let ingester = &ingester;
            async move { assert!(put(ingester, &small(n), "up", t_ms, n as f64).await) }
        });
        futures::stream::iter(writes).buffer_unordered(64).collect::<Vec<()>>().await;
    };
    scrape(site.clock.now_ms()).await;
    let (mut written, mut log_bytes_max, mut chunk_bytes_max) = (0, 0, 0);
    for round in 0..60i64 {
        let start_ms = site.clock.now_ms();
        site.clock.advance(10 * SECOND_MS);
        let series = (0..120).map(|n| {
            let value =
                |i: i64| f64::from_bits(((round * 7919 + i * 104_729 + n) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            (format!("big_{n}"), (0..80).map(|i| sample(start_ms + i * 100, value(i))).collect())
        });
        let series: Vec<_> = series.collect();
        written += write(&ingester, &big, &series).await.unwrap().stored;
        assert!(housekeeper::tick(ingester.inner()).await);
        let totals = ingester.totals();
        (log_bytes_max, chunk_bytes_max) =
            (log_bytes_max.max(totals.log_bytes), chunk_bytes_max.max(totals.chunk_bytes));
    }
    scrape(site.clock.now_ms()).await;
    for _ in 0..30 {
        assert!(housekeeper::tick(ingester.inner()).await);
    }
    let totals = ingester.totals();
    println!(
        "{written} samples of the big one; log at most {log_bytes_max} bytes, at the end {}; chunks at most \
         {chunk_bytes_max}; {} parts; {:?} heads logged again",
        totals.log_bytes,
        totals.parts,
        ingester.metrics().heads_logged_again
    );
    assert!(totals.log_bytes <= bounds.replay_bytes_max + SEGMENT_BYTES, "a replay is bounded");
    assert!(log_bytes_max <= bounds.replay_bytes_max * 2, "all the time");
    assert!(chunk_bytes_max <= bounds.chunk_budget_bytes / 4 * 5, "memory is bounded");
    assert!(totals.parts < 100, "no part for each small tenant");
    assert!(ingester.metrics().heads_logged_again.load(Relaxed) >= SMALL as u64, "they were logged again instead");

    let restarted = site.killed().open().await;
    assert!(restarted.metrics().samples_replayed.load(Relaxed) * 8 < bounds.replay_bytes_max * 2);
    for n in (0..SMALL).step_by(97) {
        assert_eq!(read(&restarted, &small(n)).await.all["up"].len(), 2, "small tenant {n}");
    }
    let found = read(&restarted, &big).await.all;
    assert_eq!(found.values().map(|samples| samples.len() as u64).sum::<u64>(), written);
}
