//! A page of series: the labels of a run of series, and where their chunks lie.
//!
//! Texts stand once a page; a series names the pairs that it does not share with the one before. A chunk that begins
//! where the one before ended (as nearly all do) is told by its length alone.

use super::ChunkPlace;
use crate::cursor::{Cursor, checked, crc, push_text, push_uvarint, push_varint};
use crate::error::Result;
use crate::files::BlockFile;
use crate::label_table::LabelTable;
use hashbrown::HashMap;
use longhaul_model::{Labels, LabelsWriter};

/// Builds one page after the other.
#[derive(Default)]
pub struct SeriesPageBuilder {
    texts: Vec<u8>,
    numbers: HashMap<u32, u32, foldhash::fast::FixedState>,
    body: Vec<u8>,
    series: u32,
    previous: Vec<(u32, u32)>,
    clock: ChunkState,
}

/// What the coding of chunks goes by; starts anew with each page.
#[derive(Clone, Copy, Debug, Default)]
struct ChunkState {
    /// First time of the previous series' first chunk.
    first_min_ms: i64,
    segment: u32,
    end: u64,
}

impl SeriesPageBuilder {
    /// How many series the open page holds.
    pub fn series(&self) -> u32 {
        self.series
    }

    /// Bytes that the open page holds.
    pub fn size_bytes(&self) -> usize {
        self.texts.len() + self.body.len()
    }

    /// Adds a series; `pairs` are numbers of texts in `table`.
    pub fn push(&mut self, table: &LabelTable, pairs: &[(u32, u32)], chunks: &[ChunkPlace]) {
        let shared = pairs.iter().zip(&self.previous).take_while(|(a, b)| a == b).count();
        push_uvarint(&mut self.body, shared as u64);
        push_uvarint(&mut self.body, (pairs.len() - shared) as u64);
        for (name, value) in &pairs[shared..] {
            for text in [*name, *value] {
                let next = self.numbers.len() as u32;
                let number = *self.numbers.entry(text).or_insert(next);
                if number == next {
                    push_text(&mut self.texts, table.text(text));
                }
                push_uvarint(&mut self.body, number.into());
            }
        }
        self.previous.clear();
        self.previous.extend_from_slice(pairs);
        push_uvarint(&mut self.body, chunks.len() as u64);
        let mut before_ms = self.clock.first_min_ms;
        for (i, chunk) in chunks.iter().enumerate() {
            push_varint(&mut self.body, chunk.min_ms.wrapping_sub(before_ms));
            push_uvarint(&mut self.body, chunk.max_ms.wrapping_sub(chunk.min_ms) as u64);
            let moved = chunk.segment != self.clock.segment || u64::from(chunk.start) != self.clock.end;
            push_uvarint(&mut self.body, u64::from(chunk.length) << 1 | u64::from(moved));
            if moved {
                push_uvarint(&mut self.body, chunk.segment.into());
                push_uvarint(&mut self.body, chunk.start.into());
            }
            if i == 0 {
                self.clock.first_min_ms = chunk.min_ms;
            }
            before_ms = chunk.max_ms;
            (self.clock.segment, self.clock.end) = (chunk.segment, chunk.end());
        }
        self.series += 1;
    }

    /// Closes the page: its bytes, checksum included. The builder is empty afterwards.
    pub fn take(&mut self) -> Vec<u8> {
        let mut page = Vec::with_capacity(self.size_bytes() + 16);
        push_uvarint(&mut page, self.series.into());
        push_uvarint(&mut page, self.numbers.len() as u64);
        page.append(&mut self.texts);
        page.append(&mut self.body);
        page.extend_from_slice(&crc(&page).to_be_bytes());
        self.numbers.clear();
        self.previous.clear();
        self.series = 0;
        self.clock = ChunkState::default();
        page
    }
}

/// Reads a page, series by series.
pub struct SeriesPage<'a> {
    texts: Vec<&'a str>,
    cursor: Cursor<'a>,
    left: u32,
    clock: ChunkState,
    writer: LabelsWriter,
}

/// One series of a page, as numbers of the page's texts. Reused from series to series.
#[derive(Clone, Debug, Default)]
pub struct PageSeries {
    /// Its labels in order.
    pub pairs: Vec<(u32, u32)>,
    /// Its chunks in the order of the index.
    pub chunks: Vec<ChunkPlace>,
}

impl<'a> SeriesPage<'a> {
    /// Checks the page that lies at `offset` and must hold `series` series.
    pub fn open(page: &'a [u8], offset: u64, series: u32) -> Result<Self> {
        let body = checked(page, BlockFile::Lookup, offset)?;
        let mut cursor = Cursor::new(body, BlockFile::Lookup, offset);
        if cursor.uvarint()? != u64::from(series) {
            return Err(cursor.corrupt("another page than the directory says"));
        }
        let texts = (0..cursor.count(1)?).map(|_| cursor.text()).collect::<Result<Vec<_>>>()?;
        Ok(Self { texts, cursor, left: series, clock: ChunkState::default(), writer: LabelsWriter::default() })
    }

    /// The page's texts.
    pub fn texts(&self) -> &[&'a str] {
        &self.texts
    }

    /// Reads the next series over `series`, which must be what the call before left there (empty at first).
    pub fn next(&mut self, series: &mut PageSeries) -> Result<bool> {
        if self.left == 0 {
            self.cursor.finish()?;
            return Ok(false);
        }
        self.left -= 1;
        let shared = self.cursor.uvarint()?;
        if shared > series.pairs.len() as u64 {
            return Err(self.cursor.corrupt("more labels are shared than there are"));
        }
        series.pairs.truncate(shared as usize);
        for _ in 0..self.cursor.count(2)? {
            let pair = (self.cursor.uvarint_u32()?, self.cursor.uvarint_u32()?);
            let texts = (self.texts.get(pair.0 as usize), self.texts.get(pair.1 as usize));
            let (Some(name), Some(value)) = texts else {
                return Err(self.cursor.corrupt("a label refers to a text that is not in the page"));
            };
            let before = series.pairs.last().map(|last| self.texts[last.0 as usize]);
            if value.is_empty() || before.is_some_and(|before| before >= *name) {
                return Err(self.cursor.corrupt("labels are empty or out of order"));
            }
            series.pairs.push(pair);
        }
        series.chunks.clear();
        let mut before_ms = self.clock.first_min_ms;
        for i in 0..self.cursor.count(3)? {
            let chunk = self.chunk(before_ms)?;
            if i == 0 {
                self.clock.first_min_ms = chunk.min_ms;
            }
            before_ms = chunk.max_ms;
            (self.clock.segment, self.clock.end) = (chunk.segment, chunk.end());
            series.chunks.push(chunk);
        }
        Ok(true)
    }

    fn chunk(&mut self, before_ms: i64) -> Result<ChunkPlace> {
        let min_ms = before_ms.wrapping_add(self.cursor.varint()?);
        let length_ms = self.cursor.uvarint()?;
        let max_ms = min_ms.checked_add_unsigned(length_ms);
        let max_ms = max_ms.ok_or_else(|| self.cursor.corrupt("a chunk ends beyond the end of time"))?;
        let length = self.cursor.uvarint()?;
        let (segment, start) = match length & 1 {
            0 => (self.clock.segment, self.clock.end),
            _ => (self.cursor.uvarint_u32()?, self.cursor.uvarint()?),
        };
        let (Ok(start), Ok(length)) = (u32::try_from(start), u32::try_from(length >> 1)) else {
            return Err(self.cursor.corrupt("a chunk lies beyond the end of a segment"));
        };
        Ok(ChunkPlace { min_ms, max_ms, segment, start, length })
    }

    /// The labels of a series that [`Self::next`] read.
    pub fn labels(&mut self, series: &PageSeries) -> Labels {
        self.writer.write(&series.pairs, |text| self.texts[text as usize])
    }
}

/// All series of a page, decoded: what is kept of a page that is read again and again.
#[derive(Debug, Default)]
pub struct SeriesRun {
    /// Each series with the number of chunks before the end of its own.
    series: Vec<(Labels, u32)>,
    places: Vec<ChunkPlace>,
}

impl SeriesRun {
    /// Decodes the page that lies at `offset` and must hold `series` series.
    pub fn decode(page: &[u8], offset: u64, series: u32) -> Result<Self> {
        let mut reader = SeriesPage::open(page, offset, series)?;
        let (mut run, mut one) = (Self::default(), PageSeries::default());
        while reader.next(&mut one)? {
            run.places.extend_from_slice(&one.chunks);
            run.series.push((reader.labels(&one), run.places.len() as u32));
        }
        Ok(run)
    }

    /// The series that has the place `index` in the page.
    pub fn get(&self, index: usize) -> (&Labels, &[ChunkPlace]) {
        let begin = index.checked_sub(1).map_or(0, |before| self.series[before].1);
        let (labels, end) = &self.series[index];
        (labels, &self.places[begin as usize..*end as usize])
    }

    /// About what it takes in memory, bytes.
    pub fn size_bytes(&self) -> usize {
        /// The reference counts before a shared text.
        const SHARED_BYTES: usize = 16;
        let labels: usize = self.series.iter().map(|(labels, _)| labels.size_bytes() + SHARED_BYTES).sum();
        labels + size_of_val(&self.series[..]) + size_of_val(&self.places[..])
    }
}
