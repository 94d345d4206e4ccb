//! A block of 100,000 series: writing it (index and lookup), building its lookup anew, and selecting one metric.

#![allow(missing_docs, reason = "criterion's macros")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use longhaul_block::{Block, BlockMeta, LocalFiles, build_lookup, verify, write};
use longhaul_chunk::{SeriesChunks, XorAppender};
use longhaul_disk::RealFs;
use longhaul_model::{BlockId, Labels, Matcher, TimeRange};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

const SERIES: usize = 100_000;

/// 500 metrics of 200 instances, one chunk of 120 samples each.
fn fleet() -> Vec<SeriesChunks> {
    let mut chunk = XorAppender::new();
    (0..120).for_each(|i| chunk.append(i * 15_000, (i * 7 % 31) as f64));
    let chunk = chunk.seal();
    let labels = |i: usize| {
        Labels::from_pairs([
            ("__name__", format!("metric_{:03}_total", i / 200).as_str()),
            ("instance", format!("10.0.{}.{}:9100", i % 200 / 100, i % 100).as_str()),
            ("job", "node"),
            ("pod", format!("node-exporter-{:04x}", i % 200).as_str()),
            ("zone", ["a", "b", "c"][i % 3]),
        ])
    };
    let mut all: Vec<_> =
        (0..SERIES).map(|i| SeriesChunks { labels: labels(i), chunks: vec![chunk.clone()] }).collect();
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    all
}

fn write_fleet(dir: &Path, series: &[SeriesChunks]) -> BlockMeta {
    let seed = BlockMeta::new(BlockId::from_parts(0, 1), TimeRange::new(0, 7_200_000));
    write(Arc::new(RealFs), dir, seed, series.iter().cloned().map(Ok)).expect("the block is written")
}

fn block(c: &mut Criterion) {
    let series = fleet();
    let root = tempfile::tempdir().expect("a temporary directory");
    let dir = root.path().join("block");
    let meta = write_fleet(&dir, &series);
    let files = Arc::new(LocalFiles::new(Arc::new(RealFs), &dir));
    let open = || Block::open(files.clone(), meta.clone()).expect("the block is sound");

    let mut group = c.benchmark_group("block");
    group.sample_size(10).throughput(Throughput::Elements(SERIES as u64));
    let mut number = 0;
    group.bench_function("write", |b| {
        b.iter(|| {
            number += 1;
            write_fleet(&root.path().join(number.to_string()), &series)
        });
    });
    group.bench_function("build_lookup", |b| b.iter(|| build_lookup(&*files, &meta).expect("the index is sound")));
    group.bench_function("verify", |b| b.iter(|| verify(&*files, &meta).expect("the block is sound")));
    group.bench_function("read_all", |b| {
        let block = open();
        b.iter(|| {
            block.select(&[], TimeRange::ALL).expect("sound").map(|batch| batch.expect("sound").len()).sum::<usize>()
        });
    });
    group.finish();

    let mut group = c.benchmark_group("block_select");
    group.bench_function("open", |b| b.iter(open));
    let one_metric = [Matcher::equal("__name__", "metric_250_total")];
    let one_series = [Matcher::equal("__name__", "metric_250_total"), Matcher::equal("instance", "10.0.1.7:9100")];
    let absent = [Matcher::equal("__name__", "no_such_metric")];
    for (name, matchers) in [("metric", &one_metric[..]), ("series", &one_series), ("absent", &absent)] {
        let block = open();
        group.bench_function(name, |b| {
            b.iter(|| {
                let found = block.select(black_box(matchers), TimeRange::ALL).expect("sound");
                found.map(|batch| batch.expect("sound").len()).sum::<usize>()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, block);
criterion_main!(benches);
