//! Plans by hand, and random buckets whose plans are carried out until nothing is left to do.

use super::*;
use longhaul_block::{BlockMeta, Coverage};
use longhaul_bucket::{Deletion, OperationId, QuarantinedBlock};
use longhaul_model::{Clock, LogId, SystemClock, Tombstone};
use proptest::prelude::*;
use std::sync::Arc;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const MIB: u64 = 1 << 20;

fn hours(start: i64, end: i64) -> TimeRange {
    TimeRange::new(start * HOUR_MS, end * HOUR_MS)
}

/// A block of ours that was made an hour after its range and holds what the log had got to then.
fn block(n: u128, range: TimeRange, size_bytes: u64) -> LiveBlock {
    made_at(n, range, size_bytes, range.end_ms + HOUR_MS)
}

fn made_at(n: u128, range: TimeRange, size_bytes: u64, at_ms: i64) -> LiveBlock {
    let mut block = LiveBlock::new(&BlockMeta::new(BlockId::from_parts(at_ms.max(0) as u64, n), range), size_bytes);
    block.format = 1;
    block.coverage =
        vec![Coverage { log_id: LogId::nil(), partition: 0, range, from: 0, to: (at_ms / 1000).max(1) as u64 }];
    block
}

fn manifest(mut blocks: Vec<LiveBlock>) -> Manifest {
    blocks.sort_by_key(|block| (block.range.start_ms, block.id));
    let mut manifest = Manifest::default();
    manifest.blocks = blocks;
    manifest
}

/// The jobs' inputs by the numbers that they were made with.
fn numbers(jobs: &[Job]) -> Vec<Vec<u128>> {
    jobs.iter().map(|job| job.inputs.iter().map(BlockId::random).collect()).collect()
}

fn planned(blocks: &[LiveBlock], now_hours: i64) -> Vec<Vec<u128>> {
    numbers(&plan(&manifest(blocks.to_vec()), now_hours * HOUR_MS, &CompactSettings::default()))
}

fn two_hours(n: u128) -> LiveBlock {
    let start = (n as i64 - 1) * 2;
    block(n, hours(start, start + 2), 100 * MIB)
}

#[test]
fn a_range_that_is_over_becomes_one_block() {
    let day: Vec<LiveBlock> = (1..=12).map(two_hours).collect();
    let none: [Vec<u128>; 0] = [];
    let half: Vec<u128> = (1..=6).collect();
    assert_eq!(planned(&day[..6], 12), none, "its end has just been reached");
    assert_eq!(planned(&day[..6], 13), none, "nothing newer has arrived");
    assert_eq!(planned(&day[..7], 15), std::slice::from_ref(&half));
    assert_eq!(planned(&day[..6], 25), [half], "nothing newer will arrive");
    assert_eq!(planned(&day[..1], 100), none, "one block is one block");
    assert_eq!(planned(&day, 40), [(1..=12).collect::<Vec<_>>()], "a backlog goes to the longest range at once");
    let halves = [block(1, hours(0, 12), 600 * MIB), block(2, hours(12, 24), 600 * MIB)];
    assert_eq!(planned(&halves, 40), [[1, 2]]);
}

#[test]
fn longer_ranges_are_for_the_small() {
    let days = |size_bytes: u64| -> Vec<LiveBlock> {
        (1..=14).map(|n| block(n, hours((n as i64 - 1) * 24, n as i64 * 24), size_bytes)).collect()
    };
    assert_eq!(planned(&days(MIB), 16 * 24), [(1..=14).collect::<Vec<_>>()]);
    assert!(planned(&days(100 * MIB), 16 * 24).is_empty());
    let mut settings = CompactSettings::default();
    let job = |settings: &CompactSettings| plan(&manifest(days(MIB)), 400 * HOUR_MS, settings).len();
    assert_eq!(job(&settings), 1);
    settings.inputs_max = 13;
    assert_eq!(job(&settings), 0);
    settings = CompactSettings { long_range_ms: 0, ..CompactSettings::default() };
    assert_eq!(job(&settings), 0);
}

#[test]
fn late_blocks_wait_until_they_are_worth_a_rewrite() {
    let day = block(1, hours(0, 24), 1000 * MIB);
    let late = |n: u128, size_bytes: u64, at: i64| made_at(n, hours(3, 5), size_bytes, at * HOUR_MS);
    assert!(planned(&[day.clone(), late(2, 10 * MIB, 100)], 101).is_empty());
    assert_eq!(planned(&[day.clone(), late(2, 10 * MIB, 100)], 124), [[1, 2]], "it has waited long enough");
    assert_eq!(planned(&[day.clone(), late(2, 60 * MIB, 100)], 101), [[1, 2]], "it is large enough");
    let many = [day, late(2, 20 * MIB, 99), late(3, 20 * MIB, 100), late(4, 20 * MIB, 101)];
    assert_eq!(planned(&many, 101), [[1, 2, 3, 4]], "together they are");
}

#[test]
fn overlaps_come_first_and_need_no_whole_range() {
    let blocks = [two_hours(1), two_hours(2), made_at(3, hours(2, 4), 90 * MIB, 6 * HOUR_MS), two_hours(4)];
    let jobs = plan(&manifest(blocks.to_vec()), 9 * HOUR_MS, &CompactSettings::default());
    assert_eq!(numbers(&jobs), [[2, 3]]);
    assert!(jobs[0].overlap);
    assert_eq!((jobs[0].range, jobs[0].due_ms), (hours(2, 4), 6 * HOUR_MS));
    let open = [two_hours(1), made_at(2, hours(0, 2), 90 * MIB, 2 * HOUR_MS)];
    assert!(planned(&open, 2).is_empty(), "more may come into a range that has just ended");
}

#[test]
fn what_is_quarantined_is_gone_round() {
    let mut manifest = manifest((1..=12).map(two_hours).collect());
    let bad = manifest.blocks[4].id;
    manifest.quarantined = vec![QuarantinedBlock { id: bad, since_ms: 0, reason: "rotten".into() }];
    let jobs = plan(&manifest, 40 * HOUR_MS, &CompactSettings::default());
    assert_eq!(numbers(&jobs), [(1..=12).filter(|n| *n != 5).collect::<Vec<_>>()]);
}

/// I-COMPACT-1
#[test]
fn nothing_wins_that_lost_before() {
    // 2 corrects 1 and lies in quarantine; with 3, which reaches further, 1 would win against it.
    let (first, third) = (two_hours(1), made_at(3, hours(2, 4), 100 * MIB, 90 * HOUR_MS));
    let correction = made_at(2, hours(0, 2), 90 * MIB, 50 * HOUR_MS);
    let mut manifest = manifest(vec![first, correction.clone(), third]);
    manifest.quarantined = vec![QuarantinedBlock { id: correction.id, since_ms: 0, reason: "rotten".into() }];
    assert!(plan(&manifest, 200 * HOUR_MS, &CompactSettings::default()).is_empty());
    manifest.quarantined.clear();
    assert_eq!(numbers(&plan(&manifest, 200 * HOUR_MS, &CompactSettings::default())), [[1, 2, 3]]);
}

#[test]
fn coarse_blocks_stay_among_themselves() {
    let mut blocks: Vec<LiveBlock> = (1..=8).map(two_hours).collect();
    for coarse in &mut blocks[4..] {
        coarse.resolution_ms = 300_000;
        coarse.range = hours(coarse.range.start_ms / HOUR_MS - 8, coarse.range.end_ms / HOUR_MS - 8);
    }
    assert_eq!(planned(&blocks, 100), [[1, 2, 3, 4], [5, 6, 7, 8]]);
    blocks[5].range = blocks[4].range;
    assert_eq!(planned(&blocks, 100), [[1, 2, 3, 4]], "aggregates that overlap cannot be merged");
}

#[test]
fn what_one_block_was_split_into_is_one() {
    let mut halves = [block(1, hours(0, 24), 900 * MIB), block(2, hours(0, 24), 900 * MIB)];
    assert_eq!(planned(&halves, 100), [[1, 2]]);
    for half in &mut halves {
        half.level = 2;
        half.sources = vec![BlockId::from(7), BlockId::from(8)];
    }
    assert!(planned(&halves, 100).is_empty());
    let late = made_at(3, hours(1, 2), 200 * MIB, 50 * HOUR_MS);
    assert_eq!(planned(&[halves[0].clone(), halves[1].clone(), late], 100), [[1, 2, 3]], "and goes together");
}

/// A deletion, asked for at hour 0, that lists some of the blocks.
fn deletion(blocks: &[&LiveBlock]) -> Deletion {
    Deletion {
        id: OperationId::new(9),
        tombstone: Arc::new(Tombstone { matchers: Vec::new(), range: TimeRange::ALL }),
        log_id: LogId::nil(),
        partition: 0,
        offset: 0,
        since_ms: 0,
        blocks: blocks.iter().map(|block| block.id).collect(),
    }
}

#[test]
fn a_deletion_waits_for_merges_until_its_deadline() {
    // 7 keeps the range of the others from settling before hour 25.
    let mut blocks: Vec<LiveBlock> = (1..=6).map(two_hours).collect();
    let alone = block(20, hours(30 * 24, 30 * 24 + 2), 100 * MIB);
    blocks.push(alone.clone());
    let mut manifest = manifest(blocks.clone());
    let all: Vec<u128> = (1..=6).collect();
    manifest.deletions = vec![deletion(&[&blocks[2], &alone])];
    let settings = CompactSettings::default();
    let at = |manifest: &Manifest, now_hours: i64| numbers(&plan(manifest, now_hours * HOUR_MS, &settings));
    assert!(at(&manifest, 11).is_empty());
    assert_eq!(at(&manifest, 12), [[3], [20]], "no merge is planned");
    assert_eq!(at(&manifest, 13), [vec![20], all.clone()], "the merge takes it along");
    assert_eq!(at(&manifest, 23), [vec![20], all]);
    assert_eq!(at(&manifest, 24), [[3], [20]], "it waits for no merge, which might fail");
    assert_eq!(numbers(&plan_rewrites(&manifest, &Expired::new(), HOUR_MS, &settings)), [[3], [20]]);
    // Quarantined ones are tried once more in the end.
    manifest.quarantined = vec![QuarantinedBlock { id: alone.id, since_ms: 0, reason: String::new() }];
    assert_eq!(at(&manifest, 24), [[3]]);
    let jobs = plan(&manifest, 31 * DAY_MS, &settings);
    assert_eq!(jobs.iter().map(|job| job.drops_unreadable).collect::<Vec<_>>(), [true, true]);
    assert_eq!(numbers(&plan_rewrites(&manifest, &Expired::new(), 40 * DAY_MS, &settings)), [[3]]);
}

/// I-COMPACT-1: what is rewritten becomes ours, and younger; it takes those along that would come to lose against it.
#[test]
fn a_rewrite_changes_no_precedence() {
    let foreign = |n: u128, range: TimeRange| {
        let mut block = block(n, range, 100 * MIB);
        (block.format, block.coverage) = (0, Vec::new());
        block
    };
    let blocks = [
        foreign(1, hours(0, 4)),
        foreign(2, hours(2, 6)),
        foreign(3, hours(5, 8)),
        foreign(4, hours(20, 22)),
        made_at(5, hours(0, 9), 100 * MIB, 40 * HOUR_MS),
    ];
    let mut manifest = manifest(blocks.to_vec());
    let rewrites = |manifest: &Manifest| {
        numbers(&plan_rewrites(manifest, &Expired::new(), 50 * HOUR_MS, &CompactSettings::default()))
    };
    manifest.deletions = vec![deletion(&[&blocks[0]])];
    assert_eq!(rewrites(&manifest), [[1, 2, 3]]);
    manifest.deletions = vec![deletion(&[&blocks[3]]), deletion(&[&blocks[4]])];
    assert_eq!(rewrites(&manifest), [[5], [4]]);
    manifest.deletions = vec![deletion(&[&blocks[2]])];
    assert_eq!(rewrites(&manifest), [[3]], "it has won against the second one, and still does");
}

/// A planner that looked at each pair of blocks would take minutes.
#[test]
fn ten_thousand_blocks_take_milliseconds() {
    let mut blocks: Vec<LiveBlock> = (1..=9_900).map(two_hours).collect();
    blocks.extend((0..100).map(|n| made_at(10_000 + n, hours(n as i64 * 150, n as i64 * 150 + 2), 50 * MIB, DAY_MS)));
    let manifest = manifest(blocks);
    let clock = SystemClock::start();
    let mut best_ns = i64::MAX;
    let mut jobs = 0;
    for _ in 0..5 {
        let started_ns = clock.monotonic_ns();
        jobs = plan(&manifest, 30_000 * HOUR_MS, &CompactSettings::default()).len();
        best_ns = best_ns.min((clock.monotonic_ns() - started_ns) as i64);
    }
    println!("{jobs} jobs of {} blocks planned in {:.1} ms", manifest.blocks.len(), best_ns as f64 / 1e6);
    assert_eq!(jobs, 9_900 / 12);
    assert!(best_ns < 500_000_000, "{best_ns} ns"); // of a debug build on a busy machine
}

/// Which block's sample a query sees, hour by hour.
type Visible = BTreeMap<i64, BlockId>;

/// A live block and, for each of its hours, where its sample is from.
#[derive(Clone, Debug)]
struct Stored {
    live: LiveBlock,
    from: Visible,
}

fn seen<'a>(stored: impl IntoIterator<Item = &'a Stored>) -> Visible {
    let mut rising: Vec<&Stored> = stored.into_iter().collect();
    rising.sort_by_key(|block| block.live.precedence());
    let mut visible = Visible::new();
    rising.iter().for_each(|block| visible.extend(block.from.iter().map(|(hour, id)| (*hour, *id))));
    visible
}

fn any_blocks() -> impl Strategy<Value = Vec<Stored>> {
    let block = (0i64..60, prop_oneof![3 => Just(2i64), 1 => Just(24), 1 => 1i64..30], 1u64..400, 0i64..120, 0u8..8);
    proptest::collection::vec(block, 1..40).prop_map(|all| {
        let made = all.into_iter().enumerate().map(|(n, (start, length, size, made, kind))| {
            let start = if length == 2 {
                start / 2 * 2
            } else if length == 24 {
                start / 24 * 24
            } else {
                start
            };
            let mut live = made_at(n as u128 + 1, hours(start, start + length), size * MIB, made * HOUR_MS);
            if kind == 0 {
                (live.format, live.coverage) = (0, Vec::new());
            }
            if kind == 1 {
                live.resolution_ms = 300_000;
            }
            let from = (start..start + length).map(|hour| (hour, live.id)).collect();
            Stored { live, from }
        });
        made.collect()
    })
}

/// What the job makes of its inputs: one block, or two that share the series.
fn carry_out(job: &Job, blocks: &mut Vec<Stored>, minted: &mut u128, now_ms: i64, split: bool) {
    let (inputs, rest): (Vec<Stored>, Vec<Stored>) =
        std::mem::take(blocks).into_iter().partition(|block| job.inputs.contains(&block.live.id));
    *blocks = rest;
    let from = seen(&inputs);
    let hull = inputs.iter().fold(TimeRange::new(0, 0), |hull, input| hull.hull(&input.live.range));
    let mut sources: Vec<BlockId> = inputs.iter().flat_map(|input| input.live.sources.clone()).collect();
    sources.sort_unstable();
    sources.dedup();
    for _ in 0..if split { 2 } else { 1 } {
        *minted += 1;
        let size_bytes = inputs.iter().map(|input| input.live.size_bytes).sum::<u64>() / if split { 2 } else { 1 };
        let mut live = made_at(*minted, hull, size_bytes, now_ms);
        live.level = 1 + inputs.iter().map(|input| input.live.level).max().unwrap();
        live.resolution_ms = inputs[0].live.resolution_ms;
        live.sources.clone_from(&sources);
        live.coverage = inputs.iter().flat_map(|input| input.live.coverage.clone()).collect();
        blocks.push(Stored { live, from: from.clone() });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// I-COMPACT-1, and that it settles.
    #[test]
    fn whatever_is_planned_changes_nothing_and_ends(
        mut blocks in any_blocks(),
        bad in proptest::collection::vec(any::<prop::sample::Index>(), 0..3),
        mut now in 60i64..200,
        splits in any::<u64>(),
    ) {
        let settings = CompactSettings::default();
        let bad: HashSet<BlockId> = bad.iter().map(|at| blocks[at.index(blocks.len())].live.id).collect();
        let raw = |blocks: &[Stored]| seen(blocks.iter().filter(|block| block.live.resolution_ms == 0));
        let coarse = |blocks: &[Stored]| seen(blocks.iter().filter(|block| block.live.resolution_ms > 0));
        let (raw_before, coarse_before) = (raw(&blocks), coarse(&blocks));
        let mut minted = 1000;
        let mut rounds = 0;
        loop {
            let mut manifest = manifest(blocks.iter().map(|block| block.live.clone()).collect());
            manifest.quarantined =
                bad.iter().map(|id| QuarantinedBlock { id: *id, since_ms: 0, reason: String::new() }).collect();
            let jobs = plan(&manifest, now * HOUR_MS, &settings);
            if jobs.is_empty() {
                if now > 400 {
                    break;
                }
                now += 100;
                continue;
            }
            let mut taken = HashSet::new();
            for (i, job) in jobs.iter().enumerate() {
                prop_assert!(job.inputs.len() > 1 && job.inputs.len() <= settings.inputs_max);
                prop_assert!(job.range.end_ms + settings.settle_ms <= now * HOUR_MS && job.due_ms <= now * HOUR_MS);
                let inputs: Vec<&LiveBlock> = job.inputs.iter().map(|id| manifest.block(*id).unwrap()).collect();
                prop_assert!(inputs.is_sorted_by_key(|block| block.precedence()));
                for input in inputs {
                    prop_assert!(!bad.contains(&input.id) && taken.insert(input.id));
                    prop_assert_eq!(input.resolution_ms, manifest.block(job.inputs[0]).unwrap().resolution_ms);
                }
                for other in &jobs[..i] {
                    let resolution = |job: &Job| manifest.block(job.inputs[0]).unwrap().resolution_ms;
                    prop_assert!(!other.range.overlaps(&job.range) || resolution(other) != resolution(job));
                }
            }
            for job in jobs {
                carry_out(&job, &mut blocks, &mut minted, now * HOUR_MS, splits >> (rounds % 64) & 1 == 1);
            }
            prop_assert_eq!(raw(&blocks), raw_before.clone());
            prop_assert_eq!(coarse(&blocks), coarse_before.clone());
            rounds += 1;
            prop_assert!(rounds < 60, "it does not settle");
        }
    }
}
