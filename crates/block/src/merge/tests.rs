//! Merging against a map, and what may pass as bytes.

use super::*;
use crate::testing::{content, fleet, seed, series, write_block};
use crate::{Block, LocalFiles, verify, write};
use longhaul_disk::RealFs;
use proptest::prelude::*;
use std::sync::Arc;

fn source(series: Vec<SeriesChunks>) -> SeriesSource<'static> {
    Box::new(series.into_iter().map(Ok))
}

fn all(merge: &mut Merge<'_>) -> Vec<SeriesChunks> {
    merge.map(Result::unwrap).collect()
}

proptest! {
    #[test]
    fn the_later_source_wins_and_the_accounts_hold(
        sources in proptest::collection::vec(
            proptest::collection::btree_map(0u8..4, proptest::collection::btree_map(0i64..60, 0u8..5, 1..30), 0..4),
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
                let samples: Vec<_> = samples.iter().map(|(t_ms, value)| (*t_ms, f64::from(*value))).collect();
                samples_in += samples.len() as u64;
                let chunks: Vec<_> = samples.chunks(samples.len().div_ceil(pieces)).collect();
                let one = series(&[("n", &number.to_string())], &chunks);
                for (t_ms, value) in samples {
                    expected.insert((one.labels.clone(), t_ms), value.to_bits());
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
                let mut columns = Columns::default();
                decode_into(chunk, TimeRange::ALL, &mut columns).unwrap();
                hash_out.add_columns(hash, &columns);
                columns.t_ms.iter().zip(&columns.values).for_each(|(t, v)| _ = found.insert((one.labels.clone(), *t), v.to_bits()));
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
