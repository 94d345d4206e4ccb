//! Range functions over series with histograms: what comes of the windows that hold any, beside or in place of what their
//! floats alone yield (Prometheus `promql/functions.go`).
//!
//! A function of floats passes over histograms, a function of either kind refuses a mixture; both tell so.

use crate::ast::Span;
use crate::budget::Budget;
use crate::engine::QueryError;
use crate::engine::annotations::{Annotations, Note, Operation, Said};
use crate::engine::extended::{self, Edges};
use crate::engine::extrapolate::Difference;
use crate::engine::histogram_rate::HistogramRate;
use crate::engine::pairs;
use crate::engine::points::SeriesPoints;
use crate::engine::range_functions::RangeFunction;
use crate::engine::starts;
use crate::functions::Func;
use longhaul_chunk::{HistogramColumns, Samples};
use longhaul_model::{Combined, CounterResetHint, FloatHistogram, HistogramMean, HistogramSum};
use std::ops::Range;
use std::sync::Arc;

/// What a histogram counts for in a [`Pace`](crate::budget::Pace): some tens of buckets.
const HISTOGRAM_WORK: usize = 64;

/// A window that holds a histogram: indexes into both columns.
#[derive(Clone, Debug)]
pub struct MixedWindow {
    /// The step.
    pub step: usize,
    /// Where it ends, ms.
    pub end_ms: i64,
    /// Its floats.
    pub floats: Range<usize>,
    /// Its histograms, at least one.
    pub histograms: Range<usize>,
}

/// What comes of a window.
enum Point {
    /// What its floats alone yield.
    Floats,
    /// Nothing.
    Nothing,
    /// A number.
    Float(f64),
    /// A histogram.
    Histogram(Arc<FloatHistogram>),
}

/// A function at work on a series.
struct Overlay<'a> {
    function: &'a RangeFunction,
    metric: &'a str,
    samples: &'a Samples,
    rate: Option<HistogramRate<'a>>,
    said: Said,
}

/// Completes in `out` what the floats of `samples` alone have yielded, which has at least one histogram. `metric` is the
/// name that notes give to the series.
pub fn overlay(
    function: &RangeFunction,
    metric: &str,
    samples: &Samples,
    out: &mut SeriesPoints,
    notes: &Annotations,
    budget: &Budget,
) -> Result<(), QueryError> {
    let (windows, mut pace) = (&function.windows, budget.pace());
    if matches!(function.func, Func::Changes | Func::Resets) {
        pairs::count(function.func, samples, windows, out);
        return Ok(());
    }
    let rate = difference_of(function.func).map(|it| HistogramRate::new(it, &samples.histograms, windows, metric));
    let mut overlay = Overlay { function, metric, samples, rate, said: Said::default() };
    let floats = extended::edges(&samples.floats.t_ms, windows);
    let histograms = extended::edges(&samples.histograms.t_ms, windows);
    for (floats, histograms) in floats.zip(histograms) {
        let inside = |edges: &Edges| match windows.beyond {
            Some(_) => edges.too_early..edges.in_time,
            None => edges.at_start..edges.at_end,
        };
        let window = MixedWindow {
            step: floats.step,
            end_ms: floats.end_ms,
            floats: inside(&floats),
            histograms: inside(&histograms),
        };
        if window.histograms.is_empty() {
            continue;
        }
        pace.go_on(window.histograms.len() * HISTOGRAM_WORK)?;
        match overlay.point(&window, &histograms)? {
            Point::Floats => {}
            Point::Nothing => out.present.clear(window.step),
            Point::Float(value) => out.set(window.step, value),
            Point::Histogram(histogram) => {
                out.present.clear(window.step);
                out.set_histogram(window.step, histogram);
            }
        }
    }
    if let Some(rate) = overlay.rate.filter(|rate| rate.overlapping() > 0) {
        notes.add_times(overlay.function.spans[0], Note::StartOverlap(metric.to_owned()), rate.overlapping());
    }
    overlay.said.tell(notes, overlay.function.note_span());
    Ok(())
}

fn difference_of(func: Func) -> Option<Difference> {
    match func {
        Func::Rate => Some(Difference::Rate),
        Func::Increase => Some(Difference::Increase),
        Func::Delta => Some(Difference::Delta),
        _ => None,
    }
}

impl RangeFunction {
    /// The argument that Prometheus' notes about histograms point at: the first one.
    fn note_span(&self) -> Span {
        if self.func == Func::QuantileOverTime { self.spans[1] } else { self.spans[0] }
    }
}

impl Overlay<'_> {
    fn point(&mut self, window: &MixedWindow, edges: &Edges) -> Result<Point, QueryError> {
        let (floats, histograms) = (&self.samples.floats, &self.samples.histograms);
        let (first, last) = (window.histograms.start, window.histograms.end - 1);
        Ok(match self.function.func {
            Func::Rate | Func::Increase | Func::Delta if window.floats.is_empty() => {
                let beyond = self.function.windows.beyond;
                let result = self.rate.as_mut().and_then(|rate| match beyond {
                    Some(beyond) => rate.between_edges(edges, beyond.extended, &mut self.said),
                    None => rate.stretched(window.histograms.clone(), window.end_ms, &mut self.said),
                });
                result.map_or(Point::Nothing, Point::histogram)
            }
            Func::SumOverTime if window.floats.is_empty() => self.sum(&histograms.values[window.histograms.clone()]),
            Func::AvgOverTime if window.floats.is_empty() => self.mean(&histograms.values[window.histograms.clone()]),
            Func::Rate | Func::Increase | Func::Delta | Func::SumOverTime | Func::AvgOverTime => self.mixture(),
            Func::Irate => self.last_two(window, true),
            Func::Idelta => self.last_two(window, false),
            Func::CountOverTime => Point::Float((window.floats.len() + window.histograms.len()) as f64),
            Func::PresentOverTime | Func::AbsentOverTime => Point::Float(1.0),
            Func::FirstOverTime => match floats.t_ms[window.floats.clone()].first() {
                Some(float_ms) if *float_ms < histograms.t_ms[first] => Point::Floats,
                _ => Point::Histogram(Arc::clone(&histograms.values[first])),
            },
            Func::LastOverTime => match floats.t_ms[window.floats.clone()].last() {
                Some(float_ms) if *float_ms > histograms.t_ms[last] => Point::Floats,
                _ => Point::Histogram(Arc::clone(&histograms.values[last])),
            },
            Func::TsOfFirstOverTime => {
                let float_ms = floats.t_ms[window.floats.clone()].first().copied().unwrap_or(i64::MAX);
                Point::Float(float_ms.min(histograms.t_ms[first]) as f64 / 1000.0)
            }
            Func::TsOfLastOverTime => {
                let float_ms = floats.t_ms[window.floats.clone()].last().copied().unwrap_or(i64::MIN);
                Point::Float(float_ms.max(histograms.t_ms[last]) as f64 / 1000.0)
            }
            func => {
                if func == Func::DoubleExponentialSmoothing {
                    self.function.factors(window.step)?;
                }
                if !window.floats.is_empty() {
                    self.said.add(Note::IgnoredInRange(self.metric.to_owned()));
                }
                Point::Floats
            }
        })
    }

    fn mixture(&mut self) -> Point {
        self.said.add(Note::MixedInRange(self.metric.to_owned()));
        Point::Nothing
    }

    fn sum(&mut self, values: &[Arc<FloatHistogram>]) -> Point {
        let mut sum = HistogramSum::new(&values[0]);
        match values[1..].iter().try_for_each(|value| sum.add(value).map(|_| ())) {
            Ok(()) => self.total(sum.total(), sum.findings()),
            Err(_) => self.incompatible(),
        }
    }

    fn mean(&mut self, values: &[Arc<FloatHistogram>]) -> Point {
        let mut mean = HistogramMean::new(&values[0]);
        match values[1..].iter().try_for_each(|value| mean.add(value).map(|_| ())) {
            Ok(()) => self.total(mean.mean(), mean.findings()),
            Err(_) => self.incompatible(),
        }
    }

    fn total(&mut self, total: FloatHistogram, findings: Combined) -> Point {
        if findings.resets_conflict {
            self.said.add(Note::ConflictingResets(Operation::Aggregation));
        }
        if findings.bounds_reconciled {
            self.said.add(Note::ReconciledBounds(Operation::Aggregation));
        }
        Point::histogram(total)
    }

    fn incompatible(&mut self) -> Point {
        self.said.add(Note::MixedSchemas(self.metric.to_owned()));
        Point::Nothing
    }

    /// The difference of the last two samples; of a counter: per second, a reset counting from zero.
    fn last_two(&mut self, window: &MixedWindow, counter: bool) -> Point {
        let (floats, histograms) = (&self.samples.floats, &self.samples.histograms);
        let last = window.histograms.end - 1;
        // How many of the last two are floats: those behind the last or the last but one histogram.
        let behind = |index: usize| {
            floats.t_ms[window.floats.clone()].iter().rev().take_while(move |t_ms| **t_ms > histograms.t_ms[index])
        };
        match behind(last).take(2).count() {
            2 => return Point::Floats,
            1 => return self.mixture(),
            _ => {}
        }
        let newest_float_ms = floats.t_ms[window.floats.clone()].last();
        if last == window.histograms.start {
            return if newest_float_ms.is_some() { self.mixture() } else { Point::Nothing };
        }
        let before = last - 1;
        if newest_float_ms.is_some_and(|float_ms| *float_ms > histograms.t_ms[before]) {
            return self.mixture();
        }
        let [earlier, later] = [before, last].map(|index| &histograms.values[index]);
        self.said.extend(wrong_kind(counter, [earlier, later], self.metric));
        let mut result = FloatHistogram::clone(later);
        if !(counter && is_reset(histograms, last)) {
            match result.sub(earlier) {
                Ok(combined) if combined.bounds_reconciled => {
                    self.said.add(Note::ReconciledBounds(Operation::Subtraction));
                }
                Ok(_) => {}
                Err(_) => return self.incompatible(),
            }
        }
        result.reset_hint = CounterResetHint::Gauge;
        result.compact(0);
        if counter {
            result.divide((histograms.t_ms[last] - histograms.t_ms[before]) as f64 / 1000.0);
        }
        Point::histogram(result)
    }
}

impl Point {
    fn histogram(histogram: FloatHistogram) -> Self {
        Self::Histogram(Arc::new(histogram))
    }
}

/// What is to be said of a function of counters, or else of gauges, over histograms between `ends`.
pub fn wrong_kind(counter: bool, ends: [&FloatHistogram; 2], metric: &str) -> Option<Note> {
    match (counter, ends.map(FloatHistogram::is_gauge)) {
        (true, [false, false]) | (false, [true, true]) => None,
        (true, _) => Some(Note::NotCounter(metric.to_owned())),
        (false, _) => Some(Note::NotGauge(metric.to_owned())),
    }
}

/// Whether counting began anew between a histogram and the one before: by its start, or by its buckets.
pub fn is_reset(histograms: &HistogramColumns, index: usize) -> bool {
    starts::reset_at(histograms, index) || histograms.values[index].is_reset_after(&histograms.values[index - 1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::points::Grid;
    use crate::engine::select::Naming;
    use crate::engine::window::Windows;
    use longhaul_chunk::Columns;
    use longhaul_model::Labels;

    fn histogram(count: f64, hint: CounterResetHint) -> Arc<FloatHistogram> {
        Arc::new(FloatHistogram { count, reset_hint: hint, ..FloatHistogram::default() })
    }

    /// Floats 1, 2 at 10, 20, histograms 3, 5 at 30, 40, float 6 at 50: kinds change twice.
    fn samples(hint: CounterResetHint) -> Samples {
        let floats = Columns { t_ms: vec![10, 20, 50], values: vec![1.0, 2.0, 6.0], ..Columns::default() };
        let values = vec![histogram(3.0, hint), histogram(5.0, hint)];
        let histograms = HistogramColumns { t_ms: vec![30, 40], values, ..HistogramColumns::default() };
        Samples { floats, histograms }
    }

    /// Values by step.
    type Points = Vec<(usize, f64)>;

    /// What a function makes of windows of 25 that end at 20, 30, 40, 50, 60: floats, and the counts of histograms.
    fn evaluate(func: Func, hint: CounterResetHint) -> (Points, Points, String) {
        let windows = Windows { grid: Grid::new(20, 60, 10), range_ms: 25, offset_ms: 0, at_ms: None, beyond: None };
        let half = || Arc::from([0.5; 5]);
        let function = RangeFunction {
            func,
            windows,
            args: vec![half(), half()],
            spans: [Span::default(); 2],
            naming: Naming { delayed: true, one_name: true },
            typed: false,
            tally: None,
        };
        let (notes, labels) = (Annotations::default(), Labels::from_pairs([("__name__", "x_total")]));
        let out = function.evaluate(&labels, &samples(hint), &notes, &Budget::unlimited()).unwrap();
        let out = out.unwrap_or_else(|| SeriesPoints::empty(Labels::empty(), 5));
        let histograms = (0..5).filter_map(|step| Some((step, out.histogram(step)?.count))).collect();
        let (warnings, infos) = notes.render("");
        (out.points().collect(), histograms, [warnings, infos].concat().join("; "))
    }

    #[test]
    fn each_function_has_its_way_with_mixtures() {
        const MIXTURE: &str = "PromQL warning: encountered a mix of histograms and floats for metric name \"x_total\"";
        const IGNORED: &str = "PromQL info: ignored histograms in a range containing both floats and histograms for \
                               metric name \"x_total\"";
        let of = |func| evaluate(func, CounterResetHint::Unknown);
        let none = Points::new();
        // The windows hold 1 2; 1 2 H3; 2 H3 H5; H3 H5 6; H5 6.
        assert_eq!(of(Func::SumOverTime), (vec![(0, 3.0)], none.clone(), MIXTURE.to_owned()));
        assert_eq!(of(Func::MaxOverTime).0, [(0, 2.0), (1, 2.0), (2, 2.0), (3, 6.0), (4, 6.0)]);
        assert_eq!(of(Func::MaxOverTime).2, IGNORED);
        assert_eq!(of(Func::Deriv).0.len(), 2, "two floats are needed");
        assert_eq!(of(Func::CountOverTime).0, [(0, 2.0), (1, 3.0), (2, 3.0), (3, 3.0), (4, 2.0)]);
        assert_eq!(of(Func::LastOverTime).0, [(0, 2.0), (3, 6.0), (4, 6.0)]);
        assert_eq!(of(Func::LastOverTime).1, [(1, 3.0), (2, 5.0)]);
        assert_eq!(of(Func::FirstOverTime).1, [(3, 3.0), (4, 5.0)]);
        assert_eq!(of(Func::TsOfLastOverTime).0, [(0, 0.02), (1, 0.03), (2, 0.04), (3, 0.05), (4, 0.05)]);
        assert_eq!(of(Func::Changes).0, [(0, 1.0), (1, 2.0), (2, 2.0), (3, 2.0), (4, 1.0)]);
        assert_eq!(of(Func::Resets).0, [(0, 0.0), (1, 1.0), (2, 1.0), (3, 1.0), (4, 1.0)], "a change of kind is one");
        // The last two are floats at the first step, histograms at the third.
        let (floats, histograms, text) = evaluate(Func::Irate, CounterResetHint::Unknown);
        assert_eq!((floats, histograms, text), (vec![(0, 100.0)], vec![(2, 200.0)], MIXTURE.to_owned()));
        let (_, histograms, text) = evaluate(Func::Idelta, CounterResetHint::Gauge);
        assert_eq!((histograms, text), (vec![(2, 2.0)], MIXTURE.to_owned()));
        assert!(of(Func::Idelta).2.contains("is not a gauge"));
        assert!(evaluate(Func::Irate, CounterResetHint::Gauge).2.contains("is not a counter"));
    }

    #[test]
    fn windows_of_histograms_add_up() {
        let windows = Windows { grid: Grid::instant(40), range_ms: 20, offset_ms: 0, at_ms: None, beyond: None };
        let total = |func, hints: [CounterResetHint; 2]| {
            let function = RangeFunction {
                func,
                windows,
                args: Vec::new(),
                spans: [Span::default(); 2],
                naming: Naming { delayed: true, one_name: true },
                typed: false,
                tally: None,
            };
            let mut samples = samples(Unknown);
            samples.histograms.values = vec![histogram(3.0, hints[0]), histogram(5.0, hints[1])];
            let notes = Annotations::default();
            let out = function.evaluate(&Labels::empty(), &samples, &notes, &Budget::unlimited()).unwrap().unwrap();
            (out.histogram(0).unwrap().count, notes.render("").0)
        };
        use CounterResetHint::{NotReset, Reset, Unknown};
        assert_eq!(total(Func::SumOverTime, [Unknown, NotReset]), (8.0, vec![]));
        let conflict = "PromQL warning: conflicting counter resets during histogram aggregation".to_owned();
        assert_eq!(total(Func::AvgOverTime, [NotReset, Reset]), (4.0, vec![conflict]));
    }
}
