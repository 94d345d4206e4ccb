//! I-GC-5: what shakes the trust in clocks, credentials or manifests stops deletions.

use super::yard::*;
use crate::{ClockJump, CollectError, CollectReport};
use longhaul_bucket::BucketError;
use longhaul_testkit::faulty_store::{Call, Fault, FaultyStore, Then};
use object_store::ObjectStoreExt;
use object_store::path::Path as Key;
use std::sync::Arc;

/// A bucket of two tenants, each with an orphan that may go.
async fn with_garbage() -> Yard {
    let yard = Yard::new();
    for name in ["a", "b"] {
        yard.ship(name).await;
        yard.ship(name).await;
        yard.upload(name).await;
    }
    yard.wait_hours(100);
    yard
}

#[tokio::test]
async fn a_403_stops_a_run() {
    let yard = with_garbage().await;
    let (view, collector) = yard.collector();
    view.set_rule(|step| (if step.call == Call::Delete { Fault::Denied } else { Fault::None }, Then::GoOn));
    let report = collector.collect(None).await;
    let is_denied = matches!(report.stopped, Some(CollectError::Bucket { source: BucketError::Denied { .. }, .. }));
    assert!(is_denied && report.objects_deleted == 0 && report.tenants == 1, "{report:?}");
    let json = serde_json::to_value(&report).unwrap();
    assert!(json["stopped"].as_str().unwrap().contains("access denied"), "{json}");
    assert_eq!(collector.metrics().runs_stopped.load(std::sync::atomic::Ordering::Relaxed), 1);
    view.set_rule(|_| (Fault::None, Then::GoOn));
    assert_eq!(done(collector.collect(None).await).orphans_deleted, 2, "somebody has mended it");
}

#[tokio::test]
async fn a_store_that_is_away_stops_a_run_and_damage_of_one_tenant_does_not() {
    let yard = with_garbage().await;
    let (view, collector) = yard.collector();
    view.set_rule(|step| (if step.key.as_ref().starts_with("a/") { Fault::Refused } else { Fault::None }, Then::GoOn));
    let report = collector.collect(None).await;
    assert!(report.stopped.is_some() && report.objects_deleted == 0, "{report:?}");
    view.set_rule(|_| (Fault::None, Then::GoOn));
    let key = Key::from("a/_longhaul/manifest/00000000000000000002");
    FaultyStore::new(&yard.world).put(&key, "rot".into()).await.unwrap();
    let CollectReport { failures, orphans_deleted, stopped, .. } = collector.collect(None).await;
    assert!(stopped.is_none() && failures.len() == 1 && failures[0].tenant == tenant("a"));
    assert_eq!(orphans_deleted, 1);
}

#[tokio::test]
async fn a_clock_that_jumped_stops_a_run() {
    let yard = with_garbage().await;
    let (view, collector) = yard.collector();
    view.set_rule(|step| {
        let is_clock = step.call == Call::Put && step.key.as_ref() == "_longhaul/clock";
        (if is_clock { Fault::Skewed(601_000) } else { Fault::None }, Then::GoOn)
    });
    let report = collector.collect(None).await;
    assert!(matches!(report.stopped, Some(CollectError::Clock(ClockJump::Apart { .. }))), "{report:?}");
    assert_eq!((report.tenants, report.objects_deleted), (0, 0));
    view.set_rule(|_| (Fault::None, Then::GoOn));
    yard.wait_hours(-1);
    let report = collector.collect(None).await;
    assert!(matches!(report.stopped, Some(CollectError::Clock(ClockJump::WentBack(_)))), "{report:?}");
    assert_eq!(done(collector.collect(None).await).orphans_deleted, 2, "it goes on from there");
}

/// A bucket that was put back to an earlier state, of one tenant: what is live in it was garbage perhaps.
#[tokio::test]
async fn another_history_stops_all_deletions_of_the_process() {
    for commits_since in [0, 1, 2] {
        let yard = with_garbage().await;
        let (_, collector) = yard.collector();
        assert_eq!(done(collector.collect(None).await).orphans_deleted, 2);
        yard.upload("b").await;
        yard.wait_hours(100);
        let newest = yard.manifest("a").await.version;
        assert_eq!(newest, 3, "the boundary was committed");
        let key = Key::from(format!("a/_longhaul/manifest/{newest:020}"));
        FaultyStore::new(&yard.world).delete(&key).await.unwrap();
        for _ in 0..commits_since {
            yard.ship("a").await;
        }
        for _ in 0..2 {
            let report = collector.collect(None).await;
            let Some(CollectError::OtherHistory { tenant: of, seen, found }) = &report.stopped else {
                panic!("{commits_since} {report:?}")
            };
            assert_eq!((of, *seen, *found), (&tenant("a"), 3, 2 + commits_since));
            assert_eq!(report.objects_deleted, 0);
        }
        let report = collector.collect(Some(&tenant("b"))).await;
        assert!(report.stopped.is_some() && report.objects_deleted == 0, "nothing of anybody is deleted");
        let fresh = done(yard.collector().1.collect(None).await);
        assert_eq!(fresh.orphans_deleted, 1, "a process that is started afterwards takes it as it is");
    }
    // What was trimmed is no other history.
    let yard = with_garbage().await;
    let (_, collector) = yard.collector();
    done(collector.collect(None).await);
    let yard = Arc::new(yard);
    for _ in 0..4 {
        yard.wait_hours(24 * 7);
        yard.ship("a").await;
    }
    yard.wait_hours(24 * 7);
    yard.collect().await;
    assert!(yard.store("a").load_trim_boundary().await.unwrap().version() > 3);
    done(collector.collect(None).await);
}
