//! What is garbage and what is not, case by case.

use super::*;

const HOUR_MS: i64 = 3_600_000;
const NOW_MS: i64 = 1000 * HOUR_MS;

fn tagged(hours: i64) -> BlockId {
    longhaul_model::IdSource::new(|| 7).block_id(hours * HOUR_MS)
}

fn object(path: &str, hours: i64) -> BlockObject {
    BlockObject { path: path.into(), size_bytes: 1, modified_ms: hours * HOUR_MS }
}

fn folder(id: BlockId, objects: &[BlockObject]) -> Folder {
    Folder { block: BlockAddress::of_tenant(id), objects: objects.to_vec() }
}

fn decide(manifest: &Manifest, folder: &Folder) -> Plan {
    let survey = Survey { now_ms: NOW_MS, folders: vec![folder.clone()] };
    plan(&survey, manifest, &CollectSettings::default())
}

fn deleted(plan: &Plan) -> Option<Reason> {
    plan.deletions.first().map(|deletion| deletion.reason)
}

/// I-GC-3
#[test]
fn a_retired_block_goes_when_commit_and_mark_are_old() {
    let id = tagged(900);
    let retired = |hours: i64| RetiredBlock {
        id,
        place: Place::Tenant,
        since_ms: hours * HOUR_MS,
        replaced_by: vec![tagged(901)],
    };
    let at = |hours| {
        let mut manifest = Manifest::default();
        manifest.retired.push(retired(hours));
        manifest
    };
    let (chunks, mark) = (object("chunks/000001", 1), |hours| object("deletion-mark.json", hours));
    let unmarked = decide(&at(1), &folder(id, std::slice::from_ref(&chunks)));
    assert_eq!((unmarked.marks.len(), unmarked.deletions.len()), (1, 0), "however old it is");
    for (since, marked, goes) in [(952, 952, true), (953, 952, false), (952, 953, false), (1100, 952, false)] {
        let decided = decide(&at(since), &folder(id, &[chunks.clone(), mark(marked)]));
        assert_eq!(deleted(&decided), goes.then_some(Reason::Retired), "{since} {marked}");
        assert!(decided.marks.is_empty() && decided.gone.is_empty());
    }
    assert_eq!(decide(&at(952), &folder(id, &[])).gone, [BlockAddress::of_tenant(id)]);
    assert_eq!(decide(&at(953), &folder(id, &[])), Plan::default(), "a LIST may lag behind");
    let elsewhere = Folder { block: BlockAddress { id, place: Place::Root }, objects: vec![chunks] };
    assert_eq!(decide(&at(1), &elsewhere), Plan::default(), "another block of the same name");
}

/// I-GC-2, I-GC-4
#[test]
fn an_orphan_goes_when_it_is_ours_and_old_and_below_the_boundary() {
    let id = tagged(900);
    let old = folder(id, &[object("index", 928), object("meta.json", 901)]);
    let below = |boundary: Option<BlockId>| match boundary {
        Some(boundary) => Manifest::default().raise_orphan_boundary(boundary),
        None => Manifest::default(),
    };
    let boundary = after(id);
    assert_eq!(decide(&below(None), &old), Plan { boundary: Some(boundary), ..Plan::default() });
    assert_eq!(decide(&below(Some(id)), &old).boundary, Some(boundary), "it has to be above, not at it");
    assert_eq!(deleted(&decide(&below(Some(boundary)), &old)), Some(Reason::Orphan));
    let fresh = folder(id, &[object("index", 929), object("meta.json", 901)]);
    let empty = folder(id, &[]);
    let from_tomorrow = folder(tagged(1024), &[object("index", 1)]);
    let mut foreign = old.clone();
    foreign.block.id = BlockId::from_parts(900 * HOUR_MS as u64, 12345);
    let mut at_root = old.clone();
    at_root.block.place = Place::Root;
    for other in [fresh, empty, from_tomorrow, foreign, at_root] {
        for manifest in [below(None), below(Some(tagged(2000)))] {
            assert_eq!(decide(&manifest, &other), Plan::default(), "{other:?}");
        }
    }
}

#[test]
fn of_the_history_stays_what_was_newest_then_and_came_later() {
    let at = |version, hours| StoredVersion { version, modified_ms: hours * HOUR_MS };
    let trim = |versions: &[StoredVersion], newest| trim_to(versions, newest, 168 * HOUR_MS, NOW_MS);
    assert_eq!(trim(&[], 0), None);
    assert_eq!(trim(&[at(1, 1)], 1), None);
    assert_eq!(trim(&[at(1, 1), at(2, 2)], 2), None, "one before the newest stays");
    assert_eq!(trim(&[at(1, 1), at(2, 2), at(3, 3)], 3), Some(2));
    assert_eq!(trim(&[at(1, 1), at(2, 832), at(3, 833)], 3), Some(2), "2 was the newest a week ago");
    assert_eq!(trim(&[at(1, 1), at(2, 833), at(3, 834)], 3), None);
    assert_eq!(
        trim(&[at(1, 990), at(7, 1), at(8, 2)], 8),
        Some(7),
        "what was put below the boundary goes, however new"
    );
}
