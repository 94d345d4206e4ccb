//! Merging chunks of floats and of everything against a map, what stays as it is, and bounds that lie.

use super::*;
use crate::histogram::tests::{assert_same, counters, in_chunks};
use crate::tests::{as_float, debug, hinted, measurements};
use crate::xor::tests::{bits, column_bits, samples};
use crate::{HistogramAppender, HistogramRef, Xor2Appender, Xor2Iterator, XorAppender, XorIterator, measurement_at};
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

/// The float at `t_ms`.
fn float_at(chunks: &[Chunk], t_ms: i64) -> Result<Option<f64>, ChunkError> {
    Ok(measurement_at(chunks, t_ms)?.map(|it| match it.value {
        Value::Float(value) => value,
        other => panic!("{other:?}"),
    }))
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
            let found = float_at(&chunks, t_ms).unwrap().map(f64::to_bits);
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
        assert_eq!(float_at(&chunks, 5), Ok(Some(value)));
        assert_eq!(merged(&chunks, TimeRange::new(5, 6)), [(5, f64::to_bits(value))]);
        assert_eq!(float_at(&merge_chunks(chunks, 120).unwrap(), 5), Ok(Some(value)));
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
        assert!(float_at(&[line(0..10, 1.0), bad], 25).is_err());
    }
    let kind = Kind::Histograms { float: false };
    let good = encoded(&series(kind, 0..10, true, 3)).remove(0);
    let mut cut = encoded(&series(kind, 20..30, true, 3)).remove(0);
    cut.data.truncate(cut.data.len() - 1);
    for chunks in [[good.clone(), cut.clone()], [cut, good]] {
        let mut samples = Samples::default();
        samples.floats.push(-2, 7.0);
        samples.histograms.push(-1, Arc::default());
        assert!(merge_samples(&chunks, TimeRange::ALL, &mut samples).is_err());
        assert_eq!((samples.floats.len(), samples.histograms.len()), (1, 1));
        assert!(samples.histograms.start_ms.is_empty());
        assert!(merge_chunks([chunks.to_vec(), vec![line(0..30, 1.0)]].concat(), 120).is_err());
    }
}

#[test]
fn starts_are_kept_only_where_there_are_any() {
    let started = |times: std::ops::Range<i64>, start_ms: i64| {
        let mut chunk = Xor2Appender::new();
        times.for_each(|t_ms| chunk.append(if t_ms % 100 < 50 { start_ms } else { 0 }, t_ms, 1.0));
        chunk.seal()
    };
    let mut columns = Columns::default();
    let mut merge = |chunk: Chunk, range: TimeRange| {
        merge_into(&[chunk], range, &mut columns).unwrap();
        (columns.len(), columns.start_ms.clone())
    };
    // From sample 127 on a chunk writes starts even if it has none.
    assert_eq!(merge(started(0..150, 0), TimeRange::ALL), (150, vec![]));
    assert_eq!(merge(line(150..160, 2.0), TimeRange::ALL), (160, vec![]));
    // Those in the range have none.
    assert_eq!(merge(started(200..300, 7), TimeRange::new(250, 300)), (210, vec![]));
    let (len, starts) = merge(started(300..400, 7), TimeRange::new(348, 352));
    assert_eq!((len, &starts[..210], &starts[210..]), (214, &[0; 210][..], &[7, 7, 0, 0][..]));
    let (len, starts) = merge(line(400..410, 2.0), TimeRange::new(405, 500));
    assert_eq!((len, &starts[214..]), (219, &[0; 5][..]));
}

/// Samples of one kind, in chunks.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Floats,
    Histograms { float: bool },
}

fn encoded(samples: &[Measurement]) -> Vec<Chunk> {
    let float = |sample: &Measurement| match sample.value {
        Value::Float(value) => value,
        _ => panic!("a float"),
    };
    match samples.first() {
        None => Vec::new(),
        Some(Measurement { value: Value::Float(_), .. }) => {
            let (mut xor, mut xor2) = (XorAppender::new(), Xor2Appender::new());
            for sample in samples {
                xor.append(sample.t_ms, float(sample));
                xor2.append(sample.start_ms, sample.t_ms, float(sample));
            }
            let started = samples.iter().any(|sample| sample.start_ms != 0);
            vec![if started { xor2.seal() } else { xor.seal() }]
        }
        Some(_) => in_chunks(samples),
    }
}

fn series(kind: Kind, times: impl IntoIterator<Item = i64>, starts: bool, seed: u64) -> Vec<Measurement> {
    let mut samples = counters(times, matches!(kind, Kind::Histograms { float: true }), starts, seed);
    if let Kind::Floats = kind {
        samples.iter_mut().for_each(|sample| sample.value = Value::Float((seed % 97) as f64 + sample.t_ms as f64));
    }
    samples
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Floats), any::<bool>().prop_map(|float| Kind::Histograms { float })]
}

/// Chunks of every kind that overlap here and there, in any order.
fn mixed() -> impl Strategy<Value = Vec<Chunk>> {
    let times = prop_oneof![
        (0_i64..300, 1_i64..30).prop_map(|(first_ms, count)| (first_ms..first_ms + count).collect()),
        prop::collection::btree_set(0_i64..300, 0..20),
    ];
    let run = (kinds(), times, any::<bool>(), 1..u64::MAX);
    let run = run.prop_map(|(kind, times, starts, seed)| encoded(&series(kind, times, starts, seed)));
    (prop::collection::vec(run, 0..5), any::<bool>()).prop_map(|(runs, in_order)| {
        let mut chunks = runs.concat();
        if in_order {
            chunks.sort_by_key(|chunk| chunk.min_ms);
        }
        chunks
    })
}

/// Each sample with where it stands: number of the chunk, and of the sample in it.
fn naive_mixed(chunks: &[Chunk], range: TimeRange) -> BTreeMap<i64, (usize, usize, Measurement)> {
    let mut merged = BTreeMap::new();
    for (number, chunk) in chunks.iter().enumerate() {
        let samples: Vec<Measurement> = match chunk.encoding {
            Encoding::Xor => XorIterator::new(&chunk.data).unwrap().map(|it| it.unwrap().into()).collect(),
            Encoding::Xor2 => {
                let started = Xor2Iterator::new(&chunk.data).unwrap().map(Result::unwrap);
                started.map(|it| Measurement { start_ms: it.start_ms, ..it.sample.into() }).collect()
            }
            _ => HistogramIterator::new(chunk).unwrap().map(Result::unwrap).collect(),
        };
        merged.extend(samples.into_iter().enumerate().map(|(at, it)| (it.t_ms, (number, at, it))));
    }
    merged.into_iter().filter(|(t_ms, _)| range.contains(*t_ms)).collect()
}

fn hint(sample: &Measurement) -> Option<CounterResetHint> {
    match &sample.value {
        Value::Float(_) => None,
        Value::Histogram(it) => Some(it.reset_hint),
        Value::FloatHistogram(it) => Some(it.reset_hint),
    }
}

proptest! {
    #[test]
    fn merging_kinds_is_what_a_map_would_do(chunks in mixed(), start_ms in -10_i64..310, length_ms in 0_i64..310) {
        for range in [TimeRange::new(start_ms, start_ms + length_ms), TimeRange::ALL] {
            let mut samples = Samples::default();
            merge_samples(&chunks, range, &mut samples).unwrap();
            let merged = measurements(&samples);
            let expected = naive_mixed(&chunks, range);
            let floats: Vec<Measurement> = expected.values().map(|(_, _, sample)| as_float(sample)).collect();
            prop_assert_eq!(debug(&merged), debug(&floats));
            // That there was no reset since the sample before says something only of the one before in the chunk.
            let mut before = None;
            for ((number, at, sample), merged) in expected.values().zip(&merged) {
                let follows = before.is_none_or(|before| before == (*number, *at));
                let known = match hint(sample) {
                    Some(CounterResetHint::NotReset) if !follows => Some(CounterResetHint::Unknown),
                    known => known,
                };
                prop_assert_eq!(hint(merged), known);
                before = Some((*number, *at + 1));
            }
        }
        let whole = naive_mixed(&chunks, TimeRange::ALL);
        for t_ms in -1..331 {
            let found = measurement_at(&chunks, t_ms).unwrap();
            let expected = whole.get(&t_ms).map(|(_, _, sample)| sample);
            prop_assert_eq!(found.as_ref().map(|it| debug(std::slice::from_ref(it))), expected.map(|it| debug(std::slice::from_ref(it))));
        }
    }

    #[test]
    fn merged_chunks_of_all_kinds_hold_the_same(chunks in mixed(), samples_per_chunk_max in 1_u16..40) {
        let after = merge_chunks(chunks.clone(), samples_per_chunk_max).unwrap();
        prop_assert!(disjoint_in_order(&after));
        let values = |chunks: &[Chunk]| -> Vec<Measurement> {
            naive_mixed(chunks, TimeRange::ALL).into_values().map(|(_, _, sample)| sample).collect()
        };
        assert_same(&values(&after), &values(&chunks));
        for chunk in &after {
            let samples = naive_mixed(std::slice::from_ref(chunk), TimeRange::ALL);
            prop_assert!(samples.len() <= samples_per_chunk_max.into() || chunks.contains(chunk));
            let bounds = (*samples.first_key_value().unwrap().0, *samples.last_key_value().unwrap().0);
            prop_assert_eq!(bounds, (chunk.min_ms, chunk.max_ms));
        }
    }

    #[test]
    fn splits_of_a_series_merge_into_the_whole(
        kind in kinds(), starts: bool, seed in 1..u64::MAX, owners in prop::collection::vec(0_usize..3, 1..120),
    ) {
        let whole = series(kind, (0..owners.len() as i64).map(|at| at * 1000), starts, seed);
        let split = |owner: usize| -> Vec<Measurement> {
            whole.iter().zip(&owners).filter(|(_, of)| **of == owner).map(|(sample, _)| sample.clone()).collect()
        };
        let chunks: Vec<Chunk> = (0..3).flat_map(|owner| encoded(&split(owner))).collect();
        let merged = merge_chunks(chunks.clone(), 120).unwrap();
        let values = naive_mixed(&merged, TimeRange::ALL);
        assert_same(&values.into_values().map(|(_, _, sample)| sample).collect::<Vec<_>>(), &whole);
        let mut samples = Samples::default();
        merge_samples(&chunks, TimeRange::ALL, &mut samples).unwrap();
        assert_same(&measurements(&samples), &whole.iter().map(as_float).collect::<Vec<_>>());
    }
}

#[test]
fn a_reset_that_the_sender_told_of_survives_a_merge() {
    let sample = |t_ms: i64| series(Kind::Histograms { float: false }, [t_ms], false, 5).remove(0);
    let told = hinted(&sample(20), CounterResetHint::Reset);
    let chunks = |samples: &[Measurement]| in_chunks(samples);
    let all = [chunks(&[sample(10), told, sample(30)]), chunks(&[sample(5), sample(15), sample(25)])].concat();
    assert_eq!(all.len(), 3);
    let merged = merge_chunks(all, 120).unwrap();
    let headers: Vec<(i64, CounterResetHint)> =
        merged.iter().map(|chunk| (chunk.min_ms, HistogramIterator::new(chunk).unwrap().reset_hint())).collect();
    assert_eq!(headers, [(5, CounterResetHint::Unknown), (20, CounterResetHint::Reset)]);
}

#[test]
fn merged_histograms_are_cut_where_they_are_full() {
    let kind = Kind::Histograms { float: true };
    let times = |owner: i64| (0..2000).filter(move |at| at % 2 == owner);
    let chunks = [0, 1].map(|owner| {
        let samples: Vec<Measurement> = times(owner).map(|t_ms| series(kind, [t_ms], false, 5).remove(0)).collect();
        let mut open = HistogramAppender::first(0, samples[0].t_ms, HistogramRef::of(&samples[0].value).unwrap());
        samples[1..].iter().for_each(|it| open.append(0, it.t_ms, HistogramRef::of(&it.value).unwrap()).unwrap());
        open.seal()
    });
    let merged = merge_chunks(chunks.to_vec(), u16::MAX).unwrap();
    assert!(merged.len() > 1);
    let full = |chunk: &Chunk| (1024..1100).contains(&chunk.data.len());
    assert!(merged[..merged.len() - 1].iter().all(full), "{:?}", merged.iter().map(|it| it.data.len()));
}
