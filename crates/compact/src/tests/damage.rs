//! Blocks of ours that rot: each file, each byte that counts.

use super::merges::{content_of, regular};
use super::site::*;

/// Every file of a block of ours, damaged in some places, cut short, and gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_wrong_with_an_input_the_others_are_merged() {
    let (mut tried, mut quarantined) = (0, 0);
    for file in ["chunks/000001", "lookup", "meta.json"] {
        for damage in 0..5 {
            let site = Site::new(30 * DAY_MS);
            let mut expected = Content::new();
            let mut bad = None;
            for n in 0..3 {
                let made = regular(5, n * 2 * HOUR_MS, (n + 1) * 2 * HOUR_MS, n as u64 + 1);
                let id = site.make(&made).await;
                match n {
                    1 => bad = Some(id),
                    _ => overlay(&mut expected, content_of(&made)),
                }
            }
            let bad = bad.unwrap();
            let key = format!("team-a/{bad}/{file}");
            let mut bytes = site.object(&key).await;
            let length = bytes.len();
            match damage {
                0..3 => bytes[length * (damage + 1) / 4] ^= 0x41,
                _ => bytes.truncate(length / 2),
            }
            match damage {
                4 => site.remove(&key).await,
                _ => site.overwrite(&key, bytes).await,
            }
            let report = site.compactor("work").compact(None).await.unwrap();
            let of = format!("{file}, damage {damage}: {report:?}");
            assert_eq!((report.jobs, report.failures.len()), (1, 0), "{of}");
            if report.quarantined.is_empty() {
                // A lookup that is gone is built anew; a digest in meta.json is not what a merge reads.
                assert!(file == "lookup" && damage == 4 || file == "meta.json", "{of}");
                assert_eq!(report.blocks_in, 3, "{of}");
                overlay(&mut expected, content_of(&regular(5, 2 * HOUR_MS, 4 * HOUR_MS, 2)));
                assert_eq!(site.read().await, expected, "{of}");
            } else {
                assert_eq!((report.blocks_in, report.quarantined.len()), (2, 1), "{of}");
                assert_eq!(report.quarantined[0].block, bad.to_string(), "{of}");
                assert_eq!(site.read_but(&[bad]).await, expected, "{of}");
                quarantined += 1;
            }
            tried += 1;
        }
    }
    println!("{quarantined} of {tried} kinds of damage quarantine a block");
    assert!(quarantined >= tried - 4);
}

/// An entry of the manifest that is not what the block holds: neither can be trusted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_that_is_not_the_one_that_was_shipped_is_quarantined() {
    let site = Site::new(30 * DAY_MS);
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(site.make(&regular(5, n * 2 * HOUR_MS, (n + 1) * 2 * HOUR_MS, n as u64 + 1)).await);
    }
    // The files of another block under the name of the second: each of them is sound.
    let other = Site::new(30 * DAY_MS);
    other.make(&regular(4, 0, 2 * HOUR_MS, 1)).await;
    let other_id = other.make(&regular(4, 2 * HOUR_MS, 4 * HOUR_MS, 1)).await;
    for file in ["chunks/000001", "lookup", "index", "exemplars", "meta.json"] {
        let mut bytes = other.object(&format!("team-a/{other_id}/{file}")).await;
        if file == "meta.json" {
            let text = String::from_utf8(bytes).unwrap().replace(&other_id.to_string(), &ids[1].to_string());
            bytes = text.into_bytes();
        }
        site.overwrite(&format!("team-a/{}/{file}", ids[1]), bytes).await;
    }
    let report = site.compactor("work").compact(None).await.unwrap();
    assert_eq!((report.jobs, report.blocks_in), (1, 2), "{report:?}");
    assert_eq!(report.quarantined[0].block, ids[1].to_string());
    assert!(report.quarantined[0].reason.contains("content hash"), "{report:?}");
}
