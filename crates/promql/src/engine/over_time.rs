//! What a window's values amount to: the `*_over_time` family and the regressions.
//!
//! Each function sees one window's values in their order and recomputes: what has left a window is never subtracted
//! from a running figure, for 1e100 and infinities would not come out again.

use longhaul_model::kahan::{Mean, Sum};

/// The compensated sum.
pub fn sum(values: &[f64]) -> f64 {
    values.iter().fold(Sum::default(), |sum, value| sum.plus(*value)).total()
}

/// The mean.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().fold(Mean::default(), |mean, value| mean.plus(*value)).value()
}

/// The index of the last of the largest values.
pub fn last_max(values: &[f64]) -> usize {
    (1..values.len()).fold(0, |at, i| if values[i] >= values[at] || values[at].is_nan() { i } else { at })
}

/// The index of the last of the smallest values.
pub fn last_min(values: &[f64]) -> usize {
    (1..values.len()).fold(0, |at, i| if values[i] <= values[at] || values[at].is_nan() { i } else { at })
}

/// The population variance (Welford's recurrence, compensated).
pub fn variance(values: &[f64]) -> f64 {
    let (mut count, mut mean, mut squares) = (0.0, Sum { sum: 0.0, lost: 0.0 }, Sum { sum: 0.0, lost: 0.0 });
    for value in values {
        count += 1.0;
        let before = value - mean.total();
        mean = mean.plus(before / count);
        squares = squares.plus(before * (value - mean.total()));
    }
    squares.total() / count
}

/// The quantile `q` of `values`, interpolated between neighbours; sorts them, NaN first.
pub fn quantile(q: f64, values: &mut [f64]) -> f64 {
    values.sort_unstable_by(|a, b| nan_first(*a, *b));
    interpolate(q, values)
}

/// The quantile `q` of values that are sorted, NaN first.
pub fn interpolate(q: f64, sorted: &[f64]) -> f64 {
    if sorted.is_empty() || q.is_nan() {
        return f64::NAN;
    } else if q < 0.0 {
        return f64::NEG_INFINITY;
    } else if q > 1.0 {
        return f64::INFINITY;
    }
    let last = (sorted.len() - 1) as f64;
    let rank = q * last;
    let lower = rank.floor().max(0.0);
    let upper = (lower + 1.0).min(last);
    let weight = rank - rank.floor();
    sorted[lower as usize] * (1.0 - weight) + sorted[upper as usize] * weight
}

/// Rising order with NaN before everything.
pub fn nan_first(a: f64, b: f64) -> std::cmp::Ordering {
    match (a.is_nan(), b.is_nan()) {
        (false, false) => a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal),
        (a, b) => b.cmp(&a),
    }
}

/// The median of the distances from the median; NaN if there is a NaN.
pub fn median_deviation(values: &mut [f64]) -> f64 {
    if values.iter().any(|value| value.is_nan()) {
        return f64::NAN;
    }
    let median = quantile(0.5, values);
    values.iter_mut().for_each(|value| *value = (*value - median).abs());
    quantile(0.5, values)
}

/// Slope and value at `origin_ms` of the line that fits best; slope per second.
pub fn regression(times: &[i64], values: &[f64], origin_ms: i64) -> (f64, f64) {
    let zero = Sum { sum: 0.0, lost: 0.0 };
    let (mut x_sum, mut y_sum, mut xy_sum, mut xx_sum) = (zero, zero, zero, zero);
    for (t_ms, y) in times.iter().zip(values) {
        let x = (t_ms - origin_ms) as f64 / 1e3;
        x_sum = x_sum.plus(x);
        y_sum = y_sum.plus(*y);
        xy_sum = xy_sum.plus(x * y);
        xx_sum = xx_sum.plus(x * x);
    }
    if values[1..].iter().all(|value| *value == values[0]) {
        // A constant is its own line; sums of large equal numbers would say something else.
        return if values[0].is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, values[0]) };
    }
    let n = values.len() as f64;
    let (x, y) = (x_sum.total(), y_sum.total());
    let covariance = xy_sum.total() - x * y / n;
    let variance = xx_sum.total() - x * x / n;
    let slope = covariance / variance;
    (slope, y / n - slope * x / n)
}

/// Double exponential smoothing (Holt's linear method): the smoothed value at the window's end.
pub fn smooth(values: &[f64], smoothing: f64, trend_factor: f64) -> f64 {
    let (mut before, mut level, mut trend) = (0.0, values[0], values[1] - values[0]);
    for (index, value) in values.iter().enumerate().skip(1) {
        if index > 1 {
            trend = trend_factor * (level - before) + (1.0 - trend_factor) * trend;
        }
        let next = smoothing * value + (1.0 - smoothing) * (level + trend);
        (before, level) = (level, next);
    }
    level
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_equal_extremes_is_found() {
        assert_eq!(last_max(&[3.0, f64::NAN, 3.0, 1.0]), 2);
        assert_eq!(last_min(&[f64::NAN, 1.0, 3.0, 1.0]), 3);
    }

    #[test]
    fn quantiles_interpolate_and_sort_nan_first() {
        assert_eq!(quantile(0.5, &mut [3.0, 1.0]), 2.0);
        assert_eq!(quantile(1.0, &mut [3.0, f64::NAN, 1.0]), 3.0);
        assert!(quantile(0.0, &mut [3.0, f64::NAN, 1.0]).is_nan());
        assert_eq!(quantile(-0.1, &mut [1.0]), f64::NEG_INFINITY);
        assert_eq!(quantile(1.1, &mut [1.0]), f64::INFINITY);
        assert!(quantile(f64::NAN, &mut [1.0]).is_nan());
        assert_eq!(median_deviation(&mut [4.0, 6.0, 2.0, 1.0, 999.0, 1.0, 2.0]), 1.0);
    }

    #[test]
    fn lines_are_found() {
        let times = [0, 1000, 2000];
        assert_eq!(regression(&times, &[1.0, 3.0, 5.0], 0), (2.0, 1.0));
        assert_eq!(regression(&times, &[1.0, 3.0, 5.0], 10_000), (2.0, 21.0));
        assert_eq!(regression(&times, &[1e300; 3], 0), (0.0, 1e300));
    }

    #[test]
    fn variance_of_shifted_values_is_exact() {
        assert_eq!(variance(&[1e9 + 1.0, 1e9 + 2.0, 1e9 + 3.0]), 2.0 / 3.0);
        assert_eq!(variance(&[5.0]), 0.0);
        assert!(variance(&[f64::INFINITY]).is_nan());
    }
}
