//! The writer thread and the queue before it.

use super::support::*;
use crate::*;
use longhaul_disk::Fs;
use longhaul_testkit::sim_fs::{EIO, FaultPoint};
use std::sync::mpsc;

type Deliveries = mpsc::Receiver<Delivery<TestBatch, u32>>;

fn start(opened: Opened) -> (LocalLog<TestBatch, u32>, Deliveries) {
    let (sender, receiver) = mpsc::channel();
    let log = opened.start(Box::new(move |delivery| drop(sender.send(delivery))));
    (log, receiver)
}

#[test]
fn everything_appended_is_delivered_in_order_and_closing_waits_for_it() {
    let fs = new_disk();
    let world = World::new(&[6]);
    let settings = LogSettings { group_size_bytes: 1000, ..small_segments(4000) };
    let (log, deliveries) = start(open_log(&fs, settings.clone()));
    for t in 0..200 {
        log.append(Append::Batch(world.scrape(0..6, t))).unwrap();
        if t % 10 == 9 {
            log.append(Append::Marker(t as u32)).unwrap();
        }
    }
    log.close();
    let mut offset = 0;
    for delivery in deliveries.iter() {
        match delivery {
            Delivery::Batch { offset: next, batch } => {
                assert_eq!((next, batch.entries[0].1[0].t_ms), (offset + 1, offset as i64));
                offset = next;
            }
            Delivery::Marker { end, marker } => assert_eq!((end, u64::from(marker) + 1), (offset, offset)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((offset, log.end()), (200, 200));
    let rejected = log.append(Append::Marker(0)).unwrap_err();
    assert_eq!(rejected.why, Rejection::Closed);
    assert!(log.segments().len() > 2);
    assert_eq!(log.size_bytes(), log.segments().iter().map(|segment| segment.size_bytes).sum::<u64>());
    for segment in log.segments() {
        assert_eq!(fs.open(&segment_path(segment.number)).unwrap().len().unwrap(), segment.size_bytes);
    }
    log.release(201).unwrap();
    assert_eq!(log.segments().len(), 1);
    drop(log);
    assert_eq!(open_log(&fs, settings).end(), 200);
}

#[test]
fn a_full_queue_rejects_batches_and_takes_what_follows_from_them() {
    let fs = new_disk();
    let world = World::new(&[6]);
    let settings = LogSettings { queue_batches_max: 3, queue_entries_max: 12, ..settings() };
    let (sender, receiver) = mpsc::channel();
    let (go, gate) = mpsc::channel::<()>();
    let log = open_log(&fs, settings).start(Box::new(move |delivery: Delivery<TestBatch, u32>| {
        let _ = sender.send(delivery);
        let _ = gate.recv();
    }));
    log.append(Append::Marker(1)).unwrap();
    assert!(matches!(receiver.recv().unwrap(), Delivery::Marker { end: 0, marker: 1 })); // now the thread waits
    log.append(Append::Batch(world.scrape(0..6, 0))).unwrap();
    log.append(Append::Batch(world.scrape(0..5, 1))).unwrap();
    let rejected = log.append(Append::Batch(world.scrape(0..2, 2))).unwrap_err();
    assert_eq!(rejected.why, Rejection::Full, "by entries");
    log.append(Append::Batch(world.scrape(0..1, 3))).unwrap();
    assert!(matches!(rejected.append, Append::Batch(batch) if batch.entries.len() == 2));
    let rejected = log.append(Append::Batch(world.scrape(0..0, 4))).unwrap_err();
    assert_eq!(rejected.why, Rejection::Full, "by batches");
    let refusals = Refusals { tenant: TenantId::parse("tenant-0").unwrap(), batch: 1, samples: vec![(0, 0)] };
    log.append(Append::Refusals(refusals, 0)).unwrap();
    log.append(Append::Marker(2)).unwrap();
    drop(go);
    log.close();
    let times: Vec<i64> = receiver
        .iter()
        .filter_map(|delivery| match delivery {
            Delivery::Batch { batch, .. } => Some(batch.entries[0].1[0].t_ms),
            _ => None,
        })
        .collect();
    assert_eq!(times, [0, 1, 3]);
}

#[test]
fn failures_reach_their_senders_and_the_log_goes_on() {
    let fs = new_disk();
    let world = World::new(&[6]);
    let (log, deliveries) = start(open_log(&fs, settings()));
    log.append(Append::Batch(world.scrape(0..6, 0))).unwrap();
    assert!(matches!(deliveries.recv().unwrap(), Delivery::Batch { offset: 1, .. }));
    fs.fail(FaultPoint::SyncData, 0, EIO);
    log.append(Append::Batch(world.scrape(0..6, 1))).unwrap();
    assert!(matches!(deliveries.recv().unwrap(), Delivery::Failed { .. }));
    log.append(Append::Batch(world.scrape(0..6, 2))).unwrap();
    assert!(matches!(deliveries.recv().unwrap(), Delivery::Batch { offset: 3, .. }));
    assert_eq!((log.counters().failures, log.counters().segments_opened), (1, 2));
}

#[test]
fn a_panic_in_a_delivery_closes_the_log_instead_of_hanging_it() {
    let fs = new_disk();
    let log = open_log(&fs, settings()).start(Box::new(|_: Delivery<TestBatch, u32>| panic!("as the test wants it")));
    log.append(Append::Marker(0)).unwrap();
    while log.append(Append::Marker(0)).is_ok() {
        std::thread::yield_now();
    }
    log.close();
}

#[test]
fn with_an_interval_the_thread_syncs_by_itself() {
    let fs = new_disk();
    let world = World::new(&[6]);
    let (log, deliveries) = start(open_log(&fs, LogSettings { sync: SyncMode::Interval(5), ..settings() }));
    log.append(Append::Batch(world.scrape(0..6, 0))).unwrap();
    deliveries.recv().unwrap();
    let is_durable = || open_log(&fs.crash_states(fs.trace_len(), 0)[0], settings()).replay().count() == 1;
    while !is_durable() {
        std::thread::yield_now();
    }
    log.close();
}
