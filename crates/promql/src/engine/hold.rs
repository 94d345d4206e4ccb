//! The aggregations that need all values of a step at once: quantile and count_values.

use crate::ast::AggregateOp;
use crate::budget::Held;
use crate::engine::QueryError;
use crate::engine::aggregate::{Grouped, Groups};
use crate::engine::annotations::{Note, NotesAt};
use crate::engine::collide::Watch;
use crate::engine::labels::{Grouping, format_float, with_label};
use crate::engine::over_time;
use crate::engine::points::SeriesPoints;
use crate::engine::stream::Sink;
use crate::engine::vector::Vector;
use longhaul_model::{FloatHistogram, Labels};
use std::sync::Arc;

/// The groups of `quantile`: it holds its input, floats only.
#[derive(Debug)]
pub struct Quantile {
    groups: Groups<Vec<SeriesPoints>>,
    watch: Watch,
    held: Held,
    notes: NotesAt,
}

impl Quantile {
    /// No groups yet.
    pub fn new(held: Held, notes: NotesAt) -> Self {
        Self { groups: Groups::default(), watch: Watch::default(), held, notes }
    }

    /// The quantile `q[step]` of each group at each step.
    pub fn finish(self, q: &[f64]) -> Result<Vector, QueryError> {
        let (mut quantiles, mut values) = (Vector::new(self.held.budget()), Vec::new());
        for (labels, drop_name, members) in self.groups {
            let mut out = SeriesPoints { drop_name, ..SeriesPoints::empty(labels, q.len()) };
            for (step, q) in q.iter().enumerate() {
                quantiles.go_on(members.len())?;
                values.clear();
                values.extend(members.iter().filter(|m| m.present.get(step)).map(|m| m.values[step]));
                if !values.is_empty() {
                    out.set(step, over_time::quantile(*q, &mut values));
                }
            }
            quantiles.push(out)?;
        }
        Ok(quantiles)
    }
}

impl Sink for Quantile {
    type Item = Grouped;

    fn take(&mut self, Grouped { mut series, group }: Grouped) -> Result<(), QueryError> {
        self.watch.admit(&series, &mut self.held)?;
        if series.has_histograms() {
            self.notes.add(Note::IgnoredInAggregation(AggregateOp::Quantile));
            series.histograms = None;
            if series.is_empty() {
                return Ok(());
            }
        }
        self.held.grow(series.size_bytes())?;
        self.groups.entry(group, series.drop_name, Vec::new).push(series);
        Ok(())
    }
}

/// The groups of `count_values`: a series a value; what it holds is its result.
#[derive(Debug)]
pub struct CountValues {
    label: Arc<str>,
    grouping: Arc<Grouping>,
    groups: Groups<SeriesPoints>,
    watch: Watch,
    held: Held,
}

impl CountValues {
    /// No groups yet. The value becomes the label `label` of the series, before it is grouped.
    pub fn new(label: &str, grouping: Arc<Grouping>, held: Held) -> Self {
        Self { label: Arc::from(label), grouping, groups: Groups::default(), watch: Watch::default(), held }
    }

    /// The counts.
    pub fn finish(mut self) -> Result<Vector, QueryError> {
        let mut counted = Vector::new(self.held.budget());
        for (_, _, counts) in self.groups {
            self.held.shrink(counts.size_bytes()); // it goes over to the result
            counted.push(counts)?;
        }
        Ok(counted)
    }
}

impl Sink for CountValues {
    type Item = SeriesPoints;

    fn take(&mut self, series: SeriesPoints) -> Result<(), QueryError> {
        self.watch.admit(&series, &mut self.held)?;
        let steps = series.values.len();
        let group_of = |value: &str| self.grouping.of(&with_label(&series.labels, &self.label, value));
        let mut last = None; // values often stay as they are from step to step
        for (step, value) in series.points() {
            let group = match &last {
                Some((bits, group)) if *bits == value.to_bits() => group,
                _ => &last.insert((value.to_bits(), group_of(&format_float(value)))).1,
            };
            count(&mut self.groups, &mut self.held, group, step, steps)?;
        }
        let mut last: Option<(&Arc<FloatHistogram>, Labels)> = None;
        for (step, histogram) in series.histograms.iter().flat_map(|histograms| histograms.iter()) {
            let group = match &last {
                Some((before, group)) if Arc::ptr_eq(before, histogram) => group,
                _ => &last.insert((histogram, group_of(&histogram.to_string()))).1,
            };
            count(&mut self.groups, &mut self.held, group, step, steps)?;
        }
        Ok(())
    }
}

/// Counts a point of a group. A count is no longer what its name says, so that a name to be grouped by stays.
fn count(
    groups: &mut Groups<SeriesPoints>,
    held: &mut Held,
    group: &Labels,
    step: usize,
    steps: usize,
) -> Result<(), QueryError> {
    if !groups.contains(group) {
        held.grow(size_of::<SeriesPoints>() + group.size_bytes() + steps * 8)?;
    }
    let counts = groups.entry(group.clone(), false, || SeriesPoints::empty(group.clone(), steps));
    let before = if counts.present.get(step) { counts.values[step] } else { 0.0 };
    counts.set(step, before + 1.0);
    Ok(())
}
