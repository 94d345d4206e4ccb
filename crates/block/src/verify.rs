//! Reads a block wholly and checks everything that can be checked.
//!
//! Runs before every publish and in the scrubber: it trusts neither the writer's memory of what it wrote nor the
//! medium. It keeps the postings of the block in memory to hold them against those of the index, some 100 bytes a
//! series.

use crate::columns;
use crate::content_hash::{ContentHash, SeriesHash};
use crate::error::{BlockError, ReadError, Result};
use crate::exemplars;
use crate::files::{BlockFile, BlockFiles, read_range};
use crate::index::{IndexReader, IndexWalk, PostingsEntry, SeriesEntry};
use crate::label_table::{LabelTable, SortedLabels};
use crate::lookup::write_lookup;
use crate::meta::{BlockMeta, BlockStats};
use crate::segments::{SEGMENT_HEADER, parse_chunk, read_chunk_bytes};
use crate::sink::{Sink, hex};
use crate::stock::StockTaker;
use crate::tombstones::Tombstones;
use bytes::Bytes;
use longhaul_chunk::Chunk;
use longhaul_model::{Labels, TimeRange};
use sha2::{Digest, Sha256};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// Findings that are kept; a block with more is no more broken for them.
const PROBLEMS_MAX: usize = 100;

/// Files are digested and compared in pieces of this size.
const PIECE_BYTES: u64 = 1 << 20;

/// Bytes of chunks that are read at a time.
const CHUNK_BYTES_MAX: u64 = 8 << 20;

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VerifyReport {
    /// What the block holds, counted anew.
    pub stats: BlockStats,
    /// The hash of what it holds.
    pub content_hash: ContentHash,
    /// Chunks that begin before the one before them in their series has ended. Ours have none; in foreign blocks they
    /// can be read, and are no problem.
    pub overlapping_chunks: u64,
    /// Bytes that were read.
    pub bytes_read: u64,
    /// What is wrong, the first 100 findings; empty for a sound block.
    pub problems: Vec<Problem>,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// In which file.
    pub file: BlockFile,
    /// Where, bytes.
    pub offset: u64,
    /// What.
    pub reason: String,
}

impl VerifyReport {
    /// The report of a sound block; the first problem as an error otherwise.
    pub fn sound(self) -> Result<Self> {
        match self.problems.first() {
            None => Ok(self),
            Some(first) => Err(BlockError::corrupt(first.file, first.offset, first.reason.clone())),
        }
    }
}

/// Verifies a block: checksums, order of series and labels, references, chunk bounds against decoded samples, counts
/// against the statistics of `meta`, content hash, sizes and digests of files, `lookup` against `index`, the exemplars, and the
/// windows. An error means that the block could not be read; what is wrong with it stands in the report.
pub fn verify(files: &dyn BlockFiles, meta: &BlockMeta) -> Result<VerifyReport> {
    let files = Counting { files, bytes: AtomicU64::new(0) };
    let mut verifier = Verifier { files: &files, meta, report: VerifyReport::default(), stock: StockTaker::default() };
    let steps = [
        Verifier::file_list,
        Verifier::series,
        Verifier::tombstones,
        Verifier::counts,
        Verifier::lookup,
        Verifier::exemplars,
        Verifier::columns,
    ];
    for step in steps {
        let result = step(&mut verifier);
        verifier.note(result)?;
    }
    let mut report = verifier.report;
    report.bytes_read = files.bytes.into_inner();
    Ok(report)
}

struct Verifier<'a> {
    files: &'a dyn BlockFiles,
    meta: &'a BlockMeta,
    report: VerifyReport,
    stock: StockTaker,
}

impl Verifier<'_> {
    /// Whether the block is one of ours, which are held to more than foreign ones.
    fn ours(&self) -> bool {
        self.meta.longhaul.is_some()
    }

    fn problem(&mut self, file: BlockFile, offset: u64, reason: impl Into<String>) {
        if self.report.problems.len() < PROBLEMS_MAX {
            self.report.problems.push(Problem { file, offset, reason: reason.into() });
        }
    }

    /// Turns what is wrong with the block into a finding; passes on what keeps it from being read.
    fn note<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        let (file, offset, reason) = match result {
            Ok(value) => return Ok(Some(value)),
            Err(BlockError::Corrupt { file, offset, reason }) => (file, offset, reason.into_owned()),
            Err(BlockError::Unsupported { file, reason }) => (file, 0, reason.into_owned()),
            Err(BlockError::Read(ReadError::Missing(file))) => (file, 0, "the file is missing".to_owned()),
            Err(BlockError::Read(ReadError::Truncated { file, end, size_bytes })) => {
                (file, size_bytes, format!("the file ends here, bytes up to {end} are referred to"))
            }
            Err(error) => return Err(error),
        };
        self.problem(file, offset, reason);
        Ok(None)
    }

    /// Sizes and digests that `meta.json` lists.
    fn file_list(&mut self) -> Result<()> {
        for entry in self.meta.thanos.iter().flat_map(|thanos| &thanos.files) {
            let Some(file) = BlockFile::from_path(&entry.rel_path) else { continue };
            let Some(size_bytes) = self.note(self.files.size(file).map_err(BlockError::from))? else { continue };
            if entry.size_bytes.is_some_and(|listed| listed != size_bytes) {
                self.problem(file, size_bytes, format!("not the size that meta.json lists: {:?}", entry.size_bytes));
            }
            let Some(hash) = entry.hash.as_ref().filter(|hash| hash.function == "SHA256") else { continue };
            let mut digest = Sha256::new();
            for piece in pieces(size_bytes) {
                digest.update(read_range(self.files, file, piece)?);
            }
            if hex(&digest.finalize()) != hash.value.to_ascii_lowercase() {
                self.problem(file, 0, "not the digest that meta.json lists");
            }
        }
        Ok(())
    }

    /// The index, and through it every chunk.
    fn series(&mut self) -> Result<()> {
        let mut walk = IndexWalk::new(self.files, IndexReader::open(self.files)?)?;
        let mut table = LabelTable::default();
        let mut previous: Option<Labels> = None;
        let mut batch = Vec::new();
        let mut batch_bytes = 0;
        let mut tiles = Tiles { segment: 0, end: SEGMENT_HEADER.len() as u64 };
        while let Some(entry) = walk.next().transpose()? {
            if previous.as_ref().is_some_and(|previous| *previous >= entry.labels) {
                return Err(BlockError::corrupt(BlockFile::Index, entry.offset, "series are out of order"));
            }
            table.push(&entry.labels);
            previous = Some(entry.labels.clone());
            self.report.stats.num_series += 1;
            batch_bytes += entry.chunks.iter().map(|chunk| u64::from(chunk.length)).sum::<u64>();
            batch.push(entry);
            if batch_bytes >= CHUNK_BYTES_MAX {
                self.chunks(&batch, &mut tiles)?;
                batch.clear();
                batch_bytes = 0;
            }
        }
        self.chunks(&batch, &mut tiles)?;
        let labels = table.sort();
        let postings = self.postings(&walk, &labels);
        self.note(postings)?;
        self.segments(&tiles)
    }

    /// The chunks of some series.
    fn chunks(&mut self, batch: &[SeriesEntry], tiles: &mut Tiles) -> Result<()> {
        let places: Vec<_> = batch.iter().flat_map(|entry| &entry.chunks).copied().collect();
        let mut chunks = read_chunk_bytes(self.files, &places)?.into_iter();
        let mut section = Vec::new();
        for entry in batch {
            let series = SeriesHash::of(&entry.labels, &mut section);
            let mut before = None;
            for (place, bytes) in entry.chunks.iter().zip(chunks.by_ref()) {
                let (file, offset) = (BlockFile::Chunks(place.segment), u64::from(place.start));
                self.report.stats.num_chunks += 1;
                if before.is_some_and(|before| before >= place.min_ms) {
                    self.report.overlapping_chunks += 1;
                    if self.ours() {
                        self.problem(file, offset, "the chunk overlaps the one before it");
                    }
                }
                before = before.max(Some(place.max_ms));
                let Some((chunk, used)) = self.note(parse_chunk(&bytes, place))? else { continue };
                if self.ours() && (tiles.follows(place.segment, offset, used).is_err() || used != place.length) {
                    self.problem(file, offset, "the chunk does not begin where the one before ended");
                }
                if let Err(reason) = self.samples(&chunk, series) {
                    self.problem(file, offset, reason);
                }
            }
        }
        Ok(())
    }

    /// The samples of a chunk against its bounds.
    fn samples(&mut self, chunk: &Chunk, series: SeriesHash) -> Result<(), String> {
        let bounds = TimeRange::inclusive(chunk.min_ms, chunk.max_ms);
        // The decoders see to it that times rise.
        let stock = self.stock.take(chunk, series, |_, _| ()).map_err(|error| error.to_string())?;
        let stats = &mut self.report.stats;
        stats.num_samples += stock.samples();
        stats.num_float_samples += stock.floats;
        stats.num_histogram_samples += stock.histograms;
        self.report.content_hash = self.report.content_hash.plus(stock.hash);
        stock.check_bounds(chunk)?;
        if !self.meta.range().covers(&bounds) {
            return Err(format!("the chunk over {bounds} does not lie in the block's range {}", self.meta.range()));
        }
        Ok(())
    }

    /// Symbols and postings of the index against the labels of its series.
    fn postings(&mut self, walk: &IndexWalk<'_>, labels: &SortedLabels) -> Result<()> {
        let mismatch = |reason: String| Err(BlockError::corrupt(BlockFile::Index, 0, reason));
        let index = walk.index();
        let mut symbols = labels.symbols.iter().map(|symbol| &**symbol).peekable();
        let mut previous: Option<&str> = None;
        for symbol in index.symbols() {
            if previous.is_some_and(|previous| previous >= symbol) {
                return mismatch(format!("symbol {symbol:?} is out of order"));
            }
            previous = Some(symbol);
            if symbols.next_if_eq(&symbol).is_none() && self.ours() {
                return mismatch(format!("no series uses the symbol {symbol:?}"));
            }
        }
        let mut table = index.postings_table()?;
        let order = |a: &PostingsEntry, b: &PostingsEntry| (&a.name, &a.value).cmp(&(&b.name, &b.value));
        if self.ours() && !table.is_sorted_by(|a, b| order(a, b).is_lt()) {
            return mismatch("the postings table is out of order".to_owned());
        }
        table.sort_by(order); // version 1 did not keep an order
        let mut pairs = labels.pairs.iter();
        for (i, entry) in table.into_iter().enumerate() {
            let of = format!("{}={:?}", entry.name, entry.value);
            let listed = index.postings(entry.offset)?;
            if i == 0 {
                if !entry.name.is_empty() || listed != walk.references() {
                    return mismatch("the first list is not that of all series".to_owned());
                }
                continue;
            }
            let Some(pair) = pairs.next() else { return mismatch(format!("no series has {of}")) };
            if (labels.text(pair.name), labels.text(pair.value)) != (&entry.name, &entry.value) {
                return mismatch(format!("the postings table has {of} where another pair belongs"));
            }
            if !pair.series.iter().map(|ordinal| walk.references()[ordinal as usize]).eq(listed) {
                return mismatch(format!("the postings of {of} are not those of its series"));
            }
        }
        match pairs.next() {
            Some(pair) => mismatch(format!("no postings for {}={:?}", labels.text(pair.name), labels.text(pair.value))),
            None => Ok(()),
        }
    }

    /// The headers of the segments, and in ours that nothing but chunks is in them.
    fn segments(&mut self, tiles: &Tiles) -> Result<()> {
        for segment in 0.. {
            let file = BlockFile::Chunks(segment);
            let size_bytes = match self.files.size(file) {
                Err(ReadError::Missing(_)) => break,
                size_bytes => size_bytes?,
            };
            let header = read_range(self.files, file, 0..SEGMENT_HEADER.len() as u64);
            if self.note(header)?.is_some_and(|header| header[..] != SEGMENT_HEADER) {
                self.problem(file, 0, "wrong magic number or version");
            }
            if self.ours() && segment >= tiles.segment && (segment, size_bytes) != (tiles.segment, tiles.end) {
                self.problem(file, tiles.end, "the segment goes on behind the last chunk");
            }
        }
        Ok(())
    }

    /// The tombstones file, which a block in a bucket does not have.
    fn tombstones(&mut self) -> Result<()> {
        let size_bytes = match self.files.size(BlockFile::Tombstones) {
            Err(ReadError::Missing(_)) if self.meta.stats.num_tombstones == 0 => return Ok(()),
            size_bytes => size_bytes?,
        };
        let tombstones = Tombstones::parse(&read_range(self.files, BlockFile::Tombstones, 0..size_bytes)?)?;
        self.report.stats.num_tombstones = tombstones.len() as u64;
        Ok(())
    }

    /// What was counted against what `meta.json` says.
    fn counts(&mut self) -> Result<()> {
        let (said, found) = (&self.meta.stats, self.report.stats.clone());
        // Those who downsample count as they like; older writers do not tell floats from histograms.
        let raw = self.meta.resolution_ms() == 0;
        let newer = said.num_float_samples + said.num_histogram_samples > 0;
        let counts = [
            (true, "series", said.num_series, found.num_series),
            (true, "chunks", said.num_chunks, found.num_chunks),
            (true, "tombstones", said.num_tombstones, found.num_tombstones),
            (raw, "samples", said.num_samples, found.num_samples),
            (raw && newer, "float samples", said.num_float_samples, found.num_float_samples),
            (raw && newer, "histogram samples", said.num_histogram_samples, found.num_histogram_samples),
        ];
        for (_, what, said, found) in counts.iter().filter(|(compare, _, said, found)| *compare && said != found) {
            self.problem(BlockFile::Meta, 0, format!("says {said} {what}, there are {found}"));
        }
        let hash = self.meta.longhaul.as_ref().map(|longhaul| longhaul.content_hash);
        if hash.is_some_and(|hash| hash != self.report.content_hash) {
            self.problem(BlockFile::Meta, 0, format!("the content hash is {}", self.report.content_hash));
        }
        Ok(())
    }

    /// The lookup, if there is one, against the one that the index gives.
    fn lookup(&mut self) -> Result<()> {
        let size_bytes = match self.files.size(BlockFile::Lookup) {
            Err(ReadError::Missing(_)) => return Ok(()),
            size_bytes => size_bytes?,
        };
        let compare = Compare { files: self.files, at: 0, size_bytes, piece: Bytes::new() };
        let built = write_lookup(self.files, self.meta, compare)?;
        if built.sink.at != size_bytes {
            self.problem(BlockFile::Lookup, built.sink.at, "the file goes on behind its end");
        }
        let said = self.meta.longhaul.as_ref().map_or(0, |longhaul| longhaul.lookup_footer_bytes);
        if said != 0 && said != built.footer_bytes {
            self.problem(BlockFile::Meta, 0, format!("says {said} bytes of lookup footer, not {}", built.footer_bytes));
        }
        Ok(())
    }

    /// The exemplars, if there are any.
    fn exemplars(&mut self) -> Result<()> {
        let said = self.meta.exemplars();
        let found = match self.files.size(BlockFile::Exemplars) {
            Err(ReadError::Missing(_)) if said == 0 => return Ok(()),
            size_bytes => size_bytes.map(|_| exemplars::check(self.files, self.meta))??,
        };
        if found != said {
            self.problem(BlockFile::Meta, 0, format!("says {said} exemplars, there are {found}"));
        }
        Ok(())
    }

    /// The windows, if there are any.
    fn columns(&mut self) -> Result<()> {
        let found = match self.files.size(BlockFile::Columns) {
            Err(ReadError::Missing(_)) => return Ok(()),
            size_bytes => size_bytes.map(|_| columns::check(self.files, self.meta))??,
        };
        if found != self.report.stats.num_series {
            let reason = format!("has windows of {found} series, the index has {}", self.report.stats.num_series);
            self.problem(BlockFile::Columns, 0, reason);
        }
        Ok(())
    }
}

/// Where the next chunk belongs.
struct Tiles {
    segment: u32,
    end: u64,
}

impl Tiles {
    /// Takes the next chunk; an error if it lies elsewhere.
    fn follows(&mut self, segment: u32, start: u64, length: u32) -> Result<(), ()> {
        let next_segment = self.segment.checked_add(1) == Some(segment) && start == SEGMENT_HEADER.len() as u64;
        let follows = (segment == self.segment && start == self.end) || next_segment;
        (self.segment, self.end) = (segment, start + u64::from(length));
        if follows { Ok(()) } else { Err(()) }
    }
}

fn pieces(size_bytes: u64) -> impl Iterator<Item = Range<u64>> {
    let end = move |start: u64| start.saturating_add(PIECE_BYTES).min(size_bytes);
    (0..size_bytes).step_by(PIECE_BYTES as usize).map(move |start| start..end(start))
}

/// A sink that holds what it is given against the stored lookup.
struct Compare<'a> {
    files: &'a dyn BlockFiles,
    at: u64,
    size_bytes: u64,
    /// What is read ahead from `at`.
    piece: Bytes,
}

impl Sink for Compare<'_> {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let end = self.at + bytes.len() as u64;
        if end > self.size_bytes {
            return Err(BlockError::corrupt(BlockFile::Lookup, self.size_bytes, "the file ends early"));
        }
        if self.piece.len() < bytes.len() {
            let ahead = end.max((self.at + PIECE_BYTES).min(self.size_bytes));
            self.piece = read_range(self.files, BlockFile::Lookup, self.at..ahead)?;
        }
        let stored = self.piece.split_to(bytes.len());
        if let Some(difference) = stored.iter().zip(bytes).position(|(a, b)| a != b) {
            let reason = "not the lookup of the index";
            return Err(BlockError::corrupt(BlockFile::Lookup, self.at + difference as u64, reason));
        }
        self.at = end;
        Ok(())
    }
}

/// Counts what is read.
struct Counting<'a> {
    files: &'a dyn BlockFiles,
    bytes: AtomicU64,
}

impl BlockFiles for Counting<'_> {
    fn read(&self, file: BlockFile, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, ReadError> {
        let buffers = self.files.read(file, ranges)?;
        self.bytes.fetch_add(buffers.iter().map(|buffer| buffer.len() as u64).sum(), Ordering::Relaxed);
        Ok(buffers)
    }

    fn size(&self, file: BlockFile) -> Result<u64, ReadError> {
        self.files.size(file)
    }

    fn coalesce_gap_bytes(&self) -> u64 {
        self.files.coalesce_gap_bytes()
    }
}

#[cfg(test)]
mod tests;
