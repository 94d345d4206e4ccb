//! Samples that come late, twice, or with another value, at every station of what was there before.

use super::site::*;
use longhaul_disk::Fs;
use std::path::Path;

#[tokio::test]
async fn late_samples_are_stored_at_every_station_and_duplicates_are_not() {
    let mut site = Site::new(1);
    let mut ingester = site.open().await;
    let id = tenant(0);
    let mut expected = std::collections::BTreeMap::new();
    // From now back over three days, so that block ranges and whole days are cut; odd ones come late.
    let times: Vec<i64> = (0..60).map(|n| START_MS - n * 73 * MINUTE_MS).collect();
    for station in 0..5 {
        for t_ms in times.iter().skip(station).step_by(5) {
            assert!(put(&ingester, &id, "late", *t_ms, *t_ms as f64).await);
            expected.insert(*t_ms, (*t_ms as f64).to_bits());
        }
        for t_ms in expected.keys().rev().step_by(7) {
            assert!(put(&ingester, &id, "late", *t_ms, *t_ms as f64).await, "a duplicate is a success");
        }
        assert_eq!(read(&ingester, &id).await.all["late"], expected, "station {station}");
        match station {
            0 => ingester.cut_all(&id).await.unwrap(),
            1 => ingester.log_again(&id).await,
            2 => ingester.flush(None).await.unwrap(),
            _ => {
                site = site.killed();
                ingester = site.open().await;
            }
        }
        assert_eq!(read(&ingester, &id).await.all["late"], expected, "after station {station}");
    }
}

#[tokio::test]
async fn many_parts_of_a_range_become_one_and_nothing_else_changes() {
    let mut site = Site::new(2);
    site.settings.parts_per_range_max = 3;
    let ingester = site.open().await;
    let id = tenant(0);
    for n in 0..6 {
        for second in [n, 30 + n, 60 - n] {
            put(&ingester, &id, "up", START_MS - second * SECOND_MS, n as f64).await;
        }
        ingester.cut_all(&id).await.unwrap();
    }
    let before = read(&ingester, &id).await;
    assert!(ingester.part_count(&id) > 3);
    ingester.merge_parts(&id).await.unwrap();
    assert_eq!(ingester.part_count(&id), 1);
    assert!(!put(&ingester, &id, "up", START_MS, 99.0).await, "verdicts stay as they were");
    drop(ingester.tenant(&id).shipping.lock().await); // the merged ones are removed once nobody reads them
    assert_eq!(site.fs.list(Path::new("/var/longhaul/parts/tenant-0")).unwrap().len(), 1);
    assert_eq!(read(&ingester, &id).await.all, before.all);
    let restarted = site.killed().open().await;
    assert_eq!(read(&restarted, &id).await.all, before.all);
}

/// A disk that has lost the end of its log, or all of it, starts a new one behind everything that is known: nothing is
/// hidden by what the old one had covered, and corrections win.
#[tokio::test]
async fn a_lost_log_hides_nothing() {
    let site = Site::new(3);
    let ingester = site.open().await;
    let id = tenant(0);
    for n in 0..50 {
        assert!(put(&ingester, &id, "up", START_MS + n, n as f64).await);
    }
    ingester.flush(None).await.unwrap();
    assert!(put(&ingester, &id, "in_a_part", START_MS, 1.0).await);
    ingester.cut_all(&id).await.unwrap();
    let (old_log, old_end) = (ingester.inner().log_id, ingester.totals().log_end);

    let lost = site.killed();
    lost.fs.remove_dir_all(Path::new("/var/longhaul/log")).unwrap();
    let mut ingester = lost.open().await;
    assert_ne!(ingester.inner().log_id, old_log);
    assert!(ingester.totals().log_end >= old_end);
    assert!(put(&ingester, &id, "up", START_MS, -1.0).await, "a correction");
    assert!(put(&ingester, &id, "new", START_MS, 2.0).await);
    assert!(!put(&ingester, &id, "in_a_part", START_MS, 2.0).await);
    let log_id = ingester.inner().log_id;
    for when in ["in the head", "in the bucket", "after a crash"] {
        let found = read(&ingester, &id).await;
        assert_eq!(found.value("up", START_MS), Some(-1.0), "{when}");
        assert_eq!(found.value("up", START_MS + 49), Some(49.0), "{when}");
        assert_eq!(
            (found.value("new", START_MS), found.value("in_a_part", START_MS)),
            (Some(2.0), Some(1.0)),
            "{when}"
        );
        match when {
            "in the head" => ingester.flush(None).await.unwrap(),
            _ => ingester = lost.killed().open().await,
        }
        assert_eq!(ingester.inner().log_id, log_id, "it is lost once");
    }

    let empty = lost.restarted_on(longhaul_testkit::sim_fs::SimFs::new(), lost.bucket.fork(lost.fs.clone()));
    let ingester = empty.open().await;
    assert_eq!(read(&ingester, &id).await.value("up", START_MS), Some(-1.0), "a new machine reads the bucket");
    assert!(put(&ingester, &id, "up", START_MS, -3.0).await);
    ingester.flush(None).await.unwrap();
    assert_eq!(read(&ingester, &id).await.value("up", START_MS), Some(-3.0), "and goes on behind it");
}
