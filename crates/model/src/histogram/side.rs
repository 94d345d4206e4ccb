//! One side of a histogram, as its arithmetic sees it: indexes, and a cell of counting for each.
//!
//! Everything that makes buckets goes through [`Side::gather`], which takes them in rising order and lays the spans. Runs
//! that touch become one span; what they hold decides the layout, not how they came about.
//!
//! Indexes are wider here than in spans, so that no sum of hostile spans overflows. Loops are bounded by the cells that
//! exist, never by the lengths that spans claim.

use super::{BucketSpan, schema};
use crate::kahan;
use std::ops::Range;

/// What a bucket holds while it is computed with.
pub(super) trait Cell: Copy + Default {
    /// Whether nothing is in it.
    fn is_empty(self) -> bool;

    /// Adds what is in another.
    fn absorb(&mut self, other: Self);
}

impl Cell for f64 {
    fn is_empty(self) -> bool {
        self == 0.0
    }

    #[inline(always)]
    fn absorb(&mut self, other: Self) {
        *self += other;
    }
}

impl Cell for i64 {
    fn is_empty(self) -> bool {
        self == 0
    }

    fn absorb(&mut self, other: Self) {
        *self = self.wrapping_add(other);
    }
}

impl Cell for kahan::Sum {
    fn is_empty(self) -> bool {
        self.sum == 0.0 && self.lost == 0.0
    }

    #[inline(always)]
    fn absorb(&mut self, other: Self) {
        *self = self.plus(other.sum);
        if other.lost != 0.0 {
            *self = self.plus(other.lost);
        }
    }
}

/// The buckets of one side.
#[derive(Clone, Debug, Default)]
pub(super) struct Side<C> {
    pub spans: Vec<BucketSpan>,
    pub cells: Vec<C>,
}

impl<C: Cell> Side<C> {
    /// Changes the buckets that a histogram keeps as two lists.
    pub fn edit(spans: &mut Vec<BucketSpan>, cells: &mut Vec<C>, change: impl FnOnce(&mut Self)) {
        let mut side = Self { spans: std::mem::take(spans), cells: std::mem::take(cells) };
        change(&mut side);
        (*spans, *cells) = (side.spans, side.cells);
    }

    /// Lays buckets that come by rising index; neighbours of one index become one bucket. Gaps of at most `fill_max` are
    /// filled with empty buckets, so there are at most `fill_max` new ones for each that came.
    pub fn gather(buckets: impl Iterator<Item = (i64, C)>, fill_max: usize) -> Self {
        let mut side = Self { spans: Vec::new(), cells: Vec::with_capacity(buckets.size_hint().1.unwrap_or(0)) };
        let mut end = 0;
        for (index, cell) in buckets {
            let gap = index - end;
            match (side.spans.last_mut(), side.cells.last_mut()) {
                (Some(_), Some(last)) if gap == -1 => {
                    last.absorb(cell);
                    continue;
                }
                (Some(span), _) if usize::try_from(gap).is_ok_and(|gap| gap <= fill_max) => {
                    span.length += gap as u32 + 1;
                    side.cells.resize(side.cells.len() + gap as usize, C::default());
                }
                _ => side.spans.push(BucketSpan { offset: gap as i32, length: 1 }),
            }
            side.cells.push(cell);
            end = index + 1;
        }
        side
    }

    /// The buckets by rising index.
    pub fn iter(&self) -> Cells<'_, C> {
        Cells::new(&self.spans, &self.cells)
    }

    /// Adds buckets that come by rising index; those that are missing here are put in.
    pub fn absorb(&mut self, others: impl Iterator<Item = (i64, C)>) {
        let mut missing = Vec::new();
        let mut finder = Finder::new(&self.spans);
        for (index, cell) in others {
            match finder.find(index).and_then(|at| self.cells.get_mut(at)) {
                Some(here) => here.absorb(cell),
                None => missing.push((index, cell)),
            }
        }
        if !missing.is_empty() {
            let mut missing = missing.into_iter().peekable();
            let mut here = self.iter().peekable();
            let merged = std::iter::from_fn(|| match (here.peek(), missing.peek()) {
                (Some(old), Some(new)) if new.0 < old.0 => missing.next(),
                (None, Some(_)) => missing.next(),
                _ => here.next(),
            });
            *self = Self::gather(merged, 0);
        }
    }

    /// Takes empty buckets out and lays the spans anew. Up to `empty_max` empty buckets between others stay, or come in
    /// if they were a gap: one span with a few zeros in it may be cheaper than two.
    pub fn compact(&mut self, empty_max: usize) {
        let tight = |(at, span): (usize, &BucketSpan)| {
            span.length > 0 && (at == 0 || usize::try_from(span.offset).is_ok_and(|gap| gap > empty_max))
        };
        let nothing_to_do = self.spans.iter().enumerate().all(tight) && !self.cells.iter().any(|cell| cell.is_empty());
        if !nothing_to_do {
            *self = Self::gather(self.iter().filter(|(_, cell)| !cell.is_empty()), empty_max);
        }
    }

    /// Puts the buckets of a schema into those of a coarser one.
    pub fn coarsen(&mut self, from: i32, to: i32) {
        *self = Self::gather(self.iter().map(|(index, cell)| (schema::coarser_index(index, from, to), cell)), 0);
    }
}

/// The buckets of a side by rising index, from either end.
#[derive(Clone, Debug)]
pub(super) struct Cells<'a, C> {
    indexes: Indexes<'a>,
    cells: std::slice::Iter<'a, C>,
}

impl<'a, C> Cells<'a, C> {
    pub fn new(spans: &'a [BucketSpan], cells: &'a [C]) -> Self {
        Self { indexes: Indexes::new(spans), cells: cells.iter() }
    }
}

impl<C: Copy> Iterator for Cells<'_, C> {
    type Item = (i64, C);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let cell = *self.cells.next()?;
        Some((self.indexes.next()?, cell))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.cells.len()))
    }
}

impl<C: Copy> DoubleEndedIterator for Cells<'_, C> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let cell = *self.cells.next_back()?;
        Some((self.indexes.next_back()?, cell))
    }
}

/// The indexes that spans name.
#[derive(Clone, Debug)]
struct Indexes<'a> {
    front: Range<i64>,
    spans: std::slice::Iter<'a, BucketSpan>,
    /// Where the last of `spans` ends.
    spans_end: i64,
    back: Range<i64>,
}

impl<'a> Indexes<'a> {
    fn new(spans: &'a [BucketSpan]) -> Self {
        let spans_end = spans.iter().map(|span| i64::from(span.offset) + i64::from(span.length)).sum();
        Self { front: 0..0, spans: spans.iter(), spans_end, back: 0..0 }
    }
}

impl Iterator for Indexes<'_> {
    type Item = i64;

    #[inline]
    fn next(&mut self) -> Option<i64> {
        loop {
            if let Some(index) = self.front.next() {
                return Some(index);
            }
            let Some(span) = self.spans.next() else { return self.back.next() };
            let start = self.front.end + i64::from(span.offset);
            self.front = start..start + i64::from(span.length);
        }
    }
}

impl DoubleEndedIterator for Indexes<'_> {
    fn next_back(&mut self) -> Option<i64> {
        loop {
            if let Some(index) = self.back.next_back() {
                return Some(index);
            }
            let Some(span) = self.spans.next_back() else { return self.front.next_back() };
            let start = self.spans_end - i64::from(span.length);
            self.back = start..self.spans_end;
            self.spans_end = start - i64::from(span.offset);
        }
    }
}

/// Finds cells by index; what is asked for must rise.
struct Finder<'a> {
    spans: &'a [BucketSpan],
    /// The first index of the first of `spans`.
    start: i64,
    /// The place of its cell.
    cell: usize,
}

impl<'a> Finder<'a> {
    fn new(spans: &'a [BucketSpan]) -> Self {
        Self { spans, start: spans.first().map_or(0, |span| i64::from(span.offset)), cell: 0 }
    }

    #[inline]
    fn find(&mut self, index: i64) -> Option<usize> {
        while let [span, rest @ ..] = self.spans {
            let end = self.start + i64::from(span.length);
            if index < end {
                return usize::try_from(index - self.start).ok().map(|within| self.cell + within);
            }
            self.cell += span.length as usize;
            self.start = end + rest.first().map_or(0, |span| i64::from(span.offset));
            self.spans = rest;
        }
        None
    }
}
