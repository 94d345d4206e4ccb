//! Encoding 1: Gorilla-compressed floats, as every Prometheus writes and reads them (`tsdb/chunkenc/xor.go`).
//!
//! A u16 count; the first sample whole; the second with its distance in time; from the third on the change of that
//! distance. Values are XORed with the one before.

use crate::bits::{BitReader, BitWriter};
use crate::varbit::{ReadWindow, WindowUse, WriteWindow, fits, low_bits, signed};
use crate::windows::WindowPlan;
use crate::{Chunk, ChunkError, Columns, Encoding};
use bytes::Bytes;
use longhaul_model::Sample;

/// Most samples that a chunk can count.
pub const CHUNK_SAMPLES_MAX: u16 = u16::MAX;

/// Widths of a delta-of-delta by the number of ones that lead its prefix; four ones have 64 bits.
const DOD_WIDTHS: [u32; 4] = [0, 14, 17, 20];

/// An open chunk that grows in memory. Its bytes are a valid chunk after every sample.
#[derive(Clone, Debug)]
pub struct XorAppender {
    writer: BitWriter,
    t_ms: i64,
    delta: u64,
    value: f64,
    window: WriteWindow,
}

const _: () = assert!(size_of::<XorAppender>() <= 64, "there are millions of open chunks");

impl XorAppender {
    /// An empty chunk.
    pub fn new() -> Self {
        Self { writer: BitWriter::new(&[0, 0]), t_ms: i64::MIN, delta: 0, value: 0.0, window: WriteWindow::NONE }
    }

    /// Appends a sample.
    ///
    /// # Panics
    /// If `t_ms` does not lie after the last sample's, or the chunk holds [`CHUNK_SAMPLES_MAX`] samples.
    #[inline]
    pub fn append(&mut self, t_ms: i64, value: f64) {
        self.append_under::<true>(t_ms, value, WriteWindow::fit);
    }

    /// [`Self::append`] at any time, as only chunks within chunks of aggregates have it.
    pub(crate) fn append_any(&mut self, t_ms: i64, value: f64) {
        self.append_under::<false>(t_ms, value, WriteWindow::fit);
    }

    /// [`Self::append`] under the window that `find` makes the current one for a change.
    #[inline(always)]
    fn append_under<const RISES: bool>(
        &mut self,
        t_ms: i64,
        value: f64,
        find: impl FnOnce(&mut WriteWindow, u64) -> WindowUse,
    ) {
        let samples = self.samples();
        let delta = t_ms.wrapping_sub(self.t_ms) as u64;
        if samples >= 2 {
            assert!(
                (!RISES || t_ms > self.t_ms) && samples < CHUNK_SAMPLES_MAX,
                "a chunk's times rise and its count is a u16"
            );
            let (prefix, prefix_bits) = self.write_dod(delta.wrapping_sub(self.delta) as i64);
            self.write_value(prefix, prefix_bits, value, find);
        } else if samples == 1 {
            assert!(!RISES || t_ms > self.t_ms, "a chunk's times rise");
            self.writer.write_uvarint(delta);
            self.write_value(0, 0, value, find);
        } else {
            self.writer.write_varint(t_ms);
            self.writer.write(value.to_bits(), 64);
        }
        self.t_ms = t_ms;
        self.delta = delta;
        self.value = value;
        if let Some(count) = self.writer.bytes_mut().first_chunk_mut() {
            *count = (samples + 1).to_be_bytes();
        }
    }

    /// The code of a delta-of-delta, for the value's code to go behind it; nothing if it was too long for that and has
    /// been written.
    #[inline(always)]
    fn write_dod(&mut self, dod: i64) -> (u64, u32) {
        if dod == 0 {
            (0, 1)
        } else if fits(dod, 14) {
            (0b10 << 14 | low_bits(dod, 14), 2 + 14)
        } else if fits(dod, 17) {
            (0b110 << 17 | low_bits(dod, 17), 3 + 17)
        } else if fits(dod, 20) {
            (0b1110 << 20 | low_bits(dod, 20), 4 + 20)
        } else {
            self.writer.write(0b1111, 4);
            self.writer.write(dod as u64, 64);
            (0, 0)
        }
    }

    #[inline(always)]
    fn write_value(
        &mut self,
        prefix: u64,
        prefix_bits: u32,
        value: f64,
        find: impl FnOnce(&mut WriteWindow, u64) -> WindowUse,
    ) {
        let change = value.to_bits() ^ self.value.to_bits();
        if change == 0 {
            return self.writer.write(prefix << 1, prefix_bits + 1);
        }
        let found = find(&mut self.window, change);
        let control = match found {
            WindowUse::Reused => 0b10,
            WindowUse::New => 0b11,
        };
        self.window.write(&mut self.writer, prefix << 2 | control, prefix_bits + 2, found, change);
    }

    /// How many samples have been appended.
    #[inline]
    pub fn samples(&self) -> u16 {
        self.bytes().first_chunk().map_or(0, |count| u16::from_be_bytes(*count))
    }

    /// The chunk so far: a valid chunk's data.
    pub fn bytes(&self) -> &[u8] {
        self.writer.bytes()
    }

    /// Bytes of the chunk so far.
    pub fn size_bytes(&self) -> usize {
        self.bytes().len()
    }

    /// Bytes allocated beside the value itself.
    pub fn heap_bytes(&self) -> usize {
        self.writer.capacity_bytes()
    }

    /// Time of the first sample; `i64::MAX` without one.
    pub fn min_ms(&self) -> i64 {
        // Read from the chunk itself, where it stands first: eight bytes less in every series.
        if self.samples() == 0 { i64::MAX } else { BitReader::new(self.bytes(), 2).take_varint() }
    }

    /// Time of the last sample; `i64::MIN` without one.
    pub fn max_ms(&self) -> i64 {
        self.t_ms
    }

    /// Value of the last sample; 0 without one.
    pub fn last_value(&self) -> f64 {
        self.value
    }

    /// A copy of the chunk so far.
    pub fn to_chunk(&self) -> Chunk {
        self.chunk(Bytes::copy_from_slice(self.bytes()))
    }

    /// Ends the chunk, in an allocation of its size.
    pub fn seal(self) -> Chunk {
        let chunk = self.chunk(Bytes::new());
        Chunk { data: Bytes::from(self.writer.into_bytes()), ..chunk }
    }

    fn chunk(&self, data: Bytes) -> Chunk {
        Chunk { encoding: Encoding::Xor, min_ms: self.min_ms(), max_ms: self.max_ms(), data }
    }
}

impl Default for XorAppender {
    fn default() -> Self {
        Self::new()
    }
}

/// A chunk of samples that are all known: in the fewest bits that the encoding allows. `t_ms` must rise strictly and be as
/// many as `values`, at most [`CHUNK_SAMPLES_MAX`].
pub(crate) fn pack(t_ms: &[i64], values: &[f64], plan: &mut WindowPlan) -> Chunk {
    plan.plan(values.windows(2).map(|pair| pair[0].to_bits() ^ pair[1].to_bits()));
    let mut chunk = XorAppender::new();
    for (t_ms, value) in t_ms.iter().zip(values) {
        chunk.append_under::<true>(*t_ms, *value, |window, _| plan.next(window));
    }
    chunk.seal()
}

/// The samples of an XOR chunk one by one, as far as they are asked for. Ends after the first error; times that do not rise are
/// one, unless `RISES` says that they need not.
#[derive(Clone, Debug)]
pub struct XorIterator<'a, const RISES: bool = true> {
    decoder: Decoder<'a, RISES>,
    index: u16,
    count: u16,
}

impl<'a> XorIterator<'a> {
    /// Opens the data of an XOR chunk.
    pub fn new(data: &'a [u8]) -> Result<Self, ChunkError> {
        Ok(Self { decoder: Decoder::new(data), index: 0, count: crate::count_of(data)? })
    }
}

impl<'a> XorIterator<'a, false> {
    /// Opens the data of a chunk within a chunk of aggregates.
    pub(crate) fn in_any_order(data: &'a [u8]) -> Result<Self, ChunkError> {
        Ok(Self { decoder: Decoder::new(data), index: 0, count: crate::count_of(data)? })
    }
}

impl<const RISES: bool> Iterator for XorIterator<'_, RISES> {
    type Item = Result<Sample, ChunkError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.index == self.count {
            return None;
        }
        match self.index {
            0 => self.decoder.first(),
            1 => self.decoder.second(),
            _ => self.decoder.third_and_later(),
        }
        self.index += 1;
        if let Err(error) = self.decoder.reader.verdict() {
            self.count = self.index;
            return Some(Err(error));
        }
        Some(Ok(Sample::new(self.decoder.t_ms, f64::from_bits(self.decoder.bits))))
    }
}

/// Appends all samples of an XOR chunk to `out`. On an error `out` is left with garbage at its end.
pub(crate) fn decode_all(data: &[u8], out: &mut Columns) -> Result<(), ChunkError> {
    let count = usize::from(crate::count_of(data)?);
    // No sample takes less than two bits, whatever the count claims.
    if count > data.len() * 4 {
        return Err(ChunkError::Corrupt { at: 0, reason: "counts more samples than it can hold" });
    }
    let begin = out.t_ms.len();
    out.t_ms.resize(begin + count, 0);
    out.values.resize(begin + count, 0.0);
    let mut slots = out.t_ms[begin..].iter_mut().zip(&mut out.values[begin..]);
    let mut decoder = Decoder::<true>::new(data);
    if let Some((t_ms, value)) = slots.next() {
        decoder.first();
        (*t_ms, *value) = (decoder.t_ms, f64::from_bits(decoder.bits));
    }
    if let Some((t_ms, value)) = slots.next() {
        decoder.second();
        (*t_ms, *value) = (decoder.t_ms, f64::from_bits(decoder.bits));
    }
    for (t_ms, value) in slots {
        decoder.third_and_later();
        (*t_ms, *value) = (decoder.t_ms, f64::from_bits(decoder.bits));
    }
    decoder.reader.verdict()
}

#[derive(Clone, Debug)]
struct Decoder<'a, const RISES: bool> {
    reader: BitReader<'a>,
    t_ms: i64,
    delta: u64,
    bits: u64,
    window: ReadWindow,
}

impl<'a, const RISES: bool> Decoder<'a, RISES> {
    fn new(data: &'a [u8]) -> Self {
        Self { reader: BitReader::new(data, 2), t_ms: 0, delta: 0, bits: 0, window: ReadWindow::WHOLE }
    }

    fn first(&mut self) {
        self.t_ms = self.reader.take_varint();
        self.bits = self.reader.take_refilled(64);
    }

    fn second(&mut self) {
        self.delta = self.reader.take_uvarint();
        self.reader.refill();
        self.advance();
        self.take_value();
    }

    #[inline(always)]
    fn third_and_later(&mut self) {
        self.reader.refill();
        let next = self.reader.peek();
        if next >> 62 == 0 {
            self.reader.skip(2);
            return self.advance();
        }
        if next >> 63 == 0 {
            self.reader.skip(1);
        } else {
            let dod = self.take_dod();
            self.delta = self.delta.wrapping_add_signed(dod);
        }
        self.advance();
        self.take_value();
    }

    /// Takes a delta-of-delta that is not zero, and leaves enough for the value's prefix.
    #[inline(always)]
    fn take_dod(&mut self) -> i64 {
        let ones = (!self.reader.peek()).leading_zeros();
        if ones < 4 {
            let width = DOD_WIDTHS[ones as usize];
            self.reader.skip(ones + 1);
            return signed(self.reader.take(width), width);
        }
        self.reader.skip(4);
        let dod = self.reader.take_refilled(64) as i64;
        self.reader.refill();
        dod
    }

    #[inline(always)]
    fn advance(&mut self) {
        let before = self.t_ms;
        self.t_ms = before.wrapping_add_unsigned(self.delta);
        if RISES && self.t_ms <= before {
            self.reader.fail("times do not rise");
        }
    }

    #[inline(always)]
    fn take_value(&mut self) {
        let next = self.reader.peek();
        if next >> 63 == 0 {
            return self.reader.skip(1);
        }
        self.reader.skip(2);
        if next >> 62 == 0b11 {
            self.window.take(&mut self.reader);
        }
        self.bits ^= self.window.take_change(&mut self.reader);
    }
}

#[cfg(test)]
pub(crate) mod tests;
