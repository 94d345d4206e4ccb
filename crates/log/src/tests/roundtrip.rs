//! What is appended is replayed, bit by bit, over restarts, segments and pages.

use super::support::*;
use crate::frame::Kind;
use crate::open_segment::COPY_DISTANCE_BYTES;
use crate::*;
use longhaul_disk::Fs;
use longhaul_model::{Exemplar, Labels};
use longhaul_testkit::measurements::{KINDS, measurement};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

fn any_sample() -> impl Strategy<Value = Sample> {
    let time = prop_oneof![3 => 1_700_000_000_000i64..1_700_000_100_000, 1 => any::<i64>()];
    let value = prop_oneof![
        any::<f64>(),
        any::<u64>().prop_map(f64::from_bits),
        (-1000i64..1000).prop_map(|v| v as f64),
        prop_oneof![Just(0.0), Just(-0.0), Just(i64::MAX as f64), Just(i64::MIN as f64)],
    ];
    (time, value).prop_map(|(t_ms, value)| Sample::new(t_ms, value))
}

#[derive(Clone, Debug)]
enum Step {
    Batch(Vec<(u32, Vec<Sample>)>, Vec<Vec<Measurement>>, Vec<Vec<Exemplar>>),
    Refusals(Vec<(u32, u32)>),
    Deletion(i64),
    Marker,
    Restart,
}

/// None mostly; else some for some of the first entries.
fn any_others() -> impl Strategy<Value = Vec<Vec<Measurement>>> {
    let other = (any::<i64>(), 0..KINDS, 0u8..4).prop_map(|(t_ms, kind, value)| measurement(t_ms >> 8, kind, value));
    prop_oneof![Just(Vec::new()), proptest::collection::vec(proptest::collection::vec(other, 0..3), 0..10),]
}

/// The same.
fn any_exemplars() -> impl Strategy<Value = Vec<Vec<Exemplar>>> {
    let exemplar = (any::<i64>(), any::<f64>(), "[a-f]{1,3}").prop_map(|(t_ms, value, trace)| {
        let labels = Labels::from_pairs([("trace_id", trace.as_str())]);
        Exemplar { t_ms, value, labels }
    });
    prop_oneof![Just(Vec::new()), proptest::collection::vec(proptest::collection::vec(exemplar, 0..3), 0..10),]
}

fn any_step() -> impl Strategy<Value = Step> {
    let samples = proptest::collection::vec(any_sample(), 0..4);
    prop_oneof![
        6 => (proptest::collection::vec((0u32..40, samples), 0..30), any_others(), any_exemplars())
            .prop_map(|(entries, others, exemplars)| Step::Batch(entries, others, exemplars)),
        1 => proptest::collection::vec((0u32..9, 0u32..3), 1..5).prop_map(Step::Refusals),
        1 => (0i64..9).prop_map(Step::Deletion),
        1 => Just(Step::Marker),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #[test]
    fn what_was_appended_is_replayed(steps in proptest::collection::vec(any_step(), 1..30), groups in 1usize..5) {
        let fs = new_disk();
        let world = World::new(&[20, 20]);
        let settings = LogSettings { group_size_bytes: 3000, ..small_segments(6000) };
        let mut writer = open_writer(&fs, settings.clone());
        let mut expected = BTreeMap::new();
        let mut waiting = Vec::new();
        for step in steps {
            match step {
                Step::Batch(mut entries, others, exemplars) => {
                    let tenant = entries.first().map_or(0, |entry| world.tenant_of(entry.0));
                    entries.retain(|entry| world.tenant_of(entry.0) == tenant);
                    waiting.push(Append::Batch(world.mixed(entries, others).with_exemplars(exemplars)));
                }
                Step::Refusals(samples) => {
                    let tenant = TenantId::parse("tenant-0").unwrap();
                    waiting.push(Append::Refusals(Refusals { tenant, batch: 1, samples }, 9));
                }
                Step::Deletion(n) => waiting.push(Append::Deletion(deletion(n), 8)),
                Step::Marker => waiting.push(Append::Marker(7)),
                Step::Restart => {
                    take(&mut writer, &mut waiting, &mut expected);
                    writer.close();
                    let opened = open_log(&fs, settings.clone());
                    prop_assert_eq!(replayed(&opened), expected.clone());
                    writer = opened.into_writer();
                }
            }
            if waiting.len() >= groups {
                take(&mut writer, &mut waiting, &mut expected);
            }
        }
        take(&mut writer, &mut waiting, &mut expected);
        drop(writer); // as if killed
        let opened = open_log(&fs, settings);
        prop_assert_eq!(opened.damage(), []);
        prop_assert_eq!(opened.torn_tail(), None);
        prop_assert_eq!(replayed(&opened), expected);
    }
}

fn take(
    writer: &mut Writer<TestBatch, u32>,
    waiting: &mut Vec<Append<TestBatch, u32>>,
    expected: &mut BTreeMap<Offset, Plain>,
) {
    for delivery in commit(writer, std::mem::take(waiting)) {
        let end = expected.last_key_value().map_or(0, |last| *last.0);
        match delivery {
            Delivery::Batch { offset, batch } => {
                assert_eq!(offset, end + 1, "offsets are dense");
                expected.insert(offset, plain(&batch));
            }
            Delivery::Refusals { offset, refusals, token } => {
                assert_eq!((offset, token), (end + 1, 9));
                let samples = plain_refusals(refusals.batch, &refusals.samples);
                expected.insert(offset, (refusals.tenant.to_string(), samples));
            }
            Delivery::Deletion { offset, deletion, token } => {
                assert_eq!((offset, token), (end + 1, 8));
                expected.insert(offset, (deletion.tenant.to_string(), plain_deletion(&deletion)));
            }
            Delivery::Marker { end: at, marker } => assert_eq!((at, marker), (end, 7)),
            Delivery::Failed { error, .. } => panic!("{error}"),
        }
    }
}

#[test]
fn a_new_log_is_empty_and_keeps_its_id() {
    let fs = new_disk();
    let opened = open_log(&fs, settings());
    assert_eq!((opened.log_id(), opened.end()), (LOG_ID, 0));
    assert_eq!((opened.damage(), opened.segments(), opened.replay().count()), (&[][..], vec![], 0));
    let other = longhaul_model::LogId::from_u128(7);
    let again = open(Arc::new(fs.clone()), DIR.into(), settings(), other).unwrap();
    assert_eq!(again.log_id(), LOG_ID);
    assert_eq!(fs.list(Path::new(DIR)).unwrap().len(), 1, "starting alone leaves no segments behind");
}

#[test]
fn frames_longer_than_pages_and_at_every_place_of_one() {
    let fs = new_disk();
    let world = World::new(&[3000]);
    let mut writer = open_writer(&fs, settings());
    let mut expected = BTreeMap::new();
    commit_batch(&mut writer, world.scrape(0..3000, 0)); // its samples span some pages
    expected.insert(1, plain(&world.scrape(0..3000, 0)));
    for i in 1..4000u32 {
        let batch = world.scrape(i % 100..i % 100 + i % 13, i64::from(i));
        expected.insert(u64::from(i) + 1, plain(&batch));
        assert_eq!(commit_batch(&mut writer, batch), Some(u64::from(i) + 1));
    }
    let opened = open_log(&fs, settings());
    assert_eq!(opened.damage(), []);
    assert!(replayed(&opened) == expected);
    let starts: BTreeSet<u64> = frames(&fs, 1).iter().map(|frame| frame.at).collect();
    let page = page::PAGE_BYTES;
    assert!(starts.iter().any(|at| (page - 32..page).contains(&(page::file_position(*at) % page))));
}

#[test]
fn definitions_are_written_twice_well_apart_or_at_the_latest_at_the_end() {
    let fs = new_disk();
    let world = World::new(&[20_000]);
    let mut writer = open_writer(&fs, settings());
    for start in (0..20_000).step_by(500) {
        for t in 0..20 {
            commit_batch(&mut writer, world.scrape(start..start + 500, t * 15_000 + i64::from(start)));
        }
    }
    let length = writer.segments()[0].size_bytes;
    assert!(length > 2 * COPY_DISTANCE_BYTES, "{length}");
    writer.close();
    let mut places: BTreeMap<Vec<u8>, Vec<u64>> = BTreeMap::new();
    let content = Fs::read(&fs, &segment_path(1)).unwrap();
    for frame in frames(&fs, 1).iter().filter(|frame| frame.kind == Kind::Series) {
        let bytes = frame.positions().skip(frame::HEAD_BYTES).map(|at| content[at as usize]).collect();
        places.entry(bytes).or_default().push(frame.at);
    }
    assert_eq!(places.len(), 40);
    let distances = places.values().map(|places| {
        assert_eq!(places.len(), 2);
        places[1] - places[0]
    });
    let near = distances.filter(|distance| *distance < COPY_DISTANCE_BYTES).count();
    assert!((1..20).contains(&near), "{near} of 40 are near: only those of the segment's end should be");
}

#[test]
fn a_segment_grows_as_long_as_definitions_are_more_than_a_tenth() {
    let world = World::new(&[2000]);
    let lengths = |definitions_differ: bool| {
        let fs = new_disk();
        let settings = LogSettings { segment_size_bytes: 1 << 14, segment_size_bytes_max: 1 << 20, ..settings() };
        let mut writer = open_writer(&fs, settings);
        for i in 0..2000u32 {
            let series = if definitions_differ { i % 200 * 10..i % 200 * 10 + 10 } else { 0..10 };
            commit_batch(&mut writer, world.scrape(series, i64::from(i)));
        }
        writer.segments().iter().map(|segment| segment.size_bytes).collect::<Vec<_>>()
    };
    let same = lengths(false);
    assert!(same.len() > 3 && same[0] < 20_000, "{same:?}");
    let different = lengths(true);
    assert!(different.len() < same.len() / 2 && different.iter().all(|length| *length < 1100 << 10), "{different:?}");
}

#[test]
fn release_removes_whole_segments_and_keeps_the_newest() {
    let fs = new_disk();
    let world = World::new(&[50]);
    let mut writer = open_writer(&fs, small_segments(3000));
    for t in 0..60 {
        commit_batch(&mut writer, world.scrape(0..50, t));
    }
    let segments = writer.segments();
    assert!(segments.len() > 4, "{segments:?}");
    for pair in segments.windows(2) {
        assert_eq!(pair[0].end + 1, pair[1].base);
    }
    writer.release(segments[2].base).unwrap();
    assert_eq!(writer.segments(), segments[2..]);
    writer.release(segments[3].end).unwrap();
    assert_eq!(writer.segments(), segments[3..], "a segment stays while one offset in it is needed");
    writer.release(u64::MAX).unwrap();
    assert_eq!(writer.segments(), segments[segments.len() - 1..]);
    assert_eq!(commit_batch(&mut writer, world.scrape(0..50, 60)), Some(61));
    drop(writer);
    let opened = open_log(&fs, small_segments(3000));
    assert_eq!((opened.damage(), opened.end()), (&[][..], 61));
    let newest = segments.last().unwrap();
    assert_eq!(replayed(&opened).keys().copied().collect::<Vec<_>>(), (newest.base..=61).collect::<Vec<_>>());
    let writer: Writer<TestBatch, u32> = opened.into_writer();
    writer.release(u64::MAX).unwrap();
    drop(writer);
    assert_eq!(open_log(&fs, settings()).end(), 61, "the newest segment stays, so no offset comes twice");
}

#[test]
fn replay_goes_on_over_released_segments() {
    let fs = new_disk();
    let world = World::new(&[50]);
    let mut writer = open_writer(&fs, small_segments(3000));
    for t in 0..40 {
        commit_batch(&mut writer, world.scrape(0..50, t));
    }
    drop(writer);
    let opened = open_log(&fs, small_segments(3000));
    let mut replay = opened.replay();
    assert_eq!(replay.next().unwrap().unwrap().offset, 1);
    opened.into_writer::<TestBatch, u32>().release(u64::MAX).unwrap();
    assert_eq!(replay.count(), 39);
}
