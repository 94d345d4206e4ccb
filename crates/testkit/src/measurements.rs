//! Made-up samples of every kind that a series can hold.

use longhaul_model::{BucketSpan, CounterResetHint, FloatHistogram, Histogram, Measurement, STALE_NAN_BITS, Value};

/// How many kinds of samples [`measurement`] makes.
pub const KINDS: u8 = 8;

/// A sample that follows from its time, its kind and `value`.
///
/// Of the kinds 0 and 1 are floats, 2 and 3 integer histograms, 4 and 5 float histograms, the odd ones with a start; 6
/// is a gauge histogram, 7 a histogram that is a stale marker. The histograms' counts grow with time, but not over
/// multiples of 700; their buckets, and the starts, depend on `value`.
pub fn measurement(t_ms: i64, kind: u8, value: u8) -> Measurement {
    let of = |started: bool, of: Value| {
        let start_ms = if started { t_ms.div_euclid(400) * 400 + i64::from(value) - 1 } else { 0 };
        Measurement { t_ms, start_ms, value: of }
    };
    match kind {
        0 | 1 => of(kind == 1, Value::Float(f64::from(value))),
        2 | 3 => of(kind == 3, Value::Histogram(histogram(t_ms, value).into())),
        4 | 5 => of(kind == 5, Value::FloatHistogram(FloatHistogram::from(&histogram(t_ms, value)).into())),
        6 => {
            let gauge = Histogram { reset_hint: CounterResetHint::Gauge, ..histogram(-t_ms, value) };
            of(false, Value::Histogram(gauge.into()))
        }
        _ => {
            let stale = Histogram { sum: f64::from_bits(STALE_NAN_BITS), ..Histogram::default() };
            of(false, Value::Histogram(stale.into()))
        }
    }
}

/// An integer histogram with two positive buckets and a negative one.
pub fn histogram(t_ms: i64, value: u8) -> Histogram {
    let grown = t_ms.rem_euclid(700) as u64 / 10;
    let offset = i32::from(value) - 1;
    Histogram {
        schema: 2,
        zero_threshold: 1e-9,
        zero_count: 3,
        count: 3 + 2 * grown + 2,
        sum: grown as f64 / 8.0,
        positive_spans: vec![BucketSpan { offset, length: 2 }],
        positive_deltas: vec![grown as i64, 0],
        negative_spans: vec![BucketSpan { offset: -offset, length: 1 }],
        negative_deltas: vec![2],
        ..Histogram::default()
    }
}
