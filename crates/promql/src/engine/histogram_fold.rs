//! Histograms in `sum` and `avg`: one running figure a step of a group. A series is added and forgotten, as floats are.
//!
//! A step at which a group has floats and histograms has no result; one where exponential and custom buckets meet has
//! none either. Both are told (Prometheus `promql/engine.go`, `aggregation`).

use crate::engine::annotations::{Note, NotesAt, Operation};
use crate::engine::points::{Presence, SeriesPoints};
use longhaul_model::{Combined, FloatHistogram, HistogramMean, HistogramSum, IncompatibleSchemas};
use std::sync::Arc;

/// The histograms of a group.
#[derive(Debug)]
pub struct HistogramFold {
    figure: Figure,
    steps: Vec<Option<Box<Accumulator>>>,
    /// The steps at which there was a histogram.
    seen: Presence,
    /// The steps at which exponential and custom buckets met: nothing is added there any more.
    incompatible: Presence,
}

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// The sum.
    Sum,
    /// The mean.
    Mean,
}

#[derive(Debug)]
enum Accumulator {
    Sum(HistogramSum),
    Mean(HistogramMean),
}

impl HistogramFold {
    /// None at any step.
    pub fn new(figure: Figure, steps: usize) -> Self {
        Self {
            figure,
            steps: (0..steps).map(|_| None).collect(),
            seen: Presence::none(steps),
            incompatible: Presence::none(steps),
        }
    }

    /// The steps at which nothing is added any more.
    pub fn incompatible(&self) -> &Presence {
        &self.incompatible
    }

    /// Adds the histograms of a series; `floats` are the steps at which the group has floats. Returns how many bytes
    /// more are held now.
    pub fn add(&mut self, series: &SeriesPoints, floats: &Presence, notes: &NotesAt) -> usize {
        let Some(histograms) = &series.histograms else { return 0 };
        let mut grown = 0;
        for (step, histogram) in histograms.iter() {
            if self.incompatible.get(step) {
                continue;
            }
            self.seen.set(step);
            match &mut self.steps[step] {
                Some(accumulator) => match accumulator.add(histogram) {
                    Ok(combined) if combined.bounds_reconciled => {
                        notes.add(Note::ReconciledBounds(Operation::Aggregation));
                    }
                    Ok(_) => {}
                    Err(IncompatibleSchemas) => {
                        notes.add(Note::MixedSchemas(series.labels.metric_name().to_owned()));
                        self.incompatible.set(step);
                        self.steps[step] = None;
                    }
                },
                // Beside floats it makes no result.
                None if floats.get(step) => {}
                empty => {
                    *empty = Some(Box::new(Accumulator::new(self.figure, histogram)));
                    grown += size_of::<Accumulator>() + 2 * histogram.size_bytes(); // with what rounding loses
                }
            }
        }
        grown
    }

    /// Takes out of `floats` the steps that have histograms too, and yields the results of the others.
    pub fn finish(self, floats: &mut Presence, notes: &NotesAt) -> Vec<(usize, Arc<FloatHistogram>)> {
        if floats.intersects(&self.seen) {
            notes.add(Note::MixedInAggregation);
        }
        let mut results = Vec::new();
        for (step, accumulator) in self.steps.into_iter().enumerate() {
            let Some(accumulator) = accumulator.filter(|_| !floats.get(step)) else { continue };
            let (mut result, findings) = match *accumulator {
                Accumulator::Sum(sum) => (sum.total(), sum.findings()),
                Accumulator::Mean(mean) => (mean.mean(), mean.findings()),
            };
            if findings.resets_conflict {
                notes.add(Note::ConflictingResets(Operation::Aggregation));
            }
            result.compact(0);
            results.push((step, Arc::new(result)));
        }
        floats.subtract(&self.seen);
        results
    }
}

impl Accumulator {
    fn new(figure: Figure, first: &FloatHistogram) -> Self {
        match figure {
            Figure::Sum => Self::Sum(HistogramSum::new(first)),
            Figure::Mean => Self::Mean(HistogramMean::new(first)),
        }
    }

    fn add(&mut self, histogram: &FloatHistogram) -> Result<Combined, IncompatibleSchemas> {
        match self {
            Self::Sum(sum) => sum.add(histogram),
            Self::Mean(mean) => mean.add(histogram),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ast::Span;
    use crate::engine::annotations::Annotations;
    use longhaul_model::{CounterResetHint, Labels};

    fn histogram(count: f64, schema: i32, hint: CounterResetHint) -> FloatHistogram {
        FloatHistogram { count, schema, reset_hint: hint, ..FloatHistogram::default() }
    }

    /// Folds one step; None is a float. Returns the count of the result and what was said.
    fn fold(figure: Figure, points: &[Option<FloatHistogram>]) -> (Option<f64>, Vec<String>) {
        let all = Arc::new(Annotations::default());
        let notes = NotesAt::new(&all, Span::default());
        let (mut fold, mut floats) = (HistogramFold::new(figure, 1), Presence::none(1));
        for point in points {
            let mut series = SeriesPoints::empty(Labels::from_pairs([("__name__", "x")]), 1);
            match point {
                Some(histogram) => series.set_histogram(0, Arc::new(histogram.clone())),
                None if fold.incompatible().get(0) => {}
                None => floats.set(0),
            }
            fold.add(&series, &floats, &notes);
        }
        let results = fold.finish(&mut floats, &notes);
        let (warnings, infos) = all.render("");
        (results.first().map(|(_, result)| result.count), [warnings, infos].concat())
    }

    #[test]
    fn sums_and_means() {
        let of = |count| Some(histogram(count, 0, CounterResetHint::Unknown));
        assert_eq!(fold(Figure::Sum, &[of(1.0), of(1e100), of(1.0), of(-1e100)]), (Some(2.0), vec![]));
        assert_eq!(fold(Figure::Mean, &[of(1.0), of(2.0), of(6.0)]), (Some(3.0), vec![]));
        assert_eq!(fold(Figure::Mean, &[of(f64::MAX), of(f64::MAX)]), (Some(f64::MAX), vec![]));
    }

    #[test]
    fn what_does_not_go_together_has_no_result() {
        let (plain, custom) =
            (histogram(1.0, 0, CounterResetHint::Reset), histogram(1.0, -53, CounterResetHint::Unknown));
        let not_reset = histogram(1.0, 0, CounterResetHint::NotReset);
        let mixture = "PromQL warning: encountered a mix of histograms and floats for aggregation";
        let schemas = "PromQL warning: vector contains a mix of histograms with exponential and custom buckets schemas \
                       for metric name \"x\"";
        let conflict = "PromQL warning: conflicting counter resets during histogram aggregation";
        let of = |points: &[Option<&FloatHistogram>]| {
            fold(Figure::Sum, &points.iter().map(|point| point.cloned()).collect::<Vec<_>>())
        };
        assert_eq!(of(&[Some(&plain), None]), (None, vec![mixture.to_owned()]));
        assert_eq!(of(&[None, Some(&plain), Some(&custom)]), (None, vec![mixture.to_owned()]));
        assert_eq!(of(&[Some(&plain), Some(&custom), None]), (None, vec![schemas.to_owned()]));
        assert_eq!(of(&[Some(&plain), Some(&not_reset)]), (Some(2.0), vec![conflict.to_owned()]));
    }
}
