//! Queries of dashboards on series in memory: 480 samples at 15 s, evaluated over two hours at 30 s; and their texts.
#![allow(missing_docs)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures::executor::block_on;
use longhaul_model::{Labels, Sample};
use longhaul_promql::memory::MemorySource;
use longhaul_promql::{Budget, Engine, EngineSettings, ParseOptions, QueryRequest, parse, pretty};
use std::hint::black_box;
use std::sync::Arc;

const SAMPLES: i64 = 480;
const INTERVAL_MS: i64 = 15_000;

/// A counter that moves by whole numbers and restarts once.
fn counter(seed: i64) -> Vec<Sample> {
    let mut value = 0i64;
    let sample = |number: i64| {
        value += (seed * 31 + number * 7) % 23;
        if number == 300 + seed % 100 {
            value = 0;
        }
        Sample::new(1_700_000_000_000 + number * INTERVAL_MS + seed % 1000, value as f64)
    };
    (0..SAMPLES).map(sample).collect()
}

fn source(series: impl Iterator<Item = Labels>) -> Arc<MemorySource> {
    let all: Vec<(Labels, Vec<Sample>)> = series.zip(0..).map(|(labels, seed)| (labels, counter(seed))).collect();
    Arc::new(MemorySource::from_samples(all.iter().map(|(labels, samples)| (labels.clone(), samples.as_slice()))))
}

fn requests() -> Arc<MemorySource> {
    source((0..8168).map(|number| {
        Labels::from_pairs([
            ("__name__", "http_requests_total"),
            ("cluster", "eu-west-1"),
            ("code", ["200", "404", "500"][number % 3]),
            ("instance", format!("10.0.{}.{}:8080", number / 250, number % 250).as_str()),
            ("job", "api"),
            ("namespace", format!("team-{}", number % 24).as_str()),
            ("pod", format!("api-{number:05}").as_str()),
        ])
    }))
}

fn buckets() -> Arc<MemorySource> {
    let bounds = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"];
    source((0..12_252).map(|number| {
        Labels::from_pairs([
            ("__name__", "request_duration_seconds_bucket"),
            ("instance", format!("10.0.0.{}:8080", number / 12).as_str()),
            ("job", format!("job-{}", number / 12 % 10).as_str()),
            ("le", bounds[number % 12]),
        ])
    }))
}

fn queries(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("promql");
    group.sample_size(20);
    let start_ms = 1_700_000_000_000 + 120_000;
    let cases = [
        ("rate_sum", requests(), "sum by (namespace) (rate(http_requests_total[5m]))", 8168),
        (
            "histogram_quantile",
            buckets(),
            "histogram_quantile(0.99, sum by (le, job) (rate(request_duration_seconds_bucket[5m])))",
            12_252,
        ),
        ("sum", requests(), "sum by (namespace) (http_requests_total)", 8168),
        ("max_over_time", requests(), "max by (namespace) (max_over_time(http_requests_total[5m]))", 8168),
        ("topk", requests(), "topk(5, rate(http_requests_total[5m]))", 8168),
        ("join", requests(), "sum(http_requests_total / on (pod) http_requests_total)", 8168),
    ];
    for (name, source, query, series) in cases {
        group.throughput(Throughput::Elements(series));
        for threads in [1, 2] {
            let engine = Engine::new(EngineSettings { threads, ..EngineSettings::default() });
            let request = QueryRequest::range(query, start_ms, start_ms + 233 * 30_000, 30_000);
            group.bench_function(BenchmarkId::new(name, threads), |bencher| {
                bencher.iter(|| block_on(engine.run(source.clone(), &request, &Budget::unlimited())).unwrap());
            });
        }
    }
    let (source, engine) = (requests(), Engine::new(EngineSettings::default()));
    let request = QueryRequest::instant("count({__name__=~\".+\"})", start_ms + 3_600_000);
    group.bench_function("count_instant", |bencher| {
        bencher.iter(|| block_on(engine.run(source.clone(), &request, &Budget::unlimited())).unwrap());
    });
}

/// What a query costs before it reads anything, and what showing it costs.
fn texts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("promql_text");
    let cases = [
        (
            "dashboard",
            "sum by (job) (rate(http_requests_total{cluster=\"eu-west-1\",namespace=\"shop\",job=\"api\"}[5m])) \
             / on (job) group_left (team) max by (job, team) (job_info{cluster=\"eu-west-1\"}) * 100 > bool 0.5",
        ),
        ("regex", "up{instance=~\"10.0.0.(1|2|3):9090\",job!~\"node|mysqld\",path=~\"/api/.*\"}"),
    ];
    for (name, query) in cases {
        group.throughput(Throughput::Bytes(query.len() as u64));
        let options = ParseOptions::default();
        group.bench_function(BenchmarkId::new("parse", name), |bencher| {
            bencher.iter(|| parse(black_box(query), &options).unwrap());
        });
        let expr = parse(query, &options).unwrap();
        group.bench_function(BenchmarkId::new("pretty", name), |bencher| bencher.iter(|| pretty(black_box(&expr))));
    }
}

criterion_group!(benches, queries, texts);
criterion_main!(benches);
