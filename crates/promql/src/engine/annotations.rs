//! Warnings and infos that an evaluation leaves behind, rendered as Prometheus renders them: text, then line and column
//! of the expression. Operators on any thread add to one set. Notes of the same text are one, wherever they come from;
//! what is kept of them does not depend on the order in which they come.

use crate::Position;
use crate::ast::Span;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};

/// What can be worth a word.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// A quantile outside `[0, 1]`.
    InvalidQuantile(f64),
    /// A ratio of `limit_ratio` outside `[-1, 1]`, and what it was taken for.
    InvalidRatio(f64, f64),
    /// A bucket's bound cannot be read: the label's value and the metric's name.
    BadBucketLabel(String, String),
    /// `rate` of something not named like a counter.
    PossibleNonCounter(String),
    /// `sort` does nothing in a range query.
    SortInRangeQuery,
    /// Classic buckets did not rise; with the metric's name.
    ForcedMonotonicity(String),
    /// A sample counts since a time before the last sample, and since another one than that; with the metric's name.
    StartOverlap(String),
}

/// The notes of one query.
#[derive(Debug, Default)]
pub struct Annotations {
    /// By whether it is an info, and text.
    notes: Mutex<BTreeMap<(bool, String), Told>>,
    /// What the source had to say.
    warnings: Mutex<BTreeSet<String>>,
}

/// Where a note was made, and how often.
#[derive(Debug)]
struct Told {
    /// Byte offset in the query's text.
    at: u32,
    /// How often it was made, for notes that tell so; else 1.
    times: u64,
}

impl Annotations {
    /// Adds a note about the expression at `span`.
    pub fn add(&self, span: Span, note: Note) {
        self.add_times(span, note, 1);
    }

    /// Adds a note that was made so many times.
    pub fn add_times(&self, span: Span, note: Note, times: u64) {
        let (info, text) = note.text();
        let (at, counted) = (span.start, note.is_counted());
        let mut notes = self.notes.lock();
        let told = notes.entry((info, text)).or_insert(Told { at, times: 0 });
        // Of several places Prometheus shows the one that it came to last; where it counts, the first.
        told.at = if counted { told.at.min(at) } else { told.at.max(at) };
        told.times = if counted { told.times + times } else { 1 };
    }

    /// Adds a warning of the source's.
    pub fn warn(&self, text: String) {
        self.warnings.lock().insert(text);
    }

    /// Warnings and infos as texts with positions in the query's `text`.
    pub fn render(&self, text: &str) -> (Vec<String>, Vec<String>) {
        let (mut warnings, mut infos) = (Vec::from_iter(self.warnings.lock().iter().cloned()), Vec::new());
        for ((info, note), told) in self.notes.lock().iter() {
            let times = if told.times > 1 { format!(" ({} occurrences)", told.times) } else { String::new() };
            let place = Position::of(text, told.at).map_or_else(String::new, |place| format!(" ({place})"));
            if *info {
                infos.push(format!("PromQL info: {note}{times}{place}"));
            } else {
                warnings.push(format!("PromQL warning: {note}{times}{place}"));
            }
        }
        (warnings, infos)
    }
}

impl Note {
    /// Whether people are told how often it was made.
    fn is_counted(&self) -> bool {
        matches!(self, Self::StartOverlap(_))
    }

    /// Whether it is an info (else a warning), and its text.
    fn text(&self) -> (bool, String) {
        match self {
            Self::InvalidQuantile(q) => {
                (false, format!("quantile value should be between 0 and 1, got {}", general(*q)))
            }
            Self::InvalidRatio(asked, taken) => (
                false,
                format!(
                    "ratio value should be between -1 and 1, got {}, capping to {}",
                    general(*asked),
                    general(*taken)
                ),
            ),
            Self::BadBucketLabel(value, metric) => (
                false,
                format!("bucket label \"le\" is missing or has a malformed value of {value:?}{}", of_metric(metric)),
            ),
            Self::PossibleNonCounter(metric) => (
                true,
                format!("metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {metric:?}"),
            ),
            Self::SortInRangeQuery => {
                (false, "sort is ineffective for range queries since results are always ordered by labels".to_owned())
            }
            Self::ForcedMonotonicity(metric) => (
                true,
                format!(
                    "input to histogram_quantile needed to be fixed for monotonicity (see \
                     https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile){}",
                    of_metric(metric)
                ),
            ),
            Self::StartOverlap(metric) => (
                false,
                format!("sample has start time that overlaps with previous sample timestamp for metric {metric:?}"),
            ),
        }
    }
}

fn of_metric(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" for metric name {name:?}") }
}

/// A number as Go's `%g` writes it.
pub fn general(value: f64) -> String {
    let size = value.abs();
    if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else if value == 0.0 || value.is_nan() || (1e-4..1e21).contains(&size) {
        value.to_string()
    } else {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_unique_and_name_their_place() {
        let notes = Annotations::default();
        for _ in 0..2 {
            notes.add(Span { start: 8, end: 9 }, Note::InvalidQuantile(-0.5));
            notes.add(Span { start: 0, end: 9 }, Note::PossibleNonCounter("x".to_owned()));
        }
        let (warnings, infos) = notes.render("quantil\ne");
        assert_eq!(warnings, ["PromQL warning: quantile value should be between 0 and 1, got -0.5 (2:1)"]);
        assert_eq!(
            infos,
            [
                "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"x\" (1:1)"
            ]
        );
    }

    #[test]
    fn the_same_text_is_told_once_with_one_place() {
        let notes = Annotations::default();
        for at in [4, 0, 2] {
            let span = Span { start: at, end: 9 };
            notes.add(span, Note::SortInRangeQuery);
            notes.add_times(span, Note::StartOverlap("x".to_owned()), 3);
        }
        let (warnings, _) = notes.render("sort(x)");
        assert_eq!(
            warnings,
            [
                "PromQL warning: sample has start time that overlaps with previous sample timestamp for metric \"x\" (9 \
                 occurrences) (1:1)",
                "PromQL warning: sort is ineffective for range queries since results are always ordered by labels (1:5)"
            ]
        );
    }

    #[test]
    fn numbers_as_go_writes_them() {
        let cases = [(0.5, "0.5"), (1e21, "1e+21"), (1e-5, "1e-05"), (f64::INFINITY, "+Inf"), (f64::NAN, "NaN")];
        for (value, text) in cases {
            assert_eq!(general(value), text);
        }
    }
}
