//! Every fault does what its name says, to every call that it can strike.

use super::*;
use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use longhaul_model::ManualClock;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use std::collections::BTreeMap;

const ALL: [Fault; 14] = [
    Fault::None,
    Fault::Slow,
    Fault::Refused,
    Fault::Lost,
    Fault::Late,
    Fault::Conflict,
    Fault::ConflictAfter,
    Fault::Precondition,
    Fault::PreconditionAfter,
    Fault::Denied,
    Fault::Torn,
    Fault::Halved,
    Fault::Stale(1),
    Fault::Skewed(-500),
];

fn key(text: &str) -> Key {
    Key::from(text)
}

/// A world with `a/old`, and a view in which `fault` strikes the next call.
async fn striking(fault: Fault) -> (Arc<World>, FaultyStore) {
    let world = World::new(Arc::new(ManualClock::at(1000)));
    let store = FaultyStore::new(&world);
    store.put(&key("a/old"), PutPayload::from_static(b"before")).await.unwrap();
    store.set_rule(move |step| (if step.number == 1 { fault } else { Fault::None }, Then::GoOn));
    (world, store)
}

fn text(contents: &BTreeMap<Key, Bytes>, name: &str) -> Option<String> {
    contents.get(&key(name)).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

#[test]
fn changes_suffer_every_fault() {
    async {
        for fault in ALL {
            for (call, mode) in [(Call::Put, PutMode::Overwrite), (Call::Create, PutMode::Create)] {
                if !fault.strikes(call) {
                    continue;
                }
                let (world, store) = striking(fault).await;
                let answer = store.put_opts(&key("a/new"), PutPayload::from_static(b"1234"), mode.into()).await;
                let now = text(&world.contents().await, "a/new");
                let landed = world.land().await;
                let later = text(&world.contents().await, "a/new");
                let whole = Some("1234".to_owned());
                let expected = match fault {
                    Fault::None | Fault::Slow | Fault::Skewed(_) => (true, whole.clone(), whole),
                    Fault::Refused | Fault::Denied | Fault::Conflict | Fault::Precondition => (false, None, None),
                    Fault::Lost | Fault::ConflictAfter | Fault::PreconditionAfter => (false, whole.clone(), whole),
                    Fault::Late => (false, None, whole),
                    Fault::Torn => (false, Some("12".into()), Some("12".into())),
                    Fault::Halved => (true, Some("12".into()), Some("12".into())),
                    Fault::Stale(_) => unreachable!(),
                };
                assert_eq!((answer.is_ok(), now, later), expected, "{fault:?} {call:?}");
                assert_eq!(landed > 0, fault == Fault::Late);
            }
            if !fault.strikes(Call::Delete) {
                continue;
            }
            let (world, store) = striking(fault).await;
            let is_there = async || world.contents().await.contains_key(&key("a/old"));
            let answer = store.delete(&key("a/old")).await.is_ok();
            let now = is_there().await;
            world.land().await;
            let expected = match fault {
                Fault::None | Fault::Slow => (true, false, false),
                Fault::Lost => (false, false, false),
                Fault::Late => (false, true, false),
                _ => (false, true, true),
            };
            assert_eq!((answer, now, is_there().await), expected, "{fault:?}");
        }
    }
    .now_or_never()
    .unwrap();
}

#[test]
fn looks_suffer_every_fault() {
    async {
        for fault in ALL {
            let is_refused = matches!(fault, Fault::Refused | Fault::Denied);
            if fault.strikes(Call::Get) {
                let (_, store) = striking(fault).await;
                let answer = async { store.get(&key("a/old")).await?.bytes().await }.await;
                assert_eq!(answer.is_err(), is_refused, "{fault:?}");
                let expected: &[u8] = if fault == Fault::Halved { b"bef" } else { b"before" };
                assert!(answer.is_err() || answer.unwrap() == expected, "{fault:?}");
            }
            if fault.strikes(Call::Head) {
                let (_, store) = striking(fault).await;
                assert_eq!(store.head(&key("a/old")).await.is_err(), is_refused, "{fault:?}");
            }
            if fault.strikes(Call::List) {
                let (_, store) = striking(fault).await;
                let listed: Vec<_> = store.list(Some(&key("a"))).collect().await;
                let found = listed.iter().filter(|meta| meta.is_ok()).count();
                let expected = usize::from(!is_refused && !matches!(fault, Fault::Stale(_)));
                assert_eq!((found, listed.iter().any(|meta| meta.is_err())), (expected, is_refused), "{fault:?}");
            }
        }
    }
    .now_or_never()
    .unwrap();
}

#[test]
fn a_crash_ends_a_caller_and_a_stall_lets_another_go_first() {
    async {
        let (world, store) = striking(Fault::None).await;
        store.set_rule(|step| (Fault::Lost, if step.number == 1 { Then::Crash } else { Then::GoOn }));
        store.put(&key("a/last"), "1".into()).await.unwrap_err();
        store.put(&key("a/after"), "1".into()).await.unwrap_err();
        let keys: Vec<String> = world.contents().await.keys().map(ToString::to_string).collect();
        assert_eq!((store.is_dead(), keys), (true, vec!["a/last".into(), "a/old".into()]));

        for (fault, expected) in [(Fault::Slow, "mine"), (Fault::None, "theirs")] {
            let (world, store) = striking(fault).await;
            let other = FaultyStore::new(&world);
            store.set_rule(move |_| {
                let other = other.clone();
                let meanwhile = async move { drop(other.put(&key("a/both"), "theirs".into()).await.unwrap()) };
                (fault, Then::Stall(meanwhile.boxed()))
            });
            store.put(&key("a/both"), "mine".into()).await.unwrap();
            assert_eq!(text(&world.contents().await, "a/both").as_deref(), Some(expected));
        }
    }
    .now_or_never()
    .unwrap();
}

#[test]
fn time_and_folders_and_parts_and_watchers() {
    async {
        let clock = Arc::new(ManualClock::at(5000));
        let world = World::new(clock.clone());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = seen.clone();
        world.watch(move |change, before| {
            let before_ms = before.map(|meta| meta.last_modified.timestamp_millis());
            noted.lock().push((change.key().to_string(), matches!(change, Change::Delete { .. }), before_ms));
        });
        let store = FaultyStore::new(&world);
        store.put(&key("t/b/1"), "x".into()).await.unwrap();
        clock.advance(10);
        let mut parts = store.put_multipart(&key("t/b/2")).await.unwrap();
        for part in [parts.put_part("ab".into()), parts.put_part("cd".into())] {
            part.await.unwrap();
        }
        parts.complete().await.unwrap();
        store.put(&key("t/3"), "x".into()).await.unwrap();
        let (folder, fork) = (key("t"), world.fork(clock.clone()));
        let listed = FaultyStore::new(&fork).list_with_delimiter(Some(&folder)).await.unwrap();
        assert_eq!(listed.common_prefixes, [key("t/b")]);
        assert_eq!(listed.objects.iter().map(|it| it.location.to_string()).collect::<Vec<_>>(), ["t/3"]);
        assert_eq!(store.head(&key("t/b/1")).await.unwrap().last_modified.timestamp_millis(), 5000);
        assert_eq!(text(&fork.contents().await, "t/b/2").as_deref(), Some("abcd"));
        store.delete(&key("t/b/1")).await.unwrap();
        store.delete(&key("t/b/1")).await.unwrap();
        let one = |name: &str, deleted, before| (name.to_owned(), deleted, before);
        let expected = [
            one("t/b/1", false, None),
            one("t/b/2", false, None),
            one("t/3", false, None),
            one("t/b/1", true, Some(5000)),
        ];
        assert_eq!(*seen.lock(), expected);
        assert_eq!(fork.contents().await.len(), 3, "a fork has a life of its own");
    }
    .now_or_never()
    .unwrap();
}
