//! From a set of series to their labels and chunks: pages of the lookup and runs of chunks, many to a read, never more
//! in memory than a bounded stretch.

use crate::block::Block;
use crate::error::{BlockError, Result};
use crate::files::BlockFile;
use crate::lookup::{ChunkPlace, Lookup, PageSeries};
use crate::segments::read_chunks;
use crate::tombstones::mask;
use bytes::Bytes;
use longhaul_chunk::{Chunk, SeriesChunks};
use longhaul_model::{Labels, TimeRange};
use longhaul_postings::RoaringBitmap;
use std::collections::VecDeque;

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
    mut visit: impl FnMut(Labels, &[ChunkPlace]),
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
    fetched: VecDeque<(usize, Bytes, RoaringBitmap)>,
}

impl Pages {
    fn new(pending: RoaringBitmap) -> Self {
        Self { pending, bytes_max: PAGES_BYTES_MAX, fetched: VecDeque::new() }
    }

    /// Calls `visit` with the wanted series of the next page; false if there is none.
    fn next(&mut self, lookup: &Lookup, visit: &mut impl FnMut(Labels, &[ChunkPlace])) -> Result<bool> {
        if self.fetched.is_empty() {
            self.fetch(lookup)?;
        }
        let Some((page, bytes, wanted)) = self.fetched.pop_front() else { return Ok(false) };
        let mut reader = lookup.open_series_page(page, &bytes)?;
        let mut wanted = wanted.into_iter().peekable();
        let mut series = PageSeries::default();
        for ordinal in lookup.page_series(page) {
            if wanted.peek().is_none() {
                break;
            }
            if !reader.next(&mut series)? {
                return Err(BlockError::corrupt(BlockFile::Lookup, 0, "a series page ends early"));
            }
            if wanted.next_if_eq(&ordinal).is_some() {
                visit(reader.labels(&series), &series.chunks);
            }
        }
        Ok(true)
    }

    fn fetch(&mut self, lookup: &Lookup) -> Result<()> {
        let (mut pages, mut sets, mut bytes) = (Vec::new(), Vec::new(), 0);
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
            pages.push(page);
            sets.push(wanted);
        }
        if !pages.is_empty() {
            let buffers = lookup.read_series_pages(&pages)?;
            self.fetched
                .extend(pages.into_iter().zip(buffers).zip(sets).map(|((page, bytes), set)| (page, bytes, set)));
        }
        Ok(())
    }
}

/// What [`Block::select`] found: an iterator of batches in label order, each of at most 512 series; chunks are read
/// as it advances, a bounded number of bytes at a time.
pub struct BlockSeries {
    block: Block,
    range: TimeRange,
    matched: u64,
    pages: Pages,
    /// Series whose chunks have not been fetched.
    places: VecDeque<(Labels, Vec<ChunkPlace>)>,
    ready: VecDeque<SeriesChunks>,
    read_bytes_max: u64,
    failed: bool,
}

impl BlockSeries {
    pub(crate) fn new(block: Block, ordinals: RoaringBitmap, range: TimeRange) -> Self {
        let (matched, pages) = (ordinals.len(), Pages::new(ordinals));
        Self {
            block,
            range,
            matched,
            pages,
            places: VecDeque::new(),
            ready: VecDeque::new(),
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

    /// Fetches the chunks of the next stretch of series.
    fn fill(&mut self) -> Result<()> {
        let inner = self.block.inner.clone();
        let gap = inner.files.coalesce_gap_bytes();
        let (mut series, mut wanted) = (Vec::new(), Vec::new());
        let mut budget = ReadBudget::new(gap, self.read_bytes_max);
        let series_max = READ_SERIES_MAX.min((self.read_bytes_max / SERIES_BYTES) as usize).max(1);
        while series.len() < series_max {
            let Some((labels, places)) = self.places.pop_front() else {
                let (range, queue) = (self.range, &mut self.places);
                let more = self.pages.next(&inner.lookup, &mut |labels, chunks: &[ChunkPlace]| {
                    let meets = |chunk: &&ChunkPlace| TimeRange::inclusive(chunk.min_ms, chunk.max_ms).overlaps(&range);
                    let places: Vec<_> = chunks.iter().filter(meets).copied().collect();
                    if !places.is_empty() {
                        queue.push_back((labels, places));
                    }
                })?;
                if more { continue } else { break }
            };
            if !budget.admit(&places) && !series.is_empty() {
                self.places.push_front((labels, places));
                break;
            }
            wanted.extend_from_slice(&places);
            series.push((labels, places.len()));
        }
        let mut chunks = read_chunks(&*inner.files, &wanted)?.into_iter().zip(wanted);
        for (labels, count) in series {
            let chunks = chunks.by_ref().take(count);
            let chunks: Vec<Chunk> = match inner.deleted.get(&labels) {
                None => chunks.map(|(chunk, _)| chunk).collect(),
                Some(deleted) => {
                    let mut left = Vec::with_capacity(count);
                    for (chunk, place) in chunks {
                        let file = BlockFile::Chunks(place.segment);
                        mask(chunk, deleted, &mut left)
                            .map_err(|error| BlockError::chunk(file, place.start.into(), &error))?;
                    }
                    left
                }
            };
            if chunks.iter().any(|chunk| TimeRange::inclusive(chunk.min_ms, chunk.max_ms).overlaps(&self.range)) {
                self.ready.push_back(SeriesChunks { labels, chunks });
            }
        }
        Ok(())
    }
}

impl Iterator for BlockSeries {
    type Item = Result<Vec<SeriesChunks>>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() && !self.failed {
            let more = !self.places.is_empty() || !self.pages.fetched.is_empty() || !self.pages.pending.is_empty();
            if !more {
                return None;
            }
            if let Err(error) = self.fill() {
                self.failed = true;
                return Some(Err(error));
            }
        }
        let batch = self.ready.len().min(BATCH_SERIES_MAX);
        (batch > 0).then(|| Ok(self.ready.drain(..batch).collect()))
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
