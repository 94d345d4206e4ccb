//! `limits`: what a write may contain, per tenant.

use super::Config;
use super::quantity::{Duration, Size};
use longhaul_ingest::WriteLimits;
use serde::{Deserialize, Serialize};

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
    /// Memory for the totals of OpenTelemetry's deltas.
    pub otlp_deltas_max: Size,
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

impl Default for LimitsConfig {
    fn default() -> Self {
        let write = WriteLimits::default();
        Self {
            series_max: Limit::Unlimited,
            exemplars_max: write.exemplars_max,
            metadata_max: write.metadata_max,
            otlp_deltas_max: Size::from_bytes(32 << 20),
            histogram_buckets_max: write.histogram_buckets_max,
            series_per_request_max: 100_000,
            samples_per_request_max: 1_000_000,
            label_names_max: write.label_names_max,
            label_name_bytes_max: write.label_name_bytes_max,
            label_value_bytes_max: write.label_value_bytes_max,
            label_set_bytes_max: write.label_set_bytes_max,
            future_max: Duration::from_ms(write.future_max_ms),
            out_of_order_max_age: None,
        }
    }
}

impl Config {
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
            retention_ms: None, // a tenant's own (`retention`),
            out_of_order_max_age_ms: limits.out_of_order_max_age.map(|age| age.ms),
            zeros_at_start: false, // each tenant's own wish: `intake`
        }
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
