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

#[cfg(test)]
mod tests {
    use super::*;
    use longhaul_model::histogram::SCHEMA_CUSTOM;
    use longhaul_wire::exposition::Format;

    fn newest(pairs: &[(&str, &str)], value: SampleValue) -> Newest {
        Newest { labels: Labels::from_pairs(pairs.iter().copied()), t_ms: 5, value }
    }

    fn exponential(reset_hint: CounterResetHint) -> SampleValue {
        let histogram = FloatHistogram {
            reset_hint,
            schema: 1,
            count: 3.0,
            sum: 4.5,
            zero_count: 1.0,
            positive_spans: vec![BucketSpan { offset: -1, length: 2 }],
            positive_counts: vec![0.5, 1.5],
            ..FloatHistogram::default()
        };
        SampleValue::Histogram(histogram.into())
    }

    fn custom() -> SampleValue {
        let histogram = FloatHistogram {
            schema: SCHEMA_CUSTOM,
            count: 6.0,
            sum: 4.5,
            positive_spans: vec![BucketSpan { offset: 0, length: 1 }, BucketSpan { offset: 1, length: 2 }],
            positive_counts: vec![1.0, 2.0, 3.0],
            custom_bounds: [0.5, 1.0, 2.0].into(),
            ..FloatHistogram::default()
        };
        SampleValue::Histogram(histogram.into())
    }

    fn all() -> Vec<Newest> {
        use CounterResetHint::{Gauge, NotReset, Unknown};
        vec![
            newest(&[("__name__", "z"), ("a", "1")], exponential(Unknown)),
            newest(&[("__name__", "z"), ("a", "2")], exponential(NotReset)),
            newest(&[("__name__", "z"), ("a", "3")], exponential(Gauge)),
            newest(&[("__name__", "z"), ("a", "4"), ("instance", "x")], SampleValue::Float(1.0)),
            newest(&[("A", "before the name"), ("__name__", "c")], custom()),
            newest(&[("a", "no name")], SampleValue::Float(1.0)),
        ]
    }

    #[test]
    fn a_metric_has_a_family_for_each_kind_of_its_samples() {
        let families: Vec<MetricFamily> = Families::new(all(), FormatKind::Protobuf).collect();
        let shapes: Vec<_> = families.iter().map(|it| (it.name(), it.r#type(), it.metric.len())).collect();
        assert_eq!(
            shapes,
            [
                ("c", MetricType::Histogram, 1),
                ("z", MetricType::Histogram, 2),
                ("z", MetricType::GaugeHistogram, 1),
                ("z", MetricType::Untyped, 1),
            ]
        );
        let labels = |family: usize| -> Vec<(&str, &str)> {
            families[family].metric[0].label.iter().map(|label| (label.name(), label.value())).collect()
        };
        assert_eq!(labels(1), [("a", "1"), ("instance", "")]);
        assert_eq!(labels(3), [("a", "4"), ("instance", "x")]);
        let native = families[1].metric[0].histogram.as_ref().unwrap();
        assert_eq!((native.sample_count_float(), native.sample_sum(), native.schema()), (3.0, 4.5, 1));
        assert_eq!((native.zero_count_float(), &native.positive_count[..]), (1.0, &[0.5, 1.5][..]));
        assert_eq!((native.positive_span[0].offset(), native.positive_span[0].length()), (-1, 2));
        assert!(native.bucket.is_empty() && native.sample_count.is_none());
    }

    #[test]
    fn text_has_classic_histograms_only() {
        let format = Format::negotiate("text/plain");
        let mut text = Vec::new();
        Families::new(all(), format.kind).for_each(|family| format.push(&mut text, family));
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "# TYPE c histogram\n\
             c_bucket{A=\"before the name\",instance=\"\",le=\"0.5\"} 1 5\n\
             c_bucket{A=\"before the name\",instance=\"\",le=\"1\"} 1 5\n\
             c_bucket{A=\"before the name\",instance=\"\",le=\"2\"} 3 5\n\
             c_bucket{A=\"before the name\",instance=\"\",le=\"+Inf\"} 6 5\n\
             c_sum{A=\"before the name\",instance=\"\"} 4.5 5\n\
             c_count{A=\"before the name\",instance=\"\"} 6 5\n\
             # TYPE z untyped\n\
             z{a=\"4\",instance=\"x\"} 1 5\n"
        );
    }
}
