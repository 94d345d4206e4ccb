//! What goes wrong in a run: who does it, at which of its steps, and how it goes on.

use crate::process::Role;
use crate::site::HOUR_MS;
use longhaul_testkit::faulty_store::{Call, Fault};

/// What strikes a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Strike {
    /// Which step of the process, counted over all its lives.
    pub(crate) at: u64,
    pub(crate) fault: Pick,
    pub(crate) then: Next,
}

/// Which fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    This(Fault),
    /// The one with this number, of those that can strike such a call.
    Number(usize),
}

/// How it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    GoOn,
    /// The process is dead; another one starts on its disk.
    Crash,
    /// Hours pass, and then another one does its work before the answer comes.
    Stall(Role, i64),
}

/// When a late change takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Landing {
    /// While the call stalls, before the other one begins; without a stall right after the work.
    Soon,
    /// After the process has worked again.
    Later,
    /// A hundred hours later.
    Days,
}

/// A run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) role: Role,
    pub(crate) first: Strike,
    pub(crate) second: Option<Strike>,
    pub(crate) landing: Landing,
    /// Whether everything is brought to its end and read back.
    pub(crate) settles: bool,
}

/// Of so many single faults one is brought to its end and read back; the judge sees all of them, and what is in the bucket
/// after the work is compared by its hash. A prime, so that it is another fault and another continuation each time.
const SETTLED_SINGLES: usize = 7;

const FAULTS: [Fault; 17] = [
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
    Fault::Stale(3),
    Fault::Stale(10),
    Fault::Skewed(-100 * HOUR_MS),
    Fault::Skewed(100 * HOUR_MS),
];

/// The faults that can strike a call and make a difference, with what may come then.
pub(crate) fn faults(call: Call, then: Next) -> Vec<Fault> {
    let differs = |fault: &Fault| match fault {
        Fault::None => then != Next::GoOn,
        Fault::Slow => matches!(then, Next::Stall(..)),
        _ => true,
    };
    FAULTS.into_iter().filter(|fault| fault.strikes(call)).filter(differs).collect()
}

/// How a step of `role` may go on.
pub(crate) fn nexts(role: Role) -> Vec<Next> {
    let mut nexts = vec![Next::GoOn, Next::Crash];
    for other in crate::process::ROLES {
        // Of those who ingest there is one on a disk.
        if (role, other) != (Role::Ship, Role::Ship) {
            nexts.extend([0, 100].map(|hours| Next::Stall(other, hours)));
        }
    }
    nexts
}

/// Every single strike of a role whose undisturbed work makes `calls`.
pub(crate) fn every_single(role: Role, calls: &[Call]) -> Vec<Case> {
    let mut cases = Vec::new();
    for (at, call) in calls.iter().enumerate() {
        for then in nexts(role) {
            for fault in faults(*call, then) {
                let landings: &[Landing] = match fault {
                    Fault::Late => &[Landing::Soon, Landing::Later, Landing::Days],
                    _ => &[Landing::Soon],
                };
                for landing in landings {
                    let first = Strike { at: at as u64, fault: Pick::This(fault), then };
                    let settles = cases.len().is_multiple_of(SETTLED_SINGLES);
                    cases.push(Case { role, first, second: None, landing: *landing, settles });
                }
            }
        }
    }
    cases
}
