//! The configuration: one YAML document, every key with a default, unknown keys refused.
//!
//! Each key stands in `deploy/longhaul.example.yaml`, which a test parses. Flags of the command line override keys.

mod intake;
mod otlp;
pub mod quantity;

pub use intake::IntakeConfig;
use longhaul_compact::{CollectSettings, CompactSettings, ScrubSettings};
use longhaul_ingest::{IngestSettings, WriteLimits};
use longhaul_log::{LogSettings, SyncMode};
pub use otlp::OtlpConfig;
use quantity::{Duration, Size};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

const DAY_MS: i64 = 86_400_000;
/// Shortest that merged blocks may stay, ms: twice as long as a server goes without a look at an idle tenant's manifest.
const RETIRED_DELAY_MIN_MS: i64 = DAY_MS / 2;

/// Everything that can be configured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where log, parts and, unless `store.url` says otherwise, the bucket lie.
    pub data_dir: PathBuf,
    /// The listener for senders and for queries.
    pub http: HttpConfig,
    /// The listener for operators: loopback, unless something in front of it checks who asks.
    pub admin: AdminConfig,
    /// The bucket.
    pub store: StoreConfig,
    /// Who is asking.
    pub auth: AuthConfig,
    /// What a write may contain.
    pub limits: LimitsConfig,
    /// What tenants want of what is sent to them.
    pub intake: IntakeConfig,
    /// What becomes of OpenTelemetry's metrics.
    pub otlp: OtlpConfig,
    /// Budgets of memory for recent samples.
    pub memory: MemoryConfig,
    /// The log.
    pub log: LogConfig,
    /// When recent samples become parts, and parts blocks.
    pub ship: ShipConfig,
    /// When blocks of the bucket become one block.
    pub compactor: CompactorConfig,
    /// How often blocks of the bucket are read to see whether they are whole.
    pub scrubber: ScrubberConfig,
    /// What a query may cost.
    pub query: QueryConfig,
    /// Our own metrics, scraped into ourselves.
    pub self_scrape: SelfScrapeConfig,
}

/// `http`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Address and port.
    pub listen: SocketAddr,
    /// Longest request body as it is sent.
    pub body_max: Size,
    /// Longest request body once it is decompressed; also the most that the labels of one of remote write 2.0 may take when they
    /// are written out.
    pub decoded_max: Size,
}

/// `admin`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// Address and port.
    pub listen: SocketAddr,
}

/// `store`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// `file:///path`, `s3://bucket/prefix`, `gs://...`, `az://...`, `memory:`; none is `<data_dir>/bucket`. Credentials
    /// come from the environment variables that each provider's own tools use.
    pub url: Option<String>,
}

/// `auth`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// How the tenant of a request is found.
    pub mode: AuthMode,
    /// Allows `mode: none` on an address that others can reach.
    pub insecure_bind: bool,
}

/// `auth.mode`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// One tenant, `anonymous`; whoever reaches the port may do everything.
    #[default]
    None,
    /// A trusted gateway sets `X-Scope-OrgID`.
    Header,
}

/// `limits`: per tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Series in memory; `unlimited` is the default, the instance's memory still bounds them.
    pub series_max: Limit,
    /// Exemplars in memory, about; more are refused until those there are have become part of a block.
    pub exemplars_max: usize,
    /// Metric families of which HELP, TYPE and UNIT are kept.
    pub metadata_max: usize,
    /// Buckets of a native histogram; one with more is made coarser.
    pub histogram_buckets_max: usize,
    /// Series of one request.
    pub series_per_request_max: u32,
    /// Samples of one request.
    pub samples_per_request_max: u32,
    /// Labels of a series.
    pub label_names_max: usize,
    /// Length of a label name.
    pub label_name_bytes_max: usize,
    /// Length of a label value.
    pub label_value_bytes_max: usize,
    /// Length of all names and values of a series.
    pub label_set_bytes_max: usize,
    /// How far ahead of now a sample may be.
    pub future_max: Duration,
    /// Older samples are refused; none keeps everything.
    pub retention: Option<Duration>,
    /// Refuses late samples of this age; none accepts any.
    pub out_of_order_max_age: Option<Duration>,
}

/// A number, or `unlimited`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// At most so many.
    AtMost(u64),
    /// As many as there are.
    Unlimited,
}

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

/// `query`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueryConfig {
    /// Longest time a query may take.
    pub timeout: Duration,
    /// How far back an instant selector looks.
    pub lookback: Duration,
    /// Threads that evaluate; 0: one a core.
    pub threads: usize,
    /// Queries that run at once; more wait.
    pub concurrent_max: usize,
    /// Series that a query may touch.
    pub series_max: u64,
    /// Samples that a query may decode.
    pub samples_max: u64,
    /// Memory that a query may hold.
    pub memory_max: Size,
    /// Opened blocks that are kept between queries.
    pub open_blocks_max: usize,
    /// Memory for decoded pages of the blocks' lookups, which are kept between queries.
    pub page_cache: Size,
}

/// `self_scrape`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SelfScrapeConfig {
    /// Whether to scrape.
    pub enabled: bool,
    /// How often.
    pub interval: Duration,
    /// Whose metrics they become.
    pub tenant: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./data"),
            http: HttpConfig::default(),
            admin: AdminConfig::default(),
            store: StoreConfig::default(),
            auth: AuthConfig::default(),
            limits: LimitsConfig::default(),
            intake: IntakeConfig::default(),
            otlp: OtlpConfig::default(),
            memory: MemoryConfig::default(),
            log: LogConfig::default(),
            ship: ShipConfig::default(),
            compactor: CompactorConfig::default(),
            scrubber: ScrubberConfig::default(),
            query: QueryConfig::default(),
            self_scrape: SelfScrapeConfig::default(),
        }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9009)),
            body_max: Size::from_bytes(16 << 20),
            decoded_max: Size::from_bytes(32 << 20),
        }
    }
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 9010)) }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        let write = WriteLimits::default();
        Self {
            series_max: Limit::Unlimited,
            exemplars_max: write.exemplars_max,
            metadata_max: write.metadata_max,
            histogram_buckets_max: write.histogram_buckets_max,
            series_per_request_max: 100_000,
            samples_per_request_max: 1_000_000,
            label_names_max: write.label_names_max,
            label_name_bytes_max: write.label_name_bytes_max,
            label_value_bytes_max: write.label_value_bytes_max,
            label_set_bytes_max: write.label_set_bytes_max,
            future_max: Duration::from_ms(write.future_max_ms),
            retention: None,
            out_of_order_max_age: None,
        }
    }
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

impl Default for QueryConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_ms(60_000),
            lookback: Duration::from_ms(300_000),
            threads: 0,
            concurrent_max: 10,
            series_max: 200_000,
            samples_max: 50_000_000,
            memory_max: Size::from_bytes(1 << 30),
            open_blocks_max: 1024,
            page_cache: Size::from_bytes(256 << 20),
        }
    }
}

impl Default for SelfScrapeConfig {
    fn default() -> Self {
        Self { enabled: true, interval: Duration::from_ms(15_000), tenant: "anonymous".into() }
    }
}

/// Why a configuration cannot be used; the text names place and key.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl Config {
    /// Reads a YAML file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError(format!("cannot read {}: {error}", path.display())))?;
        Self::parse(&text).map_err(|error| ConfigError(format!("{}: {error}", path.display())))
    }

    /// Reads YAML; an empty document is the default configuration.
    pub fn parse(yaml: &str) -> Result<Self, ConfigError> {
        let has_content = yaml.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
        if !has_content {
            return Ok(Self::default());
        }
        serde_saphyr::from_str(yaml).map_err(|error| ConfigError(error.to_string()))
    }

    /// Checks what no single key can: whether the keys go together.
    pub fn check(&self) -> Result<(), ConfigError> {
        let open = !self.http.listen.ip().is_loopback();
        if self.auth.mode == AuthMode::None && open && !self.auth.insecure_bind {
            return Err(ConfigError(format!(
                "http.listen is {}, which others can reach, and auth.mode is none, which lets everybody in; \
                 set auth.mode: header behind a gateway, listen on 127.0.0.1, or set auth.insecure_bind \
                 (--insecure-bind) if the network itself is trusted",
                self.http.listen
            )));
        }
        if self.http.listen == self.admin.listen && self.http.listen.port() != 0 {
            return Err(ConfigError("http.listen and admin.listen must differ".into()));
        }
        longhaul_model::TenantId::parse(&self.self_scrape.tenant)
            .map_err(|error| ConfigError(format!("self_scrape.tenant: {error}")))?;
        if self.self_scrape.interval.ms < 1000 {
            return Err(ConfigError("self_scrape.interval must be 1s or more".into()));
        }
        if self.compactor.interval.ms < 1000 || self.compactor.jobs_at_once == 0 {
            return Err(ConfigError("compactor.interval must be 1s or more, compactor.jobs_at_once 1 or more".into()));
        }
        self.check_garbage()?;
        self.intake.screen()?;
        let scrubber = &self.scrubber;
        if scrubber.period.ms < 3_600_000 || scrubber.interval.ms < 1000 || scrubber.rate.bytes < 1 << 10 {
            let least = "scrubber.period must be 1h or more, scrubber.interval 1s or more, scrubber.rate 1KiB or more";
            return Err(ConfigError(least.into()));
        }
        if self.memory.chunk_budget.bytes < 1 << 20 || self.memory.series_budget.bytes < 1 << 20 {
            return Err(ConfigError("memory.chunk_budget and memory.series_budget must be 1MiB or more".into()));
        }
        Ok(())
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
        if compactor.collect_interval.ms < 1000 || compactor.deletes_max == 0 || compactor.deletes_per_second == 0 {
            return Err(ConfigError(
                "compactor.collect_interval must be 1s or more, compactor.deletes_max and deletes_per_second 1 or more"
                    .into(),
            ));
        }
        Ok(())
    }

    /// What of this bounds a tenant, as YAML: it may be shown to any.
    pub fn tenant_yaml(&self) -> Result<String, ConfigError> {
        #[derive(Serialize)]
        struct Tenant<'a> {
            limits: &'a LimitsConfig,
            query: &'a QueryConfig,
        }
        let tenant = Tenant { limits: &self.limits, query: &self.query };
        serde_saphyr::to_string(&tenant).map_err(|error| ConfigError(error.to_string()))
    }

    /// The bucket's URL.
    pub fn store_url(&self) -> Result<String, ConfigError> {
        if let Some(url) = &self.store.url {
            return Ok(url.clone());
        }
        let dir = std::path::absolute(self.data_dir.join("bucket"))
            .map_err(|error| ConfigError(format!("data_dir: {error}")))?;
        url::Url::from_directory_path(&dir)
            .map(|url| url.to_string())
            .map_err(|()| ConfigError(format!("data_dir {} cannot be written as a URL", dir.display())))
    }

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

    /// What of this concerns compaction.
    pub fn compact_settings(&self) -> CompactSettings {
        let settings = CompactSettings::default();
        // What is small waits for `ship.max_age` before it is shipped.
        let wait_max_ms = self.ship.max_age.ms.saturating_add(self.compactor.settle.ms).max(settings.wait_max_ms);
        CompactSettings {
            interval_ms: self.compactor.interval.ms,
            jobs_at_once: self.compactor.jobs_at_once,
            settle_ms: self.compactor.settle.ms,
            wait_max_ms,
            late_wait_ms: self.compactor.late_wait.ms,
            long_bytes_max: self.compactor.fortnight_max.bytes,
            job_bytes_max: self.compactor.job_max.bytes,
            memory_bytes: self.compactor.memory.bytes,
            bucket_index: self.compactor.bucket_index,
            bucket_index_refresh_ms: self.compactor.bucket_index_refresh.map(|refresh| refresh.ms),
            ..settings
        }
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

    /// What of this bounds a write.
    pub fn write_limits(&self) -> WriteLimits {
        let limits = &self.limits;
        WriteLimits {
            series_max: match limits.series_max {
                Limit::AtMost(count) => Some(count),
                Limit::Unlimited => None,
            },
            exemplars_max: limits.exemplars_max,
            metadata_max: limits.metadata_max,
            histogram_buckets_max: limits.histogram_buckets_max,
            label_names_max: limits.label_names_max,
            label_name_bytes_max: limits.label_name_bytes_max,
            label_value_bytes_max: limits.label_value_bytes_max,
            label_set_bytes_max: limits.label_set_bytes_max,
            future_max_ms: limits.future_max.ms,
            retention_ms: limits.retention.map(|retention| retention.ms),
            out_of_order_max_age_ms: limits.out_of_order_max_age.map(|age| age.ms),
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

impl Serialize for Limit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::AtMost(count) => serializer.serialize_u64(*count),
            Self::Unlimited => serializer.serialize_str("unlimited"),
        }
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "unlimited" {
            return Ok(Self::Unlimited);
        }
        match text.parse() {
            Ok(count) if count > 0 => Ok(Self::AtMost(count)),
            _ => Err(serde::de::Error::custom(format!("{text:?} is no limit; write a number above 0 or `unlimited`"))),
        }
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

#[cfg(test)]
mod tests;
