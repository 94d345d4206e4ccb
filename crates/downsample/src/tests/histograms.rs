//! Windows of histograms, and of both kinds.

use super::{close, folded, ones, split, times};
use crate::{HistogramWindow, Layouts, Resolution, Window};
use longhaul_model::{BucketSpan, CounterResetHint, FloatHistogram, Measurement, Value};
use proptest::prelude::*;
use std::sync::Arc;

/// A histogram whose figures follow from the counts of its three buckets.
fn histogram(schema: i32, counts: [f64; 3], reset_hint: CounterResetHint) -> FloatHistogram {
    FloatHistogram {
        reset_hint,
        schema,
        count: counts.iter().sum(),
        sum: counts[0] + 2.5 * counts[1] + 7.0 * counts[2],
        positive_spans: vec![BucketSpan { offset: -2, length: 2 }, BucketSpan { offset: 3, length: 1 }],
        positive_counts: counts.to_vec(),
        ..FloatHistogram::default()
    }
}

/// A counter with resets: what is observed is added up until the counter begins anew.
fn sequence() -> impl Strategy<Value = Vec<Measurement>> {
    let observed = (0u32..9, 0u32..9, 0u32..9, 0u32..10, prop::sample::select(vec![0; 6]));
    (times(), proptest::collection::vec(observed, 60)).prop_map(|(times, observed)| {
        let mut counts = [0.0; 3];
        let samples = times.into_iter().zip(observed).map(|(t_ms, (a, b, c, fate, schema))| {
            if fate == 0 {
                counts = [0.0; 3];
            }
            for (count, more) in counts.iter_mut().zip([a, b, c]) {
                *count += f64::from(more);
            }
            let value = histogram(schema, counts, CounterResetHint::Unknown);
            Measurement { t_ms, start_ms: 0, value: Value::FloatHistogram(Arc::new(value)) }
        });
        samples.collect()
    })
}

fn values(samples: &[Measurement]) -> Vec<Arc<FloatHistogram>> {
    let value = |sample: &Measurement| match &sample.value {
        Value::FloatHistogram(value) => Some(value.clone()),
        _ => None,
    };
    samples.iter().filter_map(value).collect()
}

/// Whether two histograms say the same of every bucket, but for rounding.
fn alike(a: &FloatHistogram, b: &FloatHistogram, magnitude: f64) -> bool {
    let buckets = |it: &FloatHistogram| -> Vec<(u64, f64)> {
        it.positive_buckets().filter(|b| b.count != 0.0).map(|b| (b.upper.to_bits(), b.count)).collect()
    };
    let (of_a, of_b) = (buckets(a), buckets(b));
    of_a.len() == of_b.len()
        && of_a.iter().zip(&of_b).all(|(a, b)| a.0 == b.0 && close(a.1, b.1, magnitude))
        && close(a.count, b.count, magnitude)
        && close(a.sum, b.sum, magnitude)
}

/// The gain as Prometheus adds it up.
fn gain(values: &[Arc<FloatHistogram>]) -> FloatHistogram {
    let mut gain = FloatHistogram::clone(values.last().unwrap());
    gain.sub(&values[0]).unwrap();
    for pair in values.windows(2).filter(|pair| pair[1].is_reset_after(&pair[0])) {
        gain.add(&pair[0]).unwrap();
    }
    gain
}

proptest! {
    #[test]
    fn folded_windows_say_what_the_histograms_say(samples in sequence()) {
        let windows = split(&samples, Resolution::new(100).unwrap());
        let by_windows = folded(windows.into_iter().map(|it| it.window));
        for window in [by_windows, folded(ones(&samples))] {
            let window = window.histograms.unwrap();
            let values = values(&samples);
            prop_assert_eq!(window.count, values.len() as u64);
            prop_assert!(Arc::ptr_eq(&window.first.value, &values[0]));
            prop_assert!(Arc::ptr_eq(&window.last.value, values.last().unwrap()));
            prop_assert_eq!(window.prev.is_some(), values.len() > 1);
            if let Some(prev) = &window.prev {
                prop_assert!(Arc::ptr_eq(&prev.value, &values[values.len() - 2]));
            }
            let resets = values.windows(2).filter(|pair| pair[1].is_reset_after(&pair[0])).count();
            let changes = values.windows(2).filter(|pair| !pair[1].same(&pair[0])).count();
            prop_assert_eq!((window.resets, window.changes), (resets as u64, changes as u64));
            let magnitude: f64 = values.iter().map(|value| value.count.max(value.sum)).sum();
            let mut sum = FloatHistogram::clone(&values[0]);
            values[1..].iter().for_each(|value| assert!(sum.add(value).is_ok()));
            prop_assert!(alike(&window.total().unwrap(), &sum, magnitude));
            prop_assert!(alike(&window.gain().unwrap(), &gain(&values), magnitude));
        }
    }
}

fn window(histograms: &[FloatHistogram]) -> HistogramWindow {
    let one =
        |(value, t_ms): (&FloatHistogram, i64)| Window::of(t_ms, 0, &Value::FloatHistogram(Arc::new(value.clone())));
    *folded(histograms.iter().zip(1..).map(one)).histograms.unwrap()
}

#[test]
fn what_goes_with_a_warning_is_not_told() {
    use CounterResetHint::{Gauge, NotReset, Reset, Unknown};
    let of = |schema, hint| histogram(schema, [1.0, 2.0, 3.0], hint);
    let told = |histograms: &[FloatHistogram]| {
        let window = window(histograms);
        (window.total().is_some(), window.gain().is_some())
    };
    assert_eq!(told(&[of(0, Unknown), of(0, NotReset)]), (true, true));
    assert_eq!(told(&[of(0, Unknown), of(1, Unknown)]), (false, false), "resolutions");
    assert_eq!(told(&[of(0, Reset), of(0, NotReset)]), (false, false), "conflicting resets");
    assert_eq!(told(&[of(0, Gauge), of(0, Unknown)]), (false, false), "kinds");
    assert_eq!(told(&[of(0, Gauge), of(0, Gauge)]), (true, true));
    let custom = FloatHistogram { schema: -53, custom_bounds: [1.0, 2.0].into(), ..of(0, Unknown) };
    let mixed = window(&[of(0, Unknown), custom]);
    assert!(mixed.sum.is_none() && mixed.layouts.differ && mixed.total().is_none());
    let wider = FloatHistogram { positive_spans: vec![BucketSpan { offset: -2, length: 3 }], ..of(0, Unknown) };
    let spans = window(&[of(0, Unknown), wider]);
    let expected = Layouts { spans_differ: true, counters: true, ..Layouts::default() };
    assert_eq!((spans.layouts, spans.total().is_some()), (expected, true));
}

#[test]
fn a_series_may_mix_its_kinds() {
    let of = |count| Value::FloatHistogram(Arc::new(histogram(0, [count, 0.0, 0.0], CounterResetHint::Unknown)));
    let samples: Vec<Measurement> = [Value::Float(1.0), of(2.0), Value::Float(3.0), of(4.0)]
        .into_iter()
        .zip(1..)
        .map(|(value, t_ms)| Measurement { t_ms, start_ms: 0, value })
        .collect();
    let mixed = folded(ones(&samples));
    assert!(mixed.is_mixed());
    assert_eq!((mixed.samples(), mixed.last_ms()), (4, Some(4)));
    assert_eq!(mixed.floats.unwrap().last.t_ms, 3);
    assert_eq!(mixed.histograms.unwrap().first.t_ms, 2);
}
