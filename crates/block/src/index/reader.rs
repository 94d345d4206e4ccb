//! Reads a TSDB index from its beginning to its end. Every section is checked against its CRC before it is decoded.

use super::{HEADER_BYTES, MAGIC, SERIES_ALIGNMENT, TOC_BYTES};
use crate::cursor::{Cursor, checked};
use crate::error::{BlockError, Result};
use crate::files::{BlockFile, BlockFiles, read_range};
use crate::lookup::ChunkPlace;
use bytes::Bytes;
use longhaul_model::Labels;

/// Series entries are read in pieces of this size.
const WINDOW_BYTES: u64 = 1 << 20;

/// The file that this module reads.
const FILE: BlockFile = BlockFile::Index;

/// An open index.
pub(crate) struct IndexReader<'a> {
    files: &'a dyn BlockFiles,
    size_bytes: u64,
    version: u8,
    toc: Toc,
    symbols: Symbols,
}

/// Where the sections begin.
#[derive(Clone, Copy, Debug)]
struct Toc {
    symbols: u64,
    series: u64,
    postings_table: u64,
}

/// The texts of an index.
struct Symbols {
    /// The section behind its length: count and texts.
    bytes: Bytes,
    /// Where each text's length stands in `bytes`.
    starts: Vec<u32>,
    /// In version 1 a reference is the position in the file: where `bytes` begin there.
    base: u64,
    version: u8,
}

/// One series of an index.
#[derive(Clone, Debug)]
pub(crate) struct SeriesEntry {
    /// Its reference as postings and tombstones give it.
    pub reference: u32,
    /// Where its entry lies, bytes.
    pub offset: u64,
    /// Its labels.
    pub labels: Labels,
    /// Its chunks in the order of the index; lengths are not known here (0).
    pub chunks: Vec<ChunkPlace>,
}

/// One line of the postings offset table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PostingsEntry {
    /// Label name; empty, with an empty value, for the list of all series.
    pub name: String,
    /// Label value.
    pub value: String,
    /// Where the list lies, bytes.
    pub offset: u64,
}

impl<'a> IndexReader<'a> {
    /// Reads header, table of contents and symbols.
    pub fn open(files: &'a dyn BlockFiles) -> Result<Self> {
        let size_bytes = files.size(FILE)?;
        if size_bytes < HEADER_BYTES + TOC_BYTES {
            return Err(BlockError::corrupt(FILE, 0, "shorter than header and table of contents"));
        }
        let header = read_range(files, FILE, 0..HEADER_BYTES)?;
        if header[..4] != MAGIC {
            return Err(BlockError::corrupt(FILE, 0, "wrong magic number"));
        }
        // Version 3 is accepted with the rules of version 2, as Prometheus does.
        let version = match header[4] {
            1 => 1,
            2 | 3 => 2,
            other => {
                let reason = format!("version {other}, this program reads 1 to 3").into();
                return Err(BlockError::Unsupported { file: FILE, reason });
            }
        };
        let at = size_bytes - TOC_BYTES;
        let toc = read_range(files, FILE, at..size_bytes)?;
        let mut cursor = Cursor::new(checked(&toc, FILE, at)?, FILE, at);
        let (symbols, series) = (cursor.u64()?, cursor.u64()?);
        let (_label_indices, _label_table, _postings) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
        let toc = Toc { symbols, series, postings_table: cursor.u64()? };
        let mut reader = Self {
            files,
            size_bytes,
            version,
            toc,
            symbols: Symbols { bytes: Bytes::new(), starts: Vec::new(), base: 0, version },
        };
        let bytes = reader.section(toc.symbols)?;
        reader.symbols = Symbols::parse(bytes, toc.symbols + 4, version)?;
        Ok(reader)
    }

    /// The content of the section whose length field lies at `offset`.
    fn section(&self, offset: u64) -> Result<Bytes> {
        let limit = self.size_bytes - TOC_BYTES;
        let begin = offset.checked_add(4).filter(|begin| *begin <= limit && offset >= HEADER_BYTES);
        let begin = begin.ok_or_else(|| BlockError::corrupt(FILE, offset, "a section lies outside the file"))?;
        let length = read_range(self.files, FILE, offset..begin)?;
        let length = u64::from(Cursor::new(&length, FILE, offset).u32()?);
        let end = begin + length + 4;
        if end > limit {
            return Err(BlockError::corrupt(FILE, offset, "a section reaches beyond the end of the file"));
        }
        let bytes = read_range(self.files, FILE, begin..end)?;
        checked(&bytes, FILE, begin)?;
        Ok(bytes.slice(..bytes.len() - 4))
    }

    /// All texts, in the order of the file.
    pub fn symbols(&self) -> impl Iterator<Item = &str> {
        self.symbols.starts.iter().map(|start| self.symbols.text(*start))
    }

    /// The postings offset table.
    pub fn postings_table(&self) -> Result<Vec<PostingsEntry>> {
        let bytes = self.section(self.toc.postings_table)?;
        let mut cursor = Cursor::new(&bytes, FILE, self.toc.postings_table + 4);
        let count = u64::from(cursor.u32()?);
        let mut entries = Vec::with_capacity(cursor.check_count(count, 4)?);
        for _ in 0..count {
            if cursor.uvarint()? != 2 {
                return Err(cursor.corrupt("an entry of the postings table is no pair"));
            }
            let (name, value) = (cursor.text()?.to_owned(), cursor.text()?.to_owned());
            entries.push(PostingsEntry { name, value, offset: cursor.uvarint()? });
        }
        cursor.finish()?;
        Ok(entries)
    }

    /// The postings list at `offset`: rising series references.
    pub fn postings(&self, offset: u64) -> Result<Vec<u32>> {
        let bytes = self.section(offset)?;
        let mut cursor = Cursor::new(&bytes, FILE, offset.saturating_add(4));
        let count = u64::from(cursor.u32()?);
        let count = cursor.check_count(count, 4)?;
        let mut references: Vec<u32> = Vec::with_capacity(count);
        for _ in 0..count {
            let reference = cursor.u32()?;
            if references.last().is_some_and(|last| *last >= reference) {
                return Err(cursor.corrupt("a postings list does not rise"));
            }
            references.push(reference);
        }
        cursor.finish()?;
        Ok(references)
    }

    /// The references of all series, which are also in label order.
    pub fn all_series(&self) -> Result<Vec<u32>> {
        // It has the smallest key and comes first, but not in version 1, which did not sort.
        let table = self.postings_table()?;
        match table.iter().find(|entry| entry.name.is_empty() && entry.value.is_empty()) {
            Some(all) => self.postings(all.offset),
            None => Err(BlockError::corrupt(FILE, self.toc.postings_table, "there is no list of all series")),
        }
    }

    /// Whatever a CRC follows.
    #[cfg(test)]
    pub fn sealed(&self) -> Vec<std::ops::Range<usize>> {
        let section = |offset: u64| offset as usize + 4..offset as usize + 4 + self.section(offset).unwrap().len();
        let mut sealed = vec![section(self.toc.symbols), section(self.toc.postings_table)];
        sealed.extend(self.postings_table().unwrap().iter().map(|entry| section(entry.offset)));
        let bytes = read_range(self.files, FILE, 0..self.size_bytes).unwrap();
        for reference in self.all_series().unwrap() {
            let at = reference as usize * SERIES_ALIGNMENT as usize;
            let mut cursor = Cursor::new(&bytes[at..], FILE, 0);
            let length = cursor.uvarint().unwrap() as usize;
            sealed.push(at + cursor.at()..at + cursor.at() + length);
        }
        sealed.push((self.size_bytes - TOC_BYTES) as usize..self.size_bytes as usize - 4);
        sealed
    }

    /// Reads the series with the given references, best in their order.
    pub fn series<'r>(
        &'r self,
        references: impl IntoIterator<Item = u32> + 'r,
    ) -> impl Iterator<Item = Result<SeriesEntry>> + 'r {
        let mut window = Window { reader: self, start: 0, bytes: Bytes::new() };
        references.into_iter().map(move |reference| self.read_series(&mut window, reference))
    }

    fn read_series(&self, window: &mut Window<'_>, reference: u32) -> Result<SeriesEntry> {
        let unit = if self.version == 1 { 1 } else { SERIES_ALIGNMENT };
        let offset = u64::from(reference) * unit;
        if offset < self.toc.series || offset < HEADER_BYTES {
            return Err(BlockError::corrupt(FILE, offset, "a series lies before the series section"));
        }
        let head = window.slice(offset, 1, 10)?;
        let mut cursor = Cursor::new(&head, FILE, offset);
        let length = cursor.uvarint()?;
        let begin = cursor.offset();
        let whole = length.checked_add(4).ok_or_else(|| BlockError::corrupt(FILE, offset, "a series is too long"))?;
        let bytes = window.slice(begin, whole, whole)?;
        let mut cursor = Cursor::new(checked(&bytes, FILE, begin)?, FILE, begin);
        let labels = self.read_labels(&mut cursor)?;
        let chunks = read_chunks(&mut cursor)?;
        cursor.finish()?;
        Ok(SeriesEntry { reference, offset, labels, chunks })
    }

    fn read_labels(&self, cursor: &mut Cursor<'_>) -> Result<Labels> {
        let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(cursor.count(2)?);
        for _ in 0..pairs.capacity() {
            let (name, value) = (cursor.uvarint()?, cursor.uvarint()?);
            let (Some(name), Some(value)) = (self.symbols.get(name), self.symbols.get(value)) else {
                return Err(cursor.corrupt("a label refers to a symbol that is not there"));
            };
            if name.is_empty() || value.is_empty() || pairs.last().is_some_and(|last| last.0 >= name) {
                return Err(cursor.corrupt("labels are empty or out of order"));
            }
            pairs.push((name, value));
        }
        Ok(Labels::from_sorted(pairs))
    }
}

/// The chunks of a series entry. Those of foreign blocks may overlap and stand in any order: the distance to the chunk
/// before is a difference modulo 2^64.
fn read_chunks(cursor: &mut Cursor<'_>) -> Result<Vec<ChunkPlace>> {
    let count = cursor.count(3)?;
    let mut chunks = Vec::with_capacity(count);
    let (mut before_ms, mut reference) = (0i64, 0u64);
    for i in 0..count {
        let min_ms = match i {
            0 => cursor.varint()?,
            _ => before_ms.wrapping_add(cursor.uvarint()? as i64),
        };
        let length_ms = cursor.uvarint()?;
        let max_ms = min_ms.checked_add_unsigned(length_ms);
        let max_ms = max_ms.ok_or_else(|| cursor.corrupt("a chunk ends beyond the end of time"))?;
        reference = match i {
            0 => cursor.uvarint()?,
            _ => reference.wrapping_add_signed(cursor.varint()?),
        };
        let (segment, start) = ((reference >> 32) as u32, reference as u32);
        chunks.push(ChunkPlace { min_ms, max_ms, segment, start, length: 0 });
        before_ms = max_ms;
    }
    Ok(chunks)
}

impl Symbols {
    fn parse(bytes: Bytes, base: u64, version: u8) -> Result<Self> {
        let mut cursor = Cursor::new(&bytes, FILE, base);
        let count = u64::from(cursor.u32()?);
        let mut starts = Vec::with_capacity(cursor.check_count(count, 1)?);
        for _ in 0..count {
            starts.push(cursor.at() as u32); // a section's length has 32 bits
            cursor.text()?;
        }
        cursor.finish()?;
        Ok(Self { bytes, starts, base, version })
    }

    /// The text of a reference: its number, or in version 1 its position in the file.
    fn get(&self, reference: u64) -> Option<&str> {
        let start = match self.version {
            1 => {
                let start = u32::try_from(reference.checked_sub(self.base)?).ok()?;
                self.starts.binary_search(&start).ok().map(|_| start)?
            }
            _ => *self.starts.get(usize::try_from(reference).ok()?)?,
        };
        Some(self.text(start))
    }

    fn text(&self, start: u32) -> &str {
        let mut cursor = Cursor::new(&self.bytes[start as usize..], FILE, self.base);
        // `parse` has read every text once.
        cursor.prefixed().ok().and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

/// A piece of the file that moves on with the series.
struct Window<'a> {
    reader: &'a IndexReader<'a>,
    start: u64,
    bytes: Bytes,
}

impl Window<'_> {
    /// At least `least` and at most `most` bytes from `offset`.
    fn slice(&mut self, offset: u64, least: u64, most: u64) -> Result<Bytes> {
        let limit = self.reader.size_bytes - TOC_BYTES;
        if offset.checked_add(least).is_none_or(|end| end > limit) {
            return Err(BlockError::corrupt(FILE, offset, "a series reaches beyond the end of the file"));
        }
        let end = offset.saturating_add(most).min(limit);
        if offset < self.start || end > self.start + self.bytes.len() as u64 {
            let ahead = end.max(offset.saturating_add(WINDOW_BYTES)).min(limit);
            self.bytes = read_range(self.reader.files, FILE, offset..ahead)?;
            self.start = offset;
        }
        Ok(self.bytes.slice((offset - self.start) as usize..(end - self.start) as usize))
    }
}
