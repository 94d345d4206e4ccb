//! Flipped bytes, cut files, stale and misplaced frames: detected, and nothing else lost.

use super::support::*;
use crate::frame::Kind;
use crate::*;
use longhaul_disk::Fs;
use longhaul_testkit::measurements::measurement;
use longhaul_testkit::sim_fs::SimFs;
use std::collections::BTreeMap;
use std::path::Path;

/// A closed log of two segments with batches of two tenants and refusals: the disk, and what is in the log.
fn closed_log(segment_size_bytes: u64, batches: i64) -> (SimFs, BTreeMap<Offset, Plain>) {
    let fs = new_disk();
    let world = World::new(&[6, 6]);
    let mut writer = open_writer(&fs, small_segments(segment_size_bytes));
    for t in 0..batches {
        let tenant = (t % 2) as u32;
        let entries = (0..6u32).filter(|i| i64::from(*i) <= t % 5 + 1);
        let entries = entries.map(|i| (2 * i + tenant, vec![Sample::new(t * 1000, t as f64 * 1.1 + f64::from(i))]));
        let others = if t % 3 == 1 { vec![vec![measurement(t * 1000 + 1, (t % 8) as u8, 1)]] } else { vec![] };
        commit_batch(&mut writer, world.mixed(entries.collect(), others)).unwrap();
        if t % 4 == 3 {
            let (tenant, batch) = (TenantId::parse("tenant-1").unwrap(), writer.end());
            let refusals = Refusals { tenant, batch, samples: vec![(0, 0)] };
            commit(&mut writer, vec![Append::Refusals(refusals, 0)]);
        }
    }
    writer.close();
    let opened = open_log(&fs, settings());
    assert_eq!((opened.damage(), opened.torn_tail()), (&[][..], None));
    let all = replayed(&opened);
    assert_eq!(all.len() as i64, batches + batches / 4);
    (fs, all)
}

/// Flips bits of one byte of a file and checks what recovery makes of it. `lost` is the frame the byte lies in.
fn check_flip(fs: &SimFs, path: &Path, at: usize, bits: u8, lost: Option<Offset>, all: &BTreeMap<Offset, Plain>) {
    let fs = fs.fork();
    fs.damage(path, |bytes| bytes[at] ^= bits);
    let opened = open_log(&fs, settings());
    let place = format!("{} byte {at}", path.display());
    assert!(!opened.damage().is_empty() || opened.torn_tail().is_some(), "{place}: not detected");
    let mut expected = all.clone();
    lost.map(|offset| expected.remove(&offset));
    let recovered = replayed(&opened);
    assert!(recovered == expected, "{place}: recovered {:?}", recovered.keys().collect::<Vec<_>>());
    assert_eq!(
        opened.damage().iter().map(|damage| damage.frames_lost).sum::<u64>(),
        lost.iter().count() as u64,
        "{place}"
    );
    assert_eq!(opened.end(), *all.last_key_value().unwrap().0, "{place}: offsets never come twice");
    assert_eq!(opened.log_id(), LOG_ID);
    if at.is_multiple_of(5) {
        assert!(replayed(&open_log(&fs, settings())) == expected, "{place}: recovery changes its mind");
    }
}

/// Which frame with an offset holds each byte of a segment, if one does.
fn owners(fs: &SimFs, number: u64) -> Vec<Option<Offset>> {
    let length = Fs::read(fs, &segment_path(number)).unwrap().len();
    let mut owners = vec![None; length];
    for frame in frames(fs, number).iter().filter(|frame| frame.kind.is_counted()) {
        frame.positions().for_each(|at| owners[at as usize] = Some(frame.offset));
    }
    owners
}

/// I-LOG-2
#[test]
fn every_flipped_byte_is_detected_and_nothing_else_is_lost() {
    let (fs, all) = closed_log(1000, 16);
    let segments = open_log(&fs, settings()).segments();
    assert!(segments.len() >= 2, "{segments:?}");
    let mut flips = 0;
    for segment in &segments {
        for (at, lost) in owners(&fs, segment.number).into_iter().enumerate() {
            let bits = [1u8, 0x80, 0xff][at % 3];
            check_flip(&fs, &segment_path(segment.number), at, bits, lost, &all);
            flips += 1;
        }
    }
    let id = Path::new(DIR).join("id");
    for at in 0..Fs::read(&fs, &id).unwrap().len() {
        check_flip(&fs, &id, at, 1, None, &all);
        flips += 1;
    }
    println!("{flips} recoveries from flipped bytes");
}

#[test]
fn flips_around_page_borders_and_in_frames_that_cross_them() {
    let (fs, all) = closed_log(1 << 20, 1200);
    let owners = owners(&fs, 1);
    let page = page::PAGE_BYTES as usize;
    assert!(owners.len() > 3 * page, "{}", owners.len());
    for border in [page, 2 * page] {
        for at in (border - 40..border + 80).step_by(3).chain(border..border + 8) {
            check_flip(&fs, &segment_path(1), at, 0x10, owners[at], &all);
        }
    }
}

#[test]
fn a_wiped_page_costs_the_frames_in_it_and_no_others() {
    let (fs, all) = closed_log(1 << 20, 1200);
    let owners = owners(&fs, 1);
    let page = page::PAGE_BYTES as usize;
    fs.damage(segment_path(1), |bytes| bytes[page..2 * page].fill(0));
    let opened = open_log(&fs, settings());
    let mut expected = all.clone();
    owners[page..2 * page].iter().flatten().for_each(|offset| drop(expected.remove(offset)));
    assert!(replayed(&opened) == expected);
    assert_eq!(
        opened.damage().iter().map(|damage| damage.frames_lost).sum::<u64>(),
        (all.len() - expected.len()) as u64
    );
    let kept = Path::new(DIR).join("damaged").join("00000000000000000001.log");
    assert!(Fs::read(&fs, &kept).unwrap() == Fs::read(&fs, &segment_path(1)).unwrap(), "a copy is kept aside");
}

#[test]
fn a_torn_tail_of_any_length_is_cut_off() {
    let fs = new_disk();
    let world = World::new(&[6]);
    let mut writer = open_writer(&fs, settings());
    for t in 0..12 {
        commit_batch(&mut writer, world.scrape(0..(t % 6 + 1) as u32, t)).unwrap();
    }
    drop(writer);
    let all = replayed(&open_log(&fs, settings()));
    let frames = frames(&fs, 1);
    let length = Fs::read(&fs, &segment_path(1)).unwrap().len();
    for cut in 0..length {
        let fs = fs.fork();
        fs.damage(segment_path(1), |bytes| bytes.truncate(cut));
        let opened = open_log(&fs, settings());
        let whole = frames.iter().filter(|frame| frame.positions().last().unwrap() < cut as u64);
        let mut expected = all.clone();
        let last = whole.filter(|frame| frame.kind.is_counted()).map(|frame| frame.offset).max().unwrap_or(0);
        expected.retain(|offset, _| *offset <= last);
        assert!(replayed(&opened) == expected, "cut at {cut}");
        assert_eq!((opened.damage(), opened.end()), (&[][..], last), "cut at {cut}");
        let mut writer = opened.into_writer();
        assert_eq!(commit_batch(&mut writer, world.scrape(0..6, 99)), Some(last + 1));
        drop(writer);
        let opened = open_log(&fs, settings());
        assert_eq!((opened.damage(), opened.torn_tail()), (&[][..], None), "cut at {cut}");
        expected.insert(last + 1, plain(&world.scrape(0..6, 99)));
        assert!(replayed(&opened) == expected, "cut at {cut}");
        assert!(
            Fs::read(&fs, &segment_path(1)).unwrap_or_default().len() <= cut,
            "a recovered segment is never longer"
        );
    }
    println!("{} recoveries from torn tails", 2 * length);
}

#[test]
fn damage_below_what_was_durable_is_no_torn_tail() {
    let fs = new_disk();
    let world = World::new(&[6]);
    let mut writer = open_writer(&fs, settings());
    for t in 0..3 {
        commit_batch(&mut writer, world.scrape(0..6, t)).unwrap();
    }
    drop(writer);
    let frames: Vec<FramePlace> = frames(&fs, 1).into_iter().filter(|frame| frame.kind == Kind::Samples).collect();
    for (i, frame) in frames.iter().enumerate() {
        let fs = fs.fork();
        let at = frame.positions().nth(40).unwrap() as usize;
        fs.damage(segment_path(1), |bytes| bytes[at] ^= 4);
        let opened = open_log(&fs, settings());
        let recovered: Vec<Offset> = replayed(&opened).into_keys().collect();
        if i < 2 {
            // A later group says that this one was durable.
            let reason = DamageReason::FrameContent;
            let at_bytes = frame.positions().next().unwrap();
            assert_eq!(opened.damage(), [Damage { segment: 1, at_bytes, reason, frames_lost: 1 }]);
            assert_eq!((opened.torn_tail(), recovered), (None, (1..=3).filter(|o| *o != frame.offset).collect()));
        } else {
            assert_eq!(opened.damage(), []);
            assert_eq!((opened.torn_tail().map(|torn| torn.segment), recovered), (Some(1), vec![1, 2]));
        }
    }
}

#[test]
fn damaged_definitions_cost_nothing_as_long_as_one_copy_is_good() {
    let (fs, all) = closed_log(1 << 20, 8);
    let copies: Vec<FramePlace> = frames(&fs, 1).into_iter().filter(|frame| frame.kind == Kind::Series).collect();
    let (firsts, seconds) = copies.split_at(copies.len() / 2);
    let destroy = |fs: &SimFs, frames: &[FramePlace]| {
        fs.damage(segment_path(1), |bytes| {
            frames.iter().for_each(|frame| frame.positions().for_each(|at| bytes[at as usize] = 0xaa));
        });
    };
    for half in [firsts, seconds] {
        let fs = fs.fork();
        destroy(&fs, half);
        let opened = open_log(&fs, settings());
        assert!(!opened.damage().is_empty());
        assert!(replayed(&opened) == all);
    }
    destroy(&fs, &[]);
    destroy(&fs, firsts);
    destroy(&fs, seconds);
    let opened = open_log(&fs, settings());
    let mut replay = opened.replay();
    assert_eq!(replay.by_ref().count(), all.len(), "the batches are still known, if not whose series they were");
    assert!(replay.samples_without_series() > 8);
}

/// I-LOG-2: a frame of another segment, or from another place, is none.
#[test]
fn a_frame_counts_only_where_it_was_written() {
    let fs = new_disk();
    let world = World::new(&[6]);
    let mut writer = open_writer(&fs, small_segments(10));
    for t in 0..3 {
        commit_batch(&mut writer, world.scrape(0..6, t)).unwrap(); // three segments, laid alike
    }
    drop(writer);
    let frame = frames(&fs, 1).into_iter().find(|frame| frame.kind == Kind::Samples).unwrap();
    let place = frame.positions().next().unwrap() as usize..frame.positions().last().unwrap() as usize + 1;
    let stale = Fs::read(&fs, &segment_path(1)).unwrap()[place.clone()].to_vec();

    let other_segment = fs.fork();
    other_segment.damage(segment_path(2), |bytes| bytes[place.clone()].copy_from_slice(&stale));
    let opened = open_log(&other_segment, settings());
    assert_eq!(replayed(&opened).into_keys().collect::<Vec<_>>(), [1, 3]);
    assert_eq!(opened.damage().iter().map(|damage| damage.frames_lost).sum::<u64>(), 1);

    let other_place = fs.fork();
    other_place.damage(segment_path(3), |bytes| bytes.extend_from_slice(&stale));
    let opened = open_log(&other_place, settings());
    assert_eq!(replayed(&opened).into_keys().collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(opened.torn_tail().map(|torn| torn.size_bytes), Some(stale.len() as u64));
}

#[test]
fn a_missing_or_short_segment_is_reported() {
    let fs = new_disk();
    let world = World::new(&[6]);
    let mut writer = open_writer(&fs, small_segments(10));
    for t in 0..4 {
        commit_batch(&mut writer, world.scrape(0..6, t)).unwrap();
    }
    drop(writer);
    let missing = fs.fork();
    missing.remove_file(&segment_path(2)).unwrap();
    let opened = open_log(&missing, settings());
    let damage = Damage { segment: 2, at_bytes: 0, reason: DamageReason::Missing, frames_lost: 1 };
    assert_eq!(opened.damage(), [damage]);
    assert_eq!(replayed(&opened).into_keys().collect::<Vec<_>>(), [1, 3, 4]);

    let samples = frames(&fs, 2).into_iter().find(|frame| frame.kind == Kind::Samples).unwrap();
    for cut in [0, 30, 64, samples.positions().next().unwrap() as usize, samples.positions().nth(50).unwrap() as usize]
    {
        let short = fs.fork();
        short.damage(segment_path(2), |bytes| bytes.truncate(cut));
        let opened = open_log(&short, settings());
        assert_eq!(opened.damage().iter().map(|damage| damage.frames_lost).sum::<u64>(), 1, "{:?}", opened.damage());
        assert!(opened.damage().iter().any(|damage| damage.reason == DamageReason::Short), "{:?}", opened.damage());
        assert_eq!(replayed(&opened).into_keys().collect::<Vec<_>>(), [1, 3, 4]);
    }
}
