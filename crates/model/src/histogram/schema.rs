//! Where buckets begin and end: their bounds by index and schema, and which coarser bucket takes a finer one in.
//!
//! Bounds are computed with the very roundings of Prometheus (`model/histogram/generic.go`), so that quantiles and the
//! buckets of an answer agree to the bit.

use super::{SCHEMA_CUSTOM, SCHEMA_MAX, SCHEMA_MIN};

/// How many buckets of the finest schema lie between a power of two and the next.
const FINEST: usize = 1 << SCHEMA_MAX;

/// What the bounds of schema `n` grow by from one to the next. The root of two is one unit in the last place below its
/// rounded value: so it came out when the bounds of Prometheus were made.
const GROWTH: [f64; 9] = [
    2.0,
    std::f64::consts::SQRT_2.next_down(),
    1.189207115002721,
    1.0905077326652577,
    1.0442737824274138,
    1.0218971486541166,
    1.0108892860517005,
    1.0054299011128027,
    1.0027112750502025,
];

/// The bounds of the finest schema within [0.5, 1). Every `2^(8-n)`th is one of schema `n`.
static FRACTIONS: [f64; FINEST] = fractions();

/// Each schema puts new bounds between those of the coarser one, each new one made from the old one below it.
const fn fractions() -> [f64; FINEST] {
    let mut fractions = [0.5; FINEST];
    let mut schema = 1;
    while schema < GROWTH.len() {
        let stride = FINEST >> schema;
        let mut at = stride;
        while at < FINEST {
            fractions[at] = fractions[at - stride] * GROWTH[schema];
            at += 2 * stride;
        }
        schema += 1;
    }
    fractions
}

/// Whether `schema` is one of the exponential ones.
pub fn is_exponential(schema: i32) -> bool {
    (SCHEMA_MIN..=SCHEMA_MAX).contains(&schema)
}

/// The upper bound of the bucket `index`, which is the lower one of the next; of negative buckets their absolute value.
/// An index outside the custom bounds is infinite on its side.
pub(super) fn bound(index: i64, schema: i32, custom_bounds: &[f64]) -> f64 {
    if schema != SCHEMA_CUSTOM {
        return exponential_bound(index, schema);
    }
    match usize::try_from(index) {
        Ok(index) => custom_bounds.get(index).copied().unwrap_or(f64::INFINITY),
        Err(_) => f64::NEG_INFINITY,
    }
}

/// The upper bound of the bucket `index` of an exponential schema.
///
/// The last bucket before the one of infinite observations would end at 2^1024, the first number too large for a float;
/// it ends at the largest finite one.
pub(super) fn exponential_bound(index: i64, schema: i32) -> f64 {
    let (fraction, exponent) = match schema {
        ..0 => {
            let width = 1i64.checked_shl(schema.unsigned_abs()).unwrap_or(i64::MAX);
            (0.5, index.saturating_mul(width).saturating_add(1))
        }
        0..=SCHEMA_MAX => {
            let within = index as usize & ((1 << schema) - 1);
            (FRACTIONS[within << (SCHEMA_MAX - schema)], (index >> schema) + 1)
        }
        // Finer than anything that is stored.
        _ => return (index as f64 * (-f64::from(schema)).exp2()).exp2(),
    };
    if fraction == 0.5 && exponent == 1025 { f64::MAX } else { scaled(fraction, exponent) }
}

/// `fraction * 2^exponent` for a fraction in [0.5, 1), rounded once.
fn scaled(fraction: f64, exponent: i64) -> f64 {
    /// 2^`exponent` for a normal number.
    fn power(exponent: i64) -> f64 {
        f64::from_bits(((exponent + 1023) as u64) << 52)
    }
    match exponent {
        1025.. => f64::INFINITY,
        1024 => 2.0 * fraction * power(1023),
        -1021.. => fraction * power(exponent),
        // The first step is exact, the second makes a subnormal number.
        -1080.. => fraction * power(-1000) * power(exponent + 1000),
        _ => 0.0,
    }
}

/// The index of the bucket of the coarser schema `to` in which the bucket `index` of `from` lies.
pub(super) fn coarser_index(index: i64, from: i32, to: i32) -> i64 {
    let steps = (i64::from(from) - i64::from(to)).clamp(0, 63);
    ((index - 1) >> steps) + 1
}

/// Whether two lists of custom bounds name the same buckets.
pub(super) fn same_bounds(left: &[f64], right: &[f64]) -> bool {
    std::ptr::eq(left, right) || left == right
}

/// The bounds that both lists have, rising.
pub(super) fn common_bounds(left: &[f64], right: &[f64]) -> Vec<f64> {
    let mut right = right.iter().copied().peekable();
    let mut common = Vec::new();
    for &bound in left {
        while right.next_if(|other| *other < bound).is_some() {}
        common.extend(right.next_if(|other| *other == bound));
    }
    common
}

/// The index, among the bounds that are `common`, of the bucket in which the bucket `index` of custom `bounds` lies.
pub(super) fn common_index(index: i64, bounds: &[f64], common: &[f64]) -> i64 {
    let upper = bound(index, SCHEMA_CUSTOM, bounds);
    common.partition_point(|bound| *bound < upper) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_those_of_prometheus() {
        for (index, schema, expected) in [
            (0, 0, 1.0),
            (1, 0, 2.0),
            (-1, 0, 0.5),
            (1, -1, 4.0),
            (-2, -4, 2f64.powi(-32)),
            (1, 1, std::f64::consts::SQRT_2.next_down()),
            (1, 2, 1.189207115002721),
            (-1, 2, 0.8408964152537144),
            (3, 2, 1.6817928305074288),
            (1, 8, 1.0027112750502025),
            (255, 8, 1.9945921121709396),
            (1023, 0, 2f64.powi(1023)),
            (1024, 0, f64::MAX),
            (1025, 0, f64::INFINITY),
            (512, -1, f64::MAX),
            (513, -1, f64::INFINITY),
            (262_144, 8, f64::MAX),
            (262_143, 8, 1.9945921121709396 * 2f64.powi(1023)),
            (262_145, 8, f64::INFINITY),
            (-1074, 0, 5e-324),
            (-1075, 0, 0.0),
            (-4297, 2, 5e-324), // 0.84 of the smallest number, rounded up
            (-4301, 2, 0.0),    // 0.42 of it, rounded down
            (i32::MAX as i64, 8, f64::INFINITY),
            (i32::MIN as i64, 8, 0.0),
            (i32::MAX as i64, -4, f64::INFINITY),
            (i32::MIN as i64, -4, 0.0),
        ] {
            assert_eq!(exponential_bound(index, schema), expected, "bucket {index} of schema {schema}");
        }
    }

    #[test]
    fn bounds_rise_and_coarser_ones_are_among_finer_ones() {
        for schema in SCHEMA_MIN..=SCHEMA_MAX {
            let reach = 600i64 >> (-schema).max(0);
            for index in -reach..reach {
                assert!(exponential_bound(index, schema) < exponential_bound(index + 1, schema));
                if schema < SCHEMA_MAX {
                    assert_eq!(exponential_bound(index, schema), exponential_bound(2 * index, schema + 1));
                }
                for coarser in SCHEMA_MIN..schema {
                    let outer = coarser_index(index, schema, coarser);
                    assert!(exponential_bound(outer - 1, coarser) <= exponential_bound(index - 1, schema));
                    assert!(exponential_bound(outer, coarser) >= exponential_bound(index, schema));
                }
            }
        }
    }

    /// The table of Prometheus in one number: every bound in [0.5, 1) of the schemas 0 to 8, bit by bit.
    #[test]
    fn fractions_are_those_of_prometheus() {
        let bounds = (0..=SCHEMA_MAX).flat_map(|schema| {
            let count = 1 << schema;
            (0..count).map(move |index| exponential_bound(index - count, schema))
        });
        let digest = bounds.fold(0u64, |digest, bound| digest.wrapping_mul(31).wrapping_add(bound.to_bits()));
        assert_eq!(digest, 2_731_011_413_548_736_498);
    }

    #[test]
    fn schemas_of_no_histogram_do_no_harm() {
        for schema in [i32::MIN, -63, -64, -10, 9, 52, i32::MAX] {
            for index in [i64::from(i32::MIN), -1, 0, 1, i64::from(i32::MAX)] {
                assert!(!exponential_bound(index, schema).is_nan(), "bucket {index} of schema {schema}");
                let _ = coarser_index(index, schema, -4);
            }
        }
        assert_eq!(coarser_index(1 << 44, 52, 8), 1);
    }

    #[test]
    fn custom_bounds_have_infinity_on_either_side() {
        let bounds = [1.0, 2.5];
        let found: Vec<f64> = (-2..4).map(|index| bound(index, SCHEMA_CUSTOM, &bounds)).collect();
        assert_eq!(found, [f64::NEG_INFINITY, f64::NEG_INFINITY, 1.0, 2.5, f64::INFINITY, f64::INFINITY]);
        assert_eq!(common_bounds(&[0.0, 5.0, 10.0], &[0.0, 2.0, 10.0, 20.0]), [0.0, 10.0]);
        assert!(common_bounds(&[], &[1.0]).is_empty());
    }
}
