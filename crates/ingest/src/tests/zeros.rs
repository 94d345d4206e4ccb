//! Zeros where counters began, from the door over a restart: stored once, told to nobody, and never in the way.

use super::site::*;
use crate::{Ingester, WriteLimits};
use longhaul_model::write_batch::{HistogramSample, HistogramValue};
use longhaul_model::{Histogram, LabelSection, SeriesEntry, WriteBatch};
use std::sync::Arc;

/// Writes samples of a counter, each with its start and value; how many are stored and how many refused.
async fn count(ingester: &Ingester, samples: &[(i64, i64, f64)], zeros_at_start: bool) -> (u64, u64) {
    let mut batch = WriteBatch::default();
    let mut section = Vec::new();
    LabelSection::push(&mut section, "__name__", "up");
    LabelSection::push(&mut section, "job", "test");
    for (t_ms, start_ms, value) in samples {
        batch.samples.push(sample(*t_ms, *value));
        batch.starts_ms.push(*start_ms);
    }
    batch.series.push(SeriesEntry {
        labels: 0..section.len() as u32,
        samples: 0..samples.len() as u32,
        histograms: 0..0,
        exemplars: 0..0,
    });
    batch.buffer = section.into();
    let limits = WriteLimits { zeros_at_start, ..WriteLimits::default() };
    let report = ingester.write(&tenant(0), &batch, &limits).await.unwrap();
    (report.stored, report.refusals.count())
}

async fn at(ingester: &Ingester, t_ms: i64) -> Option<f64> {
    read(ingester, &tenant(0)).await.value("up", t_ms)
}

#[tokio::test]
async fn they_are_stored_once_and_outlive_the_process() {
    let site = Site::new(1);
    let ingester = site.open().await;
    let second = |n: i64| START_MS + n * SECOND_MS;
    assert_eq!(count(&ingester, &[(second(20), second(5), 3.0)], false).await, (1, 0));
    assert_eq!(at(&ingester, second(5)).await, None, "not asked for");
    let again = [(second(40), second(30), 2.0), (second(50), second(30), 4.0)];
    for _ in 0..2 {
        assert_eq!(count(&ingester, &again, true).await, (2, 0), "zeros are not counted");
    }
    assert_eq!(at(&ingester, second(30)).await, Some(0.0));
    assert_eq!(count(&ingester, &[(second(60), second(30), 5.0)], true).await, (1, 0));
    let ingester = site.killed().open().await;
    let found = read(&ingester, &tenant(0)).await;
    let all: Vec<_> = [20, 30, 40, 50, 60].map(|n| found.value("up", second(n))).to_vec();
    assert_eq!(all, [3.0, 0.0, 2.0, 4.0, 5.0].map(Some));
    assert_eq!(found.value("up", second(5)), None);
}

#[tokio::test]
async fn what_is_there_already_stays_and_nobody_is_blamed() {
    let site = Site::new(2);
    let ingester = site.open().await;
    let start_ms = START_MS - HOUR_MS;
    assert!(put(&ingester, &tenant(0), "up", start_ms, 7.0).await);
    ingester.flush(None).await.unwrap();
    assert_eq!(
        count(&ingester, &[(START_MS, start_ms, 9.0)], true).await,
        (1, 0),
        "the head knows when its newest was"
    );
    assert_eq!(at(&ingester, start_ms).await, Some(7.0));
    // A head that does not know asks the parts: another value at the start is no conflict of the sender's.
    let site = Site::new(3);
    let ingester = site.open().await;
    assert!(put(&ingester, &tenant(0), "up", start_ms, 7.0).await);
    ingester.cut_all(&tenant(0)).await.unwrap();
    let site = site.killed();
    let ingester = site.open().await;
    assert_eq!(count(&ingester, &[(START_MS, start_ms, 9.0)], true).await, (1, 0));
    assert_eq!(at(&ingester, start_ms).await, Some(7.0));
    let ingester = site.killed().open().await;
    assert_eq!((at(&ingester, start_ms).await, at(&ingester, START_MS).await), (Some(7.0), Some(9.0)));
}

#[tokio::test]
async fn histograms_begin_empty() {
    let site = Site::new(4);
    let ingester = site.open().await;
    let mut section = Vec::new();
    LabelSection::push(&mut section, "__name__", "up");
    let histogram =
        |count| HistogramValue::Integer(Arc::new(Histogram { zero_count: count, count, ..Default::default() }));
    let batch = WriteBatch {
        series: vec![SeriesEntry { labels: 0..section.len() as u32, samples: 0..0, histograms: 0..1, exemplars: 0..0 }],
        histograms: vec![HistogramSample { t_ms: START_MS, start_ms: START_MS - SECOND_MS, value: histogram(3) }],
        buffer: section.into(),
        ..WriteBatch::default()
    };
    let limits = WriteLimits { zeros_at_start: true, ..WriteLimits::default() };
    let report = ingester.write(&tenant(0), &batch, &limits).await.unwrap();
    assert_eq!((report.stored, report.histograms_stored), (1, 1));
    assert_eq!(ingester.head_stats(&tenant(0)).samples, 2);
    let ingester = site.killed().open().await;
    assert_eq!(ingester.head_stats(&tenant(0)).samples, 2);
}
