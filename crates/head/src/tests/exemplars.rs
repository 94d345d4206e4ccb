//! Exemplars by hand: a set, whatever order it comes in; over cuts and their ends; what they keep from going.

use super::*;
use crate::Verdict;
use longhaul_model::{Exemplar, Matcher};

fn exemplar(t_ms: i64, trace: &str) -> Exemplar {
    Exemplar { t_ms, value: 0.25, labels: Labels::from_pairs([("trace_id", trace)]) }
}

fn held(head: &Head, range: TimeRange) -> Vec<(String, i64)> {
    let all = head.exemplars(&[], range);
    all.iter().map(|(series, it)| (series.metric_name().to_owned(), it.t_ms)).collect()
}

fn of(names: &[(&str, i64)]) -> Vec<(String, i64)> {
    names.iter().map(|(name, t_ms)| ((*name).to_owned(), *t_ms)).collect()
}

#[test]
fn they_are_a_set_in_order() {
    let head = small_head();
    let (up, down) = (get_or_create(&head, &[("__name__", "up")]), get_or_create(&head, &[("__name__", "down")]));
    for (series, t_ms) in [(&up, 30), (&up, 10), (&down, 20), (&up, 10)] {
        let is_new = held(&head, TimeRange::ALL).len() < 3;
        let expected = if is_new { Verdict::Stored } else { Verdict::Duplicate };
        assert_eq!(head.apply_exemplar(series, exemplar(t_ms, "a"), 1), expected);
    }
    assert_eq!(head.apply_exemplar(&up, exemplar(10, "b"), 1), Verdict::Stored, "another trace at the same time");
    assert_eq!(held(&head, TimeRange::ALL), of(&[("down", 20), ("up", 10), ("up", 10), ("up", 30)]));
    assert_eq!(held(&head, TimeRange::new(20, 30)), of(&[("down", 20)]));
    assert_eq!(head.exemplars(&[Matcher::equal("__name__", "up")], TimeRange::ALL).len(), 3);
    assert_eq!((head.stats().exemplars, head.stats().samples), (4, 0));
    assert!(head.stats().chunk_bytes > 4 * size_of::<Exemplar>());
}

/// I-CUT-1, I-COVER-1
#[test]
fn cuts_take_them_and_what_is_left_pins_the_log() {
    let head = small_head();
    let up = get_or_create(&head, &[("__name__", "up")]);
    head.apply(&up, sample(1500, 1.0), 3, &());
    head.apply_exemplar(&up, exemplar(500, "a"), 4);
    head.apply_exemplar(&up, exemplar(1500, "b"), 5);
    let states: Vec<_> = head.ranges().iter().map(|it| (it.samples, it.exemplars, it.first_offset)).collect();
    assert_eq!(states, [(0, 1, 4), (1, 1, 3)]);

    let first = head.cut(TimeRange::new(0, 1000), 5).unwrap();
    assert_eq!((first.from(), first.samples(), first.series().count(), first.exemplars().len()), (3, 0, 0, 1));
    assert!(head.cut(TimeRange::new(0, 1000), 5).is_none(), "it is in a cut");
    assert_eq!(head.apply_exemplar(&up, exemplar(500, "a"), 6), Verdict::Duplicate);
    assert_eq!(head.apply_exemplar(&up, exemplar(501, "a"), 7), Verdict::Stored);
    assert_eq!(held(&head, TimeRange::ALL).len(), 3, "a cut is readable until it is released");
    head.abandon(&first);
    assert!(first.exemplars().is_empty());
    let again = head.cut(TimeRange::new(0, 1000), 7).unwrap();
    assert_eq!(again.exemplars().len(), 2);
    head.release(&again);
    assert_eq!(held(&head, TimeRange::ALL), of(&[("up", 1500)]));
    assert_eq!(head.ranges().iter().map(|it| it.first_offset).collect::<Vec<_>>(), [3]);

    drop(head.cut(TimeRange::new(1000, 2000), 7).unwrap());
    let last = head.cut(TimeRange::new(1000, 2000), 7).unwrap();
    assert_eq!((last.samples(), last.exemplars().len()), (1, 1), "a view that was dropped has been abandoned");
    head.release(&last);
    drop(last);
    assert!(head.ranges().is_empty());
    assert_eq!((head.stats().exemplars, head.stats().chunk_bytes), (0, 0));
}

#[test]
fn a_series_stays_while_it_has_some() {
    let head = small_head();
    let up = get_or_create(&head, &[("__name__", "up")]);
    head.apply_exemplar(&up, exemplar(500, "a"), 1);
    drop(up);
    assert_eq!(head.evict_idle(i64::MAX), 0);
    let view = head.cut(TimeRange::new(0, 1000), 1).unwrap();
    head.release(&view);
    drop(view);
    assert_eq!(head.evict_idle(i64::MAX), 1);
}

#[test]
fn logged_again_they_count_from_there() {
    let head = small_head();
    let up = get_or_create(&head, &[("__name__", "up")]);
    head.apply_exemplar(&up, exemplar(500, "a"), 1);
    let view = head.cut(TimeRange::new(0, 1000), 1).unwrap();
    head.logged_again(&view, 9);
    assert_eq!(head.ranges().iter().map(|it| (it.exemplars, it.first_offset)).collect::<Vec<_>>(), [(1, 9)]);
    assert_eq!(held(&head, TimeRange::ALL).len(), 1);
}
