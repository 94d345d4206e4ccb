//! One rule a test.

use super::*;
use crate::{HeadError, RangeState, Verdict};
use longhaul_model::{Matcher, STALE_NAN_BITS};

const ALL: TimeRange = TimeRange::ALL;

fn first_range() -> TimeRange {
    TimeRange::new(0, RANGE_MS)
}

#[test]
fn the_same_bits_again_are_success_and_others_are_refused() {
    let head = small_head();
    let series = get_or_create(&head, &[("__name__", "up")]);
    for t_ms in 0..40 {
        assert_eq!(head.apply(&series, sample(t_ms * 10, t_ms as f64), 1, &()), Verdict::Stored);
    }
    for t_ms in 0..40 {
        assert_eq!(head.apply(&series, sample(t_ms * 10, t_ms as f64), 2, &()), Verdict::Duplicate);
        assert_eq!(head.apply(&series, sample(t_ms * 10, -1.0), 2, &()), Verdict::Conflict);
    }
    assert_eq!(head.apply(&series, sample(0, -0.0), 3, &()), Verdict::Conflict, "zeros differ in their bits");
    let stale = f64::from_bits(STALE_NAN_BITS);
    assert_eq!(head.apply(&series, sample(1000, stale), 4, &()), Verdict::Stored);
    assert_eq!(head.apply(&series, sample(1000, stale), 5, &()), Verdict::Duplicate);
    assert_eq!(head.apply(&series, sample(1000, f64::NAN), 6, &()), Verdict::Conflict);
    let read = decode(&head.select(&[], ALL)[0], ALL);
    assert_eq!(read.len(), 41);
    assert_eq!(read[40], (1000, STALE_NAN_BITS));
}

#[test]
fn no_chunk_crosses_a_range_or_grows_beyond_its_limit() {
    let head = small_head();
    let series = get_or_create(&head, &[("__name__", "up")]);
    let times = (0..3000).step_by(90).chain((45..3000).rev().step_by(90));
    times.for_each(|t_ms| assert_eq!(head.apply(&series, sample(t_ms, 0.5), 1, &()), Verdict::Stored));
    let chunks = &head.select(&[], ALL)[0].chunks;
    assert_eq!(chunks.iter().map(|it| longhaul_chunk::sample_count(it).unwrap()).sum::<u16>(), 67);
    let view = head.cut(TimeRange::new(0, 3000), 1).unwrap();
    for series in view.series() {
        assert!(series.chunks.is_sorted_by(|a, b| a.max_ms < b.min_ms));
        for chunk in &series.chunks {
            assert!(longhaul_chunk::sample_count(chunk).unwrap() <= 7);
            assert_eq!(chunk.min_ms.div_euclid(RANGE_MS), chunk.max_ms.div_euclid(RANGE_MS), "{chunk:?}");
        }
    }
}

#[test]
fn first_offsets_follow_cut_abandon_and_release() {
    let head = small_head();
    let series = get_or_create(&head, &[("__name__", "up")]);
    let state = |range: TimeRange, samples, cutting_samples, first_offset| {
        let found = head.ranges().into_iter().find(|it| it.range == range);
        let found = found.map(|it| RangeState { chunk_bytes: 0, ..it });
        let expected = RangeState { range, samples, exemplars: 0, cutting_samples, first_offset, chunk_bytes: 0 };
        assert_eq!(found, Some(expected));
    };
    let second = TimeRange::new(RANGE_MS, 2 * RANGE_MS);
    head.apply(&series, sample(10, 1.0), 3, &());
    head.apply(&series, sample(20, 1.0), 4, &());
    head.apply(&series, sample(1010, 1.0), 5, &());
    state(first_range(), 2, 0, 3);
    state(second, 1, 0, 5);
    assert!(head.cut(TimeRange::new(5000, 6000), 5).is_none());

    let view = head.cut(first_range(), 5).unwrap();
    assert_eq!((view.from(), view.through(), view.samples(), view.series_count()), (2, 5, 2, 1));
    head.apply(&series, sample(15, 1.0), 6, &());
    state(first_range(), 1, 2, 3);
    head.abandon(&view);
    drop(view);
    state(first_range(), 3, 0, 3);

    let view = head.cut(TimeRange::new(0, 2 * RANGE_MS), 6).unwrap();
    assert_eq!((view.from(), view.samples()), (2, 4));
    head.apply(&series, sample(16, 1.0), 7, &());
    let later = head.cut(first_range(), 7).unwrap();
    assert_eq!((later.from(), later.samples()), (6, 1));
    head.release(&view);
    drop(view);
    state(first_range(), 0, 1, 7);
    assert_eq!(head.ranges().len(), 1);
    head.release(&later);
    assert_eq!(head.ranges(), []);
    assert!(head.stats().chunk_bytes > 0, "the view is still held");
    drop(later);
    assert_eq!(head.stats().chunk_bytes, 0);
    assert_eq!((head.stats().samples, head.stats().min_ms, head.stats().max_ms), (0, i64::MAX, i64::MIN));
}

#[test]
fn a_view_dropped_without_a_decision_is_taken_back_by_the_next_cut() {
    let head = small_head();
    let series = get_or_create(&head, &[("__name__", "up")]);
    head.apply(&series, sample(10, 1.0), 3, &());
    drop(head.cut(first_range(), 3));
    assert_eq!(head.ranges()[0].first_offset, 3);
    head.apply(&series, sample(20, 1.0), 4, &());
    let view = head.cut(first_range(), 4).unwrap();
    assert_eq!((view.from(), view.samples()), (2, 2));
}

#[test]
fn what_came_late_is_known_again_when_nothing_is_open() {
    let head = small_head();
    let series = get_or_create(&head, &[("__name__", "up")]);
    head.apply(&series, sample(500, 1.0), 1, &());
    let view = head.cut(first_range(), 1).unwrap();
    for (value, verdict) in [(2.0, Verdict::Stored), (2.0, Verdict::Duplicate), (3.0, Verdict::Conflict)] {
        assert_eq!(head.apply(&series, sample(400, value), 2, &()), verdict);
    }
    drop(view);
}

#[test]
fn parts_are_asked_where_the_series_could_have_had_a_sample() {
    let head = small_head();
    let parts = Parts::default();
    let series = get_or_create(&head, &[("__name__", "up")]);
    (0..10).for_each(|i| assert_eq!(head.apply(&series, sample(i * 10, 1.0), 1, &parts), Verdict::Stored));
    let view = head.cut(first_range(), 1).unwrap();
    parts.add(view.series());
    head.release(&view);
    drop(view);
    assert_eq!(head.apply(&series, sample(50, 1.0), 2, &parts), Verdict::DuplicateOfOlder);
    assert_eq!(head.apply(&series, sample(50, 2.0), 2, &parts), Verdict::Conflict);
    assert_eq!(head.apply(&series, sample(55, 2.0), 2, &parts), Verdict::Stored);
    // A head that was started anew has the parts only: what the series had is not known to it.
    let head = small_head();
    let series = get_or_create(&head, &[("__name__", "up")]);
    assert_eq!(head.apply(&series, sample(55, 1.0), 3, &parts), Verdict::Stored);
    assert_eq!(head.apply(&series, sample(60, 1.0), 3, &parts), Verdict::DuplicateOfOlder);
    assert_eq!(head.apply(&series, sample(70, 2.0), 3, &parts), Verdict::Conflict);
    assert_eq!(head.apply(&series, sample(95, 2.0), 3, &parts), Verdict::Stored);
    // What is older than the machine remembers: the later offset wins.
    assert_eq!(head.apply(&series, sample(20, 9.0), 3, &()), Verdict::Stored);
}

#[test]
fn whoever_pinned_before_a_release_sees_the_data_and_whoever_comes_later_does_not() {
    let head = small_head();
    let series = get_or_create(&head, &[("__name__", "up")]);
    (0..10).for_each(|i| assert_eq!(head.apply(&series, sample(i * 10, 1.0), 1, &()), Verdict::Stored));
    let before = head.pin(&[], ALL);
    let view = head.cut(first_range(), 1).unwrap();
    let during = head.pin(&[], ALL);
    head.release(&view);
    let after = head.pin(&[], ALL);
    drop(view);
    assert!(after.batch(0..after.len()).is_empty() && head.select(&[], ALL).is_empty());
    for pinned in [&before, &during] {
        assert_eq!(decode(&pinned.batch(0..1)[0], ALL).len(), 10);
    }
    // What is released counts as gone for new samples too.
    assert_eq!(head.apply(&series, sample(50, 2.0), 2, &()), Verdict::Stored);
    assert_eq!(decode(&head.select(&[], ALL)[0], ALL), [(50, 2f64.to_bits())]);
    let held = head.stats().chunk_bytes;
    drop(after);
    drop(before);
    assert_eq!(head.stats().chunk_bytes, held);
    drop(during);
    assert!(head.stats().chunk_bytes < held);
}

#[test]
fn the_limit_holds_for_new_series_only() {
    let head = small_head();
    head.set_series_max(2);
    let a = get_or_create(&head, &[("__name__", "a")]);
    get_or_create(&head, &[("__name__", "b")]);
    let key = head.key(b"c");
    assert_eq!(head.create(key, &[("__name__", "c")]).unwrap_err(), HeadError::SeriesLimit { limit: 2 });
    assert_eq!(head.create(a.key(), &[("__name__", "a")]).unwrap().number(), a.number());
    drop(a);
    assert_eq!(head.evict_idle(0), 2);
    assert_eq!(head.create(key, &[("__name__", "c")]).unwrap().number(), 2, "numbers are not used again");
}

#[test]
fn what_is_idle_goes_with_all_that_it_used() {
    let head = small_head();
    let empty = head.stats().series_bytes;
    let numbers: Vec<String> = (0..3000).map(|i| i.to_string()).collect();
    head.set_series_max(usize::MAX);
    let held = get_or_create(&head, &[("__name__", "held"), ("n", "held")]);
    for n in &numbers {
        let series = get_or_create(&head, &[("__name__", "up"), ("n", n), ("name", "n")]);
        head.apply(&series, sample(10, 1.0), 1, &());
    }
    assert_eq!(head.evict_idle(i64::MAX), 0, "they have samples");
    assert_eq!(head.stats().series, 3001);
    assert_eq!(head.label_values("n", &[], ALL).len(), 3001);
    let view = head.cut(first_range(), 1).unwrap();
    assert_eq!(view.series_count(), 3000);
    head.release(&view);
    drop(view);
    assert_eq!(head.evict_idle(10), 0, "their last sample is too young");
    assert_eq!(head.evict_idle(11), 3000);
    assert_eq!(head.stats().series, 1);
    assert!(head.find(held.key()).is_some_and(|it| Arc::ptr_eq(&it, &held)));
    assert_eq!(held.labels(&head).to_string(), r#"{__name__="held", n="held"}"#);
    drop(held);
    assert_eq!(head.evict_idle(0), 1);
    let left = head.stats().series_bytes - empty;
    assert!(left < 10_000, "{left} bytes left");
    let again = get_or_create(&head, &[("__name__", "up"), ("n", "7"), ("name", "n")]);
    assert_eq!(again.number(), 3001);
}

#[test]
fn labels_come_back_in_order_and_as_asked_for() {
    let head = small_head();
    for (name, job) in [("b", "y"), ("a", "z"), ("b", "x"), ("a", "y")] {
        let series = get_or_create(&head, &[("__name__", name), ("job", job)]);
        head.apply(&series, sample(if name == "a" { 10 } else { 5010 }, 1.0), 1, &());
    }
    let shown = |list: Vec<Labels>| list.iter().map(|it| [it.metric_name(), it.get("job").unwrap()].concat()).collect();
    let all: Vec<String> = shown(head.series_labels(&[], ALL));
    assert_eq!(all, ["ay", "az", "bx", "by"]);
    let early: Vec<String> = shown(head.series_labels(&[], first_range()));
    assert_eq!(early, ["ay", "az"]);
    let texts = |list: Vec<Arc<str>>| list.iter().map(|it| it.to_string()).collect::<Vec<_>>();
    assert_eq!(texts(head.label_names(&[], ALL)), ["__name__", "job"]);
    assert_eq!(texts(head.label_values("job", &[], ALL)), ["x", "y", "z"]);
    assert_eq!(texts(head.label_values("job", &[Matcher::equal("__name__", "b")], ALL)), ["x", "y"]);
    assert_eq!(texts(head.label_values("nothing", &[], ALL)), [""; 0]);
    assert_eq!(texts(head.label_names(&[], TimeRange::new(2000, 3000))), [""; 0]);
}

#[test]
fn an_idle_head_costs_about_a_kilobyte() {
    assert!(size_of::<Head>() + small_head().stats().series_bytes < 1024, "{}", size_of::<Head>());
}

#[test]
fn a_reader_may_want_fewer_labels_and_only_the_newest_sample() {
    let head = small_head();
    for (pod, t_ms) in [("a", 10), ("b", 20), ("c", 30)] {
        let series = get_or_create(&head, &[("__name__", "up"), ("job", "x"), ("pod", pod)]);
        for t_ms in [t_ms, t_ms + 100, t_ms + 200] {
            assert_eq!(head.apply(&series, sample(t_ms, t_ms as f64), 1, &()), Verdict::Stored);
        }
        assert_eq!(head.apply(&series, sample(t_ms + 50, 0.5), 2, &()), Verdict::Stored, "late");
    }
    let mut all = head.pin(&[], TimeRange::new(0, 225));
    all.project(&["job", "none"], &["__type__"]);
    all.newest_only();
    let read: Vec<_> = all.batch(0..3).iter().map(|it| (it.labels.to_string(), decode(it, ALL))).collect();
    assert!(read.iter().all(|it| it.0 == r#"{job="x"}"#), "{read:?}");
    assert_eq!(read[0].1, [(210, 210f64.to_bits())], "nothing but the newest");
    assert_eq!(read[2].1.len(), 4, "the newest is beyond the range: everything, as without the wish");

    get_or_create(&head, &[("__name__", "up"), ("__type__", "gauge")]);
    let mut all = head.pin(&[], ALL);
    all.project(&["job"], &["__type__"]);
    assert_eq!(all.batch(0..all.len())[0].labels.to_string(), r#"{__name__="up", job="x", pod="a"}"#);
}
