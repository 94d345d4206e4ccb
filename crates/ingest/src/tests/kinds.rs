//! Histograms and starts at every station behind the door, which does not let them in yet: they are put into the head by
//! hand.

use super::site::*;
use crate::Ingester;
use crate::accepted::key_of;
use crate::parts::AskedParts;
use longhaul_block::Block;
use longhaul_chunk::{Chunk, decode_any, merge_chunks};
use longhaul_head::Verdict;
use longhaul_model::{Labels, Measurement, TenantId, TimeRange};
use longhaul_testkit::measurements::{KINDS, measurement};
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

/// Applies a sample to a series that the head has. Nothing else writes meanwhile.
fn apply(ingester: &Ingester, id: &TenantId, sample: &Measurement) -> Verdict {
    let tenant = ingester.tenant(id);
    let series = tenant.head.find(key_of(&tenant, &labels())).unwrap();
    let older = AskedParts::new(&tenant.parts);
    let verdict = tenant.head.apply_any(&series, sample.clone(), 1, &older);
    assert!(!older.take_failed());
    verdict
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
    // A float through the door makes the series, and the log's first offset.
    assert!(put(&ingester, &id, "up", START_MS, 1.0).await);
    let float = Measurement { t_ms: START_MS, start_ms: 0, value: longhaul_model::Value::Float(1.0) };
    let mut expected = Samples::from([(START_MS, comparable(&float))]);
    let given = |n: i64| measurement(START_MS - n * SECOND_MS, (n / 3 % i64::from(KINDS)) as u8, 0);
    let mut store = |numbers: &mut dyn Iterator<Item = i64>| {
        for sample in numbers.map(given) {
            assert_eq!(apply(&ingester, &id, &sample), Verdict::Stored);
            expected.insert(sample.t_ms, comparable(&sample));
        }
        expected.clone()
    };

    let expected = store(&mut (1..200).rev().step_by(2));
    check(&ingester, &id, &expected, [0, 0, 101]).await;
    ingester.log_again(&id).await; // which has to give up: the log holds floats only
    check(&ingester, &id, &expected, [0, 0, 101]).await;
    ingester.cut_all(&id).await.unwrap();
    drop(ingester.tenant(&id).cutting.lock().await); // the head has let go
    check(&ingester, &id, &expected, [0, 101, 0]).await;

    let other = |n: i64| measurement(START_MS - n * SECOND_MS, (n / 3 % i64::from(KINDS)) as u8, 1);
    for n in (1..200).step_by(2) {
        assert_eq!(apply(&ingester, &id, &given(n)), Verdict::DuplicateOfOlder);
        let stale = given(n).value.is_stale();
        let expected = if stale { Verdict::DuplicateOfOlder } else { Verdict::Conflict };
        assert_eq!(apply(&ingester, &id, &other(n)), expected);
    }

    let expected = store(&mut (2..200).step_by(2));
    ingester.cut_all(&id).await.unwrap();
    assert!(ingester.part_count(&id) > 1);
    ingester.merge_parts(&id).await.unwrap();
    drop(ingester.tenant(&id).cutting.lock().await);
    check(&ingester, &id, &expected, [0, 200, 0]).await;
    ingester.ship(&id, true).await.unwrap();
    check(&ingester, &id, &expected, [200, 0, 0]).await;
    let restarted = site.killed().open().await;
    check(&restarted, &id, &expected, [200, 0, 0]).await;
}
