//! `retention`: how long samples are kept, per tenant and per selector. What stands under a tenant's name replaces all of the
//! defaults.

use super::ConfigError;
use super::quantity::Duration;
use longhaul_model::{Retention, Retentions, SeriesRetention, TenantId};
use longhaul_promql::{ParseOptions, parse_selector};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is kept for less is hardly worth storing, and most likely a wrong unit.
const RAW_MIN_MS: i64 = 3_600_000;
/// Each selector costs every query a little.
const SELECTORS_MAX: usize = 100;

/// `retention`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Of tenants that are not named.
    pub defaults: TenantRetentionConfig,
    /// Of those that are.
    pub tenants: BTreeMap<String, TenantRetentionConfig>,
}

/// `retention.defaults`, `retention.tenants.<name>`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TenantRetentionConfig {
    /// How long samples are kept, of whatever series; none keeps them for ever.
    pub raw: Option<Duration>,
    /// How long samples of some series are kept. The shortest counts of all that are about a series.
    pub series: Vec<SeriesRetentionConfig>,
}

/// `retention.defaults.series`, `retention.tenants.<name>.series`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesRetentionConfig {
    /// A selector.
    #[serde(rename = "match")]
    pub selector: String,
    /// How long samples of the series that it selects are kept.
    pub raw: Duration,
}

impl RetentionConfig {
    /// How long the samples of all tenants are kept.
    pub(crate) fn retentions(&self) -> Result<Retentions, ConfigError> {
        let tenant = |(name, tenant): (&String, &TenantRetentionConfig)| {
            let id = TenantId::parse(name).map_err(|error| ConfigError(format!("retention.tenants: {error}")))?;
            Ok((id, tenant.retention(&format!("retention.tenants.{name}"))?))
        };
        let tenants = self.tenants.iter().map(tenant).collect::<Result<_, ConfigError>>()?;
        Ok(Retentions { defaults: self.defaults.retention("retention.defaults")?, tenants })
    }

    /// How long a tenant's samples are kept, whatever the series; empty for ever.
    pub(crate) fn raw_of(&self, tenant: &TenantId) -> String {
        let tenant = self.tenants.get(tenant.as_str()).unwrap_or(&self.defaults);
        tenant.raw.map_or(String::new(), |raw| raw.to_string())
    }
}

impl TenantRetentionConfig {
    fn retention(&self, key: &str) -> Result<Retention, ConfigError> {
        let mut all = self.raw.iter().chain(self.series.iter().map(|series| &series.raw));
        if all.any(|raw| raw.ms < RAW_MIN_MS) {
            return Err(ConfigError(format!("{key}: nothing can be kept for less than 1h")));
        }
        if self.series.len() > SELECTORS_MAX {
            return Err(ConfigError(format!("{key}.series: at most {SELECTORS_MAX} selectors")));
        }
        let series = |series: &SeriesRetentionConfig| {
            let matchers = parse_selector(&series.selector, &ParseOptions::default())
                .map_err(|error| ConfigError(format!("{key}.series: {:?}: {error}", series.selector)))?;
            Ok(SeriesRetention { matchers, raw_ms: series.raw.ms })
        };
        let series = self.series.iter().map(series).collect::<Result<_, ConfigError>>()?;
        Ok(Retention { raw_ms: self.raw.map(|raw| raw.ms), series })
    }
}
