//! One run: work that is struck, the same work again, and what must be true then.

use crate::case::{Case, Landing, Next, Pick, Strike, faults};
use crate::process::{Process, Role};
use crate::site::{HOUR_MS, Site, hash_of, read};
use futures::FutureExt;
use longhaul_testkit::faulty_store::{Call, Fault, Step, Then};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

/// How often work is tried again once nothing goes wrong any more. A change that lands late, or a clock that jumped, may
/// spoil one attempt each.
const ATTEMPTS_MAX: usize = 4;

/// What happened in a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ran {
    /// The calls of the process, in all its lives.
    pub(crate) calls: Vec<Call>,
    /// Strikes that struck.
    pub(crate) strikes: usize,
    /// Changes of the bucket, after each of which the judge looked.
    pub(crate) changes: u64,
}

struct Script {
    strikes: VecDeque<Strike>,
    ran: Ran,
}

/// Asks the script about each step of a process.
fn follow(site: &Arc<Site>, process: &Process, role: Role, script: &Arc<Mutex<Script>>, landing: Landing) {
    let (site, script) = (site.clone(), script.clone());
    process.view.set_rule(move |step| {
        let script = &mut *script.lock();
        let number = script.ran.calls.len() as u64;
        script.ran.calls.push(step.call);
        if script.strikes.front().is_none_or(|strike| strike.at != number) {
            return (Fault::None, Then::GoOn);
        }
        let strike = script.strikes.pop_front().expect("there is one");
        script.ran.strikes += 1;
        strike_step(&site, role, step, strike, landing)
    });
}

fn strike_step(site: &Arc<Site>, role: Role, step: &Step, strike: Strike, landing: Landing) -> (Fault, Then) {
    let fault = match strike.fault {
        Pick::This(fault) => fault,
        Pick::Number(number) => {
            let possible = faults(step.call, strike.then);
            possible[number % possible.len()]
        }
    };
    let then = match strike.then {
        Next::GoOn => Then::GoOn,
        Next::Crash => {
            site.kill(role);
            Then::Crash
        }
        Next::Stall(other, hours) => {
            let site = site.clone();
            let meanwhile = async move {
                let _alone = site.stall.lock().await;
                site.clock.advance(hours * HOUR_MS);
                if landing == Landing::Soon {
                    site.world.land().await;
                }
                let process = Process::beside(&site, other).await;
                until_done(&process, other).await;
                process.close().await;
            };
            Then::Stall(meanwhile.boxed())
        }
    };
    (fault, then)
}

/// Works until it is done; nothing goes wrong any more.
async fn until_done(process: &Process, role: Role) {
    for attempt in 1.. {
        match process.act().await {
            Ok(()) => return,
            Err(error) => assert!(attempt < ATTEMPTS_MAX, "{role:?} does not come to its end: {error}"),
        }
    }
}

/// Runs a case, or undisturbed work.
pub(crate) async fn run(base: &Site, role: Role, case: Option<&Case>) -> Ran {
    let site = base.fork();
    let strikes = case.into_iter().flat_map(|case| [Some(case.first), case.second]).flatten().collect();
    let script = Arc::new(Mutex::new(Script { strikes, ran: Ran::default() }));
    let landing = case.map_or(Landing::Soon, |case| case.landing);
    let before = site.judge.lock().changes;

    let mut process = Process::open(&site, role).await;
    follow(&site, &process, role, &script, landing);
    let mut attempts = 0;
    loop {
        let done = process.act().await;
        attempts += 1;
        if process.view.is_dead() {
            process.close().await;
            process = Process::open(&site, role).await;
            follow(&site, &process, role, &script, landing);
        } else if attempts > 1 && done.is_ok() {
            break;
        }
        if attempts == 1 && landing == Landing::Soon {
            site.world.land().await;
        }
        assert!(attempts < ATTEMPTS_MAX + 2, "{role:?} does not come to its end: {done:?}");
    }
    process.close().await;
    if landing == Landing::Days {
        site.clock.advance(100 * HOUR_MS);
    }
    if site.world.land().await > 0 {
        let process = Process::open(&site, role).await;
        until_done(&process, role).await;
        process.close().await;
    }
    if role == Role::Ship {
        assert_eq!(site.judge.lock().total(), hash_of(&base.content), "everything acknowledged is in the bucket, once");
    }
    if case.is_none_or(|case| case.settles) {
        settle(&site, base).await;
    }
    let mut ran = script.lock().ran.clone();
    ran.changes = site.judge.lock().changes - before;
    ran
}

/// Brings everything to its end: then every sample is in the bucket once, and nothing else is.
async fn settle(site: &Arc<Site>, base: &Site) {
    for (role, hours) in
        [(Role::Ship, 0), (Role::Compact, 100), (Role::Collect, 100), (Role::Collect, 100), (Role::Collect, 0)]
    {
        let process = Process::open(site, role).await;
        until_done(&process, role).await;
        process.close().await;
        site.clock.advance(hours * HOUR_MS);
    }
    let manifest = site.judge.lock().newest.clone();
    let found = read(&site.tenant_store(), &manifest.blocks).await;
    assert_eq!(found, base.content, "what was acknowledged");
    assert_eq!((manifest.retired.len(), manifest.quarantined.len()), (0, 0));
    let judge = site.judge.lock();
    let left: Vec<_> = judge.garbage().into_iter().map(ToString::to_string).collect();
    assert_eq!(left, ["t/01ARZ3NDEKTSV4RRFFQ69G5FAV/index"], "what is not ours stays, and nothing else");
}
