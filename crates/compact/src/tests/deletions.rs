//! Deletions that no merge carries out in time: by the deadline the live blocks hold nothing of what was deleted.

use super::merges::{content_of, labels, regular};
use super::site::*;
use longhaul_bucket::{Deletion, Manifest, OperationId};
use longhaul_model::{Clock, Labels, LogId, Matcher, TimeRange, Tombstone};
use std::sync::Arc;

/// The value of a label that only the deleted series has.
const GONE: &str = "to-be-forgotten";

fn gone() -> Labels {
    Labels::from_pairs([("__name__", "b"), ("who", GONE)])
}

/// Brings a deletion of all that has been written so far into the manifest.
async fn delete(site: &Site, range: TimeRange) {
    let deletion = Deletion {
        id: OperationId::new(site.ids.random()),
        tombstone: Arc::new(Tombstone { matchers: vec![Matcher::equal("who", GONE)], range }),
        log_id: LogId::nil(),
        partition: 0,
        offset: 100,
        since_ms: site.clock.now_ms(),
        blocks: Vec::new(),
    };
    let base = site.manifest().await;
    let change = |manifest: &Manifest| Ok(manifest.delete(&deletion));
    site.tenant_store().commit(Some(&base), "test", OperationId::new(site.ids.random()), change).await.unwrap();
}

/// The log says that nothing older than the deletions can come any more.
async fn raise_floor(site: &Site) {
    let base = site.manifest().await;
    let change = |manifest: &Manifest| Ok(manifest.raise_floor(LogId::nil(), 0, 100));
    site.tenant_store().commit(Some(&base), "test", OperationId::new(site.ids.random()), change).await.unwrap();
}

/// The objects of live blocks in which the bytes of the deleted label's value are found.
async fn traces(site: &Site) -> Vec<String> {
    let mut found = Vec::new();
    for live in &site.manifest().await.blocks {
        for file in ["chunks/000001", "index", "lookup", "exemplars", "meta.json"] {
            let key = format!("team-a/{}/{file}", live.id);
            let bytes = site.object(&key).await;
            if bytes.windows(GONE.len()).any(|window| window == GONE.as_bytes()) {
                found.push(key);
            }
        }
    }
    found
}

/// What is left of a block, value by value.
fn left_of(made: &Made, deleted: TimeRange) -> Content {
    let mut content = content_of(made);
    if let Some(samples) = content.get_mut(&gone()) {
        samples.retain(|t_ms, _| !deleted.contains(*t_ms));
    }
    content.retain(|_, samples| !samples.is_empty());
    content
}

/// Blocks that no merge comes by for: each is a fortnight of its own.
async fn make_fortnights(site: &Site) -> Vec<Made> {
    let mut all = Vec::new();
    for n in 0..3 {
        let from_ms = n * 14 * DAY_MS;
        let mut made = regular(4, from_ms, from_ms + HOUR_MS, n as u64 + 1);
        let samples = made.series[&labels(1)].clone();
        made.series.insert(gone(), samples);
        site.make(&made).await;
        all.push(made);
    }
    all
}

/// I-DELETE-2: what is deleted is in no live block when the deadline has passed, be it samples, labels or exemplars; the
/// rest is as it was, and the deletion is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_the_deadline_nothing_is_left_of_it() {
    for deleted in [TimeRange::ALL, TimeRange::new(14 * DAY_MS, 14 * DAY_MS + HOUR_MS / 2)] {
        let site = Site::new(100 * DAY_MS);
        let made = make_fortnights(&site).await;
        let before = site.manifest().await;
        delete(&site, deleted).await;
        let deadline_ms = site.settings.delete_deadline_ms;
        let compactor = site.compactor("work");
        site.clock.advance(deadline_ms / 2 - 1);
        assert_eq!(compactor.compact(None).await.unwrap().jobs, 0, "a merge might come by");
        site.clock.advance(1);
        let report = compactor.compact(None).await.unwrap();
        let is_whole = deleted == TimeRange::ALL;
        assert_eq!((report.jobs, report.failures.len()), (if is_whole { 3 } else { 1 }, 0), "{report:?}");
        assert_eq!(report.samples_deleted, if is_whole { 3 * 240 } else { 120 });
        let mut expected = Content::new();
        made.iter().for_each(|made| overlay(&mut expected, left_of(made, deleted)));
        assert_eq!(site.read().await, expected);
        site.verify(&[]).await;
        assert_eq!(traces(&site).await.is_empty(), is_whole);
        let exemplars = site.exemplars().await;
        assert!(!exemplars.iter().any(|(series, it)| *series == gone() && deleted.contains(it.t_ms)));
        let minutes: usize = expected.values().flat_map(|samples| samples.keys()).filter(|t| *t % 60_000 == 0).count();
        assert_eq!(exemplars.len(), minutes);
        let manifest = site.manifest().await;
        assert_eq!(manifest.deletions.iter().map(|it| it.blocks.len()).collect::<Vec<_>>(), [0]);
        let retired = before.blocks.iter().filter(|live| manifest.block(live.id).is_none()).count();
        assert_eq!((retired, manifest.blocks.len()), (report.jobs as usize, 3));
        raise_floor(&site).await;
        assert_eq!(site.manifest().await.deletions, []);
        assert_eq!(compactor.compact(None).await.unwrap().jobs, 0, "it settles");
    }
}

/// A block of nothing but what is deleted has no successor.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_a_block_may_go_and_nobody_need_wait() {
    let site = Site::new(100 * DAY_MS);
    let mut made = regular(2, 0, HOUR_MS, 1);
    made.series.retain(|series, _| *series == labels(0));
    made.series = [(gone(), made.series.remove(&labels(0)).unwrap())].into();
    site.make(&made).await;
    delete(&site, TimeRange::ALL).await;
    let report = site.compactor("work").carry_out_deletions(&tenant()).await.unwrap();
    assert_eq!((report.jobs, report.blocks_out, report.samples_deleted), (1, 0, 240), "{report:?}");
    let manifest = site.manifest().await;
    assert_eq!((manifest.blocks.len(), manifest.retired.len()), (0, 1));
    assert_eq!(manifest.retired[0].replaced_by, []);
}

/// A block in quarantine is left alone until there is no waiting any more; then it goes, and the deletion is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_that_cannot_be_read_keeps_no_deletion_for_ever() {
    for heals in [false, true] {
        let site = Site::new(100 * DAY_MS);
        let made = make_fortnights(&site).await;
        delete(&site, TimeRange::ALL).await;
        raise_floor(&site).await;
        let bad = site.manifest().await.blocks[1].id;
        let key = format!("team-a/{bad}/chunks/000001");
        let sound = site.object(&key).await;
        site.overwrite(&key, sound[..sound.len() / 2].to_vec()).await;
        let compactor = site.compactor("work");
        let report = compactor.carry_out_deletions(&tenant()).await.unwrap();
        assert_eq!((report.jobs, report.quarantined.len(), report.dropped.len()), (2, 1, 0), "{report:?}");
        site.clock.advance(site.settings.delete_deadline_ms + site.settings.delete_unreadable_ms - 1);
        let report = compactor.compact(None).await.unwrap();
        assert_eq!((report.jobs, report.failures.len()), (0, 0));
        assert_eq!(site.manifest().await.deletions[0].blocks, [bad]);
        if heals {
            site.overwrite(&key, sound).await;
        }
        site.clock.advance(1);
        let report = compactor.compact(None).await.unwrap();
        let mut expected = Content::new();
        for (_, made) in made.iter().enumerate().filter(|(n, _)| heals || *n != 1) {
            overlay(&mut expected, left_of(made, TimeRange::ALL));
        }
        assert_eq!(site.read().await, expected);
        assert_eq!((report.jobs, report.dropped.len()), if heals { (1, 0) } else { (0, 1) }, "{report:?}");
        assert_eq!(traces(&site).await, Vec::<String>::new());
        let manifest = site.manifest().await;
        assert_eq!((manifest.deletions.len(), manifest.quarantined.len()), (0, 0));
        assert!(manifest.retired.iter().any(|it| it.id == bad), "its objects stay for a while");
    }
}
