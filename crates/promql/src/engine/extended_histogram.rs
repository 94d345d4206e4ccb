//! `anchored` and `smoothed` for histograms (Prometheus `promql/functions.go`, `extendedHistogramRate`;
//! `promql/engine.go`, `smoothSeries`). Floats: `extended.rs`.

use crate::ast::Extended;
use crate::engine::annotations::{Note, Operation, Said};
use crate::engine::extended::{Edges, edges};
use crate::engine::histogram_range::wrong_kind;
use crate::engine::points::SeriesPoints;
use crate::engine::window::Windows;
use longhaul_chunk::{HistogramColumns, Samples};
use longhaul_model::{CounterResetHint, FloatHistogram};
use std::sync::Arc;

/// The histograms of a series and the name that notes give to it.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// The histograms.
    pub samples: &'a HistogramColumns,
    /// The name.
    pub metric: &'a str,
}

/// The difference over a window, before it is divided by anything. None: there is none, which is told if it is worth a
/// word.
pub fn difference(
    named: Named<'_>,
    edges: &Edges,
    extended: Extended,
    counter: bool,
    said: &mut Said,
) -> Option<FloatHistogram> {
    let Named { samples: HistogramColumns { t_ms: times, values, .. }, metric } = named;
    let smoothed = extended == Extended::Smoothed;
    let (first, last) = edges.span(extended, times)?;
    if times[first] > edges.end_ms {
        return None;
    }
    let custom = values[first].uses_custom_bounds();
    for value in &values[first..=last] {
        if value.uses_custom_bounds() != custom {
            said.add(Note::MixedSchemas(metric.to_owned()));
            return None;
        }
        if counter && value.is_gauge() {
            said.add(Note::NotCounter(metric.to_owned()));
        }
    }
    let left = match smoothed && times[first] < edges.start_ms {
        true => interpolate(named, first, edges.start_ms, counter, said)?,
        false => FloatHistogram::clone(&values[first]),
    };
    let right = match smoothed && last > edges.too_early && times[last] > edges.end_ms {
        true => interpolate(named, last - 1, edges.end_ms, counter, said)?,
        false => FloatHistogram::clone(&values[last]),
    };
    if !counter {
        said.extend(wrong_kind(counter, [&left, &right], metric));
    }
    let mut gain = right.clone();
    combine(Operation::Subtraction, &mut gain, &left, metric, said)?;
    if counter {
        // A reset between the samples from which the left edge was interpolated is in it already.
        let spanned = smoothed && times[first] < edges.start_ms && values[first + 1].is_reset_after(&values[first]);
        let (mut before, from) = if spanned { (&*values[first + 1], first + 2) } else { (&left, first + 1) };
        if from <= last {
            let mut lost: Option<FloatHistogram> = None;
            for value in values[from..last].iter().map(|value| &**value).chain([&right]) {
                if value.is_reset_after(before) {
                    match &mut lost {
                        None => lost = Some(before.clone()),
                        Some(lost) => combine(Operation::Addition, lost, before, metric, said)?,
                    }
                }
                before = value;
            }
            if let Some(lost) = lost {
                combine(Operation::Addition, &mut gain, &lost, metric, said)?;
            }
        }
    }
    gain.reset_hint = CounterResetHint::Gauge;
    Some(gain)
}

/// Completes in `out` what a `smoothed` instant selector finds at every step among floats: a histogram at the very time,
/// else what lies between those around it, else the last one before. Where there are floats too, there is nothing, which
/// is told.
pub fn instant(samples: &Samples, metric: &str, windows: &Windows, out: &mut SeriesPoints, said: &mut Said) {
    let named = Named { samples: &samples.histograms, metric };
    let HistogramColumns { t_ms: times, values, .. } = named.samples;
    for (floats, histograms) in edges(&samples.floats.t_ms, windows).zip(edges(times, windows)) {
        let step = histograms.step;
        if histograms.in_time == histograms.too_early {
            continue;
        }
        if floats.in_time > floats.too_early {
            said.add(Note::MixedInRange(metric.to_owned()));
            out.present.clear(step);
        } else if let Some(before) = histograms.at_end.checked_sub(1).filter(|before| *before >= histograms.too_early) {
            if times[before] == histograms.end_ms {
                out.set_histogram(step, Arc::clone(&values[before]));
            } else if histograms.in_time == histograms.at_end {
                let mut last = FloatHistogram::clone(&values[before]);
                last.reset_hint = CounterResetHint::Unknown;
                out.set_histogram(step, Arc::new(last));
            } else if values[before].uses_custom_bounds() != values[before + 1].uses_custom_bounds() {
                said.add(Note::MixedSchemas(metric.to_owned()));
            } else {
                let counter = !(values[before].is_gauge() && values[before + 1].is_gauge());
                if let Some(between) = interpolate(named, before, histograms.end_ms, counter, said) {
                    out.set_histogram(step, Arc::new(between));
                }
            }
        }
    }
}

/// What lies at `t_ms` between histogram `index` and the next one; a counter that was reset between them is taken to have
/// begun at zero where the earlier one stands.
fn interpolate(named: Named<'_>, index: usize, t_ms: i64, counter: bool, said: &mut Said) -> Option<FloatHistogram> {
    let Named { samples: HistogramColumns { t_ms: times, values, .. }, metric } = named;
    let [(before, before_ms), (after, after_ms)] = [index, index + 1].map(|index| (&values[index], times[index]));
    if t_ms == before_ms {
        return Some(FloatHistogram::clone(before));
    }
    let mut result = FloatHistogram::clone(after);
    if t_ms == after_ms {
        return Some(result);
    }
    let fraction = (t_ms - before_ms) as f64 / (after_ms - before_ms) as f64;
    if counter && after.is_reset_after(before) {
        result.scale(fraction);
        return Some(result);
    }
    combine(Operation::Subtraction, &mut result, before, metric, said)?;
    result.scale(fraction);
    combine(Operation::Addition, &mut result, before, metric, said)?;
    Some(result)
}

/// Adds to or subtracts from `total`, and tells what is worth a word. None: the two cannot be combined. Hints that
/// contradict one another are no matter here: resets are looked for.
pub fn combine(
    operation: Operation,
    total: &mut FloatHistogram,
    other: &FloatHistogram,
    metric: &str,
    said: &mut Said,
) -> Option<()> {
    let combined = match operation {
        Operation::Subtraction => total.sub(other),
        _ => total.add(other),
    };
    match combined {
        Ok(combined) => {
            if combined.bounds_reconciled {
                said.add(Note::ReconciledBounds(operation));
            }
            Some(())
        }
        Err(_) => {
            said.add(Note::MixedSchemas(metric.to_owned()));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::points::Grid;
    use crate::engine::window::Beyond;
    use longhaul_chunk::Columns;
    use longhaul_model::Labels;

    fn histograms(samples: &[(i64, f64)], hint: CounterResetHint) -> HistogramColumns {
        let of =
            |(_, count): &(i64, f64)| FloatHistogram { count: *count, reset_hint: hint, ..FloatHistogram::default() };
        HistogramColumns {
            t_ms: samples.iter().map(|(t_ms, _)| *t_ms).collect(),
            values: samples.iter().map(|sample| Arc::new(of(sample))).collect(),
            ..HistogramColumns::default()
        }
    }

    fn windows(grid: Grid, range_ms: i64, extended: Extended) -> Windows {
        let after_ms = if extended == Extended::Smoothed { 100 } else { 0 };
        let beyond = Some(Beyond { extended, before_ms: 100, after_ms });
        Windows { grid, range_ms, offset_ms: 0, at_ms: None, beyond }
    }

    /// The same as for floats, in `extended.rs`: counts move as counters do.
    #[test]
    fn differences_are_those_of_floats() {
        let samples = histograms(&[(0, 0.0), (10, 10.0), (20, 20.0), (30, 10.0)], CounterResetHint::Unknown);
        let gain = |at_ms, range_ms, extended| {
            let edges = edges(&samples.t_ms, &windows(Grid::instant(at_ms), range_ms, extended)).next().unwrap();
            let named = Named { samples: &samples, metric: "x" };
            difference(named, &edges, extended, true, &mut Said::default()).map(|gain| gain.count)
        };
        assert_eq!(gain(25, 10, Extended::Anchored), Some(10.0), "from 10 at 10 to 20 at 20");
        assert_eq!(gain(30, 15, Extended::Anchored), Some(20.0), "10 up to 20, then a reset to 10");
        assert_eq!(gain(60, 20, Extended::Anchored), None, "an anchor alone says nothing");
        assert_eq!(gain(15, 10, Extended::Smoothed), Some(10.0), "from 5 to 15");
        assert_eq!(gain(17, 4, Extended::Smoothed), Some(4.0), "both edges between the same two");
        assert_eq!(
            gain(25, 10, Extended::Smoothed),
            Some(10.0),
            "from 15 to 20, and from the reset at 20 half way to 10"
        );
    }

    #[test]
    fn a_smoothed_selector_interpolates_and_then_carries_on() {
        let grid = Grid::new(-5, 15, 5);
        let windows = Windows { range_ms: 100, ..windows(grid, 0, Extended::Smoothed) };
        let windows = Windows { beyond: windows.beyond.map(|beyond| Beyond { before_ms: 0, ..beyond }), ..windows };
        let mut samples = Samples {
            histograms: histograms(&[(0, 0.0), (10, 10.0)], CounterResetHint::NotReset),
            ..Samples::default()
        };
        let find = |samples: &Samples| {
            let (mut out, mut said) = (SeriesPoints::empty(Labels::empty(), grid.steps), Said::default());
            instant(samples, "x", &windows, &mut out, &mut said);
            let found = (0..grid.steps).filter_map(|step| {
                let histogram = out.histogram(step)?;
                Some((grid.time_ms(step), histogram.count, histogram.reset_hint))
            });
            (found.collect::<Vec<_>>(), said.notes().to_vec())
        };
        let (not_reset, unknown) = (CounterResetHint::NotReset, CounterResetHint::Unknown);
        let (found, notes) = find(&samples);
        assert_eq!(found, [(0, 0.0, not_reset), (5, 5.0, not_reset), (10, 10.0, not_reset), (15, 10.0, unknown)]);
        assert!(notes.is_empty());
        samples.floats = Columns { t_ms: vec![12], values: vec![1.0], ..Columns::default() };
        assert_eq!(find(&samples), (Vec::new(), vec![Note::MixedInRange("x".to_owned())]));
    }
}
