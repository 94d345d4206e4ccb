//! The way of a sample through the head: 50,000 series, one sample each in turn, as scrapes bring them; and finding
//! them by their label sections. Throughput is in samples. Targets: 60 to 100 ns to apply one, 100 ns to find one.

#![allow(missing_docs, reason = "criterion's macros")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use longhaul_head::{HashSeed, Head, HeadSettings, Numbers, Series};
use longhaul_model::{LabelSection, Sample, TimeRange};
use std::hint::black_box;
use std::sync::Arc;

const SERIES: usize = 50_000;
const START_MS: i64 = 1_700_006_400_000; // where a range begins
const INTERVAL_MS: i64 = 15_000;

/// Series of 14 labels, with their sections.
fn series(head: &Head) -> (Vec<Vec<u8>>, Vec<Arc<Series>>) {
    let create = |i: usize| {
        let values: Vec<(String, String)> = [("__name__".to_owned(), format!("metric_{}_total", i % 500))]
            .into_iter()
            .chain((0..13).map(|label| (format!("label_{label:02}"), format!("value-{}", i / 500 * (label % 4)))))
            .collect();
        let pairs: Vec<(&str, &str)> = values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut section = Vec::new();
        pairs.iter().for_each(|(name, value)| LabelSection::push(&mut section, name, value));
        let series = head.create(head.key(&section), &pairs).unwrap();
        (section, series)
    };
    (0..SERIES).map(create).unzip()
}

fn new_head() -> Arc<Head> {
    Arc::new(Head::new(HeadSettings::default(), Numbers::new(), HashSeed::new(1)))
}

fn scrape(head: &Head, series: &[Arc<Series>], round: i64) {
    for (i, it) in series.iter().enumerate() {
        let t_ms = START_MS + round * INTERVAL_MS + (i % 10_000) as i64;
        head.apply(it, Sample::new(t_ms, (round * 10 + (i % 7) as i64) as f64), round as u64 + 1, &());
    }
}

fn appending(c: &mut Criterion) {
    let mut group = c.benchmark_group("head");
    group.throughput(Throughput::Elements(SERIES as u64));

    let head = new_head();
    let (sections, all) = series(&head);
    let mut round = 0;
    group.bench_function("apply in order", |b| {
        b.iter(|| {
            scrape(&head, &all, round);
            round += 1;
        });
    });
    group.bench_function("key and find", |b| {
        b.iter(|| {
            for section in &sections {
                black_box(head.find(head.key(black_box(section))).unwrap());
            }
        });
    });

    let head = new_head();
    let (_, all) = series(&head);
    (0..200).for_each(|round| scrape(&head, &all, round));
    group.bench_function("pin, read", |b| {
        b.iter(|| {
            let pinned = head.pin(&[], TimeRange::ALL);
            (0..pinned.len()).step_by(1000).for_each(|at| drop(black_box(pinned.batch(at..at + 1000))));
        });
    });
    group.sample_size(10);
    group.bench_function("create", |b| b.iter_batched(new_head, |head| series(&head), BatchSize::PerIteration));
    group.finish();
}

criterion_group!(benches, appending);
criterion_main!(benches);
