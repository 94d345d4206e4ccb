//! From a set of series to their labels and chunks: pages of the lookup and runs of chunks, many to a read, never more
//! in memory than a bounded stretch.

use crate::block::Block;
use crate::deleted::ranges_of;
use crate::error::{BlockError, Result};
use crate::files::BlockFile;
use crate::lookup::{ChunkPlace, Lookup, SeriesRun};
use crate::segments::{parse_chunk, read_chunk_bytes};
use crate::tombstones::mask;
use bytes::Bytes;
use longhaul_chunk::{Chunk, SeriesChunks};
use longhaul_model::{Labels, TimeRange, Tombstone};
use longhaul_postings::RoaringBitmap;
use std::collections::VecDeque;
use std::sync::Arc;

/// Series in one batch at most.
const BATCH_SERIES_MAX: usize = 512;

/// Bytes of chunks, and of what lies between them, that one round of reads fetches at most (a series more than that
/// comes alone).
const READ_BYTES_MAX: u64 = 8 << 20;

/// A series' labels and the places of its chunks take about so many bytes: who reads few chunks at a time does not want
/// many of those either.
const SERIES_BYTES: u64 = 512;

/// Series for which one round of reads fetches chunks at most: they hold labels and places in memory.
const READ_SERIES_MAX: usize = 16 << 10;

/// Bytes of series pages that one round of reads fetches at most.
const PAGES_BYTES_MAX: u64 = 4 << 20;

/// Calls `visit` with the labels and chunks of the given series, in label order.
pub(crate) fn walk(
    lookup: &Lookup,
    ordinals: &RoaringBitmap,
    mut visit: impl FnMut(&Labels, &[ChunkPlace]),
) -> Result<()> {
    let mut pages = Pages::new(ordinals.clone());
    while pages.next(lookup, &mut visit)? {}
    Ok(())
}

/// The series pages that hold a set of series, fetched some at a time.
struct Pages {
    /// Series whose pages have not been fetched.
    pending: RoaringBitmap,
    /// Bytes of pages that one round fetches at most.
    bytes_max: u64,
    /// Pages that are here, with the series of them that are wanted.
    fetched: VecDeque<(usize, Page, RoaringBitmap)>,
}

/// A series page as it was fetched, or as it was kept.
enum Page {
    Fetched(Bytes),
    Kept(Arc<SeriesRun>),
}

impl Pages {
    fn new(pending: RoaringBitmap) -> Self {
        Self { pending, bytes_max: PAGES_BYTES_MAX, fetched: VecDeque::new() }
    }

    fn is_empty(&self) -> bool {
        self.fetched.is_empty() && self.pending.is_empty()
    }

    /// Calls `visit` with the wanted series of the next page; false if there is none.
    fn next(&mut self, lookup: &Lookup, visit: &mut impl FnMut(&Labels, &[ChunkPlace])) -> Result<bool> {
        if self.fetched.is_empty() {
            self.fetch(lookup)?;
        }
        let Some((page, content, wanted)) = self.fetched.pop_front() else { return Ok(false) };
        let run = match content {
            Page::Kept(run) => run,
            Page::Fetched(bytes) => lookup.decode_series_page(page, &bytes)?,
        };
        let first = lookup.page_series(page).start;
        for ordinal in wanted {
            let (labels, places) = run.get((ordinal - first) as usize);
            visit(labels, places);
        }
        Ok(true)
    }

    /// Takes the next pages: those that are kept as they are, the others in one round of reads.
    fn fetch(&mut self, lookup: &Lookup) -> Result<()> {
        let (mut missing, mut bytes) = (Vec::new(), 0);
        while let Some(ordinal) = self.pending.min()
            && bytes < self.bytes_max
        {
            let page = lookup.series_page_of(ordinal);
            let of_page = lookup.page_series(page);
            let mut wanted = RoaringBitmap::new();
            wanted.insert_range(of_page.clone());
            wanted &= &self.pending;
            self.pending.remove_range(..of_page.end);
            bytes += lookup.series_page_bytes(page);
            let kept = lookup.kept_series(page).map(Page::Kept);
            if kept.is_none() {
                missing.push(page);
            }
            self.fetched.push_back((page, kept.unwrap_or(Page::Fetched(Bytes::new())), wanted));
        }
        let mut buffers = match missing.is_empty() {
            true => Vec::new(),
            false => lookup.read_series_pages(&missing)?,
        }
        .into_iter();
        let not_kept = self.fetched.iter_mut().filter_map(|(_, page, _)| match page {
            Page::Fetched(bytes) => Some(bytes),
            Page::Kept(_) => None,
        });
        not_kept.zip(&mut buffers).for_each(|(place, bytes)| *place = bytes);
        Ok(())
    }
}

/// What [`Block::select`] found: an iterator of batches in label order, each of at most 512 series; chunks are read
/// as it advances, a bounded number of bytes at a time.
pub struct BlockSeries {
    block: Block,
    range: TimeRange,
    /// What is deleted of some of the series, apart from what the block's own tombstones say.
    tombstones: Vec<Arc<Tombstone>>,
    matched: u64,
    pages: Pages,
    /// Series whose chunks have not been fetched.
    places: VecDeque<(Labels, Vec<ChunkPlace>)>,
    /// Series whose chunks have been fetched, and how many of them the iterator has given out.
    fetched: Option<(FetchedSeries, usize)>,
    read_bytes_max: u64,
    failed: bool,
}

impl BlockSeries {
    pub(crate) fn new(
        block: Block,
        ordinals: RoaringBitmap,
        range: TimeRange,
        tombstones: Vec<Arc<Tombstone>>,
    ) -> Self {
        let (matched, pages) = (ordinals.len(), Pages::new(ordinals));
        Self {
            block,
            range,
            tombstones,
            matched,
            pages,
            places: VecDeque::new(),
            fetched: None,
            read_bytes_max: READ_BYTES_MAX,
            failed: false,
        }
    }

    /// How many series the matchers select in the block (before those without a chunk in the range are left out).
    pub fn series_matched(&self) -> u64 {
        self.matched
    }

    /// The same with other than 8 MiB of chunks in one round of reads, for those who read many blocks side by side.
    #[must_use]
    pub fn reading_at_most(mut self, bytes: u64) -> Self {
        self.read_bytes_max = bytes;
        self.pages.bytes_max = bytes.min(PAGES_BYTES_MAX);
        self
    }

    /// The same, series by series.
    pub fn into_series(self) -> impl Iterator<Item = Result<SeriesChunks>> + Send {
        self.flat_map(|batch| match batch {
            Ok(series) => Either::Series(series.into_iter()),
            Err(error) => Either::Error(Some(error)),
        })
    }

    /// Fetches the chunks of the next stretch of series, to be read by whoever has the time; None at the end.
    pub fn fetch(&mut self) -> Result<Option<FetchedSeries>> {
        let inner = self.block.inner.clone();
        let mut stretch = Stretch::default();
        let mut budget = ReadBudget::new(inner.files.coalesce_gap_bytes(), self.read_bytes_max);
        let series_max = READ_SERIES_MAX.min((self.read_bytes_max / SERIES_BYTES) as usize).max(1);
        while stretch.series.len() < series_max {
            let Some((labels, places)) = self.places.pop_front() else {
                let (range, queue) = (self.range, &mut self.places);
                let more = self.pages.next(&inner.lookup, &mut |labels, chunks: &[ChunkPlace]| {
                    let meets = |chunk: &&ChunkPlace| TimeRange::inclusive(chunk.min_ms, chunk.max_ms).overlaps(&range);
                    let places: Vec<_> = chunks.iter().filter(meets).copied().collect();
                    if !places.is_empty() {
                        queue.push_back((labels.clone(), places));
                    }
                })?;
                if more { continue } else { break }
            };
            if !budget.admit(&places) && !stretch.series.is_empty() {
                self.places.push_front((labels, places));
                break;
            }
            stretch.push(labels, &places);
        }
        if stretch.series.is_empty() {
            return Ok(None);
        }
        let chunks = read_chunk_bytes(&*inner.files, &stretch.places)?;
        let (block, tombstones) = (self.block.clone(), self.tombstones.clone());
        Ok(Some(FetchedSeries { block, range: self.range, tombstones, stretch, chunks }))
    }

    /// Whether [`Self::fetch`] may still bring something.
    pub fn has_more(&self) -> bool {
        !self.places.is_empty() || !self.pages.is_empty()
    }

    fn batch(&mut self) -> Result<Option<Vec<SeriesChunks>>> {
        let mut batch = Vec::new();
        while batch.is_empty() {
            let (fetched, next) = match self.fetched.take() {
                Some(rest) => rest,
                None => match self.fetch()? {
                    Some(fetched) => (fetched, 0),
                    None => return Ok(None),
                },
            };
            let end = fetched.len().min(next + BATCH_SERIES_MAX);
            for index in next..end {
                batch.extend(fetched.read(index)?);
            }
            self.fetched = (end < fetched.len()).then_some((fetched, end));
        }
        Ok(Some(batch))
    }
}

impl Iterator for BlockSeries {
    type Item = Result<Vec<SeriesChunks>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let batch = self.batch();
        self.failed = batch.is_err();
        batch.transpose()
    }
}

/// A stretch of series: where their chunks lie.
#[derive(Default)]
struct Stretch {
    /// Each series with the number of places before the end of its own.
    series: Vec<(Labels, usize)>,
    places: Vec<ChunkPlace>,
}

impl Stretch {
    fn push(&mut self, labels: Labels, places: &[ChunkPlace]) {
        self.places.extend_from_slice(places);
        self.series.push((labels, self.places.len()));
    }
}

/// A stretch of series in label order whose chunks have been fetched, and are checked only when they are read. Any number
/// of threads may read it.
pub struct FetchedSeries {
    block: Block,
    range: TimeRange,
    tombstones: Vec<Arc<Tombstone>>,
    stretch: Stretch,
    chunks: Vec<Bytes>,
}

impl FetchedSeries {
    /// How many series there are: at least one.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.stretch.series.len()
    }

    /// The labels of series `index`.
    pub fn labels(&self, index: usize) -> &Labels {
        &self.stretch.series[index].0
    }

    /// Series `index` with its chunks that meet the range, deletions applied; None if nothing is left of it.
    pub fn read(&self, index: usize) -> Result<Option<SeriesChunks>> {
        let Stretch { series, places } = &self.stretch;
        let begin = index.checked_sub(1).map_or(0, |before| series[before].1);
        let (labels, end) = &series[index];
        let mut deleted = ranges_of(&self.tombstones, labels);
        deleted.extend(self.block.inner.deleted.get(labels).into_iter().flatten());
        let mut chunks = Vec::with_capacity(end - begin);
        for (bytes, place) in self.chunks[begin..*end].iter().zip(&places[begin..*end]) {
            let (chunk, _) = parse_chunk(bytes, place)?;
            mask(chunk, &deleted, &mut chunks)
                .map_err(|error| BlockError::chunk(BlockFile::Chunks(place.segment), place.start.into(), &error))?;
        }
        let meets = |chunk: &Chunk| TimeRange::inclusive(chunk.min_ms, chunk.max_ms).overlaps(&self.range);
        Ok(chunks.iter().any(meets).then(|| SeriesChunks { labels: labels.clone(), chunks }))
    }
}

/// Estimates what reading runs of chunks costs while they are collected.
struct ReadBudget {
    gap: u64,
    bytes_max: u64,
    bytes: u64,
    end: Option<(u32, u64)>,
}

impl ReadBudget {
    fn new(gap: u64, bytes_max: u64) -> Self {
        Self { gap, bytes_max, bytes: 0, end: None }
    }

    /// Adds a series' chunks; false if they are too much.
    fn admit(&mut self, places: &[ChunkPlace]) -> bool {
        for place in places {
            let between = match self.end {
                Some((segment, end)) if segment == place.segment => u64::from(place.start).saturating_sub(end),
                _ => 0,
            };
            self.bytes += u64::from(place.length) + if between <= self.gap { between } else { 0 };
            self.end = Some((place.segment, place.end()));
        }
        self.bytes <= self.bytes_max
    }
}

/// The series of a batch, or why there is none.
enum Either {
    Series(std::vec::IntoIter<SeriesChunks>),
    Error(Option<BlockError>),
}

impl Iterator for Either {
    type Item = Result<SeriesChunks>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Series(series) => series.next().map(Ok),
            Self::Error(error) => error.take().map(Err),
        }
    }
}
