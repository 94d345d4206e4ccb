//! Many readers and creators beside one lane.

use super::*;
use crate::Verdict;
use longhaul_model::Matcher;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};

/// Readers pin the head, then look at the parts; together they must hold every sample that had been applied before.
#[test]
fn readers_miss_nothing_while_ranges_become_parts() {
    const SERIES: usize = 20;
    let head = small_head();
    let parts = Parts::default();
    let names: Vec<String> = (0..SERIES).map(|i| format!("n{i:02}")).collect();
    let (applied_ms, done) = (AtomicI64::new(-1), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(SeqCst) {
                    let expected = applied_ms.load(SeqCst) + 1;
                    let pinned = head.pin(&[], TimeRange::ALL);
                    let mut seen = parts.0.lock().clone();
                    for i in 0..pinned.len() {
                        for chunks in pinned.batch(i..i + 1) {
                            let samples = decode_all(&chunks, TimeRange::ALL).into_iter();
                            let seen = seen.entry(chunks.labels).or_default();
                            seen.extend(samples.map(|it| (it.t_ms, it.value)));
                        }
                    }
                    assert!(expected == 0 || seen.len() == SERIES);
                    for (labels, samples) in &seen {
                        let count = samples.range(..expected).count() as i64;
                        assert_eq!(count, expected, "of {labels}");
                    }
                }
            });
        }
        let mut offset = 0;
        let mut view = None;
        for t_ms in 0..6000i64 {
            for name in &names {
                offset += 1;
                let series = get_or_create(&head, &[("__name__", name)]);
                let verdict = head.apply(&series, sample(t_ms, t_ms as f64), offset, &parts);
                assert_eq!(verdict, Verdict::Stored);
            }
            applied_ms.store(t_ms, SeqCst);
            if t_ms % RANGE_MS == 100 && t_ms > RANGE_MS {
                let start_ms = (t_ms / RANGE_MS - 1) * RANGE_MS;
                view = head.cut(TimeRange::new(start_ms, start_ms + RANGE_MS), offset);
                assert!(view.is_some());
            }
            if t_ms % RANGE_MS == 500
                && let Some(view) = view.take()
            {
                parts.add(view.series());
                head.release(&view);
                head.evict_idle(t_ms);
            }
        }
        done.store(true, SeqCst);
    });
    assert!(head.ranges().len() <= 2);
}

/// Requests create and find series that an eviction is after; whoever holds one can apply to it and finds it again.
#[test]
fn no_series_is_evicted_from_under_a_request() {
    let head = small_head();
    head.set_series_max(usize::MAX);
    let lane = Mutex::new(0u64); // applies are one after the other
    let done = AtomicBool::new(false);
    let names: Vec<String> = (0..2000).map(|i| format!("n{i}")).collect();
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|writer: usize| {
                let (head, lane, names) = (&head, &lane, &names);
                scope.spawn(move || {
                    for (i, name) in names.iter().enumerate() {
                        let pairs = [("__name__", name.as_str()), ("z", "z")];
                        let series = get_or_create(head, &pairs);
                        for &(_, value) in series.label_symbols() {
                            assert!(!head.symbol(value).is_empty());
                        }
                        if i % 3 == writer {
                            let mut offset = lane.lock();
                            *offset += 1;
                            assert_eq!(head.apply(&series, sample(i as i64, 1.0), *offset, &()), Verdict::Stored);
                            assert!(Arc::ptr_eq(&head.find(series.key()).unwrap(), &series));
                        }
                    }
                })
            })
            .collect();
        let evictor = scope.spawn(|| {
            let mut evicted = 0;
            while !done.load(SeqCst) {
                evicted += head.evict_idle(i64::MAX);
                head.select(&[Matcher::equal("__name__", "n5")], TimeRange::ALL);
            }
            evicted
        });
        writers.into_iter().for_each(|it| it.join().unwrap());
        done.store(true, SeqCst);
        evictor.join().unwrap();
    });
    head.evict_idle(i64::MAX);
    let found = head.select(&[], TimeRange::ALL);
    assert_eq!((found.len(), head.stats().series), (names.len(), names.len()));
    assert!(found.iter().all(|it| decode(it, TimeRange::ALL).len() == 1));
}
