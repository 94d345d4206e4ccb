//! Windows that are written and read, whole and in part; damage.

use super::page::{Page, PageWriter};
use super::series::{decode, encode};
use super::{BlockColumns, Column, ColumnSet, ColumnsWriter, FILE, SeriesWindows};
use crate::testing::{MemoryFiles, open_dir, seed, series, write_block};
use crate::{BlockFile, BlockFiles, BlockMeta, BlockWriter, Downsample, ThanosMeta};
use longhaul_disk::RealFs;
use longhaul_downsample::{FloatWindow, HistogramWindow, NumberedWindow, Point, Resolution, Splitter, Window};
use longhaul_model::{BucketSpan, CounterResetHint, FloatHistogram, Labels, STALE_NAN_BITS};
use proptest::prelude::*;
use std::sync::Arc;

const RESOLUTION: Resolution = Resolution::FIVE_MINUTES;

/// A series as a test describes it: metric, and samples as time, start, value; a histogram where there is a second number.
type Described = (String, Vec<(i64, i64, f64, Option<u8>)>);

fn histogram(value: f64, buckets: u8) -> Arc<FloatHistogram> {
    let count = value.abs().min(1e6).floor();
    let counts = vec![count; usize::from(buckets % 4)];
    Arc::new(FloatHistogram {
        reset_hint: if buckets & 4 != 0 { CounterResetHint::Gauge } else { CounterResetHint::Unknown },
        schema: i32::from(buckets % 3),
        zero_count: if buckets & 8 != 0 { 0.5 } else { 0.0 },
        count: count * counts.len() as f64,
        sum: value,
        positive_spans: vec![BucketSpan { offset: -1, length: counts.len() as u32 }],
        positive_counts: counts,
        ..FloatHistogram::default()
    })
}

fn windows(samples: &[(i64, i64, f64, Option<u8>)]) -> Vec<NumberedWindow> {
    let mut splitter = Splitter::new(RESOLUTION);
    for (t_ms, start_ms, value, kind) in samples {
        match kind {
            None => splitter.push_float(*t_ms, *start_ms, *value),
            Some(buckets) => splitter.push_histogram(*t_ms, *start_ms, histogram(*value, *buckets)),
        }
    }
    splitter.finish()
}

fn described() -> impl Strategy<Value = Vec<Described>> {
    let plain = (-1000i32..1000).prop_map(|value| f64::from(value) / 10.0);
    let value = prop_oneof![
        6 => plain,
        2 => any::<i32>().prop_map(f64::from),
        1 => any::<f64>(),
        1 => prop::sample::select(vec![0.0, -0.0, 1e100, -1e100, 1.0, f64::INFINITY, f64::NAN, f64::from_bits(STALE_NAN_BITS)]),
    ];
    let gap = prop_oneof![6 => Just(15_000i64), 2 => 1i64..100_000, 1 => Just(300_000i64), 1 => 300_000i64..2_000_000];
    let sample = (gap, value, 0u8..10, any::<u8>());
    let metric = prop::sample::select(vec!["a_total", "gauge", "x_sum"]);
    let kinds = prop::sample::select(vec![0u8, 0, 9, 5]); // how many of ten samples are histograms
    let one = (metric, prop::collection::vec(sample, 1..80), -3_000_000i64..3_000_000, kinds, any::<bool>());
    prop::collection::vec(one, 1..12).prop_map(|all| {
        let each = all.into_iter().enumerate().map(|(at, (metric, samples, mut t_ms, histograms, starts))| {
            let samples = samples.into_iter().map(|(gap_ms, value, kind, buckets)| {
                t_ms += gap_ms;
                let start_ms = if starts { t_ms - gap_ms * i64::from(buckets % 3) } else { 0 };
                (t_ms, start_ms, value, (kind < histograms).then_some(buckets & 0b1100))
            });
            (format!("x{at}_{metric}"), samples.collect())
        });
        each.collect()
    })
}

fn files(all: &[(Labels, Vec<NumberedWindow>)]) -> (Arc<MemoryFiles>, BlockMeta) {
    let mut writer = ColumnsWriter::begin(Vec::new(), RESOLUTION).unwrap();
    all.iter().for_each(|(labels, windows)| writer.push(labels, windows, ColumnSet::ALL).unwrap());
    let mut files = MemoryFiles::default();
    files.files.insert(FILE, writer.finish().unwrap().into());
    let mut meta = seed();
    let downsample = Downsample { resolution: RESOLUTION.length_ms(), ..Downsample::default() };
    meta.thanos = Some(ThanosMeta { downsample, ..ThanosMeta::default() });
    (Arc::new(files), meta)
}

fn labelled(all: &[Described]) -> Vec<(Labels, Vec<NumberedWindow>)> {
    all.iter().map(|(name, samples)| (Labels::from_pairs([("__name__", name.as_str())]), windows(samples))).collect()
}

fn within(found: f64, written: f64, share: f64) -> bool {
    found.to_bits() == written.to_bits()
        || (found.is_nan() && written.is_nan())
        || (found - written).abs() <= share * written.abs()
}

fn same_floats(found: &FloatWindow, written: &FloatWindow, known: ColumnSet) {
    use Column::*;
    let point = |it: Point| (it.t_ms, it.start_ms, it.value.to_bits());
    let exact = |it: &FloatWindow| {
        let ends = (point(it.first), point(it.last), it.prev.map(point));
        (it.count, it.nan_count, ends, it.min.to_bits(), it.max.to_bits(), it.resets, it.changes, it.overlaps)
    };
    assert_eq!(exact(found), exact(written));
    assert!(within(found.sum.total(), written.sum.total(), f64::powi(2.0, -50)), "{found:?} {written:?}");
    if known.contains(Correction) {
        assert_eq!(found.correction.to_bits(), written.correction.to_bits());
    }
    if known.contains(Squares) && written.squares.abs() > f64::MIN_POSITIVE {
        assert!(within(found.squares, written.squares, f64::powi(2.0, -40)), "{found:?} {written:?}");
    }
}

fn same_histograms(found: &HistogramWindow, written: &HistogramWindow) {
    let alike = |a: &FloatHistogram, b: &FloatHistogram| {
        let (mut a, mut b) = (a.clone(), b.clone());
        a.compact(0);
        b.compact(0);
        assert_eq!(a.reset_hint, b.reset_hint);
        assert!(a.same(&b), "{a:?} {b:?}");
    };
    assert_eq!((found.first.t_ms, found.first.start_ms), (written.first.t_ms, written.first.start_ms));
    assert_eq!((found.last.t_ms, found.last.start_ms), (written.last.t_ms, written.last.start_ms));
    alike(&found.first.value, &written.first.value);
    alike(&found.last.value, &written.last.value);
    assert_eq!(found.prev.is_some(), written.prev.is_some());
    if let (Some(found), Some(written)) = (&found.prev, &written.prev) {
        assert_eq!((found.t_ms, found.start_ms), (written.t_ms, written.start_ms));
        alike(&found.value, &written.value);
    }
    let figures = |it: &HistogramWindow| (it.count, it.resets, it.changes, it.layouts, it.overlaps);
    assert_eq!(figures(found), figures(written));
    for (found, written) in [(&found.sum, &written.sum), (&found.correction, &written.correction)] {
        assert_eq!(found.is_some(), written.is_some());
        if let (Some(found), Some(written)) = (found, written) {
            let (mut found, mut written) = (found.total(), written.total());
            (found.reset_hint, written.reset_hint) = (CounterResetHint::Gauge, CounterResetHint::Gauge);
            alike(&found, &written);
        }
    }
}

fn same(found: &[NumberedWindow], written: &[NumberedWindow], known: ColumnSet) {
    assert_eq!(found.len(), written.len());
    for (found, written) in found.iter().zip(written) {
        assert_eq!((found.number, found.window.stale_ms), (written.number, written.window.stale_ms));
        assert_eq!(found.window.floats.is_some(), written.window.floats.is_some());
        assert_eq!(found.window.histograms.is_some(), written.window.histograms.is_some());
        if let (Some(found), Some(written)) = (&found.window.floats, &written.window.floats) {
            same_floats(found, written, known);
        }
        if let (Some(found), Some(written)) = (&found.window.histograms, &written.window.histograms) {
            same_histograms(found, written);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn windows_come_back(all in described()) {
        let all = labelled(&all);
        let (files, meta) = files(&all);
        prop_assert_eq!(super::check(&*files, &meta).unwrap(), all.len() as u64);
        let columns = BlockColumns::open(files.clone(), &meta).unwrap();
        prop_assert_eq!((columns.resolution(), columns.series_count()), (RESOLUTION, all.len() as u64));
        let ordinals: Vec<u32> = (0..all.len() as u32).collect();
        let found = columns.read(&ordinals, ColumnSet::ALL).unwrap();
        for (found, (labels, written)) in found.iter().zip(&all) {
            let floats = written.iter().any(|it| it.window.floats.is_some());
            let counter = labels.metric_name().ends_with("_total");
            prop_assert!(!floats || !counter || found.known.contains(Column::Correction));
            same(&found.windows, written, found.known);
        }
        // A column alone, of some series, says what it says among all.
        for column in Column::ALL {
            let some: Vec<u32> = ordinals.iter().copied().filter(|ordinal| ordinal % 3 == 1).collect();
            for part in columns.read(&some, ColumnSet::of(&[column])).unwrap() {
                let whole = &found[part.ordinal as usize];
                prop_assert_eq!(part.known.contains(column), whole.known.contains(column));
                same_column(column, &part, whole);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Damage that no checksum tells, because whoever wrote it made the checksums too.
    #[test]
    fn any_cells_end_in_an_answer(
        all in described(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in any::<bool>(),
    ) {
        let (_, windows) = &labelled(&all)[0];
        let mut cells: Vec<Vec<u8>> = Column::ALL.iter().map(|_| Vec::new()).collect();
        encode(windows, RESOLUTION, ColumnSet::ALL, &mut cells);
        for (cell, place, byte) in damage {
            let cell = cell.get_mut(&mut cells);
            match place.index(cell.len() + 1) {
                at if at == cell.len() => cell.push(byte),
                at if cut => cell.truncate(at),
                at => cell[at] = byte,
            }
        }
        let pages = cells.iter().map(|cell| {
            let mut page = PageWriter::default();
            page.push(cell);
            Page::open(page.take().into(), 0, 1).unwrap()
        });
        if let Ok((_, windows)) = decode(&pages.collect(), 0, RESOLUTION, ColumnSet::ALL) {
            // What was taken for windows folds like any.
            windows.iter().fold(Window::default(), |mut all, it| {
                all.fold(&it.window);
                all
            });
        }
    }
}

/// Whether two reads agree in a column.
fn same_column(column: Column, a: &SeriesWindows, b: &SeriesWindows) {
    let of = |window: &Window| {
        let floats = window.floats.as_ref().map(|it| match column {
            Column::Last => it.last.value.to_bits(),
            Column::LastTime => it.last.t_ms as u64,
            Column::First => it.first.value.to_bits(),
            Column::FirstTime => it.first.t_ms as u64,
            Column::Prev => it.prev.map_or(0, |prev| prev.value.to_bits()),
            Column::PrevTime => it.prev.map_or(0, |prev| prev.t_ms as u64),
            Column::Min => it.min.to_bits(),
            Column::Max => it.max.to_bits(),
            Column::Sum => it.total().map_or(0, f64::to_bits) ^ it.average().map_or(0, f64::to_bits).rotate_left(1),
            Column::Correction => it.correction.to_bits(),
            Column::Resets => it.resets,
            Column::Changes => it.changes,
            Column::Squares => it.squares.to_bits() ^ it.mean.to_bits() ^ it.variance().map_or(0, f64::to_bits),
            _ => it.count,
        });
        let histograms = window.histograms.as_ref().map(|it| match column {
            Column::HistogramLast => it.last.value.sum.to_bits(),
            Column::HistogramFirst => it.first.value.sum.to_bits(),
            Column::HistogramSum => it.sum.as_ref().map_or(0, |sum| sum.total().sum.to_bits()),
            _ => 0,
        });
        (floats.filter(|_| (column as u8) < Column::HistogramCount as u8), histograms)
    };
    for (a, b) in a.windows.iter().zip(&b.windows) {
        assert_eq!(a.number, b.number);
        if column == Column::Number {
            continue;
        }
        let floats_only = (column as u8) < Column::HistogramCount as u8;
        match floats_only {
            true => assert_eq!(of(&a.window).0, of(&b.window).0, "{column:?}"),
            false => assert_eq!(of(&a.window).1, of(&b.window).1, "{column:?}"),
        }
    }
}

/// Some series, one of them of histograms.
fn small() -> Vec<(Labels, Vec<NumberedWindow>)> {
    let samples = |kind: Option<u8>| (0..100).map(|n| (n * 15_000, 0, (n % 17) as f64 / 10.0, kind)).collect();
    labelled(&[("a_total".into(), samples(None)), ("b".into(), samples(None)), ("c".into(), samples(Some(4)))])
}

#[test]
fn every_byte_that_is_damaged_is_noticed() {
    let (files, meta) = files(&small());
    let bytes = files.files[&FILE].to_vec();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x41;
        let mut files = MemoryFiles::default();
        files.files.insert(FILE, damaged.into());
        assert!(super::check(&files, &meta).is_err(), "byte {at}");
    }
    for length in 0..bytes.len() {
        let mut files = MemoryFiles::default();
        files.files.insert(FILE, bytes[..length].to_vec().into());
        assert!(super::check(&files, &meta).is_err(), "{length} bytes");
    }
}

#[test]
fn a_rate_reads_little_of_the_file() {
    let all: Vec<Described> = (0..200)
        .map(|series| {
            let samples =
                (0..2000).map(|n| (n * 15_000 + series % 7, 0, ((n * 7919 + series * 31) % 1009) as f64, None));
            (format!("metric_{series:03}"), samples.collect())
        })
        .collect();
    let (files, meta) = files(&labelled(&all));
    let columns = BlockColumns::open(files.clone(), &meta).unwrap();
    files.rounds.lock().unwrap().clear();
    use Column::{Correction, First, FirstTime, Last, LastTime};
    let rate = ColumnSet::of(&[First, FirstTime, Last, LastTime, Correction]);
    let found = columns.read(&[3, 150], rate).unwrap();
    assert_eq!(found.iter().map(|it| it.ordinal).collect::<Vec<_>>(), [3, 150]);
    let rounds = files.rounds.lock().unwrap();
    assert_eq!(rounds.len(), 1, "one round of reads");
    let read: u64 = rounds[0].1.iter().map(|range| range.end - range.start).sum();
    assert_eq!(read, columns.read_bytes(&[3, 150], rate));
    assert!(read * 2 < columns.read_bytes(&[3, 150], ColumnSet::ALL));
}

#[test]
fn a_block_holds_the_windows_of_all_its_series_or_of_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("block");
    let raw = series(&[("__name__", "a_total")], &[&[(1, 1.0), (300_000, 2.0)]]);
    let other = series(&[("__name__", "b")], &[&[(1, 1.0)]]);
    let mut coarse = seed();
    let downsample = Downsample { resolution: RESOLUTION.length_ms(), ..Downsample::default() };
    coarse.thanos = Some(ThanosMeta { downsample, ..ThanosMeta::default() });
    let create = |name: &str, meta: &BlockMeta| {
        BlockWriter::create(Arc::new(RealFs), &dir.path().join(name), meta.clone()).unwrap()
    };
    let windows = windows(&[(1, 0, 1.0, None), (300_000, 0, 2.0, None)]);

    let mut writer = create("block", &coarse);
    writer.push(&raw).unwrap();
    writer.push_windows(&windows).unwrap();
    assert!(writer.push_windows(&windows).is_err(), "twice");
    writer.push(&other).unwrap();
    writer.push_windows(&windows[..1]).unwrap();
    let meta = writer.finish().unwrap();
    let (files, _) = open_dir(&path);
    assert_eq!(crate::verify(&*files, &meta).unwrap().problems, []);
    let columns = BlockColumns::open(files.clone(), &meta).unwrap();
    assert_eq!(columns.read(&[0, 1], ColumnSet::ALL).unwrap()[0].windows[0].window.samples(), 2);
    assert!(
        meta.file_size_bytes(BlockFile::Columns)
            .is_some_and(|listed| listed == files.size(BlockFile::Columns).unwrap())
    );

    let mut writer = create("short", &coarse);
    writer.push(&raw).unwrap();
    writer.push_windows(&windows).unwrap();
    writer.push(&other).unwrap();
    assert!(writer.finish().is_err(), "a series has none");
    let mut writer = create("raw", &seed());
    writer.push(&raw).unwrap();
    assert!(writer.push_windows(&windows).is_err(), "raw samples have none");

    // Windows of another block's series are noticed.
    let more = dir.path().join("more");
    let mut meta = write_block(&more, &[raw, other.clone(), series(&[("__name__", "c")], &[&[(1, 1.0)]])]);
    std::fs::copy(path.join("columns"), more.join("columns")).unwrap();
    meta.thanos.as_mut().unwrap().downsample.resolution = RESOLUTION.length_ms();
    let report = crate::verify(&*open_dir(&more).0, &meta).unwrap();
    assert!(report.problems.iter().any(|problem| problem.file == BlockFile::Columns), "{:?}", report.problems);
}
