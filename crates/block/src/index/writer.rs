//! Writes a TSDB index of version 2 as Prometheus 3.14 does (no label indices), once all series are known.

use super::{HEADER_BYTES, MAGIC, SERIES_ALIGNMENT, VERSION};
use crate::cursor::{crc, push_text, push_uvarint, push_varint, uvarint_len};
use crate::error::{BlockError, Result};
use crate::label_table::SortedLabels;
use crate::lookup::ChunkPlace;
use crate::sink::{FileSink, Sink};

/// Writes the index of the series in `labels` to `sink`. `series` calls its argument for each series in label order,
/// with the label pairs as symbol numbers, and with the chunks.
pub(crate) fn write_index(
    sink: &mut FileSink,
    labels: &SortedLabels,
    series: impl FnOnce(&mut dyn FnMut(&[(u32, u32)], &[ChunkPlace]) -> Result<()>) -> Result<()>,
) -> Result<()> {
    sink.append(&MAGIC)?;
    sink.append(&[VERSION])?;
    let symbols_at = HEADER_BYTES;
    write_symbols(sink, labels)?;
    let series_at = sink.position();

    let mut references = Vec::with_capacity(labels.series as usize);
    let (mut body, mut entry) = (Vec::new(), Vec::new());
    series(&mut |pairs, chunks| {
        pad(sink, SERIES_ALIGNMENT)?;
        references.push(reference(sink.position())?);
        encode_series(&mut body, pairs, chunks);
        entry.clear();
        push_uvarint(&mut entry, body.len() as u64);
        entry.extend_from_slice(&body);
        entry.extend_from_slice(&crc(&body).to_be_bytes());
        sink.append(&entry)
    })?;
    assert_eq!(references.len(), labels.series as usize, "the index holds the series of the lookup");
    let label_indices_at = sink.position();

    pad(sink, 4)?;
    let postings_at = sink.position();
    write_postings(sink, references.len() as u64, references.iter().copied())?;
    for pair in &labels.pairs {
        let list = pair.series.iter().map(|ordinal| references[ordinal as usize]);
        write_postings(sink, pair.series.len().into(), list)?;
    }
    let table_at = sink.position();
    write_postings_table(sink, labels, postings_at)?;

    let mut toc = Vec::new();
    for offset in [symbols_at, series_at, label_indices_at, table_at, postings_at, table_at] {
        toc.extend_from_slice(&offset.to_be_bytes());
    }
    toc.extend_from_slice(&crc(&toc).to_be_bytes());
    sink.append(&toc)
}

fn reference(offset: u64) -> Result<u32> {
    u32::try_from(offset / SERIES_ALIGNMENT).map_err(|_| BlockError::Refused("the index exceeds 64 GiB".into()))
}

fn pad(sink: &mut FileSink, alignment: u64) -> Result<()> {
    let missing = sink.position().next_multiple_of(alignment) - sink.position();
    sink.append(&[0; SERIES_ALIGNMENT as usize][..missing as usize])
}

/// A section whose length is known before its content: written piece by piece, its CRC kept along.
struct Section<'a> {
    sink: &'a mut FileSink,
    left: u64,
    crc: u32,
}

impl<'a> Section<'a> {
    fn begin(sink: &'a mut FileSink, length: u64) -> Result<Self> {
        let prefix = u32::try_from(length);
        let prefix = prefix.map_err(|_| BlockError::Refused("a section of the index exceeds 4 GiB".into()))?;
        sink.append(&prefix.to_be_bytes())?;
        Ok(Self { sink, left: length, crc: 0 })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.left -= bytes.len() as u64;
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        self.sink.append(bytes)
    }

    fn finish(self) -> Result<()> {
        assert_eq!(self.left, 0, "a section is as long as its prefix says");
        self.sink.append(&self.crc.to_be_bytes())
    }
}

fn text_len(text: &str) -> u64 {
    uvarint_len(text.len() as u64) + text.len() as u64
}

fn write_symbols(sink: &mut FileSink, labels: &SortedLabels) -> Result<()> {
    let length = 4 + labels.symbols.iter().map(|symbol| text_len(symbol)).sum::<u64>();
    let mut section = Section::begin(sink, length)?;
    section.append(&(labels.symbols.len() as u32).to_be_bytes())?;
    let mut buffer = Vec::new();
    for symbol in &labels.symbols {
        buffer.clear();
        push_text(&mut buffer, symbol);
        section.append(&buffer)?;
    }
    section.finish()
}

fn encode_series(body: &mut Vec<u8>, pairs: &[(u32, u32)], chunks: &[ChunkPlace]) {
    body.clear();
    push_uvarint(body, pairs.len() as u64);
    for (name, value) in pairs {
        push_uvarint(body, (*name).into());
        push_uvarint(body, (*value).into());
    }
    push_uvarint(body, chunks.len() as u64);
    let mut before: Option<&ChunkPlace> = None;
    for chunk in chunks {
        match before {
            None => push_varint(body, chunk.min_ms),
            Some(before) => push_uvarint(body, chunk.min_ms.wrapping_sub(before.max_ms) as u64),
        }
        push_uvarint(body, chunk.max_ms.wrapping_sub(chunk.min_ms) as u64);
        match before {
            None => push_uvarint(body, chunk.reference()),
            Some(before) => push_varint(body, chunk.reference().wrapping_sub(before.reference()) as i64),
        }
        before = Some(chunk);
    }
}

/// Length of a postings list in the file, bytes; a multiple of 4, so that lists follow each other without padding.
fn postings_bytes(count: u64) -> u64 {
    4 + 4 + 4 * count + 4
}

fn write_postings(sink: &mut FileSink, count: u64, references: impl Iterator<Item = u32>) -> Result<()> {
    let mut section = Section::begin(sink, 4 + 4 * count)?;
    section.append(&(count as u32).to_be_bytes())?;
    for reference in references {
        section.append(&reference.to_be_bytes())?;
    }
    section.finish()
}

fn write_postings_table(sink: &mut FileSink, labels: &SortedLabels, postings_at: u64) -> Result<()> {
    let all = ("", "", postings_at);
    let first = postings_at + postings_bytes(labels.series.into());
    let entries = || {
        let lists = labels.pairs.iter().scan(first, |next, pair| {
            let offset = *next;
            *next += postings_bytes(pair.series.len().into());
            Some((labels.text(pair.name), labels.text(pair.value), offset))
        });
        std::iter::once(all).chain(lists)
    };
    let length = entries().map(|(name, value, offset)| 1 + text_len(name) + text_len(value) + uvarint_len(offset));
    let mut section = Section::begin(sink, 4 + length.sum::<u64>())?;
    section.append(&(labels.pairs.len() as u32 + 1).to_be_bytes())?;
    let mut buffer = Vec::new();
    for (name, value, offset) in entries() {
        buffer.clear();
        push_uvarint(&mut buffer, 2);
        push_text(&mut buffer, name);
        push_text(&mut buffer, value);
        push_uvarint(&mut buffer, offset);
        section.append(&buffer)?;
    }
    section.finish()
}
