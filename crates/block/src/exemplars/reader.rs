//! Reads `exemplars`: the directory, then the pages that are wanted, a bounded stretch at a time.
//!
//! Invariant: what comes out stood under a checksum and is in order (I-BLOCK-1); lengths, counts and numbers are checked
//! against what can be there.

use super::page::{self, PageEntry};
use super::{FILE, HEADER, MAGIC, VERSION};
use crate::block::Block;
use crate::cursor::Cursor;
use crate::error::{BlockError, Result};
use crate::files::{BlockFiles, read_range, read_ranges};
use crate::meta::BlockMeta;
use crate::tail;
use bytes::Bytes;
use longhaul_model::{Exemplar, Labels, METRIC_NAME, MatchOp, Matcher, TimeRange};
use std::collections::VecDeque;
use std::ops::Range;

/// Bytes of pages that one round of reads fetches at most.
const ROUND_BYTES_MAX: u64 = 2 << 20;

/// The opened file.
#[derive(Clone, Debug)]
pub(super) struct ExemplarPages {
    count: u64,
    pages: Vec<PageEntry>,
}

impl ExemplarPages {
    /// Reads the directory of a file that is there.
    pub fn open(files: &dyn BlockFiles, meta: &BlockMeta) -> Result<Self> {
        let size_bytes = match meta.file_size_bytes(FILE) {
            Some(size_bytes) => size_bytes,
            None => files.size(FILE)?,
        };
        let (directory, directory_at) = tail::read(files, FILE, size_bytes, MAGIC, VERSION)?;
        Self::parse(&directory, directory_at)
    }

    fn parse(directory: &Bytes, directory_at: u64) -> Result<Self> {
        let mut cursor = Cursor::new(directory, FILE, directory_at);
        let count = cursor.uvarint()?;
        let mut offset = HEADER.len() as u64;
        let mut pages = Vec::with_capacity(cursor.count(5)?);
        for _ in 0..pages.capacity() {
            let (length, min_ms, span_ms) = (cursor.uvarint_u32()?, cursor.varint()?, cursor.uvarint()?);
            let max_ms = min_ms.wrapping_add(span_ms as i64);
            if max_ms < min_ms {
                return Err(cursor.corrupt("a page ends before it begins"));
            }
            let (first_metric, last_metric) = (cursor.text()?.into(), cursor.text()?.into());
            pages.push(PageEntry { offset, length, min_ms, max_ms, first_metric, last_metric });
            offset = offset.saturating_add(length.into());
        }
        cursor.finish()?;
        if offset != directory_at {
            return Err(BlockError::corrupt(FILE, directory_at, "the pages do not fill the file"));
        }
        Ok(Self { count, pages })
    }
}

impl PageEntry {
    fn bytes(&self) -> Range<u64> {
        self.offset..self.offset + u64::from(self.length)
    }

    /// Whether it may hold exemplars of `range` of series that satisfy `matchers`.
    fn may_hold(&self, matchers: &[Matcher], range: &TimeRange) -> bool {
        let single = self.first_metric == self.last_metric;
        range.overlaps(&TimeRange::inclusive(self.min_ms, self.max_ms))
            && matchers.iter().filter(|matcher| matcher.name == METRIC_NAME).all(|matcher| {
                let between = *self.first_metric <= *matcher.value && *matcher.value <= *self.last_metric;
                let is_text = matcher.op == MatchOp::Equal;
                (!is_text || between) && (!single || matcher.matches(&self.first_metric))
            })
    }
}

/// The exemplars of some of a block's series, in the order of the series and then their own; each with its series.
pub struct BlockExemplars {
    block: Block,
    matchers: Vec<Matcher>,
    range: TimeRange,
    /// Pages that have not been fetched.
    pending: VecDeque<PageEntry>,
    fetched: VecDeque<(PageEntry, Bytes)>,
    decoded: std::vec::IntoIter<(Labels, Exemplar)>,
    /// The last series that was met, and whether it is wanted.
    met: Option<(Labels, bool)>,
}

impl BlockExemplars {
    pub(crate) fn new(block: Block, matchers: &[Matcher], range: TimeRange) -> Result<Self> {
        let pages = match block.meta().exemplars() {
            0 => Vec::new(),
            _ => ExemplarPages::open(&*block.inner.files, block.meta())?.pages,
        };
        let pending = pages.into_iter().filter(|page| page.may_hold(matchers, &range)).collect();
        let (matchers, decoded) = (matchers.to_vec(), Vec::new().into_iter());
        Ok(Self { block, matchers, range, pending, fetched: VecDeque::new(), decoded, met: None })
    }

    fn read(&mut self) -> Result<Option<(Labels, Exemplar)>> {
        loop {
            while let Some((series, exemplar)) = self.decoded.next() {
                if self.is_wanted(&series) && self.range.contains(exemplar.t_ms) && !self.is_deleted(&series, &exemplar)
                {
                    return Ok(Some((series, exemplar)));
                }
            }
            if self.fetched.is_empty() {
                self.fetch()?;
            }
            let Some((entry, bytes)) = self.fetched.pop_front() else { return Ok(None) };
            self.decoded = page::decode(&bytes, &entry)?.into_iter();
        }
    }

    fn is_wanted(&mut self, series: &Labels) -> bool {
        if let Some((met, is_wanted)) = &self.met
            && met == series
        {
            return *is_wanted;
        }
        let value = |matcher: &Matcher| series.get(&matcher.name).unwrap_or_default();
        let is_wanted = self.matchers.iter().all(|matcher| matcher.matches(value(matcher)));
        self.met = Some((series.clone(), is_wanted));
        is_wanted
    }

    fn is_deleted(&self, series: &Labels, exemplar: &Exemplar) -> bool {
        let deleted = self.block.inner.deleted.get(series);
        deleted.is_some_and(|ranges| ranges.iter().any(|range| range.contains(exemplar.t_ms)))
            || self.block.deleted.as_ref().is_some_and(|deleted| deleted.is_about(series, exemplar.t_ms))
    }

    fn fetch(&mut self) -> Result<()> {
        let mut size_bytes = 0;
        while let Some(page) = self.pending.front() {
            size_bytes += u64::from(page.length);
            if size_bytes > ROUND_BYTES_MAX && !self.fetched.is_empty() {
                break;
            }
            self.fetched.extend(self.pending.pop_front().map(|page| (page, Bytes::new())));
        }
        let ranges: Vec<Range<u64>> = self.fetched.iter().map(|(page, _)| page.bytes()).collect();
        if !ranges.is_empty() {
            let buffers = read_ranges(&*self.block.inner.files, FILE, &ranges)?;
            self.fetched.iter_mut().zip(buffers).for_each(|((_, bytes), read)| *bytes = read);
        }
        Ok(())
    }
}

impl Iterator for BlockExemplars {
    type Item = Result<(Labels, Exemplar)>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.read();
        if next.is_err() {
            self.pending.clear();
            self.fetched.clear();
        }
        next.transpose()
    }
}

/// Reads all of the file and holds it against its directory, its neighbours and the range of the block; how many
/// exemplars there are.
pub(crate) fn check(files: &dyn BlockFiles, meta: &BlockMeta) -> Result<u64> {
    let header = read_range(files, FILE, 0..HEADER.len() as u64)?;
    if header[..] != HEADER {
        return Err(BlockError::corrupt(FILE, 0, "wrong magic number or version"));
    }
    let ExemplarPages { count, pages } = ExemplarPages::open(files, meta)?;
    let (mut found, mut last) = (0, None);
    for entry in &pages {
        let in_page = page::decode(&read_range(files, FILE, entry.bytes())?, entry)?;
        let times = TimeRange::inclusive(entry.min_ms, entry.max_ms);
        let problem = if in_page.is_empty() {
            Some("an empty page")
        } else if last.is_some() && last.as_ref() >= in_page.first() {
            Some("pages are out of order")
        } else if !meta.range().covers(&times) {
            Some("a time outside of the block's range")
        } else {
            None
        };
        if let Some(problem) = problem {
            return Err(BlockError::corrupt(FILE, entry.offset, problem));
        }
        found += in_page.len() as u64;
        last = in_page.into_iter().last();
    }
    if found != count {
        return Err(BlockError::corrupt(FILE, 0, format!("says {count} exemplars, there are {found}")));
    }
    Ok(found)
}
