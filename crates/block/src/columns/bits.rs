//! Integers as bits: those of a cell lie around zero, mostly within a few bits of each other.
//!
//! An integer v is coded with a parameter k as Exp-Golomb codes do it: the low k bits apart, and of `(v >> k) + 1` first how
//! many bits follow its leading one, in ones, then those bits. A run of [`ESCAPE`] ones says that v follows whole.

use longhaul_chunk::{BitReader, BitWriter};

/// Ones that mean an integer of 64 bits.
const ESCAPE: u32 = 32;

/// Largest parameter.
pub(super) const PARAMETER_MAX: u32 = 60;

/// Appends `value`.
pub(super) fn write(writer: &mut BitWriter, value: u64, k: u32) {
    let quotient = value >> k;
    let length = if quotient == u64::MAX { 64 } else { (quotient + 1).ilog2() };
    if length >= ESCAPE {
        writer.write(u64::MAX >> (64 - ESCAPE), ESCAPE);
        return writer.write(value, 64);
    }
    // Ones, a zero, and the bits behind the leading one.
    writer.write((1 << (length + 1)) - 2, length + 1);
    if length > 0 {
        writer.write((quotient + 1) & ((1 << length) - 1), length);
    }
    if k > 0 {
        writer.write(value & ((1 << k) - 1), k);
    }
}

/// Takes an integer; past the end of the bits, anything.
pub(super) fn take(reader: &mut BitReader<'_>, k: u32) -> u64 {
    reader.refill();
    let ones = (!reader.peek()).leading_zeros().min(ESCAPE);
    reader.skip(ones);
    if ones == ESCAPE {
        return reader.take_refilled(64);
    }
    reader.skip(1);
    let tail = if ones > 0 { reader.take_refilled(ones) } else { 0 };
    let quotient = ((1 << ones) | tail) - 1;
    let low = if k > 0 { reader.take_refilled(k) } else { 0 };
    quotient << k | low
}

/// How many of a cell's integers have how many bits: what the choice of a parameter needs.
#[derive(Clone, Debug)]
pub(super) struct Lengths([u32; 65]);

impl Lengths {
    pub(super) fn of(values: impl Iterator<Item = u64>) -> Self {
        let mut lengths = [0; 65];
        values.for_each(|value| lengths[(64 - value.leading_zeros()) as usize] += 1);
        Self(lengths)
    }

    /// How many are not zero.
    pub(super) fn nonzero(&self) -> u64 {
        self.0[1..].iter().map(|count| u64::from(*count)).sum()
    }

    /// The parameter that takes the fewest bits, and how many they are, about.
    pub(super) fn best(&self) -> (u32, u64) {
        let total: u32 = self.0.iter().sum();
        let (mut below, mut median) = (0, 0);
        while median < 64 && below + self.0[median] <= total / 2 {
            below += self.0[median];
            median += 1;
        }
        let candidates = (median as u32).saturating_sub(3)..=(median as u32 + 2).min(PARAMETER_MAX);
        let cost = |k: u32| (k, self.bits(k));
        candidates.map(cost).min_by_key(|(_, bits)| *bits).unwrap_or((PARAMETER_MAX, self.bits(PARAMETER_MAX)))
    }

    fn bits(&self, k: u32) -> u64 {
        let each = |length: u32| match length.saturating_sub(k) {
            beyond if beyond >= ESCAPE => u64::from(ESCAPE) + 64,
            beyond => u64::from(2 * beyond + 1 + k),
        };
        (0..).zip(&self.0).map(|(length, count)| u64::from(*count) * each(length)).sum()
    }
}

/// Integers of either sign as such of none, small ones small.
pub(super) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The inverse of [`zigzag`].
pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_come_back(values in prop::collection::vec((any::<u64>(), 0u32..64), 0..50), k in 0..=PARAMETER_MAX) {
            let mut writer = BitWriter::new(&[]);
            let values: Vec<u64> = values.into_iter().map(|(value, shift)| value >> shift).collect();
            values.iter().for_each(|value| write(&mut writer, *value, k));
            let mut reader = BitReader::new(writer.bytes(), 0);
            for value in &values {
                prop_assert_eq!(take(&mut reader, k), *value);
            }
            prop_assert!(reader.verdict().is_ok());
            prop_assert!(values.iter().all(|value| zigzag(unzigzag(*value)) == *value));
        }
    }

    #[test]
    fn the_parameter_is_the_best_one_or_next_to_it() {
        for spread in [1, 20, 1000, 1 << 30] {
            let values: Vec<u64> = (0..500u64).map(|n| n * 7919 % spread).collect();
            let bytes = |k: u32| {
                let mut writer = BitWriter::new(&[]);
                values.iter().for_each(|value| write(&mut writer, *value, k));
                writer.bytes().len()
            };
            let (chosen, bits) = Lengths::of(values.iter().copied()).best();
            let least = (0..=PARAMETER_MAX).map(bytes).min().unwrap();
            assert!(bytes(chosen) * 100 <= least * 105, "{chosen} takes {} for {least}", bytes(chosen));
            assert!(bits / 8 >= bytes(chosen) as u64 - 1 && bits / 8 <= 2 * bytes(chosen) as u64);
        }
    }
}
