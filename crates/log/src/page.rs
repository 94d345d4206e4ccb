//! Pages: where a segment's bytes lie, and where reading resumes after damage.
//!
//! A segment is a stream of frames, cut into pages of 32 KiB. The first page begins with the segment's header, every
//! other one with eight bytes that say where in it the first frame starts. Frames run on over page borders; so there
//! are two ways to count: positions in the *stream* (frames only) and in the *file* (headers too). Everything in this
//! crate counts in the stream, what is stored or reported counts in the file.

use crate::segment::{SEGMENT_HEADER_BYTES, Seed};

/// Size of a page. Damage that hides the frames' own lengths costs at most what is left of one.
pub(crate) const PAGE_BYTES: u64 = 32 << 10;
/// Size of the header of every page but the first.
pub(crate) const PAGE_HEADER_BYTES: u64 = 8;

const FIRST_PAGE_STREAM: u64 = PAGE_BYTES - SEGMENT_HEADER_BYTES;
const PAGE_STREAM: u64 = PAGE_BYTES - PAGE_HEADER_BYTES;

/// The page that holds stream position `at`.
pub(crate) fn page_of(at: u64) -> u64 {
    if at < FIRST_PAGE_STREAM { 0 } else { 1 + (at - FIRST_PAGE_STREAM) / PAGE_STREAM }
}

/// The stream position at which `page` begins.
pub(crate) fn page_start(page: u64) -> u64 {
    if page == 0 { 0 } else { FIRST_PAGE_STREAM + (page - 1) * PAGE_STREAM }
}

/// The file position of stream position `at`.
pub(crate) fn file_position(at: u64) -> u64 {
    let page = page_of(at);
    let header = if page == 0 { SEGMENT_HEADER_BYTES } else { PAGE_HEADER_BYTES };
    page * PAGE_BYTES + header + (at - page_start(page))
}

/// The length of a file whose stream is `stream_bytes` long: headers are written only when something follows them.
pub(crate) fn file_length(stream_bytes: u64) -> u64 {
    if stream_bytes == 0 { SEGMENT_HEADER_BYTES } else { file_position(stream_bytes - 1) + 1 }
}

/// How much of the stream a file of `file_bytes` holds.
pub(crate) fn stream_length(file_bytes: u64) -> u64 {
    let (page, within) = (file_bytes / PAGE_BYTES, file_bytes % PAGE_BYTES);
    let header = if page == 0 { SEGMENT_HEADER_BYTES } else { PAGE_HEADER_BYTES };
    page_start(page) + within.saturating_sub(header)
}

/// The header of `page`: where its first frame starts (bytes from the start of the page; 0 if none does), and a check.
pub(crate) fn encode_page_header(seed: Seed, page: u64, first_frame: u32) -> [u8; PAGE_HEADER_BYTES as usize] {
    let mut header = [0; PAGE_HEADER_BYTES as usize];
    header[..4].copy_from_slice(&first_frame.to_le_bytes());
    header[4..].copy_from_slice(&check(seed, page, first_frame).to_le_bytes());
    header
}

/// The stream position of the first frame that starts in `page`: `Err` if the header does not check out, `Ok(None)` if
/// no frame starts there.
pub(crate) fn decode_page_header(seed: Seed, page: u64, header: &[u8]) -> Result<Option<u64>, ()> {
    let (first_frame, stored) = header.split_at_checked(4).ok_or(())?;
    let first_frame = u32::from_le_bytes(first_frame.try_into().map_err(|_| ())?);
    if stored != check(seed, page, first_frame).to_le_bytes() {
        return Err(());
    }
    match u64::from(first_frame) {
        0 => Ok(None),
        within @ PAGE_HEADER_BYTES..PAGE_BYTES => Ok(Some(page_start(page) + within - PAGE_HEADER_BYTES)),
        _ => Err(()),
    }
}

fn check(seed: Seed, page: u64, first_frame: u32) -> u32 {
    seed.over(&[&page.to_le_bytes(), &first_frame.to_le_bytes()])
}

/// Appends to a buffer the file bytes of a stream: frames, with page headers where they fall due.
#[derive(Debug)]
pub(crate) struct PageWriter {
    seed: Seed,
    stream_bytes: u64,
    out: Vec<u8>,
}

impl PageWriter {
    /// A writer for an empty stream that puts its bytes into `out`, emptied first.
    pub(crate) fn new(seed: Seed, mut out: Vec<u8>) -> Self {
        out.clear();
        Self { seed, stream_bytes: 0, out }
    }

    /// Length of the stream so far: where the next frame starts.
    pub(crate) fn stream_bytes(&self) -> u64 {
        self.stream_bytes
    }

    /// File bytes not yet taken.
    pub(crate) fn pending(&self) -> &[u8] {
        &self.out
    }

    /// Forgets the pending bytes: they are in the file.
    pub(crate) fn clear_pending(&mut self) {
        self.out.clear();
    }

    /// Shrinks the buffer of pending bytes.
    pub(crate) fn trim_buffer(&mut self, keep_bytes: usize) {
        self.out.shrink_to(keep_bytes);
    }

    /// Gives the buffer back.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.out
    }

    /// Appends one frame, given as the parts that follow each other.
    pub(crate) fn push_frame(&mut self, parts: &[&[u8]]) {
        let length = parts.iter().map(|part| part.len() as u64).sum::<u64>();
        let mut left = length;
        for part in parts {
            let mut part = *part;
            while !part.is_empty() {
                let page = page_of(self.stream_bytes);
                if page > 0 && self.stream_bytes == page_start(page) {
                    let first_frame = match if left == length { 0 } else { left } {
                        rest if rest < PAGE_STREAM => PAGE_HEADER_BYTES + rest,
                        _ => 0,
                    } as u32;
                    self.out.extend_from_slice(&encode_page_header(self.seed, page, first_frame));
                }
                let room = page_start(page + 1) - self.stream_bytes;
                let (now, later) = part.split_at(part.len().min(room as usize));
                self.out.extend_from_slice(now);
                self.stream_bytes += now.len() as u64;
                left -= now.len() as u64;
                part = later;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_in_stream_and_file_agree() {
        let mut before = SEGMENT_HEADER_BYTES - 1;
        for at in 0..3 * PAGE_BYTES {
            let position = file_position(at);
            assert!(position > before);
            before = position;
            assert_eq!(stream_length(position + 1), at + 1);
            assert_eq!(stream_length(file_length(at)), at);
            assert!(page_start(page_of(at)) <= at && at < page_start(page_of(at) + 1));
        }
        for file_bytes in 0..SEGMENT_HEADER_BYTES {
            assert_eq!(stream_length(file_bytes), 0);
        }
    }
}
