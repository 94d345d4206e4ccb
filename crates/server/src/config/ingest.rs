//! `memory`, `log` and `ship`: how recent samples are kept, and when they become parts and blocks.

use super::Config;
use super::quantity::{Duration, Size};
use longhaul_ingest::IngestSettings;
use longhaul_log::{LogSettings, SyncMode};
use serde::{Deserialize, Serialize};

/// `memory`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryConfig {
    /// Compressed recent samples of all tenants; above it heads are cut early.
    pub chunk_budget: Size,
    /// Labels and postings of all tenants; above it new series are refused.
    pub series_budget: Size,
    /// Requests that wait for their samples to be on disk.
    pub inflight_max: Size,
}

/// `log`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// `commit`: a write is on disk before it is acknowledged. A duration: up to that much of what was acknowledged is
    /// lost if the machine (not merely the process) goes down.
    pub sync: LogSync,
    /// A start replays at most about this much.
    pub replay_max: Size,
    /// Length of a segment.
    pub segment_size: Size,
}

/// `log.sync`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogSync {
    /// Before the answer.
    Commit,
    /// Every so often.
    Every(Duration),
}

/// `ship`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShipConfig {
    /// A two-hour range is cut this long after its end.
    pub cut_delay: Duration,
    /// Late data waits this long for more of it.
    pub late_cut_interval: Duration,
    /// Small ranges wait this long for others, so that requests to the store stay few.
    pub max_age: Duration,
    /// What counts as small.
    pub small: Size,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        let ingest = IngestSettings::default();
        Self {
            chunk_budget: Size::from_bytes(ingest.chunk_budget_bytes),
            series_budget: Size::from_bytes(ingest.series_budget_bytes),
            inflight_max: Size::from_bytes(ingest.inflight_bytes_max),
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            sync: LogSync::Commit,
            replay_max: Size::from_bytes(IngestSettings::default().replay_bytes_max),
            segment_size: Size::from_bytes(LogSettings::default().segment_size_bytes),
        }
    }
}

impl Default for ShipConfig {
    fn default() -> Self {
        let ingest = IngestSettings::default();
        Self {
            cut_delay: Duration::from_ms(ingest.cut_delay_ms),
            late_cut_interval: Duration::from_ms(ingest.late_cut_interval_ms),
            max_age: Duration::from_ms(ingest.ship_max_age_ms),
            small: Size::from_bytes(ingest.ship_small_bytes),
        }
    }
}

impl Config {
    /// What of this concerns ingesting.
    pub fn ingest_settings(&self, cores: usize) -> IngestSettings {
        IngestSettings {
            limits: self.write_limits(),
            cut_delay_ms: self.ship.cut_delay.ms,
            late_cut_interval_ms: self.ship.late_cut_interval.ms,
            chunk_budget_bytes: self.memory.chunk_budget.bytes,
            series_budget_bytes: self.memory.series_budget.bytes,
            replay_bytes_max: self.log.replay_max.bytes,
            ship_small_bytes: self.ship.small.bytes,
            ship_max_age_ms: self.ship.max_age.ms,
            inflight_bytes_max: self.memory.inflight_max.bytes,
            lanes: cores,
            ..IngestSettings::default()
        }
    }

    /// What of this concerns the log.
    pub fn log_settings(&self) -> LogSettings {
        let sync = match self.log.sync {
            LogSync::Commit => SyncMode::Commit,
            LogSync::Every(interval) => SyncMode::Interval(interval.ms as u64),
        };
        LogSettings { segment_size_bytes: self.log.segment_size.bytes, sync, ..LogSettings::default() }
    }
}

impl Serialize for LogSync {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Commit => serializer.serialize_str("commit"),
            Self::Every(interval) => interval.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for LogSync {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "commit" => Ok(Self::Commit),
            _ => match Duration::parse(&text) {
                Ok(interval) if interval.ms > 0 => Ok(Self::Every(interval)),
                _ => Err(serde::de::Error::custom(format!("{text:?}: write `commit` or an interval such as 100ms"))),
            },
        }
    }
}
