//! XOR chunks in both directions: counters with a little jitter, gauges that seldom move, random values, in chunks of
//! 120 samples. Throughput is in samples. Targets: 10 ns to append one in turn over many series, 5 to 8 ns to decode one.

#![allow(missing_docs, reason = "criterion's macros")]

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use longhaul_chunk::{Chunk, Columns, XorAppender, merge_into};
use longhaul_model::{Sample, TimeRange};
use std::hint::black_box;

const CHUNKS: usize = 200;
const SAMPLES_PER_CHUNK: usize = 120;
const KINDS: [&str; 3] = ["counter", "gauge", "random"];

/// One run of samples, to be cut into chunks.
fn samples(kind: &str) -> Vec<Sample> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut value = 100.0;
    (0..(CHUNKS * SAMPLES_PER_CHUNK) as i64)
        .map(|at| {
            match kind {
                "counter" => value += (random() % 50) as f64,
                "gauge" if random() % 10 > 0 => {}
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

criterion_group!(benches, encode, decode);
criterion_main!(benches);
