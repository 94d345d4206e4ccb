//! A segment file: its name, its header, the list of those that exist.

use crate::{LogError, Offset};
use longhaul_disk::Fs;
use longhaul_model::LogId;
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A segment as its users see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its number; rising, with gaps.
    pub number: u64,
    /// No offset in it is below.
    pub base: Offset,
    /// The last offset in it; `base - 1` if it holds none.
    pub end: Offset,
    /// Length of the file, bytes.
    pub size_bytes: u64,
}

/// What every checksum of a segment begins with: a CRC32C over log id and segment number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed(u32);

impl Seed {
    pub(crate) fn new(log_id: LogId, number: u64) -> Self {
        Self(crc32c::crc32c_append(crc32c::crc32c(log_id.as_bytes()), &number.to_le_bytes()))
    }

    /// The checksum over `parts`, one behind the other.
    pub(crate) fn over(self, parts: &[&[u8]]) -> u32 {
        parts.iter().fold(self.0, |crc, part| crc32c::crc32c_append(crc, part))
    }
}

/// Size of the header at the start of a segment's first page.
pub(crate) const SEGMENT_HEADER_BYTES: u64 = 64;
const MAGIC: [u8; 4] = *b"LHLG";
const VERSION: u32 = 1;

/// The header of a segment.
///
/// ```text
/// "LHLG" | version u32 | log id 16 bytes | number u64 | base u64 | previous number u64 | previous end u64 | 0 u32 | CRC u32
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) log_id: LogId,
    pub(crate) number: u64,
    /// No offset in the segment is below.
    pub(crate) base: Offset,
    /// The segment that this one continues, 0 if it is the first.
    pub(crate) previous: u64,
    /// How long that one was when it was left, bytes: what lies beyond was never acknowledged.
    pub(crate) previous_end: u64,
}

/// What the first bytes of a segment turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderCheck {
    Good(SegmentHeader),
    /// Checksum in order, version not ours.
    UnknownVersion(u32),
    Bad,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES as usize] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES as usize];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&VERSION.to_le_bytes());
        bytes[8..24].copy_from_slice(self.log_id.as_bytes());
        for (i, field) in [self.number, self.base, self.previous, self.previous_end].into_iter().enumerate() {
            bytes[24 + 8 * i..32 + 8 * i].copy_from_slice(&field.to_le_bytes());
        }
        let check = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> HeaderCheck {
        let Some(bytes) = bytes.first_chunk::<{ SEGMENT_HEADER_BYTES as usize }>() else { return HeaderCheck::Bad };
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        if bytes[..4] != MAGIC || u32_at(60) != crc32c::crc32c(&bytes[..60]) {
            return HeaderCheck::Bad;
        }
        if u32_at(4) != VERSION {
            return HeaderCheck::UnknownVersion(u32_at(4));
        }
        let mut log_id = [0; 16];
        log_id.copy_from_slice(&bytes[8..24]);
        HeaderCheck::Good(Self {
            log_id: LogId::from_bytes(log_id),
            number: u64_at(24),
            base: u64_at(32),
            previous: u64_at(40),
            previous_end: u64_at(48),
        })
    }
}

/// The name of segment `number`.
pub(crate) fn file_name(number: u64) -> String {
    format!("{number:020}.log")
}

/// The number of the segment called `name`, if it is one.
pub(crate) fn file_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log").filter(|digits| digits.len() == 20)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// The segments that exist, oldest first: shared by the writer, which adds to it, and those who release.
#[derive(Debug)]
pub(crate) struct SegmentList {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) dir: PathBuf,
    segments: Mutex<Vec<SegmentInfo>>,
}

impl SegmentList {
    pub(crate) fn new(fs: Arc<dyn Fs>, dir: PathBuf, segments: Vec<SegmentInfo>) -> Self {
        Self { fs, dir, segments: Mutex::new(segments) }
    }

    pub(crate) fn path(&self, number: u64) -> PathBuf {
        self.dir.join(file_name(number))
    }

    pub(crate) fn snapshot(&self) -> Vec<SegmentInfo> {
        self.segments.lock().clone()
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.segments.lock().iter().map(|segment| segment.size_bytes).sum()
    }

    pub(crate) fn push(&self, segment: SegmentInfo) {
        self.segments.lock().push(segment);
    }

    /// Notes how far segment `number` has come.
    pub(crate) fn update(&self, number: u64, end: Offset, size_bytes: u64) {
        if let Some(segment) = self.segments.lock().iter_mut().rev().find(|segment| segment.number == number) {
            (segment.end, segment.size_bytes) = (end, size_bytes);
        }
    }

    /// Strikes segment `number` from the list; its file is the caller's.
    pub(crate) fn forget(&self, number: u64) {
        self.segments.lock().retain(|segment| segment.number != number);
    }

    /// See [`crate::LocalLog::release`]. Oldest first, each name gone for good before the next one goes: a crash must
    /// not leave a hole in the middle.
    pub(crate) fn release(&self, before: Offset) -> Result<(), LogError> {
        let mut segments = self.segments.lock();
        while segments.len() > 1 && segments[0].end < before {
            remove(&*self.fs, &self.dir, &self.path(segments[0].number))?;
            segments.remove(0);
        }
        Ok(())
    }
}

/// Removes a file of `dir`, durably; it may be gone already.
pub(crate) fn remove(fs: &dyn Fs, dir: &Path, path: &Path) -> Result<(), LogError> {
    match fs.remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(LogError::io("remove", path)(error)),
        _ => fs.sync_dir(dir).map_err(LogError::io("sync", dir)),
    }
}
