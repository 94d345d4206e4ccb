//! Floats as integers, and what they are expected to be.
//!
//! A column of floats is either *decimal* - each is a whole number of some 10^-e, to the bit - or taken by its bits, those
//! at the end that are zero in all left out. What is written is the difference to a guess, which comes from the column
//! itself, from another one that was read before, or from both.

use super::FILE;
use super::bits::PARAMETER_MAX;
use super::cell;
use crate::cursor::Cursor;
use crate::error::{BlockError, Result};

/// Most decimals that are looked for.
const DECIMALS_MAX: usize = 12;

/// Decimal numbers are exact as floats below this.
const WHOLE_MAX: f64 = (1u64 << 53) as f64;

const POWERS: [f64; DECIMALS_MAX + 1] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12];

/// How the floats of a cell are integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Whole numbers of 10^-e.
    Decimal(u8),
    /// The bits, less so many at the end; the larger float is the larger integer.
    Bits(u8),
}

/// What a value is expected to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guess {
    /// The value before.
    Before,
    /// What the other column says; without another one, as far from the value before as that from the one before it.
    Other,
    /// What the other column says, off by as much as it was before.
    OtherMoved,
}

/// What other columns say of a column's values.
pub(super) enum Expected<'a> {
    /// Nothing.
    Nothing,
    /// About this.
    About(&'a [f64]),
}

impl Form {
    /// The form in which all of `values` come back: to the bit, or off by a share of `tolerance` where they are decimal
    /// but for rounding.
    fn of(values: &[f64], tolerance: f64) -> Self {
        let mut decimals = 0;
        let fits = |value: f64, decimals: usize| {
            let whole = (value * POWERS[decimals]).round();
            let back = whole as i64 as f64 / POWERS[decimals]; // an integer has no negative zero
            whole.abs() < WHOLE_MAX
                && (back.to_bits() == value.to_bits()
                    || (value != 0.0 && (back - value).abs() <= tolerance * value.abs()))
        };
        for value in values {
            while !fits(*value, decimals) {
                decimals += 1;
                if decimals > DECIMALS_MAX {
                    return Self::bits(values);
                }
            }
        }
        if values.iter().all(|value| fits(*value, decimals)) {
            Self::Decimal(decimals as u8)
        } else {
            Self::bits(values)
        }
    }

    fn bits(values: &[f64]) -> Self {
        let all = values.iter().fold(0, |all, value| all | value.abs().to_bits());
        Self::Bits(if all == 0 { 0 } else { all.trailing_zeros() as u8 })
    }

    fn to_integer(self, value: f64) -> i64 {
        match self {
            Self::Decimal(decimals) => (value * POWERS[usize::from(decimals)]).round() as i64,
            Self::Bits(shift) => {
                let magnitude = (value.abs().to_bits() >> shift) as i64;
                if value.is_sign_negative() { !magnitude } else { magnitude }
            }
        }
    }

    fn to_float(self, integer: i64) -> f64 {
        match self {
            Self::Decimal(decimals) => integer as f64 / POWERS[usize::from(decimals)],
            Self::Bits(shift) => {
                let (magnitude, sign) = if integer < 0 { (!integer, 1 << 63) } else { (integer, 0) };
                f64::from_bits((magnitude as u64) << shift & !(1 << 63) | sign)
            }
        }
    }
}

/// What each integer is expected to be, given those before it.
struct Guesser<'a> {
    guess: Guess,
    form: Form,
    expected: &'a Expected<'a>,
    before: i64,
    step: i64,
    at: usize,
}

impl<'a> Guesser<'a> {
    fn new(guess: Guess, form: Form, expected: &'a Expected<'a>) -> Self {
        Self { guess, form, expected, before: 0, step: 0, at: 0 }
    }

    fn guess(&self) -> i64 {
        match (self.guess, self.expected) {
            (Guess::Before, _) => self.before,
            (Guess::Other | Guess::OtherMoved, Expected::Nothing) => self.before.wrapping_add(self.step),
            (Guess::Other, Expected::About(others)) => self.form.to_integer(others[self.at]),
            (Guess::OtherMoved, Expected::About(others)) => {
                let moved = match self.at {
                    0 => 0,
                    at => self.before.wrapping_sub(self.form.to_integer(others[at - 1])),
                };
                self.form.to_integer(others[self.at]).wrapping_add(moved)
            }
        }
    }

    fn note(&mut self, integer: i64) {
        self.step = if self.at == 0 { 0 } else { integer.wrapping_sub(self.before) };
        self.before = integer;
        self.at += 1;
    }
}

/// Appends the cell of `values`; a reader will find them, but for what `tolerance` allows.
pub(super) fn push(out: &mut Vec<u8>, values: &[f64], expected: &Expected<'_>, tolerance: f64) {
    let form = Form::of(values, tolerance);
    let integers: Vec<i64> = values.iter().map(|value| form.to_integer(*value)).collect();
    let differences = |guess: Guess| {
        let mut guesser = Guesser::new(guess, form, expected);
        let each = integers.iter().map(|integer| {
            let difference = integer.wrapping_sub(guesser.guess());
            guesser.note(*integer);
            difference
        });
        let differences: Vec<i64> = each.collect();
        (cell::cost_bits(differences.get(1..).unwrap_or_default()), guess, differences)
    };
    let candidates: &[Guess] = match expected {
        Expected::Nothing => &[Guess::Before, Guess::Other],
        Expected::About(_) => &[Guess::Other, Guess::Before, Guess::OtherMoved],
    };
    let best = candidates.iter().map(|guess| differences(*guess)).min_by_key(|(bits, ..)| *bits);
    let Some((_, guess, differences)) = best else { return };
    let (is_bits, parameter) = match form {
        Form::Decimal(decimals) => (false, decimals),
        Form::Bits(shift) => (true, shift),
    };
    out.push(parameter);
    cell::push(out, guess as u8 | u8::from(is_bits) << 2, &differences);
}

/// Reads `count` values.
pub(super) fn read(cursor: &mut Cursor<'_>, count: usize, expected: &Expected<'_>) -> Result<Vec<f64>> {
    let parameter = cursor.u8()?;
    let (spare, mut integers) = cell::read(cursor, count)?;
    let corrupt = || BlockError::corrupt(FILE, cursor.offset(), "a cell has an unknown form of floats");
    let form = match spare & 4 {
        0 if usize::from(parameter) <= DECIMALS_MAX => Form::Decimal(parameter),
        4 if u32::from(parameter) <= PARAMETER_MAX + 3 => Form::Bits(parameter),
        _ => return Err(corrupt()),
    };
    let guess = match spare & !4 {
        0 => Guess::Before,
        1 => Guess::Other,
        2 => Guess::OtherMoved,
        _ => return Err(corrupt()),
    };
    let mut guesser = Guesser::new(guess, form, expected);
    for integer in &mut integers {
        *integer = integer.wrapping_add(guesser.guess());
        guesser.note(*integer);
    }
    Ok(integers.into_iter().map(|integer| form.to_float(integer)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            3 => (-1000i32..1000).prop_map(f64::from),
            3 => (-100_000i32..100_000).prop_map(|value| f64::from(value) / 1000.0),
            1 => any::<f64>(),
            1 => any::<u64>().prop_map(f64::from_bits),
            1 => Just(-0.0),
        ]
    }

    fn values() -> impl Strategy<Value = Vec<f64>> {
        let decimal = (-100_000i32..100_000).prop_map(|value| f64::from(value) / 1000.0);
        let binary = (0i32..1 << 20).prop_map(|value| f64::from(value) * f64::powi(2.0, -30));
        prop_oneof![
            proptest::collection::vec(value(), 0..40),
            proptest::collection::vec(decimal, 0..40),
            proptest::collection::vec(binary, 0..40),
        ]
    }

    proptest! {
        #[test]
        fn floats_come_back_to_the_bit(values in values(), others in prop::collection::vec(value(), 40), alone in any::<bool>()) {
            let expected = if alone { Expected::Nothing } else { Expected::About(&others) };
            let mut bytes = Vec::new();
            push(&mut bytes, &values, &expected, 0.0);
            let mut cursor = Cursor::new(&bytes, FILE, 0);
            let found = read(&mut cursor, values.len(), &expected).unwrap();
            let bits = |values: &[f64]| -> Vec<u64> { values.iter().map(|value| value.to_bits()).collect() };
            prop_assert_eq!(bits(&found), bits(&values));
        }

        #[test]
        fn any_bytes_end_in_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..60), others in prop::collection::vec(value(), 40)) {
            let _ = read(&mut Cursor::new(&bytes, FILE, 0), 40, &Expected::About(&others));
        }
    }

    #[test]
    fn decimals_are_found_and_rounding_is_forgiven_within_the_tolerance() {
        assert_eq!(Form::of(&[0.1, 0.25, 1234.5], 0.0), Form::Decimal(2));
        assert_eq!(Form::of(&[-0.0], 0.0), Form::Bits(0), "the sign of zero is kept");
        assert_eq!(Form::of(&[0.1 + 0.2], 0.0), Form::Bits(2));
        assert_eq!(Form::of(&[0.1 + 0.2], f64::powi(2.0, -50)), Form::Decimal(1));
        assert_eq!(Form::of(&[1.0 / 3.0], f64::powi(2.0, -50)), Form::Bits(0));
    }
}
