//! The two bit codes that the encodings share: varbit integers, and the XOR window of float values.

use crate::bits::{BitReader, BitWriter, REFILLED_BITS};

/// Payload widths of a varbit integer by the number of ones that lead its prefix; eight ones have 64 bits.
const VARBIT_WIDTHS: [u32; 8] = [0, 3, 6, 9, 12, 18, 25, 56];

/// Whether `value` fits a signed payload of `width` bits: one more above zero than below, unlike two's complement.
#[inline(always)]
pub(crate) fn fits(value: i64, width: u32) -> bool {
    let half = 1_i64 << (width - 1);
    -half < value && value <= half
}

/// The signed value of a payload of `width` bits, below 64: two's complement, but 100..0 is positive.
#[inline(always)]
pub(crate) fn signed(payload: u64, width: u32) -> i64 {
    let beyond = 1_u64 << width;
    payload.wrapping_sub(if payload > beyond >> 1 { beyond } else { 0 }) as i64
}

/// The low `width` bits of `value`.
#[inline(always)]
pub(crate) fn low_bits(value: i64, width: u32) -> u64 {
    value as u64 & (u64::MAX >> (64 - width))
}

/// Appends a signed varbit integer.
#[inline]
pub(crate) fn write_int(writer: &mut BitWriter, value: i64) {
    if value == 0 {
        return writer.write(0, 1);
    }
    match (1..8_u32).find(|&ones| fits(value, VARBIT_WIDTHS[ones as usize])) {
        Some(ones) => write_payload(writer, ones, low_bits(value, VARBIT_WIDTHS[ones as usize])),
        None => {
            writer.write(0xff, 8);
            writer.write(value as u64, 64);
        }
    }
}

/// Appends an unsigned varbit integer.
pub(crate) fn write_uint(writer: &mut BitWriter, value: u64) {
    if value == 0 {
        return writer.write(0, 1);
    }
    match (1..8_u32).find(|&ones| value >> VARBIT_WIDTHS[ones as usize] == 0) {
        Some(ones) => write_payload(writer, ones, value),
        None => {
            writer.write(0xff, 8);
            writer.write(value, 64);
        }
    }
}

/// Appends a prefix of one to seven `ones` and the payload that it announces; together at most 64 bits.
fn write_payload(writer: &mut BitWriter, ones: u32, payload: u64) {
    let width = VARBIT_WIDTHS[ones as usize];
    writer.write(((1 << (ones + 1)) - 2) << width | payload, ones + 1 + width);
}

/// Takes a signed varbit integer.
#[inline(always)]
pub(crate) fn take_int(reader: &mut BitReader<'_>) -> i64 {
    match take_payload(reader) {
        (payload, 64) => payload as i64,
        (payload, width) => signed(payload, width),
    }
}

/// Takes an unsigned varbit integer.
pub(crate) fn take_uint(reader: &mut BitReader<'_>) -> u64 {
    take_payload(reader).0
}

/// Takes the payload of a varbit integer, and its width.
#[inline(always)]
fn take_payload(reader: &mut BitReader<'_>) -> (u64, u32) {
    reader.refill();
    let next = reader.peek();
    if next >> 63 == 0 {
        reader.skip(1);
        return (0, 0);
    }
    let ones = (!next).leading_zeros();
    // One refill holds both prefix and payload.
    if ones <= 6 {
        let width = VARBIT_WIDTHS[ones as usize];
        reader.skip(ones + 1 + width);
        return (next << (ones + 1) >> 1 >> (63 - width), width);
    }
    take_long_payload(reader, ones)
}

#[cold]
#[inline(never)]
fn take_long_payload(reader: &mut BitReader<'_>, ones: u32) -> (u64, u32) {
    let width = if ones == 7 { 56 } else { 64 };
    reader.skip(8);
    (reader.take_refilled(width), width)
}

/// Which bits of a value differ from the value before, on the writing side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WriteWindow {
    leading: u8,
    trailing: u8,
}

/// How a changed value is written: under the last window or under a new one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WindowUse {
    Reused,
    New,
}

impl WriteWindow {
    /// No window yet: the first change opens one.
    pub(crate) const NONE: Self = Self { leading: 0xff, trailing: 0 };

    /// A window that shows no bit.
    pub(crate) const NOTHING: Self = Self { leading: 0xff, trailing: 0xff };

    /// The narrowest window for `change`, which must not be zero.
    #[inline(always)]
    pub(crate) fn of(change: u64) -> Self {
        Self { leading: change.leading_zeros().min(31) as u8, trailing: change.trailing_zeros() as u8 }
    }

    /// The narrowest window that shows what both show.
    #[inline(always)]
    pub(crate) fn hull(self, other: Self) -> Self {
        Self { leading: self.leading.min(other.leading), trailing: self.trailing.min(other.trailing) }
    }

    /// How many bits it shows.
    #[inline(always)]
    pub(crate) fn significant(self) -> u32 {
        64 - u32::from(self.leading) - u32::from(self.trailing)
    }

    /// Finds the window for `change`, which must not be zero, as Prometheus does.
    #[inline(always)]
    pub(crate) fn fit(&mut self, change: u64) -> WindowUse {
        let narrowest = Self::of(change);
        if narrowest.leading >= self.leading && narrowest.trailing >= self.trailing {
            return WindowUse::Reused;
        }
        *self = narrowest;
        WindowUse::New
    }

    /// Appends `lead_bits` bits of `lead` and then `change` as the window that was found for it shows it, after its
    /// description if it is new.
    #[inline(always)]
    pub(crate) fn write(self, writer: &mut BitWriter, lead: u64, lead_bits: u32, found: WindowUse, change: u64) {
        let significant = self.significant();
        let (lead, lead_bits) = match found {
            WindowUse::Reused => (lead, lead_bits),
            // 64 significant bits are written as 0.
            WindowUse::New => (lead << 11 | u64::from(self.leading) << 6 | u64::from(significant & 63), lead_bits + 11),
        };
        let shown = change >> self.trailing;
        if lead_bits + significant <= 64 {
            // Neither shift can be by 64: lead_bits is at least 1.
            writer.write(lead << significant | shown, lead_bits + significant);
        } else {
            writer.write(lead, lead_bits);
            writer.write(shown, significant);
        }
    }
}

/// Which bits of a value differ from the value before, on the reading side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadWindow {
    significant: u32,
    trailing: u32,
}

impl ReadWindow {
    /// All bits: what an appender of Prometheus assumes that was opened again on a chunk without changes.
    pub(crate) const WHOLE: Self = Self { significant: 64, trailing: 0 };

    /// Takes the description of a new window, 11 available bits.
    #[inline(always)]
    pub(crate) fn take(&mut self, reader: &mut BitReader<'_>) {
        let description = reader.take(11) as u32;
        let (leading, significant) = (description >> 6, description & 63);
        self.significant = if significant == 0 { 64 } else { significant };
        match 64_u32.checked_sub(leading + self.significant) {
            Some(trailing) => self.trailing = trailing,
            None => reader.fail("value window wider than 64 bits"),
        }
    }

    /// Takes what the window shows of a change.
    #[inline(always)]
    pub(crate) fn take_change(&self, reader: &mut BitReader<'_>) -> u64 {
        reader.take_refilled(self.significant) << self.trailing
    }
}

// A refill must cover the longest prefix of a sample: delta-of-delta (4 + 20), value control (2) and window (11).
const _: () = assert!(REFILLED_BITS >= 4 + 20 + 2 + 11);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn integers_are_written_as_the_vectors_say() {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/formats/vectors/bit_encodings.json");
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if std::env::var_os("CI").is_none() => return println!("skipped: {path}: {error}"),
            Err(error) => panic!("{path}: {error}"),
        };
        let vectors: serde_json::Value = serde_json::from_str(&text).unwrap();
        let cases = vectors["varbit_int"].as_array().unwrap();
        assert!(cases.len() >= 40);
        for case in cases {
            let value = case["value"].as_i64().unwrap();
            let written = check(&case["bits"], |writer| write_int(writer, value));
            assert_eq!(take_int(&mut BitReader::new(&written, 0)), value);
        }
        let cases = vectors["varbit_uint"].as_array().unwrap();
        assert!(cases.len() >= 17);
        for case in cases {
            let value = case["value"].as_u64().unwrap();
            let written = check(&case["bits"], |writer| write_uint(writer, value));
            assert_eq!(take_uint(&mut BitReader::new(&written, 0)), value);
        }
    }

    /// Writes something that must come out as `bits`, a text of zeros and ones; returns the bytes.
    fn check(bits: &serde_json::Value, write: impl Fn(&mut BitWriter)) -> Vec<u8> {
        let bits = bits.as_str().unwrap();
        let mut writer = BitWriter::new(&[]);
        write(&mut writer);
        let mut written: String = writer.bytes().iter().map(|byte| format!("{byte:08b}")).collect();
        assert_eq!(written.split_off(bits.len()).trim_matches('0'), "", "padding of {bits}");
        assert_eq!(written, bits);
        writer.bytes().to_vec()
    }

    proptest! {
        #[test]
        fn integers_round_trip(values in prop::collection::vec((any::<i64>(), 0_u32..64), 1..50)) {
            let mut writer = BitWriter::new(&[]);
            for (value, shift) in &values {
                write_int(&mut writer, value >> shift);
                write_uint(&mut writer, *value as u64 >> shift);
            }
            let mut reader = BitReader::new(writer.bytes(), 0);
            for (value, shift) in &values {
                prop_assert_eq!(take_int(&mut reader), value >> shift);
                prop_assert_eq!(take_uint(&mut reader), *value as u64 >> shift);
            }
            prop_assert_eq!(reader.verdict(), Ok(()));
        }
    }
}
