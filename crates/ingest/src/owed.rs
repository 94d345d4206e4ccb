//! What a tenant still owes the log: records of samples that are to be left out of a replay, and are not on disk yet.
//!
//! Whether a sample is refused may hang on what is in local parts, which leave. So no answer that builds on a refusal
//! is given before its record is durable (**I-VERDICT-1**): the refused request's own, and, while one is owed, that of
//! every later batch of the tenant. Nor is log released meanwhile: a replay has to meet what the sample was refused for.

use longhaul_log::Refusals;
use parking_lot::Mutex;

/// The records of one tenant.
#[derive(Debug, Default)]
pub(crate) struct Owed(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    in_flight: usize,
    failed: Vec<Refusals>,
}

impl Owed {
    /// A record is about to be appended.
    pub(crate) fn begin(&self) {
        self.0.lock().in_flight += 1;
    }

    /// A record is durable.
    pub(crate) fn done(&self) {
        self.0.lock().in_flight -= 1;
    }

    /// A record could not be made durable; it is to be appended again.
    pub(crate) fn failed(&self, refusals: Refusals) {
        let mut state = self.0.lock();
        state.in_flight -= 1;
        state.failed.push(refusals);
    }

    /// Adds a record that was found missing.
    pub(crate) fn missing(&self, refusals: Refusals) {
        self.0.lock().failed.push(refusals);
    }

    /// Takes what is to be appended again; each counts as begun.
    pub(crate) fn take_failed(&self) -> Vec<Refusals> {
        let mut state = self.0.lock();
        state.in_flight += state.failed.len();
        std::mem::take(&mut state.failed)
    }

    /// Forgets everything: the log that it was about is gone.
    pub(crate) fn forget(&self) {
        *self.0.lock() = State::default();
    }

    /// Whether something is owed.
    pub(crate) fn any(&self) -> bool {
        let state = self.0.lock();
        state.in_flight > 0 || !state.failed.is_empty()
    }

    /// Whether something is owed that nobody is writing just now.
    pub(crate) fn any_failed(&self) -> bool {
        !self.0.lock().failed.is_empty()
    }
}
