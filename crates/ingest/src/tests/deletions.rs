//! Deletions, of what is at every station and on its way from one to the next; and what becomes of them in the manifest.

use super::history_store::Act;
use super::site::*;
use crate::lane::{Command, Marker};
use crate::{Ingester, housekeeper};
use longhaul_log::Append;
use longhaul_model::{TenantId, TimeRange};
use std::path::Path;
use std::sync::Arc;

/// A sample that stays and one that goes, by turns, in two ranges.
async fn fill(ingester: &Ingester, id: &TenantId) {
    for n in 0..30 {
        for series in ["stays", "goes"] {
            assert!(put(ingester, id, series, START_MS - n * 9 * MINUTE_MS, n as f64).await);
        }
    }
}

/// Nobody sees the series any more, in samples or in labels; the other one is whole.
async fn assert_gone(ingester: &Ingester, id: &TenantId, at: &str) {
    let found = read(ingester, id).await;
    assert_eq!(found.all.keys().collect::<Vec<_>>(), ["stays"], "{at}");
    assert_eq!(found.all["stays"].len(), 30, "{at}");
    let pin = ingester.pin(id).await.unwrap();
    let mut names: Vec<String> =
        pin.head.label_values("__name__", &[], TimeRange::ALL).iter().map(|name| name.to_string()).collect();
    pin.part_blocks.iter().for_each(|block| names.extend(block.label_values("__name__", &[]).unwrap()));
    assert!(!names.contains(&"goes".to_owned()), "{at}: {names:?}");
}

async fn assert_gone_for_good(site: &Site, ingester: &Ingester, id: &TenantId, at: &str) {
    assert_gone(ingester, id, at).await;
    let killed = site.killed();
    assert_gone(&killed.open().await, id, &format!("{at}, after a crash")).await;
    ingester.flush(None).await.unwrap();
    assert_gone(ingester, id, &format!("{at}, shipped")).await;
    assert_gone(&site.killed().open().await, id, &format!("{at}, shipped, after a crash")).await;
}

/// I-DELETE-1
#[tokio::test]
async fn it_is_gone_at_every_station() {
    for station in ["head", "parts", "one part", "bucket", "head and bucket"] {
        let mut site = Site::new(1);
        site.settings.parts_per_range_max = 1;
        let (ingester, id) = (site.open().await, tenant(0));
        fill(&ingester, &id).await;
        match station {
            "parts" => ingester.cut_all(&id).await.unwrap(),
            "one part" => {
                ingester.cut_all(&id).await.unwrap();
                assert!(put(&ingester, &id, "goes", START_MS + 1, 1.0).await);
                ingester.cut_all(&id).await.unwrap();
                ingester.merge_parts(&id).await.unwrap();
            }
            "bucket" => ingester.flush(None).await.unwrap(),
            "head and bucket" => {
                ingester.flush(None).await.unwrap();
                assert!(put(&ingester, &id, "goes", START_MS + 1, 1.0).await);
            }
            _ => {}
        }
        // The bucket takes nothing: the answer must not depend on it.
        site.bucket.set_rule(|_| Act::FailBefore);
        delete(&ingester, &id, "goes", TimeRange::ALL).await.unwrap();
        assert_gone(&ingester, &id, station).await;
        housekeeper::ship_round(ingester.inner(), &mut 0).await;
        assert!(housekeeper::tick(ingester.inner()).await);
        assert_gone(&site.killed().open().await, &id, &format!("{station}, after a crash and without the bucket"))
            .await;
        site.bucket.set_rule(|_| Act::Honestly);
        assert_gone_for_good(&site, &ingester, &id, station).await;
    }
}

/// I-DELETE-1: the cut has its view when the deletion comes, and its part is written before or after.
#[tokio::test]
async fn it_is_gone_from_what_is_being_cut() {
    for written_before in [false, true] {
        let site = Site::new(2);
        let (ingester, id) = (site.open().await, tenant(0));
        fill(&ingester, &id).await;
        let (tenant, inner) = (ingester.tenant(&id), ingester.inner());
        let mut written = Vec::new();
        for state in tenant.head.ranges() {
            let (reply, taken) = tokio::sync::oneshot::channel();
            let marker = Marker::Cut { tenant: tenant.clone(), range: state.range, reply };
            inner.append(Append::Marker(marker)).unwrap();
            let view = Arc::new(taken.await.unwrap().unwrap());
            let part = written_before.then(|| inner.part_writer.write_view(&tenant, &view, inner.log_id).unwrap());
            written.push((view, part));
        }
        delete(&ingester, &id, "goes", TimeRange::ALL).await.unwrap();
        assert_gone(&ingester, &id, "in a view").await;
        for (view, part) in written {
            let part = part.unwrap_or_else(|| inner.part_writer.write_view(&tenant, &view, inner.log_id).unwrap());
            tenant.parts.swap(part.map(Arc::new), &[]);
            assert_gone(&ingester, &id, "in a view and in a part").await;
            let (reply, released) = tokio::sync::oneshot::channel();
            inner.lanes.send(&tenant, Command::Release { tenant: tenant.clone(), view, reply });
            released.await.unwrap();
        }
        assert_gone_for_good(&site, &ingester, &id, &format!("cut, {written_before}")).await;
    }
}

/// Nothing is left of a view, or of parts, for which there is then no part and no block.
#[tokio::test]
async fn all_of_a_range_may_go() {
    let site = Site::new(3);
    let (ingester, id) = (site.open().await, tenant(0));
    for cut_before in [false, true] {
        for n in 0..3 {
            assert!(put(&ingester, &id, "goes", START_MS + n, 1.0).await);
            if cut_before {
                ingester.cut_all(&id).await.unwrap();
            }
        }
        let parts = ingester.part_count(&id);
        delete(&ingester, &id, "goes", TimeRange::ALL).await.unwrap();
        ingester.cut_all(&id).await.unwrap();
        assert_eq!(ingester.part_count(&id), parts);
        assert_eq!(read(&ingester, &id).await, Read::default());
        assert_eq!(read(&site.killed().open().await, &id).await, Read::default());
        ingester.flush(None).await.unwrap();
        assert_eq!((ingester.part_count(&id), ingester.head_stats(&id).series), (0, 0));
        assert_eq!(ingester.pin(&id).await.unwrap().manifest.blocks, []);
        assert_eq!(read(&site.killed().open().await, &id).await, Read::default());
    }
    assert!(housekeeper::ship_round(ingester.inner(), &mut 0).await);
    assert_eq!(ingester.pin(&id).await.unwrap().manifest.deletions, [], "nothing is left to rewrite");
    assert_eq!(ingester.tenant(&id).deletions.count(), 0);
}

/// I-DELETE-1, I-DELETE-2: the block is on its way when the deletion comes: merged, uploaded, or committed without an answer.
#[tokio::test]
async fn it_is_gone_from_what_is_being_shipped() {
    for fails_at in ["chunks/000001", "meta.json", "manifest/0000"] {
        for act in [Act::FailBefore, Act::FailAfter] {
            let site = Site::new(4);
            let (ingester, id) = (site.open().await, tenant(0));
            fill(&ingester, &id).await;
            ingester.cut_all(&id).await.unwrap();
            assert!(put(&ingester, &id, "goes", START_MS + 1, 1.0).await);
            ingester.cut_all(&id).await.unwrap();
            site.bucket.set_rule(move |key| if key.contains(fails_at) { act } else { Act::Honestly });
            let _ = ingester.ship(&id, true).await;
            delete(&ingester, &id, "goes", TimeRange::ALL).await.unwrap();
            let at = format!("{fails_at} {act:?}");
            assert_gone(&ingester, &id, &at).await;
            assert_gone(&site.killed().open().await, &id, &format!("{at}, after a crash")).await;
            site.bucket.set_rule(|_| Act::Honestly);
            ingester.ship(&id, true).await.unwrap();
            let pin = ingester.pin(&id).await.unwrap();
            let manifest = &pin.manifest;
            assert!(!manifest.deletions[0].blocks.is_empty(), "{at}: the block has it, and is listed");
            assert_eq!((pin.parts.len(), pin.new_deletions.len()), (0, 0));
            drop(pin);
            assert_gone_for_good(&site, &ingester, &id, &at).await;
        }
    }
}

/// I-DELETE-1: parts from before and after it become one, in which the later samples stay.
#[tokio::test]
async fn merges_leave_it_out_and_keep_what_came_later() {
    let mut site = Site::new(5);
    site.settings.parts_per_range_max = 1;
    let (ingester, id) = (site.open().await, tenant(0));
    let late = TimeRange::new(START_MS, START_MS + 10);
    assert!(put(&ingester, &id, "up", START_MS, 1.0).await);
    assert!(put(&ingester, &id, "up", START_MS - 1, 1.5).await);
    ingester.cut_all(&id).await.unwrap();
    delete(&ingester, &id, "up", late).await.unwrap();
    assert!(put(&ingester, &id, "up", START_MS, 2.0).await, "I-VERDICT-1: what is deleted is in nobody's way");
    assert!(!put(&ingester, &id, "up", START_MS - 1, 9.0).await);
    ingester.cut_all(&id).await.unwrap();
    ingester.merge_parts(&id).await.unwrap();
    assert_eq!(ingester.part_count(&id), 1);
    let values = |found: Read| (found.value("up", START_MS), found.value("up", START_MS - 1));
    for _ in 0..2 {
        assert_eq!(values(read(&ingester, &id).await), (Some(2.0), Some(1.5)));
        assert_eq!(values(read(&site.killed().open().await, &id).await), (Some(2.0), Some(1.5)));
        ingester.flush(None).await.unwrap();
    }
    assert_eq!(ingester.pin(&id).await.unwrap().manifest.deletions, [], "the merge has carried it out");
}

/// The log is written anew for a tiny head, before and after.
#[tokio::test]
async fn a_head_that_is_logged_again_brings_nothing_back() {
    let site = Site::new(6);
    let (ingester, id) = (site.open().await, tenant(0));
    fill(&ingester, &id).await;
    ingester.log_again(&id).await;
    delete(&ingester, &id, "goes", TimeRange::ALL).await.unwrap();
    assert_gone(&site.killed().open().await, &id, "logged again before").await;
    ingester.log_again(&id).await;
    assert!(housekeeper::tick(ingester.inner()).await);
    assert_gone_for_good(&site, &ingester, &id, "logged again after").await;
}

/// Whoever logs again and whoever deletes wait for each other.
#[tokio::test]
async fn a_deletion_waits_for_a_head_that_is_being_logged_again() {
    let site = Site::new(7);
    let (ingester, id) = (site.open().await, tenant(0));
    fill(&ingester, &id).await;
    let tenant = ingester.tenant(&id);
    let logging_again = tenant.logging_again.lock().await;
    let mut deleting = Box::pin(delete(&ingester, &id, "goes", TimeRange::ALL));
    assert!(tokio::time::timeout(std::time::Duration::from_millis(50), deleting.as_mut()).await.is_err());
    assert_eq!(read(&ingester, &id).await.all.len(), 2);
    drop(logging_again);
    deleting.await.unwrap();
    assert_gone(&ingester, &id, "after the wait").await;
}

/// I-COVER-1: until a manifest has the deletion its frame is needed; then it is not.
#[tokio::test]
async fn the_log_keeps_it_until_the_manifest_has_it() {
    let site = Site::new(8);
    let (ingester, id) = (site.open().await, tenant(0));
    fill(&ingester, &id).await;
    ingester.flush(None).await.unwrap();
    site.bucket.set_rule(|_| Act::FailBefore);
    delete(&ingester, &id, "goes", TimeRange::ALL).await.unwrap();
    for n in 0..200 {
        assert!(put(&ingester, &tenant(1), "up", START_MS + n, n as f64).await);
    }
    ingester.cut_all(&tenant(1)).await.unwrap();
    let first = || ingester.inner().log.segments().first().map(|segment| segment.end);
    assert!(housekeeper::tick(ingester.inner()).await);
    let kept = first();
    assert!(housekeeper::tick(ingester.inner()).await);
    assert_eq!(first(), kept);
    assert_gone(&site.killed().open().await, &id, "without a manifest").await;
    site.bucket.set_rule(|_| Act::Honestly);
    assert!(housekeeper::ship_round(ingester.inner(), &mut 0).await);
    assert!(housekeeper::tick(ingester.inner()).await);
    assert!(first() > kept, "{:?} {kept:?}", first());
    assert_gone(&site.killed().open().await, &id, "by the manifest").await;
    assert!(longhaul_disk::Fs::list(&site.fs, Path::new("/var/longhaul/log")).unwrap().len() > 1);
}

/// A deletion of a tenant that nobody knows makes none of it.
#[tokio::test]
async fn deleting_makes_no_tenant() {
    let site = Site::new(9);
    let ingester = site.open().await;
    delete(&ingester, &tenant(5), "up", TimeRange::ALL).await.unwrap();
    assert_eq!(ingester.tenants(), []);
}
