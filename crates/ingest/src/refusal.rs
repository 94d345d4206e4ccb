//! What was not stored and why: counted by cause, with the first offender of each, for the one message a sender gets.

use std::fmt::Write as _;

/// Most causes that one message lists.
const CAUSES_MAX: usize = 10;
/// Longest message, bytes.
const MESSAGE_BYTES_MAX: usize = 4096;
/// Longest description of an offending series, bytes.
const SERIES_BYTES_MAX: usize = 512;

/// Why a series or a sample was refused. The id is stable: alerts and runbooks refer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the text of each says it")]
pub enum Cause {
    MalformedLabels,
    SymbolReference,
    NoSamples,
    Temporality,
    DeltaLimit,
    Name,
    DataPoint,
    Line,
    MissingMetricName,
    EmptyLabelName,
    InvalidUtf8,
    DuplicateLabelName,
    TooManyLabels,
    LabelNameTooLong,
    LabelValueTooLong,
    LabelSetTooLarge,
    TooFarInFuture,
    TooOld,
    DuplicateTimestamp,
    SeriesLimit,
    TooManyClusters,
    InvalidHistogram,
    TooManyBuckets,
    ExemplarTime,
    ExemplarLabels,
    ExemplarLabelsTooLong,
    ExemplarLimit,
}

impl Cause {
    /// Mimir's suffix behind our prefix.
    pub fn id(self) -> &'static str {
        match self {
            Self::MalformedLabels => "err-longhaul-labels-malformed",
            Self::SymbolReference => "err-longhaul-symbol-reference",
            Self::NoSamples => "err-longhaul-series-without-samples",
            Self::Temporality => "err-longhaul-temporality-not-supported",
            Self::DeltaLimit => "err-longhaul-max-delta-bytes-per-tenant",
            Self::Name => "err-longhaul-name-invalid",
            Self::DataPoint => "err-longhaul-data-point-invalid",
            Self::Line => "err-longhaul-line-malformed",
            Self::MissingMetricName => "err-longhaul-missing-metric-name",
            Self::EmptyLabelName => "err-longhaul-label-invalid",
            Self::InvalidUtf8 => "err-longhaul-label-invalid-utf8",
            Self::DuplicateLabelName => "err-longhaul-duplicate-label-names",
            Self::TooManyLabels => "err-longhaul-max-label-names-per-series",
            Self::LabelNameTooLong => "err-longhaul-label-name-too-long",
            Self::LabelValueTooLong => "err-longhaul-label-value-too-long",
            Self::LabelSetTooLarge => "err-longhaul-label-set-too-large",
            Self::TooFarInFuture => "err-longhaul-too-far-in-future",
            Self::TooOld => "err-longhaul-sample-timestamp-too-old",
            Self::DuplicateTimestamp => "err-longhaul-sample-duplicate-timestamp",
            Self::SeriesLimit => "err-longhaul-max-series-per-tenant",
            Self::TooManyClusters => "err-longhaul-too-many-ha-clusters",
            Self::InvalidHistogram => "err-longhaul-invalid-native-histogram",
            Self::TooManyBuckets => "err-longhaul-max-native-histogram-buckets",
            Self::ExemplarTime => "err-longhaul-exemplar-timestamp-invalid",
            Self::ExemplarLabels => "err-longhaul-exemplar-labels-invalid",
            Self::ExemplarLabelsTooLong => "err-longhaul-exemplar-labels-too-long",
            Self::ExemplarLimit => "err-longhaul-max-exemplars-per-tenant",
        }
    }

    /// Whether it is an exemplar that was refused, and no sample.
    pub fn is_of_exemplars(self) -> bool {
        matches!(self, Self::ExemplarTime | Self::ExemplarLabels | Self::ExemplarLabelsTooLong | Self::ExemplarLimit)
    }

    fn text(self) -> &'static str {
        match self {
            Self::MalformedLabels => "the labels cannot be decoded",
            Self::SymbolReference => "the labels refer to symbols that the request does not have, or are not in pairs",
            Self::NoSamples => "the series has neither samples nor histograms nor exemplars",
            Self::Temporality => {
                "sums and histograms must be cumulative; deltas are stored for tenants with `intake`'s `otlp_deltas` only"
            }
            Self::DeltaLimit => {
                "the totals of the tenant's deltas take as much memory as `limits.otlp_deltas_max` allows"
            }
            Self::Name => "a metric or an attribute has a name of which none can be made here",
            Self::DataPoint => {
                "a data point has no value, or its buckets do not add up, or it is a delta that comes late"
            }
            Self::Line => "a line cannot be read",
            Self::MissingMetricName => "the series has no __name__",
            Self::EmptyLabelName => "the series has a label with an empty name",
            Self::InvalidUtf8 => "the series has a label that is not valid UTF-8",
            Self::DuplicateLabelName => "the series has the same label name twice",
            Self::TooManyLabels => "the series has more labels than `limits.label_names_max` allows",
            Self::LabelNameTooLong => "a label name is longer than `limits.label_name_bytes_max` allows",
            Self::LabelValueTooLong => "a label value is longer than `limits.label_value_bytes_max` allows",
            Self::LabelSetTooLarge => "the labels together are larger than `limits.label_set_bytes_max` allows",
            Self::TooFarInFuture => "the timestamp is further ahead of now than `limits.future_max` allows",
            Self::TooOld => "the timestamp is older than `retention` or `limits.out_of_order_max_age` allows",
            Self::TooManyClusters => {
                "the tenant's replicas name more clusters than `intake` allows it (`ha_clusters_max`)"
            }
            Self::DuplicateTimestamp => "the series has another value at this timestamp already",
            Self::SeriesLimit => {
                "the series is new and the tenant's or the instance's limit of series is reached; \
                                  samples of known series are still stored (`limits.series_max`, `memory.series_budget`)"
            }
            Self::InvalidHistogram => "the native histogram does not add up",
            Self::TooManyBuckets => {
                "the native histogram has more buckets than `limits.histogram_buckets_max` allows, and none coarser has less"
            }
            Self::ExemplarTime => {
                "the timestamp of an exemplar is further ahead of now than `limits.future_max` allows, or older than \
                 `retention` or `limits.out_of_order_max_age` do"
            }
            Self::ExemplarLabels => "the labels of an exemplar are not UTF-8, or have an empty name or one twice",
            Self::ExemplarLabelsTooLong => "the labels of an exemplar have more than 128 characters",
            Self::ExemplarLimit => {
                "the tenant has as many exemplars in memory as `limits.exemplars_max` allows; they leave it when their \
                 range is cut"
            }
        }
    }
}

/// The refusals of one request.
#[derive(Clone, Debug, Default)]
pub struct Refusals {
    causes: Vec<CauseReport>,
}

/// One cause with its count and its first offender.
#[derive(Clone, Debug)]
pub struct CauseReport {
    /// Why.
    pub cause: Cause,
    /// How many samples (or histograms, or exemplars) were refused for it.
    pub count: u64,
    /// The first offending series, and what exactly was found.
    pub first: String,
}

impl Refusals {
    /// Counts `count` refusals for `cause`; `first` describes the offender and is called only for the first one.
    pub fn add(&mut self, cause: Cause, count: u64, first: impl FnOnce() -> String) {
        match self.causes.iter_mut().find(|report| report.cause == cause) {
            Some(report) => report.count += count,
            None => {
                let mut first = first();
                truncate(&mut first, SERIES_BYTES_MAX);
                self.causes.push(CauseReport { cause, count, first });
            }
        }
    }

    /// Counts what another pass over the same request refused.
    pub fn extend(&mut self, others: Self) {
        for CauseReport { cause, count, first } in others.causes {
            self.add(cause, count, || first);
        }
    }

    /// Whether nothing was refused.
    pub fn is_empty(&self) -> bool {
        self.causes.is_empty()
    }

    /// The causes in the order in which they were met.
    pub fn causes(&self) -> &[CauseReport] {
        &self.causes
    }

    /// How many were refused in all.
    pub fn count(&self) -> u64 {
        self.causes.iter().map(|report| report.count).sum()
    }

    /// The message for the sender: what, why, how many, the first offender; at most ten causes and 4 KiB.
    pub fn message(&self, stored: u64) -> String {
        let mut message = format!("{} refused, {stored} stored", self.count());
        for report in self.causes.iter().take(CAUSES_MAX) {
            let _ = write!(
                message,
                "\n{}: {} ({} times, first: {})",
                report.cause.id(),
                report.cause.text(),
                report.count,
                report.first
            );
        }
        if self.causes.len() > CAUSES_MAX {
            let _ = write!(message, "\nand {} more causes", self.causes.len() - CAUSES_MAX);
        }
        truncate(&mut message, MESSAGE_BYTES_MAX);
        message
    }
}

fn truncate(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        let mut end = bytes_max - 3;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str("...");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_counts_names_the_first_and_stays_short() {
        let mut refusals = Refusals::default();
        refusals.add(Cause::MissingMetricName, 2, || "{a=\"b\"}".into());
        refusals.add(Cause::MissingMetricName, 3, || unreachable!("only the first is described"));
        let message = refusals.message(7);
        assert!(message.starts_with("5 refused, 7 stored\nerr-longhaul-missing-metric-name: "), "{message}");
        assert!(message.contains("5 times, first: {a=\"b\"}"), "{message}");
        refusals.add(Cause::TooOld, 1, || "ä".repeat(10_000));
        assert!(refusals.message(0).len() <= MESSAGE_BYTES_MAX);
    }
}
