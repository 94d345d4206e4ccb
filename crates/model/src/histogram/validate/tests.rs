//! Every fault with the text that Prometheus has for it.

use super::*;
use crate::histogram::test_histograms::{custom, exponential, span};

/// One bucket on either side, and a zero bucket.
fn integer() -> Histogram {
    Histogram {
        zero_threshold: 0.1,
        zero_count: 2,
        count: 9,
        positive_spans: vec![span(-3, 1), span(2, 1)],
        positive_deltas: vec![1, 1],
        negative_spans: vec![span(0, 1)],
        negative_deltas: vec![4],
        ..Default::default()
    }
}

fn custom_integer() -> Histogram {
    Histogram {
        schema: SCHEMA_CUSTOM,
        count: 3,
        positive_spans: vec![span(1, 2)],
        positive_deltas: vec![1, 1],
        custom_bounds: [1.0, 2.0].into(),
        ..Default::default()
    }
}

#[test]
fn integer_histograms_are_refused_as_prometheus_refuses_them() {
    assert_eq!(integer().validate(), Ok(()));
    assert_eq!(custom_integer().validate(), Ok(()));
    assert_eq!(Histogram::default().validate(), Ok(()));
    let with_nan = Histogram { sum: f64::NAN, count: 12, ..integer() };
    assert_eq!(with_nan.validate(), Ok(()), "observations of NaN are in no bucket");
    for (change, text) in [
        (
            (|it| it.schema = 9) as fn(&mut Histogram),
            "histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, or -53 for custom \
             buckets, got schema 9",
        ),
        (
            |it| it.positive_spans[1].offset = -1,
            "positive side: span number 2 with offset -1: histogram has a span whose offset is negative",
        ),
        (
            |it| it.negative_spans[0].length = 2,
            "negative side: spans need 2 buckets, have 1 buckets: histogram spans specify different number of buckets \
             than provided",
        ),
        (
            |it| it.positive_spans[0].length = u32::MAX,
            "positive side: spans need 4294967296 buckets, have 2 buckets: histogram spans specify different number of \
             buckets than provided",
        ),
        (
            |it| it.positive_deltas[1] = -2,
            "positive side: bucket number 2 has observation count of -1: histogram has a bucket whose observation count \
             is negative",
        ),
        (
            |it| it.negative_deltas[0] = -4,
            "negative side: bucket number 1 has observation count of -4: histogram has a bucket whose observation count \
             is negative",
        ),
        (
            |it| it.positive_deltas[1] = i64::MAX,
            "positive side: bucket number 2 has observation count of -9223372036854775808: histogram has a bucket whose \
             observation count is negative",
        ),
        (
            |it| it.count = 8,
            "9 observations found in buckets, but the Count field is 8: histogram's observation count should equal the \
             number of observations found in the buckets (in absence of NaN)",
        ),
        (
            |it| (it.count, it.sum) = (8, f64::NAN),
            "9 observations found in buckets, but the Count field is 8: histogram's observation count should be at least \
             the number of observations found in the buckets",
        ),
        (|it| it.custom_bounds = [1.0].into(), "histogram with exponential schema must not have custom bounds"),
    ] {
        let mut histogram = integer();
        change(&mut histogram);
        assert_eq!(histogram.validate().unwrap_err().to_string(), text);
    }
    let overflowing = Histogram { positive_deltas: vec![i64::MAX, 0], zero_count: u64::MAX, ..integer() };
    assert!(matches!(overflowing.validate(), Err(HistogramError::CountMismatch { found: u64::MAX, .. })));
}

#[test]
fn custom_bounds_are_refused_as_prometheus_refuses_them() {
    for (change, text) in [
        (
            (|it| it.custom_bounds = [1.0, f64::NAN].into()) as fn(&mut Histogram),
            "custom buckets: histogram custom bounds must not be NaN",
        ),
        (
            |it| it.custom_bounds = [1.0, 1.0].into(),
            "custom buckets: previous bound is 1.000000 and current is 1.000000: histogram custom bounds must be in \
             strictly increasing order",
        ),
        (
            |it| it.custom_bounds = [f64::INFINITY, f64::NEG_INFINITY].into(),
            "custom buckets: previous bound is +Inf and current is -Inf: histogram custom bounds must be in strictly \
             increasing order",
        ),
        (
            |it| it.custom_bounds = [1.0, f64::INFINITY].into(),
            "custom buckets: last +Inf bound must not be explicitly defined: histogram custom bounds must be finite",
        ),
        (
            |it| it.positive_spans[0].offset = -1,
            "custom buckets: span number 1 with offset -1: histogram has a span whose offset is negative",
        ),
        (
            |it| it.positive_spans[0].length = 1,
            "custom buckets: spans need 1 buckets, have 2 buckets: histogram spans specify different number of buckets \
             than provided",
        ),
        (
            |it| it.positive_spans[0].offset = 2,
            "custom buckets: only 2 custom bounds defined which is insufficient to cover total span length of 4: \
             histogram custom bounds are too few",
        ),
        (|it| it.zero_count = 1, "custom buckets: must have zero count of 0"),
        (|it| it.zero_threshold = 1.0, "custom buckets: must have zero threshold of 0"),
        (|it| it.negative_spans = vec![span(0, 0)], "custom buckets: must not have negative spans"),
        (|it| it.negative_deltas = vec![1], "custom buckets: must not have negative buckets"),
    ] {
        let mut histogram = custom_integer();
        change(&mut histogram);
        assert_eq!(histogram.validate().unwrap_err().to_string(), text);
        let float = FloatHistogram::from(&histogram);
        assert_eq!(float.validate().unwrap_err().to_string(), text);
    }
}

#[test]
fn float_histograms_are_refused_as_prometheus_refuses_them() {
    let plain = FloatHistogram::from(&integer());
    assert_eq!(plain.validate(), Ok(()));
    assert_eq!(custom(&[], &[span(0, 1)], &[1.5]).validate(), Ok(()));
    let uncounted = FloatHistogram { count: 1.0, ..exponential(-4, &[span(i32::MIN, 1)], &[7.5]) };
    assert_eq!(uncounted.validate(), Ok(()), "the count is not compared");
    for (change, text) in [
        (
            (|it| it.positive_counts[1] = -1.5) as fn(&mut FloatHistogram),
            "positive side: bucket number 2 has observation count of -1.5: histogram has a bucket whose observation \
             count is negative",
        ),
        (
            |it| it.negative_counts[0] = -1e21,
            "negative side: bucket number 1 has observation count of -1e+21: histogram has a bucket whose observation \
             count is negative",
        ),
        (
            |it| it.zero_count = -1.0,
            "zero bucket has observation count of -1: histogram has a bucket whose observation count is negative",
        ),
        (|it| it.count = f64::NEG_INFINITY, "observation count is  -Inf: histogram's observation count is negative"),
        (|it| it.custom_bounds = [1.0].into(), "histogram with exponential schema must not have custom bounds"),
    ] {
        let mut histogram = plain.clone();
        change(&mut histogram);
        assert_eq!(histogram.validate().unwrap_err().to_string(), text);
    }
}
