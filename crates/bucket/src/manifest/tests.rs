//! Random manifests come back and damage never passes; each transition by hand.

use super::*;
use crate::error::{BucketError, Rejected};
use crate::testing::{HOUR_MS, block, coverage, hours, id, log};
use longhaul_model::{MatchOp, Matcher, Tombstone};
use object_store::path::Path as Key;
use proptest::prelude::*;
use std::sync::Arc;

fn decode(version: u64, bytes: &[u8]) -> crate::Result<Manifest> {
    Manifest::decode(&Key::from("m"), version, bytes)
}

fn any_range() -> impl Strategy<Value = TimeRange> {
    prop_oneof![
        3 => (-50i64..50, 1i64..25).prop_map(|(start, length)| hours(start, start + length)),
        1 => (any::<i64>(), any::<i64>()).prop_map(|(start, end)| TimeRange::new(start, end)),
        1 => Just(TimeRange::ALL),
    ]
}

fn any_coverage() -> impl Strategy<Value = Coverage> {
    (0u128..3, any::<u32>(), any_range(), any::<u64>(), any::<u64>())
        .prop_map(|(n, partition, range, from, to)| Coverage { log_id: log(n), partition, range, from, to })
}

fn any_place() -> impl Strategy<Value = Place> {
    prop_oneof![Just(Place::Tenant), Just(Place::Root)]
}

fn any_block() -> impl Strategy<Value = LiveBlock> {
    let ids = proptest::collection::vec(any::<u128>().prop_map(BlockId::from), 1..4);
    let coverage = proptest::collection::vec(any_coverage(), 0..3);
    let numbers = any::<(u32, i64, u64, u64, u64, u128, u32)>();
    (any_range(), ids, coverage, numbers, any_place()).prop_map(|(range, sources, coverage, numbers, place)| {
        let (level, resolution_ms, size_bytes, series, samples, hash, format) = numbers;
        let (id, content_hash) = (sources[0], ContentHash(hash));
        LiveBlock {
            id,
            place,
            range,
            level,
            resolution_ms,
            sources,
            coverage,
            size_bytes,
            series,
            samples,
            content_hash,
            format,
        }
    })
}

fn any_tombstone() -> impl Strategy<Value = Tombstone> {
    let op = prop_oneof![Just(MatchOp::Equal), Just(MatchOp::NotEqual), Just(MatchOp::Regex), Just(MatchOp::NotRegex)];
    let matcher =
        (".*", op, "[a-z.|]*").prop_filter_map("no expression", |(name, op, value)| Matcher::new(name, op, value).ok());
    (proptest::collection::vec(matcher, 0..3), any_range()).prop_map(|(matchers, range)| Tombstone { matchers, range })
}

fn any_manifest() -> impl Strategy<Value = Manifest> {
    let lists = (
        proptest::collection::vec(any_block(), 0..6),
        proptest::collection::vec(
            (any::<u128>(), any::<i64>(), proptest::collection::vec(any::<u128>(), 0..3), any_place()),
            0..3,
        ),
        proptest::collection::vec((any::<u128>(), any::<i64>(), ".*"), 0..3),
        proptest::collection::vec(
            (
                any::<u128>(),
                any_tombstone(),
                any_coverage(),
                any::<i64>(),
                proptest::collection::vec(any::<u128>(), 0..3),
            ),
            0..3,
        ),
        proptest::collection::vec(any_coverage(), 0..10),
    );
    (any::<(u64, [u8; 32], u128, Option<u128>)>(), ".*", lists).prop_map(|(head, author, lists)| {
        let (blocks, retired, quarantined, deletions, coverage) = lists;
        let mut through = Through::default();
        for Coverage { log_id, partition, range, to, .. } in coverage {
            through.raise(log_id, partition, range, to);
        }
        let by = |ids: Vec<u128>| ids.into_iter().map(BlockId::from).collect();
        Manifest {
            version: head.0,
            previous_hash: head.1,
            author,
            operation: OperationId::new(head.2),
            blocks,
            retired: (retired.into_iter())
                .map(|(id, since_ms, ids, place)| RetiredBlock { id: id.into(), place, since_ms, replaced_by: by(ids) })
                .collect(),
            quarantined: (quarantined.into_iter())
                .map(|(id, since_ms, reason)| QuarantinedBlock { id: id.into(), since_ms, reason })
                .collect(),
            deletions: (deletions.into_iter())
                .map(|(id, tombstone, at, since_ms, blocks)| Deletion {
                    id: OperationId::new(id),
                    tombstone: Arc::new(tombstone),
                    log_id: at.log_id,
                    partition: at.partition,
                    offset: at.to,
                    since_ms,
                    blocks: by(blocks),
                })
                .collect(),
            through,
            orphan_boundary: head.3.map(BlockId::from),
            hash: [0; 32],
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(mut manifest in any_manifest()) {
        let bytes = manifest.encode();
        let read = decode(manifest.version, &bytes).unwrap();
        prop_assert_eq!(&read, &manifest);
        prop_assert_eq!(read.clone().encode(), bytes, "and written again as it was");
        prop_assert!(decode(manifest.version.wrapping_add(1), &manifest.encode()).is_err());
    }

    #[test]
    fn damage_never_passes(mut manifest in any_manifest(), at in any::<prop::sample::Index>(), bit in 0u8..8, cut in any::<bool>()) {
        let mut bytes = manifest.encode().to_vec();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] ^= 1 << bit }
        prop_assert!(decode(manifest.version, &bytes).is_err());
    }

    /// `Through` against a list of everything that was ever raised.
    #[test]
    fn through_covers_what_was_raised(
        raised in proptest::collection::vec((0u128..2, 0u32..2, -6i64..6, 1i64..8, 0u64..9), 0..24),
        asked in proptest::collection::vec((0u128..2, 0u32..2, -9i64..16, 1u64..10), 20),
    ) {
        let mut through = Through::default();
        for &(n, partition, start, length, to) in &raised {
            through.raise(log(n), partition, TimeRange::new(start, start + length), to);
        }
        for (n, partition, t_ms, offset) in asked {
            let expected = raised.iter().any(|&(m, p, start, length, to)| {
                (m, p) == (n, partition) && (start..start + length).contains(&t_ms) && to >= offset
            });
            prop_assert_eq!(through.covered(log(n), partition, t_ms, offset), expected);
            let reached = through.reached(log(n), partition, TimeRange::new(t_ms, t_ms + 1));
            prop_assert_eq!(reached >= offset, expected);
        }
        for n in 0..2 {
            let end = raised.iter().filter(|step| step.0 == n && step.4 > 0).map(|step| step.4).max();
            prop_assert_eq!(through.known_end(log(n)), end);
        }
        // The invariant.
        for pair in through.entries().windows(2) {
            let key = |entry: &ThroughEntry| (entry.log_id, entry.partition, entry.range.start_ms);
            prop_assert!(key(&pair[0]) < key(&pair[1]));
            if key(&pair[0]).0 == key(&pair[1]).0 && pair[0].partition == pair[1].partition {
                prop_assert!(pair[0].range.end_ms <= pair[1].range.start_ms);
                prop_assert!(pair[0].range.end_ms < pair[1].range.start_ms || pair[0].to != pair[1].to);
            }
        }
    }
}

/// The steps of a range tile it, with 0 where nothing is known.
#[test]
fn steps_tile_their_range() {
    let mut through = Through::default();
    through.raise(log(1), 0, hours(2, 4), 80);
    through.raise(log(1), 0, hours(4, 6), 90);
    through.raise(log(1), 0, hours(8, 10), 90);
    let steps = through.steps(log(1), 0, hours(3, 12));
    assert_eq!(steps, [(hours(3, 4), 80), (hours(4, 6), 90), (hours(6, 8), 0), (hours(8, 10), 90), (hours(10, 12), 0)]);
    assert_eq!(through.reached(log(1), 0, hours(2, 6)), 80);
    assert_eq!(through.reached(log(1), 0, hours(2, 7)), 0);
    assert_eq!(through.reached(log(2), 0, hours(2, 6)), 0);
    assert_eq!(through.steps(log(1), 0, hours(5, 5)), []);
    // A whole day that got further swallows the steps inside; one that did not fills the gaps only.
    through.raise(log(1), 0, hours(0, 24), 85);
    assert_eq!(through.entries().len(), 5);
    through.raise(log(1), 0, hours(0, 24), 100);
    assert_eq!(through.entries().len(), 1);
    through.forget(log(1));
    assert_eq!(through, Through::default());
}

#[test]
fn a_floor_keeps_the_list_short() {
    let mut manifest = Manifest::default();
    for n in 0..500 {
        let range = hours(2 * n, 2 * n + 2);
        let part = coverage(range, 10 * n as u64, 10 * n as u64 + 10);
        manifest = manifest.ship(block(n as u64 + 1, range), &[part]).unwrap().raise_floor(log(1), 0, 10 * n as u64);
    }
    assert!(manifest.through.entries().len() <= 3, "{:?}", manifest.through);
    assert!(manifest.covered(log(1), 0, 0, 4990) && !manifest.covered(log(1), 0, 0, 4991));
    assert!(manifest.covered(log(1), 0, 999 * HOUR_MS, 5000));
    assert_eq!(manifest.known_end(log(1)), Some(5000));
}

#[test]
fn ships_move_through_and_do_not_come_twice() {
    let base = Manifest::default();
    let first = coverage(hours(0, 2), 0, 80);
    let shipped = base.ship(block(1, hours(0, 2)), &[first]).unwrap();
    assert!(shipped.covered(log(1), 0, HOUR_MS, 80));
    assert!(!shipped.covered(log(1), 0, HOUR_MS, 81));
    assert!(!shipped.covered(log(1), 0, 2 * HOUR_MS, 80));
    assert!(!shipped.covered(log(1), 1, HOUR_MS, 80));
    assert!(!shipped.covered(log(2), 0, HOUR_MS, 80));
    assert_eq!(shipped.known_end(log(1)), Some(80));
    assert_eq!(shipped.known_end(log(2)), None);

    assert_eq!(shipped.ship(block(1, hours(0, 2)), &[first]), Err(Rejected::Known(id(1))));
    let again = shipped.ship(block(2, hours(0, 2)), &[first]);
    assert_eq!(again, Err(Rejected::Passed { coverage: first, reached: 80 }));
    let overlapping = coverage(hours(0, 2), 79, 100);
    assert!(shipped.ship(block(2, hours(0, 2)), &[overlapping]).is_err());
    let late = shipped.ship(block(2, hours(0, 2)), &[coverage(hours(0, 2), 80, 100)]).unwrap();
    assert!(late.covered(log(1), 0, HOUR_MS, 100));
}

/// Late data of a whole day over block ranges that got differently far: it brings what the least of them lacks.
#[test]
fn a_day_goes_over_ranges_that_were_shipped_before() {
    let base = Manifest::default();
    let two = base.ship(block(1, hours(0, 2)), &[coverage(hours(0, 2), 0, 80)]).unwrap();
    let two = two.ship(block(2, hours(2, 4)), &[coverage(hours(2, 4), 0, 90)]).unwrap();
    let day = coverage(hours(0, 24), 80, 120);
    let shipped = two.ship(block(3, hours(0, 24)), &[day]).unwrap();
    assert_eq!(shipped.through.entries().len(), 1);
    assert!(matches!(shipped.ship(block(4, hours(0, 24)), &[day]), Err(Rejected::Passed { reached: 120, .. })));
    // Several parts of one range, merged before they were shipped.
    let merged = [coverage(hours(0, 24), 120, 130), coverage(hours(0, 2), 130, 140)];
    let shipped = shipped.ship(block(5, hours(0, 24)), &merged).unwrap();
    assert!(shipped.covered(log(1), 0, HOUR_MS, 140) && !shipped.covered(log(1), 0, 3 * HOUR_MS, 131));
}

#[test]
fn compactions_need_all_their_inputs() {
    let base = Manifest::default().ship(block(1, hours(2, 4)), &[]).unwrap().ship(block(2, hours(0, 2)), &[]).unwrap();
    assert_eq!(base.blocks.iter().map(|block| block.id).collect::<Vec<_>>(), [id(2), id(1)], "sorted by start");
    let base = base.quarantine(id(1), "checksum", 5).unwrap().quarantine(id(1), "again", 6).unwrap();
    assert_eq!(base.quarantined, [QuarantinedBlock { id: id(1), since_ms: 5, reason: "checksum".into() }]);
    assert_eq!(base.blocks.len(), 2, "still readable where it can be read");
    let merged = base.replace(&[id(1), id(2)], vec![block(3, hours(0, 4))], 7).unwrap();
    assert_eq!(merged.blocks, [block(3, hours(0, 4))]);
    assert_eq!(merged.quarantined, []);
    let retired = |n| RetiredBlock { id: id(n), place: Place::Tenant, since_ms: 7, replaced_by: vec![id(3)] };
    assert_eq!(merged.retired, [retired(1), retired(2)]);
    assert_eq!(merged.replace(&[id(3), id(1)], vec![], 8), Err(Rejected::NotLive(id(1))));
    assert_eq!(merged.replace(&[id(3)], vec![block(1, hours(0, 4))], 8), Err(Rejected::Known(id(1))));
    assert_eq!(merged.quarantine(id(1), "gone", 8), Err(Rejected::NotLive(id(1))));
    assert!(merged.knows(id(1)) && merged.block(id(1)).is_none());
    let dropped = merged.replace(&[id(3)], vec![], 9).unwrap().forget_retired(&[id(1), id(2)]);
    assert_eq!((dropped.blocks.len(), dropped.retired.len()), (0, 1));
    assert_eq!(merged.blocks_in(hours(4, 9)).count(), 0);
    assert_eq!(merged.blocks_in(hours(3, 9)).count(), 1);
}

#[test]
fn ids_below_the_orphan_boundary_are_minted_again() {
    let base = Manifest::default().ship(block(1, hours(0, 2)), &[]).unwrap().raise_orphan_boundary(id(5));
    let below = base.ship(block(4, hours(0, 2)), &[]);
    assert_eq!(below, Err(Rejected::BelowOrphanBoundary { id: id(4), boundary: id(5) }));
    assert!(base.replace(&[id(1)], vec![block(4, hours(0, 2))], 0).is_err());
    assert!(base.ship(block(5, hours(0, 2)), &[]).is_ok());
    assert_eq!(base.raise_orphan_boundary(id(3)).orphan_boundary, Some(id(5)), "never lowered");
}

/// One GET brings the manifest of ten thousand blocks: at most 120 bytes each.
#[test]
fn blocks_are_small() {
    // Mixes bits (SplitMix64); random parts of ids and hashes do not compress.
    let random = |n: u64| {
        let mix = |mut z: u64| {
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        u128::from(mix(n.wrapping_mul(2) + 1)) << 64 | u128::from(mix(n.wrapping_mul(2) + 2))
    };
    let start_ms = 1_760_000_400_000 / (2 * HOUR_MS) * 2 * HOUR_MS;
    let bytes_a_block = |sources: u64| {
        let mut manifest = Manifest::default();
        for n in 0..10_000u64 {
            let range = TimeRange::aligned(start_ms + n as i64 * 2 * HOUR_MS, 2 * HOUR_MS);
            let id = BlockId::from_parts(range.end_ms as u64 + random(n) as u64 % 1_000_000, random(n));
            let from = n * 480_000 + random(n) as u64 % 100_000;
            let part = Coverage { log_id: log(random(n / 2000)), partition: 0, range, from: 0, to: from + 480_000 };
            let ancestor = |k| BlockId::from_parts(range.end_ms as u64 + k * 7_200_000, random(n * 100 + k));
            manifest.blocks.push(LiveBlock {
                id,
                place: Place::Tenant,
                range,
                level: 1,
                resolution_ms: 0,
                sources: if sources == 1 { vec![id] } else { (0..sources).map(ancestor).collect() },
                coverage: vec![part],
                size_bytes: 150_000_000 + random(n + 7) as u64 % 50_000_000,
                series: 900_000 + random(n + 8) as u64 % 100_000,
                samples: 480_000_000 + random(n + 9) as u64 % 1_000_000,
                content_hash: ContentHash(random(n + 10)),
                format: 1,
            });
            manifest.through.raise(part.log_id, 0, range, part.to);
        }
        let bytes = manifest.encode().len();
        println!("{sources} sources: {bytes} bytes, {:.1} a block", bytes as f64 / 10_000.0);
        bytes as f64 / 10_000.0
    };
    assert!(bytes_a_block(1) <= 120.0);
    // A compacted day names the twelve blocks of level 1 that it descends from; there are twelve times fewer of them.
    assert!(bytes_a_block(12) <= 320.0);
}

/// A format version says everything: nothing unknown is carried along.
#[test]
fn what_this_program_does_not_know_is_refused() {
    let mut manifest = Manifest { version: 3, ..Manifest::default() };
    let bytes = manifest.encode();
    let mut newer = bytes.to_vec();
    newer[7] += 1;
    assert!(matches!(decode(3, &newer), Err(BucketError::Unsupported { .. })));
    let json = String::from_utf8(zstd::decode_all(&bytes[16..]).unwrap()).unwrap();
    let repack = |json: &str| {
        let packed = zstd::bulk::compress(json.as_bytes(), 1).unwrap();
        let sum = <sha2::Sha256 as sha2::Digest>::digest(&packed);
        decode(3, &[&bytes[..8], &sum[..8], &packed].concat())
    };
    assert!(repack(&json).is_ok());
    for other in [
        json.replacen('{', "{\"more\":1,", 1),
        json.replace("\"through\":[]", "\"through\":[[0,0,[0,1],2]]"),
        json.replace("\"retired\":[]", "\"retired\":[[\"01ARZ3NDEKTSV4RRFFQ69G5FAV\",1,[],7]]"),
        json.replace("\"author\"", "\"writer\""),
        json.replace("\"previous\":\"00", "\"previous\":\"+0"),
    ] {
        assert_ne!(other, json);
        let error = repack(&other).unwrap_err();
        assert!(matches!(error, BucketError::Corrupt { .. }), "{error}");
    }
}

/// Format 1 had no places: everything lay in the tenant's folder.
#[test]
fn format_1_is_read() {
    let json = format!(
        r#"{{"version":2,"previous":"{}","author":"a","operation":"00000000-0000-0000-0000-000000000007",
            "logs":["00000000-0000-0000-0000-000000000001"],
            "blocks":[["{}",[0,7200000],1,0,[],[[0,0,[0,7200000],0,5]],1001,1,10,"{:032x}",1]],
            "retired":[["{}",7,["{}"]]],"quarantined":[],"deletions":[],"through":[[0,0,[0,7200000],5]],
            "orphan_boundary":null}}"#,
        "0".repeat(64),
        id(1),
        1,
        id(2),
        id(1),
    );
    let packed = zstd::bulk::compress(json.as_bytes(), 1).unwrap();
    let sum = <sha2::Sha256 as sha2::Digest>::digest(&packed);
    let read = decode(2, &[b"LHMANIF\x01", &sum[..8], &packed].concat()).unwrap();
    let first = coverage(hours(0, 2), 0, 5);
    let mut live = block(1, hours(0, 2));
    live.coverage.push(first);
    let mut expected = Manifest::default().ship(live, &[first]).unwrap();
    expected.retired.push(RetiredBlock { id: id(2), place: Place::Tenant, since_ms: 7, replaced_by: vec![id(1)] });
    expected.version = 2;
    expected.author = "a".into();
    expected.operation = OperationId::new(7);
    expected.hash = read.hash;
    assert_eq!(read, expected);
}

#[test]
fn a_live_block_is_made_of_its_meta() {
    let mut meta = BlockMeta::new(id(4), hours(0, 2));
    meta.stats.num_series = 3;
    meta.stats.num_samples = 9;
    let foreign = LiveBlock::new(&meta, 77);
    assert_eq!((foreign.format, foreign.coverage.len(), foreign.content_hash), (0, 0, ContentHash::default()));
    assert_eq!((foreign.id, foreign.range, foreign.level, foreign.size_bytes), (id(4), hours(0, 2), 1, 77));
    assert_eq!((foreign.series, foreign.samples, foreign.sources), (3, 9, vec![id(4)]));
    meta.compaction.sources.clear();
    assert_eq!(LiveBlock::new(&meta, 77).sources, [id(4)]);
    meta.longhaul = Some(longhaul_block::LonghaulMeta {
        coverage: vec![coverage(hours(0, 2), 0, 5)],
        content_hash: ContentHash(6),
        ..longhaul_block::LonghaulMeta::new(longhaul_model::TenantId::anonymous())
    });
    let ours = LiveBlock::new(&meta, 77);
    assert_eq!((ours.format, ours.content_hash, ours.coverage), (1, ContentHash(6), vec![coverage(hours(0, 2), 0, 5)]));
}
