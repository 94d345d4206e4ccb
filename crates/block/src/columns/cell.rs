//! A cell: the integers of one column of one series.

use super::FILE;
use super::bits::{self, Lengths, PARAMETER_MAX, unzigzag, zigzag};
use crate::cursor::{Cursor, push_uvarint, push_varint};
use crate::error::Result;
use longhaul_chunk::{BitReader, BitWriter};

/// The integers behind the first are all zero.
const ZERO: u8 = 0;
/// They stand one after the other.
const DENSE: u8 = 1;
/// Those that are not zero stand behind how many zeros are before them.
const SPARSE: u8 = 2;

/// Bits of the first byte that say how the integers stand.
const FORM: u8 = 0b11;
/// The integers behind the first have no sign.
const UNSIGNED: u8 = 0b100;
/// What is left of the first byte, for the caller's use.
pub(super) const SPARE_SHIFT: u32 = 3;

/// About how many bits [`push`] takes for integers behind the first.
pub(super) fn cost_bits(rest: &[i64]) -> u64 {
    Plan::of(rest).bits
}

/// How the integers behind the first are laid out.
struct Plan {
    form: u8,
    unsigned: bool,
    parameter: u32,
    gap_parameter: u32,
    bits: u64,
}

impl Plan {
    fn of(rest: &[i64]) -> Self {
        let unsigned = rest.iter().all(|value| *value >= 0);
        let values = rest.iter().map(|value| map(*value, unsigned));
        let lengths = Lengths::of(values.clone());
        let nonzero = lengths.nonzero();
        if nonzero == 0 {
            return Self { form: ZERO, unsigned: false, parameter: 0, gap_parameter: 0, bits: 0 };
        }
        let (parameter, bits) = lengths.best();
        let dense = Self { form: DENSE, unsigned, parameter, gap_parameter: 0, bits: bits + 16 };
        if nonzero * 3 > rest.len() as u64 {
            return dense;
        }
        let mut zeros = 0;
        let gaps = values.clone().filter_map(|value| {
            zeros += 1;
            (value != 0).then(|| std::mem::take(&mut zeros) - 1)
        });
        let (gap_parameter, gap_bits) = Lengths::of(gaps).best();
        let (parameter, bits) = Lengths::of(values.filter(|value| *value != 0).map(|value| value - 1)).best();
        let sparse = Self { form: SPARSE, unsigned, parameter, gap_parameter, bits: bits + gap_bits + 32 };
        if sparse.bits < dense.bits { sparse } else { dense }
    }
}

fn map(value: i64, unsigned: bool) -> u64 {
    if unsigned { value as u64 } else { zigzag(value) }
}

fn unmap(value: u64, unsigned: bool) -> i64 {
    if unsigned { value as i64 } else { unzigzag(value) }
}

/// Appends the integers of a column; `spare` are the caller's five bits.
pub(super) fn push(out: &mut Vec<u8>, spare: u8, integers: &[i64]) {
    let (first, rest) = integers.split_first().map_or((0, &[][..]), |(first, rest)| (*first, rest));
    let plan = Plan::of(rest);
    out.push(plan.form | if plan.unsigned { UNSIGNED } else { 0 } | spare << SPARE_SHIFT);
    push_varint(out, first);
    if plan.form == ZERO {
        return;
    }
    out.push(plan.parameter as u8);
    let mut writer = BitWriter::new(&[]);
    if plan.form == DENSE {
        rest.iter().for_each(|value| bits::write(&mut writer, map(*value, plan.unsigned), plan.parameter));
    } else {
        out.push(plan.gap_parameter as u8);
        push_uvarint(out, rest.iter().filter(|value| **value != 0).count() as u64);
        let mut zeros = 0;
        for value in rest {
            if *value == 0 {
                zeros += 1;
                continue;
            }
            bits::write(&mut writer, std::mem::take(&mut zeros), plan.gap_parameter);
            bits::write(&mut writer, map(*value, plan.unsigned) - 1, plan.parameter);
        }
    }
    push_uvarint(out, writer.bytes().len() as u64);
    out.extend_from_slice(writer.bytes());
}

/// Reads `count` integers and the caller's bits.
pub(super) fn read(cursor: &mut Cursor<'_>, count: usize) -> Result<(u8, Vec<i64>)> {
    let head = cursor.u8()?;
    let (unsigned, spare) = (head & UNSIGNED != 0, head >> SPARE_SHIFT);
    let first = cursor.varint()?;
    let rest = count.saturating_sub(1);
    let mut integers = Vec::with_capacity(count);
    integers.extend((count > 0).then_some(first));
    match head & FORM {
        ZERO => integers.resize(count, 0),
        DENSE => {
            let parameter = take_parameter(cursor)?;
            let mut reader = reader(cursor, rest as u64)?;
            integers.extend((0..rest).map(|_| unmap(bits::take(&mut reader, parameter), unsigned)));
            check(cursor, &reader)?;
        }
        SPARSE => {
            let (parameter, gap_parameter, nonzero) =
                (take_parameter(cursor)?, take_parameter(cursor)?, cursor.uvarint()?);
            let mut reader = reader(cursor, nonzero)?;
            for _ in 0..nonzero {
                let zeros = bits::take(&mut reader, gap_parameter);
                let value = bits::take(&mut reader, parameter).wrapping_add(1);
                let end = usize::try_from(zeros).ok().and_then(|zeros| integers.len().checked_add(zeros));
                let end = end.filter(|end| *end < count);
                integers.resize(end.ok_or_else(|| cursor.corrupt("a cell has more integers than windows"))?, 0);
                integers.push(unmap(value, unsigned));
            }
            check(cursor, &reader)?;
            integers.resize(count, 0);
        }
        _ => return Err(cursor.corrupt("a cell has an unknown form")),
    }
    Ok((spare, integers))
}

fn take_parameter(cursor: &mut Cursor<'_>) -> Result<u32> {
    let parameter = u32::from(cursor.u8()?);
    if parameter > PARAMETER_MAX { Err(cursor.corrupt("a cell has an impossible parameter")) } else { Ok(parameter) }
}

/// The bits of a cell, of which each of `count` integers takes at least one.
fn reader<'a>(cursor: &mut Cursor<'a>, count: u64) -> Result<BitReader<'a>> {
    let bytes = cursor.prefixed()?;
    if count > bytes.len() as u64 * 8 {
        return Err(cursor.corrupt("a cell is too short for its integers"));
    }
    Ok(BitReader::new(bytes, 0))
}

fn check(cursor: &Cursor<'_>, reader: &BitReader<'_>) -> Result<()> {
    reader.verdict().map_err(|_| crate::BlockError::corrupt(FILE, cursor.offset(), "a cell ends in the middle"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_come_back(
            integers in prop::collection::vec(
                prop_oneof![4 => Just(0i64), 4 => -20i64..20, 1 => any::<i64>(), 1 => 0i64..1_000_000],
                0..200,
            ),
            spare in 0u8..32,
            absolute in any::<bool>(),
        ) {
            let integers: Vec<i64> =
                integers.into_iter().map(|it| if absolute { it.checked_abs().unwrap_or(0) } else { it }).collect();
            let mut bytes = Vec::new();
            push(&mut bytes, spare, &integers);
            let mut cursor = Cursor::new(&bytes, FILE, 0);
            let (found_spare, found) = read(&mut cursor, integers.len()).unwrap();
            prop_assert_eq!((found_spare, found), (spare, integers));
            cursor.finish().unwrap();
        }

        #[test]
        fn any_bytes_end_in_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..60), count in 0usize..300) {
            let _ = read(&mut Cursor::new(&bytes, FILE, 0), count);
        }
    }

    #[test]
    fn what_does_not_change_takes_two_bytes() {
        let mut bytes = Vec::new();
        push(&mut bytes, 0, &[20, 0, 0, 0]);
        assert_eq!(bytes.len(), 2);
        bytes.clear();
        let mut once = vec![0; 300];
        once[200] = 7;
        push(&mut bytes, 0, &once);
        assert!(bytes.len() <= 9, "{}", bytes.len());
    }
}
