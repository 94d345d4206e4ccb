//! Functions of one value: each point by itself.

use crate::functions::Func;
use std::f64::consts::PI;

/// The plain function of a value that `func` is, if it is one.
pub fn unary(func: Func) -> Option<fn(f64) -> f64> {
    Some(match func {
        Func::Abs => f64::abs,
        Func::Acos => f64::acos,
        Func::Acosh => f64::acosh,
        Func::Asin => f64::asin,
        Func::Asinh => f64::asinh,
        Func::Atan => f64::atan,
        Func::Atanh => f64::atanh,
        Func::Ceil => f64::ceil,
        Func::Cos => f64::cos,
        Func::Cosh => f64::cosh,
        Func::Deg => |v| v * 180.0 / PI,
        Func::Exp => f64::exp,
        Func::Floor => f64::floor,
        Func::Ln => f64::ln,
        Func::Log10 => f64::log10,
        Func::Log2 => f64::log2,
        Func::Rad => |v| v * PI / 180.0,
        Func::Sgn => |v| {
            if v < 0.0 {
                -1.0
            } else if v > 0.0 {
                1.0
            } else {
                v
            }
        },
        Func::Sin => f64::sin,
        Func::Sinh => f64::sinh,
        Func::Sqrt => f64::sqrt,
        Func::Tan => f64::tan,
        Func::Tanh => f64::tanh,
        _ => return None,
    })
}

/// `value` within `[min, max]`; NaN if anything is.
pub fn clamp(value: f64, min: f64, max: f64) -> f64 {
    larger(min, smaller(max, value))
}

/// The larger one, as Go's `math.Max`: an infinity wins over NaN, NaN over everything else.
pub fn larger(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a > b || (a == b && b.is_sign_negative()) {
        a
    } else {
        b
    }
}

/// The smaller one, as Go's `math.Min`.
pub fn smaller(a: f64, b: f64) -> f64 {
    -larger(-a, -b)
}

/// The smallest and the largest of `values`, as Go's `math.Min` and `math.Max` find them.
pub fn extent(values: &[f64]) -> (f64, f64) {
    values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), value| (smaller(min, *value), larger(max, *value)))
}

/// `value` rounded to the nearest multiple of `to`; ties go up.
pub fn round(value: f64, to: f64) -> f64 {
    let inverse = 1.0 / to;
    (value * inverse + 0.5).floor() / inverse
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_goes_through_clamps() {
        assert_eq!(clamp(5.0, 0.0, 2.0), 2.0);
        assert_eq!(clamp(-5.0, 0.0, 2.0), 0.0);
        assert!(clamp(f64::NAN, 0.0, 2.0).is_nan());
        assert!(clamp(1.0, f64::NAN, 2.0).is_nan());
        assert_eq!(larger(f64::NAN, f64::INFINITY), f64::INFINITY);
        assert_eq!(smaller(f64::NEG_INFINITY, f64::NAN), f64::NEG_INFINITY);
        assert!(larger(-0.0, 0.0).is_sign_positive() && larger(0.0, -0.0).is_sign_positive());
    }

    #[test]
    fn rounding_goes_up_at_ties() {
        assert_eq!((round(2.5, 1.0), round(-2.5, 1.0), round(0.27, 0.1)), (3.0, -2.0, 0.3));
    }
}
