//! Bytes at rest: what the recorded traffic takes in blocks as they are shipped, after compaction, and in Prometheus' own
//! block of the same samples.
//!
//! `cargo bench -p longhaul-compact --bench at_rest [-- RECORDING]` prints a table. The recording is a zstd stream of (body
//! bytes u32, samples u32, WriteRequest); the default is the recorded traffic beside the project. Prometheus' block is made by
//! `promtool`, which `cargo xtask peers` provides; without it, its row is left out.

#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a measurement, run by hand")]

use longhaul_block::{BlockMeta, Compaction, Coverage, LonghaulMeta};
use longhaul_bucket::{LiveBlock, OperationId, Store, StoreOptions, StoreUrl, TenantStore, open_store};
use longhaul_chunk::{Columns, SeriesChunks, merge_into};
use longhaul_compact::{CompactSettings, Compactor, CompactorParts};
use longhaul_disk::{Fs, RealFs};
use longhaul_head::{HashSeed, Head, HeadSettings, Numbers, Series, Verdict};
use longhaul_model::{Clock, IdSource, LabelSection, LogId, ManualClock, TenantId, TimeRange};
use longhaul_wire::remote_write::{DecodeLimits, decode};
use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Blocks that the samples are shipped in: the recording is not much longer than one range of two hours, and one block is never
/// compacted.
const BLOCKS: usize = 2;

fn main() {
    let recorded = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/recorded-15s.rw.zst");
    let path = std::env::args().nth(1).filter(|argument| !argument.starts_with('-')).unwrap_or(recorded.into());
    let Ok(file) = std::fs::File::open(&path) else {
        println!("skipped: {path} is not there");
        return;
    };
    let mut decoder = zstd::Decoder::new(file).unwrap();
    decoder.window_log_max(27).unwrap();
    let mut recording = Vec::new();
    decoder.read_to_end(&mut recording).unwrap();

    let dir = tempfile::tempdir().unwrap();
    let cuts = cuts(&recording);
    let all = cuts.iter().flatten();
    let (series, samples) = (cuts[0].len(), all.map(|series| decoded(series).len()).sum::<usize>());
    println!("| {samples} samples of {series} series, bytes a sample | chunks | index | lookup |");
    println!("|---|---:|---:|---:|");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let sizes = runtime.block_on(shipped_and_compacted(dir.path(), &cuts));
    for (name, blocks) in [("shipped, in two blocks", &sizes[0]), ("compacted, in one", &sizes[1])] {
        print(name, blocks, samples);
    }
    if let Some(block) = block_of_prometheus(dir.path(), &cuts) {
        print("Prometheus' own, in one", &[block], samples);
    }
}

fn print(name: &str, blocks: &[PathBuf], samples: usize) {
    let size = |block: &PathBuf, file: &str| std::fs::metadata(block.join(file)).map_or(0, |file| file.len());
    let of = |file: &str| blocks.iter().map(|block| size(block, file)).sum::<u64>() as f64 / samples as f64;
    println!("| {name} | {:.4} | {:.4} | {:.4} |", of("chunks/000001"), of("index"), of("lookup"));
}

/// The samples as a head seals them, in as many stretches of time as there are to be blocks.
fn cuts(recording: &[u8]) -> Vec<Vec<SeriesChunks>> {
    let requests = || {
        let mut rest = recording;
        std::iter::from_fn(move || {
            let (header, body) = rest.split_first_chunk::<8>()?;
            let length = u32::from_le_bytes(header[..4].try_into().unwrap()) as usize;
            rest = &body[length..];
            let limits = DecodeLimits { series_max: u32::MAX, samples_max: u32::MAX, ..DecodeLimits::default() };
            Some(decode(body[..length].to_vec().into(), &limits).unwrap())
        })
    };
    let times = requests().flat_map(|batch| {
        let times = batch.series.iter().flat_map(|entry| batch.samples(entry)).map(|sample| sample.t_ms);
        times.collect::<Vec<_>>()
    });
    let (min_ms, max_ms) = times.fold((i64::MAX, i64::MIN), |(min, max), t_ms| (min.min(t_ms), max.max(t_ms)));
    let length_ms = (max_ms - min_ms) / BLOCKS as i64 + 1;
    let heads: Vec<Arc<Head>> =
        (0..BLOCKS).map(|_| Arc::new(Head::new(HeadSettings::default(), Numbers::new(), HashSeed::new(1)))).collect();
    for (offset, batch) in requests().enumerate() {
        for entry in &batch.series {
            for sample in batch.samples(entry) {
                let head = &heads[((sample.t_ms - min_ms) / length_ms) as usize];
                let section = batch.labels(entry);
                let series = head.find(head.key(section.bytes())).unwrap_or_else(|| create(head, section));
                let verdict = head.apply(&series, *sample, offset as u64 + 1, &());
                assert!(matches!(verdict, Verdict::Stored | Verdict::Duplicate), "a recorded sample is refused");
            }
        }
    }
    let sorted = |head: &Arc<Head>| {
        let mut series: Vec<SeriesChunks> = head.select(&[], TimeRange::ALL);
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        series
    };
    heads.iter().map(sorted).collect()
}

fn create(head: &Arc<Head>, section: LabelSection<'_>) -> Arc<Series> {
    let text = |bytes| std::str::from_utf8(bytes).unwrap();
    let mut pairs: Vec<(&str, &str)> =
        section.pairs().map(|pair| pair.map(|(name, value)| (text(name), text(value))).unwrap()).collect();
    pairs.sort_unstable();
    let mut canonical = Vec::new();
    pairs.iter().for_each(|(name, value)| LabelSection::push(&mut canonical, name, value));
    head.create(head.key(&canonical), &pairs).unwrap()
}

fn decoded(series: &SeriesChunks) -> Columns {
    let mut columns = Columns::default();
    merge_into(&series.chunks, TimeRange::ALL, &mut columns).unwrap();
    columns
}

/// The directories of the blocks as they were shipped, and of what the compactor made of them.
async fn shipped_and_compacted(dir: &Path, cuts: &[Vec<SeriesChunks>]) -> [Vec<PathBuf>; 2] {
    let open = || -> Store { open_store(&StoreUrl::File(dir.join("bucket")), &StoreOptions::default()).unwrap() };
    let tenant = TenantId::parse("team-a").unwrap();
    let mut random = 0u128;
    let ids = Arc::new(IdSource::new(move || {
        random += 1;
        random
    }));
    let (store, fs) = (TenantStore::new(open(), tenant.clone()), Arc::new(RealFs) as Arc<dyn Fs>);
    let clock = Arc::new(ManualClock::at(0));
    for (n, cut) in cuts.iter().enumerate() {
        let id = ids.block_id(n as i64);
        let mut seed = BlockMeta::new(id, TimeRange::new(0, 0));
        seed.compaction = Compaction { level: 1, sources: vec![id], ..Compaction::default() };
        let made = dir.join("made");
        let n = n as u64;
        let coverage = Coverage { log_id: LogId::nil(), partition: 0, range: TimeRange::new(0, 1), from: n, to: n + 1 };
        seed.longhaul = Some(LonghaulMeta { coverage: vec![coverage], ..LonghaulMeta::new(tenant.clone()) });
        let meta = longhaul_block::write(fs.clone(), &made, seed, cut.iter().cloned().map(Ok)).unwrap();
        clock.set(clock.now_ms().max(meta.end_ms + 30 * DAY_MS));
        let uploaded = store.upload_block(&fs, &made, &meta).await.unwrap();
        let live = LiveBlock::new(&meta, uploaded.size_bytes());
        let base = store.load_manifest().await.unwrap();
        let operation = OperationId::new(ids.random());
        store.commit(base.as_ref(), "bench", operation, |it| it.ship(live.clone(), &[])).await.unwrap();
        fs.remove_dir_all(&made).unwrap();
    }
    let live = async || -> Vec<PathBuf> {
        let manifest = store.load_manifest().await.unwrap().unwrap();
        manifest.blocks.iter().map(|block| dir.join("bucket/team-a").join(block.id.to_string())).collect()
    };
    let shipped = live().await;
    let parts = CompactorParts {
        settings: CompactSettings::default(),
        work_dir: dir.join("work"),
        fs,
        store: open(),
        clock,
        ids,
        publish: Arc::new(|_, _| ()),
    };
    let report = Compactor::open(parts).unwrap().compact(None).await.unwrap();
    assert_eq!((report.blocks_in, report.blocks_out), (BLOCKS as u64, 1), "{report:?}");
    [shipped, live().await]
}

/// The block that `promtool` makes of the same samples. A stale marker becomes another NaN on the way, of as many bits.
fn block_of_prometheus(dir: &Path, cuts: &[Vec<SeriesChunks>]) -> Option<PathBuf> {
    let peers = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/peers");
    let peers = std::env::var_os("LONGHAUL_PEERS").map_or(PathBuf::from(peers), PathBuf::from);
    let promtool = peers.join("promtool");
    if !promtool.exists() {
        println!("(no promtool in {}: cargo xtask peers)", peers.display());
        return None;
    }
    let mut lines: Vec<(i64, String)> = Vec::new();
    for series in cuts.iter().flatten() {
        let metric = openmetrics(series);
        let Columns { t_ms, values, .. } = decoded(series);
        for (t_ms, value) in t_ms.into_iter().zip(values) {
            let seconds = format!("{}.{:03}", t_ms.div_euclid(1000), t_ms.rem_euclid(1000));
            let value =
                if value.is_infinite() { format!("{value:+}").replace("inf", "Inf") } else { value.to_string() };
            lines.push((t_ms, format!("{metric} {value} {seconds}\n")));
        }
    }
    lines.sort_by_key(|(t_ms, _)| *t_ms);
    let mut text: String = lines.into_iter().map(|(_, line)| line).collect();
    text.push_str("# EOF\n");
    let (file, blocks) = (dir.join("openmetrics"), dir.join("prometheus"));
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(promtool);
    command.args(["tsdb", "create-blocks-from", "openmetrics", "--quiet"]);
    let output = command.arg(&file).arg(&blocks).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let made: Vec<PathBuf> = std::fs::read_dir(&blocks).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(made.len(), 1, "the samples fit into one block");
    made.into_iter().next()
}

fn openmetrics(series: &SeriesChunks) -> String {
    let mut text = series.labels.metric_name().to_owned();
    let others = series.labels.iter().filter(|(name, _)| *name != "__name__");
    for (n, (name, value)) in others.enumerate() {
        let value = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
        write!(text, "{}{name}=\"{value}\"", if n == 0 { '{' } else { ',' }).unwrap();
    }
    if series.labels.len() > 1 {
        text.push('}');
    }
    text
}
