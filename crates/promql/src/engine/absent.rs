//! `absent` and `absent_over_time`: a series where there is none, with the labels that the selector asked for.

use crate::engine::QueryError;
use crate::engine::points::{Presence, SeriesPoints};
use crate::engine::stream::Sink;
use longhaul_model::{Labels, METRIC_NAME, MatchOp, Matcher};

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

/// The labels that a selector fixes: those with one equality and nothing else.
pub fn labels_of(matchers: &[Matcher]) -> Labels {
    let fixed = |matcher: &&Matcher| {
        matcher.name != METRIC_NAME
            && matcher.op == MatchOp::Equal
            && matchers.iter().filter(|other| other.name == matcher.name).count() == 1
    };
    Labels::from_pairs(matchers.iter().filter(fixed).map(|matcher| (matcher.name.as_str(), matcher.value.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_equalities_give_labels() {
        let regex = Matcher::new("c", MatchOp::Regex, "x").unwrap();
        let matchers = [
            Matcher::equal(METRIC_NAME, "up"),
            Matcher::equal("a", "1"),
            Matcher::equal("b", "1"),
            Matcher::equal("b", "2"),
            regex,
        ];
        assert_eq!(labels_of(&matchers).to_string(), r#"{a="1"}"#);
    }
}
