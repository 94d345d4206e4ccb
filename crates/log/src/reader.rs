//! Reads the frames of one segment, and finds the way on where one is damaged.

use crate::frame::{HEAD_BYTES, Head, Kind, PAYLOAD_BYTES_MAX};
use crate::page::{
    PAGE_BYTES, PAGE_HEADER_BYTES, decode_page_header, file_length, file_position, page_of, page_start, stream_length,
};
use crate::segment::Seed;
use crate::{DamageReason, LogError};
use longhaul_disk::ReadAt;
use std::path::PathBuf;
use std::sync::Arc;

/// How much of a file is read at once.
const WINDOW_BYTES: u64 = 8 * PAGE_BYTES;

/// A segment file, open for reading.
#[derive(Clone, Debug)]
pub(crate) struct SegmentFile {
    pub(crate) number: u64,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn ReadAt>,
    pub(crate) size_bytes: u64,
    pub(crate) seed: Seed,
}

/// What stands at the next place of a segment. Positions are in the stream.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// A good frame; its payload is in the reader's buffer.
    Frame { at: u64, kind: Kind, head: Head },
    /// A frame that is not what was written. `head` is there if only the payload is damaged.
    Bad { at: u64, reason: DamageReason, head: Option<Head> },
    /// Nothing more.
    End,
}

/// Walks over the frames of a segment.
#[derive(Debug)]
pub(crate) struct FrameReader {
    segment: SegmentFile,
    at: u64,
    end: u64,
    payload: Vec<u8>,
    window: Vec<u8>,
    window_start: u64,
}

impl FrameReader {
    /// A reader of what lies in the first `end_bytes` of the file.
    pub(crate) fn new(segment: SegmentFile, end_bytes: u64) -> Self {
        let end = stream_length(end_bytes.min(segment.size_bytes));
        Self { segment, at: 0, end, payload: Vec::new(), window: Vec::new(), window_start: 0 }
    }

    /// The payload of the frame that was read last.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Goes to a place where a frame starts.
    pub(crate) fn seek(&mut self, at: u64) {
        self.at = at;
    }

    /// Reads the next frame.
    pub(crate) fn next(&mut self) -> Result<Step, LogError> {
        let at = self.at;
        if at >= self.end {
            return Ok(Step::End);
        }
        let position = file_position(at);
        let Some(head) = self.head_at(at)? else {
            self.at = self.find_head(at + 1)?;
            return Ok(Step::Bad { at, reason: DamageReason::FrameHead, head: None });
        };
        let Some(kind) = Kind::from_byte(head.kind) else {
            let (path, found) = (self.segment.path.clone(), u32::from(head.kind));
            return Err(LogError::Unknown { path, what: "frame kind", found, at_bytes: position });
        };
        let (start, length) = (at + HEAD_BYTES as u64, head.length as usize);
        let whole = start + length as u64 <= self.end && length <= PAYLOAD_BYTES_MAX;
        let mut payload = std::mem::take(&mut self.payload);
        payload.clear();
        if whole {
            self.read(start, length, &mut payload)?;
        }
        self.payload = payload;
        if whole && head.matches(self.segment.seed, position, &self.payload) {
            self.at = start + length as u64;
            return Ok(Step::Frame { at, kind, head });
        }
        self.at = (start + length as u64).min(self.end);
        let reason = if whole { DamageReason::FrameContent } else { DamageReason::Short };
        Ok(Step::Bad { at, reason, head: Some(head) })
    }

    /// The pages up to the reader's end whose headers do not check out, as positions in the file.
    pub(crate) fn bad_pages(&mut self) -> Result<Vec<u64>, LogError> {
        let mut bad = Vec::new();
        let pages = if self.end == 0 { 0 } else { page_of(self.end - 1) };
        for page in 1..=pages {
            if self.first_frame(page)?.is_err() {
                bad.push(page * PAGE_BYTES);
            }
        }
        Ok(bad)
    }

    fn head_at(&mut self, at: u64) -> Result<Option<Head>, LogError> {
        if at + HEAD_BYTES as u64 > self.end {
            return Ok(None);
        }
        let mut bytes = Vec::with_capacity(HEAD_BYTES);
        self.read(at, HEAD_BYTES, &mut bytes)?;
        let bytes = bytes.first_chunk().expect("INVARIANT: read appends as much as was asked for");
        Ok(Head::decode(self.segment.seed, file_position(at), bytes))
    }

    /// The first place from `from` on where a frame's head stands, or the end. To the end of the page it looks at every
    /// byte, in later pages where their headers point to, and at every byte again where that is of no help.
    fn find_head(&mut self, from: u64) -> Result<u64, LogError> {
        let mut at = from;
        while at < self.end {
            let page = page_of(at);
            if page > 0 && at == page_start(page) {
                match self.first_frame(page)? {
                    Ok(None) => {
                        at = page_start(page + 1);
                        continue;
                    }
                    Ok(Some(first)) if first < self.end && self.head_at(first)?.is_some() => return Ok(first),
                    _ => {}
                }
            }
            let page_end = page_start(page + 1).min(self.end);
            if let Some(found) = self.find_head_between(at, page_end)? {
                return Ok(found);
            }
            at = page_end;
        }
        Ok(self.end)
    }

    fn find_head_between(&mut self, from: u64, to: u64) -> Result<Option<u64>, LogError> {
        let stop = (to + HEAD_BYTES as u64 - 1).min(self.end);
        let mut bytes = Vec::new();
        self.read(from, (stop - from) as usize, &mut bytes)?;
        let found = bytes
            .array_windows::<HEAD_BYTES>()
            .zip(from..to)
            .find(|(bytes, at)| Head::decode(self.segment.seed, file_position(*at), bytes).is_some());
        Ok(found.map(|(_, at)| at))
    }

    fn first_frame(&mut self, page: u64) -> Result<Result<Option<u64>, ()>, LogError> {
        let start = page * PAGE_BYTES;
        if start + PAGE_HEADER_BYTES > file_length(self.end) {
            return Ok(Err(()));
        }
        let seed = self.segment.seed;
        let bytes = self.file_bytes(start, PAGE_HEADER_BYTES)?;
        Ok(decode_page_header(seed, page, &bytes[..PAGE_HEADER_BYTES as usize]))
    }

    /// Appends the stream's bytes `[at, at + length)`, which must lie before the end, to `out`.
    fn read(&mut self, mut at: u64, length: usize, out: &mut Vec<u8>) -> Result<(), LogError> {
        let mut left = length as u64;
        while left > 0 {
            let run = left.min(page_start(page_of(at) + 1) - at);
            let bytes = self.file_bytes(file_position(at), run)?;
            out.extend_from_slice(&bytes[..run as usize]);
            at += run;
            left -= run;
        }
        Ok(())
    }

    /// At least `length` bytes of the file from `position` on; they must not run over a page border.
    fn file_bytes(&mut self, position: u64, length: u64) -> Result<&[u8], LogError> {
        let window_end = self.window_start + self.window.len() as u64;
        if position < self.window_start || position + length > window_end {
            let start = position - position % PAGE_BYTES;
            let size = WINDOW_BYTES.min(self.segment.size_bytes.saturating_sub(start));
            if self.window.len() as u64 != size {
                self.window = vec![0; size as usize];
            }
            self.window_start = start;
            let read = self.segment.file.read_exact_at(&mut self.window, start);
            if let Err(error) = read {
                self.window.clear();
                return Err(LogError::io("read", &self.segment.path)(error));
            }
        }
        Ok(&self.window[(position - self.window_start) as usize..])
    }
}
