//! The configuration: one YAML document, every key with a default, unknown keys refused.
//!
//! Each key stands in `deploy/longhaul.example.yaml`, which a test parses. Flags of the command line override keys.

mod compactor;
mod ingest;
pub mod intake;
mod limits;
mod listeners;
mod otlp;
pub mod quantity;
mod query;
mod retention;

pub use compactor::{CompactorConfig, ScrubberConfig};
pub use ingest::{LogConfig, MemoryConfig, ShipConfig};
pub use intake::IntakeConfig;
pub use limits::LimitsConfig;
pub use listeners::{AdminConfig, AuthConfig, AuthMode, HttpConfig};
pub use otlp::OtlpConfig;
use quantity::Duration;
pub use query::QueryConfig;
pub use retention::RetentionConfig;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

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
    /// How long samples are kept.
    pub retention: RetentionConfig,
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

/// `store`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// `file:///path`, `s3://bucket/prefix`, `gs://...`, `az://...`, `memory:`; none is `<data_dir>/bucket`. Credentials
    /// come from the environment variables that each provider's own tools use.
    pub url: Option<String>,
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
            retention: RetentionConfig::default(),
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
        self.check_background()?;
        self.intake.screen()?;
        self.retention.retentions()?;
        if self.memory.chunk_budget.bytes < 1 << 20 || self.memory.series_budget.bytes < 1 << 20 {
            return Err(ConfigError("memory.chunk_budget and memory.series_budget must be 1MiB or more".into()));
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
}

#[cfg(test)]
mod tests;
