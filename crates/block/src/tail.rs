//! How our own files end: a directory, and behind it sixteen bytes that say where it begins and what it must hash to.

use crate::cursor::{Cursor, crc};
use crate::error::{BlockError, Result};
use crate::files::{BlockFile, BlockFiles, read_range};
use crate::sink::Sink;
use bytes::Bytes;

/// Directory length, directory CRC, version, three zero bytes, magic.
const TRAILER_BYTES: u64 = 16;

/// Bytes at the file's end that are read at once: they hold the directory of most files.
const TAIL_BYTES: u64 = 16 << 10;

/// Appends a directory and the trailer.
pub(crate) fn push(sink: &mut impl Sink, directory: &[u8], magic: [u8; 4], version: u8) -> Result<()> {
    let length = u32::try_from(directory.len());
    let length = length.map_err(|_| BlockError::Refused("a directory exceeds 4 GiB".into()))?;
    let mut trailer = Vec::with_capacity(TRAILER_BYTES as usize);
    trailer.extend_from_slice(&length.to_be_bytes());
    trailer.extend_from_slice(&crc32c::crc32c_append(crc(directory), &length.to_be_bytes()).to_be_bytes());
    trailer.extend_from_slice(&[version, 0, 0, 0]);
    trailer.extend_from_slice(&magic);
    sink.append(directory)?;
    sink.append(&trailer)
}

/// Reads the directory of a file of `size_bytes`, in one round or two; answers where it begins as well.
pub(crate) fn read(
    files: &dyn BlockFiles,
    file: BlockFile,
    size_bytes: u64,
    magic: [u8; 4],
    version: u8,
) -> Result<(Bytes, u64)> {
    let trailer_at = size_bytes.checked_sub(TRAILER_BYTES);
    let trailer_at = trailer_at.ok_or_else(|| BlockError::corrupt(file, 0, "shorter than its trailer"))?;
    let tail_at = size_bytes - TAIL_BYTES.min(size_bytes);
    let mut tail = read_range(files, file, tail_at..size_bytes)?;
    let trailer = tail.slice(tail.len() - TRAILER_BYTES as usize..);
    let mut cursor = Cursor::new(&trailer, file, trailer_at);
    let (length, crc, found) = (u64::from(cursor.u32()?), cursor.u32()?, cursor.bytes(4)?);
    if cursor.bytes(4)? != magic {
        return Err(BlockError::corrupt(file, trailer_at, "wrong magic number"));
    }
    if found != [version, 0, 0, 0] {
        let reason = format!("version {found:?}, this program reads {version}").into();
        return Err(BlockError::Unsupported { file, reason });
    }
    let directory_at = trailer_at.checked_sub(length);
    let directory_at =
        directory_at.ok_or_else(|| BlockError::corrupt(file, trailer_at, "the directory is longer than the file"))?;
    if directory_at < tail_at {
        tail = read_range(files, file, directory_at..size_bytes)?;
    }
    let start = tail.len() - (TRAILER_BYTES + length) as usize;
    let directory = tail.slice(start..start + length as usize);
    if crc32c::crc32c_append(crc32c::crc32c(&directory), &trailer[..4]) != crc {
        return Err(BlockError::corrupt(file, directory_at, "checksum mismatch"));
    }
    Ok((directory, directory_at))
}
