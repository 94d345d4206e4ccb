//! Instant selectors: which sample answers at each step; and what becomes of names on the way out of a selector.

use crate::engine::labels::without_metadata;
use crate::engine::points::{Identity, SeriesPoints};
use crate::engine::window::Windows;
use crate::plan::Answer;
use longhaul_chunk::Samples;
use longhaul_model::{Labels, METRIC_NAME, is_stale};
use std::sync::Arc;

/// Looks up, for every step, the newest sample within the lookback, a float or a histogram; a stale marker is no answer.
///
/// `samples` still hold their stale markers. None: there is no answer at any step.
pub fn instant(labels: &Labels, samples: &Samples, windows: &Windows, answer: Answer) -> Option<SeriesPoints> {
    let Samples { floats, histograms } = samples;
    if floats.is_empty() && histograms.t_ms.is_empty() {
        return None;
    }
    let mut out = SeriesPoints::empty(labels.clone(), windows.grid.steps);
    newest(&floats.t_ms, windows, |step, index| {
        if !is_stale(floats.values[index]) {
            out.set(step, answered(answer, &floats.t_ms, &floats.start_ms, index).unwrap_or(floats.values[index]));
        }
    });
    if !histograms.t_ms.is_empty() {
        let newest_float = newest_times(&floats.t_ms, windows);
        newest(&histograms.t_ms, windows, |step, index| {
            if newest_float[step].is_some_and(|t_ms| t_ms > histograms.t_ms[index]) {
                return;
            }
            out.present.clear(step);
            if !histograms.values[index].is_stale() {
                match answered(answer, &histograms.t_ms, &histograms.start_ms, index) {
                    Some(value) => out.set(step, value),
                    None => out.set_histogram(step, Arc::clone(&histograms.values[index])),
                }
            }
        });
    }
    (!out.is_empty()).then_some(out)
}

/// Calls `visit` with every step within whose lookback one of the samples at `times` lies, and the index of the newest.
#[inline(always)]
fn newest(times: &[i64], windows: &Windows, mut visit: impl FnMut(usize, usize)) {
    let mut end = 0;
    for step in 0..windows.grid.steps {
        let end_ms = windows.end_ms(step);
        while end < times.len() && times[end] <= end_ms {
            end += 1;
        }
        if end > 0 && times[end - 1] > end_ms.saturating_sub(windows.range_ms) {
            visit(step, end - 1);
        }
    }
}

fn newest_times(times: &[i64], windows: &Windows) -> Vec<Option<i64>> {
    let mut all = vec![None; windows.grid.steps];
    newest(times, windows, |step, index| all[step] = Some(times[index]));
    all
}

/// What sample `index` answers, if not its value.
#[inline(always)]
fn answered(answer: Answer, times: &[i64], starts: &[i64], index: usize) -> Option<f64> {
    match answer {
        Answer::Value => None,
        Answer::Time => Some(times[index] as f64 / 1000.0),
        Answer::Start => Some(starts.get(index).copied().unwrap_or(0) as f64 / 1000.0),
    }
}

/// What dropping a metric's name means for the series of an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Naming {
    /// Names go at the end of the query, not at once.
    pub delayed: bool,
    /// All series have the same name, so that dropping it makes no two of them equal.
    pub one_name: bool,
}

impl Naming {
    /// Drops the name (and type and unit), remembering how a collision is to be treated if there may be one.
    pub fn drop_name(&self, series: &mut SeriesPoints, on_collision: Identity) {
        if self.delayed {
            series.drop_name = true;
            return;
        }
        let (labels, more) = without_metadata(&series.labels);
        series.labels = labels;
        if more || !self.one_name {
            series.identity = series.identity.or(Some(on_collision));
        }
    }

    /// Drops the name, but not type and unit unless names go at the end.
    pub fn drop_bare_name(&self, series: &mut SeriesPoints, on_collision: Identity) {
        if self.delayed {
            series.drop_name = true;
            return;
        }
        series.labels = series.labels.without(|name| name == METRIC_NAME);
        if !self.one_name {
            series.identity = series.identity.or(Some(on_collision));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::points::Grid;
    use longhaul_chunk::{Columns, HistogramColumns};
    use longhaul_model::{FloatHistogram, STALE_NAN_BITS};

    #[test]
    fn lookback_is_left_open_and_ends_at_a_stale_marker() {
        let stale = f64::from_bits(STALE_NAN_BITS);
        let floats = Columns { t_ms: vec![0, 10, 20], values: vec![1.0, f64::NAN, stale], ..Columns::default() };
        let samples = Samples { floats, ..Samples::default() };
        let windows = Windows { grid: Grid::new(-5, 30, 5), range_ms: 10, offset_ms: 0, at_ms: None, beyond: None };
        let series = instant(&Labels::empty(), &samples, &windows, Answer::Value).unwrap();
        assert_eq!(series.present.iter().collect::<Vec<_>>(), [1, 2, 3, 4], "steps 0, 5, 10 and 15");
        assert!(series.values[3].is_nan());
        let times = instant(&Labels::empty(), &samples, &windows, Answer::Time).unwrap();
        assert_eq!(times.points().last(), Some((4, 0.01)));
    }

    #[test]
    fn at_stands_for_every_step_and_offset_looks_back() {
        let floats = Columns { t_ms: vec![0, 10], values: vec![1.0, 2.0], ..Columns::default() };
        let windows =
            Windows { grid: Grid::new(100, 200, 50), range_ms: 10, offset_ms: 5, at_ms: Some(12), beyond: None };
        let samples = Samples { floats, ..Samples::default() };
        let series = instant(&Labels::empty(), &samples, &windows, Answer::Value).unwrap();
        assert_eq!(series.points().collect::<Vec<_>>(), [(0, 1.0), (1, 1.0), (2, 1.0)]);
    }

    #[test]
    fn the_newest_sample_answers_whatever_its_kind() {
        let histogram = |sum: f64| Arc::new(FloatHistogram { sum, ..FloatHistogram::default() });
        let stale = histogram(f64::from_bits(STALE_NAN_BITS));
        let floats = Columns { t_ms: vec![0, 20], values: vec![1.0, 2.0], ..Columns::default() };
        let values = vec![histogram(1.0), histogram(3.0), stale];
        let histograms = HistogramColumns { t_ms: vec![10, 30, 40], values, ..HistogramColumns::default() };
        let windows = Windows { grid: Grid::new(0, 60, 10), range_ms: 15, offset_ms: 0, at_ms: None, beyond: None };
        let samples = Samples { floats, histograms };
        let series = instant(&Labels::empty(), &samples, &windows, Answer::Value).unwrap();
        assert_eq!(series.points().collect::<Vec<_>>(), [(0, 1.0), (2, 2.0)]);
        let sums: Vec<_> = (0..7).filter_map(|step| Some((step, series.histogram(step)?.sum))).collect();
        assert_eq!(sums, [(1, 1.0), (3, 3.0)]);
        let times = instant(&Labels::empty(), &samples, &windows, Answer::Time).unwrap();
        assert_eq!(times.points().collect::<Vec<_>>(), [(0, 0.0), (1, 0.01), (2, 0.02), (3, 0.03)]);
    }
}
