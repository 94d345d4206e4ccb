//! What goes and when, in runs in which nothing fails.

use super::yard::*;
use longhaul_bucket::{Place, RetiredBlock};
use longhaul_model::BlockId;
use longhaul_testkit::faulty_store::{Call, Change, Fault, Then};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// I-GC-1, I-GC-3
#[tokio::test]
async fn a_retired_block_stays_for_its_delay_and_goes_in_order() {
    let yard = Yard::new();
    let old = yard.ship("a").await;
    let new = yard.replace("a", &[old]).await;
    let deleted = Arc::new(Mutex::new(Vec::new()));
    let noted = deleted.clone();
    yard.world.watch(move |change, _| {
        if let Change::Delete { key } = change {
            noted.lock().push(key.to_string());
        }
    });
    yard.wait_hours(1);
    let (_, collector) = yard.collector();
    assert_eq!(done(collector.collect(None).await).blocks_marked, 1);
    yard.wait_hours(47);
    let report = done(collector.collect(None).await);
    assert_eq!((report.blocks_marked, report.objects_deleted), (0, 0), "the mark is not old enough");
    assert_eq!(yard.manifest("a").await.retired.len(), 1);
    yard.wait_hours(1);
    let report = done(collector.collect(None).await);
    assert_eq!((report.blocks_deleted, report.objects_deleted), (1, 4));
    let files = ["meta.json", "chunks/000001", "index", "deletion-mark.json"];
    assert_eq!(*deleted.lock(), files.map(|file| format!("a/{old}/{file}")));
    let manifest = yard.manifest("a").await;
    assert_eq!((manifest.retired.len(), manifest.blocks[0].id), (0, new));
    assert_eq!((yard.count(&old.to_string()).await, yard.count(&new.to_string()).await), (0, 3));
    assert_eq!(yard.published.lock().last().unwrap().version, manifest.version, "queries learn of it");
    let metrics = collector.metrics();
    let counts = [&metrics.runs, &metrics.blocks_marked, &metrics.blocks_deleted, &metrics.objects_deleted];
    assert_eq!(counts.map(|count| count.load(Relaxed)), [3, 1, 1, 4]);
    assert!(done(collector.collect(None).await).objects_deleted == 0);
}

/// The clock of whoever compacted was wrong: by the store's own, the block has not been on its way out for long.
#[tokio::test]
async fn a_commit_with_a_wrong_time_does_not_shorten_the_delay() {
    let yard = Yard::new();
    let old = yard.ship("a").await;
    let output = yard.upload("a").await;
    yard.commit("a", |manifest| manifest.replace(&[old], vec![block(output)], 1).unwrap()).await;
    let (_, collector) = yard.collector();
    for hours in [0, 47] {
        yard.wait_hours(hours);
        assert_eq!(done(collector.collect(None).await).objects_deleted, 0);
    }
    yard.wait_hours(1);
    assert_eq!(done(collector.collect(None).await).blocks_deleted, 1);
}

/// I-GC-2, I-GC-4
#[tokio::test]
async fn orphans_go_and_what_is_not_ours_stays() {
    let yard = Yard::new();
    yard.ship("a").await;
    let orphan = yard.upload("a").await;
    let half = yard.ids.block_id(START * HOUR_MS);
    yard.put(&format!("a/{half}/chunks/000001")).await;
    let foreign = BlockId::from_parts(1, 2);
    yard.upload_as("a", foreign).await;
    yard.put("a/notes.txt").await;
    yard.put("a/01NOBLOCK/x").await;
    yard.wait_hours(71);
    assert_eq!(yard.collect().await.orphans_deleted, 0);
    assert_eq!(yard.manifest("a").await.orphan_boundary, None);
    yard.put(&format!("a/{half}/index")).await;
    yard.wait_hours(1);
    let report = yard.collect().await;
    assert_eq!((report.orphans_deleted, report.objects_deleted), (1, 3), "the other was written to an hour ago");
    let boundary = yard.manifest("a").await.orphan_boundary.unwrap();
    assert!(boundary > orphan && yard.count(&half.to_string()).await == 2);
    yard.wait_hours(71);
    assert_eq!(yard.collect().await.orphans_deleted, 1);
    let manifest = yard.manifest("a").await;
    assert!(manifest.orphan_boundary.unwrap() >= boundary);
    assert!(manifest.ship(block(half), &[]).is_err() && manifest.ship(block(orphan), &[]).is_err());
    assert_eq!(yard.count(&foreign.to_string()).await, 3);
    assert_eq!(yard.count("a/01NOBLOCK").await + yard.count("notes").await, 2);
    assert_eq!(yard.collect().await.objects_deleted, 0);
}

/// What somebody attached lies where it lies; once the manifest says that it was replaced, it goes like ours.
#[tokio::test]
async fn a_foreign_block_goes_only_when_it_was_retired() {
    let yard = Yard::new();
    let id = BlockId::from_parts(1, 2);
    for file in ["chunks/000001", "index", "meta.json"] {
        yard.put(&format!("{id}/{file}")).await;
    }
    yard.upload_as("a", id).await;
    let since_ms = START * HOUR_MS;
    let retired = RetiredBlock { id, place: Place::Root, since_ms, replaced_by: Vec::new() };
    yard.commit("a", |manifest| {
        let mut next = manifest.clone();
        next.retired.push(retired.clone());
        next
    })
    .await;
    assert_eq!(yard.collect().await.blocks_marked, 1);
    yard.wait_hours(200);
    assert_eq!(yard.collect().await.blocks_deleted, 1);
    assert_eq!(yard.keys(&id.to_string()).await.len(), 3, "its namesake in the tenant's folder stays");
}

#[tokio::test]
async fn old_manifests_go_and_the_newest_two_stay() {
    let yard = Yard::new();
    for _ in 0..5 {
        yard.ship("a").await;
    }
    yard.wait_hours(24 * 7 - 1);
    yard.ship("a").await;
    assert_eq!(yard.collect().await.versions_deleted, 0);
    yard.wait_hours(1);
    assert_eq!(yard.collect().await.versions_deleted, 4, "5 was the newest a week ago");
    assert_eq!(yard.store("a").load_trim_boundary().await.unwrap().version(), 5);
    yard.wait_hours(24 * 365);
    assert_eq!(yard.collect().await.versions_deleted, 0, "at least one before the newest stays");
    assert_eq!(yard.manifest("a").await.version, 6);
    assert_eq!(yard.manifest("a").await.blocks.len(), 6);
}

/// I-GC-5: whatever goes wrong goes slowly, and one tenant's garbage does not keep others waiting for ever.
#[tokio::test]
async fn a_run_is_capped_and_the_next_begins_elsewhere() {
    let mut yard = Yard::new();
    yard.settings.objects_per_run_max = 4;
    for name in ["a", "b"] {
        yard.ship(name).await;
        for _ in 0..2 {
            yard.upload(name).await;
        }
    }
    yard.wait_hours(72);
    let (_, collector) = yard.collector();
    let mut left = Vec::new();
    for _ in 0..4 {
        let report = done(collector.collect(None).await);
        assert!(report.objects_deleted <= 4);
        left.push((yard.keys("a/01").await.len() - 3, yard.keys("b/01").await.len() - 3, report.capped));
    }
    assert_eq!(left, [(2, 6, true), (2, 2, true), (0, 0, true), (0, 0, false)]);
    assert_eq!(collector.metrics().orphans_deleted.load(Relaxed), 4);
}

/// Requests are a cost: of a tenant of whom nothing speaks for garbage, a run asks for its manifest.
#[tokio::test]
async fn an_idle_tenant_costs_few_requests_and_a_list_a_day() {
    let yard = Yard::new();
    for _ in 0..20 {
        yard.ship("a").await;
    }
    let (view, collector) = yard.collector();
    let calls = Arc::new(Mutex::new(Vec::new()));
    let noted = calls.clone();
    view.set_rule(move |step| {
        noted.lock().push(step.call);
        (Fault::None, Then::GoOn)
    });
    for _ in 0..24 {
        done(collector.collect(Some(&tenant("a"))).await);
        yard.wait_hours(1);
    }
    let of = |call| calls.lock().iter().filter(|it| **it == call).count();
    let (lists, all) = (of(Call::List), calls.lock().len());
    println!("{lists} LISTs and {all} requests in 24 runs");
    assert_eq!(lists, 2, "its folders and its versions");
    assert!(all <= 24 * 10, "{all}");
    let orphan = yard.upload("a").await;
    yard.wait_hours(72);
    assert_eq!(done(collector.collect(None).await).orphans_deleted, 1, "{orphan}");
}
