//! What an operator can set about garbage; every number has a unit and a reason.

const HOUR_MS: i64 = 3_600_000;

/// When something is garbage, and how fast it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectSettings {
    /// How long a retired block stays, ms: longer than any query runs, and than any reader goes without a new manifest.
    pub retired_delay_ms: i64,
    /// How long nothing may have been written to a block that is in no manifest, ms: longer than any upload takes.
    pub orphan_age_ms: i64,
    /// How long an old version of a manifest stays, ms: for people who look for what happened.
    pub history_ms: i64,
    /// Deletions of objects in one run: whatever goes wrong, goes slowly.
    pub objects_per_run_max: u64,
    /// Deletions of objects in a second: others want the store, too.
    pub objects_per_second_max: u32,
    /// How far our clock and the store's may be apart, ms.
    pub clock_skew_max_ms: i64,
    /// How long the background loop rests between two runs, ms: each is a few small requests a tenant, and two LISTs if it
    /// may have garbage.
    pub interval_ms: i64,
    /// How often it LISTs what lies there of a tenant of whom nothing speaks for garbage, ms.
    pub look_interval_ms: i64,
}

impl Default for CollectSettings {
    fn default() -> Self {
        Self {
            retired_delay_ms: 48 * HOUR_MS,
            orphan_age_ms: 72 * HOUR_MS,
            history_ms: 7 * 24 * HOUR_MS,
            objects_per_run_max: 20_000,
            objects_per_second_max: 100,
            clock_skew_max_ms: HOUR_MS / 6,
            interval_ms: HOUR_MS,
            look_interval_ms: 24 * HOUR_MS,
        }
    }
}
