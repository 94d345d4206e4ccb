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
    slide_indexes(&samples.t_ms, windows, |step, first, end, end_ms| {
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
pub fn slide_indexes(times: &[i64], windows: &Windows, mut visit: impl FnMut(usize, usize, usize, i64)) {
    let (mut first, mut end) = (0, 0);
    for step in 0..windows.grid.steps {
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
