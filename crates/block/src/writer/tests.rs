//! What is written is read, survives every crash, and no failing operation goes unnoticed.

use super::*;
use crate::testing::{Content, MemoryFiles, any_series, content, fleet, seed, series, write_block};
use crate::{Block, Dump, Tombstones, verify};
use longhaul_disk::RealFs;
use longhaul_model::{Measurement, Value};
use longhaul_testkit::measurements::{KINDS, measurement};
use longhaul_testkit::sim_fs::{EIO, FaultPoint, SimFs};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn local(dir: &Path) -> Arc<LocalFiles> {
    Arc::new(LocalFiles::new(Arc::new(RealFs), dir))
}

/// Any label sets, with names and values that share prefixes and are not all ASCII, each with samples of one kind or of
/// all in one to three chunks and more.
fn any_fleet() -> impl Strategy<Value = Vec<SeriesChunks>> {
    let name = prop_oneof!["[ab]{1,2}", "[a-z]{1,8}", Just("__name__".to_owned()), "\\PC{1,4}"];
    let value = prop_oneof!["[xy]{1,3}", "\\PC{1,12}", "[0-9]{1,3}"];
    let labels = proptest::collection::btree_map(name, value, 0..5);
    let kind = prop_oneof![Just(0u8..1), (0..KINDS).prop_map(|kind| kind..kind + 1), Just(0..KINDS)];
    let samples =
        kind.prop_flat_map(|kind| proptest::collection::btree_map(-1000i64..1000, (any::<f64>(), kind, 0u8..3), 1..12));
    let all = proptest::collection::btree_map(labels, (samples, 1usize..4), 0..40);
    all.prop_map(|all| {
        let one = |(t_ms, (float, kind, value)): (i64, (f64, u8, u8))| match measurement(t_ms, kind, value) {
            it if kind < 2 => Measurement { value: Value::Float(float), ..it },
            it => it,
        };
        let mut series = Vec::new();
        for (labels, (samples, pieces)) in all {
            let samples: Vec<_> = samples.into_iter().map(one).collect();
            let labels = Labels::from_pairs(labels.iter().map(|(n, v)| (n.as_str(), v.as_str())));
            series.push(any_series(labels, &samples, pieces));
        }
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        series
    })
}

fn dumped(files: &LocalFiles) -> Content {
    let all = Dump::new(files).unwrap().map(Result::unwrap);
    content(all.map(|s| SeriesChunks { labels: s.labels, chunks: s.chunks.into_iter().map(|c| c.chunk).collect() }))
}

fn selected(block: &Block) -> Content {
    content(block.select(&[], TimeRange::ALL).unwrap().into_series().map(Result::unwrap))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn what_is_written_is_read(all in any_fleet()) {
        let dir = tempfile::tempdir().unwrap();
        let meta = write_block(&dir.path().join("block"), &all);
        let files = local(&dir.path().join("block"));
        let expected = content(all.iter().cloned());
        prop_assert_eq!(&BlockMeta::parse(&std::fs::read(dir.path().join("block/meta.json")).unwrap()).unwrap(), &meta);
        prop_assert_eq!(dumped(&files), expected.clone());
        let block = Block::open(files.clone(), meta.clone()).unwrap();
        prop_assert_eq!(selected(&block), expected.clone());
        let rebuilt = Block::open_from_index(files.clone(), meta.clone()).unwrap();
        prop_assert_eq!(selected(&rebuilt), expected.clone());
        let report = verify(&*files, &meta).unwrap().sound().unwrap();
        let stats = &report.stats;
        let floats = |samples: &Vec<_>| samples.iter().filter(|it: &&crate::testing::Sample| it.2.len() == 8).count();
        prop_assert_eq!(stats.num_samples as usize, expected.values().map(Vec::len).sum::<usize>());
        prop_assert_eq!(stats.num_float_samples as usize, expected.values().map(floats).sum::<usize>());
        prop_assert_eq!(stats.num_float_samples + stats.num_histogram_samples, stats.num_samples);

        let mut names: BTreeMap<&str, std::collections::BTreeSet<&str>> = BTreeMap::new();
        all.iter().flat_map(|s| s.labels.iter()).for_each(|(n, v)| _ = names.entry(n).or_default().insert(v));
        prop_assert_eq!(block.label_names(&[]).unwrap(), names.keys().copied().collect::<Vec<_>>());
        for (name, values) in &names {
            prop_assert_eq!(block.label_values(name, &[]).unwrap(), values.iter().copied().collect::<Vec<_>>());
        }
        prop_assert!(block.label_values("no such name", &[]).unwrap().is_empty());
    }
}

#[test]
fn what_a_block_cannot_hold_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut fixed = seed();
    (fixed.min_ms, fixed.end_ms) = (0, 100);
    let mut writer = BlockWriter::create(Arc::new(RealFs), dir.path(), fixed).unwrap();
    writer.push(&series(&[("b", "1")], &[&[(0, 1.0), (99, 2.0)]])).unwrap();
    let mut wrong_bounds = series(&[("d", "1")], &[&[(1, 1.0), (2, 1.0)]]);
    wrong_bounds.chunks[0].max_ms = 3;
    for (refused, why) in [
        (series(&[("a", "1")], &[&[(1, 1.0)]]), "out of order"),
        (series(&[("b", "1")], &[&[(1, 1.0)]]), "twice"),
        (series(&[("c", "1")], &[&[(100, 1.0)]]), "outside of the range"),
        (series(&[("c", "1")], &[&[(-1, 1.0)]]), "outside of the range"),
        (series(&[("c", "1")], &[&[(1, 1.0), (5, 1.0)], &[(5, 1.0)]]), "overlapping"),
        (wrong_bounds, "other bounds than samples"),
    ] {
        assert!(matches!(writer.push(&refused), Err(BlockError::Refused(_))), "{why}");
    }
    writer.push(&series(&[("e", "1")], &[])).unwrap(); // left out
    let meta = writer.finish().unwrap();
    assert_eq!((meta.min_ms, meta.end_ms, meta.stats.num_series, meta.stats.num_samples), (0, 100, 1, 2));
    verify(&*local(dir.path()), &meta).unwrap().sound().unwrap();
}

#[test]
fn meta_lists_files_and_counts() {
    let dir = tempfile::tempdir().unwrap();
    let meta = write_block(dir.path(), &fleet(5, 30, 4));
    assert_eq!((meta.min_ms, meta.end_ms), (0, 39 * 15_000 + 1));
    let listed: Vec<_> = meta.thanos.as_ref().unwrap().files.iter().map(|file| file.rel_path.clone()).collect();
    assert!(listed.is_sorted() && listed.contains(&"chunks/000003".to_owned()), "{listed:?}");
    assert_eq!(
        meta.file_size_bytes(BlockFile::Index),
        Some(std::fs::metadata(dir.path().join("index")).unwrap().len())
    );
    assert_eq!(meta.stats.num_chunks, 5 * 30 * 4);
    assert_eq!(std::fs::read(dir.path().join("tombstones")).unwrap(), Tombstones::default().to_bytes());
    let files = MemoryFiles::load(dir.path());
    let report = verify(&files, &meta).unwrap().sound().unwrap();
    assert_eq!(Some(report.content_hash), meta.longhaul.as_ref().map(|longhaul| longhaul.content_hash));
    assert!(report.bytes_read > files.files.values().map(|bytes| bytes.len() as u64).sum());
}

#[test]
fn an_empty_block_is_a_block() {
    let dir = tempfile::tempdir().unwrap();
    let meta = write_block(dir.path(), &[]);
    verify(&*local(dir.path()), &meta).unwrap().sound().unwrap();
    let block = Block::open(local(dir.path()), meta).unwrap();
    assert_eq!(block.series_count(), 0);
    assert!(block.select(&[], TimeRange::ALL).unwrap().next().is_none());
}

#[test]
fn a_finished_block_survives_every_crash() {
    let fs = SimFs::new();
    let all = fleet(2, 10, 2);
    let dir = Path::new("/parts/tenant/block.tmp");
    let meta = write(Arc::new(fs.clone()), dir, seed(), all.iter().cloned().map(Ok)).unwrap();
    for disk in fs.crash_states(fs.trace_len(), 1) {
        let files = LocalFiles::new(Arc::new(disk), dir);
        verify(&files, &meta).unwrap().sound().unwrap();
        assert_eq!(dumped(&files), content(all.iter().cloned()));
    }
}

#[test]
fn no_failing_operation_goes_unnoticed() {
    for point in [FaultPoint::Append, FaultPoint::SyncData, FaultPoint::SyncDir, FaultPoint::Create] {
        for skip in 0.. {
            let fs = SimFs::new();
            fs.fail(point, skip, EIO);
            let all = fleet(1, 3, 1).into_iter().map(Ok);
            let written = write(Arc::new(fs.clone()), Path::new("/a/b/block"), seed(), all);
            match written {
                Err(error) => assert!(matches!(error, BlockError::Write { .. }), "{error}"),
                Ok(_) => {
                    assert!(skip >= 4, "{point:?} failed unnoticed after {skip}");
                    break;
                }
            }
        }
    }
}
