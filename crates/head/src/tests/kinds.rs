//! Series that hold more than plain floats.

use super::*;
use crate::Verdict;
use longhaul_chunk::{Encoding, sample_count};
use longhaul_model::{BucketSpan, CounterResetHint, Histogram};
use longhaul_testkit::measurements::{KINDS, measurement};

fn encodings(head: &Arc<Head>) -> Vec<Encoding> {
    head.select(&[], TimeRange::ALL)[0].chunks.iter().map(|it| it.encoding).collect()
}

fn apply(head: &Head, sample: Measurement) -> Verdict {
    head.apply_any(&get_or_create(head, &[("__name__", "up")]), sample, 1, &())
}

#[test]
fn a_chunk_is_of_the_encoding_that_its_samples_need() {
    use Encoding::{FloatHistogram, FloatHistogramSt, Histogram, HistogramSt, Xor, Xor2};
    let kinds = [(0, Xor), (1, Xor2), (2, Histogram), (3, HistogramSt), (4, FloatHistogram), (5, FloatHistogramSt)];
    for (kind, encoding) in kinds {
        let head = small_head();
        for t_ms in 0..3 {
            assert_eq!(apply(&head, measurement(t_ms, kind, 0)), Verdict::Stored);
        }
        assert_eq!(encodings(&head), [encoding]);
        // A chunk with starts takes samples without them; the other way round a new one begins.
        let other = kind ^ 1;
        assert_eq!(apply(&head, measurement(4, other, 0)), Verdict::Stored);
        let expected = if other > kind { vec![encoding, kinds[other as usize].1] } else { vec![encoding] };
        assert_eq!(encodings(&head), expected);
        let read = decode_all(&head.select(&[], TimeRange::ALL)[0], TimeRange::ALL);
        let starts: Vec<i64> = read.iter().map(|it| it.start_ms).collect();
        assert_eq!(
            starts,
            [0, 1, 2, 4].map(|t_ms| measurement(t_ms, if t_ms == 4 { other } else { kind }, 0).start_ms)
        );
    }
}

#[test]
fn kinds_follow_each_other_in_one_series() {
    let head = small_head();
    let kinds = [0, 2, 4, 0, 3, 1, 6, 2, 7];
    let samples: Vec<_> = kinds.iter().zip(0..).map(|(kind, t_ms)| measurement(t_ms * 10, *kind, 1)).collect();
    for it in &samples {
        assert_eq!(apply(&head, it.clone()), Verdict::Stored);
    }
    for it in &samples {
        assert_eq!(apply(&head, it.clone()), Verdict::Duplicate);
        let other = if matches!(it.value, Value::Float(_)) { 2 } else { 0 };
        assert_eq!(apply(&head, measurement(it.t_ms, other, 1)), Verdict::Conflict);
    }
    let read = decode_all(&head.select(&[], TimeRange::ALL)[0], TimeRange::ALL);
    assert_eq!(read.len(), samples.len());
    for (found, given) in read.iter().zip(&samples) {
        assert!(found.value.same(&given.value) && found.start_ms == given.start_ms, "{found:?} for {given:?}");
    }
}

#[test]
fn a_start_is_not_part_of_the_verdict() {
    let head = small_head();
    for t_ms in 0..5 {
        assert_eq!(apply(&head, measurement(t_ms, 1, 0)), Verdict::Stored);
        let other = Measurement { start_ms: -5, ..measurement(t_ms, 1, 0) };
        assert_eq!(apply(&head, other), Verdict::Duplicate);
        assert_eq!(apply(&head, measurement(t_ms, 0, 0)), Verdict::Duplicate);
    }
}

#[test]
fn a_histogram_that_a_later_one_has_widened_is_still_the_same() {
    let head = small_head();
    let with_buckets = |t_ms: i64, length: u32| {
        let one = Histogram {
            count: u64::from(length),
            positive_spans: vec![BucketSpan { offset: 0, length }],
            positive_deltas: (0..length).map(|i| i64::from(i == 0)).collect(),
            ..Histogram::default()
        };
        Measurement { t_ms, start_ms: 0, value: Value::Histogram(one.into()) }
    };
    for t_ms in 0..5 {
        assert_eq!(apply(&head, with_buckets(t_ms, t_ms as u32 + 1)), Verdict::Stored);
    }
    assert_eq!(encodings(&head), [Encoding::Histogram]);
    for t_ms in 0..5 {
        assert_eq!(apply(&head, with_buckets(t_ms, t_ms as u32 + 1)), Verdict::Duplicate);
        assert_eq!(apply(&head, with_buckets(t_ms, t_ms as u32 + 2)), Verdict::Conflict);
    }
}

#[test]
fn chunks_of_all_kinds_keep_to_ranges_and_limits() {
    for kind in 0..KINDS {
        let head = small_head();
        let times = (0..3000).step_by(90).chain((45..3000).rev().step_by(90));
        times.for_each(|t_ms| assert_eq!(apply(&head, measurement(t_ms, kind, 0)), Verdict::Stored));
        let view = head.cut(TimeRange::new(0, 3000), 1).unwrap();
        let mut samples = 0;
        for chunk in view.series().flat_map(|series| series.chunks) {
            samples += sample_count(&chunk).unwrap();
            assert!(sample_count(&chunk).unwrap() <= 7, "kind {kind}: {chunk:?}");
            assert_eq!(chunk.min_ms.div_euclid(RANGE_MS), chunk.max_ms.div_euclid(RANGE_MS), "kind {kind}: {chunk:?}");
        }
        assert_eq!(samples, 67, "kind {kind}");
        head.release(&view);
        drop(view);
        assert_eq!(head.stats().chunk_bytes, 0, "kind {kind}");
    }
}

#[test]
fn no_hint_says_that_a_counter_went_on_when_it_did_not() {
    let head = small_head();
    let integer = |t_ms: i64| measurement(t_ms, 2, 0);
    let float = |t_ms: i64| measurement(t_ms, 4, 0);
    // In order, and then what lies between, of either kind; counting begins anew at 700.
    (0..900).step_by(20).for_each(|t_ms| assert_eq!(apply(&head, integer(t_ms)), Verdict::Stored));
    (5..900).rev().step_by(50).for_each(|t_ms| assert_eq!(apply(&head, integer(t_ms)), Verdict::Stored));
    (7..900).step_by(90).for_each(|t_ms| assert_eq!(apply(&head, float(t_ms)), Verdict::Stored));
    let mut read = longhaul_chunk::Samples::default();
    longhaul_chunk::merge_samples(&head.select(&[], TimeRange::ALL)[0].chunks, TimeRange::ALL, &mut read).unwrap();
    let values = &read.histograms.values;
    assert_eq!(values.len(), 45 + 18 + 10);
    let mut went_on = 0;
    for pair in values.windows(2).filter(|pair| pair[1].reset_hint == CounterResetHint::NotReset) {
        assert!(pair[0].count <= pair[1].count, "{pair:?}");
        went_on += 1;
    }
    assert!(went_on > 10, "{went_on}");
}
