//! `absent` and `absent_over_time`: a series where there is none, with the labels that the selector asked for.

use crate::engine::QueryError;
use crate::engine::points::{Presence, SeriesPoints};
use crate::engine::stream::Sink;
use longhaul_model::{Labels, METRIC_NAME, MatchOp, Matcher};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// The steps at which anything was there.
#[derive(Debug)]
pub struct Absent {
    there: Presence,
}

impl Absent {
    /// Nothing yet.
    pub fn new(steps: usize) -> Self {
        Self { there: Presence::none(steps) }
    }

    /// 1 at every other step.
    pub fn finish(self, labels: Labels) -> Vec<SeriesPoints> {
        let steps = self.there.steps();
        let mut present = Presence::all(steps);
        present.subtract(&self.there);
        if present.is_none() { Vec::new() } else { vec![SeriesPoints::new(labels, vec![1.0; steps], present)] }
    }
}

impl Sink for Absent {
    type Item = Presence;

    fn take(&mut self, present: Presence) -> Result<(), QueryError> {
        self.there.unite(&present);
        Ok(())
    }
}

/// The labels that a selector fixes: those with an equality and nothing behind it (Prometheus `promql/functions.go`,
/// `createLabelsForAbsentFunction`).
pub fn labels_of(matchers: &[Matcher]) -> Labels {
    let mut fixed: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    for matcher in matchers.iter().filter(|matcher| matcher.name != METRIC_NAME) {
        match fixed.entry(&matcher.name) {
            Entry::Occupied(mut entry) => *entry.get_mut() = None,
            Entry::Vacant(entry) if matcher.op == MatchOp::Equal => {
                entry.insert(Some(&matcher.value));
            }
            Entry::Vacant(_) => {}
        }
    }
    Labels::from_pairs(fixed.into_iter().filter_map(|(name, value)| Some((name, value?))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equalities_give_labels_unless_more_is_said_behind_them() {
        let regex = |name: &str| Matcher::new(name, MatchOp::Regex, "x").unwrap();
        let matchers = [
            Matcher::equal(METRIC_NAME, "up"),
            Matcher::equal("a", "1"),
            Matcher::equal("b", "1"),
            Matcher::equal("b", "2"),
            regex("c"),
            regex("d"),
            Matcher::equal("d", "1"),
            Matcher::equal("e", "1"),
            regex("e"),
        ];
        assert_eq!(labels_of(&matchers).to_string(), r#"{a="1", d="1"}"#);
    }
}
