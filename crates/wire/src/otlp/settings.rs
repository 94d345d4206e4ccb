//! What an operator can choose about OpenTelemetry's metrics; names and defaults are those of Prometheus' `otlp` section.

/// How metrics and labels are named, and what becomes of resources, scopes and histograms.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpSettings {
    /// How names are made of names.
    pub translation_strategy: TranslationStrategy,
    /// What all metrics' names begin with; empty: nothing.
    pub namespace: String,
    /// Resource attributes that become labels of every series of the resource.
    pub promote_resource_attributes: Vec<String>,
    /// All of them do, but for [`Self::ignore_resource_attributes`].
    pub promote_all_resource_attributes: bool,
    /// Those that do not, where all others do.
    pub ignore_resource_attributes: Vec<String>,
    /// Whether `target_info` keeps the attributes that are in `job` and `instance` already.
    pub keep_identifying_resource_attributes: bool,
    /// Histograms with listed bounds become native ones with custom buckets, not series of their own a bucket.
    pub convert_histograms_to_nhcb: bool,
    /// Name, version, schema and attributes of scopes become labels `otel_scope_...`.
    pub promote_scope_metadata: bool,
    /// A label that begins with one underscore gets `key` in front of it.
    pub label_name_underscore_sanitization: bool,
    /// Runs of characters that labels cannot have become runs of underscores, not one.
    pub label_name_preserve_multiple_underscores: bool,
    /// How far apart `target_info`'s samples are, ms: half of how far back queries look.
    pub target_info_interval_ms: i64,
}

impl Default for OtlpSettings {
    fn default() -> Self {
        Self {
            translation_strategy: TranslationStrategy::default(),
            namespace: String::new(),
            promote_resource_attributes: Vec::new(),
            promote_all_resource_attributes: false,
            ignore_resource_attributes: Vec::new(),
            keep_identifying_resource_attributes: false,
            convert_histograms_to_nhcb: false,
            promote_scope_metadata: false,
            label_name_underscore_sanitization: true,
            label_name_preserve_multiple_underscores: true,
            target_info_interval_ms: 150_000,
        }
    }
}

/// How names are made of names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum TranslationStrategy {
    /// Characters that Prometheus did not know before version 3 become underscores; unit and type are appended.
    #[default]
    UnderscoreEscapingWithSuffixes,
    /// The same, and nothing is appended.
    UnderscoreEscapingWithoutSuffixes,
    /// Names stay, unit and type are appended.
    #[serde(rename = "NoUTF8EscapingWithSuffixes")]
    NoUtf8EscapingWithSuffixes,
    /// Names stay.
    NoTranslation,
}

impl TranslationStrategy {
    /// Whether characters become underscores.
    pub(super) fn escapes(self) -> bool {
        matches!(self, Self::UnderscoreEscapingWithSuffixes | Self::UnderscoreEscapingWithoutSuffixes)
    }
}
