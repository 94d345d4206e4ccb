//! `otlp`: what becomes of OpenTelemetry's metrics. Keys and defaults are those of Prometheus' section of this name.

use longhaul_wire::otlp::{OtlpSettings, TranslationStrategy};
use serde::{Deserialize, Serialize};

/// `otlp`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OtlpConfig {
    /// How names are made of names.
    pub translation_strategy: TranslationStrategy,
    /// Resource attributes that become labels of every series of the resource.
    pub promote_resource_attributes: Vec<String>,
    /// All of them do, but for `ignore_resource_attributes`.
    pub promote_all_resource_attributes: bool,
    /// Those that do not, where all others do.
    pub ignore_resource_attributes: Vec<String>,
    /// Whether `target_info` keeps the attributes that are in `job` and `instance` already.
    pub keep_identifying_resource_attributes: bool,
    /// Histograms with listed bounds become native ones with custom buckets.
    pub convert_histograms_to_nhcb: bool,
    /// What is known of scopes becomes labels `otel_scope_...`.
    pub promote_scope_metadata: bool,
    /// A label that begins with one underscore gets `key` in front of it.
    pub label_name_underscore_sanitization: bool,
    /// Runs of characters that labels cannot have become runs of underscores, not one.
    pub label_name_preserve_multiple_underscores: bool,
}

impl Default for OtlpConfig {
    fn default() -> Self {
        let settings = OtlpSettings::default();
        Self {
            translation_strategy: settings.translation_strategy,
            promote_resource_attributes: settings.promote_resource_attributes,
            promote_all_resource_attributes: settings.promote_all_resource_attributes,
            ignore_resource_attributes: settings.ignore_resource_attributes,
            keep_identifying_resource_attributes: settings.keep_identifying_resource_attributes,
            convert_histograms_to_nhcb: settings.convert_histograms_to_nhcb,
            promote_scope_metadata: settings.promote_scope_metadata,
            label_name_underscore_sanitization: settings.label_name_underscore_sanitization,
            label_name_preserve_multiple_underscores: settings.label_name_preserve_multiple_underscores,
        }
    }
}

impl OtlpConfig {
    /// What the decoder is told.
    pub(crate) fn settings(&self) -> OtlpSettings {
        OtlpSettings {
            translation_strategy: self.translation_strategy,
            promote_resource_attributes: self.promote_resource_attributes.clone(),
            promote_all_resource_attributes: self.promote_all_resource_attributes,
            ignore_resource_attributes: self.ignore_resource_attributes.clone(),
            keep_identifying_resource_attributes: self.keep_identifying_resource_attributes,
            convert_histograms_to_nhcb: self.convert_histograms_to_nhcb,
            promote_scope_metadata: self.promote_scope_metadata,
            label_name_underscore_sanitization: self.label_name_underscore_sanitization,
            label_name_preserve_multiple_underscores: self.label_name_preserve_multiple_underscores,
            ..OtlpSettings::default()
        }
    }
}
