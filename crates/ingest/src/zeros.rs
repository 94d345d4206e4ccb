//! Zeros where counters began: what a counter was at its samples' start timestamp, so that its first samples count in full
//! where queries look at values alone.
//!
//! Invariant: a zero lies before the sample that told of it and behind every sample that the series is known to have. It is
//! logged with that sample, so that a replay stores the same.

use crate::validate::TimeWindow;
use longhaul_model::{CounterResetHint, FloatHistogram, Histogram, Measurement, Value};
use std::sync::Arc;

/// How long before a sample its counter may have begun, ms. Counters that have run for longer than that when they are first
/// heard of begin where nobody asks, and each in another old range. (Prometheus' bound is half of a block, too.)
const AGE_MAX_MS: i64 = 3_600_000;

/// The zeros that go before `samples` of a series whose newest sample is at `newest_ms`, in the order of the samples.
pub(crate) fn zeros(samples: &[Measurement], mut newest_ms: i64, window: TimeWindow) -> Vec<Measurement> {
    let mut zeros = Vec::new();
    for sample in samples {
        let start_ms = sample.start_ms;
        let is_known = start_ms != 0 && start_ms < sample.t_ms && sample.t_ms.saturating_sub(start_ms) <= AGE_MAX_MS;
        if is_known && newest_ms < start_ms && window.check(start_ms).is_ok() {
            zeros.extend(zero_like(&sample.value).map(|value| Measurement { t_ms: start_ms, start_ms: 0, value }));
        }
        newest_ms = newest_ms.max(sample.t_ms);
    }
    zeros
}

/// What a counter of this kind is before it counts. None for what is none, or has ended.
fn zero_like(value: &Value) -> Option<Value> {
    if value.is_stale() {
        return None;
    }
    match value {
        Value::Float(_) => Some(Value::Float(0.0)),
        Value::Histogram(it) if it.reset_hint != CounterResetHint::Gauge => {
            Some(Value::Histogram(Arc::new(Histogram {
                schema: it.schema,
                zero_threshold: it.zero_threshold,
                custom_bounds: it.custom_bounds.clone(),
                ..Histogram::default()
            })))
        }
        Value::FloatHistogram(it) if it.reset_hint != CounterResetHint::Gauge => {
            Some(Value::FloatHistogram(Arc::new(FloatHistogram {
                schema: it.schema,
                zero_threshold: it.zero_threshold,
                custom_bounds: it.custom_bounds.clone(),
                ..FloatHistogram::default()
            })))
        }
        Value::Histogram(_) | Value::FloatHistogram(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WriteLimits;
    use longhaul_model::STALE_NAN_BITS;

    const NOW_MS: i64 = 100 * AGE_MAX_MS;

    fn times(samples: &[(i64, i64)], newest_ms: i64) -> Vec<i64> {
        let sample = |(t_ms, start_ms): &(i64, i64)| Measurement {
            t_ms: NOW_MS + t_ms,
            start_ms: if *start_ms == 0 { 0 } else { NOW_MS + start_ms },
            value: Value::Float(1.0),
        };
        let samples: Vec<_> = samples.iter().map(sample).collect();
        let window = TimeWindow::at(NOW_MS, &WriteLimits { retention_ms: Some(2 * AGE_MAX_MS), ..Default::default() });
        let newest_ms = if newest_ms == i64::MIN { newest_ms } else { NOW_MS + newest_ms };
        zeros(&samples, newest_ms, window).iter().map(|zero| zero.t_ms - NOW_MS).collect()
    }

    #[test]
    fn a_zero_stands_where_a_counter_began_and_nothing_came_since() {
        assert_eq!(times(&[(20, 5), (30, 5)], i64::MIN), [5]);
        assert_eq!(times(&[(20, 5)], 4), [5]);
        assert_eq!(times(&[(20, 5)], 5), [0; 0], "a delta, or the zero itself");
        assert_eq!(times(&[(20, 5), (40, 30)], 10), [30], "begun again");
        assert_eq!(times(&[(20, 20), (21, 22), (22, 0)], i64::MIN), [0; 0], "no start that a counter can have");
        assert_eq!(times(&[(40, 30), (20, 5)], i64::MIN), [30], "out of order");
        let long = [(0, -AGE_MAX_MS), (0, -AGE_MAX_MS - 1), (-AGE_MAX_MS, -2 * AGE_MAX_MS - 1)];
        assert_eq!(long.map(|it| times(&[it], i64::MIN).len()), [1, 0, 0]);
        assert_eq!(times(&[(1 - AGE_MAX_MS, -2 * AGE_MAX_MS - 1 + 1)], i64::MIN), [0; 0]);
        let far = Measurement { t_ms: i64::MAX - 1, start_ms: i64::MIN, value: Value::Float(1.0) };
        assert!(zeros(&[far], i64::MIN, TimeWindow::at(0, &WriteLimits::default())).is_empty());
    }

    #[test]
    fn zeros_are_of_the_kind_of_their_counter() {
        let custom = Histogram {
            schema: longhaul_model::histogram::SCHEMA_CUSTOM,
            count: 3,
            custom_bounds: [1.0, 2.0].into(),
            ..Histogram::default()
        };
        let float = FloatHistogram { schema: 3, zero_threshold: 0.5, count: 2.0, ..FloatHistogram::default() };
        let Some(Value::Histogram(zero)) = zero_like(&Value::Histogram(Arc::new(custom.clone()))) else { panic!() };
        assert_eq!((zero.schema, zero.count, &zero.custom_bounds[..]), (custom.schema, 0, &[1.0, 2.0][..]));
        let Some(Value::FloatHistogram(zero)) = zero_like(&Value::FloatHistogram(Arc::new(float.clone()))) else {
            panic!()
        };
        assert_eq!((zero.schema, zero.count, zero.zero_threshold), (3, 0.0, 0.5));
        let gauge = FloatHistogram { reset_hint: CounterResetHint::Gauge, ..float };
        assert!(zero_like(&Value::FloatHistogram(Arc::new(gauge))).is_none());
        let gauge = Histogram { reset_hint: CounterResetHint::Gauge, ..custom };
        assert!(zero_like(&Value::Histogram(Arc::new(gauge))).is_none());
        assert!(zero_like(&Value::Float(f64::from_bits(STALE_NAN_BITS))).is_none());
    }
}
