//! Histograms for tests: small ones by hand, any valid one, and any that no validation has seen.

use super::{BucketSpan, CounterResetHint, FloatHistogram, SCHEMA_CUSTOM};
use proptest::collection::vec;
use proptest::prelude::*;

pub(super) fn span(offset: i32, length: u32) -> BucketSpan {
    BucketSpan { offset, length }
}

/// An exponential histogram of positive buckets.
pub(super) fn exponential(schema: i32, spans: &[BucketSpan], counts: &[f64]) -> FloatHistogram {
    FloatHistogram {
        schema,
        count: counts.iter().sum(),
        positive_spans: spans.to_vec(),
        positive_counts: counts.to_vec(),
        ..Default::default()
    }
}

pub(super) fn custom(bounds: &[f64], spans: &[BucketSpan], counts: &[f64]) -> FloatHistogram {
    FloatHistogram { custom_bounds: bounds.into(), ..exponential(SCHEMA_CUSTOM, spans, counts) }
}

fn side() -> impl Strategy<Value = (Vec<BucketSpan>, Vec<f64>)> {
    vec((-20..20i32, 0..6i32, vec(0..50u32, 0..5)), 0..4).prop_map(|spans| {
        let mut counts = Vec::new();
        let spans = spans.into_iter().enumerate().map(|(at, (first, gap, observed))| {
            counts.extend(observed.iter().map(|count| f64::from(count.saturating_sub(10))));
            span(if at == 0 { first } else { gap }, observed.len() as u32)
        });
        let spans = spans.collect();
        (spans, counts)
    })
}

/// A valid exponential histogram of whole counts, some of them empty.
pub(super) fn any_histogram() -> impl Strategy<Value = FloatHistogram> {
    let threshold = prop_oneof![Just(0.0), Just(1e-128), Just(0.001), Just(0.3), Just(1.0), Just(2.0)];
    let hint = prop_oneof![Just(CounterResetHint::Unknown), Just(CounterResetHint::Gauge)];
    (-4..=8, threshold, 0..9u32, side(), side(), hint).prop_map(
        |(schema, threshold, zero, positive, negative, hint)| {
            let mut histogram = FloatHistogram {
                reset_hint: hint,
                schema,
                zero_threshold: 0.0,
                zero_count: f64::from(zero),
                count: f64::from(zero) + positive.1.iter().chain(&negative.1).sum::<f64>(),
                sum: f64::from(zero) / 3.0,
                positive_spans: positive.0,
                positive_counts: positive.1,
                negative_spans: negative.0,
                negative_counts: negative.1,
                ..Default::default()
            };
            // No bucket lies in the zero bucket.
            let nothing = FloatHistogram { schema, zero_threshold: threshold, ..Default::default() };
            histogram.add(&nothing).unwrap();
            histogram.reset_hint = hint;
            histogram
        },
    )
}

/// A histogram that no validation has seen.
pub(super) fn hostile_histogram() -> impl Strategy<Value = FloatHistogram> {
    let number = prop_oneof![any::<f64>(), Just(0.0), Just(1.0), Just(f64::NAN), Just(f64::INFINITY), -9.0..9.0];
    let offset = prop_oneof![any::<i32>(), -3..3i32, Just(i32::MIN), Just(i32::MAX)];
    let length = prop_oneof![any::<u32>(), 0..4u32, Just(u32::MAX)];
    let spans = vec((offset, length).prop_map(|(offset, length)| span(offset, length)), 0..5);
    let schema = prop_oneof![-4..=8i32, Just(SCHEMA_CUSTOM), any::<i32>()];
    let counts = vec(number.clone(), 0..8);
    let sides = (spans.clone(), counts.clone(), spans, counts.clone());
    (schema, sides, vec(number, 4), counts).prop_map(|(schema, sides, numbers, bounds)| FloatHistogram {
        reset_hint: CounterResetHint::Unknown,
        schema,
        zero_threshold: numbers[0],
        zero_count: numbers[1],
        count: numbers[2],
        sum: numbers[3],
        positive_spans: sides.0,
        positive_counts: sides.1,
        negative_spans: sides.2,
        negative_counts: sides.3,
        custom_bounds: bounds.into(),
    })
}
