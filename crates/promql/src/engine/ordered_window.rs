//! Extremes and quantiles of sliding windows without looking at every sample of every window again. Order statistics may
//! forget what has left a window, unlike sums: a value that is taken out leaves no trace.
//!
//! Invariant: each yields what looking at all of the window's values yields (tested so).

use crate::engine::over_time::{interpolate, nan_first};
use crate::engine::window::Window;
use std::collections::VecDeque;

/// The largest (or smallest) value of a window that slides.
///
/// Holds the candidates: the indexes of the values that no later one of the window beats; the first is the answer.
pub struct SlidingExtreme<'a> {
    values: &'a [f64],
    beats: fn(f64, f64) -> bool,
    candidates: VecDeque<usize>,
    taken: usize,
}

impl<'a> SlidingExtreme<'a> {
    /// For the largest value.
    pub fn max(values: &'a [f64]) -> Self {
        Self { values, beats: |a, b| a > b, candidates: VecDeque::new(), taken: 0 }
    }

    /// For the smallest value.
    pub fn min(values: &'a [f64]) -> Self {
        Self { values, beats: |a, b| a < b, candidates: VecDeque::new(), taken: 0 }
    }

    /// The extreme of `window`, which lies no earlier than the one before; NaN only if there is nothing else.
    pub fn of(&mut self, window: &Window<'a>) -> f64 {
        while self.candidates.front().is_some_and(|index| *index < window.first) {
            self.candidates.pop_front();
        }
        for index in self.taken.max(window.first)..window.end {
            let value = self.values[index];
            if value.is_nan() {
                continue;
            }
            while self.candidates.back().is_some_and(|last| (self.beats)(value, self.values[*last])) {
                self.candidates.pop_back();
            }
            self.candidates.push_back(index);
        }
        self.taken = window.end;
        self.candidates.front().map_or(f64::NAN, |index| self.values[*index])
    }
}

/// The values of a window that slides, in their order, NaN first.
#[derive(Default)]
pub struct SortedWindow {
    sorted: Vec<f64>,
    first: usize,
    end: usize,
}

impl SortedWindow {
    /// The quantile `q` of `window`, which lies no earlier than the one before.
    pub fn quantile(&mut self, q: f64, all: &[f64], window: &Window<'_>) -> f64 {
        if window.first >= self.end {
            self.sorted.clear();
            (self.first, self.end) = (window.first, window.first);
        }
        // What is new at once is sorted at once: inserting is for windows that overlap.
        if self.sorted.is_empty() {
            self.sorted.extend_from_slice(&all[window.first..window.end]);
            self.sorted.sort_unstable_by(|a, b| nan_first(*a, *b));
            (self.first, self.end) = (window.first, window.end);
        }
        for value in &all[self.first..window.first] {
            let at = self.place(*value);
            self.sorted.remove(at);
        }
        for value in &all[self.end..window.end] {
            let at = self.place(*value);
            self.sorted.insert(at, *value);
        }
        (self.first, self.end) = (window.first, window.end);
        interpolate(q, &self.sorted)
    }

    /// Where the first value stands that is not before `value`.
    fn place(&self, value: f64) -> usize {
        self.sorted.partition_point(|other| nan_first(*other, value).is_lt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::over_time;
    use crate::engine::points::{Grid, SeriesPoints};
    use crate::engine::window::{Windows, slide};
    use longhaul_chunk::Columns;
    use longhaul_model::Labels;
    use proptest::prelude::*;

    /// The definition: a NaN gives way to anything.
    fn extreme(values: &[f64], beats: fn(f64, f64) -> bool) -> f64 {
        values.iter().fold(values[0], |best, value| if beats(*value, best) || best.is_nan() { *value } else { best })
    }

    proptest! {
        #[test]
        fn sliding_is_looking_at_every_window(
            values in proptest::collection::vec(prop_oneof![
                6 => (-4i32..4).prop_map(f64::from),
                1 => Just(f64::NAN),
                1 => Just(f64::INFINITY),
                1 => any::<f64>(),
            ], 0..80),
            range_ms in 1i64..40,
            step_ms in 1i64..30,
            q in -0.2f64..1.2,
        ) {
            let columns = Columns { t_ms: (0..values.len() as i64).collect(), values, ..Columns::default() };
            let grid = Grid::new(0, 120, step_ms);
            let windows = Windows { grid, range_ms, offset_ms: 0, at_ms: None, beyond: None };
            let (mut max, mut min) = (SlidingExtreme::max(&columns.values), SlidingExtreme::min(&columns.values));
            let mut sorted = SortedWindow::default();
            let mut differences = Vec::new();
            slide(&columns, &windows, &mut SeriesPoints::empty(Labels::empty(), windows.grid.steps), |window| {
                let mut scratch = window.values().to_vec();
                let extremes = [
                    (max.of(&window), extreme(window.values(), |a, b| a > b)),
                    (min.of(&window), extreme(window.values(), |a, b| a < b)),
                ];
                // Zeros of either sign are equal: which of them a quantile finds is not said.
                let quantile = (sorted.quantile(q, &columns.values, &window), over_time::quantile(q, &mut scratch));
                let unlike = |(a, b): &(f64, f64)| a.to_bits() != b.to_bits() && !(a.is_nan() && b.is_nan());
                differences.extend(extremes.into_iter().filter(unlike));
                differences.extend([quantile].into_iter().filter(|pair| pair.0 != pair.1 && unlike(pair)));
                None
            });
            prop_assert!(differences.is_empty(), "{:?}", differences);
        }
    }
}
