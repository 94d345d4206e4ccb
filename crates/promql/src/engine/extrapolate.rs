//! `rate`, `increase` and `delta`: the difference over a window, stretched to the window's edges, as Prometheus
//! stretches it (`promql/functions.go`, `extrapolatedRate`).
//!
//! A counter's resets are found once a series; a window adds those inside it, in their order. That is the same sum, in
//! the same order, as walking the window: to the bit, at a fraction of the work.

use crate::engine::points::SeriesPoints;
use crate::engine::window::{Window, Windows, slide};
use longhaul_chunk::Columns;

/// Which of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Of a gauge.
    Delta,
    /// Of a counter.
    Increase,
    /// Of a counter, per second.
    Rate,
}

/// Evaluates `difference` in every window.
pub fn extrapolated(difference: Difference, samples: &Columns, windows: &Windows, out: &mut SeriesPoints) {
    let per = if difference == Difference::Rate { windows.range_ms as f64 / 1000.0 } else { 1.0 };
    let range_ms = windows.range_ms;
    if difference == Difference::Delta {
        slide(samples, windows, out, |window| stretch::<false>(window, gain(&window), range_ms, per));
        return;
    }
    let resets = resets(&samples.values);
    if resets.is_empty() {
        slide(samples, windows, out, |window| stretch::<true>(window, gain(&window), range_ms, per));
        return;
    }
    let mut passed = 0; // resets at or before the window's first sample
    slide(samples, windows, out, |window| {
        while passed < resets.len() && resets[passed] <= window.first {
            passed += 1;
        }
        let inside = resets[passed..].iter().take_while(|reset| **reset < window.end);
        let gain = inside.fold(gain(&window), |gain, reset| gain + samples.values[*reset - 1]);
        stretch::<true>(window, gain, range_ms, per)
    });
}

/// The indexes of the samples that lie below the one before.
fn resets(values: &[f64]) -> Vec<usize> {
    if !values.windows(2).fold(false, |any, pair| any | (pair[1] < pair[0])) {
        return Vec::new();
    }
    (1..values.len()).filter(|index| values[*index] < values[index - 1]).collect()
}

#[inline(always)]
fn gain(window: &Window<'_>) -> f64 {
    let values = window.values();
    values[values.len() - 1] - values[0]
}

#[inline(always)]
fn stretch<const COUNTER: bool>(window: Window<'_>, gain: f64, range_ms: i64, per: f64) -> Option<f64> {
    if window.samples() < 2 {
        return None;
    }
    let times = window.times();
    let (first_ms, last_ms) = (times[0], times[times.len() - 1]);
    let mut to_start = (first_ms - (window.end_ms - range_ms)) as f64 / 1000.0;
    let mut to_end = (window.end_ms - last_ms) as f64 / 1000.0;
    let sampled = (last_ms - first_ms) as f64 / 1000.0;
    let between = sampled / (times.len() - 1) as f64;

    // Samples that come regularly go on to the edge, within a tolerance of a tenth; a series that begins or ends inside
    // the window is taken to go on for half an interval.
    let threshold = between * 1.1;
    if to_start >= threshold {
        to_start = between / 2.0;
    }
    if COUNTER {
        // A counter was not below zero: it cannot have begun before it would have stood there.
        let first = window.values()[0];
        if gain > 0.0 && first >= 0.0 {
            let to_zero = sampled * (first / gain);
            if to_zero < to_start {
                to_start = to_zero;
            }
        }
    }
    if to_end >= threshold {
        to_end = between / 2.0;
    }
    let factor = (sampled + to_start + to_end) / sampled;
    Some(gain * (factor / per))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::points::Grid;
    use longhaul_model::Labels;
    use proptest::prelude::*;

    /// The definition, walking every window.
    fn walked(samples: &[(i64, f64)], start_ms: i64, end_ms: i64, difference: Difference) -> Option<f64> {
        let inside: Vec<_> = samples.iter().filter(|s| start_ms < s.0 && s.0 <= end_ms).collect();
        if inside.len() < 2 {
            return None;
        }
        let counter = difference != Difference::Delta;
        let (first, last) = (inside[0], inside[inside.len() - 1]);
        let mut gain = last.1 - first.1;
        if counter {
            for pair in inside.windows(2) {
                if pair[1].1 < pair[0].1 {
                    gain += pair[0].1;
                }
            }
        }
        let (mut to_start, mut to_end) = ((first.0 - start_ms) as f64 / 1000.0, (end_ms - last.0) as f64 / 1000.0);
        let sampled = (last.0 - first.0) as f64 / 1000.0;
        let between = sampled / (inside.len() - 1) as f64;
        if to_start >= between * 1.1 {
            to_start = between / 2.0;
        }
        if counter && gain > 0.0 && first.1 >= 0.0 {
            let to_zero = sampled * (first.1 / gain);
            if to_zero < to_start {
                to_start = to_zero;
            }
        }
        if to_end >= between * 1.1 {
            to_end = between / 2.0;
        }
        let mut factor = (sampled + to_start + to_end) / sampled;
        if difference == Difference::Rate {
            factor /= (end_ms - start_ms) as f64 / 1000.0;
        }
        Some(gain * factor)
    }

    proptest! {
        #[test]
        fn sliding_is_walking_to_the_bit(
            gaps in proptest::collection::vec(1i64..40_000, 0..120),
            values in proptest::collection::vec(prop_oneof![
                4 => (0u32..1000).prop_map(f64::from),
                1 => any::<f64>(),
            ], 120),
            range_ms in 1i64..400_000,
            step_ms in 1i64..100_000,
            offset_ms in -50_000i64..50_000,
        ) {
            let mut t = 0;
            let samples: Vec<(i64, f64)> = gaps.iter().zip(&values).map(|(gap, v)| { t += gap; (t, *v) }).collect();
            let columns = Columns {
                t_ms: samples.iter().map(|s| s.0).collect(),
                values: samples.iter().map(|s| s.1).collect(),
                ..Columns::default()
            };
            let windows = Windows { grid: Grid::new(0, t + range_ms, step_ms), range_ms, offset_ms, at_ms: None };
            for difference in [Difference::Delta, Difference::Increase, Difference::Rate] {
                let mut out = SeriesPoints::empty(Labels::empty(), windows.grid.steps);
                extrapolated(difference, &columns, &windows, &mut out);
                for step in 0..windows.grid.steps {
                    let end = windows.end_ms(step);
                    let expected = walked(&samples, end - range_ms, end, difference);
                    prop_assert_eq!(out.present.get(step), expected.is_some());
                    if let Some(value) = expected {
                        prop_assert!(
                            out.values[step].to_bits() == value.to_bits() || (value.is_nan() && out.values[step].is_nan())
                        );
                    }
                }
            }
        }
    }
}
