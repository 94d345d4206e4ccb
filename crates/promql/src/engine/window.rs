//! The windows of range functions: how two indexes slide over a series' samples, one window a step.
//!
//! Windows are left-open: `(end - range, end]`. Both indexes only move forward, so that a series costs its samples plus
//! its steps, and what a function does inside a window.

use crate::ast::Extended;
use crate::budget::Budget;
use crate::engine::QueryError;
use crate::engine::points::{Grid, SeriesPoints};
use longhaul_chunk::{Columns, Samples};
use longhaul_model::{CounterResetHint, FloatHistogram, TimeRange, is_stale};
use std::ops::Range;
use std::sync::Arc;

/// Where the windows of a selector or subquery lie, one a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// The steps.
    pub grid: Grid,
    /// Length of a window, ms.
    pub range_ms: i64,
    /// How far the windows' ends lie before the steps, ms; may be negative.
    pub offset_ms: i64,
    /// The time that stands for every step (`@`).
    pub at_ms: Option<i64>,
    /// What counts beyond the windows' edges (`anchored`, `smoothed`).
    pub beyond: Option<Beyond>,
}

/// How samples beside a window take part in it, and how far from it they may lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beyond {
    /// How.
    pub extended: Extended,
    /// How far before the start of the window, ms.
    pub before_ms: i64,
    /// How far behind its end, ms.
    pub after_ms: i64,
}

impl Windows {
    /// Where the window of step `step` ends, ms, inclusive.
    #[inline]
    pub fn end_ms(&self, step: usize) -> i64 {
        self.at_ms.unwrap_or_else(|| self.grid.time_ms(step)).saturating_sub(self.offset_ms)
    }

    /// The samples that lie in any window, or beside it where they count.
    pub fn reach(&self) -> TimeRange {
        let (first, last) = (self.end_ms(0), self.end_ms(self.grid.steps.saturating_sub(1)));
        let (before_ms, after_ms) = self.beyond.map_or((0, 0), |beyond| (beyond.before_ms, beyond.after_ms));
        let start = first.saturating_sub(self.range_ms).saturating_sub(before_ms);
        TimeRange::inclusive(start.saturating_add(1), last.saturating_add(after_ms))
    }
}

/// One window: the samples `first..end` of `all`, at least one.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    /// The step.
    pub step: usize,
    /// Index of the first sample inside.
    pub first: usize,
    /// Index of the first sample behind.
    pub end: usize,
    /// Where the window ends, ms.
    pub end_ms: i64,
    all: &'a Columns,
}

impl<'a> Window<'a> {
    /// The values inside.
    #[inline]
    pub fn values(&self) -> &'a [f64] {
        &self.all.values[self.first..self.end]
    }

    /// The times inside, ms.
    #[inline]
    pub fn times(&self) -> &'a [i64] {
        &self.all.t_ms[self.first..self.end]
    }

    /// How many samples are inside.
    #[inline]
    pub fn samples(&self) -> usize {
        self.end - self.first
    }

    /// Since when the samples inside count, ms; empty if that is known of none in the series.
    #[inline]
    pub fn starts(&self) -> &'a [i64] {
        self.all.start_ms.get(self.first..self.end).unwrap_or_default()
    }
}

/// Calls `function` for every window that holds a sample and puts what it yields into `out`.
#[inline(always)]
pub fn slide<'a>(
    samples: &'a Columns,
    windows: &Windows,
    out: &mut SeriesPoints,
    mut function: impl FnMut(Window<'a>) -> Option<f64>,
) {
    slide_steps(samples, windows, 0..windows.grid.steps, out, &mut function);
}

/// [`slide`] over some of the steps.
#[inline(always)]
pub fn slide_steps<'a>(
    samples: &'a Columns,
    windows: &Windows,
    steps: Range<usize>,
    out: &mut SeriesPoints,
    function: &mut impl FnMut(Window<'a>) -> Option<f64>,
) {
    indexes(&samples.t_ms, windows, steps, |step, first, end, end_ms| {
        if let Some(value) = function(Window { step, first, end, end_ms, all: samples }) {
            out.set(step, value);
        }
    });
}

/// [`slide`] for functions that look at every sample of a window, which may take long. Err if the query must stop.
#[inline(always)]
pub fn walk<'a>(
    samples: &'a Columns,
    windows: &Windows,
    out: &mut SeriesPoints,
    budget: &Budget,
    mut function: impl FnMut(Window<'a>) -> Option<f64>,
) -> Result<(), QueryError> {
    let (mut pace, mut going) = (budget.pace(), Ok(()));
    slide(samples, windows, out, |window| {
        if going.is_ok() {
            going = pace.go_on(window.samples());
        }
        if going.is_ok() { function(window) } else { None }
    });
    going
}

/// Calls `visit` for every window that holds one of the samples at `times`: with its step, the index of the first sample
/// inside and of the first behind, and where it ends, ms.
#[inline(always)]
pub fn slide_indexes(times: &[i64], windows: &Windows, visit: impl FnMut(usize, usize, usize, i64)) {
    indexes(times, windows, 0..windows.grid.steps, visit);
}

#[inline(always)]
fn indexes(times: &[i64], windows: &Windows, steps: Range<usize>, mut visit: impl FnMut(usize, usize, usize, i64)) {
    let (mut first, mut end) = (0, 0);
    for step in steps {
        let end_ms = windows.end_ms(step);
        let start_ms = end_ms.saturating_sub(windows.range_ms);
        while end < times.len() && times[end] <= end_ms {
            end += 1;
        }
        while first < end && times[first] <= start_ms {
            first += 1;
        }
        if first < end {
            visit(step, first, end, end_ms);
        }
    }
}

/// Windows that lie alike over evenly spaced samples: that of `steps.start + n` holds the samples from
/// `first + n * stride` on, `samples` of them, none of which would be missing if there were more on either side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvenWindows {
    /// Their steps.
    pub steps: Range<usize>,
    /// Index of the first sample in the first of them.
    pub first: usize,
    /// Samples in each, at least one.
    pub samples: usize,
    /// Samples between the beginnings of two neighbours.
    pub stride: usize,
}

impl EvenWindows {
    /// Finds them, if samples come at one interval and steps at a multiple of it.
    pub fn of(times: &[i64], windows: &Windows) -> Option<Self> {
        let [start_ms, second_ms, ..] = *times else { return None };
        let interval_ms = second_ms.checked_sub(start_ms)?;
        let step_ms = windows.grid.step_ms;
        let uneven = |pair: &[i64]| pair[1].wrapping_sub(pair[0]) != interval_ms;
        if windows.at_ms.is_some()
            || step_ms % interval_ms != 0
            || times.windows(2).fold(false, |any, it| any | uneven(it))
        {
            return None;
        }
        // All from the first sample on, in ms; i128, since ranges and offsets are anything.
        let end_ms = i128::from(windows.end_ms(0)) - i128::from(start_ms);
        let [range_ms, step_ms, interval_ms] = [windows.range_ms, step_ms, interval_ms].map(i128::from);
        // The first step before whose window no sample is missing, and the first behind whose window one would be.
        let begin = ceiling(range_ms - end_ms - interval_ms, step_ms).max(0);
        let behind = ceiling(times.len() as i128 * interval_ms - end_ms, step_ms).min(windows.grid.steps as i128);
        let index_behind = |ms: i128| ms.div_euclid(interval_ms) + 1;
        let (first, end) = (index_behind(end_ms + begin * step_ms - range_ms), index_behind(end_ms + begin * step_ms));
        (begin < behind && first < end).then(|| Self {
            steps: begin as usize..behind as usize,
            first: first as usize,
            samples: (end - first) as usize,
            stride: (step_ms / interval_ms) as usize,
        })
    }

    /// The windows of `steps`, which are among theirs.
    pub fn windows<'a>(
        &self,
        steps: Range<usize>,
        samples: &'a Columns,
        windows: &Windows,
    ) -> impl Iterator<Item = Window<'a>> {
        steps.map(|step| {
            let first = self.first + (step - self.steps.start) * self.stride;
            Window { step, first, end: first + self.samples, end_ms: windows.end_ms(step), all: samples }
        })
    }

    /// The steps whose windows hold both sample `index` and the one before it.
    pub fn steps_across(&self, index: usize) -> Range<usize> {
        // Window n holds it behind its first sample while first + n * stride < index < first + n * stride + samples.
        let begin = (index + 1).saturating_sub(self.first + self.samples).div_ceil(self.stride);
        let end = index.saturating_sub(self.first).div_ceil(self.stride);
        let step = |number: usize| (self.steps.start + number).min(self.steps.end);
        step(begin)..step(end)
    }
}

/// `a / b`, rounded up; `b` is positive.
fn ceiling(a: i128, b: i128) -> i128 {
    -(-a).div_euclid(b)
}

/// Removes stale markers: they end a series for an instant selector, a range does not see them.
pub fn drop_stale(samples: &mut Samples) {
    drop_stale_floats(&mut samples.floats);
    let histograms = &mut samples.histograms;
    if histograms.values.iter().any(|histogram| histogram.is_stale()) {
        let kept: Vec<bool> = histograms.values.iter().map(|histogram| !histogram.is_stale()).collect();
        keep(&mut histograms.values, &kept);
        keep(&mut histograms.t_ms, &kept);
        keep(&mut histograms.start_ms, &kept);
    }
}

/// Keeps the elements of a column of which `kept` says so; the column may be empty.
fn keep<T>(column: &mut Vec<T>, kept: &[bool]) {
    let mut index = 0;
    column.retain(|_| {
        index += 1;
        kept[index - 1]
    });
}

fn drop_stale_floats(samples: &mut Columns) {
    let Some(first) = samples.values.iter().position(|value| is_stale(*value)) else { return };
    let mut kept = first;
    for index in first..samples.values.len() {
        if !is_stale(samples.values[index]) {
            samples.values[kept] = samples.values[index];
            samples.t_ms[kept] = samples.t_ms[index];
            if let Some(start_ms) = samples.start_ms.get(index).copied() {
                samples.start_ms[kept] = start_ms;
            }
            kept += 1;
        }
    }
    samples.values.truncate(kept);
    samples.t_ms.truncate(kept);
    samples.start_ms.truncate(kept);
}

/// The points of a series over a subquery's grid, as samples. They are no samples of a counter any more: nothing is known
/// of their starts, nor of resets between them, for samples may lie between two of them or stand for several.
pub fn samples_of(series: &mut SeriesPoints, grid: &Grid, out: &mut Samples) {
    out.clear();
    for (step, value) in series.points() {
        out.floats.push(grid.time_ms(step), value);
    }
    let mut before: Option<(Arc<FloatHistogram>, Arc<FloatHistogram>)> = None;
    for (step, histogram) in series.histograms.take().into_iter().flat_map(|histograms| *histograms) {
        let unknown = match &before {
            Some((same, unknown)) if Arc::ptr_eq(same, &histogram) => Arc::clone(unknown),
            _ => without_hint(Arc::clone(&histogram)),
        };
        out.histograms.t_ms.push(grid.time_ms(step));
        out.histograms.values.push(Arc::clone(&unknown));
        before = Some((histogram, unknown));
    }
}

fn without_hint(mut histogram: Arc<FloatHistogram>) -> Arc<FloatHistogram> {
    if matches!(histogram.reset_hint, CounterResetHint::Reset | CounterResetHint::NotReset) {
        Arc::make_mut(&mut histogram).reset_hint = CounterResetHint::Unknown;
    }
    histogram
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn windows_that_lie_alike_are_found_whole(
            start_ms in -100i64..100,
            interval_ms in 1i64..40,
            samples in 0i64..40,
            stride in 1i64..5,
            grid_start_ms in -200i64..1500,
            steps in 0usize..200,
            range_ms in 1i64..300,
            offset_ms in -50i64..50,
        ) {
            let times: Vec<i64> = (0..samples).map(|n| start_ms + n * interval_ms).collect();
            let grid = Grid { start_ms: grid_start_ms, step_ms: stride * interval_ms, steps };
            let windows = Windows { grid, range_ms, offset_ms, at_ms: None, beyond: None };
            let alike = EvenWindows::of(&times, &windows);
            let samples_all = Columns { t_ms: times.clone(), values: vec![0.0; times.len()], start_ms: Vec::new() };
            if let Some(alike) = &alike {
                for index in 0..times.len() {
                    let across = alike.windows(alike.steps.clone(), &samples_all, &windows);
                    let across: Vec<_> = across.filter(|it| it.first < index && index < it.end).map(|it| it.step).collect();
                    prop_assert_eq!(alike.steps_across(index).collect::<Vec<_>>(), across);
                }
            }
            let (mut seen, mut whole) = (Vec::new(), 0);
            slide_indexes(&times, &windows, |step, first, end, end_ms| {
                let missing = end_ms - range_ms < start_ms - interval_ms || end_ms >= start_ms + samples * interval_ms;
                whole += usize::from(!missing);
                if let Some(alike) = &alike && alike.steps.contains(&step) {
                    let number = step - alike.steps.start;
                    seen.push((first, end - first) == (alike.first + number * alike.stride, alike.samples) && !missing);
                }
            });
            prop_assert!(seen.iter().all(|as_told| *as_told));
            prop_assert_eq!(seen.len(), alike.as_ref().map_or(0, |alike| alike.steps.len()));
            prop_assert_eq!(seen.len(), if samples < 2 { 0 } else { whole });
        }
    }

    #[test]
    fn uneven_samples_and_steps_have_none() {
        let windows = |step_ms| Windows {
            grid: Grid::new(0, 1000, step_ms),
            range_ms: 50,
            offset_ms: 0,
            at_ms: None,
            beyond: None,
        };
        assert!(EvenWindows::of(&[0, 10, 20, 30, 40, 50, 60], &windows(20)).is_some());
        assert_eq!(EvenWindows::of(&[0, 10, 20, 30, 40, 50, 60], &windows(25)), None);
        assert_eq!(EvenWindows::of(&[0, 10, 20, 31, 40, 50, 60], &windows(20)), None);
        assert_eq!(EvenWindows::of(&[i64::MIN, 0, i64::MAX], &windows(20)), None);
    }
}
