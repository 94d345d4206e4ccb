//! Cutting and joining: every series once, in label order, whatever the sizes of batches and of rounds.

use super::*;
use longhaul_block::{BlockMeta, LocalFiles, LonghaulMeta, write};
use longhaul_chunk::{Columns, decode_into, encode};
use longhaul_disk::RealFs;
use longhaul_head::{HashSeed, Head, HeadSettings, Numbers};
use longhaul_model::{BlockId, LabelSection, Measurement, TenantId, Value};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What a source has: series by number.
type SeriesNumbers = BTreeSet<u32>;

fn name(number: u32) -> String {
    format!("series_{number:03}")
}

/// The samples that source `source` has of a series: sources follow each other in time.
fn times(source: usize) -> Vec<i64> {
    (0..30).map(|n| (source as i64 * 30 + n) * 1000).collect()
}

fn value(number: u32, t_ms: i64) -> f64 {
    f64::from(number) * 1e6 + t_ms as f64
}

fn sample(number: u32, t_ms: i64) -> Measurement {
    Measurement { t_ms, start_ms: 0, value: Value::Float(value(number, t_ms)) }
}

fn block(dir: &std::path::Path, source: usize, numbers: &SeriesNumbers) -> Arc<Block> {
    let series = numbers.iter().map(|number| {
        let samples = times(source).into_iter().map(|t_ms| sample(*number, t_ms));
        let mut chunks = Vec::new();
        encode(samples, 10, &mut chunks);
        Ok(SeriesChunks { labels: Labels::from_pairs([("__name__", name(*number).as_str())]), chunks })
    });
    let mut seed = BlockMeta::new(BlockId::from_parts(1, source as u128 + 1), TimeRange::new(0, 0));
    seed.longhaul = Some(LonghaulMeta::new(TenantId::anonymous()));
    let meta = write(Arc::new(RealFs), dir, seed, series).unwrap();
    Arc::new(Block::open(Arc::new(LocalFiles::new(Arc::new(RealFs), dir)), meta).unwrap())
}

fn head(source: usize, numbers: &SeriesNumbers) -> Arc<Head> {
    let head = Head::new(HeadSettings::default(), Numbers::new(), HashSeed::new(1));
    for number in numbers {
        let (mut section, name) = (Vec::new(), name(*number));
        LabelSection::push(&mut section, "__name__", &name);
        let series = head.create(head.key(&section), &[("__name__", name.as_str())]).unwrap();
        for t_ms in times(source) {
            head.apply_any(&series, sample(*number, t_ms), 1, &());
        }
    }
    Arc::new(head)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_series_comes_once_with_all_that_the_sources_have_of_it(
        blocks in vec(btree_set(0u32..40, 1..40), 1..4),
        in_head in btree_set(0u32..60, 0..40),
        series_max in 1usize..8,
        round_bytes in prop_oneof![Just(1u64), 500u64..4000, Just(8 << 20)],
    ) {
        let dir = tempfile::tempdir().unwrap();
        let opened: Vec<_> = blocks.iter().enumerate().map(|(n, all)| block(&dir.path().join(n.to_string()), n, all)).collect();
        let head = head(blocks.len(), &in_head);
        let mut expected: BTreeMap<String, Vec<(i64, f64)>> = BTreeMap::new();
        for (source, numbers) in blocks.iter().chain([&in_head]).enumerate() {
            for number in numbers {
                let samples = times(source).into_iter().map(|t_ms| (t_ms, value(*number, t_ms)));
                expected.entry(name(*number)).or_default().extend(samples);
            }
        }

        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut found = Vec::new();
        runtime.block_on(async {
            let everything: Arc<[Matcher]> = Arc::new([]);
            let of_block = |block| Lane::of_block(block, everything.clone(), TimeRange::ALL, round_bytes);
            let of_head = Lane::of_head(head.pin(&[], TimeRange::ALL), Past::of(&[], TimeRange::ALL));
            let mut lanes: Vec<Lane> = opened.into_iter().map(of_block).chain([of_head]).collect();
            loop {
                let pieces = cut(&mut lanes, series_max).await.unwrap();
                if pieces.is_empty() {
                    break;
                }
                for piece in &pieces {
                    let (Piece::Block(_, _, range) | Piece::Head(_, _, range)) = piece;
                    assert!((1..=series_max).contains(&range.len()), "{range:?}");
                }
                found.extend(read(pieces).unwrap());
            }
        });
        prop_assert!(found.is_sorted_by(|a, b| a.labels < b.labels), "out of order, or twice");
        let found: BTreeMap<String, Vec<(i64, f64)>> = found.into_iter().map(|series| {
            let mut columns = Columns::default();
            series.chunks.iter().for_each(|chunk| decode_into(chunk, TimeRange::ALL, &mut columns).unwrap());
            (series.labels.metric_name().to_owned(), columns.t_ms.into_iter().zip(columns.values).collect())
        }).collect();
        prop_assert_eq!(found, expected);
    }
}
