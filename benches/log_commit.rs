//! Laying, committing and replaying batches of 2,000 samples as four remote-write shards of a Kubernetes cluster send
//! them, on the disk under the temporary directory. Throughput is in samples. Targets: at most 40 ns of CPU to lay a
//! sample ("lay": nothing is synced), at most 8 bytes a sample on disk (printed).

#![allow(missing_docs, reason = "criterion's macros")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use longhaul_disk::RealFs;
use longhaul_log::{Append, Batch, LogSettings, SyncMode, Writer, open};
use longhaul_model::{LogId, Sample, TenantId};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

const SERIES: u32 = 200_000;
const BATCH: usize = 2000;
const SHARDS: u64 = 4;

/// One request: every series of a shard that comes next, one sample each.
struct Request {
    tenant: TenantId,
    entries: Vec<(u32, Sample)>,
}

impl Batch for Request {
    fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    fn tenant_number(&self) -> u32 {
        0
    }

    fn entries(&self) -> usize {
        self.entries.len()
    }

    fn series_number(&self, entry: usize) -> u32 {
        self.entries[entry].0
    }

    fn label_symbols(&self, entry: usize, out: &mut Vec<(u32, u32)>) {
        let series = self.entries[entry].0;
        out.push((0, 100 + series % 500)); // the metric's name
        out.extend((1..10).map(|label| (label, 1000 + label * 1000 + series / 500 * (label % 3))));
    }

    fn symbol(&self, symbol: u32) -> Arc<str> {
        Arc::from(format!("some-text-of-common-length-{symbol}"))
    }

    fn samples(&self, entry: usize) -> &[Sample] {
        std::slice::from_ref(&self.entries[entry].1)
    }
}

fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (number ^ (number >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 7
}

/// What a series measures: states, small gauges, counters, milliseconds, sums of floats.
fn value(series: u32, round: u64) -> f64 {
    let seed = mix(u64::from(series));
    match series % 500 % 20 {
        0..6 => 0.0,
        6..9 => (seed % 3) as f64,
        9..14 => (seed % 1_000_000_000 + round * (seed % 9000)) as f64,
        14..16 => (mix(seed ^ round) % 200) as f64,
        16..18 => (seed % 100_000_000 + round * 137) as f64 / 1000.0,
        _ => (seed % 1_000_000) as f64 * 0.37 + round as f64 * std::f64::consts::E,
    }
}

/// The requests of one scrape interval; a target of some 500 series is scraped at one millisecond.
fn requests(round: u64) -> Vec<Request> {
    let mut shards: Vec<Vec<(u32, Sample)>> = vec![Vec::new(); SHARDS as usize];
    for series in 0..SERIES {
        let t_ms = 1_700_000_000_000 + round as i64 * 15_000 + (mix(u64::from(series / 500)) % 15_000) as i64;
        shards[(mix(u64::from(series)) % SHARDS) as usize].push((series, Sample::new(t_ms, value(series, round))));
    }
    let requests = shards.iter().flat_map(|shard| shard.chunks(BATCH));
    requests.map(|entries| Request { tenant: TenantId::anonymous(), entries: entries.to_vec() }).collect()
}

fn open_writer(dir: &Path, sync: SyncMode) -> Writer<Request, ()> {
    let settings = LogSettings { sync, ..LogSettings::default() };
    let opened = open(Arc::new(RealFs), dir.to_owned(), settings, LogId::from_u128(1)).expect("an empty directory");
    opened.into_writer()
}

fn commit(writer: &mut Writer<Request, ()>, requests: Vec<Request>) -> Vec<Request> {
    let mut appends: Vec<_> = requests.into_iter().map(Append::Batch).collect();
    let mut back = Vec::with_capacity(appends.len());
    writer.commit(&mut appends, &mut |delivery| match delivery {
        longhaul_log::Delivery::Batch { batch, .. } => back.push(batch),
        _ => panic!("the disk refused"),
    });
    back
}

fn log_commit(c: &mut Criterion) {
    let root = tempfile::tempdir().expect("a temporary directory");
    let mut group = c.benchmark_group("log");
    group.sample_size(10);

    let mut writer = open_writer(&root.path().join("lay"), SyncMode::Interval(u64::MAX));
    let mut requests = requests(0);
    requests = commit(&mut writer, requests); // defines all series
    group.throughput(Throughput::Elements(u64::from(SERIES)));
    group.bench_function("lay", |b| {
        b.iter(|| {
            requests = commit(&mut writer, std::mem::take(&mut requests));
            writer.release(u64::MAX).expect("old segments go");
        });
    });

    let mut writer = open_writer(&root.path().join("commit"), SyncMode::Commit);
    let mut one = commit(&mut writer, vec![requests.pop().expect("there are requests")]);
    group.throughput(Throughput::Elements(one[0].entries.len() as u64));
    group.bench_function("commit one request", |b| b.iter(|| one = commit(&mut writer, std::mem::take(&mut one))));

    let dir = root.path().join("replay");
    let mut writer = open_writer(&dir, SyncMode::Interval(u64::MAX));
    let mut before = 0;
    for round in 0..8 {
        commit(&mut writer, self::requests(round));
        let size_bytes: u64 = writer.segments().iter().map(|segment| segment.size_bytes).sum();
        let per_sample = (size_bytes - before) as f64 / f64::from(SERIES);
        eprintln!("round {round}: {per_sample:.2} bytes a sample");
        before = size_bytes;
    }
    writer.close();
    group.throughput(Throughput::Elements(8 * u64::from(SERIES)));
    group.bench_function("open", |b| {
        b.iter(|| {
            open(Arc::new(RealFs), dir.clone(), LogSettings::default(), LogId::from_u128(1)).expect("it is sound")
        });
    });
    let opened = open(Arc::new(RealFs), dir.clone(), LogSettings::default(), LogId::from_u128(1)).expect("it is sound");
    group.bench_function("replay", |b| b.iter(|| opened.replay().for_each(|record| drop(black_box(record)))));
    group.finish();
}

criterion_group!(benches, log_commit);
criterion_main!(benches);
