//! Binary operators on numbers and on columns of numbers. Columns are computed blindly: what is absent is computed too.

use crate::ast::BinaryOp;
use crate::engine::points::Presence;

/// An operator on columns of the same length: the left one becomes the result.
pub type Column = fn(&mut [f64], &[f64]);

/// `lhs op rhs` for two scalars; a comparison yields 1 or 0.
pub fn calculate(op: BinaryOp, lhs: f64, rhs: f64) -> f64 {
    let mut out = [lhs];
    match arithmetic(op) {
        Some(column) => column(&mut out, &[rhs]),
        None => out[0] = f64::from(u8::from(holds(op, lhs, rhs))),
    }
    out[0]
}

/// Whether a comparison holds; false for other operators.
#[inline]
pub fn holds(op: BinaryOp, lhs: f64, rhs: f64) -> bool {
    match op {
        BinaryOp::Eq => lhs == rhs,
        BinaryOp::NotEq => lhs != rhs,
        BinaryOp::Less => lhs < rhs,
        BinaryOp::LessEq => lhs <= rhs,
        BinaryOp::Greater => lhs > rhs,
        BinaryOp::GreaterEq => lhs >= rhs,
        _ => false,
    }
}

/// The column form of an arithmetic operator. None for comparisons and sets.
pub fn arithmetic(op: BinaryOp) -> Option<Column> {
    macro_rules! column {
        ($apply:expr) => {
            |lhs: &mut [f64], rhs: &[f64]| {
                for (left, right) in lhs.iter_mut().zip(rhs) {
                    *left = $apply(*left, *right);
                }
            }
        };
    }
    Some(match op {
        BinaryOp::Add => column!(|l: f64, r: f64| l + r),
        BinaryOp::Sub => column!(|l: f64, r: f64| l - r),
        BinaryOp::Mul => column!(|l: f64, r: f64| l * r),
        BinaryOp::Div => column!(|l: f64, r: f64| l / r),
        BinaryOp::Mod => column!(|l: f64, r: f64| l % r),
        BinaryOp::Pow => column!(f64::powf),
        BinaryOp::Atan2 => column!(f64::atan2),
        _ => return None,
    })
}

/// What an operator makes of two columns: `values` and `present` hold what the result takes if nothing else is said
/// (the left side of a comparison that filters), and what is present on both sides.
pub fn combine(
    op: BinaryOp,
    return_bool: bool,
    lhs: &[f64],
    rhs: &[f64],
    values: &mut Vec<f64>,
    present: &mut Presence,
) {
    if let Some(column) = arithmetic(op) {
        values.clear();
        values.extend_from_slice(lhs);
        column(values, rhs);
    } else if return_bool {
        values.clear();
        values.extend(lhs.iter().zip(rhs).map(|(l, r)| f64::from(u8::from(holds(op, *l, *r)))));
    } else {
        for (step, (l, r)) in lhs.iter().zip(rhs).enumerate() {
            if !holds(op, *l, *r) {
                present.clear(step);
            }
        }
    }
}

/// Whether it is one of the operators that cut histograms.
pub fn trims(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower)
}

/// Whether the result is of another kind than the operand, so that its name no longer fits.
pub fn drops_name(op: BinaryOp, return_bool: bool) -> bool {
    return_bool || arithmetic(op).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars() {
        assert_eq!(calculate(BinaryOp::Mod, -5.0, 3.0), -2.0);
        assert_eq!(calculate(BinaryOp::Pow, 2.0, 10.0), 1024.0);
        assert_eq!(calculate(BinaryOp::Less, 1.0, 2.0), 1.0);
        assert_eq!(calculate(BinaryOp::Eq, f64::NAN, f64::NAN), 0.0);
        assert_eq!(calculate(BinaryOp::NotEq, f64::NAN, f64::NAN), 1.0);
        assert!(calculate(BinaryOp::Div, 0.0, 0.0).is_nan());
    }

    #[test]
    fn a_filter_keeps_the_values_and_takes_steps_away() {
        let (mut values, mut present) = (vec![1.0, 5.0, 3.0], Presence::all(3));
        combine(BinaryOp::Greater, false, &[1.0, 5.0, 3.0], &[2.0, 2.0, f64::NAN], &mut values, &mut present);
        assert_eq!((values, present.iter().collect::<Vec<_>>()), (vec![1.0, 5.0, 3.0], vec![1]));
    }
}
