//! Reads a lookup: the footer when it is opened, then only the pages that a question needs, each round of them at once.

use super::filter;
use super::page_cache::{KeptPages, PageCache};
use super::series_page::{SeriesPage, SeriesRun};
use super::{HEADER, MAGIC, TRAILER_BYTES, VERSION};
use crate::cursor::{Cursor, checked};
use crate::error::{BlockError, Result};
use crate::files::{BlockFile, BlockFiles, read_range, read_ranges};
use bytes::Bytes;
use hashbrown::HashMap;
use longhaul_postings::{LabelIndex, Lookup as Announced};
use roaring::RoaringBitmap;
use std::cell::RefCell;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// What is read of the file's tail when nobody knows how long the footer is: enough for most.
const TAIL_BYTES: u64 = 64 << 10;

/// Pages of values are fetched before it is known which are wanted if together they are no larger than this.
const EAGER_BYTES: u64 = 1 << 20;

/// The file that this module reads.
const FILE: BlockFile = BlockFile::Lookup;

/// An open lookup: its footer, decoded.
pub struct Lookup {
    files: Arc<dyn BlockFiles>,
    series: u32,
    names: Vec<Name>,
    series_pages: Vec<SeriesPageEntry>,
    postings_pages: Vec<PostingsPageEntry>,
    filter: Bytes,
    kept: OnceLock<KeptPages>,
}

struct Name {
    text: Box<str>,
    values: u64,
    filtered: bool,
}

struct SeriesPageEntry {
    first: u32,
    series: u32,
    offset: u64,
    length: u32,
}

struct PostingsPageEntry {
    offset: u64,
    length: u32,
    /// Whether the page holds nothing but the entry that the directory names.
    single: bool,
    name: u32,
    value: Box<str>,
}

impl Lookup {
    /// Reads the footer. `size_bytes` and `footer_bytes` are what `meta.json` says about the file, if it does; without
    /// them, or if the footer is longer than said, it takes a read more.
    pub fn open(files: Arc<dyn BlockFiles>, size_bytes: Option<u64>, footer_bytes: u64) -> Result<Self> {
        let size_bytes = match size_bytes {
            Some(size_bytes) => size_bytes,
            None => files.size(FILE)?,
        };
        let least = HEADER.len() as u64 + TRAILER_BYTES;
        if size_bytes < least {
            return Err(BlockError::corrupt(FILE, 0, "shorter than header and trailer"));
        }
        let tail_bytes = if footer_bytes == 0 { TAIL_BYTES } else { footer_bytes.max(TRAILER_BYTES) };
        let tail_at = size_bytes - tail_bytes.min(size_bytes);
        let mut tail = read_range(&*files, FILE, tail_at..size_bytes)?;
        let trailer = tail.slice(tail.len() - TRAILER_BYTES as usize..);
        let trailer_at = size_bytes - TRAILER_BYTES;
        let mut cursor = Cursor::new(&trailer, FILE, trailer_at);
        let (footer_length, footer_crc, version) = (cursor.u32()?, cursor.u32()?, cursor.bytes(4)?);
        if cursor.bytes(4)? != MAGIC {
            return Err(BlockError::corrupt(FILE, trailer_at, "wrong magic number"));
        }
        if version != [VERSION, 0, 0, 0] {
            let reason = format!("version {version:?}, this program reads {VERSION}").into();
            return Err(BlockError::Unsupported { file: FILE, reason });
        }
        let footer_length = u64::from(footer_length);
        if footer_length > size_bytes - least {
            return Err(BlockError::corrupt(FILE, trailer_at, "the footer is longer than the file"));
        }
        let footer_at = trailer_at - footer_length;
        if footer_at < tail_at {
            tail = read_range(&*files, FILE, footer_at..size_bytes)?;
        }
        let footer = tail.slice(tail.len() - (TRAILER_BYTES + footer_length) as usize..);
        let footer = footer.slice(..footer_length as usize);
        if crc32c::crc32c_append(crc32c::crc32c(&footer), &trailer[..4]) != footer_crc {
            return Err(BlockError::corrupt(FILE, footer_at, "checksum mismatch"));
        }
        Self::parse(files, &footer, footer_at)
    }

    fn parse(files: Arc<dyn BlockFiles>, footer: &Bytes, footer_at: u64) -> Result<Self> {
        let mut cursor = Cursor::new(footer, FILE, footer_at);
        let (series, _chunks) = (cursor.uvarint_u32()?, cursor.uvarint()?);
        let mut names: Vec<Name> = Vec::with_capacity(cursor.count(3)?);
        for _ in 0..names.capacity() {
            let text = front_coded(&mut cursor, names.last().map_or("", |name| &name.text))?;
            let values = cursor.uvarint()?;
            if names.last().is_some_and(|last| last.text >= text) {
                return Err(cursor.corrupt("label names are out of order"));
            }
            names.push(Name { text, values: values >> 1, filtered: values & 1 != 0 });
        }
        let mut offset = HEADER.len() as u64;
        let mut first = 0u32;
        let mut series_pages = Vec::with_capacity(cursor.count(2)?);
        for _ in 0..series_pages.capacity() {
            let (series, length) = (cursor.uvarint_u32()?, cursor.uvarint_u32()?);
            series_pages.push(SeriesPageEntry { first, series, offset, length });
            first = first.checked_add(series).ok_or_else(|| cursor.corrupt("more series than 32 bits can count"))?;
            offset = offset.saturating_add(length.into());
        }
        if first != series {
            return Err(cursor.corrupt("the pages hold another number of series"));
        }
        let mut postings_pages: Vec<PostingsPageEntry> = Vec::with_capacity(cursor.count(4)?);
        for _ in 0..postings_pages.capacity() {
            let (length, name) = (cursor.uvarint()?, cursor.uvarint_u32()?);
            let last = postings_pages.last();
            let value = front_coded(&mut cursor, last.map_or("", |last| &last.value))?;
            if last.is_some_and(|last| (last.name, &last.value) >= (name, &value)) || name as usize >= names.len() {
                return Err(cursor.corrupt("postings pages are out of order"));
            }
            let single = length & 1 != 0;
            let length = u32::try_from(length >> 1).map_err(|_| cursor.corrupt("a page is too long"))?;
            postings_pages.push(PostingsPageEntry { offset, length, single, name, value });
            offset = offset.saturating_add(length.into());
        }
        if offset != footer_at {
            return Err(cursor.corrupt("the pages do not fill the file"));
        }
        let filter_bytes = cursor.count(1)?;
        let filter = footer.slice(cursor.at()..cursor.at() + filter_bytes);
        cursor.bytes(filter_bytes)?;
        if !filter::is_valid(&filter) {
            return Err(cursor.corrupt("the filter is cut"));
        }
        cursor.finish()?;
        Ok(Self { files, series, names, series_pages, postings_pages, filter, kept: OnceLock::new() })
    }

    /// Keeps pages in `cache` from now on, unless they are being kept already.
    pub fn keep_pages(&self, cache: &Arc<PageCache>) {
        self.kept.get_or_init(|| KeptPages::new(cache.clone()));
    }

    /// Where the pages of both kinds lie.
    #[cfg(test)]
    pub fn pages(&self) -> Vec<Range<u64>> {
        let postings = self.postings_pages.iter().map(|page| page.offset..page.offset + u64::from(page.length));
        self.series_pages.iter().map(range).chain(postings).collect()
    }

    /// How many series there are; their ordinals are `0..series()`.
    pub fn series(&self) -> u32 {
        self.series
    }

    /// The label names, sorted, each with the number of its values.
    pub fn names(&self) -> impl Iterator<Item = (&str, u64)> {
        self.names.iter().map(|name| (&*name.text, name.values))
    }

    /// How many values a label has.
    pub fn values_count(&self, name: &str) -> u64 {
        self.name(name).map_or(0, |name| self.names[name as usize].values)
    }

    fn name(&self, text: &str) -> Option<u32> {
        self.names.binary_search_by(|name| (*name.text).cmp(text)).ok().map(|place| place as u32)
    }

    /// The postings page that would hold a pair.
    fn page_of(&self, name: u32, value: &str) -> Option<usize> {
        self.postings_pages.partition_point(|page| (page.name, &*page.value) <= (name, value)).checked_sub(1)
    }

    /// The postings pages that hold the values of a label that begin with `prefix`.
    fn pages_of(&self, name: u32, prefix: &str) -> Range<usize> {
        let begin = self.page_of(name, prefix).unwrap_or(0);
        let after = |page: &PostingsPageEntry| {
            page.name > name || (page.name == name && *page.value > *prefix && !page.value.starts_with(prefix))
        };
        let pages = self.postings_pages[begin..].iter().take_while(|page| !after(page)).count();
        begin..begin + pages
    }

    /// The page that holds a series.
    pub fn series_page_of(&self, ordinal: u32) -> usize {
        self.series_pages.partition_point(|page| page.first <= ordinal).saturating_sub(1)
    }

    /// The ordinals of the series in a page.
    pub fn page_series(&self, page: usize) -> Range<u32> {
        let entry = &self.series_pages[page];
        entry.first..entry.first + entry.series
    }

    /// How many series pages there are.
    pub fn series_pages(&self) -> usize {
        self.series_pages.len()
    }

    /// Length of a series page, bytes.
    pub fn series_page_bytes(&self, page: usize) -> u64 {
        self.series_pages[page].length.into()
    }

    /// A series page that was kept.
    pub fn kept_series(&self, page: usize) -> Option<Arc<SeriesRun>> {
        self.kept.get()?.series(page)
    }

    /// Decodes a series page that [`Self::read_series_pages`] fetched, and keeps it.
    pub fn decode_series_page(&self, page: usize, bytes: &[u8]) -> Result<Arc<SeriesRun>> {
        let entry = &self.series_pages[page];
        let run = Arc::new(SeriesRun::decode(bytes, entry.offset, entry.series)?);
        if let Some(kept) = self.kept.get() {
            kept.keep_series(page, &run);
        }
        Ok(run)
    }

    /// Fetches series pages, given in rising order, in one round.
    pub fn read_series_pages(&self, pages: &[usize]) -> Result<Vec<Bytes>> {
        let ranges: Vec<_> = pages.iter().map(|page| range(&self.series_pages[*page])).collect();
        // Pages are mostly wanted densely. A little too much in one request costs less than a second request.
        let gap = self.files.coalesce_gap_bytes();
        let span = ranges.first().zip(ranges.last()).map_or(0, |(first, last)| last.end - first.start);
        read_coalesced(&*self.files, &ranges, if span <= gap * 64 { span } else { gap * 4 })
    }

    /// Opens a page that [`Self::read_series_pages`] fetched.
    pub fn open_series_page<'p>(&self, page: usize, bytes: &'p [u8]) -> Result<SeriesPage<'p>> {
        let entry = &self.series_pages[page];
        SeriesPage::open(bytes, entry.offset, entry.series)
    }
}

fn range(entry: &SeriesPageEntry) -> Range<u64> {
    entry.offset..entry.offset + u64::from(entry.length)
}

/// Reads ranges that rise and do not overlap, in one round, those at most `gap` bytes apart as one.
fn read_coalesced(files: &dyn BlockFiles, ranges: &[Range<u64>], gap: u64) -> Result<Vec<Bytes>> {
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start - last.end <= gap => last.end = range.end,
            _ => merged.push(range.clone()),
        }
    }
    let buffers = read_ranges(files, FILE, &merged)?;
    let mut at = 0;
    let cut = ranges.iter().map(|range| {
        at += usize::from(range.end > merged[at].end);
        let begin = merged[at].start;
        buffers[at].slice((range.start - begin) as usize..(range.end - begin) as usize)
    });
    Ok(cut.collect())
}

fn front_coded(cursor: &mut Cursor<'_>, before: &str) -> Result<Box<str>> {
    let shared = usize::try_from(cursor.uvarint()?).ok().and_then(|shared| before.get(..shared));
    let shared = shared.ok_or_else(|| cursor.corrupt("a text shares more than there is"))?;
    let rest = cursor.text()?;
    Ok([shared, rest].concat().into())
}

/// The postings of one query: pages are fetched once and kept as long as the query asks.
pub struct Selection<'a> {
    lookup: &'a Lookup,
    pages: RefCell<HashMap<usize, Bytes>>,
}

/// An entry of a postings page.
struct Entry<'a> {
    name: u32,
    value: &'a str,
    postings: &'a [u8],
    bitmap: bool,
    /// Where the postings lie in the file.
    offset: u64,
}

impl<'a> Selection<'a> {
    /// Begins without any page.
    pub fn new(lookup: &'a Lookup) -> Self {
        Self { lookup, pages: RefCell::default() }
    }

    /// Fetches what is missing of the given pages, in one round.
    fn fetch(&self, mut wanted: Vec<usize>) -> Result<()> {
        let (mut pages, kept) = (self.pages.borrow_mut(), self.lookup.kept.get());
        wanted.retain(|page| {
            let known = pages.contains_key(page);
            let found = kept.filter(|_| !known).and_then(|kept| kept.postings(*page));
            let missing = !known && found.is_none();
            pages.extend(found.map(|bytes| (*page, bytes)));
            missing
        });
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.is_empty() {
            return Ok(());
        }
        let entry = |page: &usize| &self.lookup.postings_pages[*page];
        let ranges: Vec<_> = wanted.iter().map(entry).map(|e| e.offset..e.offset + u64::from(e.length)).collect();
        let buffers = read_coalesced(&*self.lookup.files, &ranges, self.lookup.files.coalesce_gap_bytes())?;
        for (page, bytes) in wanted.into_iter().zip(buffers) {
            checked(&bytes, FILE, entry(&page).offset)?;
            let bytes = bytes.slice(..bytes.len() - 4);
            if let Some(kept) = kept {
                kept.keep_postings(page, &bytes);
            }
            pages.insert(page, bytes);
        }
        Ok(())
    }

    /// Calls `visit` for the entries of a page until it answers false. The page must have been fetched.
    fn scan(&self, page: usize, mut visit: impl FnMut(Entry<'_>) -> Result<bool>) -> Result<()> {
        let bytes = self.pages.borrow()[&page].clone();
        let mut cursor = Cursor::new(&bytes, FILE, self.lookup.postings_pages[page].offset);
        let (mut name, mut value) = (u32::MAX, String::new());
        for _ in 0..cursor.count(4)? {
            let number = cursor.uvarint_u32()?;
            if number != name {
                value.clear();
                name = number;
            }
            let shared = usize::try_from(cursor.uvarint()?).ok().filter(|shared| value.is_char_boundary(*shared));
            value.truncate(shared.ok_or_else(|| cursor.corrupt("a text shares more than there is"))?);
            value.push_str(cursor.text()?);
            let length = cursor.uvarint()?;
            let offset = cursor.offset();
            let postings = cursor.bytes(cursor.check_count(length >> 1, 1)?)?;
            if !visit(Entry { name, value: &value, postings, bitmap: length & 1 != 0, offset })? {
                return Ok(());
            }
        }
        cursor.finish()
    }

    fn decode(&self, entry: &Entry<'_>) -> Result<RoaringBitmap> {
        let corrupt = |reason: &'static str| BlockError::corrupt(FILE, entry.offset, reason);
        let postings = if entry.bitmap {
            let mut bytes = entry.postings;
            let bitmap = RoaringBitmap::deserialize_from(&mut bytes).map_err(|_| corrupt("not a roaring bitmap"))?;
            if bytes.is_empty() { bitmap } else { return Err(corrupt("bytes are left over behind a bitmap")) }
        } else {
            let mut cursor = Cursor::new(entry.postings, FILE, entry.offset);
            let mut ordinals: Vec<u32> = Vec::new();
            while cursor.remaining() > 0 {
                let difference = cursor.uvarint_u32()?;
                let next = ordinals.last().copied().unwrap_or(0).checked_add(difference);
                let next = next.filter(|_| difference > 0 || ordinals.is_empty());
                ordinals.push(next.ok_or_else(|| cursor.corrupt("postings do not rise"))?);
            }
            RoaringBitmap::from_sorted_iter(ordinals).map_err(|_| corrupt("postings do not rise"))?
        };
        if postings.max().is_some_and(|max| max >= self.lookup.series) {
            return Err(corrupt("postings name a series that is not there"));
        }
        Ok(postings)
    }

    /// The pages in which to look for the given values of a label, and for which; in the order of the pages. Values
    /// that the filter excludes are left out.
    fn pages_of_values<'v>(&self, name: u32, values: &[&'v str]) -> Vec<(usize, &'v str)> {
        let entry = &self.lookup.names[name as usize];
        let filter = |value: &&&str| {
            !value.is_empty() && (!entry.filtered || filter::may_contain(&self.lookup.filter, &entry.text, value))
        };
        let page = |value: &&'v str| Some((self.lookup.page_of(name, value)?, *value));
        let mut pages: Vec<_> = values.iter().filter(filter).filter_map(page).collect();
        pages.sort_unstable();
        pages
    }

    /// The pages with the values of a label that begin with `prefix` without those that hold a single value which
    /// `keep` does not want: these need not be read to know it.
    fn pages_with_prefix(&self, name: u32, prefix: &str, keep: &mut dyn FnMut(&str) -> bool) -> Vec<usize> {
        let mut wanted = |page: &usize| {
            let entry = &self.lookup.postings_pages[*page];
            !entry.single || (entry.name == name && is_value(&entry.value, prefix) && keep(&entry.value))
        };
        self.lookup.pages_of(name, prefix).filter(|page| wanted(page)).collect()
    }

    /// The values of a label, sorted.
    pub fn values(&self, name: &str) -> Result<Vec<String>> {
        let Some(name) = self.lookup.name(name) else { return Ok(Vec::new()) };
        let mut values = Vec::new();
        self.fetch(self.pages_with_prefix(name, "", &mut |_| false))?;
        for page in self.lookup.pages_of(name, "") {
            let entry = &self.lookup.postings_pages[page];
            if entry.single {
                values.extend((entry.name == name && !entry.value.is_empty()).then(|| entry.value.to_string()));
                continue;
            }
            self.scan(page, |entry| {
                values.extend((entry.name == name && !entry.value.is_empty()).then(|| entry.value.to_owned()));
                Ok(entry.name <= name)
            })?;
        }
        Ok(values)
    }

    /// Fetches what [`LabelIndex::with_name`] needs for every name, in one round.
    pub fn fetch_names(&self) -> Result<()> {
        let names = 0..self.lookup.names.len() as u32;
        self.fetch(names.filter_map(|name| self.lookup.page_of(name, "")).collect())
    }

    /// Calls `visit` with each value of a label and the series that have it.
    pub fn for_each_value(&self, name: &str, visit: &mut dyn FnMut(&str, RoaringBitmap)) -> Result<()> {
        let Some(name) = self.lookup.name(name) else { return Ok(()) };
        self.fetch(self.lookup.pages_of(name, "").collect())?;
        for page in self.lookup.pages_of(name, "") {
            self.scan(page, |entry| {
                if entry.name == name && !entry.value.is_empty() {
                    visit(entry.value, self.decode(&entry)?);
                }
                Ok(entry.name <= name)
            })?;
        }
        Ok(())
    }

    /// The series of a label's values, of which `values` are those to be looked for in this page, sorted; of the empty
    /// value: those that have the name at all.
    fn of_values(&self, page: usize, name: u32, values: &[(usize, &str)]) -> Result<RoaringBitmap> {
        let mut found = RoaringBitmap::new();
        let mut values = values.iter().map(|(_, value)| *value).peekable();
        self.scan(page, |entry| {
            let order = |value: &&str| (name, *value).cmp(&(entry.name, entry.value));
            while values.next_if(|value| order(value).is_lt()).is_some() {}
            if values.next_if(|value| order(value).is_eq()).is_some() {
                found |= self.decode(&entry)?;
            }
            Ok(values.peek().is_some())
        })?;
        Ok(found)
    }
}

fn is_value(value: &str, prefix: &str) -> bool {
    !value.is_empty() && value.starts_with(prefix)
}

impl LabelIndex for Selection<'_> {
    type Error = BlockError;

    fn prefetch(&self, lookups: &[Announced<'_>]) -> Result<()> {
        let mut wanted = Vec::new();
        for lookup in lookups {
            match *lookup {
                Announced::All => {}
                Announced::Values(name, values) => {
                    let Some(name) = self.lookup.name(name) else { continue };
                    wanted.extend(self.pages_of_values(name, values).into_iter().map(|(page, _)| page));
                }
                Announced::Prefix(name, prefix) => {
                    let Some(name) = self.lookup.name(name) else { continue };
                    let pages = self.lookup.pages_of(name, prefix);
                    let bytes: u64 =
                        self.lookup.postings_pages[pages.clone()].iter().map(|p| u64::from(p.length)).sum();
                    let eager = bytes <= EAGER_BYTES;
                    wanted.extend(pages.filter(|page| eager || !self.lookup.postings_pages[*page].single));
                }
                Announced::Name(name) => {
                    wanted.extend(self.lookup.name(name).and_then(|name| self.lookup.page_of(name, "")));
                }
            }
        }
        self.fetch(wanted)
    }

    fn all(&self) -> Result<RoaringBitmap> {
        let mut all = RoaringBitmap::new();
        all.insert_range(0..self.lookup.series);
        Ok(all)
    }

    fn with_values(&self, name: &str, values: &[&str]) -> Result<RoaringBitmap> {
        let Some(name) = self.lookup.name(name) else { return Ok(RoaringBitmap::new()) };
        let pages = self.pages_of_values(name, values);
        self.fetch(pages.iter().map(|(page, _)| *page).collect())?;
        let mut found = RoaringBitmap::new();
        for values in pages.chunk_by(|a, b| a.0 == b.0) {
            found |= self.of_values(values[0].0, name, values)?;
        }
        Ok(found)
    }

    fn with_values_where(&self, name: &str, prefix: &str, keep: &mut dyn FnMut(&str) -> bool) -> Result<RoaringBitmap> {
        let Some(name) = self.lookup.name(name) else { return Ok(RoaringBitmap::new()) };
        let pages = self.pages_with_prefix(name, prefix, keep);
        self.fetch(pages.clone())?;
        let mut found = RoaringBitmap::new();
        for page in pages {
            self.scan(page, |entry| {
                if entry.name == name && is_value(entry.value, prefix) && keep(entry.value) {
                    found |= self.decode(&entry)?;
                }
                Ok(entry.name <= name)
            })?;
        }
        Ok(found)
    }

    fn with_name(&self, name: &str) -> Result<RoaringBitmap> {
        let found = self.lookup.name(name).and_then(|name| Some((self.lookup.page_of(name, "")?, name)));
        let Some((page, name)) = found else { return Ok(RoaringBitmap::new()) };
        self.fetch(vec![page])?;
        self.of_values(page, name, &[(page, "")])
    }
}
