//! Commits that race, fail, stay unclear or come too late: versions follow each other, and none is lost.

use super::*;
use crate::manifest::LiveBlock;
use crate::testing::*;
use crate::{BucketError, Store};
use longhaul_model::TenantId;
use object_store::local::LocalFileSystem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn operation(n: u128) -> OperationId {
    OperationId::new(n << 64 | n)
}

fn add(block: LiveBlock) -> impl Fn(&Manifest) -> Result<Manifest, Rejected> {
    move |base| base.ship(block.clone(), &[])
}

/// Adds block `n` with operation `n` to the newest manifest.
async fn commit(tenant: &TenantStore, base: Option<&Manifest>, n: u64) -> Result<Manifest, CommitError> {
    tenant.commit(base, "test", operation(n.into()), add(block(n, hours(0, 2)))).await
}

fn ids(manifest: &Manifest) -> Vec<u64> {
    let mut ids: Vec<u64> = manifest.blocks.iter().map(|block| block.series).collect();
    ids.sort_unstable();
    ids
}

async fn chain(tenant: &TenantStore) -> Vec<Manifest> {
    let newest = tenant.load_manifest().await.unwrap().unwrap();
    let mut versions = Vec::new();
    for version in 1..=newest.version {
        versions.push(tenant.load_version(version).await.unwrap());
    }
    assert!(versions.windows(2).all(|pair| pair[1].follows(&pair[0])));
    versions
}

/// I-MAN-1
#[tokio::test]
async fn versions_follow_each_other() {
    let tenant = TestStore::new().tenant();
    assert_eq!(tenant.load_manifest().await.unwrap(), None);
    let first = commit(&tenant, None, 1).await.unwrap();
    let second = commit(&tenant, Some(&first), 2).await.unwrap();
    assert_eq!((first.version, second.version), (1, 2));
    assert_eq!(second.previous_hash, first.hash());
    assert_eq!(second.author, "test");
    assert_eq!(tenant.load_manifest().await.unwrap(), Some(second.clone()));
    assert_eq!(tenant.load_newer(&first).await.unwrap(), Some(second.clone()));
    assert_eq!(tenant.load_newer(&second).await.unwrap(), None);
    assert_eq!(tenant.load_newer(&Manifest::default()).await.unwrap(), Some(second));
}

/// A commit costs a PUT, its read-back, the boundary and the hint; a poll that finds nothing costs two GETs.
#[tokio::test]
async fn requests_are_counted() {
    let test = TestStore::new();
    let tenant = test.tenant();
    let first = commit(&tenant, None, 1).await.unwrap();
    assert_eq!(test.take_calls().len(), 4);
    tenant.load_newer(&first).await.unwrap();
    assert_eq!(test.take_calls().len(), 2);
    let metrics = tenant.store().metrics();
    assert_eq!(metrics.puts.load(Ordering::Relaxed), 2);
    assert_eq!(metrics.gets.load(Ordering::Relaxed), 4);
    assert_eq!(metrics.errors.load(Ordering::Relaxed), 0);
}

async fn race(store: Store) {
    let tenant = TenantStore::new(store, TenantId::anonymous());
    let mut tasks = tokio::task::JoinSet::new();
    for n in 1..=8 {
        let tenant = tenant.clone();
        tasks.spawn(async move {
            for round in 0..3 {
                let n = n * 10 + round;
                // With bad luck a version stays unclear; then the same call is made again.
                while let Err(error) = commit(&tenant, None, n).await {
                    assert!(matches!(error, CommitError::Unclear { .. }), "{error}");
                }
            }
        });
    }
    tasks.join_all().await;
    let versions = chain(&tenant).await;
    assert_eq!(versions.len(), 24, "one version an operation");
    let expected: Vec<u64> = (1..=8).flat_map(|n| (0..3).map(move |round| n * 10 + round)).collect();
    assert_eq!(ids(versions.last().unwrap()), expected);
}

/// I-MAN-1: each operation of eight tasks is applied exactly once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn races_in_memory() {
    race(Store::memory()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn races_on_a_disk() {
    let dir = tempfile::tempdir().unwrap();
    let local = LocalFileSystem::new_with_prefix(dir.path()).unwrap().with_automatic_cleanup(true);
    race(Store::new(Arc::new(local), "").unwrap()).await;
}

/// The same on a store of the tester's choice, after the probe.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn races_on_a_store_of_your_choice() {
    let Some(store) = chosen_store() else {
        println!("skipped: LONGHAUL_TEST_STORE names no store");
        return;
    };
    crate::probe(&store, 1).await.unwrap();
    race(store.clone()).await;
    println!("{store}: {:?}", store.metrics());
}

/// The same while the store fails in every way it can, seeded.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn races_on_a_store_that_fails() {
    let test = TestStore::new();
    let turn = AtomicUsize::new(0);
    test.set(move |call, _| {
        // Every fourth call or so; puts-if-absent in all ways, the others by failing.
        let turn = turn.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9) >> 8;
        let acts = [Act::FailAfter, Act::FailBefore, Act::Conflict, Act::ConflictAfter];
        match call {
            Call::Create if turn.is_multiple_of(4) => acts[turn / 4 % 4],
            _ => Act::Honestly,
        }
    });
    race(test.store()).await;
}

/// I-MAN-2: whatever the store answers, an operation that took effect is found, and one that did not is tried again.
#[tokio::test]
async fn unclear_outcomes_are_cleared_up() {
    for act in [Act::FailAfter, Act::FailBefore, Act::HangAfter, Act::Conflict, Act::ConflictAfter] {
        for times in 1..=3 {
            let test = TestStore::new();
            let tenant = test.tenant();
            let first = commit(&tenant, None, 1).await.unwrap();
            test.act(act, Call::Create, "2", times);
            let second = commit(&tenant, Some(&first), 2).await.unwrap();
            assert_eq!((second.version, ids(&second)), (2, vec![1, 2]), "{act:?}");
            assert_eq!(chain(&tenant).await.len(), 2, "{act:?}");
        }
    }
}

#[tokio::test]
async fn a_lost_read_back_is_read_again() {
    let test = TestStore::new();
    test.act(Act::FailBefore, Call::Get, "1", 3);
    assert_eq!(commit(&test.tenant(), None, 1).await.unwrap().version, 1);
    assert_eq!(chain(&test.tenant()).await.len(), 1);
}

/// Nothing can be found out: the caller is told so, and may call again.
#[tokio::test]
async fn what_stays_unclear_can_be_repeated() {
    let test = TestStore::new();
    let tenant = test.tenant();
    let first = commit(&tenant, None, 1).await.unwrap();
    // The write takes effect, its answer and every read of it are lost.
    test.set(|call, key| match call {
        Call::Create => Act::FailAfter,
        Call::Get if key.ends_with("2") => Act::FailBefore,
        _ => Act::Honestly,
    });
    let unclear = commit(&tenant, Some(&first), 2).await.unwrap_err();
    assert!(matches!(unclear, CommitError::Unclear { version: 2, .. }), "{unclear}");
    test.set(|_, _| Act::Honestly);
    // Meanwhile another goes on from there.
    let seen = tenant.load_manifest().await.unwrap().unwrap();
    commit(&tenant, Some(&seen), 3).await.unwrap();
    assert_eq!(commit(&tenant, Some(&first), 2).await.unwrap().version, 2, "found, not applied again");
    assert_eq!(chain(&tenant).await.len(), 3);
}

/// The operation of an earlier call stands in a later version than the one after its base.
#[tokio::test]
async fn an_earlier_call_is_found_further_up() {
    let tenant = TestStore::new().tenant();
    let first = commit(&tenant, None, 1).await.unwrap();
    let second = commit(&tenant, Some(&first), 2).await.unwrap();
    let third = commit(&tenant, Some(&second), 3).await.unwrap();
    commit(&tenant, Some(&third), 4).await.unwrap();
    assert_eq!(commit(&tenant, Some(&first), 3).await.unwrap(), third);
    assert_eq!(chain(&tenant).await.len(), 4);
}

#[tokio::test]
async fn what_no_longer_applies_is_rejected() {
    let tenant = TestStore::new().tenant();
    let first = commit(&tenant, None, 1).await.unwrap();
    let replaced = |manifest: &Manifest| manifest.replace(&[id(1)], vec![block(9, hours(0, 2))], 7);
    tenant.commit(Some(&first), "a", operation(10), replaced).await.unwrap();
    let late = |manifest: &Manifest| manifest.replace(&[id(1)], vec![block(8, hours(0, 2))], 8);
    let rejected = tenant.commit(Some(&first), "b", operation(11), late).await.unwrap_err();
    assert!(matches!(rejected, CommitError::Rejected(Rejected::NotLive(gone)) if gone == id(1)), "{rejected}");
    assert_eq!(chain(&tenant).await.len(), 2);
}

#[tokio::test]
async fn a_denied_write_is_not_retried() {
    let test = TestStore::new();
    test.set(|call, _| if call == Call::Create { Act::Deny } else { Act::Honestly });
    let denied = commit(&test.tenant(), None, 1).await.unwrap_err();
    assert!(matches!(denied, CommitError::Bucket(BucketError::Denied { .. })), "{denied}");
    assert_eq!(test.take_calls().iter().filter(|(call, _)| *call == Call::Create).count(), 1);
}

#[tokio::test]
async fn a_store_that_loses_what_it_confirmed_is_unfit() {
    let test = TestStore::new();
    test.set(|call, _| if call == Call::Create { Act::Lie } else { Act::Honestly });
    let unfit = commit(&test.tenant(), None, 1).await.unwrap_err();
    assert!(matches!(unfit, CommitError::Bucket(BucketError::Unfit { .. })), "{unfit}");
}

#[tokio::test]
async fn a_broken_hint_does_not_fail_a_commit() {
    let test = TestStore::new();
    test.set(|call, key| if call == Call::Put && key.ends_with("hint") { Act::Deny } else { Act::Honestly });
    let tenant = test.tenant();
    let first = commit(&tenant, None, 1).await.unwrap();
    assert_eq!(tenant.load_manifest().await.unwrap(), Some(first));
}

/// Rule 6: a committer that slept while its base was trimmed creates a version in the past, and notices.
#[tokio::test]
async fn a_version_below_the_trim_boundary_does_not_count() {
    let tenant = TestStore::new().tenant();
    let mut newest = commit(&tenant, None, 1).await.unwrap();
    let (stale, none) = (newest.clone(), None);
    for n in 2..=6 {
        newest = commit(&tenant, Some(&newest), n).await.unwrap();
    }
    let boundary = tenant.raise_trim_boundary(5).await.unwrap();
    for version in 1..5 {
        tenant.delete_version(version, boundary).await.unwrap();
    }
    for (base, n) in [(Some(&stale), 7), (none, 8)] {
        let committed = commit(&tenant, base, n).await.unwrap();
        assert_eq!(committed.version, u64::from(n == 8) + 7);
        assert_eq!(tenant.load_manifest().await.unwrap(), Some(committed));
    }
    let newest = tenant.load_manifest().await.unwrap().unwrap();
    assert_eq!(ids(&newest), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(tenant.load_newer(&stale).await.unwrap(), Some(newest));
}

#[tokio::test]
async fn a_base_that_was_not_the_predecessor_is_noticed() {
    let tenant = TestStore::new().tenant();
    let first = commit(&tenant, None, 1).await.unwrap();
    commit(&tenant, Some(&first), 2).await.unwrap();
    let other = TestStore::new().tenant();
    let foreign = commit(&other, None, 5).await.unwrap();
    let error = commit(&tenant, Some(&foreign), 6).await.unwrap_err();
    assert!(matches!(error, CommitError::Bucket(BucketError::Corrupt { .. })), "{error}");
}
