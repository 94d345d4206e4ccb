//! I-COARSE-1 over real files: raw blocks that borders cut, coarse ones made of them, folded and folded again.

use super::*;
use crate::columns::Column;
use crate::testing::{any_series, open_dir, seed};
use crate::{BlockMeta, BlockWriter, Downsample, ThanosMeta, verify};
use longhaul_chunk::aggregate::{Aggregate, AggregateSamples, apply_resets, expand, unpack};
use longhaul_disk::RealFs;
use longhaul_downsample::{FloatWindow, HistogramWindow, Layouts, Point};
use longhaul_model::{Labels, Matcher, Measurement, STALE_NAN_BITS, Value};
use longhaul_testkit::measurements::measurement;
use proptest::prelude::*;
use std::path::Path;

const FINE: Resolution = Resolution::FIVE_MINUTES;
const COARSE: Resolution = Resolution::ONE_HOUR;

type Series = (Labels, Vec<Measurement>);

/// Writes a coarse block and opens it, after it was found sound.
fn written(
    dir: &Path,
    range: TimeRange,
    resolution: Resolution,
    series: impl Iterator<Item = Result<CoarseSeries>>,
) -> Block {
    let mut meta = BlockMeta { min_ms: range.start_ms, end_ms: range.end_ms, ..seed() };
    let downsample = Downsample { resolution: resolution.length_ms(), ..Downsample::default() };
    meta.thanos = Some(ThanosMeta { downsample, ..ThanosMeta::default() });
    let mut writer = BlockWriter::create(Arc::new(RealFs), dir, meta).unwrap();
    series.for_each(|series| writer.push_coarse(&series.unwrap()).unwrap());
    writer.finish().unwrap();
    let (files, meta) = open_dir(dir);
    verify(&*files, &meta).unwrap().sound().unwrap();
    Block::open(files, meta).unwrap()
}

/// The samples of `range` as a block of 5 m.
fn downsampled(dir: &Path, all: &[Series], range: TimeRange) -> Block {
    let mut downsampler = RawDownsampler::new(FINE, range);
    let parts = all.iter().map(|(labels, samples)| {
        let inside: Vec<Measurement> = samples.iter().filter(|it| range.contains(it.t_ms)).cloned().collect();
        any_series(labels.clone(), &inside, 3)
    });
    let coarse: Vec<_> = parts.filter(|it| !it.chunks.is_empty()).map(|part| downsampler.downsample(&part)).collect();
    let (samples, markers) = downsampler.counts();
    let inside = all.iter().flat_map(|(_, samples)| samples).filter(|it| range.contains(it.t_ms)).count();
    assert_eq!(samples + markers, inside as u64);
    written(dir, range, FINE, coarse.into_iter())
}

fn sources(blocks: &[Block]) -> Vec<CoarseSource<'static>> {
    blocks.iter().map(|block| block.coarse_series(Vec::new(), 1 << 20).unwrap()).collect()
}

fn read(block: &Block) -> Vec<CoarseSeries> {
    block.coarse_series(Vec::new(), 1 << 20).unwrap().collect::<Result<_>>().unwrap()
}

fn close(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * a.abs().max(b.abs()) + 1e-9
}

fn same(found: &CoarseSeries, expected: &CoarseSeries) {
    assert_eq!(found.series.labels, expected.series.labels);
    assert_eq!(found.windows.len(), expected.windows.len());
    let point = |it: Point| (it.t_ms, it.start_ms, it.value.to_bits());
    let floats = |it: &FloatWindow| {
        let ends = (point(it.first), point(it.last), it.prev.map(point));
        (it.count, it.nan_count, ends, it.min.to_bits(), it.max.to_bits(), it.resets, it.changes, it.overlaps)
    };
    // Which empty buckets and which hint a histogram has depends on those that it shares a chunk with, and so do changes.
    let histograms = |it: &HistogramWindow| {
        let Layouts { differ, gauges, counters, .. } = it.layouts;
        let layouts = (differ, gauges, counters);
        let ends = (it.first.t_ms, it.last.t_ms, it.prev.as_ref().map(|prev| prev.t_ms), it.last.value.count.to_bits());
        (it.count, ends, it.resets, layouts, it.sum.as_ref().map(|sum| sum.total().count.to_bits()))
    };
    let known = found.known.intersection(expected.known);
    for (found, expected) in found.windows.iter().zip(&expected.windows) {
        assert_eq!((found.number, found.window.stale_ms), (expected.number, expected.window.stale_ms));
        let (found, expected) = (&found.window, &expected.window);
        assert_eq!(found.floats.as_ref().map(floats), expected.floats.as_ref().map(floats));
        assert_eq!(found.histograms.as_deref().map(histograms), expected.histograms.as_deref().map(histograms));
        if let (Some(found), Some(expected)) = (&found.floats, &expected.floats) {
            assert!(close(found.sum.total(), expected.sum.total()), "{found:?} {expected:?}");
            if known.contains(Column::Correction) {
                assert!(close(found.correction, expected.correction), "{found:?} {expected:?}");
            }
            if known.contains(Column::Squares) {
                assert!(close(found.squares, expected.squares), "{found:?} {expected:?}");
            }
        }
    }
}

/// The aggregates of floats of a series, its chunks one after the other.
fn aggregates(series: &CoarseSeries) -> AggregateSamples {
    let mut all = AggregateSamples::default();
    for chunk in &series.series.chunks {
        for (aggregate, part) in Aggregate::ALL.into_iter().zip(unpack(chunk).unwrap()) {
            expand(&part.unwrap(), all.of_mut(aggregate)).unwrap();
        }
    }
    all
}

/// Series over some hours: counters with resets, gauges, histograms and both in one; gaps, borders, markers, NaN.
fn any_series_of_samples() -> impl Strategy<Value = Vec<Series>> {
    let gap = prop_oneof![8 => Just(60_000i64), 2 => 1i64..200_000, 2 => Just(300_000i64), 1 => 300_000i64..8_000_000];
    let sample = (gap, 0u8..24, 0u8..200, any::<bool>());
    let name = prop::sample::select(vec!["a_total", "gauge"]);
    let one = (name, prop::collection::vec(sample, 1..120), -1i64..3, prop::sample::select(vec![0u8, 0, 3, 24]));
    prop::collection::vec(one, 1..5).prop_map(|all| {
        let each = all.into_iter().enumerate().map(|(at, (name, samples, from, histograms))| {
            let (mut t_ms, mut value) = (from * 3_600_000, 0.0);
            let samples = samples.into_iter().map(|(gap_ms, kind, step, wild)| {
                t_ms += gap_ms;
                value = if step < 4 { f64::from(step) } else { value + f64::from(step) };
                match kind {
                    _ if kind < histograms => measurement(t_ms, 2 + kind % 6, step % 4),
                    23 if wild => {
                        Measurement { t_ms, start_ms: 0, value: Value::Float(f64::from_bits(STALE_NAN_BITS)) }
                    }
                    22 if wild => Measurement { t_ms, start_ms: 0, value: Value::Float(f64::NAN) },
                    _ => Measurement { t_ms, start_ms: 0, value: Value::Float(value) },
                }
            });
            (Labels::from_pairs([("__name__", name), ("n", &at.to_string())]), samples.collect())
        });
        let mut all: Vec<Series> = each.collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    })
}

const ALL: TimeRange = TimeRange { start_ms: -3_600_000, end_ms: 1_000 * 3_600_000 };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// I-COARSE-1
    #[test]
    fn borders_of_blocks_leave_no_trace(
        all in any_series_of_samples(),
        mut borders in prop::collection::btree_set(prop_oneof![0i64..30_000_000, (0i64..9).prop_map(|n| n * 3_600_000)], 0..4),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let whole = downsampled(&path("whole"), &all, ALL);
        borders.extend([ALL.start_ms, ALL.end_ms]);
        let borders: Vec<i64> = borders.into_iter().collect();
        let parts: Vec<Block> = borders
            .windows(2)
            .enumerate()
            .map(|(n, pair)| downsampled(&path(&format!("part-{n}")), &all, TimeRange::new(pair[0], pair[1])))
            .collect();
        let joined = written(&path("joined"), ALL, FINE, fold_coarse(sources(&parts), FINE, FINE, ALL));
        let expected = read(&whole);
        let found = read(&joined);
        prop_assert_eq!(found.len(), expected.len());
        found.iter().zip(&expected).for_each(|(found, expected)| same(found, expected));

        let hours = written(&path("hours"), ALL, COARSE, fold_coarse(sources(&[whole]), FINE, COARSE, ALL));
        let hours_of_parts = fold_coarse(sources(&parts), FINE, COARSE, ALL);
        let hours_of_parts = written(&path("hours-of-parts"), ALL, COARSE, hours_of_parts);
        for (found, expected) in read(&hours_of_parts).iter().zip(&read(&hours)) {
            same(found, expected);
            // What Thanos reads does not depend on the way either, but for how the totals came about.
            let (a, b) = (aggregates(found), aggregates(expected));
            let totals = |of: &AggregateSamples| -> Vec<(i64, f64)> {
                let mut totals: Vec<_> =
                    apply_resets(of.counter.iter().copied()).iter().map(|it| (it.t_ms, it.value)).collect();
                let first_ms = totals.first().map(|first| first.0);
                totals.retain(|total| of.count.iter().any(|it| it.t_ms == total.0) && Some(total.0) != first_ms);
                totals
            };
            for (a, b) in totals(&a).iter().zip(&totals(&b)) {
                prop_assert!(a.0 == b.0 && close(a.1, b.1), "{a:?} {b:?}");
            }
            for aggregate in [Aggregate::Count, Aggregate::Sum, Aggregate::Min, Aggregate::Max] {
                let of = |all: &AggregateSamples| all.of(aggregate).to_vec();
                prop_assert_eq!(of(&a).len(), of(&b).len());
                for (a, b) in of(&a).iter().zip(&of(&b)) {
                    prop_assert!(a.t_ms == b.t_ms && close(a.value, b.value), "{aggregate:?} {a:?} {b:?}");
                }
            }
        }
        // Folded once or twice, the windows are those of the samples.
        for (found, (labels, samples)) in read(&hours).iter().zip(&all) {
            prop_assert_eq!(&found.series.labels, labels);
            let raw = any_series(labels.clone(), samples, 2);
            same(found, &RawDownsampler::new(COARSE, ALL).downsample(&raw).unwrap());
        }
    }

    /// The aggregates of windows are those that Thanos makes of the samples.
    #[test]
    fn aggregates_are_those_of_the_samples(all in any_series_of_samples()) {
        for (labels, samples) in &all {
            let coarse = RawDownsampler::new(FINE, ALL).downsample(&any_series(labels.clone(), samples, 2)).unwrap();
            let floats: Vec<longhaul_model::Sample> = samples
                .iter()
                .filter_map(|it| match &it.value {
                    Value::Float(value) => Some(longhaul_model::Sample::new(it.t_ms, *value)),
                    _ => None,
                })
                .collect();
            if floats.iter().any(|it| it.value.is_nan() && !longhaul_model::is_stale(it.value)) {
                continue;
            }
            let mut by_samples = coarse.clone();
            by_samples.series.chunks = aggregates::of_samples(&floats, &coarse.windows, FINE, ALL);
            let (a, b) = (aggregates(&coarse), aggregates(&by_samples));
            for aggregate in Aggregate::ALL {
                prop_assert_eq!(a.of(aggregate).len(), b.of(aggregate).len());
                for (a, b) in a.of(aggregate).iter().zip(b.of(aggregate)) {
                    prop_assert!(a.t_ms == b.t_ms && close(a.value, b.value), "{:?} {:?} {:?}", aggregate, a, b);
                }
            }
        }
    }
}

#[test]
fn what_is_deleted_goes_by_whole_windows() {
    let dir = tempfile::tempdir().unwrap();
    let series = |name: &str| -> Series {
        let samples = (0..60).map(|n| Measurement { t_ms: n * 60_000, start_ms: 0, value: Value::Float(n as f64) });
        (Labels::from_pairs([("__name__", name)]), samples.collect())
    };
    let block = downsampled(dir.path(), &[series("a"), series("b"), series("c")], ALL);
    let tombstone =
        |name: &str, range: TimeRange| Arc::new(Tombstone { matchers: vec![Matcher::equal("__name__", name)], range });
    let deleted = vec![tombstone("a", TimeRange::inclusive(600_000, 600_001)), tombstone("c", TimeRange::ALL)];
    let left: Vec<CoarseSeries> = block.coarse_series(deleted, 1 << 20).unwrap().collect::<Result<_>>().unwrap();
    let names: Vec<_> = left.iter().map(|it| it.series.labels.metric_name().to_owned()).collect();
    assert_eq!(names, ["a", "b"]);
    let numbers: Vec<i64> = left[0].windows.iter().map(|it| it.number).collect();
    assert_eq!(numbers, [-1, 0, 3, 4, 5, 6, 7, 8, 9, 10, 11], "600000 ends window 1, 600001 lies in window 2");
    let counts: Vec<i64> = aggregates(&left[0]).count.iter().map(|it| it.t_ms).collect();
    assert_eq!(counts[..3], [-1, 299_999, 1_199_999]);
    assert_eq!(left[1].windows.len(), 13);
}
