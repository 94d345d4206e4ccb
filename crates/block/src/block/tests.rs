//! Reading a block: few rounds, the right series, bounded batches.

use super::*;
use crate::testing::{MemoryFiles, chunk, content, fleet, seed, series};
use longhaul_chunk::SeriesChunks;
use longhaul_disk::RealFs;
use longhaul_model::MatchOp;

/// A block as a bucket holds it, its files in memory.
fn stored(all: &[SeriesChunks]) -> (Arc<MemoryFiles>, BlockMeta) {
    let dir = tempfile::tempdir().unwrap();
    let meta = crate::write(Arc::new(RealFs), dir.path(), seed(), all.iter().cloned().map(Ok)).unwrap();
    (Arc::new(MemoryFiles::load(dir.path())), meta)
}

fn matches(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels.get(&matcher.name).unwrap_or("")))
}

#[test]
fn a_cold_instant_query_takes_four_rounds_and_few_ranges() {
    let (files, meta) = stored(&fleet(60, 300, 2));
    assert!(meta.file_size_bytes(BlockFile::Lookup) > Some(400_000));
    let matchers = [
        Matcher::equal("__name__", "metric_030"),
        Matcher::equal("job", "api"),
        Matcher::equal("instance", "10.0.0.99:9100"),
    ];
    for k in 1..=3 {
        files.rounds.lock().unwrap().clear();
        *files.sizes.lock().unwrap() = 0;
        let block = Block::open(files.clone(), meta.clone()).unwrap();
        let range = TimeRange::new(100_000, 400_000);
        let found: Vec<_> = block.select(&matchers[..k], range).unwrap().into_series().map(Result::unwrap).collect();
        assert_eq!(found.len(), [300, 100, 1][k - 1]);
        let rounds = files.rounds.lock().unwrap();
        let ranges: Vec<_> = rounds.iter().map(|(_, ranges)| ranges.len()).collect();
        let files_read: Vec<_> = rounds.iter().map(|(file, _)| *file).collect();
        assert_eq!(files_read, [BlockFile::Lookup, BlockFile::Lookup, BlockFile::Lookup, BlockFile::Chunks(0)]);
        assert!(ranges[..3].iter().sum::<usize>() <= 2 + k, "{ranges:?} ranges for {k} matchers");
        assert_eq!(ranges[3], 1, "chunks of one metric lie side by side");
        assert_eq!(*files.sizes.lock().unwrap(), 0, "sizes stand in meta.json");
    }
}

#[test]
fn what_was_asked_before_is_read_from_memory_but_for_its_chunks() {
    let all = fleet(60, 300, 2);
    let (files, meta) = stored(&all);
    let matchers = [Matcher::equal("__name__", "metric_030"), Matcher::equal("job", "api")];
    let select = |block: &Block| -> Vec<Labels> {
        let found = block.select(&matchers, TimeRange::ALL).unwrap().into_series();
        found.map(|series| series.unwrap().labels).collect()
    };
    let expected: Vec<_> = all.iter().map(|it| it.labels.clone()).filter(|it| matches(&matchers, it)).collect();
    // Room for all of it, for some, and for nothing.
    for (bytes_max, kept) in [(64 << 20, true), (600_000, false), (0, false)] {
        let cache = Arc::new(PageCache::new(bytes_max));
        let block = Block::open(files.clone(), meta.clone()).unwrap();
        block.keep_pages(&cache);
        assert_eq!(block.select(&[], TimeRange::ALL).unwrap().into_series().count(), all.len());
        assert_eq!(select(&block), expected);
        files.rounds.lock().unwrap().clear();
        assert_eq!(select(&block), expected);
        let files_read: Vec<_> = files.rounds.lock().unwrap().iter().map(|(file, _)| *file).collect();
        if kept {
            assert_eq!(files_read, [BlockFile::Chunks(0)]);
        }
        // Another block has other pages, even if it is the same one.
        let again = Block::open(files.clone(), meta.clone()).unwrap();
        again.keep_pages(&cache);
        files.rounds.lock().unwrap().clear();
        assert_eq!(select(&again), expected);
        assert_eq!(files.rounds.lock().unwrap().len(), 3, "{bytes_max}");
    }
}

#[test]
fn selecting_is_filtering() {
    let mut all = fleet(7, 40, 3);
    all.push(series(&[("__name__", "odd"), ("only", "here")], &[&[(5, 1.0)], &[(9, 2.0)]]));
    let (files, meta) = stored(&all);
    let block = Block::open(files, meta).unwrap();
    let regex = |name: &str, op, value: &str| Matcher::new(name, op, value).unwrap();
    for matchers in [
        vec![],
        vec![Matcher::equal("job", "api")],
        vec![Matcher::equal("job", "api"), regex("zone", MatchOp::Regex, "z[1-3]")],
        vec![regex("__name__", MatchOp::Regex, "metric_00.+"), regex("job", MatchOp::NotEqual, "api")],
        vec![regex("only", MatchOp::NotEqual, "")],
        vec![regex("only", MatchOp::Equal, ""), regex("zone", MatchOp::NotRegex, "z0|z1|")],
        vec![regex("instance", MatchOp::Regex, "10\\.0\\.0\\.1.*|x")],
        vec![Matcher::equal("job", "nothing")],
        vec![Matcher::equal("nothing", "x")],
    ] {
        for range in
            [TimeRange::ALL, TimeRange::new(0, 10), TimeRange::new(150_000, 300_000), TimeRange::new(600_000, 700_000)]
        {
            let mut expected = all.clone();
            expected.retain(|series| matches(&matchers, &series.labels));
            let (mut names, mut zones) = (BTreeSet::new(), BTreeSet::new());
            for series in &expected {
                names.extend(series.labels.iter().map(|(name, _)| name.to_owned()));
                zones.extend(series.labels.get("zone").map(str::to_owned));
            }
            assert!(block.label_names(&matchers).unwrap().into_iter().eq(names), "{matchers:?}");
            assert!(block.label_values("zone", &matchers).unwrap().into_iter().eq(zones), "{matchers:?}");
            let matched = expected.len() as u64;
            expected.iter_mut().for_each(|series| {
                series.chunks.retain(|chunk| TimeRange::inclusive(chunk.min_ms, chunk.max_ms).overlaps(&range));
            });
            expected.retain(|series| !series.chunks.is_empty());
            let selected = block.select(&matchers, range).unwrap();
            assert_eq!(selected.series_matched(), matched);
            let batches: Vec<_> = selected.map(Result::unwrap).collect();
            assert!(batches.iter().all(|batch| !batch.is_empty() && batch.len() <= 512));
            let found: Vec<_> = batches.into_iter().flatten().collect();
            assert!(found.is_sorted_by(|a, b| a.labels < b.labels));
            let labels: Vec<_> = found.iter().map(|series| series.labels.clone()).collect();
            assert_eq!(block.series(&matchers, range).unwrap(), labels);
            assert_eq!(content(found), content(expected), "{matchers:?} {range}");
        }
    }
}

#[test]
fn names_and_values_of_many_series_come_from_postings() {
    let mut all = fleet(30, 60, 1);
    all.push(series(&[("only", "here")], &[&[(5, 1.0)]]));
    let (files, meta) = stored(&all);
    let block = Block::open(files, meta).unwrap();
    let api = [Matcher::new("job", MatchOp::NotEqual, "").unwrap()];
    assert!(block.select(&api, TimeRange::ALL).unwrap().series_matched() > SERIES_READ_MAX);
    assert_eq!(block.label_names(&api).unwrap(), ["__name__", "instance", "job", "zone"]);
    assert_eq!(block.label_values("job", &api).unwrap(), ["api", "web"]);
    assert_eq!(block.label_values("only", &api).unwrap(), [""; 0]);
    assert_eq!(block.cardinality().find(|(name, _)| *name == "zone"), Some(("zone", 7)));
}

#[test]
fn external_labels_of_a_foreign_block_are_labels_and_keep_the_order() {
    // Without the added label the first comes before the second, with it behind; the third and the fourth become one.
    let all = [
        series(&[("a", "1")], &[&[(1, 1.0)]]),
        series(&[("a", "1"), ("b", "2")], &[&[(1, 2.0)]]),
        series(&[("c", "1"), ("z", "x")], &[&[(1, 3.0)]]),
        series(&[("c", "1"), ("z", "y")], &[&[(2, 4.0)]]),
    ];
    let (files, mut meta) = stored(&all);
    meta.longhaul = None;
    let thanos = meta.thanos.as_mut().unwrap();
    thanos.labels = [("z", "cluster"), ("__org_id__", "tenant")].map(|(n, v)| (n.to_owned(), v.to_owned())).into();
    thanos.files.clear();
    let mut files = MemoryFiles { files: files.files.clone(), ..MemoryFiles::default() };
    files.files.remove(&BlockFile::Lookup);
    let block = Block::open(Arc::new(files), meta).unwrap();
    let found: Vec<_> = block.select(&[], TimeRange::ALL).unwrap().into_series().map(Result::unwrap).collect();
    assert!(found.is_sorted_by(|a, b| a.labels < b.labels));
    let labels: Vec<_> = found.iter().map(|series| series.labels.to_string()).collect();
    let expected = [r#"{a="1", b="2", z="cluster"}"#, r#"{a="1", z="cluster"}"#, r#"{c="1", z="cluster"}"#];
    assert_eq!(labels, expected);
    assert_eq!(found[2].chunks.len(), 2);
    let cluster = [Matcher::equal("z", "cluster")];
    assert_eq!(block.select(&cluster, TimeRange::ALL).unwrap().series_matched(), 3);
    assert_eq!(block.label_values("z", &[]).unwrap(), ["cluster"]);
}

#[test]
fn what_is_read_at_a_time_is_bounded() {
    // 12 series of a megabyte each.
    let big: Vec<_> = (0..12)
        .map(|i| {
            let noise = |t: i64| f64::from_bits((t as u64 + i).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let chunks = (0..16).map(|c| chunk((c * 8000..(c + 1) * 8000).map(|t| (t, noise(t)))));
            SeriesChunks { labels: Labels::from_pairs([("n", format!("{i:02}").as_str())]), chunks: chunks.collect() }
        })
        .collect();
    let (files, meta) = stored(&big);
    let block = Block::open(files.clone(), meta).unwrap();
    let mut selected = block.select(&[], TimeRange::ALL).unwrap();
    let (mut series, mut most) = (0, 0);
    loop {
        files.rounds.lock().unwrap().clear();
        let Some(batch) = selected.next() else { break };
        series += batch.unwrap().len();
        let read: u64 =
            files.rounds.lock().unwrap().iter().flat_map(|(_, ranges)| ranges).map(|r| r.end - r.start).sum();
        most = most.max(read);
    }
    assert_eq!(series, 12);
    assert!(most < 10 << 20, "{most} bytes at a time");
}
