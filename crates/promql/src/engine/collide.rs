//! Series that have become equal: when names are dropped or labels rewritten, two series may end with the same labels.
//! They are one series then, if no step has both; else the query fails.

use crate::budget::Held;
use crate::engine::QueryError;
use crate::engine::points::{Identity, Presence, SeriesPoints};
use crate::engine::vector::Vector;
use longhaul_model::Labels;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Watches over series that pass by one at a time, without keeping their points.
#[derive(Debug, Default)]
pub struct Watch {
    seen: HashMap<Labels, Presence>,
}

impl Watch {
    /// Err if the series is one that has passed already, at some step of the same. `held` accounts for what is
    /// remembered.
    pub fn admit(&mut self, series: &SeriesPoints, held: &mut Held) -> Result<(), QueryError> {
        let Some(identity) = series.identity else { return Ok(()) };
        match self.seen.entry(series.labels.clone()) {
            Entry::Vacant(entry) => {
                let there = entry.insert(series.there().into_owned());
                held.grow(series.labels.size_bytes() + there.size_bytes())
            }
            Entry::Occupied(mut entry) => {
                let there = series.there();
                if identity == Identity::Refuse || entry.get().intersects(&there) {
                    return Err(QueryError::same_labels());
                }
                entry.get_mut().unite(&there);
                Ok(())
            }
        }
    }
}

/// Makes equal series one. The order is that of the first of each.
pub fn merge(mut vector: Vector) -> Result<Vector, QueryError> {
    let all = std::mem::take(&mut vector.series);
    let mut index: HashMap<Labels, usize> = HashMap::with_capacity(all.len());
    let mut merged: Vec<SeriesPoints> = Vec::with_capacity(all.len());
    for mut series in all {
        vector.go_on(series.labels.size_bytes())?;
        match index.entry(series.labels.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(merged.len());
                merged.push(series);
            }
            Entry::Occupied(entry) => {
                let into = &mut merged[*entry.get()];
                let refused = series.identity == Some(Identity::Refuse) || into.identity == Some(Identity::Refuse);
                if refused || into.there().intersects(&series.there()) {
                    return Err(QueryError::same_labels());
                }
                into.drop_name |= series.drop_name;
                join(into, &mut series);
            }
        }
    }
    merged.iter_mut().for_each(|series| series.identity = None);
    vector.series = merged;
    Ok(vector)
}

/// [`merge`] for series that may hold collisions only where they say so.
pub fn merge_marked(vector: Vector) -> Result<Vector, QueryError> {
    match vector.series.iter().any(|series| series.identity.is_some()) {
        true => merge(vector),
        false => Ok(vector),
    }
}

fn join(into: &mut SeriesPoints, from: &mut SeriesPoints) {
    for (step, value) in from.points() {
        into.values[step] = value;
    }
    into.present.unite(&from.present);
    for (step, histogram) in from.histograms.take().into_iter().flat_map(|histograms| *histograms) {
        into.set_histogram(step, histogram);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;

    fn series(steps: &[usize], identity: Identity) -> SeriesPoints {
        let mut series = SeriesPoints::empty(Labels::empty(), 4);
        steps.iter().for_each(|step| series.set(*step, *step as f64));
        series.identity = Some(identity);
        series
    }

    fn merge(all: Vec<SeriesPoints>) -> Result<Vec<SeriesPoints>, QueryError> {
        let mut vector = Vector::new(&Budget::unlimited());
        vector.series = all;
        super::merge(vector).map(|vector| vector.series)
    }

    #[test]
    fn disjoint_series_merge_and_others_fail() {
        let merged = merge(vec![series(&[0, 2], Identity::Merge), series(&[1], Identity::Merge)]).unwrap();
        assert_eq!(merged.len(), 1);
        assert_eq!(merged[0].points().collect::<Vec<_>>(), [(0, 0.0), (1, 1.0), (2, 2.0)]);
        assert!(merge(vec![series(&[0], Identity::Merge), series(&[0], Identity::Merge)]).is_err());
        assert!(merge(vec![series(&[0], Identity::Refuse), series(&[1], Identity::Refuse)]).is_err());
    }

    #[test]
    fn a_watch_sees_the_same() {
        let (mut watch, mut held) = (Watch::default(), Budget::unlimited().nothing_held());
        let mut admit = |steps: &[usize], identity| watch.admit(&series(steps, identity), &mut held);
        admit(&[0], Identity::Merge).unwrap();
        admit(&[1], Identity::Merge).unwrap();
        assert_eq!(admit(&[1], Identity::Merge), Err(QueryError::same_labels()));
        assert!(admit(&[2], Identity::Refuse).is_err());
    }
}
