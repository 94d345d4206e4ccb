//! Disks that refuse: what was not made durable is not acknowledged, and the log goes on elsewhere.

use super::support::*;
use crate::*;
use longhaul_disk::Fs;
use longhaul_testkit::sim_fs::{EIO, ENOSPC, FaultPoint, Operation, SimFs};
use std::path::Path;

fn segment_files(fs: &SimFs) -> Vec<String> {
    let names = fs.list(Path::new(DIR)).unwrap().into_iter().map(|entry| entry.name);
    names.filter(|name| name.ends_with(".log")).collect()
}

/// I-LOG-1, I-LOG-3
#[test]
fn a_failed_sync_fails_its_whole_group_and_gives_the_segment_up() {
    let fs = new_disk();
    let world = World::new(&[6]);
    let mut writer = open_writer(&fs, settings());
    assert_eq!(commit_batch(&mut writer, world.scrape(0..6, 1)), Some(1));
    fs.fail(FaultPoint::SyncData, 0, EIO);
    let before = fs.trace_len();
    let refusals = Refusals { tenant: TenantId::parse("tenant-0").unwrap(), batch: 1, samples: vec![(0, 0)] };
    let appends = vec![
        Append::Batch(world.scrape(0..6, 2)),
        Append::Marker(5),
        Append::Batch(world.scrape(0..6, 3)),
        Append::Refusals(refusals, 8),
    ];
    let deliveries = commit(&mut writer, appends);
    let [first, marker, second, third] = &deliveries[..] else { panic!("{deliveries:?}") };
    assert!(matches!(first, Delivery::Failed { what: Append::Batch(_), .. }), "{first:?}");
    assert!(matches!(marker, Delivery::Marker { end: 1, marker: 5 }), "markers never fail: {marker:?}");
    assert!(matches!(second, Delivery::Failed { what: Append::Batch(_), .. }), "{second:?}");
    assert!(matches!(third, Delivery::Failed { what: Append::Refusals(_, 8), .. }), "{third:?}");
    let syncs = |from: usize| {
        let trace = &fs.trace()[from..];
        trace.iter().filter(|operation| matches!(operation, Operation::SyncData { .. })).count()
    };
    assert_eq!(syncs(before), 0, "never retry an fsync");
    assert_eq!(writer.end(), 1);

    assert_eq!(commit_batch(&mut writer, world.scrape(0..6, 4)), Some(5), "an offset never stands for two batches");
    assert_eq!(segment_files(&fs).len(), 2);
    assert_eq!(writer.counters().failures, 1);
    let segments: Vec<_> = writer.segments().iter().map(|segment| (segment.base, segment.end)).collect();
    assert_eq!(segments, [(1, 1), (5, 5)]);
    drop(writer);
    let opened = open_log(&fs, settings());
    assert_eq!((opened.damage(), opened.torn_tail(), opened.end()), (&[][..], None, 5));
    assert_eq!(replayed(&opened).into_keys().collect::<Vec<_>>(), [1, 5], "what failed counts for nothing");
}

#[test]
fn a_full_disk_leaves_no_litter_and_the_log_goes_on_when_there_is_space() {
    let fs = new_disk();
    let world = World::new(&[6]);
    let mut writer = open_writer(&fs, settings());
    assert_eq!(commit_batch(&mut writer, world.scrape(0..6, 1)), Some(1));
    for point in [FaultPoint::Append, FaultPoint::Create, FaultPoint::Append, FaultPoint::SyncDir, FaultPoint::SyncData]
    {
        fs.fail(point, 0, ENOSPC);
        let mut appends = vec![Append::Batch(world.scrape(0..6, 2)), Append::Batch(world.scrape(0..6, 3))];
        let mut failed = 0;
        writer.commit(&mut appends, &mut |delivery| match delivery {
            Delivery::Failed { error, .. } => failed += usize::from(error.is_disk_full()),
            other => panic!("{other:?}"),
        });
        assert_eq!(failed, 2, "{point:?}");
        assert!(segment_files(&fs).len() <= 1, "{point:?}: {:?}", segment_files(&fs));
    }
    // The new segment takes its header, not the batch: it holds nothing and goes.
    fs.fail(FaultPoint::Append, 1, ENOSPC);
    assert_eq!(commit_batch(&mut writer, world.scrape(0..6, 4)), None);
    assert_eq!(segment_files(&fs).len(), 1);
    let offset = commit_batch(&mut writer, world.scrape(0..6, 5)).unwrap();
    assert!(offset > 1);
    drop(writer);
    let opened = open_log(&fs, settings());
    assert_eq!(opened.damage(), []);
    assert_eq!(replayed(&opened).into_keys().collect::<Vec<_>>(), [1, offset]);
}

#[test]
fn a_segment_that_cannot_be_completed_costs_nothing() {
    for (skip, point) in
        [(0, FaultPoint::Append), (0, FaultPoint::SyncData), (1, FaultPoint::Append), (1, FaultPoint::SyncData)]
    {
        let fs = new_disk();
        let world = World::new(&[6]);
        let mut writer = open_writer(&fs, small_segments(10));
        assert_eq!(commit_batch(&mut writer, world.scrape(0..6, 1)), Some(1));
        fs.fail(point, skip, EIO);
        assert_eq!(commit_batch(&mut writer, world.scrape(0..6, 2)), Some(2), "{point:?} {skip}");
        assert_eq!(writer.counters().failures, 1);
        drop(writer);
        let opened = open_log(&fs, settings());
        assert_eq!(opened.damage(), []);
        assert_eq!(replayed(&opened).into_keys().collect::<Vec<_>>(), [1, 2]);
    }
}

#[test]
fn with_an_interval_syncs_come_later_and_a_failed_one_gives_the_segment_up() {
    let fs = new_disk();
    let world = World::new(&[6]);
    let mut writer = open_writer(&fs, LogSettings { sync: SyncMode::Interval(50), ..settings() });
    commit_batch(&mut writer, world.scrape(0..6, 1)).unwrap();
    let before = fs.trace_len();
    commit_batch(&mut writer, world.scrape(0..6, 2)).unwrap();
    assert_eq!(fs.trace_len(), before + 1, "one append and no sync");
    writer.sync();
    writer.sync();
    assert_eq!(fs.trace_len(), before + 2, "nothing to do the second time");
    commit_batch(&mut writer, world.scrape(0..6, 3)).unwrap();
    fs.fail(FaultPoint::SyncData, 0, EIO);
    writer.sync();
    assert_eq!(commit_batch(&mut writer, world.scrape(0..6, 4)), Some(4));
    assert_eq!(segment_files(&fs).len(), 2);
    drop(writer);
    let opened = open_log(&fs, settings());
    assert_eq!(replayed(&opened).into_keys().collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[test]
fn recovery_that_cannot_repair_says_so_and_works_the_next_time() {
    let fs = new_disk();
    let world = World::new(&[6]);
    let mut writer = open_writer(&fs, settings());
    commit_batch(&mut writer, world.scrape(0..6, 1)).unwrap();
    commit_batch(&mut writer, world.scrape(0..6, 2)).unwrap();
    drop(writer);
    fs.damage(segment_path(1), |bytes| {
        bytes.pop();
    });
    for point in [FaultPoint::Truncate, FaultPoint::Read, FaultPoint::SyncDir] {
        fs.fail(point, 0, EIO);
        assert!(matches!(try_open(&fs, settings()).unwrap_err(), LogError::Io { .. }), "{point:?}");
    }
    assert_eq!(replayed(&open_log(&fs, settings())).len(), 1);
}

#[test]
fn a_replay_that_cannot_read_ends_with_an_error() {
    let fs = new_disk();
    let world = World::new(&[6]);
    let mut writer = open_writer(&fs, settings());
    commit_batch(&mut writer, world.scrape(0..6, 1)).unwrap();
    drop(writer);
    let opened = open_log(&fs, settings());
    fs.fail(FaultPoint::Read, 0, EIO);
    let mut replay = opened.replay();
    assert!(matches!(replay.next(), Some(Err(LogError::Io { .. }))));
    assert!(replay.next().is_none());
    assert_eq!(opened.replay().count(), 1);
}

#[test]
fn what_no_frame_can_hold_fails_alone() {
    let fs = new_disk();
    let world = World::new(&[6]);
    let mut writer = open_writer(&fs, settings());
    let many = vec![(0, 0); samples::SAMPLES_MAX + 1];
    let refusals = Refusals { tenant: TenantId::parse("tenant-0").unwrap(), batch: 1, samples: many };
    let appends =
        vec![Append::Batch(world.scrape(0..6, 1)), Append::Refusals(refusals, 0), Append::Batch(world.scrape(0..6, 2))];
    let deliveries = commit(&mut writer, appends);
    assert!(matches!(&deliveries[0], Delivery::Batch { offset: 1, .. }));
    assert!(matches!(&deliveries[1], Delivery::Failed { error, .. } if matches!(**error, LogError::TooLarge(_))));
    assert!(matches!(&deliveries[2], Delivery::Batch { offset: 2, .. }));
}
