//! Conflicts: whoever was told 204 is read, whoever was told 400 is not, before and after crashes, cuts and ships.

use super::site::*;
use crate::{WriteError, housekeeper};
use longhaul_testkit::sim_fs::{EIO, FaultPoint};

const WRITERS: usize = 16;
const ROUNDS: i64 = 12;

/// I-VERDICT-1
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sixteen_writers_one_wins_for_good() {
    let site = Site::new(1);
    let ingester = site.open().await;
    let id = tenant(0);
    let time = |round: i64| START_MS + (round * 7 % ROUNDS) * SECOND_MS; // in and out of order
    let value = |writer: usize, round: i64| (writer as i64 * 1000 + round) as f64;
    let mut winners = Vec::new();
    for round in 0..ROUNDS {
        let writers = (0..WRITERS).map(|writer| {
            let (ingester, id) = (ingester.clone(), id.clone());
            tokio::spawn(async move { put(&ingester, &id, "race", time(round), value(writer, round)).await })
        });
        let mut won = Vec::new();
        for (writer, answer) in writers.collect::<Vec<_>>().into_iter().enumerate() {
            if answer.await.unwrap() {
                won.push(writer);
            }
        }
        assert_eq!(won.len(), 1, "one value is stored, all others are refused");
        winners.push(won[0]);
    }
    let answers_stand = async |ingester: &crate::Ingester, when: &str| {
        for round in 0..ROUNDS {
            let winner = winners[round as usize];
            assert_eq!(read(ingester, &id).await.value("race", time(round)), Some(value(winner, round)), "{when}");
            for writer in [winner, (winner + 1) % WRITERS] {
                let stored = put(ingester, &id, "race", time(round), value(writer, round)).await;
                assert_eq!(stored, writer == winner, "{when}: round {round}, writer {writer}");
            }
        }
    };
    answers_stand(&ingester, "at once").await;
    let (killed, cut) = (site.killed(), ingester.cut_all(&id).await);
    cut.unwrap();
    answers_stand(&ingester, "after a cut").await;
    answers_stand(&killed.open().await, "after a crash").await;
    let killed = site.killed().open().await;
    answers_stand(&killed, "after a cut and a crash").await;

    killed.flush(None).await.unwrap();
    assert_eq!(killed.part_count(&id), 0);
    assert!(put(&killed, &id, "race", time(0), -1.0).await, "a correction of what is in the bucket is accepted");
    assert!(!put(&killed, &id, "race", time(0), -2.0).await, "but one only");
    assert_eq!(read(&killed, &id).await.value("race", time(0)), Some(-1.0));
    killed.flush(None).await.unwrap();
    let found = read(&killed, &id).await;
    assert_eq!(found.value("race", time(0)), Some(-1.0));
    assert_eq!(found.value("race", time(1)), Some(value(winners[1], 1)));
}

/// I-VERDICT-1: while a refusal is not on disk, nothing that might build on it is answered, and no log is released.
#[tokio::test]
async fn a_refusal_that_cannot_be_written_is_owed() {
    let site = Site::new(2);
    let ingester = site.open().await;
    let id = tenant(0);
    let old = START_MS - 3 * HOUR_MS; // another range: it keeps the manifest's floor low
    assert!(put(&ingester, &id, "keeps_the_floor", old, 1.0).await);
    assert!(put(&ingester, &id, "up", START_MS, 1.0).await);
    site.fs.fail(FaultPoint::SyncData, 1, EIO); // the batch is synced, its refusal is not
    let conflict = write(&ingester, &id, &[("up".into(), vec![sample(START_MS, 2.0)])]).await;
    assert!(matches!(conflict, Err(WriteError::Log(_))), "{conflict:?}");
    let next = write(&ingester, &id, &[("other".into(), vec![sample(START_MS, 2.0)])]).await;
    assert!(matches!(next, Err(WriteError::Log(_))), "{next:?}");
    assert!(housekeeper::tick(ingester.inner()).await);
    assert!(put(&ingester, &id, "other", START_MS, 2.0).await, "the refusal has been written again");

    cut_range(&ingester, &id, START_MS).await;
    ingester.ship(&id, true).await.unwrap();
    assert!(put(&ingester, &id, "up", START_MS, 3.0).await, "a correction");
    let restarted = site.killed().open().await;
    assert_eq!(read(&restarted, &id).await.value("up", START_MS), Some(3.0));
}

/// I-COVER-2: a duplicate of what is in a part is no news to a replay, even if the part has left since.
#[tokio::test]
async fn a_replayed_duplicate_does_not_displace_a_correction() {
    let site = Site::new(3);
    let ingester = site.open().await;
    let id = tenant(0);
    assert!(put(&ingester, &id, "keeps_the_floor", START_MS - 3 * HOUR_MS, 1.0).await);
    assert!(put(&ingester, &id, "up", START_MS, 1.0).await);
    cut_range(&ingester, &id, START_MS).await;
    assert!(put(&ingester, &id, "up", START_MS, 1.0).await, "a duplicate of what is in a part");
    assert!(!read(&ingester, &id).await.in_head.contains_key("up"), "stores nothing");
    ingester.ship(&id, true).await.unwrap();
    assert!(put(&ingester, &id, "up", START_MS, 2.0).await, "a correction");
    let restarted = site.killed().open().await;
    assert_eq!(read(&restarted, &id).await.value("up", START_MS), Some(2.0));
}

/// A late sample that cannot be compared is neither stored nor refused.
#[tokio::test]
async fn a_part_that_cannot_be_read_judges_nothing() {
    let site = Site::new(4);
    let ingester = site.open().await;
    let id = tenant(0);
    assert!(put(&ingester, &id, "up", START_MS, 1.0).await);
    cut_range(&ingester, &id, START_MS).await; // the head has let go, the part alone can judge
    for _ in 0..20 {
        site.fs.fail(FaultPoint::Read, 0, EIO);
    }
    let late = write(&ingester, &id, &[("up".into(), vec![sample(START_MS, 2.0)])]).await;
    assert!(matches!(late, Err(WriteError::Log(_))), "{late:?}");
    let restarted = site.killed().open().await;
    assert_eq!(read(&restarted, &id).await.value("up", START_MS), Some(1.0));
    assert!(!put(&restarted, &id, "up", START_MS, 2.0).await);
}
