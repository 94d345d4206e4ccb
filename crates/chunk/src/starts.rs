//! Start timestamps as XOR2 chunks and the histogram chunks 5 and 6 have them: since when a sample's counter counts.
//!
//! A header byte, the chunk's third, says which samples have one; the others go on with the start before them. The
//! first sample's start is a varint, any other a varbit integer behind its sample. What is written is an age: the time
//! of the sample *before* less the start (of the first sample: its own time), and from the second one on its change.
//! Prometheus: `tsdb/chunkenc/st.go`.

use crate::bits::{BitReader, BitWriter};
use crate::varbit;

/// Where the header byte stands in a chunk's data.
pub(crate) const HEADER_AT: usize = 2;

/// Bit of the header: the first sample has a start.
const FIRST_KNOWN: u8 = 0x80;

/// Bits of the header: the first sample, by index, from which on every one has a start written; 0 is none. A chunk
/// that has none when it comes to this index begins with it here, as no later one could be named.
const WRITTEN_FROM_MAX: u8 = 0x7f;

/// The starts of a chunk that grows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StartWriter {
    /// The start of the sample that was written last; 0 is none.
    pub(crate) start_ms: i64,
    age_ms: i64,
}

impl StartWriter {
    /// Appends the start of the sample that was written last, which is number `index` from 0; `before_ms` is the time
    /// of the one before it.
    #[inline]
    pub(crate) fn write(&mut self, writer: &mut BitWriter, index: u16, before_ms: i64, t_ms: i64, start_ms: i64) {
        let from = writer.bytes()[HEADER_AT] & WRITTEN_FROM_MAX;
        let age_ms = before_ms.wrapping_sub(start_ms);
        if index == 0 {
            if start_ms != 0 {
                writer.write_varint(t_ms.wrapping_sub(start_ms));
                writer.bytes_mut()[HEADER_AT] = FIRST_KNOWN;
            }
        } else if from > 0 {
            varbit::write_int(writer, age_ms.wrapping_sub(self.age_ms));
            self.age_ms = age_ms;
        } else if start_ms != self.start_ms || index == u16::from(WRITTEN_FROM_MAX) {
            writer.bytes_mut()[HEADER_AT] |= index as u8; // at most WRITTEN_FROM_MAX: there every chunk has begun
            varbit::write_int(writer, age_ms);
            self.age_ms = age_ms;
        }
        self.start_ms = start_ms;
    }
}

/// The starts of a chunk that is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StartReader {
    /// The start of the sample that was read last; 0 is none.
    pub(crate) start_ms: i64,
    first_known: bool,
    written_from: u16,
    age_ms: i64,
}

impl StartReader {
    /// `header` 0 is a chunk without starts.
    pub(crate) fn new(header: u8) -> Self {
        Self {
            start_ms: 0,
            first_known: header & FIRST_KNOWN != 0,
            written_from: u16::from(header & WRITTEN_FROM_MAX),
            age_ms: 0,
        }
    }

    /// Whether any sample may have one.
    pub(crate) fn any(&self) -> bool {
        self.first_known || self.written_from > 0
    }

    /// Takes the start of the first sample.
    #[inline]
    pub(crate) fn take_first(&mut self, reader: &mut BitReader<'_>, t_ms: i64) {
        if self.first_known {
            self.start_ms = t_ms.wrapping_sub(reader.take_varint());
        }
    }

    /// Takes the start of sample `index`, not the first; `before_ms` is the time of the one before it.
    #[inline]
    pub(crate) fn take(&mut self, reader: &mut BitReader<'_>, index: u16, before_ms: i64) {
        if self.written_from > 0 && index >= self.written_from {
            self.age_ms = self.age_ms.wrapping_add(varbit::take_int(reader));
            self.start_ms = before_ms.wrapping_sub(self.age_ms);
        }
    }
}
