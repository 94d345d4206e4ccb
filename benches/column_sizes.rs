//! What downsampled blocks take beside the raw one, column by column.
//!
//! `cargo bench --bench column_sizes [-- RECORDING]` prints the table of docs/decisions/0007. The recording is that of
//! `chunk_sizes`; it is laid end to end so often that a day is full, counters going on where they stood.

#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a measurement, run by hand")]

use longhaul_block::{BlockColumns, BlockFile, BlockFiles, BlockMeta, BlockWriter, Column, ColumnSet, Downsample};
use longhaul_block::{LocalFiles, ThanosMeta};
use longhaul_chunk::{SeriesChunks, XorAppender};
use longhaul_disk::RealFs;
use longhaul_downsample::{NumberedWindow, Resolution, Splitter, coarsen};
use longhaul_model::{BlockId, LabelSection, Labels, TimeRange};
use longhaul_wire::remote_write::{DecodeLimits, decode};
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

/// What the day is long, ms.
const DAY_MS: i64 = 24 * 3_600_000;

/// Samples of a chunk, as the head cuts them.
const CHUNK_SAMPLES: u16 = 120;

/// Of so many series one is taken: the table is about shares.
const SERIES_STRIDE: usize = 16;

type Recording = BTreeMap<Labels, Vec<(i64, f64)>>;

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
    let series = day_long(read(&bytes));
    let samples: usize = series.values().map(Vec::len).sum();
    println!("{} series, {samples} samples\n", series.len());

    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, resolution: Option<Resolution>| {
        let path = dir.path().join(name);
        let mut meta = BlockMeta::new(BlockId::from_parts(0, 1), TimeRange::new(0, 0));
        let resolution_ms = resolution.map_or(0, Resolution::length_ms);
        let downsample = Downsample { resolution: resolution_ms, ..Downsample::default() };
        meta.thanos = Some(ThanosMeta { downsample, ..ThanosMeta::default() });
        let mut writer = BlockWriter::create(Arc::new(RealFs), &path, meta).unwrap();
        for (labels, samples) in &series {
            writer.push(&SeriesChunks { labels: labels.clone(), chunks: chunks(samples) }).unwrap();
            if let Some(resolution) = resolution {
                writer.push_windows(&windows(samples, resolution)).unwrap();
            }
        }
        (Arc::new(LocalFiles::new(Arc::new(RealFs), path)), writer.finish().unwrap())
    };
    let (raw, _) = write("raw", None);
    let raw_bytes: u64 = (0..).map_while(|segment| raw.size(BlockFile::Chunks(segment)).ok()).sum();
    println!("raw chunks: {raw_bytes} bytes, {:.3} a sample", raw_bytes as f64 / samples as f64);
    for (name, resolution) in [("5m", Resolution::FIVE_MINUTES), ("1h", Resolution::ONE_HOUR)] {
        let (files, meta) = write(name, Some(resolution));
        let size_bytes = files.size(BlockFile::Columns).unwrap();
        let share = size_bytes as f64 / raw_bytes as f64;
        println!("\n{name}: {size_bytes} bytes, {share:.3} of the raw chunks (1/{:.1})\n", 1.0 / share);
        table(&BlockColumns::open(files, &meta).unwrap());
    }
}

fn table(columns: &BlockColumns) {
    let all: Vec<u32> = (0..columns.series_count() as u32).collect();
    let windows: usize =
        columns.read(&all, ColumnSet::of(&[Column::Number])).unwrap().iter().map(|it| it.windows.len()).sum();
    println!("| column | bytes | bytes a window |\n|---|---|---|");
    for column in Column::ALL {
        let bytes = columns.page_bytes(column);
        if bytes > 0 {
            println!("| {column:?} | {bytes} | {:.3} |", bytes as f64 / windows as f64);
        }
    }
}

/// The samples of some of the recorded series.
fn read(recording: &[u8]) -> Recording {
    let mut series = Recording::new();
    let mut rest = recording;
    while let Some((header, body)) = rest.split_first_chunk::<8>() {
        let length = u32::from_le_bytes(header[..4].try_into().unwrap()) as usize;
        let limits = DecodeLimits { series_max: u32::MAX, samples_max: u32::MAX, ..DecodeLimits::default() };
        let batch = decode(body[..length].to_vec().into(), &limits).unwrap();
        for entry in &batch.series {
            let samples = series.entry(labels(batch.labels(entry))).or_default();
            samples.extend(batch.samples(entry).iter().map(|sample| (sample.t_ms, sample.value)));
        }
        rest = &body[length..];
    }
    for samples in series.values_mut() {
        samples.sort_by_key(|sample| sample.0);
        samples.dedup_by_key(|sample| sample.0);
    }
    series.into_iter().step_by(SERIES_STRIDE).collect()
}

fn labels(section: LabelSection<'_>) -> Labels {
    let text = |bytes| std::str::from_utf8(bytes).unwrap();
    Labels::from_pairs(section.pairs().map(|pair| pair.map(|(name, value)| (text(name), text(value))).unwrap()))
}

/// The recording end to end until a day is full. What never falls goes on from where it stood, what does begins again.
fn day_long(recording: Recording) -> Recording {
    let times = || recording.values().flatten().map(|sample| sample.0);
    let (first_ms, last_ms) = (times().min().unwrap(), times().max().unwrap());
    let length_ms = last_ms - first_ms + 15_000;
    let lay = |samples: Vec<(i64, f64)>| {
        let rises = samples.windows(2).all(|pair| pair[0].1 <= pair[1].1);
        let gain = if rises { samples[samples.len() - 1].1 - samples[0].1 } else { 0.0 };
        let turns = (DAY_MS / length_ms) as usize;
        let turn = |turn: usize| {
            let moved = move |(t_ms, value): (i64, f64)| {
                (t_ms - first_ms + 1 + turn as i64 * length_ms, value + turn as f64 * gain)
            };
            samples.clone().into_iter().map(moved)
        };
        (0..turns).flat_map(turn).collect()
    };
    recording.into_iter().map(|(labels, samples)| (labels, lay(samples))).collect()
}

fn chunks(samples: &[(i64, f64)]) -> Vec<longhaul_chunk::Chunk> {
    let cut = samples.chunks(usize::from(CHUNK_SAMPLES)).map(|part| {
        let mut open = XorAppender::new();
        part.iter().for_each(|(t_ms, value)| open.append(*t_ms, *value));
        open.seal()
    });
    cut.collect()
}

fn windows(samples: &[(i64, f64)], resolution: Resolution) -> Vec<NumberedWindow> {
    let mut splitter = Splitter::new(Resolution::FIVE_MINUTES);
    samples.iter().for_each(|(t_ms, value)| splitter.push_float(*t_ms, 0, *value));
    coarsen(splitter.finish(), Resolution::FIVE_MINUTES, resolution)
}
