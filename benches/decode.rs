//! The way of a remote write body to a batch: 2,000 series of 15 labels with one sample each, as Prometheus sends them.
//! Throughput is in series; prost stands beside it as the measure of what the hand-written walk earns.
//! Target: 150 ns a series without snappy.

#![allow(missing_docs, reason = "criterion's macros")]

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use longhaul_model::{Labels, Sample};
use longhaul_wire::remote_write::{DecodeLimits, decode, encode};
use longhaul_wire::{proto, snappy};
use prost::Message;
use std::hint::black_box;

const SERIES: u64 = 2_000;

fn request() -> Vec<u8> {
    let series: Vec<(Labels, [Sample; 1])> = (0..SERIES)
        .map(|n| {
            let pairs: Vec<(String, String)> = (0..14)
                .map(|label| {
                    (format!("label_{label:02}"), format!("value-{}", n.wrapping_mul(label * 7919 + 1) % 100_003))
                })
                .chain([("__name__".to_owned(), "http_requests_total".to_owned())])
                .collect();
            let labels = Labels::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            (labels, [Sample::new(1_700_000_000_000, n as f64)])
        })
        .collect();
    encode(&series.iter().map(|(labels, samples)| (labels.clone(), &samples[..])).collect::<Vec<_>>())
}

fn decoding(c: &mut Criterion) {
    let message = Bytes::from(request());
    let body = snappy::compress(&message);
    let limits = DecodeLimits::default();
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Elements(SERIES));
    group.bench_function("message", |b| b.iter(|| decode(black_box(message.clone()), &limits).unwrap()));
    group.bench_function("prost", |b| {
        b.iter(|| proto::prometheus::WriteRequest::decode(black_box(&message[..])).unwrap())
    });
    group.bench_function("snappy", |b| b.iter(|| snappy::decompress(black_box(&body), 32 << 20).unwrap()));
    group.bench_function("body", |b| {
        b.iter(|| decode(snappy::decompress(black_box(&body), 32 << 20).unwrap(), &limits).unwrap());
    });
    group.finish();
}

criterion_group!(benches, decoding);
criterion_main!(benches);
