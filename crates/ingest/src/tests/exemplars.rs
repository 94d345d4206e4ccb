//! Exemplars from the door to the bucket, over restarts at every station.

use super::site::*;
use crate::refusal::Cause;
use crate::settings::WriteLimits;
use crate::{Ingester, WriteReport};
use longhaul_block::Block;
use longhaul_model::write_batch::ExemplarEntry;
use longhaul_model::{Exemplar, LabelSection, Labels, SeriesEntry, TenantId, TimeRange, WriteBatch};
use std::collections::BTreeSet;
use tokio::runtime::Handle;

type Set = BTreeSet<(Labels, Exemplar)>;

fn series(n: i64) -> Labels {
    Labels::from_pairs([("__name__", "up"), ("job", "test"), ("n", n.to_string().as_str())])
}

fn exemplar(t_ms: i64, trace: &str) -> Exemplar {
    Exemplar { t_ms, value: t_ms as f64 / 3.0, labels: Labels::from_pairs([("trace_id", trace)]) }
}

/// Number n is of one of three series, a second before number n - 1, over two ranges.
fn numbered(n: i64) -> (Labels, Exemplar) {
    (series(n % 3), exemplar(START_MS - n * MINUTE_MS, &format!("{n:x}")))
}

/// A request: each exemplar in a series of its own, every other one with a sample.
fn batch(exemplars: &[(Labels, Exemplar)]) -> WriteBatch {
    let (mut batch, mut buffer) = (WriteBatch::default(), Vec::new());
    let mut push = |labels: &Labels| {
        let start = buffer.len() as u32;
        labels.iter().for_each(|(name, value)| LabelSection::push(&mut buffer, name, value));
        start..buffer.len() as u32
    };
    for (number, (series, exemplar)) in exemplars.iter().enumerate() {
        let first = batch.samples.len() as u32;
        if number % 2 == 0 {
            batch.samples.push(sample(exemplar.t_ms, 1.0));
        }
        let entry = ExemplarEntry { labels: push(&exemplar.labels), t_ms: exemplar.t_ms, value: exemplar.value };
        batch.exemplars.push(entry);
        batch.series.push(SeriesEntry {
            labels: push(series),
            samples: first..batch.samples.len() as u32,
            histograms: 0..0,
            exemplars: number as u32..number as u32 + 1,
        });
    }
    batch.buffer = buffer.into();
    batch
}

async fn write_within(ingester: &Ingester, id: &TenantId, all: &[(Labels, Exemplar)], max: usize) -> WriteReport {
    let limits = WriteLimits { exemplars_max: max, ..WriteLimits::default() };
    ingester.write(id, &batch(all), &limits).await.unwrap()
}

async fn write(ingester: &Ingester, id: &TenantId, all: &[(Labels, Exemplar)]) -> u64 {
    let report = write_within(ingester, id, all, usize::MAX).await;
    assert!(report.refusals.is_empty(), "{:?}", report.refusals);
    report.exemplars_stored
}

/// What blocks, parts and head have together, and how many each of the three has.
async fn read_all(ingester: &Ingester, id: &TenantId) -> (Set, [usize; 3]) {
    let pin = ingester.pin(id).await.unwrap();
    let mut blocks = Vec::new();
    for block in &pin.manifest.blocks {
        blocks.push((pin.store.block_meta(block.address()).await.unwrap(), block.address()));
    }
    let handle = Handle::current();
    let work = move || {
        let of_block =
            |block: &Block| -> Vec<_> { block.exemplars(&[], TimeRange::ALL).unwrap().map(Result::unwrap).collect() };
        let open = |(meta, block)| Block::open(pin.store.block_files(block, handle.clone()), meta).unwrap();
        let in_blocks: Vec<_> = blocks.into_iter().map(open).flat_map(|block| of_block(&block)).collect();
        let in_parts: Vec<_> = pin.parts.iter().flat_map(|part| of_block(&part.block)).collect();
        let in_head = pin.head.exemplars(&[], TimeRange::ALL);
        let counts = [in_blocks.len(), in_parts.len(), in_head.len()];
        ([in_blocks, in_parts, in_head].concat().into_iter().collect(), counts)
    };
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// I-ACK-1, I-COVER-1, I-COVER-2
#[tokio::test]
async fn they_pass_every_station() {
    let site = Site::new(1);
    let ingester = site.open().await;
    let id = tenant(0);
    let first: Vec<_> = (0..200).step_by(2).map(numbered).collect();
    let second: Vec<_> = (1..200).step_by(2).map(numbered).collect();
    for some in first.chunks(7) {
        assert_eq!(write(&ingester, &id, some).await, some.len() as u64);
    }
    let mut expected: Set = first.iter().cloned().collect();
    assert_eq!(read_all(&ingester, &id).await, (expected.clone(), [0, 0, 100]));
    assert_eq!(write(&ingester, &id, &first).await, 100, "the same again is success");
    assert_eq!(read_all(&ingester, &id).await.1, [0, 0, 100], "and is stored once");

    let site = site.killed();
    let ingester = site.open().await;
    assert_eq!(read_all(&ingester, &id).await, (expected.clone(), [0, 0, 100]));
    ingester.log_again(&id).await;
    let site = site.killed();
    let ingester = site.open().await;
    assert_eq!(read_all(&ingester, &id).await, (expected.clone(), [0, 0, 100]));

    ingester.cut_all(&id).await.unwrap();
    drop(ingester.tenant(&id).cutting.lock().await); // the head has let go
    assert_eq!(read_all(&ingester, &id).await, (expected.clone(), [0, 100, 0]));
    let site = site.killed();
    let ingester = site.open().await;
    assert_eq!(read_all(&ingester, &id).await, (expected.clone(), [0, 100, 0]));

    // Some of them again, which are in parts already, and the others.
    write(&ingester, &id, &first[..10]).await;
    assert_eq!(write(&ingester, &id, &second).await, 100);
    expected.extend(second);
    assert_eq!(read_all(&ingester, &id).await, (expected.clone(), [0, 100, 110]));
    ingester.cut_all(&id).await.unwrap();
    drop(ingester.tenant(&id).cutting.lock().await);
    ingester.merge_parts(&id).await.unwrap();
    assert_eq!(read_all(&ingester, &id).await.0, expected);
    ingester.ship(&id, true).await.unwrap();
    assert_eq!(read_all(&ingester, &id).await, (expected.clone(), [200, 0, 0]), "a merge has each once");
    assert_eq!(read_all(&site.killed().open().await, &id).await, (expected, [200, 0, 0]));
}

/// I-COVER-1
#[tokio::test]
async fn without_samples_they_are_cut_and_pin_the_log_as_well() {
    let site = Site::new(1);
    let ingester = site.open().await;
    let id = tenant(0);
    let alone = numbered(1);
    let mut batch = batch(std::slice::from_ref(&alone));
    batch.series[0].samples = 0..0;
    let report = ingester.write(&id, &batch, &WriteLimits::default()).await.unwrap();
    assert_eq!((report.stored, report.exemplars_stored), (0, 1));
    for n in 0..200 {
        put(&ingester, &tenant(1), "up", START_MS - n * SECOND_MS, 0.5).await;
    }
    ingester.cut_all(&tenant(1)).await.unwrap();
    crate::housekeeper::release_log(ingester.inner()).await.unwrap();
    let site = site.killed();
    let ingester = site.open().await;
    assert_eq!(read_all(&ingester, &id).await, ([alone.clone()].into(), [0, 0, 1]));
    ingester.flush(None).await.unwrap();
    assert_eq!(read_all(&ingester, &id).await, ([alone.clone()].into(), [1, 0, 0]));
    crate::housekeeper::release_log(ingester.inner()).await.unwrap();
    assert_eq!(read_all(&site.killed().open().await, &id).await, ([alone].into(), [1, 0, 0]));
}

/// A bad one never costs its sample, nor does the limit.
#[tokio::test]
async fn what_cannot_be_stored_is_told_and_the_rest_is_stored() {
    let site = Site::new(1);
    let ingester = site.open().await;
    let id = tenant(0);
    let labelled = |n: i64, labels: &[(&str, &str)]| {
        let (series, exemplar) = numbered(n);
        (series, Exemplar { labels: Labels::from_pairs(labels.iter().copied()), ..exemplar })
    };
    let late = (series(0), exemplar(START_MS + DAY_MS, "a"));
    let all = [labelled(0, &[("trace_id", &"x".repeat(121))]), numbered(1), labelled(2, &[]), late];
    let report = write_within(&ingester, &id, &all, usize::MAX).await;
    let causes: Vec<_> = report.refusals.causes().iter().map(|it| (it.cause, it.count)).collect();
    assert_eq!(causes, [(Cause::ExemplarLabelsTooLong, 1), (Cause::ExemplarTime, 1)]);
    assert_eq!((report.stored, report.exemplars_stored), (2, 2), "{:?}", report.refusals);

    let more: Vec<_> = (10..20).map(numbered).collect();
    let report = write_within(&ingester, &id, &more, 5).await;
    let causes: Vec<_> = report.refusals.causes().iter().map(|it| (it.cause, it.count)).collect();
    assert_eq!(causes, [(Cause::ExemplarLimit, 7)]);
    assert_eq!((report.stored, report.exemplars_stored), (5, 3));
    assert_eq!(read_all(&ingester, &id).await.1, [0, 0, 5]);

    let nameless = (Labels::from_pairs([("job", "test")]), exemplar(START_MS, "a"));
    let report = write_within(&ingester, &id, &[nameless], 100).await;
    let causes: Vec<_> = report.refusals.causes().iter().map(|it| (it.cause, it.count)).collect();
    assert_eq!((causes, report.exemplars_stored), (vec![(Cause::MissingMetricName, 2)], 0));
}
