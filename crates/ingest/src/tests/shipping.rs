//! From part to bucket: stores that are away or lose answers, crashes in between, damaged parts.

use super::history_store::Act;
use super::site::*;
use crate::{housekeeper, refresh};
use bytes::Bytes;
use longhaul_disk::Fs;
use std::collections::BTreeMap;
use std::path::Path;

/// A site with two parts of one range and one of another, for one tenant.
async fn with_parts(seed: u64) -> (Site, crate::Ingester, Content) {
    let site = Site::new(seed);
    let ingester = site.open().await;
    let id = tenant(0);
    for n in 0..3 {
        for i in 0..30 {
            let t_ms = START_MS - i * 10 * SECOND_MS - n * 20 * MINUTE_MS;
            assert!(put(&ingester, &id, "up", t_ms, (n * i) as f64).await);
        }
        ingester.cut_all(&id).await.unwrap();
    }
    assert!(ingester.part_count(&id) >= 3);
    let content = read(&ingester, &id).await.all;
    (site, ingester, content)
}

/// I-SHIP-2: every object below a block's id was only ever written with the same bytes.
fn assert_blocks_never_change(site: &Site) {
    let mut written: BTreeMap<String, Bytes> = BTreeMap::new();
    for (key, content) in site.bucket.changes() {
        if key.as_ref().contains("_longhaul") {
            continue;
        }
        let content = content.expect("ingesting removes nothing");
        let before = written.entry(key.to_string()).or_insert_with(|| content.clone());
        assert!(*before == content, "{key} has changed");
    }
}

#[tokio::test]
async fn a_store_that_is_away_stops_nothing_and_is_taken_up_again() {
    let (site, ingester, mut content) = with_parts(1).await;
    let id = tenant(0);
    site.clock.advance(2 * DAY_MS);
    site.bucket.set_away(true);
    let mut first = 0;
    for n in 0..3 {
        assert!(!housekeeper::ship_round(ingester.inner(), &mut first).await);
        assert!(put(&ingester, &id, "meanwhile", START_MS + n, 1.0).await);
        content.entry("meanwhile".into()).or_default().insert(START_MS + n, 1f64.to_bits());
        ingester.cut_all(&id).await.unwrap();
        assert!(housekeeper::tick(ingester.inner()).await);
        assert_eq!(read(&ingester, &tenant(0)).await.all, content, "what is local is readable");
    }
    site.bucket.set_away(false);
    assert!(housekeeper::ship_round(ingester.inner(), &mut first).await);
    assert!(ingester.part_count(&id) > 0, "what was cut meanwhile is small and waits");
    site.clock.advance(DAY_MS);
    assert!(housekeeper::ship_round(ingester.inner(), &mut first).await);
    assert_eq!(ingester.part_count(&id), 0);
    let found = read(&ingester, &id).await;
    assert_eq!((&found.all, &found.in_blocks), (&content, &content));
    assert_blocks_never_change(&site);
    assert!(site.fs.list(Path::new("/var/longhaul/ship")).unwrap().is_empty());
}

/// I-SHIP-2, I-SHIP-3: each step of a ship fails once, with and without effect; then it goes on, in the same process and
/// after a crash.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_step_of_a_ship_may_fail() {
    let id = tenant(0);
    let mut steps = 0;
    for fail_at in 0.. {
        let mut reached = false;
        for act in [Act::FailBefore, Act::FailAfter] {
            let (site, ingester, content) = with_parts(1000 + fail_at).await;
            let struck = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
            let count = struck.clone();
            site.bucket.set_rule(move |_| {
                let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                // For good from here on, so that the attempt fails as a whole.
                if number >= fail_at { act } else { Act::Honestly }
            });
            let shipped = ingester.ship(&id, true).await;
            reached |= struck.load(std::sync::atomic::Ordering::SeqCst) > fail_at;
            assert_eq!(read(&ingester, &id).await.all, content, "{fail_at} {act:?}");
            if shipped.is_err() {
                assert!(ingester.part_count(&id) > 0, "I-SHIP-3");
            }
            let killed = site.killed();
            for (site, ingester) in [(&site, ingester), (&killed, killed.open().await)] {
                site.bucket.set_rule(|_| Act::Honestly);
                assert_eq!(read(&ingester, &id).await.all, content, "{fail_at} {act:?}");
                ingester.flush(None).await.unwrap();
                let found = read(&ingester, &id).await;
                assert_eq!((&found.all, &found.in_blocks), (&content, &content), "{fail_at} {act:?}");
                assert!(found.in_parts.is_empty() && found.in_head.is_empty());
                assert_blocks_never_change(site);
                for dir in ["ship", "parts/tenant-0"] {
                    assert!(site.fs.list(&Path::new("/var/longhaul").join(dir)).unwrap().is_empty(), "{dir}");
                }
            }
            steps += 1;
        }
        if !reached {
            break;
        }
    }
    println!("{steps} ships failed");
    assert!(steps > 10);
}

/// I-SHIP-2: a merged block that was on its way is sent again as it was.
#[tokio::test]
async fn a_pending_ship_is_resumed_after_a_crash() {
    let (site, ingester, content) = with_parts(2).await;
    let id = tenant(0);
    site.bucket.set_rule(|key| if key.contains("manifest/0") { Act::FailBefore } else { Act::Honestly });
    ingester.ship(&id, true).await.unwrap_err();
    let pending = ingester.tenant(&id).pending_ship().unwrap();
    assert!(put(&ingester, &id, "up", START_MS + 1, 5.0).await, "writes and cuts go on");
    ingester.cut_all(&id).await.unwrap();
    ingester.merge_parts(&id).await.unwrap();
    let killed = site.killed();
    let restarted = killed.open().await;
    let resumed = restarted.tenant(&id).pending_ship().unwrap();
    assert_eq!(format!("{resumed:?}"), format!("{pending:?}"));
    restarted.flush(None).await.unwrap();
    let found = read(&restarted, &id).await;
    assert_eq!(found.in_blocks, found.all);
    assert_eq!(found.all["up"].len(), content["up"].len() + 1);
    for (key, bytes) in site.bucket.changes() {
        let again =
            killed.bucket.changes().into_iter().find(|(other, _)| *other == key && !key.as_ref().contains("_longhaul"));
        assert!(again.is_none_or(|(_, other)| other == bytes), "{key} has changed");
    }
}

/// A crash between the commit and the removal of the parts.
#[tokio::test]
async fn parts_that_have_arrived_go_at_the_next_start() {
    let (site, ingester, content) = with_parts(3).await;
    let before = site.fs.fork();
    ingester.flush(None).await.unwrap();
    let site = site.restarted_on(before.clone(), site.bucket.fork(before));
    let restarted = site.open().await;
    assert_eq!(restarted.part_count(&tenant(0)), 0);
    let found = read(&restarted, &tenant(0)).await;
    assert_eq!((&found.all, &found.in_blocks), (&content, &content));
    assert!(found.in_head.is_empty(), "I-COVER-2: a replay skips what is covered");
}

/// A commit of an earlier process lands although its answer was lost, after its part has been merged with others.
#[tokio::test]
async fn what_has_arrived_unseen_is_not_shipped_twice() {
    let site = Site::new(4);
    let ingester = site.open().await;
    let id = tenant(0);
    assert!(put(&ingester, &id, "up", START_MS, 1.0).await);
    ingester.cut_all(&id).await.unwrap();
    let one_part = site.killed();
    one_part.open().await.flush(None).await.unwrap(); // as it turns out, this one has arrived
    site.bucket.set_rule(|key| if key.contains("manifest/0") { Act::FailBefore } else { Act::Honestly });
    assert!(put(&ingester, &id, "up", START_MS + 1, 2.0).await);
    ingester.cut_all(&id).await.unwrap();
    ingester.ship(&id, true).await.unwrap_err();
    let site = site.restarted_on(site.fs.fork(), one_part.bucket.fork(site.fs.clone()));
    // This process does not know yet what is in the bucket: it met the old manifest, and ships both parts.
    let ingester = site.open().await;
    for _ in 0..2 {
        let _ = ingester.ship(&id, true).await;
    }
    let found = read(&ingester, &id).await;
    assert_eq!(ingester.part_count(&id), 0);
    assert_eq!((found.value("up", START_MS), found.value("up", START_MS + 1)), (Some(1.0), Some(2.0)));
}

/// A part that has rotted is set aside, said to be missing, and holds up nothing else.
#[tokio::test]
async fn a_damaged_part_is_set_aside() {
    let (site, ingester, _) = with_parts(5).await;
    let id = tenant(0);
    let damaged = ingester.tenant(&id).parts.all()[1].clone();
    site.fs.damage(damaged.dir.join("chunks/000001"), |bytes| *bytes.last_mut().unwrap() ^= 1);
    assert!(put(&ingester, &tenant(1), "other", START_MS, 1.0).await);
    ingester.flush(Some(&tenant(1))).await.unwrap();
    for _ in 0..2 {
        ingester.ship(&id, true).await.unwrap();
    }
    assert_eq!(ingester.part_count(&id), 0, "all others are in the bucket");
    for ingester in [ingester, site.killed().open().await] {
        let pin = ingester.pin(&id).await.unwrap();
        assert_eq!(pin.damaged.len(), 1);
        assert!(pin.damaged[0].starts_with("/var/longhaul/parts/tenant-0"));
        assert!(!pin.manifest.blocks.is_empty());
    }
}

/// I-READ-1: what others commit is seen after a look, by tenants that are read soon, by others in a few hours.
#[tokio::test]
async fn newer_manifests_of_others_are_found() {
    let (site, ingester, content) = with_parts(9).await;
    let id = tenant(0);
    ingester.flush(None).await.unwrap();
    assert!(refresh::refresh(ingester.inner()).await); // of the start
    let pinned = ingester.pin(&id).await.unwrap();
    let known = pinned.manifest.version;
    let commit = async |operation: u128| {
        let operation = longhaul_bucket::OperationId::new(operation);
        let base = pinned.store.load_manifest().await.unwrap();
        pinned.store.commit(base.as_ref(), "another", operation, |manifest| Ok(manifest.clone())).await.unwrap()
    };
    commit(1).await;
    assert!(refresh::refresh(ingester.inner()).await);
    assert_eq!(ingester.tenant(&id).known_manifest().version, known + 1, "it was read a moment ago");
    commit(2).await;
    assert!(refresh::refresh(ingester.inner()).await);
    assert_eq!(ingester.tenant(&id).known_manifest().version, known + 1, "nobody has read it since");
    site.clock.advance(6 * HOUR_MS);
    assert!(refresh::refresh(ingester.inner()).await);
    assert_eq!(ingester.tenant(&id).known_manifest().version, known + 2, "it is looked at all the same");
    let newest = commit(3).await;
    ingester.publish_manifest(&id, newest.into());
    assert_eq!(ingester.pin(&id).await.unwrap().manifest.version, known + 3, "at once");
    site.bucket.set_away(true);
    assert!(!refresh::refresh(ingester.inner()).await);
    site.bucket.set_away(false);
    assert_eq!(pinned.manifest.version, known, "a query keeps its version");
    assert_eq!(read(&ingester, &id).await.all, content);
}
