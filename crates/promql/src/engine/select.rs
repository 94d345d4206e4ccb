//! Instant selectors: which sample answers at each step; and what becomes of names on the way out of a selector.

use crate::engine::labels::without_metadata;
use crate::engine::points::{Identity, SeriesPoints};
use crate::engine::window::Windows;
use crate::plan::Answer;
use longhaul_chunk::Columns;
use longhaul_model::{Labels, is_stale};

/// Looks up, for every step, the newest sample within the lookback; a stale marker is no answer.
///
/// `samples` still hold their stale markers. None: there is no answer at any step.
pub fn instant(labels: &Labels, samples: &Columns, windows: &Windows, answer: Answer) -> Option<SeriesPoints> {
    let times = samples.t_ms.as_slice();
    if times.is_empty() {
        return None;
    }
    let mut out = SeriesPoints::empty(labels.clone(), windows.grid.steps);
    let mut end = 0;
    for step in 0..windows.grid.steps {
        let end_ms = windows.end_ms(step);
        while end < times.len() && times[end] <= end_ms {
            end += 1;
        }
        if end > 0 && times[end - 1] > end_ms.saturating_sub(windows.range_ms) {
            let value = samples.values[end - 1];
            if !is_stale(value) {
                out.set(step, answered(answer, samples, end - 1));
            }
        }
    }
    (!out.present.is_none()).then_some(out)
}

/// What sample `index` answers.
fn answered(answer: Answer, samples: &Columns, index: usize) -> f64 {
    match answer {
        Answer::Value => samples.values[index],
        Answer::Time => samples.t_ms[index] as f64 / 1000.0,
        Answer::Start => samples.start_ms.get(index).copied().unwrap_or(0) as f64 / 1000.0,
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::points::Grid;
    use longhaul_model::STALE_NAN_BITS;

    #[test]
    fn lookback_is_left_open_and_ends_at_a_stale_marker() {
        let stale = f64::from_bits(STALE_NAN_BITS);
        let samples = Columns { t_ms: vec![0, 10, 20], values: vec![1.0, f64::NAN, stale], ..Columns::default() };
        let windows = Windows { grid: Grid::new(-5, 30, 5), range_ms: 10, offset_ms: 0, at_ms: None, beyond: None };
        let series = instant(&Labels::empty(), &samples, &windows, Answer::Value).unwrap();
        assert_eq!(series.present.iter().collect::<Vec<_>>(), [1, 2, 3, 4], "steps 0, 5, 10 and 15");
        assert!(series.values[3].is_nan());
        let times = instant(&Labels::empty(), &samples, &windows, Answer::Time).unwrap();
        assert_eq!(times.points().last(), Some((4, 0.01)));
    }

    #[test]
    fn at_stands_for_every_step_and_offset_looks_back() {
        let samples = Columns { t_ms: vec![0, 10], values: vec![1.0, 2.0], ..Columns::default() };
        let windows =
            Windows { grid: Grid::new(100, 200, 50), range_ms: 10, offset_ms: 5, at_ms: Some(12), beyond: None };
        let series = instant(&Labels::empty(), &samples, &windows, Answer::Value).unwrap();
        assert_eq!(series.points().collect::<Vec<_>>(), [(0, 1.0), (1, 1.0), (2, 1.0)]);
    }
}
