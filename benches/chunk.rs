//! XOR chunks in both directions: counters with a little jitter, gauges that seldom move, random values, in chunks of
//! 120 samples. Throughput is in samples. Targets: 10 ns to append one in turn over many series, 5 to 8 ns to decode one.
//!
//! Histogram chunks in both directions, integer and float, of 10, 40 and 160 buckets, of which up to 20 change from sample to
//! sample. Target: 15 ns a bucket either way.

#![allow(missing_docs, reason = "criterion's macros")]

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use longhaul_chunk::{
    Chunk, Columns, HistogramAppender, HistogramRef, Samples, XorAppender, merge_into, merge_samples,
};
use longhaul_model::{BucketSpan, FloatHistogram, Histogram, Sample, TimeRange, Value};
use std::hint::black_box;
use std::sync::Arc;

const CHUNKS: usize = 200;
const SAMPLES_PER_CHUNK: usize = 120;
const KINDS: [&str; 3] = ["counter", "gauge", "random"];
const HISTOGRAMS: usize = 2000;

/// The same numbers every time.
fn numbers() -> impl FnMut() -> u64 {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

/// One run of samples, to be cut into chunks.
fn samples(kind: &str) -> Vec<Sample> {
    let mut random = numbers();
    let mut value = 100.0;
    (0..(CHUNKS * SAMPLES_PER_CHUNK) as i64)
        .map(|at| {
            match kind {
                "counter" => value += (random() % 50) as f64,
                "gauge" if !random().is_multiple_of(10) => {}
                "gauge" => value = (random() % 7) as f64,
                _ => value = (random() >> 11) as f64 / 1e10,
            }
            Sample::new(1_700_000_000_000 + at * 15_000 + (random() % 7 / 6) as i64, value)
        })
        .collect()
}

fn sealed(samples: &[Sample]) -> Vec<Chunk> {
    let seal = |samples: &[Sample]| {
        let mut chunk = XorAppender::new();
        samples.iter().for_each(|sample| chunk.append(sample.t_ms, sample.value));
        chunk.seal()
    };
    samples.chunks(SAMPLES_PER_CHUNK).map(seal).collect()
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("chunk_encode");
    group.throughput(Throughput::Elements((CHUNKS * SAMPLES_PER_CHUNK) as u64));
    for kind in KINDS {
        let samples = samples(kind);
        group.bench_function(BenchmarkId::new("xor", kind), |bencher| bencher.iter(|| sealed(black_box(&samples))));
        // As scrapes bring them: one sample to every open chunk in turn.
        group.bench_function(BenchmarkId::new("xor_in_turn", kind), |bencher| {
            let open = || vec![XorAppender::new(); CHUNKS];
            bencher.iter_batched_ref(
                open,
                |open| {
                    for at in 0..SAMPLES_PER_CHUNK {
                        for (chunk, samples) in open.iter_mut().zip(samples.chunks(SAMPLES_PER_CHUNK)) {
                            chunk.append(samples[at].t_ms, samples[at].value);
                        }
                    }
                },
                BatchSize::SmallInput,
            );
        });
    }
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("chunk_decode");
    group.throughput(Throughput::Elements((CHUNKS * SAMPLES_PER_CHUNK) as u64));
    let mut columns = Columns::default();
    for kind in KINDS {
        let samples = samples(kind);
        let chunks = sealed(&samples);
        let mut run = |name: &str, chunks: &[Chunk]| {
            group.bench_function(BenchmarkId::new(name, kind), |bencher| {
                bencher.iter(|| {
                    columns.clear();
                    merge_into(black_box(chunks), TimeRange::ALL, &mut columns).unwrap();
                });
            });
        };
        run("xor", &chunks);
        // Two replicas of everything, which must be sorted out.
        run("xor_twice", &[chunks.clone(), chunks.clone()].concat());
    }
}

/// A series of histograms by time, the lower buckets busier than the upper ones.
fn histograms(buckets: usize, float: bool) -> Vec<(i64, Value)> {
    let mut random = numbers();
    let mut counts = vec![10_i64; buckets];
    let mut sum = 0.0;
    let mut sample = |at: i64| {
        for _ in 0..20 {
            let [one, other] = [random(), random()].map(|number| (number % buckets as u64) as usize);
            counts[one.min(other)] += (random() % 5) as i64;
        }
        sum += (random() % 1000) as f64 / 7.0;
        let mut before = 0;
        let histogram = Histogram {
            schema: 3,
            zero_threshold: 2_f64.powi(-128),
            count: counts.iter().sum::<i64>() as u64,
            sum,
            positive_spans: vec![BucketSpan { offset: -10, length: buckets as u32 }],
            positive_deltas: counts.iter().map(|count| count - std::mem::replace(&mut before, *count)).collect(),
            ..Histogram::default()
        };
        let t_ms = 1_700_000_000_000 + at * 15_000 + (random() % 7 / 6) as i64;
        let value = if float {
            Value::FloatHistogram(Arc::new(FloatHistogram::from(&histogram)))
        } else {
            Value::Histogram(Arc::new(histogram))
        };
        (t_ms, value)
    };
    (0..HISTOGRAMS as i64).map(&mut sample).collect()
}

fn sealed_histograms(samples: &[(i64, Value)]) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut open: Option<HistogramAppender> = None;
    for (t_ms, value) in samples {
        let histogram = HistogramRef::of(value).expect("a histogram");
        let Some(chunk) = &mut open else {
            open = Some(HistogramAppender::first(0, *t_ms, histogram));
            continue;
        };
        if chunk.is_full() || chunk.append(0, *t_ms, histogram).is_err() {
            let next = chunk.next(0, *t_ms, histogram);
            chunks.push(std::mem::replace(chunk, next).seal());
        }
    }
    chunks.extend(open.map(HistogramAppender::seal));
    chunks
}

fn histogram(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("chunk_histogram");
    group.throughput(Throughput::Elements(HISTOGRAMS as u64));
    let mut out = Samples::default();
    for (kind, float) in [("integer", false), ("float", true)] {
        for buckets in [10, 40, 160] {
            let samples = histograms(buckets, float);
            let chunks = sealed_histograms(&samples);
            group.bench_function(BenchmarkId::new(format!("encode_{kind}"), buckets), |bencher| {
                bencher.iter(|| sealed_histograms(black_box(&samples)));
            });
            group.bench_function(BenchmarkId::new(format!("decode_{kind}"), buckets), |bencher| {
                bencher.iter(|| {
                    out.clear();
                    merge_samples(black_box(&chunks), TimeRange::ALL, &mut out).unwrap();
                });
            });
        }
    }
}

criterion_group!(benches, encode, decode, histogram);
criterion_main!(benches);
