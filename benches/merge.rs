//! What a compaction costs: CPU seconds a million samples and the most memory, of whole jobs as the compactor does them
//! (read, merge, account, write, verify, hash, upload, commit) in a bucket on the local disk.
//!
//! `cargo bench -p longhaul-compact --bench merge [-- SERIES]` prints a table; 50,000 series are the default, and take some 2 GiB
//! in the directory for temporary files. Each job runs in a process of its own, which the kernel measures.

#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a measurement, run by hand")]

use longhaul_block::{BlockMeta, BlockWriter, Compaction, Coverage, LonghaulMeta};
use longhaul_bucket::{LiveBlock, OperationId, Store, StoreOptions, StoreUrl, TenantStore, open_store};
use longhaul_chunk::{Chunk, SeriesChunks, XorAppender};
use longhaul_compact::{CompactSettings, Compactor, CompactorParts};
use longhaul_disk::{Fs, RealFs};
use longhaul_model::{BlockId, IdSource, Labels, LogId, ManualClock, TenantId, TimeRange};
use std::path::Path;
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const HOUR_MS: i64 = 3_600_000;
const BLOCKS: i64 = 4;
const CHUNK_SAMPLES: i64 = 120;
/// Ticks of CPU time a second (proc(5)).
const TICKS_PER_SECOND: f64 = 100.0;

/// How the four blocks lie.
#[derive(Clone, Copy)]
enum Case {
    /// One after the other.
    Apart,
    /// Over the same two hours, each sample at a time of its own.
    Interleaved,
    /// Over the same two hours and at the same times: three of four samples are dropped.
    Same,
}

const CASES: [(&str, Case); 3] =
    [("nothing overlaps", Case::Apart), ("all overlaps", Case::Interleaved), ("all is there four times", Case::Same)];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [run, dir] = &arguments[..]
        && run == "compact"
    {
        return compact(Path::new(dir));
    }
    let series: u32 = arguments.first().map_or(50_000, |count| count.parse().expect("a number of series"));
    println!(
        "| four blocks of {series} series | samples in | CPU s a million | wall s | most MiB | B/sample in | out |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|");
    for (name, case) in CASES {
        for interval_ms in [15_000, 60_000] {
            let dir = tempfile::tempdir().expect("a temporary directory");
            runtime().block_on(ship_all(dir.path(), series, interval_ms, case));
            let this = std::env::current_exe().expect("a running program");
            let child = std::process::Command::new(this).arg("compact").arg(dir.path()).output().expect("it starts");
            assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
            let row = String::from_utf8_lossy(&child.stdout);
            println!("| {name}, every {} s | {} |", interval_ms / 1000, row.trim());
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

fn open(dir: &Path) -> Store {
    open_store(&StoreUrl::File(dir.join("bucket")), &StoreOptions::default()).expect("a store")
}

fn tenant() -> TenantId {
    TenantId::parse("team-a").expect("a tenant")
}

fn ids(seed: u128) -> IdSource {
    let mut next = seed << 32;
    IdSource::new(move || {
        next += 1;
        next
    })
}

/// Compacts what is in the bucket, and prints what that took.
fn compact(dir: &Path) {
    let parts = CompactorParts {
        settings: CompactSettings::default(),
        work_dir: dir.join("work"),
        fs: Arc::new(RealFs),
        store: open(dir),
        clock: Arc::new(ManualClock::at(1000 * HOUR_MS)),
        ids: Arc::new(ids(2)),
        publish: Arc::new(|_, _| ()),
    };
    let (before_s, started) = (cpu_s(), std::time::Instant::now());
    let compactor = Compactor::open(parts).expect("a work directory");
    let report = runtime().block_on(compactor.compact(None)).expect("a bucket");
    let (cpu_s, wall_s) = (cpu_s() - before_s, started.elapsed().as_secs_f64());
    assert_eq!((report.jobs, report.blocks_in), (1, BLOCKS as u64), "{report:?}");
    let samples = report.samples_in as f64;
    println!(
        "{:.1} M | {:.4} | {wall_s:.1} | {} | {:.2} | {:.2}",
        samples / 1e6,
        cpu_s / samples * 1e6,
        peak_kib() / 1024,
        report.bytes_in as f64 / samples,
        report.bytes_out as f64 / report.samples_out as f64,
    );
}

async fn ship_all(dir: &Path, series: u32, interval_ms: i64, case: Case) {
    let (store, ids) = (TenantStore::new(open(dir), tenant()), ids(1));
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    for n in 0..BLOCKS {
        let (begin_ms, offset_ms) = match case {
            Case::Apart => (n * 2 * HOUR_MS, 0),
            Case::Interleaved => (0, n * interval_ms / BLOCKS),
            Case::Same => (0, 0),
        };
        let id = ids.block_id(n);
        let made = dir.join("made");
        let meta = write(&fs, &made, id, series, n as u64, begin_ms + offset_ms, interval_ms);
        let uploaded = store.upload_block(&fs, &made, &meta).await.expect("an upload");
        let live = LiveBlock::new(&meta, uploaded.size_bytes());
        let base = store.load_manifest().await.expect("a manifest or none");
        let operation = OperationId::new(ids.random());
        let shipped = store.commit(base.as_ref(), "bench", operation, |it| it.ship(live.clone(), &[])).await;
        shipped.expect("a commit");
        fs.remove_dir_all(&made).expect("the block was uploaded");
    }
}

fn write(
    fs: &Arc<dyn Fs>,
    dir: &Path,
    id: BlockId,
    series: u32,
    block: u64,
    from_ms: i64,
    interval_ms: i64,
) -> BlockMeta {
    let range = TimeRange::new(from_ms / (2 * HOUR_MS) * 2 * HOUR_MS, (from_ms / (2 * HOUR_MS) + 1) * 2 * HOUR_MS);
    let mut seed = BlockMeta::new(id, range);
    seed.compaction = Compaction { level: 1, sources: vec![id], ..Compaction::default() };
    let coverage = Coverage { log_id: LogId::nil(), partition: 0, range, from: block, to: block + 1 };
    seed.longhaul = Some(LonghaulMeta { coverage: vec![coverage], ..LonghaulMeta::new(tenant()) });
    let mut writer = BlockWriter::create(fs.clone(), dir, seed).expect("a directory");
    let mut all: Vec<(Labels, u32)> = (0..series).map(|n| (labels(n), n)).collect();
    all.sort();
    for (labels, n) in all {
        let chunks = chunks(n, block, from_ms, range.end_ms, interval_ms);
        writer.push(&SeriesChunks { labels, chunks }).expect("a sound series");
    }
    writer.finish().expect("a block")
}

/// Metrics of 250 instances.
fn labels(n: u32) -> Labels {
    let instance = n % 250;
    Labels::from_pairs([
        ("__name__", format!("metric_{:03}_total", n / 250).as_str()),
        ("cluster", "eu-west-1"),
        ("instance", format!("10.0.{}.{}:9100", instance / 100, instance % 100).as_str()),
        ("job", "node"),
        ("pod", format!("node-exporter-{instance:04x}").as_str()),
        ("zone", ["a", "b", "c"][instance as usize % 3]),
    ])
}

/// Of twenty series twelve hardly change, four count now and then, two count steadily, one is a gauge with two decimals, and one
/// has noise in all its bits: as in recorded traffic, one sample in five or six differs from the one before.
fn chunks(series: u32, block: u64, from_ms: i64, to_ms: i64, interval_ms: i64) -> Vec<Chunk> {
    let mut random = (u64::from(series) << 8 | block) + 1;
    let mut draw = move || {
        random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (random ^ random >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    };
    let mut value = f64::from(series % 1000) * 100.0 + from_ms as f64 / 1000.0;
    let mut chunks = Vec::new();
    let mut open = XorAppender::new();
    for (i, t_ms) in (from_ms..to_ms).step_by(interval_ms as usize).enumerate() {
        let random = draw();
        value = match series % 20 {
            0..12 => value + if random % 200 == 0 { 1.0 } else { 0.0 },
            12..16 => value + if random % 8 == 0 { (random >> 32 & 15) as f64 } else { 0.0 },
            16..18 => value + (random >> 32 & 127) as f64,
            18 => ((value * 100.0).round() + (random % 41) as f64 - 20.0) / 100.0,
            _ => (random >> 11) as f64 / (1u64 << 53) as f64,
        };
        open.append(t_ms, value);
        if i as i64 % CHUNK_SAMPLES == CHUNK_SAMPLES - 1 {
            chunks.push(std::mem::take(&mut open).seal());
        }
    }
    if open.samples() > 0 {
        chunks.push(open.seal());
    }
    chunks
}

/// CPU time of this process so far.
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let (_, fields) = stat.rsplit_once(')').expect("a command in parentheses");
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).map(|it| it.parse::<u64>().expect("ticks")).sum();
    ticks as f64 / TICKS_PER_SECOND
}

/// The most that was ever resident.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).expect("a number")
}
