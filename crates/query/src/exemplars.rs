//! The exemplars of a selection, from head, parts and blocks: a union, in which each stands once.

use crate::past::Past;
use crate::view::{TenantSource, blocking, storage};
use longhaul_model::{Exemplar, Labels, Matcher, TimeRange};
use longhaul_promql::{Budget, Held, QueryError};
use std::collections::{BTreeMap, BTreeSet};

/// A series with its exemplars, in order of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesExemplars {
    /// Which series.
    pub labels: Labels,
    /// Its exemplars; never none.
    pub exemplars: Vec<Exemplar>,
}

/// How many are read between two looks at the budget's clock.
const PER_LOOK: usize = 4096;

impl TenantSource {
    /// The exemplars in `range` of every series that satisfies any of `selectors`, in label order. Each that is read counts
    /// as a sample.
    pub async fn exemplars(
        &self,
        selectors: Vec<Vec<Matcher>>,
        range: TimeRange,
        budget: &Budget,
    ) -> Result<Vec<SeriesExemplars>, QueryError> {
        let (source, budget) = (self.clone(), budget.clone());
        blocking(move |handle| {
            let sources = source.open(range, handle)?;
            let past = Past::of(&source.view.past, range);
            let mut found = Found::new(&budget);
            for matchers in &selectors {
                let in_head = sources.head.exemplars(matchers, range).into_iter();
                for (series, exemplar) in in_head.filter(|(series, exemplar)| past.keeps(series, exemplar)) {
                    if let Err(error) = found.add(series, exemplar) {
                        return Ok(Err(error));
                    }
                }
                for block in &sources.blocks {
                    for next in block.exemplars(matchers, range).map_err(|error| storage(block, error))? {
                        let (series, exemplar) = next.map_err(|error| storage(block, error))?;
                        if let Err(error) = found.add(series, exemplar) {
                            return Ok(Err(error));
                        }
                    }
                }
            }
            Ok(Ok(found.finish()))
        })
        .await?
    }
}

/// What was found so far, on a budget's account.
struct Found<'a> {
    budget: &'a Budget,
    held: Held,
    series: BTreeMap<Labels, BTreeSet<Exemplar>>,
    read: usize,
}

impl<'a> Found<'a> {
    fn new(budget: &'a Budget) -> Self {
        Self { budget, held: budget.nothing_held(), series: BTreeMap::new(), read: 0 }
    }

    fn add(&mut self, series: Labels, exemplar: Exemplar) -> Result<(), QueryError> {
        self.budget.count_samples(1)?;
        self.read += 1;
        if self.read % PER_LOOK == 1 {
            self.budget.check()?;
        }
        let size_bytes = exemplar.size_bytes();
        let exemplars = match self.series.get_mut(&series) {
            Some(exemplars) => exemplars,
            None => {
                self.budget.count_series(1)?;
                self.held.grow(series.size_bytes() + size_of::<SeriesExemplars>())?;
                self.series.entry(series).or_default()
            }
        };
        if exemplars.insert(exemplar) {
            self.held.grow(size_bytes)?;
        }
        Ok(())
    }

    fn finish(self) -> Vec<SeriesExemplars> {
        let each = |(labels, exemplars): (Labels, BTreeSet<Exemplar>)| SeriesExemplars {
            labels,
            exemplars: exemplars.into_iter().collect(),
        };
        self.series.into_iter().map(each).collect()
    }
}
