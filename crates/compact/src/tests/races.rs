//! Several compactors at once, and compactors that end in the middle: at most work is lost.

use super::merges::{content_of, regular};
use super::site::*;
use longhaul_bucket::Rejected;
use longhaul_model::TimeRange;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering::Relaxed;

/// I-COMPACT-2
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn compactors_that_race_lose_nothing() {
    let mut obsolete = 0;
    for round in 0..8 {
        let site = Site::new(60 * DAY_MS);
        let mut expected = Content::new();
        for n in 0..24 {
            let from_ms = (n * 7 % 24) * HOUR_MS * 2;
            let made = regular(2, from_ms, from_ms + HOUR_MS * (1 + (n + round) % 3), n as u64 + 1);
            overlay(&mut expected, content_of(&made));
            site.make(&made).await;
        }
        assert_eq!(site.read().await, expected);
        let compactors = ["a", "b", "c"].map(|name| site.compactor(name));
        let [a, b, c] = &compactors;
        let shipping = async {
            // Late data arrives meanwhile.
            for n in 0..4 {
                site.make(&regular(3, n * 5 * HOUR_MS, n * 5 * HOUR_MS + 600_000, 100 + n as u64)).await;
            }
        };
        let (a, b, c, ()) = tokio::join!(a.compact(None), b.compact(None), c.compact(None), shipping);
        for n in 0..4 {
            let late = regular(3, n * 5 * HOUR_MS, n * 5 * HOUR_MS + 600_000, 100 + n as u64);
            overlay(&mut expected, content_of(&late));
        }
        let jobs: u64 = [a, b, c].into_iter().map(|report| report.unwrap().jobs).sum();
        assert_eq!(site.read().await, expected, "round {round}");
        site.verify(&[]).await;
        let manifest = site.manifest().await;
        let live: BTreeSet<_> = manifest.blocks.iter().map(|block| block.id).collect();
        for retired in &manifest.retired {
            assert!(!live.contains(&retired.id) && !retired.replaced_by.is_empty());
        }
        assert_eq!(manifest.version, 28 + jobs, "one commit a job and a ship");
        obsolete += compactors.iter().map(|it| it.metrics().jobs_obsolete.load(Relaxed)).sum::<u64>();
        site.compactor("last").compact(None).await.unwrap();
        assert_eq!(site.read().await, expected);
    }
    println!("{obsolete} jobs in vain");
}

/// What is in the work directory when the process ends is gone with the next start, and so is the lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compactor_that_closes_leaves_everything_as_it_was() {
    let site = Site::new(30 * DAY_MS);
    for n in 0..3 {
        site.make(&regular(5, n * 2 * HOUR_MS, (n + 1) * 2 * HOUR_MS, n as u64 + 1)).await;
    }
    let before = (site.manifest().await, site.read().await);
    let compactor = site.compactor("work");
    compactor.close();
    let report = compactor.compact(None).await.unwrap();
    assert_eq!(report.jobs, 0);
    assert_eq!((site.manifest().await, site.read().await), before);
    drop(compactor);
    std::fs::create_dir_all(site.dir.path().join("work/01ARZ3NDEKTSV4RRFFQ69G5FAV/chunks")).unwrap();
    let compactor = site.compactor("work");
    assert!(site.left_in("work").is_empty());
    assert_eq!(compactor.compact(None).await.unwrap().jobs, 1);
    assert_eq!(site.read().await, before.1);
}

/// I-COMPACT-1 at the moment of the commit: a block that has been shipped since the plan may lie between the inputs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_longer_applies_is_not_committed() {
    let site = Site::new(30 * DAY_MS);
    let mut inputs = Vec::new();
    for (n, to) in [(0, 10), (1, 30)] {
        inputs.push(site.make(&regular(1, n * 2 * HOUR_MS, (n + 1) * 2 * HOUR_MS, to)).await);
    }
    let base = site.manifest().await;
    let mut output = base.blocks[0].clone();
    output.id = site.ids.block_id(DAY_MS);
    output.range = TimeRange::new(0, 4 * HOUR_MS);
    output.coverage = base.blocks.iter().flat_map(|block| block.coverage.clone()).collect();
    let compact = |manifest: &longhaul_bucket::Manifest| manifest.compact(&base, &inputs, vec![output.clone()], 0);
    let done = compact(&base).unwrap();
    assert_eq!((done.blocks.len(), done.retired.len()), (1, 2));
    assert_eq!(compact(&done).unwrap_err(), Rejected::NotLive(inputs[0]), "I-COMPACT-2");

    site.make(&regular(1, HOUR_MS, 2 * HOUR_MS, 40)).await;
    compact(&site.manifest().await).unwrap();
    site.make(&regular(1, HOUR_MS, 2 * HOUR_MS, 20)).await;
    assert!(matches!(compact(&site.manifest().await), Err(Rejected::Other(_))));
}
