//! Samples as metric families, the way Prometheus federates them (`web/federate.go`).
//!
//! Numbers are untyped. A metric whose samples are of several kinds becomes several families of one name: not what the
//! formats allow, but what Prometheus' own parser takes. The text format has no native histograms: there they are left
//! out, but for those with custom bounds, which everywhere become classic ones.

use longhaul_model::{BucketSpan, CounterResetHint, FloatHistogram, Labels, METRIC_NAME};
use longhaul_promql::value::SampleValue;
use longhaul_query::Newest;
use longhaul_wire::exposition::FormatKind;
use longhaul_wire::proto::client::{
    Bucket, BucketSpan as SpanMessage, Histogram, LabelPair, Metric, MetricFamily, MetricType, Untyped,
};
use std::iter::Peekable;

/// Every federated series has this label, empty if need be, so that whoever scrapes does not add its own.
const INSTANCE: &str = "instance";

/// The families of samples, by name.
pub(super) struct Families {
    samples: Peekable<std::vec::IntoIter<Newest>>,
}

impl Families {
    /// Of series in label order; those that the format cannot hold are left out, and those without a name.
    pub(super) fn new(mut samples: Vec<Newest>, format: FormatKind) -> Self {
        samples.retain(|sample| {
            let fits = match &sample.value {
                SampleValue::Float(_) => true,
                SampleValue::Histogram(it) => it.uses_custom_bounds() || format == FormatKind::Protobuf,
            };
            fits && !sample.labels.metric_name().is_empty()
        });
        // Stable: within a metric the order of labels remains.
        samples.sort_by(|a, b| a.labels.metric_name().cmp(b.labels.metric_name()));
        Self { samples: samples.into_iter().peekable() }
    }
}

impl Iterator for Families {
    type Item = MetricFamily;

    fn next(&mut self) -> Option<MetricFamily> {
        let first = self.samples.next()?;
        let kind = kind(&first.value);
        let name = first.labels.metric_name().to_owned();
        let mut metrics = vec![metric(&first)];
        let more = |sample: &Newest| self::kind(&sample.value) == kind && sample.labels.metric_name() == name;
        while let Some(sample) = self.samples.next_if(more) {
            metrics.push(metric(&sample));
        }
        Some(MetricFamily { name: Some(name), r#type: Some(kind.into()), metric: metrics, ..MetricFamily::default() })
    }
}

fn kind(value: &SampleValue) -> MetricType {
    match value {
        SampleValue::Float(_) => MetricType::Untyped,
        SampleValue::Histogram(it) if it.reset_hint == CounterResetHint::Gauge => MetricType::GaugeHistogram,
        SampleValue::Histogram(_) => MetricType::Histogram,
    }
}

fn metric(sample: &Newest) -> Metric {
    let (untyped, histogram) = match &sample.value {
        SampleValue::Float(value) => (Some(Untyped { value: Some(*value) }), None),
        SampleValue::Histogram(it) if it.uses_custom_bounds() => (None, Some(classic(it))),
        SampleValue::Histogram(it) => (None, Some(native(it))),
    };
    Metric { label: labels(&sample.labels), untyped, histogram, timestamp_ms: Some(sample.t_ms) }
}

fn labels(labels: &Labels) -> Vec<LabelPair> {
    let pair = |(name, value): (&str, &str)| LabelPair { name: Some(name.to_owned()), value: Some(value.to_owned()) };
    let instance = labels.get(INSTANCE).is_none().then_some((INSTANCE, ""));
    labels.iter().filter(|(name, _)| *name != METRIC_NAME).chain(instance).map(pair).collect()
}

fn native(histogram: &FloatHistogram) -> Histogram {
    let spans = |spans: &[BucketSpan]| {
        spans.iter().map(|span| SpanMessage { offset: Some(span.offset), length: Some(span.length) }).collect()
    };
    Histogram {
        sample_count_float: Some(histogram.count),
        sample_sum: Some(histogram.sum),
        schema: Some(histogram.schema),
        zero_threshold: Some(histogram.zero_threshold),
        zero_count_float: Some(histogram.zero_count),
        negative_span: spans(&histogram.negative_spans),
        negative_count: histogram.negative_counts.clone(),
        positive_span: spans(&histogram.positive_spans),
        positive_count: histogram.positive_counts.clone(),
        ..Histogram::default()
    }
}

/// A histogram with custom bounds as a classic one; the bucket of infinity goes without saying.
fn classic(histogram: &FloatHistogram) -> Histogram {
    let mut buckets = histogram.positive_buckets().peekable();
    let mut count = 0.0;
    let bucket = |(index, bound): (usize, &f64)| {
        while let Some(bucket) = buckets.next_if(|bucket| bucket.index <= index as i32) {
            count += bucket.count;
        }
        Bucket { upper_bound: Some(*bound), cumulative_count_float: Some(count), ..Bucket::default() }
    };
    Histogram {
        bucket: histogram.custom_bounds.iter().enumerate().map(bucket).collect(),
        sample_count_float: Some(histogram.count),
        sample_sum: Some(histogram.sum),
        ..Histogram::default()
    }
}
