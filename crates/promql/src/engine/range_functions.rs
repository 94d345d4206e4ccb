//! Functions over range vectors: one call turns a series' samples into one value a step.
//!
//! The samples were decoded once, into columns; [`RangeFunction::evaluate`] slides the windows over them.

use crate::ast::Span;
use crate::budget::Budget;
use crate::engine::QueryError;
use crate::engine::annotations::{Annotations, Note};
use crate::engine::extended;
use crate::engine::extrapolate::{Difference, extrapolated};
use crate::engine::histogram_range;
use crate::engine::ordered_window::{SlidingExtreme, SortedWindow};
use crate::engine::over_time;
use crate::engine::points::{Identity, SeriesPoints};
use crate::engine::select::Naming;
use crate::engine::starts;
use crate::engine::tally::Tally;
use crate::engine::window::{Window, Windows, slide, slide_indexes, walk};
use crate::functions::Func;
use longhaul_chunk::{Columns, Samples};
use longhaul_model::{Labels, Started};
use std::sync::Arc;

/// A function over ranges with all that it needs but the samples.
#[derive(Clone, Debug)]
pub struct RangeFunction {
    /// Which function.
    pub func: Func,
    /// Where its windows lie.
    pub windows: Windows,
    /// Its scalar arguments, one value a step each.
    pub args: Vec<Arc<[f64]>>,
    /// Where the range argument and the first scalar argument stand.
    pub spans: [Span; 2],
    /// What becomes of the metric's name.
    pub naming: Naming,
    /// Whether `__type__` tells counters, not the name.
    pub typed: bool,
    /// Counts what its windows hold.
    pub tally: Option<Tally>,
}

impl RangeFunction {
    /// Evaluates one series; `samples` are free of stale markers. None: it has no point at any step.
    pub fn evaluate(
        &self,
        labels: &Labels,
        samples: &Samples,
        notes: &Annotations,
        budget: &Budget,
    ) -> Result<Option<SeriesPoints>, QueryError> {
        let histograms = !samples.histograms.t_ms.is_empty();
        if samples.floats.t_ms.is_empty() && !histograms {
            return Ok(None);
        }
        if let Some(tally) = &self.tally {
            tally.windows(samples, &self.windows);
        }
        let mut out = SeriesPoints::empty(labels.clone(), self.windows.grid.steps);
        self.fill(labels, &samples.floats, &mut out, notes, budget)?;
        if histograms {
            histogram_range::overlay(self, labels.metric_name(), samples, &mut out, notes, budget)?;
        }
        if out.is_empty() {
            return Ok(None);
        }
        if matches!(self.func, Func::Rate | Func::Increase) && !out.present.is_none() {
            self.note_gauge(labels, notes);
        }
        if !matches!(self.func, Func::LastOverTime | Func::FirstOverTime) {
            self.naming.drop_name(&mut out, Identity::Refuse);
        }
        Ok(Some(out))
    }

    fn fill(
        &self,
        labels: &Labels,
        samples: &Columns,
        out: &mut SeriesPoints,
        notes: &Annotations,
        budget: &Budget,
    ) -> Result<(), QueryError> {
        let windows = &self.windows;
        match self.func {
            Func::Rate => return self.difference(Difference::Rate, labels, samples, out, notes, budget),
            Func::Increase => return self.difference(Difference::Increase, labels, samples, out, notes, budget),
            Func::Delta => return self.difference(Difference::Delta, labels, samples, out, notes, budget),
            Func::Irate => slide(samples, windows, out, |window| last_two(&window, true)),
            Func::Idelta => slide(samples, windows, out, |window| last_two(&window, false)),
            Func::Changes => {
                count_pairs(samples, windows, out, |index| is_change(samples.values[index - 1], samples.values[index]));
            }
            Func::Resets => count_pairs(samples, windows, out, |index| {
                samples.values[index] < samples.values[index - 1] || starts::reset_at(samples, index)
            }),
            Func::MaxOverTime => {
                let mut max = SlidingExtreme::max(&samples.values);
                slide(samples, windows, out, |window| Some(max.of(&window)));
            }
            Func::MinOverTime => {
                let mut min = SlidingExtreme::min(&samples.values);
                slide(samples, windows, out, |window| Some(min.of(&window)));
            }
            Func::CountOverTime => slide(samples, windows, out, |window| Some(window.samples() as f64)),
            Func::PresentOverTime | Func::AbsentOverTime => slide(samples, windows, out, |_| Some(1.0)),
            Func::LastOverTime => slide(samples, windows, out, |window| window.values().last().copied()),
            Func::FirstOverTime => slide(samples, windows, out, |window| window.values().first().copied()),
            Func::TsOfFirstOverTime => slide(samples, windows, out, |window| Some(seconds(window.times()[0]))),
            Func::TsOfLastOverTime => {
                slide(samples, windows, out, |window| Some(seconds(window.times()[window.samples() - 1])));
            }
            _ => return self.walk(samples, out, notes, budget),
        }
        Ok(())
    }

    /// The functions that look at every sample of a window.
    fn walk(
        &self,
        samples: &Columns,
        out: &mut SeriesPoints,
        notes: &Annotations,
        budget: &Budget,
    ) -> Result<(), QueryError> {
        let windows = &self.windows;
        match self.func {
            Func::SumOverTime => walk(samples, windows, out, budget, |window| Some(over_time::sum(window.values()))),
            Func::AvgOverTime => walk(samples, windows, out, budget, |window| Some(over_time::mean(window.values()))),
            Func::StdvarOverTime => {
                walk(samples, windows, out, budget, |window| Some(over_time::variance(window.values())))
            }
            Func::StddevOverTime => {
                walk(samples, windows, out, budget, |window| Some(over_time::variance(window.values()).sqrt()))
            }
            Func::TsOfMaxOverTime => walk(samples, windows, out, budget, |window| {
                Some(seconds(window.times()[over_time::last_max(window.values())]))
            }),
            Func::TsOfMinOverTime => walk(samples, windows, out, budget, |window| {
                Some(seconds(window.times()[over_time::last_min(window.values())]))
            }),
            Func::QuantileOverTime => self.quantile(samples, out, notes, budget),
            Func::MadOverTime => {
                let mut scratch = Vec::new();
                walk(samples, windows, out, budget, |window| {
                    scratch.clear();
                    scratch.extend_from_slice(window.values());
                    Some(over_time::median_deviation(&mut scratch))
                })
            }
            Func::Deriv => walk(samples, windows, out, budget, |window| {
                (window.samples() > 1)
                    .then(|| over_time::regression(window.times(), window.values(), window.times()[0]).0)
            }),
            Func::PredictLinear => walk(samples, windows, out, budget, |window| {
                let origin_ms = windows.grid.time_ms(window.step);
                (window.samples() > 1).then(|| {
                    let (slope, intercept) = over_time::regression(window.times(), window.values(), origin_ms);
                    slope * self.args[0][window.step] + intercept
                })
            }),
            Func::DoubleExponentialSmoothing => self.smooth(samples, out, budget),
            other => Err(QueryError::execution(format!("{other:?} is no function over ranges"))),
        }
    }

    fn difference(
        &self,
        difference: Difference,
        labels: &Labels,
        samples: &Columns,
        out: &mut SeriesPoints,
        notes: &Annotations,
        budget: &Budget,
    ) -> Result<(), QueryError> {
        if let Some(beyond) = self.windows.beyond {
            return extended::difference(difference, beyond.extended, samples, &self.windows, out, budget);
        }
        let overlapping = extrapolated(difference, samples, &self.windows, out);
        if overlapping > 0 {
            notes.add_times(self.spans[0], Note::StartOverlap(labels.metric_name().to_owned()), overlapping);
        }
        Ok(())
    }

    fn quantile(
        &self,
        samples: &Columns,
        out: &mut SeriesPoints,
        notes: &Annotations,
        budget: &Budget,
    ) -> Result<(), QueryError> {
        let mut sorted = SortedWindow::default();
        walk(samples, &self.windows, out, budget, |window| {
            let q = self.args[0][window.step];
            if !(0.0..=1.0).contains(&q) {
                notes.add(self.spans[1], Note::InvalidQuantile(q));
            }
            Some(sorted.quantile(q, &samples.values, &window))
        })
    }

    fn smooth(&self, samples: &Columns, out: &mut SeriesPoints, budget: &Budget) -> Result<(), QueryError> {
        let mut refused = Ok(());
        walk(samples, &self.windows, out, budget, |window| match self.factors(window.step) {
            Ok([smoothing, trend]) if window.samples() > 1 => {
                Some(over_time::smooth(window.values(), smoothing, trend))
            }
            Ok(_) => None,
            Err(error) => {
                refused = Err(error);
                None
            }
        })?;
        refused
    }

    /// The factors of double exponential smoothing at a step.
    pub fn factors(&self, step: usize) -> Result<[f64; 2], QueryError> {
        let factors = [self.args[0][step], self.args[1][step]];
        for ((name, short), factor) in [("smoothing", "sf"), ("trend", "tf")].into_iter().zip(factors) {
            if factor <= 0.0 || factor >= 1.0 {
                let text = format!("invalid {name} factor. Expected: 0 < {short} < 1, got: {factor:.6}");
                return Err(QueryError::Execution(text));
            }
        }
        Ok(factors)
    }

    /// A rate of something that does not look like a counter is worth a word.
    fn note_gauge(&self, labels: &Labels, notes: &Annotations) {
        let (name, kind) = (labels.metric_name(), labels.get("__type__").unwrap_or(""));
        let suffixes = ["_total", "_sum", "_count", "_bucket"];
        if name.is_empty() {
            return;
        }
        if self.typed {
            if !matches!(kind, "counter" | "histogram") {
                notes.add(self.spans[0], Note::PossibleNonCounterType(name.to_owned(), kind.to_owned()));
            }
        } else if !suffixes.iter().any(|suffix| name.ends_with(suffix)) {
            notes.add(self.spans[0], Note::PossibleNonCounter(name.to_owned()));
        }
    }
}

fn seconds(t_ms: i64) -> f64 {
    t_ms as f64 / 1000.0
}

/// The difference of a window's last two samples; of a counter: per second, a reset counting from zero.
fn last_two(window: &Window<'_>, rate: bool) -> Option<f64> {
    let ([.., before, last], [.., before_ms, last_ms]) = (window.values(), window.times()) else { return None };
    let started = match window.starts() {
        [.., before_start_ms, start_ms] => Started { t_ms: *last_ms, start_ms: *start_ms }
            .is_reset_after(Started { t_ms: *before_ms, start_ms: *before_start_ms }),
        _ => false,
    };
    let difference = if rate && (last < before || started) { *last } else { last - before };
    Some(if rate { difference / seconds(last_ms - before_ms) } else { difference })
}

/// Whether a value differs from the one before.
pub fn is_change(before: f64, after: f64) -> bool {
    before != after && !(before.is_nan() && after.is_nan())
}

/// Counts inside each window the samples of which `counts` says so (it gets their index; each has one before it).
fn count_pairs(samples: &Columns, windows: &Windows, out: &mut SeriesPoints, counts: impl Fn(usize) -> bool) {
    let mut total = 0u32;
    let mut running = Vec::with_capacity(samples.values.len());
    running.push(0);
    for index in 1..samples.values.len() {
        total += u32::from(counts(index));
        running.push(total);
    }
    count_running(&running, &samples.t_ms, windows, out);
}

/// Counts inside each window by running counts, which are exact: `running[i]` is how many there are up to the sample at
/// `times[i]`. An anchored window has one more sample: its anchor.
pub fn count_running(running: &[u32], times: &[i64], windows: &Windows, out: &mut SeriesPoints) {
    if windows.beyond.is_some() {
        return extended::count_anchored(running, times, windows, out);
    }
    slide_indexes(times, windows, |step, first, end, _| {
        out.set(step, f64::from(running[end - 1] - running[first]));
    });
}
