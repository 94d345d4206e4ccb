//! Merging against a map, and what may pass as bytes.

use super::*;
use crate::testing::{any_series, comparable, content, fleet, samples, seed, series, write_block};
use crate::{Block, LocalFiles, verify, write};
use longhaul_disk::RealFs;
use longhaul_model::TimeRange;
use longhaul_testkit::measurements::{KINDS, measurement};
use proptest::prelude::*;
use std::sync::Arc;

fn source(series: Vec<SeriesChunks>) -> SeriesSource<'static> {
    Box::new(series.into_iter().map(Ok))
}

fn all(merge: &mut Merge<'_>) -> Vec<SeriesChunks> {
    merge.map(|merged| merged.unwrap().series).collect()
}

/// Plain floats half of the time.
fn kind() -> impl Strategy<Value = u8> {
    prop_oneof![Just(0), 0..KINDS]
}

proptest! {
    #[test]
    fn the_later_source_wins_and_the_accounts_hold(
        sources in proptest::collection::vec(
            proptest::collection::btree_map(
                0u8..4,
                proptest::collection::btree_map(0i64..60, (kind(), 0u8..3), 1..30),
                0..4,
            ),
            0..5,
        ),
        pieces in 1usize..5,
        samples_max in 2u16..40,
    ) {
        let mut expected = std::collections::BTreeMap::new();
        let mut given = Vec::new();
        let mut samples_in = 0;
        for source in &sources {
            let mut of_source = Vec::new();
            for (number, samples) in source {
                // The factor makes counters begin anew now and then.
                let measure = |(t_ms, (kind, value)): (&i64, &(u8, u8))| measurement(t_ms * 25, *kind, *value);
                let samples: Vec<_> = samples.iter().map(measure).collect();
                samples_in += samples.len() as u64;
                let one = any_series(Labels::from_pairs([("n", number.to_string().as_str())]), &samples, pieces);
                for sample in &samples {
                    expected.insert((one.labels.clone(), sample.t_ms), comparable(sample));
                }
                of_source.push(one);
            }
            given.push(of_source);
        }
        let mut merge = merge(given.into_iter().map(source).collect(), samples_max);
        let merged = all(&mut merge);
        let account = merge.account();
        prop_assert!(merged.is_sorted_by(|a, b| a.labels < b.labels));
        let mut hash_out = ContentHash::default();
        let mut found = std::collections::BTreeMap::new();
        for one in &merged {
            prop_assert!(one.chunks.windows(2).all(|pair| pair[0].max_ms < pair[1].min_ms));
            let hash = SeriesHash::of(&one.labels, &mut Vec::new());
            for chunk in &one.chunks {
                let stock = StockTaker::default().take(chunk, hash, |_, _| ()).unwrap();
                prop_assert_eq!(stock.check_bounds(chunk), Ok(()));
                hash_out = hash_out.plus(stock.hash);
            }
            for sample in samples(&one.chunks) {
                found.insert((one.labels.clone(), sample.0), sample);
            }
        }
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(account.samples_in, samples_in);
        prop_assert_eq!(account.samples_out(), expected.len() as u64);
        prop_assert_eq!(account.hash_out(), hash_out);
    }
}

#[test]
fn small_neighbours_become_one_and_others_pass_as_bytes() {
    let run = |from: i64, samples: i64| (from..from + samples).map(|i| (i, i as f64)).collect::<Vec<_>>();
    let (a, b, c, d) = (run(0, 10), run(10, 10), run(20, 100), run(120, 10));
    let one = series(&[("a", "b")], &[&a, &b, &c, &d]);
    let mut merge = merge(vec![source(vec![one.clone()])], 120);
    let merged = all(&mut merge).remove(0);
    let counts: Vec<_> = merged.chunks.iter().map(|chunk| sample_count(chunk).unwrap()).collect();
    assert_eq!(counts, [20, 100, 10]);
    assert_eq!(merged.chunks[1].data.as_ptr(), one.chunks[2].data.as_ptr());
    assert_eq!((merge.account().samples_in, merge.account().duplicates), (130, 0));
}

#[test]
fn small_histogram_chunks_become_one_as_far_as_they_can() {
    let labels = Labels::from_pairs([("a", "b")]);
    // Twelve integer histograms by threes, whose counters begin anew at 700; then floats with starts, then gauges.
    let of = |from: i64, kind: u8| (0..12).map(move |i| measurement(from + i * 100, kind, 0));
    let samples: Vec<_> = of(0, 2).chain(of(1200, 1)).chain(of(2400, 6)).collect();
    let one = any_series(labels, &samples, 12);
    assert_eq!(one.chunks.len(), 13, "a piece of three is cut at 700");
    let mut merge = merge(vec![source(vec![one])], 120);
    let merged = all(&mut merge).remove(0);
    let shape: Vec<_> = merged.chunks.iter().map(|it| (it.encoding, sample_count(it).unwrap())).collect();
    use Encoding::{Histogram, Xor2};
    assert_eq!(shape, [(Histogram, 7), (Histogram, 5), (Xor2, 12), (Histogram, 12)]);
    assert_eq!(crate::testing::samples(&merged.chunks), samples.iter().map(comparable).collect::<Vec<_>>());
}

#[test]
fn blocks_merge_into_a_block_of_everything() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = fleet(4, 20, 6);
    let mut sources: Vec<SeriesSource<'_>> = Vec::new();
    let mut hashes = ContentHash::default();
    for part in 0..3 {
        // Every part has two of each series' six chunks, and the last one a chunk of the part before it again.
        let chunks = part * 2 - part / 2..part * 2 + 2;
        let cut =
            |s: &SeriesChunks| SeriesChunks { labels: s.labels.clone(), chunks: s.chunks[chunks.clone()].to_vec() };
        let path = dir.path().join(part.to_string());
        let meta = write_block(&path, &fleet.iter().map(cut).collect::<Vec<_>>());
        hashes = hashes.plus(meta.longhaul.as_ref().unwrap().content_hash);
        let block = Block::open(Arc::new(LocalFiles::new(Arc::new(RealFs), path)), meta).unwrap();
        sources.push(Box::new(block.select(&[], TimeRange::ALL).unwrap().into_series()));
    }
    let mut merge = merge(sources, 120);
    let path = dir.path().join("merged");
    let meta = write(Arc::new(RealFs), &path, seed(), &mut merge).unwrap();
    let account = merge.account();
    assert_eq!((account.samples_in, account.duplicates), (80 * 70, 80 * 10));
    assert_eq!(account.hash_in, hashes);
    assert_eq!(account.hash_out(), meta.longhaul.as_ref().unwrap().content_hash);
    assert_eq!(account.samples_out(), meta.stats.num_samples);
    let files = Arc::new(LocalFiles::new(Arc::new(RealFs), path));
    verify(&*files, &meta).unwrap().sound().unwrap();
    let block = Block::open(files, meta).unwrap();
    let found = content(block.select(&[], TimeRange::ALL).unwrap().into_series().map(Result::unwrap));
    assert_eq!(found, content(fleet));
}

#[test]
fn errors_and_disorder_end_a_merge() {
    let one = || series(&[("a", "b")], &[&[(1, 1.0)]]);
    let disorder = source(vec![one(), one()]);
    assert!(matches!(union(vec![disorder]).next(), Some(Err(BlockError::Refused(_)))));
    let mut broken = one();
    broken.chunks[0].data = bytes::Bytes::from_static(&[0, 9, 1]);
    let error = merge(vec![source(vec![broken])], 120).next().unwrap().unwrap_err();
    assert!(error.is_corrupt() && error.to_string().contains(r#"{a="b"}"#), "{error}");
}
