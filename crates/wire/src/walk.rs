//! The protobuf wire format, read field by field over a slice: varints, keys, skipping. Used by the hand-written
//! decoders; positions are those of the whole message, so that an error names the byte.
//!
//! Invariant: every range returned lies inside the slice. (Facts: protobuf.dev, "Encoding".)

use crate::WireError;

/// A field's key: its number and how its value is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub number: u32,
    pub wire: u8,
}

pub(crate) const VARINT: u8 = 0;
pub(crate) const FIXED64: u8 = 1;
pub(crate) const LENGTH: u8 = 2;
pub(crate) const FIXED32: u8 = 5;

/// A position in `bytes[..end]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk<'a> {
    bytes: &'a [u8],
    pub at: usize,
}

impl<'a> Walk<'a> {
    /// Walks `bytes` from `at` on.
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// Whether everything is read.
    pub fn is_done(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// The next byte, without moving.
    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// A varint of up to 64 bits. As in all implementations of note the tenth byte must not carry more than one bit.
    #[inline(always)]
    pub fn varint(&mut self) -> Result<u64, WireError> {
        match self.bytes.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, WireError> {
        let start = self.at;
        let mut value = 0u64;
        for (index, &byte) in self.bytes[start.min(self.bytes.len())..].iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                if index == 9 && byte > 1 {
                    return Err(malformed(start, "a varint of more than 64 bits"));
                }
                self.at = start + index + 1;
                return Ok(value);
            }
        }
        let what = if self.bytes.len() - start < 10 {
            "the message ends inside a varint"
        } else {
            "a varint of more than ten bytes"
        };
        Err(malformed(start, what))
    }

    /// A field's key. Numbers are 1 to 2^29-1; groups (wire types 3 and 4) were never part of these messages and are
    /// refused, like the types that do not exist.
    #[inline(always)]
    pub fn key(&mut self) -> Result<Key, WireError> {
        let start = self.at;
        let key = self.varint()?;
        let Ok(key) = u32::try_from(key) else { return Err(malformed(start, "a field number above 2^29-1")) };
        let (number, wire) = (key >> 3, (key & 7) as u8);
        if number == 0 {
            return Err(malformed(start, "field number 0"));
        }
        if !matches!(wire, VARINT | FIXED64 | LENGTH | FIXED32) {
            return Err(malformed(start, "a group or an unknown wire type"));
        }
        Ok(Key { number, wire })
    }

    /// The end of a length-delimited value that begins here, with the walk moved to its first byte.
    #[inline(always)]
    pub fn enter(&mut self) -> Result<usize, WireError> {
        let start = self.at;
        let length = self.varint()?;
        let rest = self.bytes.len() - self.at;
        if length > rest as u64 {
            return Err(malformed(start, "a length beyond the end of the message"));
        }
        Ok(self.at + length as usize)
    }

    /// The length-delimited value that begins here as a walk of its own; this walk moves behind it.
    #[inline(always)]
    pub fn message(&mut self) -> Result<Walk<'a>, WireError> {
        let end = self.enter()?;
        let inner = Walk { bytes: &self.bytes[..end], at: self.at };
        self.at = end;
        Ok(inner)
    }

    /// The bytes from `from` to the end of this message.
    pub fn since(&self, from: usize) -> &'a [u8] {
        &self.bytes[from..]
    }

    /// Eight bytes, little endian.
    #[inline(always)]
    pub fn fixed64(&mut self) -> Result<u64, WireError> {
        let Some(bytes) = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) else {
            return Err(malformed(self.at, "the message ends inside a fixed-width value"));
        };
        self.at += 8;
        Ok(u64::from_le_bytes(*bytes))
    }

    /// Moves behind the value of a field that is not known.
    pub fn skip(&mut self, wire: u8) -> Result<(), WireError> {
        match wire {
            VARINT => drop(self.varint()?),
            FIXED64 => drop(self.fixed64()?),
            LENGTH => self.at = self.enter()?,
            FIXED32 if self.bytes.len() - self.at >= 4 => self.at += 4,
            _ => return Err(malformed(self.at, "the message ends inside a fixed-width value")),
        }
        Ok(())
    }
}

/// A known field came with a wire type that its type does not have.
#[cold]
pub(crate) fn wrong_wire_type(at: usize) -> WireError {
    malformed(at, "a known field with a wrong wire type")
}

#[cold]
pub(crate) fn malformed(at: usize, what: &'static str) -> WireError {
    WireError::Malformed { at, what }
}
