//! The scrubber: everything is read once a period, what is rotten is quarantined, the rest goes on.

use super::merges::regular;
use super::site::*;
use crate::{ScrubSettings, Scrubber, ScrubberParts};
use longhaul_model::Clock;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

const PERIOD_MS: i64 = 7 * DAY_MS;

fn scrubber(site: &Site, bytes_per_second: u64) -> Scrubber {
    let published = site.published.clone();
    Scrubber::new(ScrubberParts {
        settings: ScrubSettings { period_ms: PERIOD_MS, bytes_per_second, ..ScrubSettings::default() },
        store: site.store.clone(),
        clock: site.clock.clone(),
        ids: site.ids.clone(),
        publish: Arc::new(move |_, manifest| published.lock().push(manifest)),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_rotten_is_found_within_a_period_and_the_rest_goes_on() {
    let site = Site::new(30 * DAY_MS);
    let mut ids = Vec::new();
    for n in 0..8 {
        ids.push(site.make(&regular(5, n * 2 * HOUR_MS, (n + 1) * 2 * HOUR_MS, n as u64 + 1)).await);
    }
    let scrubber = scrubber(&site, u64::MAX);
    for (n, file) in [(1, "chunks/000001"), (4, "index"), (6, "lookup")] {
        let key = format!("team-a/{}/{file}", ids[n]);
        let mut bytes = site.object(&key).await;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x41;
        site.overwrite(&key, bytes).await;
    }
    site.remove(&format!("team-a/{}/meta.json", ids[7])).await;

    scrubber.catch_up().await;
    assert_eq!(scrubber.metrics().blocks.load(Relaxed), 0, "nothing has come due");
    let mut seen = Vec::new();
    for _ in 0..14 {
        site.clock.advance(PERIOD_MS / 14);
        scrubber.catch_up().await;
        seen.push(scrubber.metrics().blocks.load(Relaxed));
    }
    assert_eq!(*seen.last().unwrap(), 8);
    assert!(seen.iter().any(|count| (1..8).contains(count)), "spread over the period: {seen:?}");
    let metrics = scrubber.metrics();
    assert_eq!((metrics.quarantined.load(Relaxed), metrics.failures.load(Relaxed)), (4, 0));
    assert_eq!(metrics.read_up_to_ms.load(Relaxed), site.clock.now_ms());
    let manifest = site.manifest().await;
    let mut quarantined: Vec<_> = manifest.quarantined.iter().map(|block| block.id).collect();
    quarantined.sort_unstable();
    assert_eq!(quarantined, [ids[1], ids[4], ids[6], ids[7]]);
    assert_eq!((manifest.blocks.len(), manifest.author.as_str()), (8, "scrubber"), "they stay live");
    assert_eq!(site.published.lock().last().unwrap().version, manifest.version);

    site.clock.advance(PERIOD_MS);
    scrubber.catch_up().await;
    assert_eq!(metrics.blocks.load(Relaxed), 12, "what is known to be broken is not read again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_is_no_faster_than_it_may_be_and_ends_when_it_has_to() {
    let site = Site::new(30 * DAY_MS);
    let id = site.make(&regular(50, 0, 2 * HOUR_MS, 1)).await;
    let bytes = site.manifest().await.blocks[0].size_bytes;
    site.clock.advance(PERIOD_MS);
    let slow = scrubber(&site, bytes * 5);
    site.clock.advance(PERIOD_MS);
    let started = tokio::time::Instant::now();
    slow.catch_up().await;
    assert_eq!(slow.metrics().blocks.load(Relaxed), 1);
    assert!(started.elapsed().as_millis() >= 150, "{:?} for {bytes} bytes", started.elapsed());

    slow.close();
    site.clock.advance(PERIOD_MS);
    slow.catch_up().await;
    assert_eq!(slow.metrics().blocks.load(Relaxed), 1);
    assert!(site.manifest().await.quarantined.is_empty(), "{id} is sound");
}
