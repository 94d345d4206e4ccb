//! Histograms and starts from the door to the bucket, and over restarts at every station.

use super::site::*;
use crate::Ingester;
use crate::refusal::Cause;
use crate::settings::WriteLimits;
use longhaul_block::Block;
use longhaul_chunk::{Chunk, decode_any, merge_chunks};
use longhaul_model::write_batch::{HistogramSample, HistogramValue};
use longhaul_model::{
    BucketSpan, Histogram, LabelSection, Labels, Measurement, SeriesEntry, TenantId, TimeRange, Value, WriteBatch,
};
use longhaul_testkit::measurements::{KINDS, histogram, measurement};
use std::collections::BTreeMap;
use tokio::runtime::Handle;

/// Canonical forms with their starts, by time.
type Samples = BTreeMap<i64, (Vec<u8>, i64)>;

fn labels() -> Labels {
    Labels::from_pairs([("__name__", "up"), ("job", "test")])
}

fn comparable(sample: &Measurement) -> (Vec<u8>, i64) {
    let mut canonical = Vec::new();
    sample.value.canonical(&mut canonical);
    (canonical, sample.start_ms)
}

/// Writes samples; how many are stored or were there already, and how many are refused for what.
async fn write(ingester: &Ingester, id: &TenantId, samples: &[Measurement]) -> (u64, Vec<(Cause, u64)>) {
    let mut section = Vec::new();
    labels().iter().for_each(|(name, value)| LabelSection::push(&mut section, name, value));
    let mut batch = WriteBatch { buffer: section.into(), ..WriteBatch::default() };
    for Measurement { t_ms, start_ms, value } in samples.iter().cloned() {
        let value = match value {
            Value::Float(value) => {
                batch.samples.push(sample(t_ms, value));
                batch.starts_ms.push(start_ms);
                continue;
            }
            Value::Histogram(histogram) => HistogramValue::Integer(histogram),
            Value::FloatHistogram(histogram) => HistogramValue::Float(histogram),
        };
        batch.histograms.push(HistogramSample { t_ms, start_ms, value });
    }
    batch.series.push(SeriesEntry {
        labels: 0..batch.buffer.len() as u32,
        samples: 0..batch.samples.len() as u32,
        histograms: 0..batch.histograms.len() as u32,
        exemplars: 0..0,
    });
    let report = ingester.write(id, &batch, &WriteLimits::default()).await.unwrap();
    (report.stored, report.refusals.causes().iter().map(|it| (it.cause, it.count)).collect())
}

/// What a query finds in blocks, parts and head, and how many samples each of the three has.
async fn read_series(ingester: &Ingester, id: &TenantId) -> (Samples, [usize; 3]) {
    let pin = ingester.pin(id).await.unwrap();
    let mut blocks = Vec::new();
    for block in &pin.manifest.blocks {
        blocks.push((pin.store.block_meta(block.address()).await.unwrap(), block.address()));
    }
    let handle = Handle::current();
    let work = move || {
        let of_block = |block: &Block| -> Vec<Chunk> {
            let all = block.select(&[], TimeRange::ALL).unwrap().into_series().map(Result::unwrap);
            all.filter(|series| series.labels == labels()).flat_map(|series| series.chunks).collect()
        };
        let open = |(meta, block)| Block::open(pin.store.block_files(block, handle.clone()), meta).unwrap();
        let in_blocks: Vec<Chunk> = blocks.into_iter().map(open).flat_map(|block| of_block(&block)).collect();
        let in_parts: Vec<Chunk> = pin.parts.iter().flat_map(|part| of_block(&part.block)).collect();
        let in_head = pin.head.select(&[], TimeRange::ALL).into_iter().flat_map(|series| series.chunks).collect();
        let sources = [in_blocks, in_parts, in_head];
        let decode = |chunks: Vec<Chunk>| {
            let mut samples = Vec::new();
            let merged = merge_chunks(chunks, 120).unwrap();
            merged.iter().for_each(|chunk| decode_any(chunk, &mut samples).unwrap());
            samples
        };
        let counts = sources.clone().map(|chunks| decode(chunks).len());
        let all = decode(sources.concat());
        (all.iter().map(|it| (it.t_ms, comparable(it))).collect(), counts)
    };
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// Holds what a query finds against `expected`, and how much of it lies in blocks, parts and head.
async fn check(ingester: &Ingester, id: &TenantId, expected: &Samples, counts: [usize; 3]) {
    let (found, found_counts) = read_series(ingester, id).await;
    let differing: Vec<_> = expected.iter().filter(|it| found.get(it.0) != Some(it.1)).map(|it| it.0).collect();
    assert_eq!((differing, found.len(), found_counts), (vec![], expected.len(), counts));
}

#[tokio::test]
async fn samples_of_all_kinds_pass_every_station() {
    let site = Site::new(1);
    let ingester = site.open().await;
    let id = tenant(0);
    let given = |n: i64| measurement(START_MS - n * SECOND_MS, (n / 3 % i64::from(KINDS)) as u8, 0);
    let other = |n: i64| measurement(START_MS - n * SECOND_MS, (n / 3 % i64::from(KINDS)) as u8, 1);
    let first: Vec<Measurement> = (1..200).rev().step_by(2).map(given).collect();
    let second: Vec<Measurement> = (2..200).step_by(2).map(given).collect();
    let of = |samples: &[Measurement]| samples.iter().map(|it| (it.t_ms, comparable(it))).collect::<Samples>();
    let mut expected = of(&first);
    for batch in first.chunks(7) {
        assert_eq!(write(&ingester, &id, batch).await, (batch.len() as u64, vec![]));
    }
    check(&ingester, &id, &expected, [0, 0, 100]).await;
    // Another value at the same time is refused, unless both say that the series has ended; I-VERDICT-1.
    let others: Vec<Measurement> = (1..200).step_by(2).map(other).collect();
    let ended = others.iter().filter(|it| it.value.is_stale()).count() as u64;
    let refused = vec![(Cause::DuplicateTimestamp, 100 - ended)];
    assert_eq!(write(&ingester, &id, &others).await, (ended, refused.clone()));
    assert_eq!(write(&ingester, &id, &first).await, (100, vec![]));

    let site = site.killed();
    let ingester = site.open().await;
    check(&ingester, &id, &expected, [0, 0, 100]).await;
    ingester.log_again(&id).await;
    check(&ingester, &id, &expected, [0, 0, 100]).await;
    let site = site.killed();
    let ingester = site.open().await;
    check(&ingester, &id, &expected, [0, 0, 100]).await;

    ingester.cut_all(&id).await.unwrap();
    drop(ingester.tenant(&id).cutting.lock().await); // the head has let go
    check(&ingester, &id, &expected, [0, 100, 0]).await;
    assert_eq!(write(&ingester, &id, &others).await, (ended, refused));
    assert_eq!(write(&ingester, &id, &first).await, (100, vec![]));
    check(&ingester, &id, &expected, [0, 100, 0]).await;

    assert_eq!(write(&ingester, &id, &second).await, (99, vec![]));
    expected.extend(of(&second));
    ingester.cut_all(&id).await.unwrap();
    assert!(ingester.part_count(&id) > 1);
    ingester.merge_parts(&id).await.unwrap();
    drop(ingester.tenant(&id).cutting.lock().await);
    check(&ingester, &id, &expected, [0, 199, 0]).await;
    ingester.ship(&id, true).await.unwrap();
    check(&ingester, &id, &expected, [199, 0, 0]).await;
    let restarted = site.killed().open().await;
    check(&restarted, &id, &expected, [199, 0, 0]).await;
}

#[tokio::test]
async fn what_does_not_add_up_is_refused_and_too_fine_schemas_are_made_coarser() {
    let site = Site::new(1);
    let ingester = site.open().await;
    let id = tenant(0);
    let good = histogram(START_MS, 1);
    let at = |n: i64, histogram: Histogram| {
        let value = Value::Histogram(histogram.into());
        Measurement { t_ms: START_MS - n * SECOND_MS, start_ms: 0, value }
    };
    let bad = [
        Histogram { count: 99, ..good.clone() },
        Histogram { schema: 53, ..good.clone() },
        Histogram { schema: -5, ..good.clone() },
        Histogram { positive_spans: vec![], ..good.clone() },
        Histogram { custom_bounds: [1.0].into(), ..good.clone() },
    ];
    let mut samples: Vec<Measurement> = (1..).zip(bad.iter().cloned()).map(|(n, it)| at(n, it)).collect();
    samples.push(at(0, good.clone()));
    assert_eq!(write(&ingester, &id, &samples).await, (1, vec![(Cause::InvalidHistogram, 5)]));
    let fine = Histogram {
        schema: 10,
        positive_spans: vec![BucketSpan { offset: 5, length: 4 }],
        positive_deltas: vec![1, 0, 0, 0],
        count: 4,
        ..Histogram::default()
    };
    let coarse = Histogram {
        schema: 8,
        positive_spans: vec![BucketSpan { offset: 2, length: 1 }],
        positive_deltas: vec![4],
        count: 4,
        ..Histogram::default()
    };
    let expected = [at(0, good), at(9, coarse)].map(|it| (it.t_ms, comparable(&it)));
    assert_eq!(write(&ingester, &id, &[at(9, fine)]).await, (1, vec![]));
    check(&ingester, &id, &expected.into(), [0, 0, 2]).await;
}
