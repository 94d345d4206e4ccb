//! `rate`, `increase` and `delta` of histograms (Prometheus `promql/functions.go`, `histogramRate`): the last less the
//! first of a window, with what was lost at resets, stretched to the window's edges as floats are (`extrapolate.rs`).
//!
//! Where counting began anew is found once a series; a window adds what its own resets have lost.

use crate::ast::Extended;
use crate::engine::annotations::{Note, Operation, Said};
use crate::engine::extended::Edges;
use crate::engine::extended_histogram::{self, Named, combine};
use crate::engine::extrapolate::{Difference, factor};
use crate::engine::histogram_range::{is_reset, wrong_kind};
use crate::engine::starts::{self, Started};
use crate::engine::window::Windows;
use longhaul_chunk::HistogramColumns;
use longhaul_model::{CounterResetHint, FloatHistogram};
use std::ops::Range;
use std::sync::Arc;

/// One of the three functions at work on a series.
pub struct HistogramRate<'a> {
    difference: Difference,
    samples: &'a HistogramColumns,
    range_ms: i64,
    metric: &'a str,
    /// The samples before which counting began anew; none for `delta`.
    resets: Vec<usize>,
    /// The samples whose start contradicts the sample before.
    overlaps: Vec<usize>,
    /// In how many windows there was one.
    overlapping: u64,
}

impl<'a> HistogramRate<'a> {
    /// Looks for the resets of a series.
    pub fn new(difference: Difference, samples: &'a HistogramColumns, windows: &Windows, metric: &'a str) -> Self {
        let counter = difference != Difference::Delta;
        let indexes = 1..if counter { samples.values.len() } else { 0 };
        let started = |index: usize| Started {
            t_ms: samples.t_ms[index],
            start_ms: samples.start_ms.get(index).copied().unwrap_or(0),
        };
        let overlap =
            |index: &usize| !samples.start_ms.is_empty() && starts::overlaps(started(index - 1), started(*index));
        Self {
            difference,
            samples,
            range_ms: windows.range_ms,
            metric,
            resets: indexes.clone().filter(|index| is_reset(samples, *index)).collect(),
            overlaps: indexes.filter(overlap).collect(),
            overlapping: 0,
        }
    }

    /// In how many of the windows so far a start contradicted its sample.
    pub fn overlapping(&self) -> u64 {
        self.overlapping
    }

    /// The difference over a window of histograms that ends at `end_ms`. None: there is none, which is told if it is worth
    /// a word.
    pub fn stretched(&mut self, window: Range<usize>, end_ms: i64, said: &mut Said) -> Option<FloatHistogram> {
        let counter = self.difference != Difference::Delta;
        let times = &self.samples.t_ms[window.clone()];
        let first = &self.samples.values[window.start];
        let mut gain = match times.len() {
            1 => None,
            _ => Some(self.gain(window.clone(), said)?),
        };
        // A start inside the window: counting stood at zero there, and even a single sample will do.
        let start_ms = self.samples.start_ms.get(window.start).copied().filter(|_| counter).unwrap_or(0);
        let begins = start_ms != 0 && end_ms - self.range_ms < start_ms && start_ms < times[0];
        if begins {
            gain = match gain {
                None => Some(FloatHistogram::clone(first)),
                Some(mut gain) => {
                    combine(Operation::Addition, &mut gain, first, self.metric, said)?;
                    Some(gain)
                }
            };
        }
        let mut gain = gain?;
        let begins_ms = begins.then_some(start_ms);
        let range_ms = self.range_ms;
        let factor = match counter {
            true => factor::<true>(times, end_ms, range_ms, begins_ms, first.count, gain.count),
            false => factor::<false>(times, end_ms, range_ms, None, first.count, gain.count),
        };
        let per = if self.difference == Difference::Rate { range_ms as f64 / 1000.0 } else { 1.0 };
        gain.scale(factor / per);
        Some(gain)
    }

    /// The difference over a window of an `anchored` or `smoothed` selector.
    pub fn between_edges(&self, edges: &Edges, extended: Extended, said: &mut Said) -> Option<FloatHistogram> {
        let counter = self.difference != Difference::Delta;
        let named = Named { samples: self.samples, metric: self.metric };
        let mut gain = extended_histogram::difference(named, edges, extended, counter, said)?;
        if self.difference == Difference::Rate {
            gain.divide(self.range_ms as f64 / 1000.0);
        }
        gain.compact(0);
        Some(gain)
    }

    /// What the histograms of a window of at least two have gained. None: they cannot be compared, which is told.
    fn gain(&mut self, window: Range<usize>, said: &mut Said) -> Option<FloatHistogram> {
        let counter = self.difference != Difference::Delta;
        let values = &self.samples.values[window.clone()];
        let (first, last) = (&values[0], &values[values.len() - 1]);
        let mut own = Said::default();
        if counter {
            own.extend(wrong_kind(counter, [first, last], self.metric));
        }
        // If counting began anew behind the first sample, what that one held does not matter, nor whether it could be
        // compared.
        let resets = self.resets.partition_point(|index| *index <= window.start);
        let inside = &self.resets[resets..][..self.resets[resets..].partition_point(|index| *index < window.end)];
        let anew = inside.first() == Some(&(window.start + 1));
        let empty;
        let base = if anew {
            let second = &values[1];
            empty = FloatHistogram {
                schema: second.schema,
                custom_bounds: Arc::clone(&second.custom_bounds),
                ..FloatHistogram::default()
            };
            &empty
        } else {
            &**first
        };
        let custom = base.uses_custom_bounds();
        if last.uses_custom_bounds() != custom {
            own.add(Note::MixedSchemas(self.metric.to_owned()));
            return give_up(own, said);
        }
        let mut schema = last.schema.min(base.schema);
        for value in values[1..values.len() - 1].iter().filter(|_| counter) {
            if value.is_gauge() {
                own.add(Note::NotCounter(self.metric.to_owned()));
            }
            if value.uses_custom_bounds() != custom {
                return self.incompatible(said);
            }
            schema = schema.min(value.schema);
        }
        let mut gain = FloatHistogram::clone(last);
        if schema < gain.schema {
            gain.reduce_resolution(schema);
        }
        if combine(Operation::Subtraction, &mut gain, base, self.metric, &mut own).is_none() {
            return self.incompatible(said);
        }
        for reset in &inside[usize::from(anew)..] {
            let lost = &self.samples.values[reset - 1];
            if combine(Operation::Addition, &mut gain, lost, self.metric, &mut own).is_none() {
                return self.incompatible(said);
            }
        }
        if !counter {
            own.extend(wrong_kind(counter, [first, last], self.metric));
        }
        let overlaps = self.overlaps.partition_point(|index| *index <= window.start);
        self.overlapping += u64::from(self.overlaps.get(overlaps).is_some_and(|index| *index < window.end));
        said.append(own);
        gain.reset_hint = CounterResetHint::Gauge;
        gain.compact(0);
        Some(gain)
    }

    fn incompatible(&self, said: &mut Said) -> Option<FloatHistogram> {
        said.add(Note::MixedSchemas(self.metric.to_owned()));
        None
    }
}

fn give_up(own: Said, said: &mut Said) -> Option<FloatHistogram> {
    said.append(own);
    None
}
