//! `compactor` and `scrubber`: what is done to the blocks of the bucket in the background.

use super::quantity::{Duration, Size};
use super::{Config, ConfigError};
use longhaul_compact::{CollectSettings, CompactSettings, ScrubSettings};
use serde::{Deserialize, Serialize};

const DAY_MS: i64 = 86_400_000;

/// Shortest that merged blocks may stay, ms: twice as long as a server goes without a look at an idle tenant's manifest.
const RETIRED_DELAY_MIN_MS: i64 = DAY_MS / 2;

/// `compactor`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CompactorConfig {
    /// Whether the server compacts and collects garbage in the background. One of several servers on a bucket is enough; more do no harm.
    pub enabled: bool,
    /// How long it rests between two looks at the bucket: two small requests a tenant each.
    pub interval: Duration,
    /// Jobs that run at once: each takes a core, and disk for its output.
    pub jobs_at_once: usize,
    /// A range is left alone until this long after its end.
    pub settle: Duration,
    /// Late data waits this long to be merged into a large block, unless it is a twentieth of it.
    pub late_wait: Duration,
    /// Days are merged into fortnights as long as these stay below this size.
    pub fortnight_max: Size,
    /// Blocks that are larger together are not merged: the output needs as much local disk.
    pub job_max: Size,
    /// Chunks that a job reads ahead.
    pub memory: Size,
    /// What was deleted is gone from the bucket's live blocks after this long.
    pub delete_deadline: Duration,
    /// A block that cannot be read and holds what was deleted is dropped as a whole this long after the deadline.
    pub delete_unreadable: Duration,
    /// How long the objects of a block stay after others took its place: queries and other servers still read them.
    pub retired_delay: Duration,
    /// How long an upload that is in no manifest stays after the last write to it.
    pub orphan_age: Duration,
    /// How long old versions of manifests stay.
    pub history: Duration,
    /// How long it rests between two looks for garbage.
    pub collect_interval: Duration,
    /// Objects that one look deletes at most.
    pub deletes_max: u64,
    /// Objects that are deleted in a second.
    pub deletes_per_second: u32,
    /// Whether to write `bucket-index.json.gz` and `markers/` after each change, for readers of Mimir and Cortex.
    pub bucket_index: bool,
    /// How often to write it although nothing has changed: they refuse an index that is an hour old.
    pub bucket_index_refresh: Option<Duration>,
}

/// `scrubber`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScrubberConfig {
    /// Whether the server reads every live block now and then. One of several servers on a bucket is enough.
    pub enabled: bool,
    /// Every block is read once in this time.
    pub period: Duration,
    /// No faster than this in a second.
    pub rate: Size,
    /// How long it rests between two looks at the bucket: a LIST, and two small requests a tenant.
    pub interval: Duration,
}

impl Default for CompactorConfig {
    fn default() -> Self {
        let settings = CompactSettings::default();
        let garbage = CollectSettings::default();
        Self {
            enabled: true,
            interval: Duration::from_ms(settings.interval_ms),
            jobs_at_once: settings.jobs_at_once,
            settle: Duration::from_ms(settings.settle_ms),
            late_wait: Duration::from_ms(settings.late_wait_ms),
            fortnight_max: Size::from_bytes(settings.long_bytes_max),
            job_max: Size::from_bytes(settings.job_bytes_max),
            memory: Size::from_bytes(settings.memory_bytes),
            delete_deadline: Duration::from_ms(settings.delete_deadline_ms),
            delete_unreadable: Duration::from_ms(settings.delete_unreadable_ms),
            retired_delay: Duration::from_ms(garbage.retired_delay_ms),
            orphan_age: Duration::from_ms(garbage.orphan_age_ms),
            history: Duration::from_ms(garbage.history_ms),
            collect_interval: Duration::from_ms(garbage.interval_ms),
            deletes_max: garbage.objects_per_run_max,
            deletes_per_second: garbage.objects_per_second_max,
            bucket_index: true,
            bucket_index_refresh: None,
        }
    }
}

impl Default for ScrubberConfig {
    fn default() -> Self {
        let settings = ScrubSettings::default();
        Self {
            enabled: true,
            period: Duration::from_ms(settings.period_ms),
            rate: Size::from_bytes(settings.bytes_per_second),
            interval: Duration::from_ms(settings.interval_ms),
        }
    }
}

impl Config {
    /// What of this concerns compaction. The error is what [`Config::check`] finds as well.
    pub(crate) fn compact_settings(&self) -> Result<CompactSettings, ConfigError> {
        let settings = CompactSettings::default();
        // What is small waits for `ship.max_age` before it is shipped.
        let wait_max_ms = self.ship.max_age.ms.saturating_add(self.compactor.settle.ms).max(settings.wait_max_ms);
        Ok(CompactSettings {
            retentions: self.retention.retentions()?,
            interval_ms: self.compactor.interval.ms,
            jobs_at_once: self.compactor.jobs_at_once,
            settle_ms: self.compactor.settle.ms,
            wait_max_ms,
            late_wait_ms: self.compactor.late_wait.ms,
            long_bytes_max: self.compactor.fortnight_max.bytes,
            job_bytes_max: self.compactor.job_max.bytes,
            memory_bytes: self.compactor.memory.bytes,
            delete_deadline_ms: self.compactor.delete_deadline.ms,
            delete_unreadable_ms: self.compactor.delete_unreadable.ms,
            bucket_index: self.compactor.bucket_index,
            bucket_index_refresh_ms: self.compactor.bucket_index_refresh.map(|refresh| refresh.ms),
            ..settings
        })
    }

    /// What of this concerns garbage.
    pub fn collect_settings(&self) -> CollectSettings {
        CollectSettings {
            retired_delay_ms: self.compactor.retired_delay.ms,
            orphan_age_ms: self.compactor.orphan_age.ms,
            history_ms: self.compactor.history.ms,
            interval_ms: self.compactor.collect_interval.ms,
            objects_per_run_max: self.compactor.deletes_max,
            objects_per_second_max: self.compactor.deletes_per_second,
            ..CollectSettings::default()
        }
    }

    /// What of this concerns the scrubber.
    pub fn scrub_settings(&self) -> ScrubSettings {
        let scrubber = &self.scrubber;
        ScrubSettings {
            period_ms: scrubber.period.ms,
            bytes_per_second: scrubber.rate.bytes,
            interval_ms: scrubber.interval.ms,
        }
    }

    /// Whether the keys of these two sections go together, and with `query.timeout`.
    pub(super) fn check_background(&self) -> Result<(), ConfigError> {
        if self.compactor.interval.ms < 1000 || self.compactor.jobs_at_once == 0 {
            return Err(ConfigError("compactor.interval must be 1s or more, compactor.jobs_at_once 1 or more".into()));
        }
        let scrubber = &self.scrubber;
        if scrubber.period.ms < 3_600_000 || scrubber.interval.ms < 1000 || scrubber.rate.bytes < 1 << 10 {
            let least = "scrubber.period must be 1h or more, scrubber.interval 1s or more, scrubber.rate 1KiB or more";
            return Err(ConfigError(least.into()));
        }
        self.check_garbage()
    }

    /// What is deleted too early is gone for good.
    fn check_garbage(&self) -> Result<(), ConfigError> {
        let compactor = &self.compactor;
        // A server looks at the manifest of a tenant that nobody reads every six hours, and pins it for a whole query.
        if compactor.retired_delay.ms < RETIRED_DELAY_MIN_MS.saturating_add(self.query.timeout.ms) {
            return Err(ConfigError("compactor.retired_delay must be 12h or more, and query.timeout on top".into()));
        }
        if compactor.orphan_age.ms < DAY_MS || compactor.history.ms < DAY_MS {
            return Err(ConfigError("compactor.orphan_age and compactor.history must be 1d or more".into()));
        }
        // Half of the deadline is for merges to come by, the other half for a look or two of the compactor.
        if compactor.delete_deadline.ms < compactor.interval.ms.saturating_mul(4)
            || compactor.delete_unreadable.ms < DAY_MS
        {
            return Err(ConfigError(
                "compactor.delete_deadline must be four times compactor.interval or more, and \
                 compactor.delete_unreadable 1d or more"
                    .into(),
            ));
        }
        if compactor.collect_interval.ms < 1000 || compactor.deletes_max == 0 || compactor.deletes_per_second == 0 {
            return Err(ConfigError(
                "compactor.collect_interval must be 1s or more, compactor.deletes_max and deletes_per_second 1 or more"
                    .into(),
            ));
        }
        Ok(())
    }
}
