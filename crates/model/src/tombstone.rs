//! What is deleted: the samples of some series in some range.

use crate::{Labels, Matcher, TimeRange};

/// Says that all samples of some series in some range are deleted. What it applies to is for whoever has it to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// A series is meant if it satisfies all of these.
    pub matchers: Vec<Matcher>,
    /// Which of its samples are deleted.
    pub range: TimeRange,
}

impl Tombstone {
    /// Whether the series with these labels is meant.
    pub fn is_about(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches(labels.get(&matcher.name).unwrap_or("")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MatchOp;

    #[test]
    fn a_missing_label_is_an_empty_one() {
        let not = Matcher::new("job", MatchOp::NotEqual, "a").unwrap();
        let tombstone = Tombstone { matchers: vec![Matcher::equal("__name__", "up"), not], range: TimeRange::ALL };
        assert!(tombstone.is_about(&Labels::from_pairs([("__name__", "up")])));
        assert!(tombstone.is_about(&Labels::from_pairs([("__name__", "up"), ("job", "b")])));
        assert!(!tombstone.is_about(&Labels::from_pairs([("__name__", "up"), ("job", "a")])));
        assert!(!tombstone.is_about(&Labels::from_pairs([("__name__", "down")])));
        assert!(Tombstone { matchers: vec![], range: TimeRange::ALL }.is_about(&Labels::empty()));
    }
}
