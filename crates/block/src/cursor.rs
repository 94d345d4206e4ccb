//! The primitives that all files of a block are made of: big-endian integers, LEB128 varints, texts behind their
//! lengths. Reading is checked at every step: what does not fit is an error with its place, never a panic.

use crate::error::{BlockError, Result};
use crate::files::BlockFile;

/// Reads primitives one after the other out of a slice of a file.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    file: BlockFile,
    offset: u64,
}

impl<'a> Cursor<'a> {
    /// Begins at the start of `bytes`, which lie at `offset` in `file`.
    pub fn new(bytes: &'a [u8], file: BlockFile, offset: u64) -> Self {
        Self { bytes, at: 0, file, offset }
    }

    /// Position in the slice, bytes.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Position in the file, bytes.
    pub fn offset(&self) -> u64 {
        self.offset.saturating_add(self.at as u64)
    }

    /// Bytes that are left.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// An error that names this place.
    pub fn corrupt(&self, reason: &'static str) -> BlockError {
        BlockError::corrupt(self.file, self.offset(), reason)
    }

    /// The next `length` bytes.
    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| self.corrupt("a field reaches beyond its section"))?;
        let bytes = &self.bytes[self.at..end];
        self.at = end;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }

    pub fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub fn uvarint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.corrupt("a varint is longer than 64 bits"))
    }

    pub fn uvarint_u32(&mut self) -> Result<u32> {
        let value = self.uvarint()?;
        u32::try_from(value).map_err(|_| self.corrupt("a number is larger than 32 bits"))
    }

    pub fn varint(&mut self) -> Result<i64> {
        let value = self.uvarint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A count of things that take at least `least_bytes` each: never more than could follow.
    pub fn count(&mut self, least_bytes: usize) -> Result<usize> {
        let value = self.uvarint()?;
        self.check_count(value, least_bytes)
    }

    /// Checks a count that was read before against what is left.
    pub fn check_count(&self, count: u64, least_bytes: usize) -> Result<usize> {
        let room = (self.remaining() / least_bytes.max(1)) as u64;
        if count > room {
            return Err(self.corrupt("a count exceeds what its section can hold"));
        }
        Ok(count as usize)
    }

    /// Bytes behind their length.
    pub fn prefixed(&mut self) -> Result<&'a [u8]> {
        let length = self.count(1)?;
        self.bytes(length)
    }

    /// A text behind its length.
    pub fn text(&mut self) -> Result<&'a str> {
        let bytes = self.prefixed()?;
        std::str::from_utf8(bytes).map_err(|_| self.corrupt("a text is not UTF-8"))
    }

    /// Refuses what is left over.
    pub fn finish(&self) -> Result<()> {
        if self.remaining() > 0 { Err(self.corrupt("bytes are left over at the end of a section")) } else { Ok(()) }
    }
}

/// CRC-32C, as all files of a block carry it.
pub(crate) fn crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// Splits off the CRC at the end of `bytes` and checks it; `offset` is where `bytes` lie in `file`.
pub(crate) fn checked(bytes: &[u8], file: BlockFile, offset: u64) -> Result<&[u8]> {
    match bytes.split_last_chunk::<4>() {
        Some((body, stored)) if crc(body) == u32::from_be_bytes(*stored) => Ok(body),
        Some(_) => Err(BlockError::corrupt(file, offset, "checksum mismatch")),
        None => Err(BlockError::corrupt(file, offset, "no room for a checksum")),
    }
}

/// Appends a LEB128 varint.
pub(crate) fn push_uvarint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a zig-zag LEB128 varint.
pub(crate) fn push_varint(out: &mut Vec<u8>, value: i64) {
    push_uvarint(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Appends a text behind its length.
pub(crate) fn push_text(out: &mut Vec<u8>, text: &str) {
    push_uvarint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Bytes that `push_uvarint` takes.
pub(crate) fn uvarint_len(value: u64) -> u64 {
    u64::from((u64::BITS - (value | 1).leading_zeros()).div_ceil(7))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varints_come_back(value: u64, signed: i64) {
            let mut bytes = Vec::new();
            push_uvarint(&mut bytes, value);
            prop_assert_eq!(bytes.len() as u64, uvarint_len(value));
            push_varint(&mut bytes, signed);
            let mut cursor = Cursor::new(&bytes, BlockFile::Index, 0);
            prop_assert_eq!(cursor.uvarint().unwrap(), value);
            prop_assert_eq!(cursor.varint().unwrap(), signed);
            cursor.finish().unwrap();
        }

        #[test]
        fn any_bytes_end_in_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..24)) {
            let mut cursor = Cursor::new(&bytes, BlockFile::Index, u64::MAX);
            while cursor.text().is_ok() && cursor.varint().is_ok() && cursor.count(3).is_ok() {}
        }
    }

    #[test]
    fn overlong_varints_and_counts_are_refused() {
        for bytes in [&[0xff; 11][..], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]] {
            assert!(Cursor::new(bytes, BlockFile::Index, 0).uvarint().is_err());
        }
        assert!(Cursor::new(&[4, 0, 0, 0], BlockFile::Index, 0).count(1).is_err());
        assert_eq!(Cursor::new(&[3, 0, 0, 0], BlockFile::Index, 0).count(1).unwrap(), 3);
    }
}
