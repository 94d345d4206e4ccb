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
