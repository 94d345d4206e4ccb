//! Counts the samples of a query as Prometheus does, for those who ask (`stats`); see [`Scope`] for what counts where.

use crate::engine::CountSamples;
use crate::engine::points::{Grid, SeriesPoints};
use crate::engine::window::Windows;
use crate::plan::Scope;
use crate::value::{SampleCounts, StepCounts};
use longhaul_chunk::Samples;
use longhaul_model::FloatHistogram;
use parking_lot::Mutex;
use std::sync::Arc;

/// The figures of one query so far.
#[derive(Debug)]
pub struct Counts {
    grid: Grid,
    sums: Mutex<Sums>,
}

#[derive(Debug, Default)]
struct Sums {
    queried: u64,
    read: u64,
    /// One a step; empty if only the sums are asked for.
    steps: Vec<StepCounts>,
}

/// Counts what one node of the plan looks at.
#[derive(Clone, Debug)]
pub struct Tally {
    scope: Arc<Scope>,
    counts: Arc<Counts>,
    /// Whether it looks at samples, not at the points of a subquery, whose samples have been counted.
    reads: bool,
}

impl Counts {
    /// Nothing counted; None if nothing is to be. `grid`: that of the query.
    pub fn new(grid: Grid, asked: CountSamples) -> Option<Arc<Self>> {
        let step = |t_ms| StepCounts { t_ms, queried: 0, read: 0 };
        let steps = match asked {
            CountSamples::No => return None,
            CountSamples::InTotal => Vec::new(),
            CountSamples::PerStep => grid.times().map(step).collect(),
        };
        Some(Arc::new(Self { grid, sums: Mutex::new(Sums { steps, ..Sums::default() }) }))
    }

    /// The figures.
    pub fn figures(&self) -> SampleCounts {
        let sums = self.sums.lock();
        SampleCounts { queried: sums.queried, read: sums.read, steps: sums.steps.clone() }
    }
}

impl Sums {
    fn queried(&mut self, step: usize, samples: u64) {
        self.queried += samples;
        if let Some(step) = self.steps.get_mut(step) {
            step.queried += samples;
        }
    }

    fn read(&mut self, step: usize, samples: u64) {
        self.read += samples;
        if let Some(step) = self.steps.get_mut(step) {
            step.read += samples;
        }
    }
}

impl Tally {
    /// Counts for a node of this scope. `reads`: it looks at samples, not at the points of a subquery.
    pub fn new(scope: &Arc<Scope>, counts: &Arc<Counts>, reads: bool) -> Self {
        Self { scope: Arc::clone(scope), counts: Arc::clone(counts), reads }
    }

    fn add(&self, sums: &mut Sums, step: usize, queried: u64, read: u64) {
        self.scope.for_each_queried(step, self.counts.grid.steps, |step, times| sums.queried(step, queried * times));
        if let (Some(step), true) = (self.scope.reader(step), self.reads) {
            sums.read(step as usize, read);
        }
    }

    /// Counts what an instant selector found.
    pub fn instant(&self, points: &SeriesPoints) {
        let mut sums = self.counts.sums.lock();
        for step in points.present.iter() {
            self.add(&mut sums, step, 1, 1);
        }
        for (step, histogram) in points.histograms.iter().flat_map(|histograms| histograms.iter()) {
            let weight = weight(histogram);
            self.add(&mut sums, step, weight, weight);
        }
    }

    /// Counts what lies in the windows of a range.
    pub fn windows(&self, samples: &Samples, windows: &Windows) {
        let floats = passed(&samples.floats.t_ms, |_| 1);
        let histograms = passed(&samples.histograms.t_ms, |index| weight(&samples.histograms.values[index]));
        let until =
            |t_ms: i64| at(&floats, &samples.floats.t_ms, t_ms) + at(&histograms, &samples.histograms.t_ms, t_ms);
        let (before_ms, after_ms) = windows.beyond.map_or((0, 0), |beyond| (beyond.before_ms, beyond.after_ms));
        let mut sums = self.counts.sums.lock();
        for step in 0..windows.grid.steps {
            let end_ms = windows.end_ms(step);
            let start_ms = end_ms.saturating_sub(windows.range_ms).saturating_sub(before_ms);
            let end_ms = end_ms.saturating_add(after_ms);
            let (before, all) = (until(start_ms), until(end_ms));
            let known = match step {
                0 => before,
                _ if windows.at_ms.is_some() => all,
                _ => before.max(until(end_ms.saturating_sub(windows.grid.step_ms))),
            };
            self.add(&mut sums, step, all - before, all - known);
        }
    }

    /// Counts the samples of a range that is the answer itself.
    pub fn answer(&self, samples: &Samples) {
        let histograms: u64 = samples.histograms.values.iter().map(|histogram| weight(histogram)).sum();
        let all = samples.floats.len() as u64 + histograms;
        self.add(&mut self.counts.sums.lock(), 0, all, all);
    }
}

/// How much lies before every index, and before the end.
fn passed(times_ms: &[i64], weight: impl Fn(usize) -> u64) -> Vec<u64> {
    let mut sum = 0;
    let weights = (0..times_ms.len()).map(|index| {
        sum += weight(index);
        sum
    });
    std::iter::once(0).chain(weights).collect()
}

/// How much lies at or before `t_ms`.
fn at(passed: &[u64], times_ms: &[i64], t_ms: i64) -> u64 {
    passed[times_ms.partition_point(|time_ms| *time_ms <= t_ms)]
}

/// How many samples a histogram counts for: one for every 16 bytes, as in Prometheus.
pub fn weight(histogram: &FloatHistogram) -> u64 {
    histogram.size_bytes().div_ceil(16) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use longhaul_chunk::Columns;
    use longhaul_model::Labels;

    fn samples() -> Samples {
        let floats = Columns { t_ms: vec![5, 15, 25, 35], values: vec![0.0; 4], ..Columns::default() };
        Samples { floats, ..Samples::default() }
    }

    fn figures(asked: CountSamples, count: impl Fn(&Tally)) -> SampleCounts {
        let counts = Counts::new(Grid::new(20, 40, 10), asked).unwrap();
        count(&Tally::new(&Arc::new(Scope::of_query()), &counts, true));
        counts.figures()
    }

    #[test]
    fn windows_share_what_they_read() {
        let windows = Windows { grid: Grid::new(20, 40, 10), range_ms: 20, offset_ms: 0, at_ms: None, beyond: None };
        let counted = figures(CountSamples::PerStep, |tally| tally.windows(&samples(), &windows));
        assert_eq!((counted.queried, counted.read), (6, 4));
        let steps: Vec<_> = counted.steps.iter().map(|step| (step.t_ms, step.queried, step.read)).collect();
        assert_eq!(steps, [(20, 2, 2), (30, 2, 1), (40, 2, 1)]);
        let pinned = Windows { at_ms: Some(20), ..windows };
        let counted = figures(CountSamples::InTotal, |tally| tally.windows(&samples(), &pinned));
        assert_eq!((counted.queried, counted.read, counted.steps.len()), (6, 2, 0));
    }

    #[test]
    fn gaps_between_windows_are_not_read() {
        let windows = Windows { grid: Grid::new(20, 40, 10), range_ms: 6, offset_ms: 0, at_ms: None, beyond: None };
        let mut samples = samples();
        samples.floats.t_ms = vec![14, 15, 21, 35];
        let counted = figures(CountSamples::InTotal, |tally| tally.windows(&samples, &windows));
        assert_eq!((counted.queried, counted.read), (2, 2), "(14, 20] and (34, 40]");
    }

    #[test]
    fn points_and_histograms_have_their_weight() {
        let mut points = SeriesPoints::empty(Labels::empty(), 3);
        points.set(1, 1.0);
        let counted = figures(CountSamples::PerStep, |tally| tally.instant(&points));
        assert_eq!((counted.queried, counted.read, counted.steps[1].queried), (1, 1, 1));
        assert_eq!(weight(&FloatHistogram::default()), 11);
        assert!(Counts::new(Grid::instant(0), CountSamples::No).is_none());
    }
}
