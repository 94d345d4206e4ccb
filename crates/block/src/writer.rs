//! Writes a block into a directory, series by series in label order, in bounded memory.
//!
//! Chunks go to the segments and series to the lookup as they come. The index needs all symbols before its first
//! series, so it is written last, from the pages of the lookup; what is kept until then is some 100 bytes a series.

use crate::columns::{ColumnSet, ColumnsWriter};
use crate::content_hash::{ContentHash, SeriesHash};
use crate::downsample::CoarseSeries;
use crate::error::{BlockError, Result};
use crate::exemplars::ExemplarsWriter;
use crate::files::{BlockFile, LocalFiles};
use crate::index::write_index;
use crate::label_table::SortedLabels;
use crate::lookup::{ChunkPlace, FinishedLookup, Lookup, LookupWriter, PageSeries};
use crate::merge::MergedSeries;
use crate::meta::{BlockMeta, BlockStats, FileEntry, ThanosMeta};
use crate::segments::{SEGMENT_BYTES_MAX, SegmentsWriter};
use crate::sink::{FileSink, Sink};
use crate::stock::{Stock, StockTaker};
use crate::tombstones::Tombstones;
use longhaul_chunk::{Chunk, SeriesChunks};
use longhaul_disk::Fs;
use longhaul_downsample::{NumberedWindow, Resolution};
use longhaul_model::{Exemplar, Labels, TimeRange};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A block being written.
pub struct BlockWriter {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    /// Directories whose names must be made durable, the block's own first.
    parents: Vec<PathBuf>,
    meta: BlockMeta,
    segments: SegmentsWriter,
    lookup: LookupWriter<FileSink>,
    exemplars: ExemplarsWriter,
    /// The windows, in a downsampled block.
    columns: Option<ColumnsWriter<FileSink>>,
    /// What was pushed, counted and hashed.
    stats: BlockStats,
    content_hash: ContentHash,
    range: TimeRange,
    previous: Option<Labels>,
    scratch: Scratch,
}

/// Buffers that live from series to series.
#[derive(Default)]
struct Scratch {
    section: Vec<u8>,
    stock: StockTaker,
    places: Vec<ChunkPlace>,
}

impl BlockWriter {
    /// Begins a block in `dir`, which must not hold files of a block yet (the caller chooses a temporary name, renames
    /// it when [`Self::finish`] has returned, and removes what a crash left). `seed` says what the samples do not: id,
    /// range, ancestry, the `thanos` labels, the `longhaul` section; statistics, file list and content hash are filled
    /// in. With an empty range the range is taken from the samples, otherwise every sample must lie inside.
    pub fn create(fs: Arc<dyn Fs>, dir: &Path, seed: BlockMeta) -> Result<Self> {
        Self::with_segments_of(fs, dir, seed, SEGMENT_BYTES_MAX)
    }

    /// [`Self::create`] with another size of segments, bytes.
    pub(crate) fn with_segments_of(fs: Arc<dyn Fs>, dir: &Path, seed: BlockMeta, bytes_max: u64) -> Result<Self> {
        let parents = missing_and_first_present(&*fs, dir);
        let chunks = dir.join("chunks");
        fs.create_dir_all(&chunks).map_err(|error| BlockError::Write { path: chunks, error })?;
        let lookup = LookupWriter::begin(FileSink::create(&*fs, dir, BlockFile::Lookup)?)?;
        Ok(Self {
            segments: SegmentsWriter::new(fs.clone(), dir.to_owned(), bytes_max),
            fs,
            dir: dir.to_owned(),
            parents,
            meta: seed,
            lookup,
            exemplars: ExemplarsWriter::default(),
            columns: None,
            stats: BlockStats::default(),
            content_hash: ContentHash::default(),
            range: TimeRange::new(0, 0),
            previous: None,
            scratch: Scratch::default(),
        })
    }

    /// Adds a series: labels above all before, chunks in time order and disjoint. A series without chunks is left out.
    /// Chunks are decoded once, to be counted, hashed and held against their bounds.
    pub fn push(&mut self, series: &SeriesChunks) -> Result<()> {
        self.push_known(series, None)
    }

    /// [`Self::push`] for what comes out of a merge. What the merge counted and hashed is taken over: whether the chunks
    /// hold it, [`crate::verify`] finds out.
    pub fn push_merged(&mut self, merged: &MergedSeries) -> Result<()> {
        self.push_known(&merged.series, merged.stock)
    }

    fn push_known(&mut self, series: &SeriesChunks, known: Option<Stock>) -> Result<()> {
        if series.chunks.is_empty() {
            return Ok(());
        }
        if self.previous.as_ref().is_some_and(|previous| *previous >= series.labels) {
            return refused(format!(
                "{} comes after {}",
                series.labels,
                self.previous.as_ref().unwrap_or(&series.labels)
            ));
        }
        if let Some(pair) = series.chunks.windows(2).find(|pair| pair[0].max_ms >= pair[1].min_ms) {
            return refused(format!("chunks of {} overlap at {} ms", series.labels, pair[1].min_ms));
        }
        for chunk in &series.chunks {
            self.take_bounds(chunk).or_else(|reason| refused(format!("{}: {reason}", series.labels)))?;
        }
        match known {
            Some(stock) => self.count(&stock),
            None => {
                let hash = SeriesHash::of(&series.labels, &mut self.scratch.section);
                for chunk in &series.chunks {
                    self.take_stock(chunk, hash).or_else(|reason| refused(format!("{}: {reason}", series.labels)))?;
                }
            }
        }
        self.scratch.places.clear();
        for chunk in &series.chunks {
            self.scratch.places.push(self.segments.write(chunk)?);
        }
        self.lookup.push(&series.labels, &self.scratch.places)?;
        self.stats.num_series += 1;
        self.stats.num_chunks += series.chunks.len() as u64;
        self.previous = Some(series.labels.clone());
        Ok(())
    }

    /// Adds an exemplar: series in label order, the exemplars of one in theirs, none twice. Apart from that they may come
    /// before, between and after the series of samples, and of series without samples.
    pub fn push_exemplar(&mut self, series: &Labels, exemplar: &Exemplar) -> Result<()> {
        let fixed = self.meta.range();
        if !fixed.is_empty() && !fixed.contains(exemplar.t_ms) {
            return refused(format!("an exemplar of {series} at {} ms does not lie in {fixed}", exemplar.t_ms));
        }
        if self.meta.longhaul.is_none() {
            return refused("exemplars are counted in the `longhaul` section, which the seed does not have".into());
        }
        self.exemplars.push(&*self.fs, &self.dir, series, exemplar)
    }

    /// Notes the range of a chunk; an error says what is wrong with it.
    fn take_bounds(&mut self, chunk: &Chunk) -> Result<(), String> {
        let bounds = TimeRange::inclusive(chunk.min_ms, chunk.max_ms);
        let fixed = self.meta.range();
        if bounds.is_empty() || (!fixed.is_empty() && !fixed.covers(&bounds)) {
            return Err(format!("a chunk over {bounds} does not lie in {fixed}"));
        }
        self.range = self.range.hull(&bounds);
        Ok(())
    }

    /// Counts and hashes a chunk; an error says what is wrong with it.
    fn take_stock(&mut self, chunk: &Chunk, series: SeriesHash) -> Result<(), String> {
        let stock = self.scratch.stock.take(chunk, series, |_, _| ()).map_err(|error| error.to_string())?;
        stock.check_bounds(chunk)?;
        self.count(&stock);
        Ok(())
    }

    fn count(&mut self, stock: &Stock) {
        self.stats.num_samples += stock.samples();
        self.stats.num_float_samples += stock.floats;
        self.stats.num_histogram_samples += stock.histograms;
        self.content_hash = self.content_hash.plus(stock.hash);
    }

    /// [`Self::push`] with [`Self::push_windows`], of which only what is known is written.
    pub fn push_coarse(&mut self, series: &CoarseSeries) -> Result<()> {
        self.push(&series.series)?;
        self.push_known_windows(&series.windows, series.known)
    }

    /// Adds the windows of the series that was pushed last. A block has those of all its series or of none; how long they
    /// are is its resolution, which the seed says.
    pub fn push_windows(&mut self, windows: &[NumberedWindow]) -> Result<()> {
        self.push_known_windows(windows, ColumnSet::ALL)
    }

    fn push_known_windows(&mut self, windows: &[NumberedWindow], known: ColumnSet) -> Result<()> {
        let columns = match &mut self.columns {
            Some(columns) => columns,
            none => {
                let Some(resolution) = Resolution::new(self.meta.resolution_ms()) else {
                    return refused("a block of raw samples has no windows".into());
                };
                let sink = FileSink::create(&*self.fs, &self.dir, BlockFile::Columns)?;
                none.insert(ColumnsWriter::begin(sink, resolution)?)
            }
        };
        match &self.previous {
            Some(labels) if columns.series() + 1 == self.stats.num_series => columns.push(labels, windows, known),
            _ => refused("windows come once, after the chunks of their series".into()),
        }
    }

    /// What was pushed so far, counted.
    pub fn stats(&self) -> &BlockStats {
        &self.stats
    }

    /// The hash of what was pushed so far.
    pub fn content_hash(&self) -> ContentHash {
        self.content_hash
    }

    /// Writes what is left, `meta.json` last; everything is durable when it returns, the name of `dir` included.
    pub fn finish(self) -> Result<BlockMeta> {
        let Self { fs, dir, parents, mut meta, segments, lookup, exemplars, columns, .. } = self;
        let mut files = segments.finish()?;
        if let Some(columns) = columns {
            if columns.series() != self.stats.num_series {
                return refused("a series of the block has no windows".into());
            }
            files.push(columns.finish()?.finish()?);
        }
        let FinishedLookup { sink, labels, footer_bytes } = lookup.finish()?;
        files.push(sink.finish()?);
        files.push(index_of(&fs, &dir, &labels)?);
        drop(labels);
        let (exemplars_count, exemplars_range) = (exemplars.count(), exemplars.range());
        files.extend(exemplars.finish(&*fs, &dir)?);
        let mut tombstones = FileSink::create(&*fs, &dir, BlockFile::Tombstones)?;
        tombstones.append(&Tombstones::default().to_bytes())?;
        files.push(tombstones.finish()?);
        files.push(FileEntry { rel_path: BlockFile::Meta.path(), ..FileEntry::default() });
        files.sort_by(|a, b| a.rel_path.cmp(&b.rel_path));

        if meta.range().is_empty() {
            let range = self.range.hull(&exemplars_range);
            (meta.min_ms, meta.end_ms) = (range.start_ms, range.end_ms);
        }
        meta.stats = self.stats;
        let thanos = meta.thanos.get_or_insert_with(|| ThanosMeta {
            version: Some(1),
            source: "longhaul".into(),
            ..ThanosMeta::default()
        });
        thanos.files = files;
        if let Some(longhaul) = &mut meta.longhaul {
            longhaul.content_hash = self.content_hash;
            longhaul.lookup_footer_bytes = footer_bytes;
            longhaul.exemplars = exemplars_count;
        }
        sync_dir(&*fs, &dir.join("chunks"))?;
        let mut sink = FileSink::create(&*fs, &dir, BlockFile::Meta)?;
        sink.append(&meta.to_json())?;
        sink.finish()?;
        sync_dir(&*fs, &dir)?;
        parents.iter().try_for_each(|parent| sync_dir(&*fs, parent))?;
        Ok(meta)
    }
}

/// Writes a whole block: [`BlockWriter`] in one call.
pub fn write(
    fs: Arc<dyn Fs>,
    dir: &Path,
    seed: BlockMeta,
    series: impl IntoIterator<Item = Result<impl Into<MergedSeries>>>,
) -> Result<BlockMeta> {
    let mut writer = BlockWriter::create(fs, dir, seed)?;
    for series in series {
        writer.push_merged(&series?.into())?;
    }
    writer.finish()
}

fn refused<T>(reason: String) -> Result<T> {
    Err(BlockError::Refused(reason.into()))
}

/// Writes `index` from the pages of the lookup that was just written.
fn index_of(fs: &Arc<dyn Fs>, dir: &Path, labels: &SortedLabels) -> Result<FileEntry> {
    let lookup = Lookup::open(Arc::new(LocalFiles::new(fs.clone(), dir)), None, 0)?;
    let mut sink = FileSink::create(&**fs, dir, BlockFile::Index)?;
    write_index(&mut sink, labels, |each| {
        for page in 0..lookup.series_pages() {
            let bytes = lookup.read_series_pages(&[page])?.pop().unwrap_or_default();
            let mut page = lookup.open_series_page(page, &bytes)?;
            let symbols: Vec<u32> = page.texts().iter().filter_map(|text| labels.symbol(text)).collect();
            assert_eq!(symbols.len(), page.texts().len(), "every text of a page is a symbol");
            let (mut series, mut pairs) = (PageSeries::default(), Vec::new());
            while page.next(&mut series)? {
                pairs.clear();
                pairs.extend(series.pairs.iter().map(|(n, v)| (symbols[*n as usize], symbols[*v as usize])));
                each(&pairs, &series.chunks)?;
            }
        }
        Ok(())
    })?;
    sink.finish()
}

fn sync_dir(fs: &dyn Fs, dir: &Path) -> Result<()> {
    fs.sync_dir(dir).map_err(|error| BlockError::Write { path: dir.to_owned(), error })
}

/// The directories above `dir` up to the first that is there already: new names appear in all of them.
fn missing_and_first_present(fs: &dyn Fs, dir: &Path) -> Vec<PathBuf> {
    let mut parents = Vec::new();
    for parent in dir.ancestors().skip(1) {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        parents.push(parent.to_owned());
        if fs.list(parent).is_ok() {
            break;
        }
    }
    parents
}

#[cfg(test)]
mod tests;
