//! From head to part: views, readers, coverage, and disks that refuse.

use super::site::*;
use crate::housekeeper;
use longhaul_disk::Fs;
use longhaul_testkit::sim_fs::{EIO, ENOSPC, FaultPoint};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};

/// I-CUT-2, I-READ-1: a reader that came before a part keeps its view in the head, and no other view is taken meanwhile.
/// Neither writes nor other tenants wait for it.
#[tokio::test]
async fn a_slow_reader_delays_the_next_cut_of_its_tenant_and_nothing_else() {
    let site = Site::new(1);
    let ingester = site.open().await;
    let [slow, other] = [tenant(0), tenant(1)];
    for id in [&slow, &other] {
        assert!(put(&ingester, id, "up", START_MS, 1.0).await);
    }
    let pin = ingester.pin(&slow).await.unwrap();
    ingester.cut_all(&slow).await.unwrap();
    assert_eq!(ingester.part_count(&slow), 1, "the part is visible at once");
    assert_eq!(pin.head.select(&[], longhaul_model::TimeRange::ALL).len(), 1, "and the head keeps what it has");
    assert!(put(&ingester, &slow, "up", START_MS + 1, 2.0).await);
    let next = tokio::spawn({
        let (ingester, slow) = (ingester.clone(), slow.clone());
        async move { ingester.cut_all(&slow).await }
    });
    site.clock.advance(DAY_MS);
    assert!(housekeeper::tick(ingester.inner()).await, "a look around does not wait");
    assert_eq!((ingester.part_count(&slow), ingester.part_count(&other)), (1, 1));
    drop(pin);
    next.await.unwrap().unwrap();
    assert_eq!(ingester.part_count(&slow), 2);
    let parts = ingester.tenant(&slow).parts.all();
    let coverage: Vec<_> = parts.iter().map(|part| (part.coverage()[0].from, part.coverage()[0].to)).collect();
    assert!(coverage[0].1 <= coverage[1].0, "I-CUT-1: {coverage:?} do not overlap");
}

/// I-READ-1: whoever reads while data moves from head to part to bucket misses nothing that was acknowledged before.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_miss_nothing_while_data_moves() {
    const SAMPLES_MAX: i64 = 20_000;
    let mut site = Site::new(2);
    site.settings.parts_per_range_max = 2;
    let ingester = site.open().await;
    let id = tenant(0);
    assert!(put(&ingester, &id, "up", START_MS, 0.0).await);
    let (written, done) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
    let movers = [0, 1, 2].map(|kind| {
        let (ingester, id, done) = (ingester.clone(), id.clone(), done.clone());
        tokio::spawn(async move {
            while !done.load(SeqCst) {
                match kind {
                    0 => ingester.cut_all(&id).await.unwrap(),
                    1 => ingester.ship(&id, true).await.unwrap(),
                    _ => ingester.merge_parts(&id).await.unwrap(),
                }
                tokio::time::sleep(std::time::Duration::from_millis([2, 15, 5][kind])).await;
            }
        })
    });
    let reader = {
        let (ingester, id, written, done) = (ingester.clone(), id.clone(), written.clone(), done.clone());
        tokio::spawn(async move {
            let mut reads = 0;
            while !done.load(SeqCst) {
                let acknowledged = written.load(SeqCst);
                let found = read(&ingester, &id).await;
                for n in 0..=acknowledged {
                    assert_eq!(found.value("up", START_MS + n), Some(n as f64), "of {acknowledged}");
                }
                reads += 1;
            }
            reads
        })
    };
    let metrics = ingester.metrics().clone();
    for n in 1..=SAMPLES_MAX {
        assert!(put(&ingester, &id, "up", START_MS + n, n as f64).await);
        written.store(n, SeqCst);
        if metrics.parts_written.load(SeqCst) > 30 && metrics.blocks_shipped.load(SeqCst) > 5 {
            break;
        }
    }
    done.store(true, SeqCst);
    for mover in movers {
        mover.await.unwrap();
    }
    let reads: usize = reader.await.unwrap();
    println!("{reads} reads, {:?} parts, {:?} blocks", metrics.parts_written, metrics.blocks_shipped);
    assert!(reads > 5 && metrics.parts_written.load(SeqCst) > 30 && metrics.blocks_shipped.load(SeqCst) > 5);
}

/// I-COVER-1: a segment stays as long as one sample in it is in no part.
#[tokio::test]
async fn the_log_keeps_what_is_not_covered() {
    let site = Site::new(3);
    let ingester = site.open().await;
    let [first, id] = [tenant(1), tenant(0)];
    assert!(put(&ingester, &first, "pins", START_MS, 1.0).await);
    let fill = async |from: i64| {
        for n in from..from + 60 {
            let samples = (0..40).map(|i| sample(START_MS + n * 100 + i, ((n * i) as f64).sin())).collect();
            write(&ingester, &id, &[("up".into(), samples)]).await.unwrap();
        }
    };
    let segments = || ingester.inner().log.segments();
    fill(0).await;
    assert!(segments().len() > 3);
    ingester.cut_all(&id).await.unwrap();
    drop(ingester.tenant(&id).cutting.lock().await);
    housekeeper::release_log(ingester.inner()).await.unwrap();
    assert_eq!(segments()[0].base, 1, "one sample of the first batch is nowhere else");
    ingester.log_again(&first).await;
    housekeeper::release_log(ingester.inner()).await.unwrap();
    assert_eq!(segments().len(), 1, "now it stands at the end");
    fill(60).await;
    let restarted = site.killed().open().await;
    assert_eq!(read(&restarted, &first).await.value("pins", START_MS), Some(1.0));
    assert_eq!(read(&restarted, &id).await.all["up"].len(), 4800);
    ingester.cut_all(&first).await.unwrap();
    ingester.cut_all(&id).await.unwrap();
    for id in [&first, &id] {
        drop(ingester.tenant(id).cutting.lock().await);
    }
    housekeeper::release_log(ingester.inner()).await.unwrap();
    assert_eq!(segments().len(), 1);
}

/// A cut that fails anywhere leaves its samples where they were, and the next one takes them.
#[tokio::test]
async fn a_cut_that_fails_is_taken_back() {
    use FaultPoint::*;
    let mut failed = 0;
    for (seed, (point, skip)) in [Create, Append, SyncData, SyncDir, Rename, Read]
        .into_iter()
        .flat_map(|point| [0, 1, 2, 4].map(|skip| (point, skip)))
        .enumerate()
    {
        let site = Site::new(100 + seed as u64);
        let ingester = site.open().await;
        let id = tenant(0);
        for n in 0..50 {
            assert!(put(&ingester, &id, "up", START_MS + n, n as f64).await);
        }
        let before = read(&ingester, &id).await.all;
        site.fs.fail(point, skip, if seed % 2 == 0 { EIO } else { ENOSPC });
        if ingester.cut_all(&id).await.is_err() {
            failed += 1;
            assert_eq!(ingester.part_count(&id), 0);
            assert_eq!(read(&ingester, &id).await.all, before, "{point:?} {skip}");
            assert!(!put(&ingester, &id, "up", START_MS, 99.0).await);
            assert_eq!(read(&site.killed().open().await, &id).await.all, before, "{point:?} {skip}, after a crash");
            ingester.cut_all(&id).await.unwrap();
        }
        assert_eq!(ingester.part_count(&id), 1);
        let listed = site.fs.list(Path::new("/var/longhaul/parts/tenant-0")).unwrap();
        assert_eq!(listed.len(), 1, "{point:?} {skip}: {listed:?}");
        assert_eq!(read(&ingester, &id).await.all, before);
        assert_eq!(read(&site.killed().open().await, &id).await.all, before);
    }
    assert!(failed > 10, "{failed} cuts failed");
}

#[tokio::test]
async fn closing_answers_everybody_and_lets_the_directory_go() {
    let site = Site::new(5);
    let ingester = site.open().await;
    let writes = (0..50).map(|n| {
        let ingester = ingester.clone();
        tokio::spawn(async move { write(&ingester, &tenant(0), &[("up".into(), vec![sample(n, 1.0)])]).await })
    });
    let writes: Vec<_> = writes.collect();
    tokio::task::yield_now().await;
    assert!(matches!(crate::Ingester::open(site.parts()).await, Err(crate::IngestError::InUse(_))));
    ingester.close().await;
    let mut stored = 0;
    for write in writes {
        stored += u64::from(write.await.unwrap().is_ok());
    }
    drop(ingester);
    let restarted = site.open().await;
    assert_eq!(read(&restarted, &tenant(0)).await.all.get("up").map_or(0, |up| up.len() as u64), stored);
}
