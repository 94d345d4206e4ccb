//! The payload of a mixed frame: every field of every histogram comes back, and what is no such payload is refused.

use super::*;
use crate::samples::{self, Scratch};
use crate::tests::support::World;
use longhaul_model::Sample;
use longhaul_testkit::measurements::{KINDS, measurement};
use proptest::prelude::*;

fn payload(others: Vec<Vec<Measurement>>) -> Vec<u8> {
    let world = World::new(&[3]);
    let entries = (0..3).map(|series| (series, vec![Sample::new(7, 1.5)])).collect();
    let batch = world.mixed(entries, others);
    let mut out = Vec::new();
    samples::encode(&batch, &mut Scratch::default(), &mut out).unwrap();
    encode(&batch, &mut out).unwrap();
    out
}

fn custom(bounds: &[f64], first: i64) -> Measurement {
    let histogram = Histogram {
        schema: longhaul_model::histogram::SCHEMA_CUSTOM,
        count: first as u64 + 3,
        sum: -0.0,
        positive_spans: vec![BucketSpan { offset: 1, length: 1 }, BucketSpan { offset: 0, length: 1 }],
        positive_deltas: vec![first, 3 - first],
        custom_bounds: bounds.into(),
        ..Histogram::default()
    };
    Measurement { t_ms: -5, start_ms: 3, value: Value::Histogram(histogram.into()) }
}

/// Every field, floats by their shortest form that is exact.
fn text(samples: &[Measurement]) -> String {
    format!("{samples:?}")
}

#[test]
fn every_field_comes_back_and_equal_bounds_are_written_once() {
    let bounds = [0.005, 0.01, 2.5];
    let mut floats = custom(&bounds, 2);
    if let Value::Histogram(it) = &floats.value {
        let mut it = FloatHistogram::from(&**it);
        (it.count, it.positive_counts[0], it.reset_hint) = (1e300, f64::MIN_POSITIVE, CounterResetHint::Gauge);
        floats.value = Value::FloatHistogram(it.into());
    }
    let others = vec![
        vec![custom(&bounds, 1), custom(&[-1.0], 2)],
        vec![],
        vec![custom(&[-1.0], 3), floats, custom(&[], 0), custom(&bounds, 0)],
    ];
    let payload = payload(others.clone());
    let (_, _, decoded) = decode(&payload).unwrap();
    assert_eq!(decoded.counts, [2, 0, 4]);
    assert_eq!(text(&decoded.samples), text(&others.concat()));
    let once = self::payload(vec![vec![custom(&bounds, 1)]]).len();
    let twice = self::payload(vec![vec![custom(&bounds, 1), custom(&bounds, 1)]]).len();
    assert!(twice - once <= 25, "{} bytes for a histogram of two buckets", twice - once);
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_and_nothing_shorter_is(
        numbers in proptest::collection::vec((0..KINDS, 0u8..4, any::<i32>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let of = |(kind, value, t): &(u8, u8, i32)| measurement(i64::from(*t), *kind, *value);
        let others: Vec<Measurement> = numbers.iter().map(of).collect();
        let payload = payload(vec![vec![], others.clone()]);
        let (_, columns, decoded) = decode(&payload).unwrap();
        prop_assert_eq!(columns.times, [7, 7, 7]);
        prop_assert_eq!(text(&decoded.samples), text(&others));
        prop_assert!(decode(&payload[..cut.index(payload.len())]).is_none());
    }

    #[test]
    fn changed_bytes_end_in_an_answer(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut payload = payload(vec![(0..KINDS).map(|kind| measurement(1000, kind, 2)).collect()]);
        for (at, byte) in changes {
            let at = at.index(payload.len());
            payload[at] = byte;
        }
        decode(&payload);
    }
}
