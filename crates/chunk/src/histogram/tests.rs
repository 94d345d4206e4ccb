//! Histogram chunks: round trips to the bit, buckets that come and go, when a new chunk must begin, starts; cut, changed
//! and arbitrary bytes.

use super::*;
use crate::tests::{as_float, debug};
use crate::{Chunk, ChunkError, HistogramColumns};
use longhaul_model::{
    BucketSpan, CounterResetHint as Hint, FloatHistogram, Histogram, Measurement, STALE_NAN_BITS, Value, is_stale,
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
fn series() -> impl Strategy<Value = Vec<Measurement>> {
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

fn histogram_of(sample: &Measurement) -> HistogramRef<'_> {
    HistogramRef::of(&sample.value).unwrap()
}

fn encode(samples: &[Measurement]) -> HistogramAppender {
    let (first, rest) = samples.split_first().unwrap();
    let mut chunk = HistogramAppender::first(first.start_ms, first.t_ms, histogram_of(first));
    for sample in rest {
        chunk.append(sample.start_ms, sample.t_ms, histogram_of(sample)).unwrap();
    }
    chunk
}

fn decode(chunk: &Chunk) -> Result<Vec<Measurement>, ChunkError> {
    HistogramIterator::new(chunk)?.collect()
}

fn columns(chunk: &Chunk) -> Result<Vec<Measurement>, ChunkError> {
    let mut columns = HistogramColumns::default();
    decode_all(chunk.encoding, &chunk.data, &mut columns)?;
    let samples = columns.t_ms.iter().zip(columns.values).enumerate().map(|(at, (t_ms, value))| Measurement {
        t_ms: *t_ms,
        start_ms: columns.start_ms.get(at).copied().unwrap_or(0),
        value: Value::FloatHistogram(value),
    });
    Ok(samples.collect())
}

/// What a chunk keeps of a sample: nothing but the sum of a stale marker, and bounds of custom buckets only.
fn kept(sample: &Measurement) -> Measurement {
    let value = match &sample.value {
        Value::Histogram(it) if is_stale(it.sum) => {
            Value::Histogram(Arc::new(Histogram { sum: it.sum, ..Histogram::default() }))
        }
        Value::FloatHistogram(it) if is_stale(it.sum) => {
            Value::FloatHistogram(Arc::new(FloatHistogram { sum: it.sum, ..FloatHistogram::default() }))
        }
        other => other.clone(),
    };
    Measurement { value, ..*sample }
}

fn hints(samples: &[Measurement]) -> Vec<Hint> {
    samples
        .iter()
        .map(|sample| match &sample.value {
            Value::Float(_) => panic!("a float"),
            Value::Histogram(it) => it.reset_hint,
            Value::FloatHistogram(it) => it.reset_hint,
        })
        .collect()
}

proptest! {
    #[test]
    fn samples_round_trip_to_the_bit(samples in series()) {
        let open = encode(&samples);
        prop_assert_eq!(usize::from(open.samples()), samples.len());
        let kept: Vec<Measurement> = samples.iter().map(kept).collect();
        prop_assert_eq!(debug(&[open.last()]), debug(&kept[kept.len() - 1..]));
        let chunk = open.to_chunk();
        prop_assert_eq!((chunk.min_ms, chunk.max_ms), (samples[0].t_ms, samples.last().unwrap().t_ms));
        prop_assert_eq!(chunk.encoding.has_starts(), samples[0].start_ms != 0);
        prop_assert_eq!(crate::sample_count(&chunk), Ok(samples.len() as u16));
        let decoded = decode(&chunk).unwrap();
        prop_assert_eq!(debug(&decoded), debug(&kept));
        prop_assert_eq!(hints(&decoded), vec![Hint::Gauge; samples.len()]);
        let floats: Vec<Measurement> = kept.iter().map(as_float).collect();
        prop_assert_eq!(debug(&columns(&chunk).unwrap()), debug(&floats));
        prop_assert_eq!(open.seal(), chunk);
    }

    #[test]
    fn a_chunk_cut_short_is_an_error(samples in series(), cut in any::<prop::sample::Index>()) {
        let mut chunk = encode(&samples).seal();
        chunk.data.truncate(cut.index(chunk.data.len()));
        prop_assert!(columns(&chunk).is_err());
        prop_assert!(decode(&chunk).is_err());
        if let Ok(mut iterator) = HistogramIterator::new(&chunk) {
            prop_assert!(iterator.by_ref().take_while(Result::is_ok).count() < samples.len());
            prop_assert!(iterator.next().is_none(), "nothing follows an error");
        }
    }

    #[test]
    fn changed_bytes_never_panic(
        samples in series(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut chunk = encode(&samples).seal();
        let mut data = chunk.data.to_vec();
        changes.iter().for_each(|(at, byte)| data[at.index(chunk.data.len())] = *byte);
        chunk.data = data.into();
        agree(&chunk)?;
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300), header in prop::option::of(0_u8..60), encoding in 0_usize..4,
    ) {
        let encoding =
            [Encoding::Histogram, Encoding::FloatHistogram, Encoding::HistogramSt, Encoding::FloatHistogramSt][encoding];
        // Half of them with a modest count and a layout of few spans, so that there is something behind it.
        let header = header.map_or(Vec::new(), |count| vec![0, count, 0, 0, 0b1000_1110, 0b0010_1100 | count >> 4]);
        let data = [header, bytes].concat().into();
        agree(&Chunk { encoding, min_ms: 0, max_ms: 0, data })?;
    }
}

/// Both readings agree, also about what is an error; what can be read takes no more than its bytes can account for.
fn agree(chunk: &Chunk) -> Result<(), TestCaseError> {
    let (one_by_one, all) = (decode(chunk), columns(chunk));
    prop_assert_eq!(one_by_one.is_ok(), all.is_ok());
    if let (Ok(one_by_one), Ok(all)) = (one_by_one, all) {
        prop_assert_eq!(debug(&one_by_one.iter().map(as_float).collect::<Vec<_>>()), debug(&all));
        prop_assert_eq!(hints(&one_by_one), hints(&all));
        let spans_and_buckets: usize = all
            .iter()
            .map(|sample| match &sample.value {
                Value::FloatHistogram(it) => {
                    it.positive_spans.len()
                        + it.negative_spans.len()
                        + it.positive_counts.len()
                        + it.negative_counts.len()
                }
                _ => 0,
            })
            .sum();
        prop_assert!(spans_and_buckets <= chunk.data.len() * 8 * 6, "{spans_and_buckets}");
    }
    Ok(())
}
