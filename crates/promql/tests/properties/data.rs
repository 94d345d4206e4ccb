//! The series that the properties are checked on: counters with resets, gauges with gaps and stale markers, classic
//! histograms, native ones of all kinds, info metrics, samples with start timestamps, special values. Five minutes and more
//! around every instant.

use futures::executor::block_on;
use longhaul_chunk::{SeriesChunks, Xor2Appender, XorAppender, encode};
use longhaul_model::histogram::SCHEMA_CUSTOM;
use longhaul_model::measurement::Value as Measured;
use longhaul_model::{BucketSpan, CounterResetHint, FloatHistogram, Labels, Measurement, STALE_NAN_BITS};
use longhaul_promql::memory::MemorySource;
use longhaul_promql::value::{RangeSeries, SampleValue};
use longhaul_promql::{Budget, Engine, EngineSettings, QueryError, QueryRequest, QueryResult, Value};
use std::sync::{Arc, LazyLock};

/// Between two samples, ms.
const INTERVAL_MS: i64 = 15_000;

/// How many samples a series has, less its gaps.
const SAMPLES: i64 = 240;

/// A time in the middle of the data, ms.
pub const NOW_MS: i64 = 30 * 60_000;

/// The series.
pub static SOURCE: LazyLock<Arc<MemorySource>> = LazyLock::new(|| Arc::new(MemorySource::new(series())));

fn series() -> Vec<SeriesChunks> {
    let mut all = Vec::new();
    let mut add = |name: &str, labels: &[(&str, &str)], value: &dyn Fn(i64) -> Option<f64>| {
        let labels = Labels::from_pairs(labels.iter().copied().chain([("__name__", name)]));
        let mut chunk = XorAppender::new();
        for n in 0..SAMPLES {
            if let Some(value) = value(n) {
                chunk.append(n * INTERVAL_MS, value);
            }
        }
        all.push(SeriesChunks { labels, chunks: vec![chunk.seal()] });
    };
    for (number, (instance, job)) in
        [("a:1", "api"), ("b:1", "api"), ("a:1", "db"), ("c:1", "db")].into_iter().enumerate()
    {
        let (number, labels) = (number as i64, [("instance", instance), ("job", job)]);
        add("requests_total", &labels, &move |n| Some(((n * (number + 1)) % 97) as f64));
        add("temperature", &labels, &move |n| match (n + number) % 50 {
            40..=45 => None,
            46 => Some(f64::from_bits(STALE_NAN_BITS)),
            phase => Some((phase - 20 * number) as f64 / 4.0),
        });
        for (le, share) in [("0.1", 1), ("1", 3), ("+Inf", 4)] {
            let bucket = [("instance", instance), ("job", job), ("le", le)];
            add("latency_seconds_bucket", &bucket, &move |n| Some((n * share) as f64));
        }
        if number != 3 {
            let info = [("instance", instance), ("job", job), ("version", if number == 0 { "1" } else { "2" })];
            add("target_info", &info, &|_| Some(1.0));
        }
    }
    let specials = [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e308, -1e-308, 1e100];
    add("special", &[("kind", "mixed")], &move |n| Some(specials[n as usize % specials.len()]));
    add("special", &[("kind", "huge")], &|n| Some(if n % 2 == 0 { 1e308 } else { -1e308 }));
    add("late", &[], &|n| (n > SAMPLES / 2).then_some(n as f64));

    let mut started = Xor2Appender::new();
    for n in 1..SAMPLES {
        let start_ms = (n - n % 7) * INTERVAL_MS - if n % 3 == 0 { 1000 } else { INTERVAL_MS };
        started.append(start_ms, n * INTERVAL_MS, (n % 7) as f64);
    }
    let labels = Labels::from_pairs([("__name__", "started_total"), ("instance", "a:1"), ("job", "api")]);
    all.push(SeriesChunks { labels, chunks: vec![started.seal()] });
    all.extend(native());
    all
}

/// Native histograms: counters with resets, some with starts; gauges; custom buckets whose bounds change; a series that
/// changes its kind. Every hundredth sample ends its series for a while.
fn native() -> impl Iterator<Item = SeriesChunks> {
    let float = |n: i64| Measured::Float((n % 50) as f64);
    let histogram = |histogram: FloatHistogram| Measured::FloatHistogram(Arc::new(histogram));
    let counter = move |n: i64| histogram(exponential(n, (n % 90) as f64, CounterResetHint::Unknown));
    let gauge = move |n: i64| histogram(exponential(0, (n % 17) as f64 - 8.0, CounterResetHint::Gauge));
    let bounded = move |n: i64| histogram(custom(n));
    let mixed = move |n: i64| if n % 80 < 40 { float(n) } else { counter(n) };
    type Sampled = Box<dyn Fn(i64) -> Measured>;
    let kinds: [(&str, &str, &str, Sampled); 7] = [
        ("duration_seconds", "a:1", "api", Box::new(counter)),
        ("duration_seconds", "b:1", "api", Box::new(move |n| counter(2 * n))),
        ("duration_seconds", "a:1", "db", Box::new(bounded)),
        ("load", "a:1", "api", Box::new(gauge)),
        ("load", "b:1", "api", Box::new(mixed)),
        ("load", "c:1", "db", Box::new(move |n| mixed(n + 40))),
        ("sizes", "a:1", "api", Box::new(bounded)),
    ];
    kinds.into_iter().enumerate().map(|(number, (name, instance, job, value))| {
        let labels = Labels::from_pairs([("__name__", name), ("instance", instance), ("job", job)]);
        let stale = FloatHistogram { sum: f64::from_bits(STALE_NAN_BITS), ..FloatHistogram::default() };
        let sample = |n: i64| Measurement {
            t_ms: n * INTERVAL_MS,
            start_ms: if number == 1 && n > 0 { (n - n % 45) * INTERVAL_MS - 1000 } else { 0 },
            value: if n % 100 == 99 { Measured::FloatHistogram(Arc::new(stale.clone())) } else { value(n) },
        };
        let mut chunks = Vec::new();
        encode((0..SAMPLES).map(sample), 120, &mut chunks);
        SeriesChunks { labels, chunks }
    })
}

/// A histogram whose buckets hold `scale` times something, and whose resolution falls once with `n`.
fn exponential(n: i64, scale: f64, reset_hint: CounterResetHint) -> FloatHistogram {
    let counts = [1.0, 0.0, 2.0, 3.0].map(|count| count * scale);
    FloatHistogram {
        reset_hint,
        schema: if n < SAMPLES / 3 { 2 } else { 1 },
        zero_threshold: 0.001,
        zero_count: scale,
        count: 7.0 * scale + 1.0,
        sum: 11.0 * scale,
        positive_spans: vec![BucketSpan { offset: -1, length: 2 }, BucketSpan { offset: 3, length: 2 }],
        positive_counts: counts.to_vec(),
        negative_spans: vec![BucketSpan { offset: 1, length: 1 }],
        negative_counts: vec![1.0],
        ..FloatHistogram::default()
    }
}

fn custom(n: i64) -> FloatHistogram {
    let scale = (n % 70) as f64;
    FloatHistogram {
        schema: SCHEMA_CUSTOM,
        count: 6.0 * scale,
        sum: 9.0 * scale,
        positive_spans: vec![BucketSpan { offset: 0, length: 3 }],
        positive_counts: vec![scale, 2.0 * scale, 3.0 * scale],
        custom_bounds: if n < SAMPLES / 2 { [0.5, 1.0, 5.0].into() } else { [0.5, 5.0, 10.0].into() },
        ..FloatHistogram::default()
    }
}

/// An engine with so many threads.
pub fn engine(threads: usize) -> Engine {
    Engine::new(EngineSettings { threads, ..EngineSettings::default() })
}

/// Runs a query on the series.
pub fn run(engine: &Engine, request: &QueryRequest, budget: &Budget) -> Result<QueryResult, QueryError> {
    block_on(engine.run(SOURCE.clone(), request, budget))
}

/// Says everything about a result that a query's meaning determines: labels, times, bits of values.
pub fn spell(value: &Value) -> Vec<String> {
    match value {
        Value::Scalar { t_ms, value } => vec![format!("{t_ms} {}", bits(*value))],
        Value::String { t_ms, value } => vec![format!("{t_ms} {value:?}")],
        Value::Vector(vector) => {
            let one = |labels: &Labels, t_ms: i64, value: &SampleValue| match value {
                SampleValue::Float(value) => format!("{labels} {t_ms} {}", bits(*value)),
                SampleValue::Histogram(histogram) => format!("{labels} {t_ms} {histogram:?}"),
            };
            vector.iter().map(|it| one(&it.labels, it.t_ms, &it.value)).collect()
        }
        Value::Matrix(matrix) => matrix.iter().flat_map(points).collect(),
    }
}

fn points(series: &RangeSeries) -> Vec<String> {
    let RangeSeries { labels, points, histograms } = series;
    let floats = points.t_ms.iter().zip(&points.values);
    let mut all: Vec<(i64, String)> = floats.map(|(t_ms, value)| (*t_ms, bits(*value))).collect();
    all.extend(histograms.t_ms.iter().zip(&histograms.values).map(|(t_ms, value)| (*t_ms, format!("{value:?}"))));
    all.sort_by_key(|(t_ms, _)| *t_ms);
    all.into_iter().map(|(t_ms, value)| format!("{labels} {t_ms} {value}")).collect()
}

/// The bits of a number; all that is no number is the same.
fn bits(value: f64) -> String {
    if value.is_nan() { "NaN".to_owned() } else { format!("{value:?} {:x}", value.to_bits()) }
}
