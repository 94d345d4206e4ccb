//! `chunks/NNNNNN`: the chunks of all series, one after the other, in segments (docs/formats/block.md).

use crate::cursor::{Cursor, push_uvarint};
use crate::error::{BlockError, Result};
use crate::files::{BlockFile, BlockFiles, read_ranges};
use crate::lookup::ChunkPlace;
use crate::meta::FileEntry;
use crate::sink::{FileSink, Sink};
use bytes::Bytes;
use longhaul_chunk::{Chunk, Encoding};
use longhaul_disk::Fs;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// Magic number 85BD40DD, version 1, three zero bytes.
pub(crate) const SEGMENT_HEADER: [u8; 8] = [0x85, 0xbd, 0x40, 0xdd, 1, 0, 0, 0];

/// Size at which Prometheus begins the next segment, bytes.
pub(crate) const SEGMENT_BYTES_MAX: u64 = 512 << 20;

/// Writes chunks into segments.
pub(crate) struct SegmentsWriter {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    segment_bytes_max: u64,
    current: Option<FileSink>,
    done: Vec<FileEntry>,
    buffer: Vec<u8>,
}

impl SegmentsWriter {
    /// Will write into `chunks/` of the block directory `dir`, which exists.
    pub fn new(fs: Arc<dyn Fs>, dir: PathBuf, segment_bytes_max: u64) -> Self {
        Self { fs, dir, segment_bytes_max, current: None, done: Vec::new(), buffer: Vec::new() }
    }

    /// Writes a chunk.
    pub fn write(&mut self, chunk: &Chunk) -> Result<ChunkPlace> {
        self.buffer.clear();
        push_uvarint(&mut self.buffer, chunk.data.len() as u64);
        let encoding = self.buffer.len();
        self.buffer.push(chunk.encoding.byte());
        self.buffer.extend_from_slice(&chunk.data);
        let crc = crc32c::crc32c(&self.buffer[encoding..]);
        self.buffer.extend_from_slice(&crc.to_be_bytes());
        let length = u32::try_from(self.buffer.len());
        let length = length.map_err(|_| BlockError::Refused("a chunk exceeds 4 GiB".into()))?;

        let full = |sink: &FileSink| sink.position() + u64::from(length) > self.segment_bytes_max;
        if let Some(full) = self.current.take_if(|sink| full(sink)) {
            self.done.push(full.finish()?);
        }
        let segment = self.done.len() as u32;
        if self.current.is_none() {
            let mut sink = FileSink::create(&*self.fs, &self.dir, BlockFile::Chunks(segment))?;
            sink.append(&SEGMENT_HEADER)?;
            self.current = Some(sink);
        }
        let sink = self.current.as_mut().expect("a segment was just begun");
        let start = u32::try_from(sink.position());
        let start = start.map_err(|_| BlockError::Refused("a segment exceeds 4 GiB".into()))?;
        sink.append(&self.buffer)?;
        Ok(ChunkPlace { min_ms: chunk.min_ms, max_ms: chunk.max_ms, segment, start, length })
    }

    /// Makes all segments durable.
    pub fn finish(mut self) -> Result<Vec<FileEntry>> {
        if let Some(last) = self.current.take() {
            self.done.push(last.finish()?);
        }
        Ok(self.done)
    }
}

/// Takes a chunk out of the bytes that lie at its place; answers it with the bytes that it takes in the segment.
/// `bytes` may go on behind the chunk.
pub(crate) fn parse_chunk(bytes: &Bytes, place: &ChunkPlace) -> Result<(Chunk, u32)> {
    let file = BlockFile::Chunks(place.segment);
    let mut cursor = Cursor::new(bytes, file, place.start.into());
    let length = cursor.count(1)?;
    let begin = cursor.at();
    cursor.bytes(length)?;
    let checked_end = cursor.at() + 1;
    cursor.u8()?; // the encoding byte stands before the data, so the data end one byte later
    let stored = cursor.u32()?;
    if crc32c::crc32c(&bytes[begin..checked_end]) != stored {
        return Err(BlockError::corrupt(file, place.start.into(), "checksum mismatch of a chunk"));
    }
    let encoding = Encoding::try_from(bytes[begin])
        .map_err(|error| BlockError::Unsupported { file, reason: error.to_string().into() })?;
    let data = bytes.slice(begin + 1..checked_end);
    Ok((Chunk { encoding, min_ms: place.min_ms, max_ms: place.max_ms, data }, cursor.at() as u32))
}

/// Reads chunks and gives them in the order of `places`.
pub(crate) fn read_chunks(files: &dyn BlockFiles, places: &[ChunkPlace]) -> Result<Vec<Chunk>> {
    let bytes = read_chunk_bytes(files, places)?;
    bytes.iter().zip(places).map(|(bytes, place)| Ok(parse_chunk(bytes, place)?.0)).collect()
}

/// Reads what lies at `places`, in one round a segment. What lies no further apart than the store's gap is read as one.
pub(crate) fn read_chunk_bytes(files: &dyn BlockFiles, places: &[ChunkPlace]) -> Result<Vec<Bytes>> {
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_unstable_by_key(|i| (places[*i].segment, places[*i].start));
    let mut chunks = vec![Bytes::new(); places.len()];
    for run in order.chunk_by(|a, b| places[*a].segment == places[*b].segment) {
        let file = BlockFile::Chunks(places[run[0]].segment);
        let gap = files.coalesce_gap_bytes();
        let mut merged: Vec<Merged> = Vec::new();
        for i in run {
            let place = &places[*i];
            match merged.last_mut() {
                Some(last) if u64::from(place.start) <= last.range.end.saturating_add(gap) => {
                    last.range.end = last.range.end.max(place.end());
                    last.used += u64::from(place.length);
                    last.chunks.push(*i);
                }
                _ => merged.push(Merged {
                    range: place.start.into()..place.end(),
                    used: place.length.into(),
                    chunks: vec![*i],
                }),
            }
        }
        let ranges: Vec<Range<u64>> = merged.iter().map(|merged| merged.range.clone()).collect();
        for (bytes, merged) in read_ranges(files, file, &ranges)?.into_iter().zip(merged) {
            // Who keeps a few of the chunks should not keep everything that lay between them.
            let sparse = merged.used * 2 < bytes.len() as u64;
            for i in merged.chunks {
                let begin = (u64::from(places[i].start) - merged.range.start) as usize;
                let bytes = bytes.slice(begin..begin + places[i].length as usize);
                chunks[i] = if sparse { Bytes::copy_from_slice(&bytes) } else { bytes };
            }
        }
    }
    Ok(chunks)
}

/// A read that serves several chunks.
struct Merged {
    range: Range<u64>,
    used: u64,
    chunks: Vec<usize>,
}
