//! Whether the time can be relied on: what is deleted for its age is gone for good.

/// Three clocks, read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// The store's, ms since the epoch; perhaps cut to seconds.
    pub(super) store_ms: i64,
    /// Ours, ms since the epoch.
    pub(super) wall_ms: i64,
    /// One of ours that never goes back, ms since whenever.
    pub(super) monotonic_ms: i64,
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClockJump {
    /// One of the two is wrong.
    #[error("the store's clock is at {store_ms} ms, ours at {wall_ms} ms")]
    Apart {
        /// The store's, ms since the epoch.
        store_ms: i64,
        /// Ours, ms since the epoch.
        wall_ms: i64,
    },
    /// The store's clock stands before an earlier reading.
    #[error("the store's clock went back by {0} ms")]
    WentBack(i64),
    /// Our clock was set, or the machine slept. The next run begins from there.
    #[error("our clock moved by {moved_ms} ms in {passed_ms} ms")]
    Moved {
        /// How far it got, ms.
        moved_ms: i64,
        /// How much time passed, ms.
        passed_ms: i64,
    },
}

/// I-GC-5: the time that neither clock is behind, if nothing speaks against them. They may disagree by `skew_max_ms`.
pub(super) fn trusted_now_ms(before: Option<Reading>, now: Reading, skew_max_ms: i64) -> Result<i64, ClockJump> {
    let differ = |a: i64, b: i64| a.abs_diff(b) > skew_max_ms.unsigned_abs();
    if differ(now.store_ms, now.wall_ms) {
        return Err(ClockJump::Apart { store_ms: now.store_ms, wall_ms: now.wall_ms });
    }
    if let Some(before) = before {
        let back_ms = before.store_ms.saturating_sub(now.store_ms);
        if back_ms > skew_max_ms {
            return Err(ClockJump::WentBack(back_ms));
        }
        let moved_ms = now.wall_ms.saturating_sub(before.wall_ms);
        let passed_ms = now.monotonic_ms.saturating_sub(before.monotonic_ms);
        if differ(moved_ms, passed_ms) {
            return Err(ClockJump::Moved { moved_ms, passed_ms });
        }
    }
    Ok(now.store_ms.min(now.wall_ms))
}

#[cfg(test)]
mod tests;
