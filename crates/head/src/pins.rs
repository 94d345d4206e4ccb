//! Who is reading, and what has been released but must stay until they are done.
//!
//! A reader pins the head, then looks which parts there are, then reads. A cut that is released in between has no part
//! that this reader knows of, so its data stays until the last reader has ended that began before the release. A reader
//! that begins later does not see the data any more: the part has it (and may lack what was deleted since).

use crate::Series;
use crate::cut::CutNumber;
use crate::sealed::Hidden;
use parking_lot::Mutex;
use std::sync::Arc;

/// The series that a cut has taken chunks of.
pub(crate) type Taken = Arc<[Arc<Series>]>;

#[derive(Debug, Default)]
pub(crate) struct Pins(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Counts pins and releases in their order.
    next: u64,
    /// The pins that live, rising.
    pins: Vec<u64>,
    released: Vec<Released>,
    dropped: Vec<(CutNumber, Taken)>,
}

#[derive(Debug)]
struct Released {
    cut: CutNumber,
    at: u64,
    bytes: usize,
    taken: Taken,
    /// The cut's own view may still be read.
    view_is_held: bool,
    /// Somebody is freeing the data just now.
    being_freed: bool,
}

/// A cut whose data nobody needs any more; to be freed and then [`Pins::forget`]ten.
#[derive(Debug)]
pub(crate) struct Remains {
    pub(crate) cut: CutNumber,
    pub(crate) taken: Taken,
}

impl Pins {
    /// Begins to read: the pin's number, and what it must not see.
    pub(crate) fn pin(&self) -> (u64, Hidden) {
        let mut state = self.0.lock();
        let pin = state.tick();
        state.pins.push(pin);
        (pin, state.hidden())
    }

    /// Ends reading.
    #[must_use = "what remains is to be freed"]
    pub(crate) fn unpin(&self, pin: u64) -> Vec<Remains> {
        let mut state = self.0.lock();
        if let Ok(at) = state.pins.binary_search(&pin) {
            state.pins.remove(at);
        }
        state.remains()
    }

    /// What a reader that begins now must not see.
    pub(crate) fn hidden(&self) -> Hidden {
        self.0.lock().hidden()
    }

    /// Releases a cut whose view is still held.
    pub(crate) fn release(&self, cut: CutNumber, bytes: usize, taken: Taken) {
        let mut state = self.0.lock();
        let at = state.tick();
        state.released.push(Released { cut, at, bytes, taken, view_is_held: true, being_freed: false });
    }

    /// The view of a released cut is gone.
    #[must_use = "what remains is to be freed"]
    pub(crate) fn let_go(&self, cut: CutNumber) -> Vec<Remains> {
        let mut state = self.0.lock();
        state.released.iter_mut().filter(|it| it.cut == cut).for_each(|it| it.view_is_held = false);
        state.remains()
    }

    /// The data of a released cut has been freed.
    pub(crate) fn forget(&self, cut: CutNumber) {
        self.0.lock().released.retain(|it| it.cut != cut);
    }

    /// A view was dropped without a decision.
    pub(crate) fn dropped(&self, cut: CutNumber, taken: Taken) {
        self.0.lock().dropped.push((cut, taken));
    }

    /// The views that were dropped without a decision since the last call.
    pub(crate) fn take_dropped(&self) -> Vec<(CutNumber, Taken)> {
        std::mem::take(&mut self.0.lock().dropped)
    }

    /// Bytes of released data that is still in memory.
    pub(crate) fn released_bytes(&self) -> usize {
        self.0.lock().released.iter().map(|it| it.bytes).sum()
    }
}

impl State {
    fn tick(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn hidden(&self) -> Hidden {
        self.released.iter().map(|it| it.cut).collect()
    }

    fn remains(&mut self) -> Vec<Remains> {
        let oldest_pin = self.pins.first().copied().unwrap_or(u64::MAX);
        let over = |it: &&mut Released| !it.view_is_held && !it.being_freed && it.at < oldest_pin;
        let free = |it: &mut Released| {
            it.being_freed = true;
            Remains { cut: it.cut, taken: it.taken.clone() }
        };
        self.released.iter_mut().filter(over).map(free).collect()
    }
}
