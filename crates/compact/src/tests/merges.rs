//! Blocks of ours, made up: nothing is lost or changed, whatever they hold and however they overlap.

use super::site::*;
use crate::CompactSettings;
use longhaul_model::{Labels, Measurement};
use longhaul_testkit::measurements::{KINDS, measurement};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

pub(super) fn labels(n: u8) -> Labels {
    Labels::from_pairs([("__name__", ["a", "b", "c"][usize::from(n % 3)]), ("n", &n.to_string())])
}

/// A block of float series with a sample every 15 seconds.
pub(super) fn regular(series: u8, from_ms: i64, to_ms: i64, to: u64) -> Made {
    let samples = |n: u8| -> Vec<Measurement> {
        (from_ms..to_ms)
            .step_by(15_000)
            .map(|t_ms| measurement(t_ms, 0, n.wrapping_add((t_ms / 15_000) as u8)))
            .collect()
    };
    Made { series: (0..series).map(|n| (labels(n), samples(n))).collect(), to, at_ms: to_ms }
}

/// What a block made by hand holds.
pub(super) fn content_of(made: &Made) -> Content {
    made.series.iter().map(|(labels, samples)| (labels.clone(), samples.iter().map(canonical).collect())).collect()
}

fn any_made() -> impl Strategy<Value = Vec<Made>> {
    let run = (0u8..4, 0..KINDS, 0i64..40, 1i64..30, any::<u8>());
    let block = proptest::collection::vec(run, 1..6);
    proptest::collection::vec((block, 1u64..50), 2..6).prop_map(|blocks| {
        let blocks = blocks.into_iter().enumerate().map(|(n, (runs, to))| {
            let mut series: BTreeMap<Labels, BTreeMap<i64, Measurement>> = BTreeMap::new();
            for (of, kind, from, length, value) in runs {
                let times = (from..from + length).map(|step| step * 30_000);
                series.entry(labels(of)).or_default().extend(times.map(|t_ms| (t_ms, measurement(t_ms, kind, value))));
            }
            let series = series.into_iter().map(|(labels, samples)| (labels, samples.into_values().collect()));
            Made { series: series.collect(), to, at_ms: n as i64 }
        });
        blocks.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// I-COMPACT-1, I-COMPACT-3
    #[test]
    fn a_compaction_changes_nothing_that_is_read(made in any_made(), series_max in 1u64..5) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut site = Site::new(30 * DAY_MS);
            site.settings.series_per_block_max = series_max;
            for block in &made {
                site.make(block).await;
            }
            let (before, exemplars_before) = (site.read().await, site.exemplars().await);
            let report = site.compactor("work").compact(None).await.unwrap();
            assert_eq!(site.read().await, before);
            assert_eq!(site.exemplars().await, exemplars_before);
            site.verify(&[]).await;
            let samples: u64 = made.iter().flat_map(|block| block.series.values()).map(|it| it.len() as u64).sum();
            let left: u64 = before.values().map(|samples| samples.len() as u64).sum();
            assert_eq!((report.jobs, report.samples_in, report.samples_out), (1, samples, left), "{report:?}");
            assert_eq!(report.blocks_out, (before.len() as u64).div_ceil(series_max));
            assert!(report.failures.is_empty() && report.quarantined.is_empty());
            assert_eq!(site.compactor("again").compact(None).await.unwrap().jobs, 0, "it settles");
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_later_sample_stays_and_is_counted() {
    let site = Site::new(30 * DAY_MS);
    let (early, late) = (regular(3, 0, HOUR_MS, 10), regular(4, 1_800_000, 2 * HOUR_MS, 20));
    let mut expected = content_of(&early);
    overlay(&mut expected, content_of(&late));
    site.make(&late).await;
    site.make(&early).await;
    let compactor = site.compactor("work");
    let report = compactor.compact(None).await.unwrap();
    assert_eq!((report.jobs, report.samples_duplicate), (1, 3 * 120));
    assert_eq!(site.read().await, expected);
    let live = &site.manifest().await.blocks[0];
    assert_eq!(live.coverage.iter().map(|it| (it.from, it.to)).collect::<Vec<_>>(), [(9, 10), (19, 20)]);
    let metrics = compactor.metrics();
    let counted = [&metrics.runs, &metrics.jobs, &metrics.blocks_in, &metrics.blocks_out].map(|it| it.load(Relaxed));
    assert_eq!(counted, [1, 1, 2, 1]);
    assert_eq!(metrics.samples_in.load(Relaxed), metrics.samples_out.load(Relaxed) + 3 * 120);
    let state = metrics.tenants.lock()[&tenant()];
    assert_eq!((state.lag_ms, state.blocks, state.quarantined), (0, 1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn years_of_blocks_settle_in_a_few_rewrites() {
    let site = Site::new(60 * DAY_MS);
    let mut expected = Content::new();
    for n in 0..60 {
        let made = regular(2, n * 2 * HOUR_MS, (n + 1) * 2 * HOUR_MS, n as u64 + 1);
        overlay(&mut expected, content_of(&made));
        site.make(&made).await;
    }
    let report = site.compactor("work").compact(None).await.unwrap();
    assert_eq!(site.read().await, expected);
    assert_eq!(site.manifest().await.blocks.len(), 1);
    let samples: u64 = expected.values().map(|samples| samples.len() as u64).sum();
    assert_eq!(report.samples_in, samples, "each sample was written once: {report:?}");
    let live = &site.manifest().await.blocks[0];
    assert_eq!((live.sources.len(), live.level), (60, 2));
}

/// Requests are a cost: a job reads each input by a few, and writes each output by a few.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_makes_few_requests() {
    let site = Site::new(30 * DAY_MS);
    for n in 0..12 {
        site.make(&regular(40, n * 2 * HOUR_MS, (n + 1) * 2 * HOUR_MS, n as u64 + 1)).await;
    }
    let requests = || {
        let metrics = site.store.metrics();
        [&metrics.gets, &metrics.heads, &metrics.lists, &metrics.puts].map(|it| it.load(Relaxed))
    };
    let before = requests();
    let report = site.compactor("work").compact(Some(&tenant())).await.unwrap();
    assert_eq!((report.jobs, report.blocks_in), (1, 12));
    let made: Vec<u64> = requests().iter().zip(before).map(|(after, before)| after - before).collect();
    println!("GET, HEAD, LIST, PUT: {made:?}");
    // Of an input: meta.json, footer, series pages, chunks, and two of the exemplars. Of the manifests: what is newest before and
    // after, and the read back.
    assert!(made[0] <= 12 * 6 + 12, "{made:?}");
    // One an uploaded object, and those that look for the newest manifest.
    assert!(made[1] <= 12 && made[2] == 0, "{made:?}");
    // chunks, index, lookup, tombstones, exemplars, meta.json; the manifest and the hint.
    assert_eq!(made[3], 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_fails_a_job_and_nothing_else() {
    let mut site = Site::new(30 * DAY_MS);
    site.settings =
        CompactSettings { disk_reserve_bytes_max: u64::MAX, disk_reserve_percent: 100, ..CompactSettings::default() };
    site.make(&regular(2, 0, HOUR_MS, 1)).await;
    site.make(&regular(2, HOUR_MS, 2 * HOUR_MS, 2)).await;
    let before = site.manifest().await;
    let compactor = site.compactor("work");
    let report = compactor.compact(None).await.unwrap();
    assert_eq!((report.jobs, report.failures.len()), (0, 1), "{report:?}");
    assert_eq!(site.manifest().await, before);
    let lag_ms = compactor.metrics().tenants.lock()[&tenant()].lag_ms;
    assert_eq!(lag_ms, 30 * DAY_MS - 14 * DAY_MS - HOUR_MS, "since its fortnight has settled");
}
