//! Merging chunks against a map, what stays as it is, and bounds that lie.

use super::*;
use crate::xor::tests::{bits, column_bits, samples};
use crate::{Xor2Appender, XorAppender};
use longhaul_model::Sample;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn chunk_of(samples: &[Sample], encoding: Encoding) -> Chunk {
    let (mut xor, mut xor2) = (XorAppender::new(), Xor2Appender::new());
    for sample in samples {
        xor.append(sample.t_ms, sample.value);
        xor2.append(0, sample.t_ms, sample.value);
    }
    if encoding == Encoding::Xor { xor.seal() } else { xor2.seal() }
}

/// Chunks that overlap here and there, in any order.
fn chunks() -> impl Strategy<Value = Vec<Chunk>> {
    let narrow = prop::collection::btree_map(0_i64..300, -3_i32..3, 0..20).prop_map(|samples| {
        samples.into_iter().map(|(t_ms, value)| Sample::new(t_ms, value.into())).collect::<Vec<_>>()
    });
    let samples = prop_oneof![4 => narrow, 1 => samples()];
    let encoding = prop_oneof![Just(Encoding::Xor), Just(Encoding::Xor2)];
    let chunk = (samples, encoding).prop_map(|(samples, encoding)| chunk_of(&samples, encoding));
    (prop::collection::vec(chunk, 0..6), any::<bool>()).prop_map(|(mut chunks, in_order)| {
        if in_order {
            chunks.sort_by_key(|chunk| chunk.min_ms);
        }
        chunks
    })
}

fn naive(chunks: &[Chunk], range: TimeRange) -> Vec<(i64, u64)> {
    let mut merged = BTreeMap::new();
    for chunk in chunks {
        let mut columns = Columns::default();
        decode_into(chunk, TimeRange::ALL, &mut columns).unwrap();
        merged.extend(column_bits(&columns));
    }
    merged.into_iter().filter(|&(t_ms, _)| range.contains(t_ms)).collect()
}

fn merged(chunks: &[Chunk], range: TimeRange) -> Vec<(i64, u64)> {
    let mut columns = Columns::default();
    merge_into(chunks, range, &mut columns).unwrap();
    column_bits(&columns)
}

proptest! {
    #[test]
    fn merging_is_what_a_map_would_do(chunks in chunks(), start_ms in -10_i64..310, length_ms in 0_i64..310) {
        let range = TimeRange::new(start_ms, start_ms + length_ms);
        prop_assert_eq!(merged(&chunks, range), naive(&chunks, range));
        prop_assert_eq!(merged(&chunks, TimeRange::ALL), naive(&chunks, TimeRange::ALL));
        let whole: BTreeMap<i64, u64> = naive(&chunks, TimeRange::ALL).into_iter().collect();
        for t_ms in -1..301 {
            let found = sample_at(&chunks, t_ms).unwrap().map(f64::to_bits);
            prop_assert_eq!(found, whole.get(&t_ms).copied(), "at {}", t_ms);
        }
    }

    #[test]
    fn merged_chunks_are_disjoint_and_hold_the_same(chunks in chunks(), samples_per_chunk_max in 0_u16..30) {
        let chunks: Vec<Chunk> = chunks.into_iter().filter(|chunk| crate::sample_count(chunk) != Ok(0)).collect();
        let before = naive(&chunks, TimeRange::ALL);
        let after = merge_chunks(chunks.clone(), samples_per_chunk_max).unwrap();
        prop_assert!(disjoint_in_order(&after));
        prop_assert_eq!(merged(&after, TimeRange::ALL), before);
        for chunk in &after {
            let samples = crate::sample_count(chunk).unwrap();
            prop_assert!(samples <= samples_per_chunk_max.max(1) || chunks.contains(chunk));
            let mut columns = Columns::default();
            decode_into(chunk, TimeRange::ALL, &mut columns).unwrap();
            prop_assert_eq!((columns.t_ms[0], *columns.t_ms.last().unwrap()), (chunk.min_ms, chunk.max_ms));
        }
    }
}

fn line(times: std::ops::Range<i64>, value: f64) -> Chunk {
    chunk_of(&times.map(|t_ms| Sample::new(t_ms, value)).collect::<Vec<_>>(), Encoding::Xor)
}

#[test]
fn chunks_that_overlap_nothing_stay_as_they_are() {
    let histogram = Chunk { encoding: Encoding::Histogram, ..line(200..210, 0.0) };
    let chunks = vec![line(100..110, 1.0), histogram.clone(), line(0..10, 2.0), line(5..15, 3.0), histogram.clone()];
    let after = merge_chunks(chunks.clone(), 120).unwrap();
    assert_eq!(after.len(), 3);
    assert_eq!(after[1..], [chunks[0].clone(), histogram]);
    assert_eq!(merged(&after[..1], TimeRange::new(4, 6)), [(4, 2.0_f64.to_bits()), (5, 3.0_f64.to_bits())]);
}

#[test]
fn the_later_chunk_wins_also_when_one_stands_twice() {
    let (old, new) = (line(0..10, 1.0), line(5..6, 2.0));
    for (chunks, value) in [
        (vec![old.clone(), new.clone(), old.clone()], 1.0),
        (vec![old.clone(), new.clone()], 2.0),
        (vec![new.clone(), old.clone(), new.clone()], 2.0),
    ] {
        assert_eq!(sample_at(&chunks, 5), Ok(Some(value)));
        assert_eq!(merged(&chunks, TimeRange::new(5, 6)), [(5, f64::to_bits(value))]);
        assert_eq!(sample_at(&merge_chunks(chunks, 120).unwrap(), 5), Ok(Some(value)));
    }
}

#[test]
fn bounds_that_lie_cost_time_but_no_order() {
    let mut lying = line(0..10, 1.0);
    lying.max_ms = 4;
    let chunks = [lying, line(5..15, 2.0)];
    let samples = (0..15).map(|t_ms| Sample::new(t_ms, if t_ms < 5 { 1.0 } else { 2.0 }));
    assert_eq!(merged(&chunks, TimeRange::ALL), bits(samples));
}

#[test]
fn errors_leave_the_columns_as_they_were() {
    let histogram = Chunk { encoding: Encoding::Histogram, ..line(20..30, 0.0) };
    let mut cut = line(20..30, 0.5);
    cut.data.truncate(12);
    for bad in [histogram, cut] {
        let mut columns = Columns::default();
        columns.push(-1, 7.0);
        assert!(merge_into(&[line(0..10, 1.0), bad.clone()], TimeRange::ALL, &mut columns).is_err());
        assert!(merge_into(&[bad.clone(), line(0..25, 1.0)], TimeRange::ALL, &mut columns).is_err());
        assert_eq!(column_bits(&columns), [(-1, 7.0_f64.to_bits())]);
        assert!(sample_at(&[line(0..10, 1.0), bad], 25).is_err());
    }
}
