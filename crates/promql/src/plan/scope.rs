//! How the samples that a node looks at count in a query's figures, as Prometheus counts them (`util/stats`).
//!
//! Two figures: samples *queried* are what every step of the query would look at if it were a query of its own; samples
//! *read* count once what neighbouring steps share. What a subquery looks at is read, but what is queried is its points.

use crate::engine::points::Grid;
use crate::engine::window::Windows;
use std::sync::Arc;

/// The step of the query at which samples count that no step uses.
const UNUSED: u32 = u32::MAX;

/// How the steps of a node's grid count at the steps of the query.
#[derive(Clone, Debug)]
pub struct Scope {
    queried: Queried,
    /// The query's step that reads what a step of the node looks at; None: they are the same.
    read: Option<Arc<[u32]>>,
}

/// Where samples queried count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Queried {
    /// At the same step of the query.
    Same,
    /// At every step: it is evaluated once for all.
    Every,
    /// So many times at the one step of the query.
    Times(u64),
    /// Nowhere.
    Not,
}

impl Scope {
    /// The scope of a query's own grid.
    pub fn of_query() -> Self {
        Self { queried: Queried::Same, read: None }
    }

    /// The scope of what is evaluated once for all steps of `outer`, whose scope this is.
    pub fn once(&self, outer: &Grid) -> Self {
        let queried = match self.queried {
            Queried::Same => Queried::Every,
            Queried::Times(times) => Queried::Times(times.saturating_mul(outer.steps as u64)),
            Queried::Every | Queried::Not => self.queried,
        };
        Self { queried, read: Some(Arc::from([self.reader(0).unwrap_or(UNUSED)])) }
    }

    /// The scope of a subquery's `inner` grid, whose points `windows` slide over at the steps of this scope.
    pub fn subquery(&self, windows: &Windows, inner: &Grid) -> Self {
        let read = (0..inner.steps).map(|step| {
            let used = used_at(inner.time_ms(step).saturating_add(windows.offset_ms), windows);
            used.and_then(|step| self.reader(step)).unwrap_or(UNUSED)
        });
        Self { queried: Queried::Not, read: Some(read.collect()) }
    }

    /// The scope of a subquery that is the query itself: every point of it is an answer.
    pub fn subquery_alone(&self, inner: &Grid) -> Self {
        Self { queried: Queried::Times(1), read: Some(vec![0; inner.steps].into()) }
    }

    /// Calls `count` with every step of the query, of `steps`, at which samples queried at `step` count, and how many
    /// times they do.
    pub fn for_each_queried(&self, step: usize, steps: usize, mut count: impl FnMut(usize, u64)) {
        match self.queried {
            Queried::Same => count(step, 1),
            Queried::Every => (0..steps).for_each(|step| count(step, 1)),
            Queried::Times(times) => count(0, times),
            Queried::Not => {}
        }
    }

    /// The step of the query that reads what `step` looks at, if any does.
    pub fn reader(&self, step: usize) -> Option<u32> {
        match &self.read {
            Some(read) => read.get(step).copied().filter(|step| *step != UNUSED),
            None => Some(step as u32),
        }
    }
}

/// The first step whose window reaches a subquery's point at `t_ms` (its offset added); None if it lies between two
/// windows.
fn used_at(t_ms: i64, windows: &Windows) -> Option<usize> {
    let grid = windows.grid;
    if grid.steps <= 1 {
        return Some(0);
    }
    let behind_ms = t_ms.saturating_sub(grid.start_ms).max(0);
    let step = (behind_ms as u64).div_ceil(grid.step_ms as u64).min(grid.steps as u64 - 1) as usize;
    (t_ms > grid.time_ms(step).saturating_sub(windows.range_ms)).then_some(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(grid: Grid, range_ms: i64) -> Windows {
        Windows { grid, range_ms, offset_ms: 5, at_ms: None, beyond: None }
    }

    fn queried(scope: &Scope, step: usize) -> Vec<(usize, u64)> {
        let mut all = Vec::new();
        scope.for_each_queried(step, 3, |step, times| all.push((step, times)));
        all
    }

    #[test]
    fn what_a_subquery_reads_counts_at_the_first_step_that_uses_it() {
        let grid = Grid::new(100, 300, 100);
        // Windows of points: (75, 95], (175, 195], (275, 295].
        let scope = Scope::of_query().subquery(&windows(grid, 20), &Grid::new(75, 295, 10));
        let readers: Vec<Option<u32>> = (0..23).map(|step| scope.reader(step)).collect();
        assert_eq!(readers[..4], [None, Some(0), Some(0), None], "75 is outside, 85 and 95 are inside");
        assert_eq!(readers[10..14], [None, Some(1), Some(1), None]);
        assert_eq!(queried(&scope, 1), []);
        let inner = scope.subquery(&windows(Grid::new(75, 295, 10), 10), &Grid::new(80, 290, 1));
        assert_eq!(inner.reader(0), Some(0), "80 is used at 85, which the first step uses");
        assert_eq!(inner.reader(20), None, "100 is used at 105, which none uses");
    }

    #[test]
    fn what_is_done_once_is_queried_at_every_step_and_read_at_the_first() {
        let once = Scope::of_query().once(&Grid::new(0, 20, 10));
        assert_eq!(queried(&once, 0), [(0, 1), (1, 1), (2, 1)]);
        assert_eq!(once.reader(0), Some(0));
        let alone = Scope::of_query().subquery_alone(&Grid::new(0, 90, 10));
        assert_eq!(queried(&alone.once(&Grid::new(0, 90, 10)), 0), [(0, 10)]);
        assert_eq!(queried(&alone, 7), [(0, 1)]);
    }
}
