//! Series of histograms to test with: of arbitrary numbers, and as clients send them.

use crate::histogram::spans;
use longhaul_model::{
    BucketSpan, CounterResetHint as Hint, FloatHistogram, Histogram, Measurement, STALE_NAN_BITS, Value,
};
use proptest::prelude::*;
use std::sync::Arc;

/// What the histograms of a series have in common.
#[derive(Clone, Debug)]
struct Shape {
    schema: i32,
    zero_threshold: f64,
    positive_spans: Vec<BucketSpan>,
    negative_spans: Vec<BucketSpan>,
    custom_bounds: Arc<[f64]>,
}

fn spans() -> impl Strategy<Value = Vec<BucketSpan>> {
    let span = (0_i32..4, 0_u32..4).prop_map(|(offset, length)| BucketSpan { offset, length });
    let first = prop_oneof![8 => -20_i32..20, 1 => Just(i32::MIN), 1 => Just(i32::MAX)];
    (first, prop::collection::vec(span, 0..6)).prop_map(|(first, mut spans)| {
        spans.iter_mut().take(1).for_each(|span| span.offset = first);
        spans
    })
}

fn shape() -> impl Strategy<Value = Shape> {
    let schema = prop_oneof![-4_i32..=8, Just(-53)];
    let zero_threshold = prop_oneof![
        (-250_i32..15).prop_map(|exponent| 2_f64.powi(exponent)),
        any::<u64>().prop_map(f64::from_bits),
        prop_oneof![Just(0.0), Just(-0.0), Just(0.001)],
    ];
    let bound = prop_oneof![
        (-10_i32..40_000_000).prop_map(|thousandths| f64::from(thousandths) / 1000.0),
        crate::xor::tests::value(),
    ];
    (schema, zero_threshold, spans(), spans(), prop::collection::vec(bound, 0..5)).prop_map(
        |(schema, zero_threshold, positive_spans, negative_spans, bounds)| Shape {
            schema,
            zero_threshold,
            positive_spans,
            negative_spans,
            custom_bounds: if schema == -53 { bounds.into() } else { Arc::default() },
        },
    )
}

/// Pseudo-random numbers from a seed: a strategy a bucket would take minutes.
#[derive(Clone, Debug)]
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Small ones, and those of every magnitude.
    fn integer(&mut self) -> i64 {
        match self.next() % 4 {
            0 => self.next() as i64 >> (self.next() % 64),
            _ => (self.next() % 7) as i64 - 3,
        }
    }

    /// Small ones, special ones, every NaN, and any bits.
    fn float(&mut self) -> f64 {
        match self.next() % 8 {
            0 => f64::from_bits(self.next()),
            1 => f64::from_bits(0x7ff0_0000_0000_0000 | self.next() >> (self.next() % 64)),
            2 => [0.0, -0.0, f64::INFINITY, f64::MIN_POSITIVE][self.next() as usize % 4],
            _ => (self.next() % 7) as f64 - 3.0,
        }
    }
}

/// An arbitrary gauge histogram of a shape.
fn histogram(shape: &Shape, float: bool, numbers: &mut Numbers) -> Value {
    let Shape { schema, zero_threshold, positive_spans, negative_spans, custom_bounds } = shape.clone();
    let buckets = [&positive_spans, &negative_spans].map(|spans| spans::bucket_count(spans));
    let reset_hint = Hint::Gauge;
    let sum = if numbers.next().is_multiple_of(64) { f64::from_bits(STALE_NAN_BITS) } else { numbers.float() };
    if float {
        let [positive_counts, negative_counts] = buckets.map(|count| (0..count).map(|_| numbers.float()).collect());
        let (zero_count, count) = (numbers.float(), numbers.float());
        return Value::FloatHistogram(Arc::new(FloatHistogram {
            reset_hint,
            schema,
            zero_threshold,
            zero_count,
            count,
            sum,
            positive_spans,
            negative_spans,
            positive_counts,
            negative_counts,
            custom_bounds,
        }));
    }
    let [positive_deltas, negative_deltas] = buckets.map(|count| (0..count).map(|_| numbers.integer()).collect());
    let (zero_count, count) = (numbers.integer() as u64, numbers.integer() as u64);
    Value::Histogram(Arc::new(Histogram {
        reset_hint,
        schema,
        zero_threshold,
        zero_count,
        count,
        sum,
        positive_spans,
        negative_spans,
        positive_deltas,
        negative_deltas,
        custom_bounds,
    }))
}

/// A series of gauge histograms of one shape, and starts: none, few that change seldom, or arbitrary ones. Of gauges a
/// chunk takes any; only the last may be a stale marker.
pub(super) fn series() -> impl Strategy<Value = Vec<Measurement>> {
    let first_ms = prop_oneof![Just(i64::MIN), any::<i32>().prop_map(i64::from)];
    let count = prop_oneof![5 => 1_usize..40, 1 => 120_usize..150];
    (shape(), any::<bool>(), first_ms, count, 0..3_u8, 1..u64::MAX).prop_map(
        |(shape, float, first_ms, count, starts, seed)| {
            let mut numbers = Numbers(seed);
            let mut t_ms = first_ms;
            let mut samples: Vec<Measurement> = Vec::new();
            for at in 0..count {
                let start_ms = match starts {
                    0 => 0,
                    1 if at % 50 > 0 => samples[at - 1].start_ms,
                    _ => numbers.integer(),
                };
                let value = histogram(&shape, float, &mut numbers);
                let stale = value.is_stale();
                samples.push(Measurement { t_ms, start_ms, value });
                if stale {
                    break;
                }
                let late_ms = (numbers.next() >> 24 >> (numbers.next() % 40)) as i64;
                t_ms += 15_000 + if numbers.next().is_multiple_of(3) { late_ms } else { 0 };
            }
            // A chunk has starts if its first sample has one.
            if starts > 0 && samples[0].start_ms == 0 {
                samples[0].start_ms = 7;
            }
            samples
        },
    )
}

/// A series as clients send it: counters and runs of gauges, buckets that come and go, resets, other layouts, stale
/// markers.
pub(crate) fn counters(times: impl IntoIterator<Item = i64>, float: bool, starts: bool, seed: u64) -> Vec<Measurement> {
    let mut numbers = Numbers(seed);
    let (mut schema, mut gauge, mut start_ms) = (1, false, 0);
    let mut counts = [0_i64; 12];
    let sample = |t_ms: i64| {
        if numbers.next().is_multiple_of(20) {
            match numbers.next() % 4 {
                0 => schema = [1, 2, -53][numbers.next() as usize % 3],
                1 => gauge = !gauge,
                _ => counts = [0; 12],
            }
        }
        start_ms = match starts.then(|| numbers.next() % 4) {
            None => 0,
            Some(0) => t_ms - 100,
            Some(1) => 0,
            Some(_) => start_ms,
        };
        for _ in 0..3 {
            counts[numbers.next() as usize % 12] += (numbers.next() % 5) as i64;
        }
        // Empty buckets are sent or not; those that are not are the gaps between spans. The first four are negative.
        let mut sides = [(Vec::new(), Vec::new()), (Vec::new(), Vec::new())];
        for (index, count) in counts.iter().enumerate().skip(if schema == -53 { 4 } else { 0 }) {
            let (spans, side) = &mut sides[usize::from(index >= 4)];
            if *count == 0 && numbers.next().is_multiple_of(2) {
                continue;
            }
            let end: i32 = spans.iter().map(|span: &BucketSpan| span.offset + span.length as i32).sum();
            spans.push(BucketSpan { offset: (index as i32 - if index < 4 { 0 } else { 4 }) - end, length: 1 });
            side.push(*count);
        }
        let [(negative_spans, negative), (positive_spans, positive)] = sides;
        let total = negative.iter().chain(&positive).sum::<i64>() as u64;
        let sum = match numbers.next() % 30 {
            0 => f64::from_bits(STALE_NAN_BITS),
            _ => total as f64 * 1.5,
        };
        let deltas = |counts: &[i64]| -> Vec<i64> {
            let mut before = 0;
            counts.iter().map(|count| count - std::mem::replace(&mut before, *count)).collect()
        };
        let integer = Histogram {
            reset_hint: if gauge { Hint::Gauge } else { Hint::Unknown },
            schema,
            zero_threshold: 0.0,
            zero_count: 0,
            count: total,
            sum,
            positive_deltas: deltas(&positive),
            negative_deltas: deltas(&negative),
            positive_spans,
            negative_spans,
            custom_bounds: if schema == -53 { [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 1e9].into() } else { Arc::default() },
        };
        let value = if float {
            Value::FloatHistogram(Arc::new(FloatHistogram::from(&integer)))
        } else {
            Value::Histogram(Arc::new(integer))
        };
        Measurement { t_ms, start_ms, value }
    };
    times.into_iter().map(sample).collect()
}
