//! `anchored` and `smoothed`: selectors whose windows also take in samples beside them, as Prometheus takes them in
//! (`promql/functions.go`, `extendedRate`; `promql/engine.go`, `smoothSeries` and `extendFloats`).
//!
//! `anchored`: the last sample before a window stands at its start. `smoothed`: what a series had at both edges is
//! interpolated from the samples around them. Nothing is extrapolated: where there is no sample beside a window, the
//! first or last one inside stands in.

use crate::ast::Extended;
use crate::budget::Budget;
use crate::engine::QueryError;
use crate::engine::annotations::{NotesAt, Said};
use crate::engine::extended_histogram;
use crate::engine::extrapolate::Difference;
use crate::engine::points::SeriesPoints;
use crate::engine::window::Windows;
use crate::functions::Func;
use longhaul_chunk::{Columns, Samples};
use longhaul_model::Labels;

/// One window among a series' samples: how many of them lie at or before each of its edges.
#[derive(Clone, Copy, Debug)]
pub struct Edges {
    /// The step.
    pub step: usize,
    /// Where the window begins, ms, exclusive.
    pub start_ms: i64,
    /// Where it ends, ms, inclusive.
    pub end_ms: i64,
    /// Samples that lie too early to count.
    pub too_early: usize,
    /// Samples at or before the start.
    pub at_start: usize,
    /// Samples at or before the end.
    pub at_end: usize,
    /// All samples but those that lie too late to count.
    pub in_time: usize,
}

/// The functions whose range may be `extended`, in the order in which they are named to people; None: any instant
/// selector.
pub fn functions(extended: Extended) -> &'static [(&'static str, Func)] {
    const ANCHORED: &[(&str, Func)] = &[
        ("changes", Func::Changes),
        ("delta", Func::Delta),
        ("increase", Func::Increase),
        ("rate", Func::Rate),
        ("resets", Func::Resets),
    ];
    const SMOOTHED: &[(&str, Func)] = &[("delta", Func::Delta), ("increase", Func::Increase), ("rate", Func::Rate)];
    match extended {
        Extended::Anchored => ANCHORED,
        Extended::Smoothed => SMOOTHED,
    }
}

/// The windows of all steps among samples at these times.
pub fn edges(times_ms: &[i64], windows: &Windows) -> impl Iterator<Item = Edges> {
    let windows = *windows;
    let (before_ms, after_ms) = windows.beyond.map_or((0, 0), |beyond| (beyond.before_ms, beyond.after_ms));
    let mut passed = [0; 4];
    (0..windows.grid.steps).map(move |step| {
        let end_ms = windows.end_ms(step);
        let start_ms = end_ms.saturating_sub(windows.range_ms);
        let limits_ms = [start_ms.saturating_sub(before_ms), start_ms, end_ms, end_ms.saturating_add(after_ms)];
        for (passed, limit_ms) in passed.iter_mut().zip(limits_ms) {
            while *passed < times_ms.len() && times_ms[*passed] <= limit_ms {
                *passed += 1;
            }
        }
        let [too_early, at_start, at_end, in_time] = passed;
        Edges { step, start_ms, end_ms, too_early, at_start, at_end, in_time }
    })
}

impl Edges {
    /// The first and the last sample that say what the series had at the window's edges: the last one before it, if
    /// there is any in time, and the last one inside or (`smoothed`) the first at or behind the end. None: no sample lies
    /// behind the start.
    pub fn span(&self, extended: Extended, times_ms: &[i64]) -> Option<(usize, usize)> {
        let first = if self.at_start > self.too_early { self.at_start - 1 } else { self.at_start };
        let last = match extended {
            Extended::Anchored => self.at_end.checked_sub(1)?,
            Extended::Smoothed => {
                let exact = self.at_end > self.too_early && times_ms[self.at_end - 1] == self.end_ms;
                (self.at_end - usize::from(exact)).min(self.in_time.checked_sub(1)?)
            }
        };
        (last >= self.at_start).then_some((first, last))
    }
}

/// `rate`, `increase` and `delta` in every window.
pub fn difference(
    difference: Difference,
    extended: Extended,
    samples: &Columns,
    windows: &Windows,
    out: &mut SeriesPoints,
    budget: &Budget,
) -> Result<(), QueryError> {
    let mut pace = budget.pace();
    let counter = difference != Difference::Delta;
    let (times, values) = (samples.t_ms.as_slice(), samples.values.as_slice());
    for edges in edges(times, windows) {
        let Some((first, last)) = edges.span(extended, times) else { continue };
        if times[first] > edges.end_ms {
            continue;
        }
        pace.go_on(last - first)?;
        let [left, right] = at_edges(samples, &edges, extended, first, last, counter);
        let mut gain = right - left;
        if counter {
            // The samples strictly inside; what was interpolated has its resets in it.
            let from = first + usize::from(times[first] <= edges.start_ms);
            let to = last + usize::from(times[last] < edges.end_ms);
            gain += lost_by_resets(left, &values[from..to], right);
        }
        if difference == Difference::Rate {
            gain /= windows.range_ms as f64 / 1000.0;
        }
        out.set(edges.step, gain);
    }
    Ok(())
}

/// Counts the changes of kind `counts` from the anchor through every window, by running counts: `running[i]` is how many
/// there are up to sample `i`.
pub fn count_anchored(running: &[u32], times_ms: &[i64], windows: &Windows, out: &mut SeriesPoints) {
    for edges in edges(times_ms, windows) {
        if let Some((first, last)) = edges.span(Extended::Anchored, times_ms) {
            out.set(edges.step, f64::from(running[last] - running[first]));
        }
    }
}

/// What a `smoothed` instant selector finds at every step: a sample at the very time, else what lies between the samples
/// around it, else the last one before. None: there is nothing at any step.
pub fn instant(labels: &Labels, samples: &Samples, windows: &Windows, notes: &NotesAt) -> Option<SeriesPoints> {
    let floats = &samples.floats;
    let (times, values) = (floats.t_ms.as_slice(), floats.values.as_slice());
    let mut out = SeriesPoints::empty(labels.clone(), windows.grid.steps);
    for edges in edges(times, windows).filter(|edges| edges.at_end > edges.at_start) {
        let before = edges.at_end - 1;
        let value = if times[before] < edges.end_ms && edges.in_time > edges.at_end {
            interpolate(floats, before, edges.end_ms, false)
        } else {
            values[before]
        };
        out.set(edges.step, value);
    }
    if !samples.histograms.t_ms.is_empty() {
        let mut said = Said::default();
        extended_histogram::instant(samples, labels.metric_name(), windows, &mut out, &mut said);
        notes.add_all(said);
    }
    (!out.is_empty()).then_some(out)
}

/// The samples of a range on its own: those inside the one window, between the values at its edges.
pub fn range(samples: &Columns, windows: &Windows, extended: Extended) -> Columns {
    let mut out = Columns::default();
    let times = samples.t_ms.as_slice();
    for edges in edges(times, windows).take(1) {
        let Some((first, last)) = edges.span(extended, times) else { continue };
        let [left, right] = at_edges(samples, &edges, extended, first, last, false);
        out.push(edges.start_ms, left);
        for (t_ms, value) in times[first..=last].iter().zip(&samples.values[first..=last]) {
            if edges.start_ms < *t_ms && *t_ms < edges.end_ms {
                out.push(*t_ms, *value);
            }
        }
        out.push(edges.end_ms, right);
    }
    out
}

/// The values at both edges of a window.
fn at_edges(
    samples: &Columns,
    edges: &Edges,
    extended: Extended,
    first: usize,
    last: usize,
    counter: bool,
) -> [f64; 2] {
    let (times, smoothed) = (&samples.t_ms, extended == Extended::Smoothed);
    let left = if smoothed && times[first] < edges.start_ms {
        interpolate(samples, first, edges.start_ms, counter)
    } else {
        samples.values[first]
    };
    let right = if smoothed && last > edges.too_early && times[last] > edges.end_ms {
        interpolate(samples, last - 1, edges.end_ms, counter)
    } else {
        samples.values[last]
    };
    [left, right]
}

/// What lies at `t_ms` on the line from sample `index` to the next one; a counter that was reset between them is taken to
/// have begun at zero where the earlier one stands.
fn interpolate(samples: &Columns, index: usize, t_ms: i64, counter: bool) -> f64 {
    let (before_ms, after_ms) = (samples.t_ms[index], samples.t_ms[index + 1]);
    let (mut before, after) = (samples.values[index], samples.values[index + 1]);
    if counter && after < before {
        before = 0.0;
    }
    before + (after - before) * (t_ms - before_ms) as f64 / (after_ms - before_ms) as f64
}

/// What a counter had gained at its resets on the way from `left` through `inside` to `right`.
fn lost_by_resets(left: f64, inside: &[f64], right: f64) -> f64 {
    let (mut lost, mut before) = (0.0, left);
    for value in inside.iter().chain([&right]) {
        if *value < before {
            lost += before;
        }
        before = *value;
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::points::Grid;
    use crate::engine::window::Beyond;

    const LOOKBACK_MS: i64 = 100;

    fn columns(samples: &[(i64, f64)]) -> Columns {
        let mut columns = Columns::default();
        samples.iter().for_each(|(t_ms, value)| columns.push(*t_ms, *value));
        columns
    }

    fn windows(grid: Grid, range_ms: i64, extended: Extended) -> Windows {
        let after_ms = if extended == Extended::Smoothed { LOOKBACK_MS } else { 0 };
        let beyond = Some(Beyond { extended, before_ms: LOOKBACK_MS, after_ms });
        Windows { grid, range_ms, offset_ms: 0, at_ms: None, beyond }
    }

    fn gains(samples: &[(i64, f64)], at_ms: i64, range_ms: i64, extended: Extended) -> Option<f64> {
        let windows = windows(Grid::instant(at_ms), range_ms, extended);
        let mut out = SeriesPoints::empty(Labels::empty(), 1);
        difference(Difference::Increase, extended, &columns(samples), &windows, &mut out, &Budget::unlimited())
            .unwrap();
        out.points().next().map(|(_, value)| value)
    }

    #[test]
    fn an_anchor_stands_at_the_start_of_its_window() {
        let samples = [(0, 1.0), (10, 2.0), (20, 4.0), (30, 1.0)];
        let anchored = |at_ms, range_ms| gains(&samples, at_ms, range_ms, Extended::Anchored);
        assert_eq!(anchored(25, 10), Some(2.0), "from 2 at 10 to 4 at 20");
        assert_eq!(anchored(20, 10), Some(2.0), "the sample at the start is the anchor");
        assert_eq!(anchored(30, 15), Some(3.0), "2 up to 4, then a reset to 1");
        assert_eq!(anchored(5, 10), Some(0.0), "without an anchor the first one inside stands in");
        assert_eq!(anchored(60, 20), None, "an anchor alone says nothing");
        assert_eq!(anchored(150, 40), None, "and none that is too old");
    }

    #[test]
    fn smoothed_edges_lie_between_the_samples_around_them() {
        let samples = [(0, 0.0), (10, 10.0), (20, 20.0), (30, 10.0)];
        let smoothed = |at_ms, range_ms| gains(&samples, at_ms, range_ms, Extended::Smoothed);
        assert_eq!(smoothed(15, 10), Some(10.0), "from 5 to 15");
        assert_eq!(smoothed(17, 4), Some(4.0), "both edges between the same two");
        assert_eq!(smoothed(25, 10), Some(10.0), "from 15 to 20, and from the reset at 20 half way to 10");
        assert_eq!(smoothed(-5, 10), None, "all behind");
        assert_eq!(smoothed(60, 10), None, "all before");
        assert_eq!(gains(&[(0, 3.0)], 0, 10, Extended::Smoothed), Some(0.0));
    }

    #[test]
    fn a_smoothed_selector_interpolates_and_then_carries_on() {
        let grid = Grid::new(-5, 120, 5);
        let beyond = Beyond { extended: Extended::Smoothed, before_ms: 0, after_ms: LOOKBACK_MS };
        let windows = Windows { grid, range_ms: LOOKBACK_MS, offset_ms: 0, at_ms: None, beyond: Some(beyond) };
        let samples = Samples { floats: columns(&[(0, 0.0), (10, 10.0)]), ..Samples::default() };
        let series = instant(&Labels::empty(), &samples, &windows, &NotesAt::default()).unwrap();
        let points: Vec<(i64, f64)> = series.points().map(|(step, value)| (grid.time_ms(step), value)).collect();
        assert_eq!(points[..4], [(0, 0.0), (5, 5.0), (10, 10.0), (15, 10.0)]);
        assert_eq!(points.last(), Some(&(105, 10.0)), "the lookback is left-open");
    }

    #[test]
    fn a_range_on_its_own_ends_at_its_edges() {
        let samples = columns(&[(0, 0.0), (10, 10.0), (20, 20.0), (30, 30.0)]);
        let range = |extended| {
            let columns = range(&samples, &windows(Grid::instant(25), 20, extended), extended);
            columns.t_ms.into_iter().zip(columns.values).collect::<Vec<_>>()
        };
        assert_eq!(range(Extended::Smoothed), [(5, 5.0), (10, 10.0), (20, 20.0), (25, 25.0)]);
        assert_eq!(range(Extended::Anchored), [(5, 0.0), (10, 10.0), (20, 20.0), (25, 20.0)]);
    }
}
