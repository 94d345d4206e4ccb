//! Stores that are honest, lie, or are away, and what the probe says of each.

use super::*;
use crate::testing::*;

async fn verdict(rule: impl Fn(Call, &str) -> Act + Send + Sync + 'static) -> String {
    let test = TestStore::new();
    test.set(rule);
    let verdict = probe(&test.store(), 1).await.unwrap_err();
    assert!(matches!(verdict, BucketError::Unfit { .. }), "{verdict}");
    test.set(|_, _| Act::Honestly);
    assert!(test.store().list(&test.store().key("_longhaul"), 10).await.unwrap().is_empty(), "objects are left");
    verdict.to_string()
}

#[tokio::test]
async fn honest_stores_pass_and_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let url = crate::StoreUrl::File(dir.path().join("a/b"));
    let local = crate::open_store(&url, &crate::StoreOptions::default()).unwrap();
    for store in [TestStore::new().store(), Store::memory(), local] {
        probe(&store, 7).await.unwrap();
        assert!(store.list(&store.key("_longhaul"), 10).await.unwrap().is_empty());
    }
    assert_eq!(std::fs::read_dir(dir.path().join("a/b")).unwrap().count(), 0, "no empty directories either");
}

#[tokio::test]
async fn a_store_that_answers_both_racers_with_a_conflict_passes() {
    let test = TestStore::new();
    test.act(Act::Conflict, Call::Create, "race", 2);
    probe(&test.store(), 1).await.unwrap();
    test.act(Act::ConflictAfter, Call::Create, "race", 1);
    probe(&test.store(), 1).await.unwrap();
}

#[tokio::test]
async fn lies_are_caught() {
    let only = |call, act| move |asked, _: &str| if asked == call { act } else { Act::Honestly };
    assert!(verdict(only(Call::Create, Act::Overwrite)).await.contains("put-if-absent does not work"));
    assert!(verdict(only(Call::Put, Act::Lie)).await.contains("does not see the PUT"));
    assert!(verdict(only(Call::List, Act::Lie)).await.contains("LIST does not see"));
    assert!(verdict(only(Call::Get, Act::Mangle)).await.contains("asked for bytes"));
    // The first race is decided, later ones are not.
    let creates = std::sync::atomic::AtomicUsize::new(0);
    let late = move |call, _: &str| match call {
        Call::Create if creates.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= 2 => Act::Overwrite,
        _ => Act::Honestly,
    };
    assert!(verdict(late).await.contains("it replaced an object"));
    let test = TestStore::new();
    test.set(only(Call::Delete, Act::Lie));
    let error = probe(&test.store(), 1).await.unwrap_err();
    assert!(error.to_string().contains("after it was deleted"), "{error}");
}

#[tokio::test]
async fn a_store_that_cannot_be_asked_is_not_called_a_liar() {
    for act in [Act::Deny, Act::FailBefore] {
        let test = TestStore::new();
        test.set(move |call, _| if call == Call::Create { act } else { Act::Honestly });
        let error = probe(&test.store(), 1).await.unwrap_err();
        assert!(matches!(error, BucketError::Denied { .. } | BucketError::Store { .. }), "{error}");
    }
}
