//! Series over the steps of a node, accounted for: what operators that need several series at once take and make.

use crate::budget::{Budget, Held, Pace};
use crate::engine::QueryError;
use crate::engine::points::SeriesPoints;
use crate::engine::stream::Sink;

/// Series over a node's grid.
#[derive(Debug)]
pub struct Vector {
    /// The series.
    pub series: Vec<SeriesPoints>,
    /// Accounts for them.
    pub held: Held,
    pace: Pace,
}

impl Vector {
    /// No series yet.
    pub fn new(budget: &Budget) -> Self {
        Self { series: Vec::new(), held: budget.nothing_held(), pace: budget.pace() }
    }

    /// Adds one. Err if that is too much, or the query must stop.
    pub fn push(&mut self, series: SeriesPoints) -> Result<(), QueryError> {
        self.go_on(series.steps())?;
        self.held.grow(series.size_bytes())?;
        self.series.push(series);
        Ok(())
    }

    /// Before work of so many values or so. Err if the query must stop.
    pub fn go_on(&mut self, work: usize) -> Result<(), QueryError> {
        self.pace.go_on(work)
    }
}

impl Sink for Vector {
    type Item = SeriesPoints;

    fn take(&mut self, series: SeriesPoints) -> Result<(), QueryError> {
        self.push(series)
    }
}
