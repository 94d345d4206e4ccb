//! The checks that a series passes once, when it is not known yet, and every sample passes on its way to the log.

use crate::refusal::Cause;
use crate::settings::WriteLimits;
use longhaul_model::histogram::{SCHEMA_MAX, SCHEMA_MIN};
use longhaul_model::write_batch::HistogramValue;
use longhaul_model::{HistogramError, LabelSection, Labels, METRIC_NAME, Value};
use std::sync::Arc;

/// The earliest time that can be stored: the first millisecond of the year 1. Older ones are a sender's mistake, and
/// would overflow the arithmetic of other tools that read our blocks.
pub(crate) const EARLIEST_MS: i64 = -62_135_596_800_000;

/// Which times a batch may contain, fixed when it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeWindow {
    oldest_ms: i64,
    newest_ms: i64,
}

impl TimeWindow {
    pub(crate) fn at(now_ms: i64, limits: &WriteLimits) -> Self {
        let age_max_ms = [limits.retention_ms, limits.out_of_order_max_age_ms].into_iter().flatten().min();
        let oldest_ms = age_max_ms.map_or(EARLIEST_MS, |age_ms| now_ms.saturating_sub(age_ms).max(EARLIEST_MS));
        Self { oldest_ms, newest_ms: now_ms.saturating_add(limits.future_max_ms) }
    }

    pub(crate) fn check(&self, t_ms: i64) -> Result<(), Cause> {
        if t_ms > self.newest_ms {
            Err(Cause::TooFarInFuture)
        } else if t_ms < self.oldest_ms {
            Err(Cause::TooOld)
        } else {
            Ok(())
        }
    }
}

/// The finest schema that any sender knows (Prometheus `model/histogram`): what is beyond is a mistake.
const FINEST_SCHEMA_SENT: i32 = 52;

/// Characters that the names and values of an exemplar's labels have together at most (OpenMetrics, "Exemplars").
const EXEMPLAR_CHARACTERS_MAX: usize = 128;

/// A histogram as it is stored: valid, of no finer schema than queries know, and with at most `buckets_max` buckets. One that is
/// finer, or has more, is made coarser. Err says why it cannot be stored.
pub(crate) fn histogram(value: &HistogramValue, buckets_max: usize) -> Result<Value, (Cause, String)> {
    let is_finer = |schema: i32| schema > SCHEMA_MAX && schema <= FINEST_SCHEMA_SENT;
    let invalid = |error: HistogramError| (Cause::InvalidHistogram, error.to_string());
    match value {
        HistogramValue::Integer(histogram) => {
            let mut histogram = Arc::clone(histogram);
            if is_finer(histogram.schema) {
                Arc::make_mut(&mut histogram).reduce_resolution(SCHEMA_MAX);
            }
            histogram.validate().map_err(invalid)?;
            while histogram.positive_deltas.len() + histogram.negative_deltas.len() > buckets_max {
                let schema = coarser(histogram.schema)?;
                Arc::make_mut(&mut histogram).reduce_resolution(schema);
            }
            Ok(Value::Histogram(histogram))
        }
        HistogramValue::Float(histogram) => {
            let mut histogram = Arc::clone(histogram);
            if is_finer(histogram.schema) {
                Arc::make_mut(&mut histogram).reduce_resolution(SCHEMA_MAX);
            }
            histogram.validate().map_err(invalid)?;
            while histogram.positive_counts.len() + histogram.negative_counts.len() > buckets_max {
                let schema = coarser(histogram.schema)?;
                Arc::make_mut(&mut histogram).reduce_resolution(schema);
            }
            Ok(Value::FloatHistogram(histogram))
        }
    }
}

/// The schema with half as many buckets; custom bounds have none (their schema is below all others).
fn coarser(schema: i32) -> Result<i32, (Cause, String)> {
    match schema > SCHEMA_MIN {
        true => Ok(schema - 1),
        false => Err((Cause::TooManyBuckets, format!("schema {schema}"))),
    }
}

/// Takes a label section apart: sorted pairs without empty values, checked against the limits.
pub(crate) fn labels<'a>(section: LabelSection<'a>, limits: &WriteLimits) -> Result<Vec<(&'a str, &'a str)>, Cause> {
    let pairs = sorted_pairs(section)?;
    if !pairs.iter().any(|(name, _)| *name == METRIC_NAME) {
        return Err(Cause::MissingMetricName);
    }
    if pairs.len() > limits.label_names_max {
        return Err(Cause::TooManyLabels);
    }
    if pairs.iter().any(|(name, _)| name.len() > limits.label_name_bytes_max) {
        return Err(Cause::LabelNameTooLong);
    }
    if pairs.iter().any(|(_, value)| value.len() > limits.label_value_bytes_max) {
        return Err(Cause::LabelValueTooLong);
    }
    if pairs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > limits.label_set_bytes_max {
        return Err(Cause::LabelSetTooLarge);
    }
    Ok(pairs)
}

/// Takes the label section of an exemplar apart; there may be none.
pub(crate) fn exemplar_labels(section: LabelSection<'_>) -> Result<Labels, Cause> {
    let pairs = sorted_pairs(section).map_err(|_| Cause::ExemplarLabels)?;
    let characters: usize = pairs.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum();
    if characters > EXEMPLAR_CHARACTERS_MAX {
        return Err(Cause::ExemplarLabelsTooLong);
    }
    Ok(Labels::from_sorted(pairs))
}

/// The pairs of a section sorted by name, without empty values.
fn sorted_pairs(section: LabelSection<'_>) -> Result<Vec<(&str, &str)>, Cause> {
    let mut pairs = Vec::with_capacity(16);
    for pair in section.pairs() {
        let (name, value) = pair.map_err(|_| Cause::MalformedLabels)?;
        let name = std::str::from_utf8(name).map_err(|_| Cause::InvalidUtf8)?;
        let value = std::str::from_utf8(value).map_err(|_| Cause::InvalidUtf8)?;
        if name.is_empty() {
            return Err(Cause::EmptyLabelName);
        }
        pairs.push((name, value));
    }
    pairs.sort_unstable();
    if pairs.windows(2).any(|two| two[0].0 == two[1].0) {
        return Err(Cause::DuplicateLabelName);
    }
    pairs.retain(|(_, value)| !value.is_empty());
    Ok(pairs)
}

/// A label section as text for a message, whatever it holds.
pub(crate) fn describe(section: LabelSection<'_>) -> String {
    let pairs: Vec<String> = section
        .pairs()
        .take(8)
        .map_while(Result::ok)
        .map(|(name, value)| format!("{}={:?}", String::from_utf8_lossy(name), String::from_utf8_lossy(value)))
        .collect();
    format!("{{{}}}", pairs.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use longhaul_model::{BucketSpan, FloatHistogram, Histogram};

    fn check(pairs: &[(&str, &str)], limits: &WriteLimits) -> Result<Vec<(String, String)>, Cause> {
        let mut bytes = Vec::new();
        for (name, value) in pairs {
            LabelSection::push(&mut bytes, name, value);
        }
        labels(LabelSection::new(&bytes), limits)
            .map(|pairs| pairs.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect())
    }

    #[test]
    fn labels_are_sorted_cleaned_and_bounded() {
        let limits =
            WriteLimits { label_names_max: 3, label_name_bytes_max: 8, label_value_bytes_max: 4, ..Default::default() };
        let ok = check(&[("b", "2"), ("__name__", "up"), ("a", "")], &limits).unwrap();
        assert_eq!(ok, [("__name__".to_owned(), "up".to_owned()), ("b".to_owned(), "2".to_owned())]);
        let cases: [(&[(&str, &str)], Cause); 7] = [
            (&[("a", "1")], Cause::MissingMetricName),
            (&[("__name__", "")], Cause::MissingMetricName),
            (&[("__name__", "up"), ("", "1")], Cause::EmptyLabelName),
            (&[("__name__", "up"), ("a", "1"), ("a", "1")], Cause::DuplicateLabelName),
            (&[("__name__", "up"), ("a", "1"), ("b", "1"), ("c", "1")], Cause::TooManyLabels),
            (&[("__name__", "up"), ("abcdefghi", "1")], Cause::LabelNameTooLong),
            (&[("__name__", "up"), ("a", "12345")], Cause::LabelValueTooLong),
        ];
        for (pairs, cause) in cases {
            assert_eq!(check(pairs, &limits), Err(cause), "{pairs:?}");
        }
        let limits = WriteLimits { label_set_bytes_max: 12, ..Default::default() };
        assert_eq!(check(&[("__name__", "up"), ("abc", "1")], &limits), Err(Cause::LabelSetTooLarge));
        assert_eq!(labels(LabelSection::new(&[0x0a, 3, 0x0a, 1, 0xff]), &limits), Err(Cause::InvalidUtf8));
        assert_eq!(labels(LabelSection::new(&[0x0a, 9]), &limits), Err(Cause::MalformedLabels));
    }

    #[test]
    fn histograms_with_too_many_buckets_are_made_coarser() {
        let sixteen = Histogram {
            schema: 3,
            count: 16,
            positive_spans: vec![BucketSpan { offset: 0, length: 16 }],
            positive_deltas: [vec![1], vec![0; 15]].concat(),
            ..Histogram::default()
        };
        let of = |histogram: &Histogram, buckets_max| {
            let integer = super::histogram(&HistogramValue::Integer(Arc::new(histogram.clone())), buckets_max);
            let float = FloatHistogram::from(histogram);
            (integer, super::histogram(&HistogramValue::Float(Arc::new(float)), buckets_max))
        };
        let (Ok(Value::Histogram(kept)), Ok(Value::FloatHistogram(_))) = of(&sixteen, 16) else { panic!() };
        assert_eq!((kept.schema, kept.positive_deltas.len()), (3, 16));
        let (Ok(Value::Histogram(integer)), Ok(Value::FloatHistogram(float))) = of(&sixteen, 4) else { panic!() };
        assert_eq!((integer.schema, &integer.positive_deltas[..]), (0, &[1, 7, -1][..]));
        assert_eq!((float.schema, &float.positive_counts[..]), (0, &[1.0, 8.0, 7.0][..]));
        let custom = Histogram {
            schema: longhaul_model::histogram::SCHEMA_CUSTOM,
            custom_bounds: (0..15).map(f64::from).collect(),
            ..sixteen.clone()
        };
        let coarsest = Histogram { schema: SCHEMA_MIN, ..sixteen };
        for histogram in [custom, coarsest] {
            let (integer, float) = of(&histogram, 2);
            let causes = [integer, float].map(|it| it.unwrap_err().0);
            assert_eq!(causes, [Cause::TooManyBuckets; 2], "{histogram:?}");
        }
    }

    #[test]
    fn labels_of_exemplars_are_bounded_by_their_characters() {
        let check = |pairs: &[(&str, &str)]| {
            let mut bytes = Vec::new();
            pairs.iter().for_each(|(name, value)| LabelSection::push(&mut bytes, name, value));
            exemplar_labels(LabelSection::new(&bytes))
        };
        assert_eq!(check(&[]), Ok(Labels::empty()));
        assert_eq!(check(&[("b", "2"), ("a", ""), ("c", "ä")]), Ok(Labels::from_pairs([("b", "2"), ("c", "ä")])));
        let (longest, longer) = ("ä".repeat(120), "ä".repeat(121));
        assert!(check(&[("trace_id", &longest)]).is_ok());
        assert_eq!(check(&[("trace_id", &longer)]), Err(Cause::ExemplarLabelsTooLong));
        assert_eq!(check(&[("a", "1"), ("a", "2")]), Err(Cause::ExemplarLabels));
        assert_eq!(check(&[("", "1")]), Err(Cause::ExemplarLabels));
        assert_eq!(exemplar_labels(LabelSection::new(&[0x0a, 9])), Err(Cause::ExemplarLabels));
    }

    #[test]
    fn times_are_bounded_by_the_future_and_the_retention() {
        let limits = WriteLimits { retention_ms: Some(1000), ..Default::default() };
        let window = TimeWindow::at(1_000_000, &limits);
        assert_eq!(window.check(1_600_000), Ok(()));
        assert_eq!(window.check(1_600_001), Err(Cause::TooFarInFuture));
        assert_eq!(window.check(999_000), Ok(()));
        assert_eq!(window.check(998_999), Err(Cause::TooOld));
        let window = TimeWindow::at(0, &WriteLimits::default());
        assert_eq!(window.check(EARLIEST_MS), Ok(()));
        assert_eq!(window.check(i64::MIN), Err(Cause::TooOld));
    }
}
