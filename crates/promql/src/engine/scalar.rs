//! Scalars: one value a step. `scalar(v)` is at each step the value of the only series that has one.

use crate::budget::Held;
use crate::engine::binary::calculate;
use crate::engine::collide::Watch;
use crate::engine::evaluate::Run;
use crate::engine::points::{Presence, SeriesPoints};
use crate::engine::stream::Sink;
use crate::engine::{QueryError, math};
use crate::functions::Func;
use crate::plan::{Node, NodeKind};
use std::sync::Arc;

impl Run {
    /// The values of a scalar over its grid.
    pub(super) async fn scalar_task(self: Arc<Self>, node: Arc<Node>) -> Result<Arc<[f64]>, QueryError> {
        let steps = node.grid.steps;
        self.scalars_held.lock().grow(steps * 8)?;
        Ok(match &node.kind {
            NodeKind::Number(number) => vec![*number; steps].into(),
            NodeKind::Time => node.grid.times().map(|t_ms| t_ms as f64 / 1000.0).collect(),
            NodeKind::Once(inner) => vec![self.scalar(inner).await?[0]; steps].into(),
            NodeKind::Negate(inner) => self.scalar(inner).await?.iter().map(|value| -value).collect(),
            NodeKind::Binary { op, sides, .. } => {
                let (lhs, rhs) = (self.scalar(&sides[0]).await?, self.scalar(&sides[1]).await?);
                lhs.iter().zip(&*rhs).map(|(lhs, rhs)| calculate(*op, *lhs, *rhs)).collect()
            }
            NodeKind::Call { function, args } if matches!(function.func, Func::MaxOf | Func::MinOf) => {
                let choose = if function.func == Func::MaxOf { math::larger } else { math::smaller };
                let (lhs, rhs) = (self.scalar(&args[0]).await?, self.scalar(&args[1]).await?);
                lhs.iter().zip(&*rhs).map(|(lhs, rhs)| choose(*lhs, *rhs)).collect()
            }
            NodeKind::Call { function, args } if function.func == Func::Scalar => {
                let only = Only::new(steps, self.budget.nothing_held());
                self.drive(self.pipe(&args[0]).await?, |series| series, only).await?.finish().into()
            }
            other => return Err(QueryError::execution(format!("unexpected scalar expression {other:?}"))),
        })
    }
}

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
