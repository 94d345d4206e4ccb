//! Every step of shipping, compacting and collecting, every fault that can strike it, every way in which it may go on; and
//! pairs of them, drawn from a seed. The invariants are asserted after every change of the bucket (`judge.rs`).

use crate::case::{Case, Landing, Pick, Strike, every_single, nexts};
use crate::process::{ROLES, Role};
use crate::run::{Ran, run};
use crate::site::Site;
use longhaul_compact::CollectSettings;
use longhaul_testkit::faulty_store::Call;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Runs of the test, unless `LONGHAUL_FAULT_RUNS` says otherwise.
const RUNS: usize = 30_000;
/// Where pairs are drawn from, unless `LONGHAUL_FAULT_SEED` says otherwise.
const SEED: u64 = 20_261_125;
/// Runs wait now and then, as the program does after a fault: so there are more of them at once than cores.
const WORKERS: usize = 8;
/// So many runs that fail are enough to see what is wrong.
const FAILURES_MAX: usize = 20;
/// How far apart the strikes of a pair are at most, in steps: so that the second mostly meets what is done about the first.
const DISTANCE_MAX: u64 = 16;
/// Of so many pairs one is brought to its end and read back.
const SETTLED_PAIRS: usize = 47;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// The single with this number; after the last one pairs, each a single and another strike behind it.
fn case(singles: &[Case], seed: u64, number: usize) -> Case {
    if let Some(single) = singles.get(number) {
        return *single;
    }
    let random = &mut StdRng::seed_from_u64(seed ^ (number as u64) << 32);
    let single = singles[random.random_range(0..singles.len())];
    let nexts = nexts(single.role);
    let second = Strike {
        at: single.first.at + random.random_range(1..=DISTANCE_MAX),
        fault: Pick::Number(random.random_range(0..1000)),
        then: nexts[random.random_range(0..nexts.len())],
    };
    let landing = [Landing::Soon, Landing::Later, Landing::Days][random.random_range(0..3)];
    Case { second: Some(second), landing, settles: number.is_multiple_of(SETTLED_PAIRS), ..single }
}

/// I-SHIP-2, I-SHIP-3, I-MAN-1, I-MAN-2, I-MAN-4, I-COMPACT-2, I-COMPACT-3, I-GC-1, I-GC-2, I-GC-3, I-GC-4
#[test]
fn whatever_the_store_does_nothing_is_lost_and_nothing_is_left() {
    let runs = number("LONGHAUL_FAULT_RUNS", RUNS as u64) as usize;
    let seed = number("LONGHAUL_FAULT_SEED", SEED);
    // To look at some again that failed.
    let first = number("LONGHAUL_FAULT_FIRST", 0) as usize;
    let settings = CollectSettings::default();
    let base = runtime().block_on(Site::base(settings));
    let mut singles: Vec<Case> = Vec::new();
    for role in ROLES {
        let undisturbed = runtime().block_on(run(&base, role, None));
        let of_role = every_single(role, &undisturbed.calls);
        println!("{role:?}: {} steps, {} single faults", undisturbed.calls.len(), of_role.len());
        singles.extend(of_role);
    }
    let (next, done, changes) = (AtomicUsize::new(first), AtomicUsize::new(0), AtomicU64::new(0));
    let failed = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let runtime = runtime();
                while done.load(Relaxed) < runs && failed.load(Relaxed) < FAILURES_MAX {
                    let number = next.fetch_add(1, Relaxed);
                    let case = &case(&singles, seed, number);
                    let Some(ran) = guarded(&runtime, &base, case, number) else {
                        failed.fetch_add(1, Relaxed);
                        continue;
                    };
                    changes.fetch_add(ran.changes, Relaxed);
                    let wanted = 1 + usize::from(case.second.is_some());
                    // A pair whose second strike came too late is no run of its own.
                    done.fetch_add(usize::from(ran.strikes == wanted), Relaxed);
                }
            });
        }
    });
    let (done, changes) = (done.into_inner(), changes.into_inner());
    let alone = singles.len().saturating_sub(first).min(done);
    let pairs = done - alone;
    println!("{done} runs: {alone} with one fault, {pairs} of seed {seed} with two; {changes} changes judged");
    assert_eq!(failed.into_inner(), 0, "runs failed");
    assert!(done >= runs, "{done} runs, {runs} were asked for");
}

/// Requests are a cost: those of a block that is shipped, of a job of two blocks, and of a second look that finds nothing to do.
#[test]
fn undisturbed_work_makes_few_requests() {
    let base = runtime().block_on(Site::base(CollectSettings::default()));
    for (role, requests_max) in [(Role::Ship, 22), (Role::Compact, 34)] {
        let calls = runtime().block_on(run(&base, role, None)).calls;
        let of = |kind| calls.iter().filter(|call| **call == kind).count();
        let kinds = [Call::Put, Call::Create, Call::Get, Call::Head, Call::List].map(|kind| (kind, of(kind)));
        println!("{role:?}: {kinds:?}");
        assert!(calls.len() <= requests_max, "{role:?}: {kinds:?}");
        // Each file once, and the hint; the manifest once; nothing is ever found by listing.
        assert!(of(Call::Put) <= 6 && of(Call::Create) == 1 && of(Call::List) == 0, "{role:?}: {kinds:?}");
    }
}

/// A run; should it fail, it says which one it was, below what was wrong.
fn guarded(runtime: &tokio::runtime::Runtime, base: &Arc<Site>, case: &Case, number: usize) -> Option<Ran> {
    let ran = catch_unwind(AssertUnwindSafe(|| runtime.block_on(run(base, case.role, Some(case)))));
    ran.inspect_err(|_| println!("failed: number {number}, {case:?}")).ok()
}
