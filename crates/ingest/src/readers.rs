//! Who is reading a tenant: what a reader pinned stays until it has gone.
//!
//! A reader enters, then takes the head, then the parts, then the manifest. Whoever moves data along that way (head to
//! part, part to block) publishes it at its new place first, then waits for the readers that entered before, and only
//! then takes it away from its old place (**I-READ-1**: so nobody sees it at neither).

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Notify;

/// Counts readers by the epoch in which they entered.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    state: Mutex<State>,
    left: Notify,
}

#[derive(Debug, Default)]
struct State {
    epoch: u64,
    active: BTreeMap<u64, usize>,
}

/// Keeps what a reader pinned; dropping it lets go.
#[derive(Debug)]
pub struct ReaderGuard {
    readers: Arc<Readers>,
    epoch: u64,
}

impl Readers {
    /// Enters the current epoch.
    pub(crate) fn enter(self: &Arc<Self>) -> ReaderGuard {
        let mut state = self.state.lock();
        let epoch = state.epoch;
        *state.active.entry(epoch).or_default() += 1;
        ReaderGuard { readers: self.clone(), epoch }
    }

    /// Resolves once every reader that entered before this call has left.
    pub(crate) async fn quiesce(&self) {
        let before = {
            let mut state = self.state.lock();
            state.epoch += 1;
            state.epoch
        };
        loop {
            let left = self.left.notified();
            tokio::pin!(left);
            left.as_mut().enable(); // registered before the check, so that no leaving is missed
            if self.state.lock().active.range(..before).next().is_none() {
                return;
            }
            left.await;
        }
    }
}

impl Drop for ReaderGuard {
    fn drop(&mut self) {
        let mut state = self.readers.state.lock();
        if let Some(count) = state.active.get_mut(&self.epoch) {
            *count -= 1;
            if *count == 0 {
                state.active.remove(&self.epoch);
            }
        }
        drop(state);
        self.readers.left.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    /// I-READ-1
    #[tokio::test]
    async fn quiesce_waits_for_earlier_readers_only() {
        let readers = Arc::new(Readers::default());
        readers.quiesce().await;
        let early = readers.enter();
        let mut waiting = Box::pin(readers.quiesce());
        assert!(waiting.as_mut().now_or_never().is_none());
        let late = readers.enter();
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(early);
        waiting.await;
        drop(late);
        readers.quiesce().await;
    }
}
