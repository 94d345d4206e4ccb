//! `scalar(v)`: at each step the value of the only series that has one.

use crate::budget::Held;
use crate::engine::QueryError;
use crate::engine::collide::Watch;
use crate::engine::points::{Presence, SeriesPoints};
use crate::engine::stream::Sink;

/// The values so far. Histograms do not count.
#[derive(Debug)]
pub struct Only {
    /// NaN where there is none, or more than one.
    values: Vec<f64>,
    seen: Presence,
    watch: Watch,
    held: Held,
}

impl Only {
    /// None yet.
    pub fn new(steps: usize, held: Held) -> Self {
        Self { values: vec![f64::NAN; steps], seen: Presence::none(steps), watch: Watch::default(), held }
    }

    /// One value a step.
    pub fn finish(self) -> Vec<f64> {
        self.values
    }
}

impl Sink for Only {
    type Item = SeriesPoints;

    fn take(&mut self, series: SeriesPoints) -> Result<(), QueryError> {
        self.watch.admit(&series, &mut self.held)?;
        for (step, value) in series.points() {
            self.values[step] = if self.seen.get(step) { f64::NAN } else { value };
        }
        self.seen.unite(&series.present);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;
    use longhaul_model::Labels;

    #[test]
    fn one_is_a_number_and_two_are_none() {
        let mut only = Only::new(3, Budget::unlimited().nothing_held());
        for steps in [[0, 1], [1, 2]] {
            let mut series = SeriesPoints::empty(Labels::empty(), 3);
            steps.into_iter().for_each(|step| series.set(step, step as f64));
            only.take(series).unwrap();
        }
        let values = only.finish();
        assert!(values[0] == 0.0 && values[1].is_nan() && values[2] == 2.0);
    }
}
