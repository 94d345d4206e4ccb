//! Bit streams as chunks have them: most significant bit first, the last byte padded with zeros.
//!
//! The writer lays its bits straight into a byte vector, so that its bytes are whole after every write. The reader
//! never fails in the middle: past the end it reads zeros, and [`BitReader::verdict`] says afterwards whether all that
//! was read was there. That keeps error handling out of the decoders' inner loops.

use crate::ChunkError;

/// Bytes of capacity that a writer keeps free, so that eight bytes can be stored at once.
const SLACK_BYTES: usize = 8;

/// Smallest allocation of a writer, bytes: a chunk's header and first sample take 16 of them.
const CAPACITY_BYTES_MIN: usize = 32;

/// A growing bit stream.
#[derive(Clone, Debug)]
pub struct BitWriter {
    bytes: Vec<u8>,
    /// Unused low bits of the last byte, 0 to 7.
    free: u8,
}

impl BitWriter {
    /// A stream that begins with the bytes of `header`.
    pub fn new(header: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(CAPACITY_BYTES_MIN);
        bytes.extend_from_slice(header);
        Self { bytes, free: 0 }
    }

    /// Appends the low `count` bits of `bits`; the others must be zero. `count` is 1 to 64.
    #[inline]
    pub fn write(&mut self, bits: u64, count: u32) {
        debug_assert!((1..=64).contains(&count) && (count == 64 || bits >> count == 0));
        let aligned = bits << (64 - count);
        let free = u32::from(self.free);
        if free > 0
            && let Some(last) = self.bytes.last_mut()
        {
            *last |= (aligned >> (64 - free)) as u8;
        }
        if count <= free {
            self.free -= count as u8;
            return;
        }
        let left = count - free;
        let bytes_before = self.bytes.len();
        if self.bytes.capacity() - bytes_before < SLACK_BYTES {
            self.grow();
        }
        // Always eight bytes, of which what is not needed is dropped: one store instead of a copy of variable length.
        self.bytes.extend_from_slice(&(aligned << free).to_be_bytes());
        self.bytes.truncate(bytes_before + left.div_ceil(8) as usize);
        self.free = (left.wrapping_neg() & 7) as u8;
    }

    /// Appends `value` as an LEB128 varint, at any bit position.
    pub fn write_uvarint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.write(value & 0x7f | 0x80, 8);
            value >>= 7;
        }
        self.write(value, 8);
    }

    /// Appends `value` as a zigzag varint.
    pub fn write_varint(&mut self, value: i64) {
        self.write_uvarint(((value << 1) ^ (value >> 63)) as u64);
    }

    /// The stream so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The stream so far, for changes of its header.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Bytes allocated.
    pub fn capacity_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// The stream, in an allocation of its size.
    pub fn into_bytes(self) -> Box<[u8]> {
        self.bytes.into_boxed_slice()
    }

    /// Half as much again, rounded up to a quarter of a power of two: the size classes of jemalloc, so that nothing of
    /// an allocation is wasted.
    #[cold]
    fn grow(&mut self) {
        let capacity = self.bytes.capacity();
        let wanted = (capacity + capacity / 2).max(CAPACITY_BYTES_MIN);
        let step = (wanted.next_power_of_two() / 8).max(16);
        self.bytes.reserve_exact(wanted.next_multiple_of(step) - self.bytes.len());
    }
}

/// A cursor over a bit stream.
#[derive(Clone, Debug)]
pub struct BitReader<'a> {
    bytes: &'a [u8],
    /// The next byte to be loaded; beyond the end it goes on counting.
    at: usize,
    /// The next bits, the very next one at the top. Bits below `valid` are either zero or already right.
    window: u64,
    /// How many bits of `window` have been loaded, at most 63.
    valid: u32,
    malformed: Option<&'static str>,
}

/// How many bits may be taken after a [`BitReader::refill`].
pub(crate) const REFILLED_BITS: u32 = 56;

impl<'a> BitReader<'a> {
    /// A cursor at the byte `at` of `bytes`.
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, window: 0, valid: 0, malformed: None }
    }

    /// Makes at least [`REFILLED_BITS`] bits available.
    #[inline(always)]
    pub fn refill(&mut self) {
        if let Some(next) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk) {
            self.window |= u64::from_be_bytes(*next) >> self.valid;
            self.at += ((63 - self.valid) >> 3) as usize;
            self.valid |= REFILLED_BITS;
        } else {
            self.refill_tail();
        }
    }

    #[inline(never)]
    fn refill_tail(&mut self) {
        while self.valid < REFILLED_BITS {
            let byte = self.bytes.get(self.at).copied().unwrap_or(0);
            self.window |= u64::from(byte) << (56 - self.valid);
            self.at += 1;
            self.valid += 8;
        }
    }

    /// The next bits, the very next one at the top; only those that a refill has made available count.
    #[inline(always)]
    pub fn peek(&self) -> u64 {
        self.window
    }

    /// Skips `count` available bits.
    #[inline(always)]
    pub fn skip(&mut self, count: u32) {
        debug_assert!(count <= self.valid, "more bits are taken than a refill has made available");
        self.window <<= count;
        self.valid -= count;
    }

    /// Takes `count` available bits, 1 to 56.
    #[inline(always)]
    pub fn take(&mut self, count: u32) -> u64 {
        let bits = self.window >> (64 - count);
        self.skip(count);
        bits
    }

    /// Takes 1 to 64 bits, refilling as needed.
    #[inline(always)]
    pub fn take_refilled(&mut self, count: u32) -> u64 {
        if count <= self.valid {
            return self.take(count);
        }
        self.refill();
        if count <= REFILLED_BITS {
            return self.take(count);
        }
        let high = self.take(32);
        self.refill();
        high << (count - 32) | self.take(count - 32)
    }

    /// Takes an LEB128 varint of at most ten bytes.
    pub fn take_uvarint(&mut self) -> u64 {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let byte = self.take_refilled(8);
            value |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                if shift == 63 && byte > 1 {
                    break;
                }
                return value;
            }
        }
        self.fail("varint overflows 64 bits");
        0
    }

    /// Takes a zigzag varint.
    pub fn take_varint(&mut self) -> i64 {
        let value = self.take_uvarint();
        (value >> 1) as i64 ^ -((value & 1) as i64)
    }

    /// How many bits have not been taken yet; 0 also past the end.
    pub fn remaining_bits(&self) -> usize {
        (self.bytes.len() * 8).saturating_sub(self.at * 8 - self.valid as usize)
    }

    /// Notes that what was read makes no sense; reading may go on, the verdict will tell.
    #[cold]
    pub fn fail(&mut self, reason: &'static str) {
        self.malformed.get_or_insert(reason);
    }

    /// Whether everything that was taken so far was there and made sense.
    #[inline]
    pub fn verdict(&self) -> Result<(), ChunkError> {
        if self.malformed.is_none() && self.at * 8 - self.valid as usize <= self.bytes.len() * 8 {
            return Ok(());
        }
        let at = (self.at - self.valid as usize / 8).min(self.bytes.len());
        Err(ChunkError::Corrupt { at, reason: self.malformed.unwrap_or("ends in the middle of a sample") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(fields in prop::collection::vec((any::<u64>(), 1_u32..=64), 0..200)) {
            let mut writer = BitWriter::new(&[0xab]);
            let mut size_bits = 8;
            for &(bits, count) in &fields {
                writer.write(bits >> (64 - count), count);
                size_bits += count;
                prop_assert_eq!(writer.bytes().len(), size_bits.div_ceil(8) as usize);
            }
            let mut reader = BitReader::new(writer.bytes(), 1);
            for &(bits, count) in &fields {
                prop_assert_eq!(reader.take_refilled(count), bits >> (64 - count));
                prop_assert_eq!(reader.verdict(), Ok(()));
            }
            reader.take_refilled(8);
            prop_assert!(reader.verdict().is_err());
        }

        #[test]
        fn varints_round_trip(value: i64, shift in 0_u32..64, lead in 1_u32..8) {
            let value = value >> shift;
            let mut writer = BitWriter::new(&[]);
            writer.write(1, lead);
            writer.write_varint(value);
            writer.write_uvarint(value as u64);
            let mut reader = BitReader::new(writer.bytes(), 0);
            reader.take_refilled(lead);
            prop_assert_eq!(reader.take_varint(), value);
            prop_assert_eq!(reader.take_uvarint(), value as u64);
            prop_assert_eq!(reader.verdict(), Ok(()));
        }
    }

    #[test]
    fn a_varint_of_more_than_64_bits_is_malformed() {
        for bytes in [[0xff; 10], [0x80; 10], [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02]] {
            let mut reader = BitReader::new(&bytes, 0);
            reader.take_uvarint();
            assert!(reader.verdict().is_err());
        }
    }

    #[test]
    fn capacity_grows_by_about_half() {
        let mut writer = BitWriter::new(&[0, 0]);
        let mut seen = vec![writer.capacity_bytes()];
        while writer.bytes().len() < 1000 {
            writer.write(1, 8);
            if seen.last() != Some(&writer.capacity_bytes()) {
                seen.push(writer.capacity_bytes());
            }
        }
        assert_eq!(seen, [32, 48, 80, 128, 192, 320, 512, 768, 1280]);
    }
}
