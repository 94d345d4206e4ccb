//! Reads `columns`: the directory, then of the runs that hold the series the pages of the columns that are wanted.
//!
//! Invariant: what comes out stood under a checksum (I-BLOCK-1); lengths, counts and numbers are checked against what can be
//! there.

use super::column::{Column, ColumnSet};
use super::page::Page;
use super::series::{Pages, corrupt, decode, windows_of};
use super::{FILE, HEADER, MAGIC, RUN_SERIES, RUN_WINDOWS, SERIES_WINDOWS_MAX, VERSION};
use crate::cursor::Cursor;
use crate::error::{BlockError, Result};
use crate::files::{BlockFiles, read_range, read_ranges};
use crate::meta::BlockMeta;
use crate::tail;
use bytes::Bytes;
use longhaul_downsample::{NumberedWindow, Resolution};
use std::ops::Range;
use std::sync::Arc;

/// The `columns` of an open block.
#[derive(Clone)]
pub struct BlockColumns {
    files: Arc<dyn BlockFiles>,
    resolution: Resolution,
    runs: Vec<Run>,
}

/// The windows of a series.
#[derive(Clone, Debug)]
pub struct SeriesWindows {
    /// Which series of the block.
    pub ordinal: u32,
    /// The columns that were read and that the series has. What belongs to others is zero in the windows.
    pub known: ColumnSet,
    /// The windows, by rising number.
    pub windows: Vec<NumberedWindow>,
}

/// A run of series in the file.
#[derive(Clone, Debug)]
struct Run {
    /// The ordinal of its first series.
    first: u32,
    series: u32,
    windows: u64,
    /// The pages by the numbers of their columns; the columns behind the last have none.
    pages: Vec<Range<u64>>,
}

impl BlockColumns {
    /// Opens the file, which is there: one read for its directory, as a rule.
    pub fn open(files: Arc<dyn BlockFiles>, meta: &BlockMeta) -> Result<Self> {
        let size_bytes = match meta.file_size_bytes(FILE) {
            Some(size_bytes) => size_bytes,
            None => files.size(FILE)?,
        };
        let (directory, directory_at) = tail::read(&*files, FILE, size_bytes, MAGIC, VERSION)?;
        let (resolution, runs) = parse(&directory, directory_at)?;
        Ok(Self { files, resolution, runs })
    }

    /// Length of the windows.
    pub fn resolution(&self) -> Resolution {
        self.resolution
    }

    /// How many series there are.
    pub fn series_count(&self) -> u64 {
        self.runs.last().map_or(0, |run| u64::from(run.first) + u64::from(run.series))
    }

    /// Bytes that [`Self::read`] fetches for these series, in rising order, and columns.
    pub fn read_bytes(&self, ordinals: &[u32], columns: ColumnSet) -> u64 {
        let columns = columns.closed();
        let ranges = self.runs_of(ordinals).flat_map(|(run, _)| run.ranges(columns));
        ranges.map(|(_, range)| range.end - range.start).sum()
    }

    /// Bytes that a column takes, without what others take that it needs.
    pub fn page_bytes(&self, column: Column) -> u64 {
        let only = ColumnSet::of(&[column]);
        self.runs.iter().flat_map(|run| run.ranges(only)).map(|(_, range)| range.end - range.start).sum()
    }

    /// The windows of the series with these ordinals, in rising order, and what they hold in the given columns, in one round
    /// of reads.
    pub fn read(&self, ordinals: &[u32], columns: ColumnSet) -> Result<Vec<SeriesWindows>> {
        let columns = columns.closed();
        let runs: Vec<(&Run, &[u32])> = self.runs_of(ordinals).collect();
        let ranges: Vec<Range<u64>> =
            runs.iter().flat_map(|(run, _)| run.ranges(columns)).map(|(_, range)| range).collect();
        let mut buffers = read_ranges(&*self.files, FILE, &ranges)?.into_iter();
        let mut found = Vec::with_capacity(ordinals.len());
        for (run, ordinals) in runs {
            let pages = run.open(columns, &mut buffers)?;
            for ordinal in ordinals {
                let series = (ordinal - run.first) as usize;
                let (known, windows) = decode(&pages, series, self.resolution, columns)?;
                found.push(SeriesWindows { ordinal: *ordinal, known, windows });
            }
        }
        Ok(found)
    }

    /// All that is known of all series, in their order: the pages of one run in memory at a time.
    pub fn into_series(self) -> impl Iterator<Item = Result<SeriesWindows>> + Send {
        let Self { files, resolution, runs } = self;
        let mut runs = runs.into_iter();
        let mut open: Option<(Run, Pages, u32)> = None;
        std::iter::from_fn(move || {
            while open.as_ref().is_none_or(|(run, _, next)| *next == run.series) {
                let run = runs.next()?;
                match run.fetch(&*files) {
                    Ok(pages) => open = Some((run, pages, 0)),
                    Err(error) => return Some(Err(error)),
                }
            }
            let (run, pages, next) = open.as_mut()?;
            let decoded = decode(pages, *next as usize, resolution, ColumnSet::ALL);
            *next += 1;
            let ordinal = run.first + *next - 1;
            Some(decoded.map(|(known, windows)| SeriesWindows { ordinal, known, windows }))
        })
    }

    /// The runs that hold some of the series, each with those of them that it holds.
    fn runs_of<'a>(&'a self, mut ordinals: &'a [u32]) -> impl Iterator<Item = (&'a Run, &'a [u32])> {
        self.runs.iter().filter_map(move |run| {
            let before = ordinals.partition_point(|ordinal| *ordinal < run.first);
            let behind = ordinals.partition_point(|ordinal| *ordinal - run.first.min(*ordinal) < run.series);
            let of_run = &ordinals[before..behind.max(before)];
            ordinals = &ordinals[behind.max(before)..];
            (!of_run.is_empty()).then_some((run, of_run))
        })
    }
}

impl std::fmt::Debug for BlockColumns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (resolution, runs) = (&self.resolution, self.runs.len());
        f.debug_struct("BlockColumns").field("resolution", resolution).field("runs", &runs).finish_non_exhaustive()
    }
}

impl Run {
    /// Where the pages of `columns` lie that the run has.
    fn ranges(&self, columns: ColumnSet) -> impl Iterator<Item = (Column, Range<u64>)> + '_ {
        let page = |column: Column| Some((column, self.pages.get(column as usize)?.clone()));
        columns.iter().filter_map(page).filter(|(_, range)| !range.is_empty())
    }

    /// Reads and opens all pages.
    fn fetch(&self, files: &dyn BlockFiles) -> Result<Pages> {
        let ranges: Vec<Range<u64>> = self.ranges(ColumnSet::ALL).map(|(_, range)| range).collect();
        self.open(ColumnSet::ALL, &mut read_ranges(files, FILE, &ranges)?.into_iter())
    }

    /// Opens the pages of `columns`, which come in their order.
    fn open(&self, columns: ColumnSet, buffers: &mut impl Iterator<Item = Bytes>) -> Result<Pages> {
        let mut pages: Pages = vec![Page::default(); Column::ALL.len()];
        for ((column, range), bytes) in self.ranges(columns).zip(buffers) {
            pages[column as usize] = Page::open(bytes, range.start, self.series as usize)?;
        }
        let numbers = &pages[Column::Number as usize];
        let windows = (0..self.series as usize).map(|series| match numbers.cell(series) {
            Some(mut cursor) => windows_of(&mut cursor).map(|windows| windows as u64),
            None => Err(corrupt("a series has no windows at all")),
        });
        if windows.sum::<Result<u64>>()? != self.windows {
            return Err(corrupt("a run has another number of windows than the directory says"));
        }
        Ok(pages)
    }
}

fn parse(directory: &[u8], directory_at: u64) -> Result<(Resolution, Vec<Run>)> {
    let mut cursor = Cursor::new(directory, FILE, directory_at);
    let resolution = i64::try_from(cursor.uvarint()?).ok().and_then(Resolution::new);
    let resolution = resolution.ok_or_else(|| cursor.corrupt("windows have an impossible length"))?;
    let mut runs = Vec::with_capacity(cursor.count(3)?);
    let (mut first, mut offset) = (0u32, HEADER.len() as u64);
    for _ in 0..runs.capacity() {
        let (series, windows) = (cursor.uvarint()?, cursor.uvarint()?);
        if series == 0 || series > RUN_SERIES || windows > RUN_WINDOWS + SERIES_WINDOWS_MAX {
            return Err(cursor.corrupt("a run has more series or windows than one may have"));
        }
        let mut pages = Vec::with_capacity(cursor.count(1)?.min(Column::ALL.len()));
        for _ in 0..pages.capacity() {
            let length = cursor.uvarint_u32()?;
            pages.push(offset..offset.saturating_add(length.into()));
            offset = offset.saturating_add(length.into());
        }
        runs.push(Run { first, series: series as u32, windows, pages });
        first = first.checked_add(series as u32).ok_or_else(|| cursor.corrupt("there are too many series"))?;
    }
    cursor.finish()?;
    if offset != directory_at {
        return Err(BlockError::corrupt(FILE, directory_at, "the pages do not fill the file"));
    }
    Ok((resolution, runs))
}

/// Reads the file wholly; how many series it has.
pub(crate) fn check(files: &dyn BlockFiles, meta: &BlockMeta) -> Result<u64> {
    let size_bytes = files.size(FILE)?;
    if size_bytes < HEADER.len() as u64 || read_range(files, FILE, 0..HEADER.len() as u64)?[..] != HEADER {
        return Err(BlockError::corrupt(FILE, 0, "wrong header"));
    }
    let (directory, directory_at) = tail::read(files, FILE, size_bytes, MAGIC, VERSION)?;
    let (resolution, runs) = parse(&directory, directory_at)?;
    if resolution.length_ms() != meta.resolution_ms() {
        return Err(corrupt("its windows have another length than meta.json says"));
    }
    for run in &runs {
        let pages = run.fetch(files)?;
        for series in 0..run.series as usize {
            decode(&pages, series, resolution, ColumnSet::ALL)?;
        }
    }
    Ok(runs.last().map_or(0, |run| u64::from(run.first) + u64::from(run.series)))
}
