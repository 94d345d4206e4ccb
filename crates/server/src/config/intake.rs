//! `intake`: what tenants want of what is sent to them. What stands under a tenant's name replaces all of the defaults.

use super::ConfigError;
use super::quantity::Duration;
use longhaul_ingest::{ElectionSettings, RuleConfig, Screen, ScreenSettings};
use longhaul_model::TenantId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `intake`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IntakeConfig {
    /// Of tenants that are not named.
    pub defaults: TenantIntakeConfig,
    /// Of those that are.
    pub tenants: BTreeMap<String, TenantIntakeConfig>,
}

/// `intake.defaults`, `intake.tenants.<name>`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TenantIntakeConfig {
    /// Rules as in Prometheus' scrape configuration.
    pub metric_relabel_configs: Vec<RuleConfig>,
    /// Labels that no series keeps.
    pub drop_labels: Vec<String>,
    /// Of the replicas of a sender one is elected and the others are dropped, as Mimir's tracker does it.
    pub ha_elect: bool,
    /// The label that names what the replicas have in common.
    pub ha_cluster_label: String,
    /// The label that tells them apart.
    pub ha_replica_label: String,
    /// How long the elected one may be silent.
    pub ha_failover_timeout: Duration,
    /// Clusters of a tenant.
    pub ha_clusters_max: usize,
    /// Whether a zero is stored at the start timestamps of counters and histograms.
    pub zeros_at_start: bool,
    /// Whether OpenTelemetry's deltas are added up, and not refused.
    pub otlp_deltas: bool,
}

impl Default for TenantIntakeConfig {
    fn default() -> Self {
        Self {
            metric_relabel_configs: Vec::new(),
            drop_labels: Vec::new(),
            ha_elect: false,
            ha_cluster_label: "cluster".to_owned(),
            ha_replica_label: "__replica__".to_owned(),
            ha_failover_timeout: Duration::from_ms(30_000),
            ha_clusters_max: 100,
            zeros_at_start: false,
            otlp_deltas: false,
        }
    }
}

impl IntakeConfig {
    /// What is applied to every write.
    pub(crate) fn screen(&self) -> Result<Screen, ConfigError> {
        let tenant = |(name, tenant): (&String, &TenantIntakeConfig)| {
            let name = TenantId::parse(name).map_err(|error| ConfigError(format!("intake.tenants: {error}")))?;
            Ok((name, tenant.settings()))
        };
        let tenants = self.tenants.iter().map(tenant).collect::<Result<Vec<_>, ConfigError>>()?;
        Screen::new(&self.defaults.settings(), tenants).map_err(|error| ConfigError(format!("intake: {error}")))
    }
}

impl TenantIntakeConfig {
    fn settings(&self) -> ScreenSettings {
        ScreenSettings {
            rules: self.metric_relabel_configs.clone(),
            drop_labels: self.drop_labels.clone(),
            zeros_at_start: self.zeros_at_start,
            otlp_deltas: self.otlp_deltas,
            election: self.ha_elect.then(|| ElectionSettings {
                cluster_label: self.ha_cluster_label.clone(),
                replica_label: self.ha_replica_label.clone(),
                failover_timeout_ms: self.ha_failover_timeout.ms,
                clusters_max: self.ha_clusters_max,
            }),
        }
    }
}
