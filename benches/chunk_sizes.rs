//! How many samples a chunk should have: bytes at rest, and the time of scans and of instant reads, by that number.
//!
//! `cargo bench --bench chunk_sizes [-- RECORDING]` prints the table of docs/decisions/0004. The recording is a zstd stream of
//! (body bytes u32, samples u32, WriteRequest); the default is the recorded traffic beside the project.

#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a measurement, run by hand")]

use longhaul_block::{BlockFile, BlockFiles, BlockMeta, LocalFiles};
use longhaul_chunk::{Columns, SeriesChunks, merge_into};
use longhaul_disk::{Fs, RealFs};
use longhaul_head::{HashSeed, Head, HeadSettings, Numbers};
use longhaul_model::{BlockId, LabelSection, TimeRange};
use longhaul_wire::remote_write::{DecodeLimits, decode};
use std::io::Read;
use std::sync::Arc;
use std::time::Instant;

const SIZES: [u16; 5] = [60, 120, 180, 240, 480];

fn main() {
    let recorded = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/recorded-15s.rw.zst");
    let path = std::env::args().nth(1).filter(|argument| !argument.starts_with('-')).unwrap_or(recorded.into());
    let Ok(file) = std::fs::File::open(&path) else {
        println!("skipped: {path} is not there");
        return;
    };
    let mut decoder = zstd::Decoder::new(file).unwrap();
    decoder.window_log_max(27).unwrap();
    let mut bytes = Vec::new();
    decoder.read_to_end(&mut bytes).unwrap();
    println!(
        "| samples a chunk | chunk B/sample | index B/sample | lookup B/sample | scan ns/sample | instant µs/series |"
    );
    println!("|---|---|---|---|---|---|");
    for size in SIZES {
        measure(&bytes, size);
    }
}

fn measure(recording: &[u8], chunk_samples_max: u16) {
    let settings = HeadSettings { chunk_samples_max, chunk_bytes_max: usize::MAX, ..HeadSettings::default() };
    let head = Arc::new(Head::new(settings, Numbers::new(), HashSeed::new(1)));
    let mut rest = recording;
    let (mut offset, mut samples) = (0, 0u64);
    while let Some((header, body)) = rest.split_first_chunk::<8>() {
        let length = u32::from_le_bytes(header[..4].try_into().unwrap()) as usize;
        offset += 1;
        let limits = DecodeLimits { series_max: u32::MAX, samples_max: u32::MAX, ..DecodeLimits::default() };
        let batch = decode(body[..length].to_vec().into(), &limits).unwrap();
        for entry in &batch.series {
            let section = batch.labels(entry);
            let key = head.key(section.bytes());
            let series = head.find(key).unwrap_or_else(|| create(&head, section));
            for sample in batch.samples(entry) {
                samples += u64::from(head.apply(&series, *sample, offset, &()) == longhaul_head::Verdict::Stored);
            }
        }
        rest = &body[length..];
    }
    let series = head.select(&[], TimeRange::ALL);
    let sizes = block_sizes(&series);
    let per_sample = |bytes: u64| bytes as f64 / samples as f64;
    println!(
        "| {chunk_samples_max} | {:.3} | {:.3} | {:.3} | {:.1} | {:.2} |",
        per_sample(sizes[0]),
        per_sample(sizes[1]),
        per_sample(sizes[2]),
        best_ns(|| series.iter().for_each(|series| decoded(&series.chunks))) / samples as f64,
        best_ns(|| series.iter().for_each(|series| decoded(&series.chunks[series.chunks.len() - 1..])))
            / 1e3
            / series.len() as f64,
    );
}

fn create(head: &Arc<Head>, section: LabelSection<'_>) -> Arc<longhaul_head::Series> {
    let text = |bytes| std::str::from_utf8(bytes).unwrap();
    let mut pairs: Vec<(&str, &str)> =
        section.pairs().map(|pair| pair.map(|(name, value)| (text(name), text(value))).unwrap()).collect();
    pairs.sort_unstable();
    let mut canonical = Vec::new();
    pairs.iter().for_each(|(name, value)| LabelSection::push(&mut canonical, name, value));
    head.create(head.key(&canonical), &pairs).unwrap()
}

/// Bytes of chunks, index and lookup of a block that holds the series.
fn block_sizes(series: &[SeriesChunks]) -> [u64; 3] {
    let dir = tempfile::tempdir().unwrap();
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let meta = BlockMeta::new(BlockId::from_parts(0, 1), TimeRange::new(0, 0));
    longhaul_block::write(fs.clone(), &dir.path().join("block"), meta, series.iter().cloned().map(Ok)).unwrap();
    let files = LocalFiles::new(fs, dir.path().join("block"));
    let size = |file| files.size(file).unwrap();
    [size(BlockFile::Chunks(0)), size(BlockFile::Index), size(BlockFile::Lookup)]
}

fn decoded(chunks: &[longhaul_chunk::Chunk]) {
    let mut columns = Columns::default();
    merge_into(chunks, TimeRange::ALL, &mut columns).unwrap();
    std::hint::black_box(columns);
}

/// The quickest of several runs, nanoseconds.
fn best_ns(mut work: impl FnMut()) -> f64 {
    let time = |work: &mut dyn FnMut()| {
        let started = Instant::now();
        work();
        started.elapsed().as_nanos() as f64
    };
    (0..7).map(|_| time(&mut work)).fold(f64::INFINITY, f64::min)
}
