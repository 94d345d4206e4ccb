//! An object store in memory that tells a test's time, and does to each call what the test wants done to it.
//!
//! The objects are a [`World`]; everybody who looks at it does so through a [`FaultyStore`] of its own, whose rule is asked
//! about each call, in order: which [`Fault`] strikes, and what comes then. A call that strikes may go on, may be the last
//! one of a process that crashes, or may wait until somebody else has done something. The world shows every change to a
//! watcher, who says whether it was allowed.
//!
//! A call that hangs is ended by its caller's budget, and is then the same to the caller as one that was answered with
//! 503: [`Fault::Refused`], [`Fault::Lost`] and [`Fault::Late`] stand for both.

mod calls;
mod world;

pub use world::{Change, World};

use futures::future::BoxFuture;
use object_store::path::Path as Key;
use object_store::{Error, Result};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

/// What a store is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// A PUT over whatever is there.
    Put,
    /// A PUT if nothing is there.
    Create,
    /// A PUT if a certain version is there.
    Update,
    /// Begin, part or abort of an upload in parts; its end is a [`Call::Put`].
    Part,
    /// A GET, of a range or the whole.
    Get,
    /// A HEAD.
    Head,
    /// A DELETE.
    Delete,
    /// A LIST.
    List,
}

/// One call of one who looks at the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which one of the caller's, from 0.
    pub number: u64,
    /// What it is.
    pub call: Call,
    /// About which object or folder.
    pub key: Key,
}

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Nothing.
    None,
    /// It takes a while, and comes to what is there by then: whatever [`Then::Stall`] does is done before it.
    Slow,
    /// 503, or no answer: it has no effect.
    Refused,
    /// The change takes effect, and the answer is lost.
    Lost,
    /// No answer; the change takes effect when [`World::land`] is called, hours later perhaps.
    Late,
    /// 409, and no effect.
    Conflict,
    /// A retry has met what the first attempt did: the change takes effect and is answered with 409.
    ConflictAfter,
    /// 412, and no effect.
    Precondition,
    /// The same with 412.
    PreconditionAfter,
    /// 403.
    Denied,
    /// A PUT leaves half of its object and fails.
    Torn,
    /// A PUT leaves half of its object and is confirmed; a GET is answered with half of what was asked for.
    Halved,
    /// A LIST shows what was there so many changes ago.
    Stale(usize),
    /// What is written is stamped with a time so many milliseconds from now.
    Skewed(i64),
}

impl Fault {
    /// Whether it can strike such a call. Conditional PUTs are whole or not there at all: the manifest rests on it.
    pub fn strikes(self, call: Call) -> bool {
        use Call::{Create, Delete, Get, List, Part, Put, Update};
        match self {
            Self::None | Self::Slow | Self::Refused | Self::Denied => true,
            Self::Lost | Self::Late => matches!(call, Put | Create | Update | Delete),
            Self::Conflict | Self::ConflictAfter => matches!(call, Create),
            Self::Precondition | Self::PreconditionAfter => matches!(call, Create | Update),
            Self::Torn => matches!(call, Put | Part),
            Self::Halved => matches!(call, Put | Get),
            Self::Stale(_) => matches!(call, List),
            Self::Skewed(_) => matches!(call, Put | Create | Update),
        }
    }
}

/// What comes after a fault.
pub enum Then {
    /// The caller gets the answer and makes of it what it can.
    GoOn,
    /// The caller is dead: it gets no answer, and nothing that it asks from now on has any effect.
    Crash,
    /// This happens before the caller gets the answer.
    Stall(BoxFuture<'static, ()>),
}

/// Decides what strikes a call.
pub type Rule = Box<dyn FnMut(&Step) -> (Fault, Then) + Send>;

/// The world as one of those sees it who look at it. Cloning shares it.
#[derive(Clone)]
pub struct FaultyStore {
    seen: Arc<Seen>,
}

struct Seen {
    world: Arc<World>,
    rule: Mutex<Option<Rule>>,
    steps: AtomicU64,
    is_dead: AtomicBool,
}

impl FaultyStore {
    /// A view of `world` in which nothing goes wrong.
    pub fn new(world: &Arc<World>) -> Self {
        let seen =
            Seen { world: world.clone(), rule: Mutex::default(), steps: AtomicU64::new(0), is_dead: false.into() };
        Self { seen: Arc::new(seen) }
    }

    /// Asks `rule` about each call from now on.
    pub fn set_rule(&self, rule: impl FnMut(&Step) -> (Fault, Then) + Send + 'static) {
        *self.seen.rule.lock() = Some(Box::new(rule));
    }

    /// How many calls there were.
    pub fn steps(&self) -> u64 {
        self.seen.steps.load(SeqCst)
    }

    /// Whether a call was the last one.
    pub fn is_dead(&self) -> bool {
        self.seen.is_dead.load(SeqCst)
    }

    fn world(&self) -> &Arc<World> {
        &self.seen.world
    }

    /// Carries out a call: `work` is told which fault to suffer.
    async fn step<T>(&self, call: Call, key: &Key, work: impl AsyncFnOnce(Fault) -> Result<T>) -> Result<T> {
        if self.is_dead() {
            return Err(broken("the caller is dead"));
        }
        let step = Step { number: self.seen.steps.fetch_add(1, SeqCst), call, key: key.clone() };
        let (fault, then) = match self.seen.rule.lock().as_mut() {
            Some(rule) => rule(&step),
            None => (Fault::None, Then::GoOn),
        };
        assert!(fault.strikes(call), "{fault:?} cannot strike {step:?}");
        match then {
            Then::Stall(meanwhile) if fault == Fault::Slow => {
                meanwhile.await;
                work(fault).await
            }
            Then::Stall(meanwhile) => {
                let answer = work(fault).await;
                meanwhile.await;
                answer
            }
            Then::GoOn => work(fault).await,
            Then::Crash => {
                if fault != Fault::Slow {
                    let _ = work(fault).await;
                }
                self.seen.is_dead.store(true, SeqCst);
                Err(broken("the caller has crashed"))
            }
        }
    }

    /// Carries out a call that changes something.
    async fn change(&self, call: Call, change: Change) -> Result<object_store::PutResult> {
        let key = change.key().clone();
        let world = self.world();
        self.step(call, &key, async |fault| match fault {
            Fault::None | Fault::Slow | Fault::Stale(_) => world.apply(change, 0).await,
            Fault::Skewed(by_ms) => world.apply(change, by_ms).await,
            Fault::Refused => Err(broken("503")),
            Fault::Lost => world.apply(change, 0).await.and(Err(broken("no answer"))),
            Fault::Late => {
                world.defer(change);
                Err(broken("no answer"))
            }
            Fault::Conflict => Err(conflict(&key)),
            Fault::ConflictAfter => world.apply(change, 0).await.and(Err(conflict(&key))),
            Fault::Precondition => Err(precondition(&key)),
            Fault::PreconditionAfter => world.apply(change, 0).await.and(Err(precondition(&key))),
            Fault::Denied => Err(denied(&key)),
            Fault::Torn => world.apply(change.halved(), 0).await.and(Err(broken("503"))),
            Fault::Halved => world.apply(change.halved(), 0).await,
        })
        .await
    }
}

/// What is answered to a call that only looks.
fn refusal(fault: Fault, key: &Key) -> Result<()> {
    match fault {
        Fault::Denied => Err(denied(key)),
        Fault::Refused => Err(broken("503")),
        _ => Ok(()),
    }
}

fn broken(what: &'static str) -> Error {
    Error::Generic { store: "faulty", source: what.into() }
}

fn conflict(key: &Key) -> Error {
    Error::AlreadyExists { path: key.to_string(), source: "409".into() }
}

fn precondition(key: &Key) -> Error {
    Error::Precondition { path: key.to_string(), source: "412".into() }
}

fn denied(key: &Key) -> Error {
    Error::PermissionDenied { path: key.to_string(), source: "403".into() }
}

impl std::fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FaultyStore")
    }
}

impl std::fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FaultyStore")
    }
}

#[cfg(test)]
mod tests;
