//! What the tests of this crate share: fixtures, files in memory that count reads, blocks of made-up series.

use crate::{BlockFile, BlockFiles, BlockMeta, BlockWriter, LocalFiles, LonghaulMeta, ReadError, Result};
use bytes::Bytes;
use longhaul_chunk::{Chunk, SeriesChunks, XorAppender, decode_any, encode, merge_chunks};
use longhaul_disk::RealFs;
use longhaul_model::{BlockId, Labels, Measurement, TenantId, TimeRange};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// The folder of facts and test data; none outside of the project's own machines.
pub fn conformance(path: &str) -> Option<PathBuf> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance"));
    if !root.exists() {
        assert!(std::env::var_os("CI").is_none(), "{} is missing", root.display());
        println!("skipped: {} is not here", root.display());
        return None;
    }
    Some(root.join(path))
}

/// Every block directory with a `meta.json` and an `index` below a folder of the fixtures.
pub fn blocks_below(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir()) {
        found.append(&mut blocks_below(&entry.path()));
    }
    if path.join("meta.json").exists() && path.join("index").exists() && path.join("chunks").exists() {
        found.push(path.to_owned());
    }
    found.sort();
    found
}

/// A block directory with its meta.
pub fn open_dir(dir: &Path) -> (Arc<LocalFiles>, BlockMeta) {
    let meta = BlockMeta::parse(&std::fs::read(dir.join("meta.json")).unwrap()).unwrap();
    (Arc::new(LocalFiles::new(Arc::new(RealFs), dir)), meta)
}

/// The lines of a gzipped file of JSON documents.
pub fn json_lines(path: &Path) -> Vec<serde_json::Value> {
    let file = std::io::BufReader::new(flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()));
    std::io::BufRead::lines(file).map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
}

/// Files in memory that remember what was read: each round with its ranges.
#[derive(Default)]
pub struct MemoryFiles {
    pub files: BTreeMap<BlockFile, Bytes>,
    pub rounds: Mutex<Vec<(BlockFile, Vec<Range<u64>>)>>,
    /// What is told about sizes counts as a round too, in a bucket.
    pub sizes: Mutex<u32>,
}

impl MemoryFiles {
    /// The files of a block directory.
    pub fn load(dir: &Path) -> Self {
        let read = |file: BlockFile| Some((file, std::fs::read(dir.join(file.path())).ok()?.into()));
        let known = [
            BlockFile::Meta,
            BlockFile::Index,
            BlockFile::Lookup,
            BlockFile::Tombstones,
            BlockFile::Exemplars,
            BlockFile::Columns,
        ];
        let files = known.into_iter().filter_map(read).chain((0..).map(BlockFile::Chunks).map_while(read));
        Self { files: files.collect(), ..Self::default() }
    }
}

impl BlockFiles for MemoryFiles {
    fn read(&self, file: BlockFile, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, ReadError> {
        let size_bytes = self.size(file)?;
        *self.sizes.lock().unwrap() -= 1;
        self.rounds.lock().unwrap().push((file, ranges.to_vec()));
        let cut = |range: &Range<u64>| match range.end <= size_bytes {
            true => Ok(self.files[&file].slice(range.start as usize..range.end as usize)),
            false => Err(ReadError::Truncated { file, end: range.end, size_bytes }),
        };
        ranges.iter().map(cut).collect()
    }

    fn size(&self, file: BlockFile) -> Result<u64, ReadError> {
        *self.sizes.lock().unwrap() += 1;
        self.files.get(&file).map(|bytes| bytes.len() as u64).ok_or(ReadError::Missing(file))
    }
}

/// A chunk of the given samples.
pub fn chunk(samples: impl IntoIterator<Item = (i64, f64)>) -> Chunk {
    let mut open = XorAppender::new();
    samples.into_iter().for_each(|(t_ms, value)| open.append(t_ms, value));
    open.seal()
}

/// A series with one chunk for each list of samples.
pub fn series(pairs: &[(&str, &str)], chunks: &[&[(i64, f64)]]) -> SeriesChunks {
    let chunks = chunks.iter().map(|samples| chunk(samples.iter().copied())).collect();
    SeriesChunks { labels: Labels::from_pairs(pairs.iter().copied()), chunks }
}

/// The seed of a block of ours.
pub fn seed() -> BlockMeta {
    let mut meta = BlockMeta::new(BlockId::from_parts(1_700_000_000_000, 7), TimeRange::new(0, 0));
    meta.longhaul = Some(LonghaulMeta::new(TenantId::anonymous()));
    meta
}

/// Writes a block of ours with small segments.
pub fn write_block(dir: &Path, series: &[SeriesChunks]) -> BlockMeta {
    let mut writer = BlockWriter::with_segments_of(Arc::new(RealFs), dir, seed(), 4096).unwrap();
    series.iter().for_each(|series| writer.push(series).unwrap());
    writer.finish().unwrap()
}

/// Labels with samples as (time, start, canonical form of the value).
pub type Content = BTreeMap<Labels, Vec<Sample>>;

/// A sample that can be compared.
pub type Sample = (i64, i64, Vec<u8>);

/// What series hold, merged.
pub fn content(series: impl IntoIterator<Item = SeriesChunks>) -> Content {
    let mut content = Content::new();
    for series in series {
        let chunks = merge_chunks(series.chunks, 120).unwrap();
        assert!(content.insert(series.labels, samples(&chunks)).is_none(), "a series came twice");
    }
    content
}

/// What chunks hold, one after the other.
pub fn samples(chunks: &[Chunk]) -> Vec<Sample> {
    let mut decoded = Vec::new();
    chunks.iter().for_each(|chunk| decode_any(chunk, &mut decoded).unwrap());
    decoded.iter().map(comparable).collect()
}

/// A sample as it is compared.
pub fn comparable(sample: &Measurement) -> Sample {
    let mut canonical = Vec::new();
    sample.value.canonical(&mut canonical);
    (sample.t_ms, sample.start_ms, canonical)
}

/// A series of any samples, cut into about `pieces` chunks (more where histograms cannot share one).
pub fn any_series(labels: Labels, samples: &[Measurement], pieces: usize) -> SeriesChunks {
    let mut chunks = Vec::new();
    for piece in samples.chunks(samples.len().div_ceil(pieces).max(1)) {
        encode(piece.iter().cloned(), 120, &mut chunks);
    }
    SeriesChunks { labels, chunks }
}

/// Series of a made-up fleet: `metrics` x `instances`, `chunks` chunks of ten samples each.
pub fn fleet(metrics: usize, instances: usize, chunks: usize) -> Vec<SeriesChunks> {
    let mut all = Vec::new();
    for metric in 0..metrics {
        for instance in 0..instances {
            let labels = Labels::from_pairs([
                ("__name__", format!("metric_{metric:03}").as_str()),
                ("instance", format!("10.0.{}.{}:9100", instance / 256, instance % 256).as_str()),
                ("job", if instance % 3 == 0 { "api" } else { "web" }),
                ("zone", format!("z{}", instance % 7).as_str()),
            ]);
            let samples = |at: usize| (0..10).map(move |i| ((at * 10 + i) as i64 * 15_000, (metric * i) as f64));
            all.push(SeriesChunks { labels, chunks: (0..chunks).map(|at| chunk(samples(at))).collect() });
        }
    }
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    all
}
