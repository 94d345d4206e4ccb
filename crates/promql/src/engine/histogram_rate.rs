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
use crate::engine::starts;
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
        Self {
            difference,
            samples,
            range_ms: windows.range_ms,
            metric,
            resets: indexes.filter(|index| is_reset(samples, *index)).collect(),
            overlaps: if counter { starts::overlaps_of(samples) } else { Vec::new() },
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::extrapolate::extrapolated;
    use crate::engine::points::{Grid, SeriesPoints};
    use longhaul_chunk::Columns;
    use longhaul_model::{BucketSpan, Labels};
    use proptest::prelude::*;

    /// A histogram in which every figure is `count` times a constant.
    fn proportional(count: f64, schema: i32, hint: CounterResetHint) -> Arc<FloatHistogram> {
        Arc::new(FloatHistogram {
            reset_hint: hint,
            schema,
            count,
            sum: 3.0 * count,
            positive_spans: vec![BucketSpan { offset: 1, length: 2 }],
            positive_counts: vec![count / 4.0, count * 0.75],
            ..FloatHistogram::default()
        })
    }

    proptest! {
        /// What a histogram counts moves as a float counter of the same observations does.
        #[test]
        fn counts_of_histograms_are_counters(
            samples in proptest::collection::vec((1i64..40_000, 0u32..50, 0i64..60_000), 1..60),
            starts in any::<bool>(),
            range_ms in 1i64..200_000,
            step_ms in 1_000i64..50_000,
        ) {
            let (mut floats, mut histograms) = (Columns::default(), HistogramColumns::default());
            let mut t_ms = 100_000;
            for (gap_ms, count, before_ms) in samples {
                t_ms += gap_ms;
                let start_ms = if starts { t_ms - before_ms } else { 0 };
                floats.push_started(start_ms, t_ms, f64::from(count));
                let histogram = proportional(f64::from(count), 1, CounterResetHint::Unknown);
                histograms.push_started(start_ms, t_ms, histogram);
            }
            let grid = Grid::new(100_000, t_ms + range_ms, step_ms);
            let windows = Windows { grid, range_ms, offset_ms: 0, at_ms: None, beyond: None };
            for difference in [Difference::Rate, Difference::Increase, Difference::Delta] {
                let mut expected = SeriesPoints::empty(Labels::empty(), grid.steps);
                let overlapping = extrapolated(difference, &floats, &windows, &mut expected);
                let mut rate = HistogramRate::new(difference, &histograms, &windows, "x");
                let mut at_all = SeriesPoints::empty(Labels::empty(), grid.steps);
                crate::engine::window::slide_indexes(&histograms.t_ms, &windows, |step, first, end, end_ms| {
                    if let Some(result) = rate.stretched(first..end, end_ms, &mut Said::default()) {
                        at_all.set(step, result.count);
                        assert!((result.sum - 3.0 * result.count).abs() <= 1e-9 * result.sum.abs());
                        let filled: f64 = result.positive_counts.iter().sum();
                        assert!((filled - result.count).abs() <= 1e-9 * result.count.abs());
                    }
                });
                prop_assert_eq!(&at_all.present, &expected.present);
                for ((_, found), (_, expected)) in at_all.points().zip(expected.points()) {
                    prop_assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{} is not {}", found, expected);
                }
                prop_assert_eq!(rate.overlapping(), overlapping);
            }
        }
    }

    #[test]
    fn kinds_and_layouts_are_told_of() {
        let windows = Windows { grid: Grid::instant(40), range_ms: 50, offset_ms: 0, at_ms: None, beyond: None };
        let told = |difference, values: Vec<Arc<FloatHistogram>>| {
            let t_ms = (1..=values.len() as i64).map(|n| n * 10).collect();
            let samples = HistogramColumns { t_ms, values, ..HistogramColumns::default() };
            let mut said = Said::default();
            let mut rate = HistogramRate::new(difference, &samples, &windows, "x");
            let result = rate.stretched(0..samples.t_ms.len(), 40, &mut said);
            (result.map(|result| (result.schema, result.reset_hint)), said.notes().to_vec())
        };
        let metric = || "x".to_owned();
        let of = |count, schema| proportional(count, schema, CounterResetHint::Unknown);
        let gauge = |count| proportional(count, 0, CounterResetHint::Gauge);
        let (rate, delta) = (Difference::Rate, Difference::Delta);
        let some = |schema| Some((schema, CounterResetHint::Gauge));
        assert_eq!(told(rate, vec![of(1.0, 0), of(2.0, 0)]), (some(0), vec![]));
        assert_eq!(told(rate, vec![of(1.0, 3), of(2.0, 1), of(4.0, 2)]), (some(1), vec![]), "the coarsest");
        assert_eq!(told(rate, vec![gauge(1.0), of(2.0, 0)]), (some(0), vec![Note::NotCounter(metric())]));
        assert_eq!(told(delta, vec![gauge(1.0), of(2.0, 0)]), (some(0), vec![Note::NotGauge(metric())]));
        assert_eq!(told(delta, vec![gauge(1.0), gauge(2.0)]), (some(0), vec![]));
        assert_eq!(
            told(rate, vec![of(1.0, -53), of(2.0, -53), of(4.0, 0)]),
            (None, vec![Note::MixedSchemas(metric())])
        );
        // Behind a reset the first does not matter.
        let reset = proportional(1.0, 0, CounterResetHint::Reset);
        assert_eq!(told(rate, vec![of(9.0, -53), reset, of(4.0, 0)]), (some(0), vec![]));
        assert_eq!(told(rate, vec![of(9.0, 0)]), (None, vec![]), "one is not enough");
    }
}
