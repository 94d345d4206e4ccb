//! Warnings and infos that an evaluation leaves behind, rendered as Prometheus renders them: text, then line and column
//! of the expression. Operators on any thread add to one set. Notes of the same text are one, wherever they come from;
//! what is kept of them does not depend on the order in which they come.

use crate::Position;
use crate::ast::Span;
use crate::engine::classic_buckets::Falls;
use crate::engine::dates::rfc3339;
use crate::engine::note::two_digits;
use crate::literal::format_general;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use crate::engine::note::{Note, Operation};

/// The most warnings that are kept, and the most infos; the first by text. A parameter that changes with every step could
/// make millions, and nobody is told more than a few.
const NOTES_MAX: usize = 1000;

/// The notes of one query.
#[derive(Debug, Default)]
pub struct Annotations {
    /// Warnings and infos by text.
    notes: Mutex<[BTreeMap<String, Told>; 2]>,
    /// What the source had to say.
    warnings: Mutex<BTreeSet<String>>,
}

/// Where a note was made, and how often.
#[derive(Debug)]
struct Told {
    /// Which expression it is about.
    at: Span,
    /// How often it was made, for notes that tell so; else 1.
    times: u64,
    /// Where and when buckets fell, for notes that tell so.
    falls: Option<AllFalls>,
}

/// All falls of buckets that one note tells of.
#[derive(Clone, Copy, Debug)]
struct AllFalls {
    falls: Falls,
    first_ms: i64,
    last_ms: i64,
}

/// The notes about one expression.
#[derive(Clone, Debug, Default)]
pub struct NotesAt {
    notes: Arc<Annotations>,
    span: Span,
}

/// Notes that a loop makes: each once, to be told when it ends.
#[derive(Debug, Default)]
pub struct Said(Vec<Note>);

impl Annotations {
    /// Adds a note about the expression at `span`.
    pub fn add(&self, span: Span, note: Note) {
        self.add_times(span, note, 1);
    }

    /// Adds a note that was made so many times.
    pub fn add_times(&self, span: Span, note: Note, times: u64) {
        let (kind, text) = (usize::from(note.is_info()), note.to_string());
        let (counted, falls) = (note.is_counted(), AllFalls::of(&note));
        let notes = &mut self.notes.lock()[kind];
        let told = notes.entry(text).or_insert(Told { at: span, times: 0, falls });
        told.falls = told.falls.zip(falls).map(|(before, more)| before.and(more));
        // Of several places Prometheus shows the one that it came to last; where it counts, the first. It comes to an
        // expression after those inside it.
        if (order(span) > order(told.at)) != counted {
            told.at = span;
        }
        told.times = if counted { told.times + times } else { 1 };
        // What goes has enough before it for good: what is left does not depend on the order in which notes come.
        if notes.len() > NOTES_MAX {
            notes.pop_last();
        }
    }

    /// Adds a warning of the source's.
    pub fn warn(&self, text: String) {
        self.warnings.lock().insert(text);
    }

    /// Warnings and infos as texts with positions in the query's `text`.
    pub fn render(&self, text: &str) -> (Vec<String>, Vec<String>) {
        let rendered = |heading: &str, (note, told): (&String, &Told)| {
            let times = match &told.falls {
                Some(falls) => falls.text(told.times),
                None if told.times > 1 => format!(" ({} occurrences)", told.times),
                None => String::new(),
            };
            let place = Position::of(text, told.at.start).map_or_else(String::new, |place| format!(" ({place})"));
            format!("{heading}: {note}{times}{place}")
        };
        let [own, infos] = &*self.notes.lock();
        let mut warnings = Vec::from_iter(self.warnings.lock().iter().cloned());
        warnings.extend(own.iter().map(|note| rendered("PromQL warning", note)));
        (warnings, infos.iter().map(|note| rendered("PromQL info", note)).collect())
    }
}

/// Rises in the order in which expressions are evaluated.
fn order(span: Span) -> (u32, std::cmp::Reverse<u32>) {
    (span.end, std::cmp::Reverse(span.start))
}

impl NotesAt {
    /// For notes about the expression at `span`.
    pub fn new(notes: &Arc<Annotations>, span: Span) -> Self {
        Self { notes: Arc::clone(notes), span }
    }

    /// Adds one.
    pub fn add(&self, note: Note) {
        self.notes.add(self.span, note);
    }

    /// Adds what a loop had to say.
    pub fn add_all(&self, said: Said) {
        said.tell(&self.notes, self.span);
    }
}

impl Said {
    /// Adds a note, unless it is there already.
    pub fn add(&mut self, note: Note) {
        if !self.0.contains(&note) {
            self.0.push(note);
        }
    }

    /// Adds a note if there is one.
    pub fn extend(&mut self, note: Option<Note>) {
        note.into_iter().for_each(|note| self.add(note));
    }

    /// Adds those of `other`.
    pub fn append(&mut self, other: Self) {
        other.0.into_iter().for_each(|note| self.add(note));
    }

    /// All of them.
    #[cfg(test)]
    pub fn notes(&self) -> &[Note] {
        &self.0
    }

    /// Tells all of them about the expression at `span`.
    pub fn tell(self, notes: &Annotations, span: Span) {
        self.0.into_iter().for_each(|note| notes.add(span, note));
    }
}

impl AllFalls {
    fn of(note: &Note) -> Option<Self> {
        match note {
            Note::ForcedMonotonicity { falls, t_ms, .. } => {
                Some(Self { falls: *falls, first_ms: *t_ms, last_ms: *t_ms })
            }
            _ => None,
        }
    }

    fn and(self, more: Self) -> Self {
        Self {
            falls: Falls {
                from: self.falls.from.min(more.falls.from),
                to: self.falls.to.max(more.falls.to),
                difference_max: self.falls.difference_max.max(more.falls.difference_max),
            },
            first_ms: self.first_ms.min(more.first_ms),
            last_ms: self.last_ms.max(more.last_ms),
        }
    }

    fn text(&self, times: u64) -> String {
        let Falls { from, to, difference_max } = self.falls;
        format!(
            ", from buckets {} to {}, with a max diff of {}, over {times} samples from {} to {}",
            format_general(from),
            format_general(to),
            two_digits(difference_max),
            rfc3339(self.first_ms),
            rfc3339(self.last_ms)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_bounded_whatever_their_order() {
        let warnings = |numbers: &mut dyn Iterator<Item = usize>| {
            let notes = Annotations::default();
            numbers.for_each(|number| notes.add(Span::default(), Note::InvalidQuantile(2.0 + number as f64)));
            notes.render("x").0
        };
        let rising = warnings(&mut (0..2 * NOTES_MAX));
        assert_eq!(rising.len(), NOTES_MAX);
        assert_eq!(warnings(&mut (0..2 * NOTES_MAX).rev()), rising);
    }

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
        // The second stands right of the first, the third around the second.
        for (start, end) in [(0, 2), (5, 6), (4, 6)] {
            let span = Span { start, end };
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
}
