//! Writes a lookup: series pages as the series come, then the postings pages and the footer.

use super::filter::FilterBuilder;
use super::series_page::SeriesPageBuilder;
use super::{ChunkPlace, HEADER, MAGIC, PAGE_BYTES, TRAILER_BYTES, VERSION, shared_prefix};
use crate::cursor::{crc, push_text, push_uvarint};
use crate::error::{BlockError, Result};
use crate::label_table::{LabelTable, Ordinals, Pair, SortedLabels};
use crate::sink::Sink;
use longhaul_model::Labels;
use roaring::RoaringBitmap;

/// Lists whose differences take no more than this are stored as such; longer ones may be smaller as a bitmap.
const DIFFERENCES_BYTES_MAX: usize = 64;

/// The filter covers the labels with the fewest values first, up to this many pairs: the footer is read for every
/// query of a cold block and must stay small.
const FILTER_PAIRS_MAX: usize = 1 << 16;

/// A lookup being written.
pub struct LookupWriter<S> {
    sink: S,
    table: LabelTable,
    page: SeriesPageBuilder,
    /// Series and bytes of each page.
    pages: Vec<(u32, u32)>,
    series: u32,
    chunks: u64,
}

/// A lookup that was written.
pub struct FinishedLookup<S> {
    /// Where it went.
    pub sink: S,
    /// All labels of the block, sorted: what the index needs.
    pub labels: SortedLabels,
    /// Length of footer and trailer, bytes.
    pub footer_bytes: u64,
}

impl<S: Sink> LookupWriter<S> {
    /// Begins with the header.
    pub fn begin(mut sink: S) -> Result<Self> {
        sink.append(&HEADER)?;
        let (table, page) = (LabelTable::default(), SeriesPageBuilder::default());
        Ok(Self { sink, table, page, pages: Vec::new(), series: 0, chunks: 0 })
    }

    /// Adds a series; the caller answers for label order.
    pub fn push(&mut self, labels: &Labels, chunks: &[ChunkPlace]) -> Result<()> {
        self.series =
            self.series.checked_add(1).ok_or(BlockError::Refused("more series than a block can hold".into()))?;
        self.chunks += chunks.len() as u64;
        self.table.push(labels);
        self.page.push(&self.table, self.table.last(), chunks);
        if self.page.size_bytes() >= PAGE_BYTES { self.close_page() } else { Ok(()) }
    }

    fn close_page(&mut self) -> Result<()> {
        let series = self.page.series();
        if series == 0 {
            return Ok(());
        }
        let page = self.page.take();
        self.pages.push((series, page_length(&page)?));
        self.sink.append(&page)
    }

    /// Writes postings and footer.
    pub fn finish(mut self) -> Result<FinishedLookup<S>> {
        self.close_page()?;
        let labels = self.table.sort();
        let mut postings = PostingsPages::default();
        let mut names = Vec::new();
        for (number, pairs) in labels.by_name().enumerate() {
            postings.push_name(number as u32, &labels, pairs, &mut self.sink)?;
            names.push((labels.text(pairs[0].name), pairs.len()));
        }
        postings.close(&mut self.sink)?;

        let filtered = filtered_names(&names);
        let mut footer = Vec::new();
        push_uvarint(&mut footer, self.series.into());
        push_uvarint(&mut footer, self.chunks);
        push_uvarint(&mut footer, names.len() as u64);
        let mut before = "";
        for ((name, values), filtered) in names.iter().zip(&filtered) {
            push_front_coded(&mut footer, before, name);
            push_uvarint(&mut footer, (*values as u64) << 1 | u64::from(*filtered));
            before = name;
        }
        push_uvarint(&mut footer, self.pages.len() as u64);
        for (series, length) in &self.pages {
            push_uvarint(&mut footer, (*series).into());
            push_uvarint(&mut footer, (*length).into());
        }
        push_uvarint(&mut footer, postings.directory.len() as u64);
        let mut before = String::new();
        for entry in postings.directory {
            push_uvarint(&mut footer, u64::from(entry.length) << 1 | u64::from(entry.single));
            push_uvarint(&mut footer, entry.name.into());
            push_front_coded(&mut footer, &before, &entry.value);
            before = entry.value;
        }
        let filter = build_filter(&labels, &filtered);
        push_uvarint(&mut footer, filter.len() as u64);
        footer.extend_from_slice(&filter);

        let length = u32::try_from(footer.len());
        let length = length.map_err(|_| BlockError::Refused("the footer of the lookup exceeds 4 GiB".into()))?;
        let mut trailer = Vec::with_capacity(TRAILER_BYTES as usize);
        trailer.extend_from_slice(&length.to_be_bytes());
        trailer.extend_from_slice(&crc32c::crc32c_append(crc(&footer), &length.to_be_bytes()).to_be_bytes());
        trailer.extend_from_slice(&[VERSION, 0, 0, 0]);
        trailer.extend_from_slice(&MAGIC);
        self.sink.append(&footer)?;
        self.sink.append(&trailer)?;
        Ok(FinishedLookup { sink: self.sink, labels, footer_bytes: footer.len() as u64 + TRAILER_BYTES })
    }
}

fn page_length(page: &[u8]) -> Result<u32> {
    u32::try_from(page.len()).map_err(|_| BlockError::Refused("a page of the lookup exceeds 4 GiB".into()))
}

fn push_front_coded(out: &mut Vec<u8>, before: &str, text: &str) {
    let shared = shared_prefix(before, text);
    push_uvarint(out, shared as u64);
    push_text(out, &text[shared..]);
}

/// One postings page in the directory.
struct DirectoryEntry {
    length: u32,
    single: bool,
    name: u32,
    value: String,
}

#[derive(Default)]
struct PostingsPages {
    directory: Vec<DirectoryEntry>,
    body: Vec<u8>,
    entries: u64,
    first: (u32, String),
    last: (u32, String),
}

impl PostingsPages {
    /// All of a label: first who has it at all, under the empty value, then value by value.
    fn push_name(&mut self, name: u32, labels: &SortedLabels, pairs: &[Pair], sink: &mut impl Sink) -> Result<()> {
        let all = match pairs {
            [only] => only.series.iter().collect(),
            _ => {
                let mut present = vec![0u64; (labels.series as usize).div_ceil(64)];
                for ordinal in pairs.iter().flat_map(|pair| pair.series.iter()) {
                    present[ordinal as usize / 64] |= 1 << (ordinal % 64);
                }
                let set = |ordinal: &u32| present[*ordinal as usize / 64] & 1 << (ordinal % 64) != 0;
                (0..labels.series).filter(set).collect()
            }
        };
        self.push(name, "", &bitmap_or_differences(all), sink)?;
        for pair in pairs {
            self.push(name, labels.text(pair.value), &encode(&pair.series), sink)?;
        }
        Ok(())
    }

    fn push(&mut self, name: u32, value: &str, postings: &(Vec<u8>, bool), sink: &mut impl Sink) -> Result<()> {
        if self.entries > 0 && self.body.len() + value.len() + postings.0.len() > PAGE_BYTES {
            self.close(sink)?;
        }
        let before = if self.entries > 0 && self.last.0 == name { self.last.1.as_str() } else { "" };
        push_uvarint(&mut self.body, name.into());
        push_front_coded(&mut self.body, before, value);
        push_uvarint(&mut self.body, (postings.0.len() as u64) << 1 | u64::from(postings.1));
        self.body.extend_from_slice(&postings.0);
        self.last = (name, value.to_owned());
        if self.entries == 0 {
            self.first = self.last.clone();
        }
        self.entries += 1;
        Ok(())
    }

    fn close(&mut self, sink: &mut impl Sink) -> Result<()> {
        if self.entries == 0 {
            return Ok(());
        }
        let mut page = Vec::with_capacity(self.body.len() + 16);
        push_uvarint(&mut page, self.entries);
        page.append(&mut self.body);
        page.extend_from_slice(&crc(&page).to_be_bytes());
        sink.append(&page)?;
        let (name, value) = std::mem::take(&mut self.first);
        self.directory.push(DirectoryEntry { length: page_length(&page)?, single: self.entries == 1, name, value });
        self.entries = 0;
        Ok(())
    }
}

/// Postings as they are stored, and whether as a bitmap.
pub(super) fn encode(ordinals: &Ordinals) -> (Vec<u8>, bool) {
    let mut differences = Vec::new();
    ordinals.append_to(&mut differences);
    if differences.len() <= DIFFERENCES_BYTES_MAX {
        return (differences, false);
    }
    let bitmap = RoaringBitmap::from_sorted_iter(ordinals.iter()).expect("ordinals rise");
    smaller(differences, bitmap)
}

fn bitmap_or_differences(bitmap: RoaringBitmap) -> (Vec<u8>, bool) {
    let mut differences = Vec::new();
    crate::label_table::push_ordinals(&mut differences, &bitmap);
    smaller(differences, bitmap)
}

fn smaller(differences: Vec<u8>, mut bitmap: RoaringBitmap) -> (Vec<u8>, bool) {
    bitmap.optimize();
    if bitmap.serialized_size() >= differences.len() {
        return (differences, false);
    }
    let mut bytes = Vec::with_capacity(bitmap.serialized_size());
    bitmap.serialize_into(&mut bytes).expect("a Vec takes every byte");
    (bytes, true)
}

/// Which names the filter covers.
fn filtered_names(names: &[(&str, usize)]) -> Vec<bool> {
    let mut by_values: Vec<usize> = (0..names.len()).collect();
    by_values.sort_by_key(|name| names[*name].1);
    let (mut filtered, mut pairs) = (vec![false; names.len()], 0);
    for name in by_values {
        pairs += names[name].1;
        if pairs > FILTER_PAIRS_MAX {
            break;
        }
        filtered[name] = true;
    }
    filtered
}

fn build_filter(labels: &SortedLabels, filtered: &[bool]) -> Vec<u8> {
    let covered = || labels.by_name().zip(filtered).filter(|(_, filtered)| **filtered).flat_map(|(pairs, _)| pairs);
    let mut filter = FilterBuilder::new(covered().count());
    for pair in covered() {
        filter.insert(labels.text(pair.name), labels.text(pair.value));
    }
    filter.into_bytes()
}
