//! Encoding 4: XOR2, floats with optional start timestamps, as Prometheus 3.14 writes them (`tsdb/chunkenc/xor2.go`).
//!
//! A u16 count and a byte that says which samples have a start; the first two samples as in XOR; from the third on one
//! prefix for time and value together. Values are XORed with the last one that was no stale marker.

use crate::bits::{BitReader, BitWriter};
use crate::starts::{self, StartReader, StartWriter};
use crate::varbit::{ReadWindow, WindowUse, WriteWindow, low_bits};
use crate::windows::WindowPlan;
use crate::{CHUNK_SAMPLES_MAX, Chunk, ChunkError, Columns, Encoding};
use bytes::Bytes;
use longhaul_model::{STALE_NAN_BITS, Sample};

/// Bytes before the first sample: the count, and the header of the starts.
const HEADER_BYTES: usize = starts::HEADER_AT + 1;

/// Widths of a delta-of-delta by the number of ones that lead its prefix: two or three; four have 64 bits.
const DOD_WIDTHS: [u32; 4] = [0, 0, 13, 20];

/// A sample with the time since when its counter counts.
#[derive(Clone, Copy, Debug)]
pub struct StartedSample {
    /// Time and value.
    pub sample: Sample,
    /// Start timestamp, ms since the Unix epoch; 0 is none.
    pub start_ms: i64,
}

/// An open XOR2 chunk. Its bytes are a valid chunk after every sample.
#[derive(Clone, Debug)]
pub struct Xor2Appender {
    writer: BitWriter,
    min_ms: i64,
    t_ms: i64,
    delta: u64,
    /// Bits of the last value that was not stale.
    bits: u64,
    starts: StartWriter,
    window: WriteWindow,
}

impl Xor2Appender {
    /// An empty chunk.
    pub fn new() -> Self {
        Self {
            writer: BitWriter::new(&[0; HEADER_BYTES]),
            min_ms: i64::MAX,
            t_ms: i64::MIN,
            delta: 0,
            bits: 0,
            starts: StartWriter::default(),
            window: WriteWindow::NONE,
        }
    }

    /// Appends a sample; `start_ms` 0 means that none is known.
    ///
    /// # Panics
    /// If `t_ms` does not lie after the last sample's, or the chunk holds [`CHUNK_SAMPLES_MAX`] samples.
    pub fn append(&mut self, start_ms: i64, t_ms: i64, value: f64) {
        self.append_under(start_ms, t_ms, value, WriteWindow::fit);
    }

    /// [`Self::append`] under the window that `find` makes the current one for a change.
    fn append_under(
        &mut self,
        start_ms: i64,
        t_ms: i64,
        value: f64,
        find: impl FnOnce(&mut WriteWindow, u64) -> WindowUse,
    ) {
        let (samples, value) = (self.samples(), value.to_bits());
        let (before_ms, delta) = (self.t_ms, t_ms.wrapping_sub(self.t_ms) as u64);
        assert!(samples == 0 || t_ms > before_ms, "a chunk's times rise");
        match samples {
            0 => {
                self.min_ms = t_ms;
                self.writer.write_varint(t_ms);
                self.writer.write(value, 64);
            }
            1 => {
                self.writer.write_uvarint(delta);
                self.write_value(value, find);
            }
            _ => {
                assert!(samples < CHUNK_SAMPLES_MAX, "a chunk's count is a u16");
                self.write_joint(delta.wrapping_sub(self.delta) as i64, value, find);
            }
        }
        self.starts.write(&mut self.writer, samples, before_ms, t_ms, start_ms);
        self.t_ms = t_ms;
        self.delta = if samples == 0 { 0 } else { delta };
        if value != STALE_NAN_BITS {
            self.bits = value;
        }
        self.writer.bytes_mut()[..2].copy_from_slice(&(samples + 1).to_be_bytes());
    }

    /// How many samples have been appended.
    pub fn samples(&self) -> u16 {
        self.bytes().first_chunk().map_or(0, |count| u16::from_be_bytes(*count))
    }

    /// Time of the first sample; `i64::MAX` without one.
    pub fn min_ms(&self) -> i64 {
        self.min_ms
    }

    /// Time of the last sample; `i64::MIN` without one.
    pub fn max_ms(&self) -> i64 {
        self.t_ms
    }

    /// Bytes allocated beside the value itself.
    pub fn heap_bytes(&self) -> usize {
        self.writer.capacity_bytes()
    }

    /// The chunk so far: a valid chunk's data.
    pub fn bytes(&self) -> &[u8] {
        self.writer.bytes()
    }

    /// Ends the chunk, in an allocation of its size.
    pub fn seal(self) -> Chunk {
        let (min_ms, max_ms) = (self.min_ms, self.t_ms);
        Chunk { encoding: Encoding::Xor2, min_ms, max_ms, data: Bytes::from(self.writer.into_bytes()) }
    }

    fn write_joint(&mut self, dod: i64, value: u64, find: impl FnOnce(&mut WriteWindow, u64) -> WindowUse) {
        if dod == 0 {
            let change = value ^ self.bits;
            if value == STALE_NAN_BITS {
                self.writer.write(0b11111, 5);
            } else if change == 0 {
                self.writer.write(0, 1);
            } else {
                let found = find(&mut self.window, change);
                self.window.write(&mut self.writer, 0b100 | found as u64, 3, found, change);
            }
            return;
        }
        let fits = |width: u32| -(1 << (width - 1)) <= dod && dod < 1 << (width - 1);
        if fits(13) {
            self.writer.write(0b110 << 13 | low_bits(dod, 13), 3 + 13);
        } else if fits(20) {
            self.writer.write(0b1110 << 20 | low_bits(dod, 20), 4 + 20);
        } else {
            self.writer.write(0b11110, 5);
            self.writer.write(dod as u64, 64);
        }
        self.write_value(value, find);
    }

    fn write_value(&mut self, value: u64, find: impl FnOnce(&mut WriteWindow, u64) -> WindowUse) {
        let change = value ^ self.bits;
        if value == STALE_NAN_BITS {
            self.writer.write(0b111, 3);
        } else if change == 0 {
            self.writer.write(0, 1);
        } else {
            match find(&mut self.window, change) {
                found @ WindowUse::Reused => self.window.write(&mut self.writer, 0b10, 2, found, change),
                found @ WindowUse::New => self.window.write(&mut self.writer, 0b110, 3, found, change),
            }
        }
    }
}

impl Default for Xor2Appender {
    fn default() -> Self {
        Self::new()
    }
}

/// A chunk of samples that are all known, in fewer bits than an appender needs, which does not know what comes. The columns
/// must be as long as each other, times rising strictly, at most [`CHUNK_SAMPLES_MAX`].
pub(crate) fn pack(start_ms: &[i64], t_ms: &[i64], values: &[f64], plan: &mut WindowPlan) -> Chunk {
    let mut before = None;
    plan.plan(values.iter().map(|value| value.to_bits()).filter_map(|bits| match before {
        None => {
            before = Some(if bits == STALE_NAN_BITS { 0 } else { bits });
            None
        }
        Some(_) if bits == STALE_NAN_BITS => None,
        Some(last) => {
            before = Some(bits);
            Some(bits ^ last)
        }
    }));
    let mut chunk = Xor2Appender::new();
    for ((start_ms, t_ms), value) in start_ms.iter().zip(t_ms).zip(values) {
        chunk.append_under(*start_ms, *t_ms, *value, |window, _| plan.next(window));
    }
    chunk.seal()
}

/// The samples of an XOR2 chunk one by one, with their starts. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Xor2Iterator<'a> {
    decoder: Decoder<'a>,
    count: u16,
}

impl<'a> Xor2Iterator<'a> {
    /// Opens the data of an XOR2 chunk.
    pub fn new(data: &'a [u8]) -> Result<Self, ChunkError> {
        let count = crate::count_of(data)?;
        Ok(Self { decoder: Decoder::new(data)?, count })
    }
}

impl Iterator for Xor2Iterator<'_> {
    type Item = Result<StartedSample, ChunkError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.decoder.index == self.count {
            return None;
        }
        let sample = self.decoder.next();
        if let Err(error) = self.decoder.reader.verdict() {
            self.count = self.decoder.index;
            return Some(Err(error));
        }
        Some(Ok(StartedSample { sample, start_ms: self.decoder.starts.start_ms }))
    }
}

/// Appends all samples of an XOR2 chunk to `out`, with their starts if the chunk has any. On an error `out` is left with
/// garbage at its end.
pub(crate) fn decode_all(data: &[u8], out: &mut Columns) -> Result<(), ChunkError> {
    let count = usize::from(crate::count_of(data)?);
    // No sample takes less than a bit, whatever the count claims.
    if count > data.len() * 8 {
        return Err(ChunkError::Corrupt { at: 0, reason: "counts more samples than it can hold" });
    }
    let mut decoder = Decoder::new(data)?;
    let begin = out.t_ms.len();
    out.t_ms.resize(begin + count, 0);
    out.values.resize(begin + count, 0.0);
    let slots = out.t_ms[begin..].iter_mut().zip(&mut out.values[begin..]);
    if decoder.starts.any() {
        out.start_ms.resize(begin, 0);
        out.start_ms.reserve(count);
        for slot in slots {
            let sample = decoder.next();
            (*slot.0, *slot.1) = (sample.t_ms, sample.value);
            out.start_ms.push(decoder.starts.start_ms);
        }
    } else {
        for slot in slots {
            let sample = decoder.next();
            (*slot.0, *slot.1) = (sample.t_ms, sample.value);
        }
    }
    decoder.reader.verdict()
}

#[derive(Clone, Debug)]
struct Decoder<'a> {
    reader: BitReader<'a>,
    index: u16,
    starts: StartReader,
    t_ms: i64,
    delta: u64,
    /// Bits of the last value that was not stale.
    bits: u64,
    window: ReadWindow,
}

impl<'a> Decoder<'a> {
    fn new(data: &'a [u8]) -> Result<Self, ChunkError> {
        let starts = data.get(starts::HEADER_AT).copied();
        let starts = starts.ok_or(ChunkError::Corrupt { at: data.len(), reason: "shorter than its header" })?;
        Ok(Self {
            reader: BitReader::new(data, HEADER_BYTES),
            index: 0,
            starts: StartReader::new(starts),
            t_ms: 0,
            delta: 0,
            bits: 0,
            window: ReadWindow::WHOLE,
        })
    }

    #[inline]
    fn next(&mut self) -> Sample {
        let before_ms = self.t_ms;
        let bits = match self.index {
            0 => self.take_first(),
            1 => {
                self.delta = self.reader.take_uvarint();
                self.reader.refill();
                self.take_value()
            }
            _ => self.take_joint(),
        };
        if self.index > 0 {
            self.t_ms = before_ms.wrapping_add_unsigned(self.delta);
            if self.t_ms <= before_ms {
                self.reader.fail("times do not rise");
            }
            self.starts.take(&mut self.reader, self.index, before_ms);
        }
        self.index += 1;
        Sample::new(self.t_ms, f64::from_bits(bits))
    }

    fn take_first(&mut self) -> u64 {
        self.t_ms = self.reader.take_varint();
        let bits = self.reader.take_refilled(64);
        if bits != STALE_NAN_BITS {
            self.bits = bits;
        }
        self.starts.take_first(&mut self.reader, self.t_ms);
        bits
    }

    #[inline(always)]
    fn take_joint(&mut self) -> u64 {
        self.reader.refill();
        let ones = (!self.reader.peek()).leading_zeros();
        match ones {
            0 => {
                self.reader.skip(1);
                self.bits
            }
            1 => {
                self.reader.skip(2);
                let new = self.reader.take(1) == 1;
                self.take_changed(new)
            }
            2 | 3 => {
                let width = DOD_WIDTHS[ones as usize];
                self.reader.skip(ones + 1);
                let payload = self.reader.take(width);
                let unused = 64 - width;
                let dod = (payload << unused) as i64 >> unused; // two's complement, unlike XOR's
                self.delta = self.delta.wrapping_add_signed(dod);
                self.take_value()
            }
            4 => {
                self.reader.skip(5);
                let dod = self.reader.take_refilled(64) as i64;
                self.delta = self.delta.wrapping_add_signed(dod);
                self.reader.refill();
                self.take_value()
            }
            _ => {
                self.reader.skip(5);
                STALE_NAN_BITS
            }
        }
    }

    #[inline(always)]
    fn take_value(&mut self) -> u64 {
        match (!self.reader.peek()).leading_zeros() {
            0 => {
                self.reader.skip(1);
                self.bits
            }
            1 => {
                self.reader.skip(2);
                self.take_changed(false)
            }
            2 => {
                self.reader.skip(3);
                self.take_changed(true)
            }
            _ => {
                self.reader.skip(3);
                STALE_NAN_BITS
            }
        }
    }

    #[inline(always)]
    fn take_changed(&mut self, new_window: bool) -> u64 {
        if new_window {
            self.window.take(&mut self.reader);
        }
        self.bits ^= self.window.take_change(&mut self.reader);
        self.bits
    }
}

#[cfg(test)]
mod tests;
