//! The life of a deletion, step by step: into force, blocks that come and go, its end.

use super::*;
use crate::testing::{block, coverage, hours, id, log};
use longhaul_model::Matcher;

fn deletion(n: u128, range: TimeRange, offset: u64) -> Deletion {
    let tombstone = Arc::new(Tombstone { matchers: vec![Matcher::equal("job", n.to_string())], range });
    let id = OperationId::new(n);
    Deletion { id, tombstone, log_id: log(0), partition: 0, offset, since_ms: 5, blocks: Vec::new() }
}

/// A block of the log with number `of`, with offsets up to `to`.
fn shipped(n: u64, range: TimeRange, of: u128, to: u64) -> LiveBlock {
    let mut live = block(n, range);
    live.coverage.push(Coverage { log_id: log(of), ..coverage(range, to - 1, to) });
    live.format = 1;
    live
}

fn ship(manifest: &Manifest, live: &LiveBlock) -> Manifest {
    manifest.ship(live.clone(), &live.coverage).unwrap()
}

fn listed(manifest: &Manifest, n: u128) -> Option<Vec<BlockId>> {
    manifest.deletion(OperationId::new(n)).map(|deletion| deletion.blocks.clone())
}

/// I-DELETE-2
#[test]
fn what_was_there_before_is_meant() {
    let mut manifest = Manifest::default();
    let mut coarse = block(4, hours(0, 2));
    coarse.resolution_ms = 300_000;
    for live in [
        shipped(1, hours(0, 2), 0, 5),
        shipped(2, hours(4, 6), 0, 6),
        shipped(3, hours(0, 2), 1, 90),
        shipped(5, hours(2, 4), 0, 12),
        coarse,
    ] {
        manifest = ship(&manifest, &live);
    }
    let deletion = deletion(7, hours(1, 3), 10);
    let before = manifest.tombstones_of(manifest.block(id(1)).unwrap(), &[Arc::new(deletion.clone())]);
    assert_eq!(before, std::slice::from_ref(&deletion.tombstone), "it need not be in the manifest");
    let manifest = manifest.delete(&deletion);
    assert_eq!(listed(&manifest, 7).unwrap(), [id(1), id(3)], "neither out of range, nor later, nor coarse");
    assert_eq!(manifest.delete(&deletion), manifest);
    let of = |n: u64| manifest.tombstones_of(manifest.block(id(n)).unwrap(), &[Arc::new(deletion.clone())]).len();
    assert_eq!([1, 2, 3, 4, 5].map(of), [1, 0, 1, 0, 0]);
}

/// I-DELETE-2
#[test]
fn it_is_over_when_its_blocks_are_rewritten_and_nothing_more_can_come() {
    let first = shipped(1, hours(0, 2), 0, 5);
    let base = ship(&Manifest::default(), &first).delete(&deletion(7, hours(0, 4), 10));
    // A part that was cut before the deletion comes later.
    let late = shipped(2, hours(2, 4), 0, 8);
    let manifest = ship(&base, &late).list_for(id(2), &[OperationId::new(7)]);
    let far = shipped(3, hours(8, 9), 0, 9);
    let manifest = ship(&manifest, &far).list_for(id(3), &[OperationId::new(7)]);
    assert_eq!(listed(&manifest, 7).unwrap(), [id(1), id(2)]);
    let rewritten = manifest.compact(&manifest, &[id(1)], vec![block(11, hours(0, 2))], 1).unwrap();
    assert_eq!(listed(&rewritten, 7).unwrap(), [id(2)]);
    let rewritten = rewritten.compact(&rewritten, &[id(2)], vec![], 1).unwrap();
    assert_eq!(listed(&rewritten, 7).unwrap(), [], "the log may still have something");
    let behind = rewritten.raise_floor(log(0), 0, 9);
    assert_eq!(listed(&behind, 7).unwrap(), []);
    let over = behind.raise_floor(log(0), 0, 10);
    assert_eq!(over.deletions, []);
    assert_eq!(over.delete(&deletion(7, hours(0, 4), 10)), over, "a commit that is repeated brings nothing back");
    // The other way round: first the log, then the blocks.
    let behind = manifest.raise_floor(log(0), 0, 12);
    assert_eq!(listed(&behind, 7).unwrap().len(), 2);
    let over = behind.compact(&behind, &[id(1), id(2)], vec![block(11, hours(0, 4))], 1).unwrap();
    assert_eq!(over.deletions, []);
}

/// I-DELETE-2
#[test]
fn a_merge_that_has_not_applied_it_is_rejected() {
    let base = [shipped(1, hours(0, 2), 0, 5), shipped(2, hours(2, 4), 0, 6), shipped(3, hours(4, 6), 0, 7)];
    let base = base.iter().fold(Manifest::default(), |manifest, live| ship(&manifest, live));
    let elsewhere = base.delete(&deletion(6, hours(4, 6), 8));
    let outputs = || vec![block(11, hours(0, 4))];
    assert!(elsewhere.compact(&base, &[id(1), id(2)], outputs(), 1).is_ok(), "it is about none of the inputs");
    let deleted = base.delete(&deletion(7, hours(3, 4), 8));
    let rejected = deleted.compact(&base, &[id(1), id(2)], outputs(), 1).unwrap_err();
    assert_eq!(rejected, Rejected::Other("a deletion has come into force meanwhile".into()));
    let committed = deleted.compact(&deleted, &[id(1), id(2)], outputs(), 1).unwrap();
    assert_eq!(listed(&committed, 7).unwrap(), []);
}
