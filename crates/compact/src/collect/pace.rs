//! How many objects a run may delete, and how fast.

use std::time::Duration;

/// What is left of a run's deletions.
#[derive(Debug)]
pub(super) struct Pace {
    left: u64,
    pause: Duration,
}

impl Pace {
    pub(super) fn new(objects_max: u64, per_second_max: u32) -> Self {
        Self { left: objects_max, pause: Duration::from_secs(1) / per_second_max.max(1) }
    }

    /// Waits until one more object may be deleted; false if none may in this run.
    pub(super) async fn take(&mut self) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        if !self.pause.is_zero() {
            tokio::time::sleep(self.pause).await;
        }
        true
    }

    pub(super) fn is_spent(&self) -> bool {
        self.left == 0
    }
}
