//! What a million series cost: `cargo run --release --example head_memory -p longhaul-head [series] [samples]`.
//!
//! Prints bytes a series as the operating system counts them (resident memory), what the head itself accounts for, and
//! how much CPU time the head's operations take (of this one thread, so that other work on the machine counts little).
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use longhaul_head::{HashSeed, Head, HeadSettings, Numbers, Series};
use longhaul_model::{LabelSection, Matcher, Sample, TimeRange};
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const METRICS: usize = 500;
const INTERVAL_MS: i64 = 15_000;

fn main() {
    let argument =
        |at: usize, default: usize| std::env::args().nth(at).map_or(default, |it| it.parse().expect("a count"));
    let (series_count, samples) = (argument(1, 1_000_000), argument(2, 20));
    let head = Arc::new(Head::new(HeadSettings::default(), Numbers::new(), HashSeed::new(42)));
    let resident_before = resident_bytes();
    let report = |what: &str, began_ns: u64, count: usize| {
        let ns = cpu_ns() - began_ns;
        let resident = resident_bytes() - resident_before;
        println!(
            "{what:<42} {:>8.1} ms {:>6} ns each; resident {:>4} bytes a series",
            ns as f64 / 1e6,
            ns / count.max(1) as u64,
            resident / series_count,
        );
    };

    let began_ns = cpu_ns();
    let mut all: Vec<Arc<Series>> = Vec::with_capacity(series_count);
    all.extend((0..series_count).map(|i| create(&head, i)));
    report("create", began_ns, series_count);

    let start_ms = 1_700_006_400_000; // where a range begins
    let began_ns = cpu_ns();
    for round in 0..samples {
        for (i, series) in all.iter().enumerate() {
            let t_ms = start_ms + round as i64 * INTERVAL_MS + (i % 15_000) as i64;
            head.apply(series, Sample::new(t_ms, value(i, round)), round as u64 + 1, &());
        }
    }
    report("apply", began_ns, series_count * samples);
    drop(all);
    let sections: Vec<Vec<u8>> = (0..series_count.min(50_000)).map(|i| with_pairs(i, section)).collect();
    let began_ns = cpu_ns();
    let found = sections.iter().filter(|it| head.find(head.key(it)).is_some()).count();
    report("key and find", began_ns, found);
    drop(sections);
    let stats = head.stats();
    println!(
        "the head accounts for {} + {} bytes a series (series, chunks), {:.2} bytes of chunks a sample",
        stats.series_bytes / series_count,
        stats.chunk_bytes / series_count,
        stats.chunk_bytes as f64 / stats.samples as f64,
    );

    let one_metric = [Matcher::equal("__name__", "metric_7_of_some_subsystem_total")];
    let time_select = |what: &str, matchers: &[Matcher]| {
        let began_ns = cpu_ns();
        let pinned = head.pin(matchers, TimeRange::ALL);
        report(&format!("pin {what}"), began_ns, pinned.len());
        let began_ns = cpu_ns();
        let chunks: usize =
            (0..pinned.len()).step_by(1000).map(|at| pinned.batch(at..pinned.len().min(at + 1000)).len()).sum();
        report(&format!("read {what}, {chunks} series"), began_ns, chunks);
    };
    time_select("one metric", &one_metric);
    time_select("one metric again", &one_metric);
    time_select("everything (ranks are given)", &[]);
    time_select("everything again", &[]);
    time_select("one metric by rank", &one_metric);

    let last_offset = samples as u64;
    let day = TimeRange::aligned(start_ms, 86_400_000);
    let began_ns = cpu_ns();
    let view = head.cut(day, last_offset).expect("there are samples");
    report("cut (lane)", began_ns, series_count);
    let began_ns = cpu_ns();
    println!("{} series in the cut", view.series().count());
    report("read the cut", began_ns, series_count);
    let began_ns = cpu_ns();
    head.release(&view);
    report("release (lane)", began_ns, series_count);
    let began_ns = cpu_ns();
    drop(view);
    report("free the cut", began_ns, series_count);
    let began_ns = cpu_ns();
    println!("{} evicted", head.evict_idle(i64::MAX));
    report("evict", began_ns, series_count);
    println!("the head accounts for {:?}", head.stats());
}

fn create(head: &Head, i: usize) -> Arc<Series> {
    with_pairs(i, |pairs| {
        let key = head.key(&section(pairs));
        head.find(key).map_or_else(|| head.create(key, pairs), Ok).expect("no limit is set")
    })
}

fn section(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut section = Vec::new();
    pairs.iter().for_each(|(name, value)| LabelSection::push(&mut section, name, value));
    section
}

/// Fourteen labels as Kubernetes gives them: every pod has all metrics.
fn with_pairs<R>(i: usize, then: impl FnOnce(&[(&str, &str)]) -> R) -> R {
    let (metric, target) = (i % METRICS, i / METRICS);
    let name = format!("metric_{metric}_of_some_subsystem_total");
    let instance = format!("10.{}.{}.{}:9100", target / 65_536, target / 256 % 256, target % 256);
    let pod = format!("workload-{}-5d6f8c7b9d-{:05x}", target / 3, target.wrapping_mul(2_654_435_761) % 0xfffff);
    let uid = format!("{:08x}-77aa-4c51-b4f6-{:012x}", target.wrapping_mul(40_503), target);
    let (namespace, node) = (format!("namespace-{}", target / 30), format!("node-{}.internal", target / 20));
    let (le, code) = (format!("{}", metric % 12), ["200", "404", "500"][metric % 3]);
    then(&[
        ("__name__", name.as_str()),
        ("cluster", "production-europe-1"),
        ("code", code),
        ("container", "main"),
        ("endpoint", "metrics"),
        ("instance", instance.as_str()),
        ("job", "kubernetes-pods"),
        ("le", le.as_str()),
        ("namespace", namespace.as_str()),
        ("node", node.as_str()),
        ("pod", pod.as_str()),
        ("region", "europe-west"),
        ("service", "workload"),
        ("uid", uid.as_str()),
    ])
}

/// A third each: counters, gauges with two decimals, constants.
fn value(series: usize, round: usize) -> f64 {
    let noise = (series * 31 + round).wrapping_mul(2_654_435_761) % 1000;
    match series % 3 {
        0 => (series * 100 + round * 500 + noise) as f64,
        1 => 20.0 + (noise as f64) / 100.0,
        _ => series as f64,
    }
}

/// Time that this thread has been running.
fn cpu_ns() -> u64 {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    schedstat.split(' ').next().and_then(|it| it.parse().ok()).expect("nanoseconds on a CPU")
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: usize = statm.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a count of pages");
    pages * 4096
}
