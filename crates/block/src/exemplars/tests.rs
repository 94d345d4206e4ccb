//! What is written is read, by selector and by time; every damage is found; nobody is asked for what is not there.

use super::*;
use crate::testing::{MemoryFiles, fleet, seed};
use crate::{Block, BlockMeta, BlockWriter, Result, verify};
use longhaul_disk::RealFs;
use longhaul_model::{Exemplar, Labels, MatchOp, Matcher, TimeRange};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

type Set = BTreeSet<(Labels, Exemplar)>;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}

fn exemplar(t_ms: i64, value: f64, trace: &str) -> Exemplar {
    Exemplar { t_ms, value, labels: labels(&[("trace_id", trace)]) }
}

/// A block with some samples and these exemplars.
fn write_block(dir: &Path, all: &Set) -> BlockMeta {
    let mut writer = BlockWriter::create(Arc::new(RealFs), dir, seed()).unwrap();
    fleet(1, 2, 1).iter().for_each(|series| writer.push(series).unwrap());
    all.iter().for_each(|(series, exemplar)| writer.push_exemplar(series, exemplar).unwrap());
    writer.finish().unwrap()
}

fn block_of(all: &Set) -> (MemoryFiles, BlockMeta) {
    let dir = tempfile::tempdir().unwrap();
    let meta = write_block(dir.path(), all);
    (MemoryFiles::load(dir.path()), meta)
}

fn read(
    files: MemoryFiles,
    meta: &BlockMeta,
    matchers: &[Matcher],
    range: TimeRange,
) -> Result<Vec<(Labels, Exemplar)>> {
    Block::open(Arc::new(files), meta.clone())?.exemplars(matchers, range)?.collect()
}

fn any_exemplars() -> impl Strategy<Value = Set> {
    let series = ("[ab]{1,2}", "[xy]{1,2}").prop_map(|(metric, job)| labels(&[("__name__", &metric), ("job", &job)]));
    let own = proptest::collection::btree_map("[a-c]{1,3}", "\\PC{0,6}", 0..3);
    let exemplar = (-50i64..50, any::<f64>(), own).prop_map(|(t_ms, value, own)| {
        let labels = Labels::from_pairs(own.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        Exemplar { t_ms, value, labels }
    });
    proptest::collection::btree_set((series, exemplar), 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_written_is_read(all in any_exemplars(), from in -60i64..60, length in 0i64..80, metric in "[ab]{1,2}") {
        let (files, meta) = block_of(&all);
        prop_assert_eq!(meta.exemplars(), all.len() as u64);
        let report = verify(&files, &meta).unwrap();
        prop_assert_eq!(report.problems, vec![]);
        let range = TimeRange::new(from, from + length);
        for matchers in [
            vec![],
            vec![Matcher::equal("__name__", &metric)],
            vec![Matcher::new("__name__", MatchOp::NotEqual, &metric).unwrap(), Matcher::equal("job", "x")],
            vec![Matcher::new("__name__", MatchOp::Regex, ".b").unwrap()],
        ] {
            let wanted = |(series, exemplar): &&(Labels, Exemplar)| {
                let value = |matcher: &Matcher| series.get(&matcher.name).unwrap_or_default();
                range.contains(exemplar.t_ms) && matchers.iter().all(|matcher| matcher.matches(value(matcher)))
            };
            let expected: Vec<_> = all.iter().filter(wanted).cloned().collect();
            let again = MemoryFiles { files: files.files.clone(), ..MemoryFiles::default() };
            prop_assert_eq!(read(again, &meta, &matchers, range).unwrap(), expected);
        }
    }

    #[test]
    fn a_union_has_each_once(sets in proptest::collection::vec(any_exemplars(), 0..4)) {
        let source = |set: &Set| -> ExemplarSource<'static> { Box::new(set.clone().into_iter().map(Ok)) };
        let mut union = union_exemplars(sets.iter().map(source).collect());
        let joined: Vec<_> = union.by_ref().map(Result::unwrap).collect();
        let expected: Set = sets.iter().flatten().cloned().collect();
        prop_assert_eq!(&joined, &expected.into_iter().collect::<Vec<_>>());
        let all: usize = sets.iter().map(BTreeSet::len).sum();
        prop_assert_eq!(union.duplicates(), (all - joined.len()) as u64);
    }

    /// Pages whose checksum is right and whose content is anything: an answer or an error, in bounded memory.
    #[test]
    fn hostile_pages_end_in_an_answer(
        all in any_exemplars(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut page = page::PageWriter::default();
        all.iter().for_each(|(series, exemplar)| page.push(series, exemplar));
        if let Some((mut bytes, entry)) = page.take(8) {
            bytes.truncate(bytes.len() - 4);
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.extend(crate::cursor::crc(&bytes).to_be_bytes());
            let _ = page::decode(&bytes, &entry);
        }
    }
}

/// Many pages, of which a look-up reads those that can have something.
#[test]
fn pages_are_chosen_by_metric_and_time() {
    let mut all = Set::new();
    for metric in 0..4 {
        let series = labels(&[("__name__", &format!("metric_{metric}")), ("job", "api")]);
        let one = |n: i64| (series.clone(), exemplar(n * 1000, n as f64, &format!("{:032x}", n * 7919 + metric)));
        all.extend((0..3000).map(one));
    }
    let (files, meta) = block_of(&all);
    let pages = reader::ExemplarPages::open(&files, &meta).unwrap();
    let size_bytes = files.files[&FILE].len();
    files.rounds.lock().unwrap().clear();
    let range = TimeRange::new(1_000_000, 1_100_000);
    let files = Arc::new(files);
    let block = Block::open(files.clone(), meta).unwrap();
    let found: Result<Vec<_>> = block.exemplars(&[Matcher::equal("__name__", "metric_2")], range).unwrap().collect();
    assert_eq!(found.unwrap().len(), 100);
    let rounds = files.rounds.lock().unwrap();
    let read: Vec<_> = rounds.iter().filter(|(file, _)| *file == FILE).flat_map(|(_, ranges)| ranges).collect();
    let read_bytes: u64 = read.iter().map(|range| range.end - range.start).sum();
    assert!(read.len() <= 4 && read_bytes < 120_000, "{read:?} of {size_bytes} bytes; {pages:?}");
}

#[test]
fn without_exemplars_there_is_no_file_and_nobody_is_asked() {
    let (files, meta) = block_of(&Set::new());
    assert!(!files.files.contains_key(&FILE));
    let files = Arc::new(files);
    let block = Block::open(files.clone(), meta).unwrap();
    let rounds = files.rounds.lock().unwrap().len();
    assert_eq!(block.exemplars(&[], TimeRange::ALL).unwrap().count(), 0);
    assert_eq!(files.rounds.lock().unwrap().len(), rounds);
}

/// A series without samples, and a time outside of all samples: the block's range holds it.
#[test]
fn exemplars_alone_make_a_block() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = BlockWriter::create(Arc::new(RealFs), dir.path(), seed()).unwrap();
    let series = labels(&[("__name__", "orphan")]);
    writer.push_exemplar(&series, &exemplar(-7, 1.0, "a")).unwrap();
    assert!(writer.push_exemplar(&series, &exemplar(-7, 1.0, "a")).is_err(), "none comes twice");
    assert!(writer.push_exemplar(&series, &exemplar(-8, 1.0, "a")).is_err(), "times rise");
    writer.push_exemplar(&series, &exemplar(9, 1.0, "a")).unwrap();
    let meta = writer.finish().unwrap();
    assert_eq!((meta.range(), meta.stats.num_series), (TimeRange::new(-7, 10), 0));
    let files = MemoryFiles::load(dir.path());
    verify(&files, &meta).unwrap().sound().unwrap();
    assert_eq!(read(files, &meta, &[], TimeRange::ALL).unwrap().len(), 2);
}

/// I-BLOCK-1
#[test]
fn every_damaged_byte_and_every_cut_is_found() {
    let one = |n: i64| (labels(&[("__name__", "m"), ("i", &n.to_string())]), exemplar(n, 0.5, "abc"));
    let (files, meta) = block_of(&(0..5).map(one).collect());
    let bytes = files.files[&FILE].clone();
    let damaged = |bytes: Vec<u8>| {
        let mut damaged = MemoryFiles { files: files.files.clone(), ..MemoryFiles::default() };
        damaged.files.insert(FILE, bytes.into());
        damaged
    };
    // Without the digest of the file, so that the format's own checks are asked.
    let mut bare = meta.clone();
    bare.thanos.as_mut().unwrap().files.clear();
    for at in 0..bytes.len() {
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 0x20;
        assert!(verify(&damaged(flipped.clone()), &bare).unwrap().sound().is_err(), "byte {at}");
        // The header is not read by a look-up.
        let is_read = at >= HEADER.len();
        assert_eq!(read(damaged(flipped), &bare, &[], TimeRange::ALL).is_err(), is_read, "byte {at}");
        assert!(read(damaged(bytes[..at].to_vec()), &bare, &[], TimeRange::ALL).is_err(), "cut at {at}");
    }
    let mut missing = MemoryFiles { files: files.files.clone(), ..MemoryFiles::default() };
    missing.files.remove(&FILE);
    assert!(verify(&missing, &bare).unwrap().sound().is_err());
    assert!(read(missing, &bare, &[], TimeRange::ALL).unwrap_err().is_corrupt());
}
