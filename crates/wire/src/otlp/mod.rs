//! OpenTelemetry's metrics (OTLP): from an `ExportMetricsServiceRequest`, protobuf or JSON, to a batch.
//!
//! [`json`] turns JSON into protobuf, [`weigh`] says what the message will take in memory, then prost decodes it: senders
//! of OTLP are few and their requests large, and most of the work is in making names and labels. [`names`] and
//! [`attributes`] make those, [`points`] the series, [`histogram`] native histograms.
//!
//! Deltas are refused, or added up where somebody keeps the totals ([`deltas`], [`accumulate`]).
//!
//! What cannot be taken is counted by reason, data point by data point; the rest of the request is.

mod accumulate;
mod attributes;
mod deltas;
mod exemplars;
mod histogram;
mod json;
mod names;
mod points;
mod schema;
mod settings;

#[cfg(test)]
mod tests;

pub use deltas::RunningTotals;
pub use schema::weigh;
pub use settings::{OtlpSettings, TranslationStrategy};

use crate::batch_writer::BatchWriter;
use crate::proto::opentelemetry::metric::Data;
use crate::proto::opentelemetry::{
    AggregationTemporality, Exemplar, ExportMetricsServiceRequest, Metric, ResourceMetrics, ScopeMetrics,
};
use crate::refused::{self, Reason, Refused};
use crate::remote_write::DecodeLimits;
use crate::{Decoded, WireError};
use accumulate::Delta;
use attributes::{LabelMap, ResourceLabels, scope_labels};
use deltas::{Additions, NotAdded};
use longhaul_model::{LabelSection, METRIC_NAME, MetricKind};
use names::NameKind;
use points::{DataPoint, Point, Refusal};
use prost::Message;
use std::collections::BTreeSet;

/// The metric that says what is known of a resource.
const TARGET_INFO: &str = "target_info";

/// Most samples of one resource's `target_info` in a request, counted from the latest: two days at the usual interval.
/// Data points that claim to lie years apart would make millions.
const TARGET_INFO_SAMPLES_MAX: i64 = 1_152;

/// The protobuf message that a text in JSON stands for.
///
/// # Errors
/// No JSON, or none of this message: where and what. A message that would be longer than `size_bytes_max`.
pub fn json_to_protobuf(text: &[u8], size_bytes_max: u64) -> Result<bytes::Bytes, WireError> {
    json::to_protobuf(text, size_bytes_max).map(bytes::Bytes::from)
}

/// Decodes an `ExportMetricsServiceRequest`; deltas are refused. What it takes in memory is not bounded by `limits` alone:
/// [`weigh`] it first.
///
/// # Errors
/// No such message, or more than the limits allow. What is wrong with a data point costs that data point only.
pub fn decode(message: &[u8], settings: &OtlpSettings, limits: &DecodeLimits) -> Result<Decoded, WireError> {
    run(message, settings, limits, None)
}

/// [`decode`], with deltas added to `totals` and stored as what they come to. An error leaves the totals as they were.
///
/// # Errors
/// As [`decode`].
pub fn decode_deltas(
    message: &[u8],
    settings: &OtlpSettings,
    limits: &DecodeLimits,
    totals: &mut RunningTotals,
    now_ms: i64,
) -> Result<Decoded, WireError> {
    run(message, settings, limits, Some(totals.additions(now_ms)))
}

fn run(
    message: &[u8],
    settings: &OtlpSettings,
    limits: &DecodeLimits,
    additions: Option<Additions<'_>>,
) -> Result<Decoded, WireError> {
    let request = ExportMetricsServiceRequest::decode(message)
        .map_err(|error| WireError::Otlp(format!("malformed protobuf: {error}")))?;
    let mut decoder = Decoder {
        settings,
        additions,
        batch: BatchWriter::new(limits),
        refused: Vec::new(),
        section: Vec::new(),
        said: BTreeSet::new(),
        times_ms: None,
    };
    for resource in &request.resource_metrics {
        decoder.resource(resource)?;
    }
    if let Some(additions) = decoder.additions {
        additions.commit();
    }
    Ok(Decoded { batch: decoder.batch.finish(), refused: decoder.refused })
}

struct Decoder<'a> {
    settings: &'a OtlpSettings,
    /// Where deltas are added up; None if they are not.
    additions: Option<Additions<'a>>,
    batch: BatchWriter<'a>,
    refused: Vec<Refused>,
    /// A label section in the making; kept for its memory.
    section: Vec<u8>,
    /// The metrics that metadata was given of: each resource has the same ones.
    said: BTreeSet<String>,
    /// The earliest and the latest data point of the resource so far.
    times_ms: Option<(i64, i64)>,
}

impl Decoder<'_> {
    fn resource(&mut self, resource: &ResourceMetrics) -> Result<(), WireError> {
        self.times_ms = None;
        let attributes = resource.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
        let labels = match ResourceLabels::of(attributes, self.settings) {
            Ok(labels) => labels,
            Err(what) => {
                let scopes = resource.scope_metrics.iter();
                let points = scopes.flat_map(|scope| &scope.metrics).map(points_count).sum();
                self.refuse(Reason::Name, points, || format!("{what} in a resource"));
                return Ok(());
            }
        };
        for scope in &resource.scope_metrics {
            self.scope(&labels, scope)?;
        }
        self.target_info(&labels)
    }

    fn scope(&mut self, resource: &ResourceLabels, scope: &ScopeMetrics) -> Result<(), WireError> {
        match scope_labels(scope.scope.as_ref(), &scope.schema_url, self.settings) {
            Ok(labels) => scope.metrics.iter().try_for_each(|metric| self.metric(resource, &labels, metric)),
            Err(what) => {
                let points = scope.metrics.iter().map(points_count).sum();
                self.refuse(Reason::Name, points, || format!("{what} in a scope"));
                Ok(())
            }
        }
    }

    fn metric(&mut self, resource: &ResourceLabels, scope: &LabelMap, metric: &Metric) -> Result<(), WireError> {
        let count = points_count(metric);
        if count == 0 {
            return Ok(());
        }
        let Some(data) = &metric.data else {
            self.refuse(Reason::DataPoint, count, || format!("metric {:?} is of no known type", metric.name));
            return Ok(());
        };
        let (name_kind, kind, temporality) = match data {
            Data::Gauge(_) => (NameKind::Gauge, MetricKind::Gauge, None),
            Data::Sum(sum) if sum.is_monotonic => {
                (NameKind::Counter, MetricKind::Counter, Some(sum.aggregation_temporality))
            }
            Data::Sum(sum) => (NameKind::Other, MetricKind::Gauge, Some(sum.aggregation_temporality)),
            Data::Histogram(it) => (NameKind::Other, MetricKind::Histogram, Some(it.aggregation_temporality)),
            Data::ExponentialHistogram(it) => {
                (NameKind::Other, MetricKind::Histogram, Some(it.aggregation_temporality))
            }
            Data::Summary(_) => (NameKind::Other, MetricKind::Summary, None),
        };
        let is_delta = temporality == Some(AggregationTemporality::Delta as i32) && self.additions.is_some();
        if !is_delta && temporality.is_some_and(|it| it != AggregationTemporality::Cumulative as i32) {
            self.refuse(Reason::Temporality, count, || format!("metric {:?}", metric.name));
            return Ok(());
        }
        let name = match names::metric_name(&metric.name, &metric.unit, name_kind, self.settings) {
            Ok(name) => name,
            Err(what) => {
                self.refuse(Reason::Name, count, || what);
                return Ok(());
            }
        };
        if self.said.insert(name.clone()) {
            let unit = names::unit_name(&metric.unit, self.settings);
            self.batch.metadata(&name, kind, &metric.description, &unit)?;
        }
        match data {
            Data::Gauge(it) => self.points(resource, scope, &name, &it.data_points),
            Data::Sum(it) if is_delta => self.deltas(resource, scope, &name, &it.data_points),
            Data::Histogram(it) if is_delta => self.deltas(resource, scope, &name, &it.data_points),
            Data::ExponentialHistogram(it) if is_delta => self.deltas(resource, scope, &name, &it.data_points),
            Data::Sum(it) => self.points(resource, scope, &name, &it.data_points),
            Data::Histogram(it) => self.points(resource, scope, &name, &it.data_points),
            Data::ExponentialHistogram(it) => self.points(resource, scope, &name, &it.data_points),
            Data::Summary(it) => self.points(resource, scope, &name, &it.data_points),
        }
    }

    fn points(
        &mut self,
        resource: &ResourceLabels,
        scope: &LabelMap,
        name: &str,
        points: &[impl DataPoint],
    ) -> Result<(), WireError> {
        for point in points {
            if let Some(labels) = self.labels_of(resource, scope, name, point) {
                self.point(point, name, labels)?;
            }
        }
        Ok(())
    }

    /// Data points that are deltas: what each comes to with those before it.
    fn deltas(
        &mut self,
        resource: &ResourceLabels,
        scope: &LabelMap,
        name: &str,
        points: &[impl Delta],
    ) -> Result<(), WireError> {
        let mut points: Vec<_> = points.iter().collect();
        points.sort_by_key(|point| point.times().1);
        for point in points {
            let Some(labels) = self.labels_of(resource, scope, name, point) else { continue };
            self.fill_section(&labels, name, None);
            let additions = self.additions.as_mut().expect("deltas are added up");
            match additions.add(&self.section, point) {
                Ok(total) => self.point(&total, name, labels)?,
                Err(NotAdded::Point(what)) => {
                    self.refuse(Reason::DataPoint, 1, || format!("a delta of {name:?}: {what}"));
                }
                Err(NotAdded::NoRoom) => self.refuse(Reason::DeltaLimit, 1, || format!("a delta of {name:?}")),
            }
        }
        Ok(())
    }

    /// The labels of a data point but for the name; one that can have none is refused.
    fn labels_of(
        &mut self,
        resource: &ResourceLabels,
        scope: &LabelMap,
        name: &str,
        point: &impl DataPoint,
    ) -> Option<LabelMap> {
        let labels = resource.with(scope, point.attributes(), self.settings);
        labels.map_err(|what| self.refuse(Reason::Name, 1, || format!("{what} in a data point of {name:?}"))).ok()
    }

    fn point(&mut self, point: &impl DataPoint, name: &str, labels: LabelMap) -> Result<(), WireError> {
        let of = Point::new(point, name, labels);
        let t_ms = of.t_ms;
        match point.write(of, self) {
            Ok(()) => {
                let (earliest, latest) = self.times_ms.unwrap_or((t_ms, t_ms));
                self.times_ms = Some((earliest.min(t_ms), latest.max(t_ms)));
            }
            Err(Refusal::Point(what)) => {
                self.refuse(Reason::DataPoint, 1, || format!("a data point of {name:?}: {what}"));
            }
            Err(Refusal::Request(error)) => return Err(error),
        }
        Ok(())
    }

    /// One series: samples at an interval from the earliest data point of the resource on, and one at the latest.
    fn target_info(&mut self, resource: &ResourceLabels) -> Result<(), WireError> {
        let (Some(labels), Some((earliest_ms, latest_ms))) = (resource.target_info(), self.times_ms) else {
            return Ok(());
        };
        let interval_ms = self.settings.target_info_interval_ms;
        let first_ms = earliest_ms.max(latest_ms.saturating_sub(interval_ms * TARGET_INFO_SAMPLES_MAX));
        self.batch.begin()?;
        let mut t_ms = first_ms;
        while t_ms < latest_ms {
            self.batch.sample(t_ms, 1.0, 0)?;
            t_ms += interval_ms;
        }
        self.batch.sample(latest_ms, 1.0, 0)?;
        let name = match self.settings.namespace.as_str() {
            "" => TARGET_INFO.to_owned(),
            namespace => format!("{namespace}_{TARGET_INFO}"),
        };
        self.labels(&labels, &name, None)
    }

    /// The labels of the series that was begun last, in canonical form.
    fn labels(&mut self, labels: &LabelMap, name: &str, label: Option<(&str, String)>) -> Result<(), WireError> {
        self.fill_section(labels, name, label);
        self.batch.labels(self.section.len(), |buffer| buffer.extend_from_slice(&self.section))
    }

    /// Makes a label section.
    fn fill_section(&mut self, labels: &LabelMap, name: &str, label: Option<(&str, String)>) {
        let mut extra = vec![(METRIC_NAME, name)];
        extra.extend(label.as_ref().map(|(name, value)| (*name, value.as_str())));
        let mut extra = extra.into_iter().peekable(); // `__name__` comes before `le` and `quantile`
        self.section.clear();
        let mut push = |name: &str, value: &str| {
            if !value.is_empty() {
                LabelSection::push(&mut self.section, name, value);
            }
        };
        for (name, value) in labels {
            while let Some((before, value)) = extra.next_if(|(before, _)| *before < name.as_str()) {
                push(before, value);
            }
            if extra.peek().is_none_or(|(same, _)| *same != name) {
                push(name, value);
            }
        }
        extra.for_each(|(name, value)| push(name, value));
    }

    /// Exemplars of the series that was begun last.
    fn exemplars(&mut self, exemplars: &[&Exemplar]) -> Result<(), WireError> {
        for exemplar in exemplars {
            let Some(value) = exemplars::value(exemplar) else {
                self.refuse(Reason::DataPoint, 1, || "an exemplar without a value".to_owned());
                continue;
            };
            self.section.clear();
            for (name, value) in exemplars::labels(exemplar).iter().filter(|(_, value)| !value.is_empty()) {
                LabelSection::push(&mut self.section, name, value);
            }
            let t_ms = (exemplar.time_unix_nano / 1_000_000) as i64;
            let section = &self.section;
            self.batch.exemplar(t_ms, value, section.len(), |buffer| buffer.extend_from_slice(section))?;
        }
        Ok(())
    }

    fn refuse(&mut self, reason: Reason, count: u64, first: impl FnOnce() -> String) {
        refused::add(&mut self.refused, reason, count, first);
    }
}

/// How many data points a metric has; one of no known type counts as one.
fn points_count(metric: &Metric) -> u64 {
    match &metric.data {
        None => 1,
        Some(Data::Gauge(it)) => it.data_points.len() as u64,
        Some(Data::Sum(it)) => it.data_points.len() as u64,
        Some(Data::Histogram(it)) => it.data_points.len() as u64,
        Some(Data::ExponentialHistogram(it)) => it.data_points.len() as u64,
        Some(Data::Summary(it)) => it.data_points.len() as u64,
    }
}
