//! A block that is read with deletions answers like one that never had what they are about.

use super::*;
use crate::testing::{MemoryFiles, fleet, seed, series};
use crate::{Block, BlockMeta};
use longhaul_chunk::{SeriesChunks, decode_any};
use longhaul_disk::RealFs;
use longhaul_model::{MatchOp, Matcher};
use std::collections::{BTreeMap, BTreeSet};

fn stored(all: &[SeriesChunks]) -> (Arc<MemoryFiles>, BlockMeta) {
    let dir = tempfile::tempdir().unwrap();
    let meta = crate::write(Arc::new(RealFs), dir.path(), seed(), all.iter().cloned().map(Ok)).unwrap();
    (Arc::new(MemoryFiles::load(dir.path())), meta)
}

type Content = BTreeMap<Labels, Vec<i64>>;

fn content(all: impl IntoIterator<Item = SeriesChunks>) -> Content {
    let mut content = Content::new();
    for series in all {
        let mut samples = Vec::new();
        series.chunks.iter().for_each(|chunk| decode_any(chunk, &mut samples).unwrap());
        content.insert(series.labels, samples.iter().map(|sample| sample.t_ms).collect());
    }
    content
}

#[test]
fn what_is_deleted_is_neither_selected_nor_looked_up() {
    let mut all = fleet(5, 40, 3);
    all.push(series(&[("__name__", "odd"), ("only", "here")], &[&[(5, 1.0)], &[(9, 2.0)]]));
    let (files, meta) = stored(&all);
    let block = Block::open(files, meta).unwrap();
    let whole = content(all);
    let regex = |name: &str, op, value: &str| Matcher::new(name, op, value).unwrap();
    let tombstone = |matchers: Vec<Matcher>, range| Arc::new(Tombstone { matchers, range });
    let everything = TimeRange::ALL;
    let cases: Vec<Vec<Arc<Tombstone>>> = vec![
        vec![tombstone(vec![Matcher::equal("only", "here")], everything)],
        vec![tombstone(vec![Matcher::equal("only", "here")], TimeRange::new(0, 6))],
        vec![
            tombstone(vec![Matcher::equal("only", "here")], TimeRange::new(0, 6)),
            tombstone(vec![Matcher::equal("__name__", "odd")], TimeRange::new(6, 10)),
        ],
        vec![tombstone(vec![Matcher::equal("job", "api"), regex("zone", MatchOp::Regex, "z[1-3]")], everything)],
        vec![tombstone(vec![regex("__name__", MatchOp::NotEqual, "odd")], TimeRange::new(i64::MIN, 200_000))],
        vec![tombstone(vec![], everything)],
        vec![tombstone(vec![Matcher::equal("nothing", "x")], everything)],
        vec![tombstone(vec![], TimeRange::new(i64::MAX - 1, i64::MAX))],
    ];
    for tombstones in cases {
        let masked = block.without(tombstones.clone());
        let mut expected = whole.clone();
        for (labels, times) in &mut expected {
            times.retain(|t_ms| !tombstones.iter().any(|it| it.is_about(labels) && it.range.contains(*t_ms)));
        }
        expected.retain(|_, times| !times.is_empty());
        let found = masked.select(&[], everything).unwrap().into_series().map(Result::unwrap);
        assert_eq!(content(found), expected, "{tombstones:?}");
        for matchers in [vec![], vec![Matcher::equal("job", "api")], vec![regex("only", MatchOp::NotEqual, "")]] {
            let left: Vec<&Labels> = expected
                .keys()
                .filter(|labels| Tombstone { matchers: matchers.clone(), range: everything }.is_about(labels))
                .collect();
            let names: BTreeSet<_> = left.iter().flat_map(|labels| labels.iter().map(|(name, _)| name)).collect();
            let zones: BTreeSet<_> = left.iter().filter_map(|labels| labels.get("zone")).collect();
            assert!(masked.label_names(&matchers).unwrap().iter().eq(names), "{matchers:?} {tombstones:?}");
            assert!(masked.label_values("zone", &matchers).unwrap().iter().eq(zones), "{matchers:?} {tombstones:?}");
            assert!(masked.series(&matchers, everything).unwrap().iter().eq(left), "{matchers:?} {tombstones:?}");
        }
    }
    assert_eq!(content(block.select(&[], everything).unwrap().into_series().map(Result::unwrap)), whole);
}

#[test]
fn what_is_deleted_as_a_whole_is_not_even_read() {
    let (files, meta) = stored(&fleet(5, 40, 3));
    let block = Block::open(files.clone(), meta).unwrap();
    let about = Tombstone { matchers: vec![Matcher::equal("__name__", "metric_001")], range: TimeRange::ALL };
    let masked = block.without(vec![Arc::new(about)]);
    files.rounds.lock().unwrap().clear();
    let found = masked.select(&[Matcher::equal("__name__", "metric_001")], TimeRange::ALL).unwrap();
    assert_eq!(found.into_series().count(), 0);
    let rounds = files.rounds.lock().unwrap();
    assert!(rounds.iter().all(|(file, _)| *file == crate::BlockFile::Lookup), "{rounds:?}");
}
