//! Others who work on the bucket while a collector does, and collectors that end anywhere.

use super::yard::*;
use futures::FutureExt;
use longhaul_bucket::{OperationId, Rejected};
use longhaul_testkit::faulty_store::{Call, Fault, Then};
use parking_lot::Mutex;
use std::sync::Arc;

/// I-GC-4: a block that was uploaded long ago is committed just before the boundary is.
#[tokio::test]
async fn what_becomes_live_before_the_boundary_stays() {
    let yard = Arc::new(Yard::new());
    yard.ship("a").await;
    let late = yard.upload("a").await;
    yard.wait_hours(100);
    let (view, collector) = yard.collector();
    let others = yard.clone();
    view.set_rule(move |step| {
        let others = others.clone();
        let ship = async move { others.commit("a", |manifest| manifest.ship(block(late), &[]).unwrap()).await };
        let is_boundary = step.call == Call::Create && step.key.as_ref().ends_with("2");
        (Fault::Slow, if is_boundary { Then::Stall(ship.boxed()) } else { Then::GoOn })
    });
    let report = done(collector.collect(None).await);
    assert_eq!((report.orphans_deleted, report.objects_deleted), (0, 0));
    let manifest = yard.manifest("a").await;
    assert!(manifest.version == 3 && manifest.block(late).is_some() && manifest.orphan_boundary.unwrap() > late);
}

/// I-GC-4, the other way round: who comes later is refused, and uploads under another id.
#[tokio::test]
async fn what_would_become_live_after_the_boundary_is_refused() {
    let yard = Yard::new();
    yard.ship("a").await;
    let late = yard.upload("a").await;
    yard.wait_hours(100);
    let base = yard.manifest("a").await;
    assert_eq!(yard.collect().await.orphans_deleted, 1);
    let store = yard.store("a");
    let change = |manifest: &longhaul_bucket::Manifest| manifest.ship(block(late), &[]);
    let refused = store.commit(Some(&base), "test", OperationId::new(77), change).await.unwrap_err();
    let is_below = |it: &_| matches!(it, longhaul_bucket::CommitError::Rejected(Rejected::BelowOrphanBoundary { .. }));
    assert!(is_below(&refused), "{refused}");
}

/// A crash at every step; whoever comes next brings it to the same end.
#[tokio::test]
async fn a_collector_may_end_anywhere() {
    let mut ends = 0;
    for last in 0.. {
        let yard = Yard::new();
        let old = yard.ship("a").await;
        let live = yard.replace("a", &[old]).await;
        yard.collect().await;
        let orphan = yard.upload("a").await;
        yard.wait_hours(200);
        let (view, collector) = yard.collector();
        let reached = Arc::new(Mutex::new(false));
        let noted = reached.clone();
        view.set_rule(move |step| {
            *noted.lock() |= step.number == last;
            (Fault::None, if step.number == last { Then::Crash } else { Then::GoOn })
        });
        let report = collector.collect(None).await;
        if !*reached.lock() {
            done(report);
            break;
        }
        ends += 1;
        yard.collect().await;
        yard.collect().await;
        assert_eq!(yard.count(&old.to_string()).await + yard.count(&orphan.to_string()).await, 0, "{last}");
        assert_eq!(yard.count(&live.to_string()).await, 3, "{last}");
        let manifest = yard.manifest("a").await;
        assert_eq!((manifest.retired.len(), manifest.blocks[0].id), (0, live), "{last}");
    }
    println!("{ends} collectors ended");
    assert!(ends > 30);
}

/// Several at once only do each other's work.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn collectors_that_race_come_to_the_same_end() {
    let yard = Yard::new();
    let mut live = Vec::new();
    for _ in 0..10 {
        let old = yard.ship("a").await;
        live.push(yard.replace("a", &[old]).await);
        yard.upload("a").await;
    }
    for hours in [0, 100] {
        yard.wait_hours(hours);
        let collectors = [yard.collector(), yard.collector(), yard.collector()];
        let [a, b, c] = &collectors;
        for report in <[_; 3]>::from(tokio::join!(a.1.collect(None), b.1.collect(None), c.1.collect(None))) {
            done(report);
        }
    }
    yard.collect().await;
    let manifest = yard.manifest("a").await;
    assert_eq!((manifest.blocks.len(), manifest.retired.len()), (10, 0));
    assert_eq!(yard.keys("a/01").await.len(), 30);
    for id in live {
        assert!(manifest.block(id).is_some());
    }
}
