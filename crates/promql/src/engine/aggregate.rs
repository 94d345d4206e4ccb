//! The aggregations that fold: sum, min, max, avg, count, group, stddev, stdvar. A series is added to its group's
//! columns, step by step, and forgotten. Sums and means of histograms lie beside (`histogram_fold.rs`), count and group
//! count them, the others pass them over.

use crate::ast::AggregateOp;
use crate::budget::Held;
use crate::engine::QueryError;
use crate::engine::annotations::{Note, NotesAt};
use crate::engine::collide::Watch;
use crate::engine::histogram_fold::{Figure, HistogramFold};
use crate::engine::labels::Grouping;
use crate::engine::points::{Presence, SeriesPoints};
use crate::engine::stream::Sink;
use crate::engine::vector::Vector;
use foldhash::fast::RandomState;
use longhaul_model::Labels;
use longhaul_model::kahan::{Mean, Sum};
use std::collections::HashMap;

/// A series with the labels of its group, which a thread has computed beforehand.
#[derive(Debug)]
pub struct Grouped {
    /// The series.
    pub series: SeriesPoints,
    /// Its group.
    pub group: Labels,
}

impl Grouped {
    /// Finds a series' group.
    pub fn new(series: SeriesPoints, grouping: &Grouping) -> Self {
        Self { group: grouping.of(&series.labels), series }
    }
}

/// The groups of a folding aggregation.
#[derive(Debug)]
pub struct Fold {
    op: AggregateOp,
    steps: usize,
    groups: Groups<Group>,
    watch: Watch,
    held: Held,
    notes: NotesAt,
}

#[derive(Debug)]
struct Group {
    present: Presence,
    columns: Columns,
    histograms: Option<Box<HistogramFold>>,
}

/// The running figures of a group, one a step.
#[derive(Debug)]
enum Columns {
    Sum { sums: Vec<f64>, lost: Vec<f64> },
    Extreme(Vec<f64>),
    Count(Vec<f64>),
    Mean(Vec<Mean>),
    Variance(Vec<Variance>),
    Group,
}

impl Fold {
    /// No groups yet. `op` must be one of those that fold.
    pub fn new(op: AggregateOp, steps: usize, held: Held, notes: NotesAt) -> Self {
        Self { op, steps, groups: Groups::default(), watch: Watch::default(), held, notes }
    }

    /// The groups' results, in the order in which they came up.
    pub fn finish(mut self) -> Result<Vector, QueryError> {
        let (op, notes) = (self.op, &self.notes);
        let mut results = Vector::new(self.held.budget());
        for (labels, drop_name, group) in self.groups {
            let series = group.finish(op, labels, drop_name, notes);
            // What the group was has gone over to its result.
            self.held.shrink(group_bytes(&series.labels, self.steps, op));
            if !series.is_empty() {
                results.push(series)?;
            }
        }
        Ok(results)
    }
}

impl Sink for Fold {
    type Item = Grouped;

    fn take(&mut self, Grouped { series, group }: Grouped) -> Result<(), QueryError> {
        self.watch.admit(&series, &mut self.held)?;
        let (op, steps) = (self.op, self.steps);
        if !self.groups.contains(&group) {
            self.held.grow(group_bytes(&group, steps, op))?;
        }
        let grown = self.groups.entry(group, series.drop_name, || Group::new(op, steps)).add(op, series, &self.notes);
        if grown > 0 {
            self.held.grow(grown)?;
        }
        Ok(())
    }
}

/// What a group holds, histograms apart.
fn group_bytes(labels: &Labels, steps: usize, op: AggregateOp) -> usize {
    let a_step = match op {
        AggregateOp::Sum => 16,
        AggregateOp::Avg => size_of::<Mean>(),
        AggregateOp::Stddev | AggregateOp::Stdvar => size_of::<Variance>(),
        _ => 8,
    };
    size_of::<Group>() + labels.size_bytes() + steps * a_step
}

impl Group {
    fn new(op: AggregateOp, steps: usize) -> Self {
        let columns = match op {
            AggregateOp::Sum => Columns::Sum { sums: vec![-0.0; steps], lost: vec![0.0; steps] },
            AggregateOp::Min | AggregateOp::Max => Columns::Extreme(vec![f64::NAN; steps]),
            AggregateOp::Count => Columns::Count(vec![0.0; steps]),
            AggregateOp::Avg => Columns::Mean(vec![Mean::default(); steps]),
            AggregateOp::Stddev | AggregateOp::Stdvar => Columns::Variance(vec![Variance::default(); steps]),
            _ => Columns::Group,
        };
        Self { present: Presence::none(steps), columns, histograms: None }
    }

    /// Adds a series; returns how many bytes more are held now.
    fn add(&mut self, op: AggregateOp, mut series: SeriesPoints, notes: &NotesAt) -> usize {
        if let Some(histograms) = &self.histograms {
            series.present.subtract(histograms.incompatible());
        }
        self.add_floats(op, &series);
        if series.has_histograms() { self.add_histograms(op, &series, notes) } else { 0 }
    }

    fn add_histograms(&mut self, op: AggregateOp, series: &SeriesPoints, notes: &NotesAt) -> usize {
        let steps = self.present.steps();
        let figure = match op {
            AggregateOp::Sum => Figure::Sum,
            AggregateOp::Avg => Figure::Mean,
            AggregateOp::Count | AggregateOp::Group => {
                let there = series.there();
                if let Columns::Count(counts) = &mut self.columns {
                    there.iter().filter(|step| !series.present.get(*step)).for_each(|step| counts[step] += 1.0);
                }
                self.present.unite(&there);
                return 0;
            }
            _ => {
                notes.add(Note::IgnoredInAggregation(op));
                return 0;
            }
        };
        let mut grown = 0;
        let histograms = self.histograms.get_or_insert_with(|| {
            grown += steps * size_of::<usize>();
            Box::new(HistogramFold::new(figure, steps))
        });
        grown + histograms.add(series, &self.present, notes)
    }

    fn add_floats(&mut self, op: AggregateOp, series: &SeriesPoints) {
        self.present.unite(&series.present);
        match &mut self.columns {
            Columns::Sum { sums, lost } if series.present.is_all() => {
                for ((sum, lost), value) in sums.iter_mut().zip(lost).zip(&series.values) {
                    Sum { sum: *sum, lost: *lost }.plus(*value).store(sum, lost);
                }
            }
            Columns::Sum { sums, lost } => {
                for (step, value) in series.points() {
                    let (sum, lost) = (&mut sums[step], &mut lost[step]);
                    Sum { sum: *sum, lost: *lost }.plus(value).store(sum, lost);
                }
            }
            // A NaN gives way to anything, so that it can stand for "nothing yet".
            Columns::Extreme(best) if op == AggregateOp::Max => {
                for_each(best, series, |best, value| {
                    if *best < value || best.is_nan() {
                        *best = value;
                    }
                });
            }
            Columns::Extreme(best) => for_each(best, series, |best, value| {
                if *best > value || best.is_nan() {
                    *best = value;
                }
            }),
            Columns::Count(counts) => for_each(counts, series, |count, _| *count += 1.0),
            Columns::Mean(means) => for_each(means, series, |mean, value| *mean = mean.plus(value)),
            Columns::Variance(all) => for_each(all, series, |variance, value| variance.add(value)),
            Columns::Group => {}
        }
    }

    fn finish(mut self, op: AggregateOp, labels: Labels, drop_name: bool, notes: &NotesAt) -> SeriesPoints {
        let histograms = self.histograms.map(|fold| fold.finish(&mut self.present, notes)).unwrap_or_default();
        let steps = |values: Vec<Variance>, figure: fn(Variance) -> f64| values.into_iter().map(figure).collect();
        let values = match self.columns {
            Columns::Sum { sums, lost } => {
                sums.into_iter().zip(lost).map(|(sum, lost)| Sum { sum, lost }.total()).collect()
            }
            Columns::Extreme(values) | Columns::Count(values) => values,
            Columns::Mean(means) => means.into_iter().map(Mean::value).collect(),
            Columns::Variance(all) if op == AggregateOp::Stddev => steps(all, |v| v.value().sqrt()),
            Columns::Variance(all) => steps(all, Variance::value),
            Columns::Group => vec![1.0; self.present.steps()],
        };
        let mut series = SeriesPoints { drop_name, ..SeriesPoints::new(labels, values, self.present) };
        histograms.into_iter().for_each(|(step, histogram)| series.set_histogram(step, histogram));
        series
    }
}

#[inline(always)]
fn for_each<T>(columns: &mut [T], series: &SeriesPoints, mut add: impl FnMut(&mut T, f64)) {
    if series.present.is_all() {
        columns.iter_mut().zip(&series.values).for_each(|(column, value)| add(column, *value));
    } else {
        series.points().for_each(|(step, value)| add(&mut columns[step], value));
    }
}

/// A running variance (Welford).
#[derive(Clone, Copy, Debug, Default)]
struct Variance {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Variance {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        if self.count == 1.0 {
            // An infinity has no distance to its mean.
            (self.mean, self.squares) = (value, if value.is_finite() { 0.0 } else { f64::NAN });
            return;
        }
        let before = value - self.mean;
        self.mean += before / self.count;
        self.squares += before * (value - self.mean);
    }

    fn value(self) -> f64 {
        self.squares / self.count
    }
}

/// Groups by their labels, in the order in which they came up.
#[derive(Debug)]
pub struct Groups<G> {
    index: HashMap<Labels, usize, RandomState>,
    groups: Vec<(Labels, bool, G)>,
}

impl<G> Default for Groups<G> {
    fn default() -> Self {
        Self { index: HashMap::default(), groups: Vec::new() }
    }
}

impl<G> Groups<G> {
    /// Whether there is a group of these labels.
    pub fn contains(&self, labels: &Labels) -> bool {
        self.index.contains_key(labels)
    }

    /// The group of these labels.
    pub fn get(&self, labels: &Labels) -> Option<&G> {
        Some(&self.groups[*self.index.get(labels)?].2)
    }

    /// The group of these labels, to be changed.
    pub fn get_mut(&mut self, labels: &Labels) -> Option<&mut G> {
        Some(&mut self.groups[*self.index.get(labels)?].2)
    }

    /// The group of these labels, made if it is new. Its name is to be dropped as soon as one of its members' is.
    pub fn entry(&mut self, labels: Labels, drop_name: bool, make: impl FnOnce() -> G) -> &mut G {
        let at = match self.index.get(&labels) {
            Some(at) => *at,
            None => {
                self.index.insert(labels.clone(), self.groups.len());
                self.groups.push((labels, false, make()));
                self.groups.len() - 1
            }
        };
        let (_, drops, group) = &mut self.groups[at];
        *drops |= drop_name;
        group
    }
}

impl<G> IntoIterator for Groups<G> {
    type Item = (Labels, bool, G);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.groups.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;

    fn held() -> Held {
        Budget::unlimited().hold(0).unwrap()
    }

    fn fold(op: AggregateOp, rows: &[&[Option<f64>]]) -> Vec<Option<f64>> {
        let steps = rows[0].len();
        let mut fold = Fold::new(op, steps, held(), NotesAt::default());
        for row in rows {
            let mut series = SeriesPoints::empty(Labels::empty(), steps);
            row.iter().enumerate().for_each(|(step, v)| {
                if let Some(v) = v {
                    series.set(step, *v)
                }
            });
            fold.take(Grouped { series, group: Labels::empty() }).unwrap();
        }
        let result = fold.finish().unwrap().series.remove(0);
        (0..steps).map(|step| result.present.get(step).then_some(result.values[step])).collect()
    }

    #[test]
    fn folds() {
        let rows: [&[Option<f64>]; 3] =
            [&[Some(1.0), None, Some(1e100)], &[Some(2.0), None, Some(1.0)], &[Some(6.0), None, Some(-1e100)]];
        assert_eq!(fold(AggregateOp::Sum, &rows), [Some(9.0), None, Some(1.0)]);
        assert_eq!(fold(AggregateOp::Avg, &rows), [Some(3.0), None, Some(1.0 / 3.0)]);
        assert_eq!(fold(AggregateOp::Min, &rows), [Some(1.0), None, Some(-1e100)]);
        assert_eq!(fold(AggregateOp::Max, &rows), [Some(6.0), None, Some(1e100)]);
        assert_eq!(fold(AggregateOp::Count, &rows), [Some(3.0), None, Some(3.0)]);
        assert_eq!(fold(AggregateOp::Group, &rows), [Some(1.0), None, Some(1.0)]);
        assert_eq!(fold(AggregateOp::Stdvar, &rows)[0], Some(14.0 / 3.0));
    }

    #[test]
    fn extremes_pass_over_nan_and_infinities_have_no_variance() {
        let nan: [&[Option<f64>]; 3] = [&[Some(f64::NAN)], &[Some(2.0)], &[Some(f64::NAN)]];
        assert_eq!(fold(AggregateOp::Min, &nan), [Some(2.0)]);
        assert_eq!(fold(AggregateOp::Max, &nan), [Some(2.0)]);
        assert!(fold(AggregateOp::Max, &nan[..1])[0].unwrap().is_nan());
        assert!(fold(AggregateOp::Stddev, &[&[Some(f64::INFINITY)]])[0].unwrap().is_nan());
    }
}
