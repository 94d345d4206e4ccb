//! Deltas: what they come to, that each counts once, and that hostile ones take no more than there is for them.

use super::*;
use crate::proto::opentelemetry::exponential_histogram_data_point::Buckets;

const DELTA: i32 = AggregationTemporality::Delta as i32;

/// A message of one metric, of a resource that nothing is known of.
fn message(data: Data) -> Vec<u8> {
    let mut request = request(data);
    request.resource_metrics[0].resource = None;
    request.encode_to_vec()
}

fn sum(points: Vec<proto::NumberDataPoint>) -> Vec<u8> {
    message(Data::Sum(proto::Sum { data_points: points, aggregation_temporality: DELTA, is_monotonic: true }))
}

/// A delta of the second before `seconds`.
fn delta(seconds: u64, value: Number) -> proto::NumberDataPoint {
    let at = |seconds| seconds * 1_000_000_000;
    proto::NumberDataPoint {
        start_time_unix_nano: at(seconds - 1),
        time_unix_nano: at(seconds),
        value: Some(value),
        ..proto::NumberDataPoint::default()
    }
}

fn add(totals: &mut RunningTotals, message: &[u8]) -> Decoded {
    decode_deltas(message, &OtlpSettings::default(), &DecodeLimits::default(), totals, 0).unwrap()
}

/// Times in seconds and values of what becomes of a message, and how many points are refused.
fn told(totals: &mut RunningTotals, message: &[u8]) -> (Vec<(i64, f64)>, u64) {
    let Decoded { batch, refused } = add(totals, message);
    let samples = batch.samples.iter().map(|sample| (sample.t_ms / 1000, sample.value)).collect();
    (samples, refused.iter().map(|it| it.count).sum())
}

fn totals() -> RunningTotals {
    RunningTotals::new(1 << 20)
}

#[test]
fn numbers_add_up_since_the_first_one() {
    let mut totals = totals();
    let Decoded { batch, .. } = add(&mut totals, &sum(vec![delta(10, Number::AsInt(3))]));
    assert_eq!((batch.samples[0].t_ms, batch.samples[0].value, batch.starts_ms[0]), (10_000, 3.0, 9000));
    let two = [delta(12, Number::AsInt(5)), delta(11, Number::AsInt(4))];
    assert_eq!(told(&mut totals, &sum(two.to_vec())), (vec![(11, 7.0), (12, 12.0)], 0), "in the order of time");
    let Decoded { batch, .. } = add(&mut totals, &sum(vec![delta(13, Number::AsDouble(0.5))]));
    assert_eq!((batch.samples[0].value, batch.starts_ms[0]), (12.5, 9000));
    let most = sum(vec![delta(14, Number::AsInt(i64::MAX)), delta(15, Number::AsInt(i64::MAX))]);
    assert_eq!(told(&mut RunningTotals::new(1000), &most).0[1].1, 2.0 * i64::MAX as f64);
    assert_eq!(totals.len(), 1);
}

#[test]
fn each_counts_once() {
    let mut totals = totals();
    let first = sum(vec![delta(10, Number::AsInt(3))]);
    for _ in 0..2 {
        assert_eq!(told(&mut totals, &first), (vec![(10, 3.0)], 0), "sent again");
    }
    assert_eq!(told(&mut totals, &sum(vec![delta(10, Number::AsInt(4))])), (vec![], 1), "of the same time");
    assert_eq!(told(&mut totals, &sum(vec![delta(9, Number::AsInt(4))])), (vec![], 1), "late");
    let mut long = delta(11, Number::AsInt(4));
    long.start_time_unix_nano = 1;
    assert_eq!(told(&mut totals, &sum(vec![long])), (vec![], 1), "of more than the total");
    let empty = proto::NumberDataPoint { value: None, ..delta(12, Number::AsInt(0)) };
    assert_eq!(told(&mut totals, &sum(vec![empty, delta(12, Number::AsInt(1))])), (vec![(12, 4.0)], 1));
    // A request that is refused as a whole adds nothing.
    let one = DecodeLimits { samples_max: 1, ..DecodeLimits::default() };
    let two = sum(vec![delta(13, Number::AsInt(1)), delta(14, Number::AsInt(1))]);
    assert!(decode_deltas(&two, &OtlpSettings::default(), &one, &mut totals, 0).is_err());
    assert_eq!(told(&mut totals, &two), (vec![(13, 5.0), (14, 6.0)], 0));
}

#[test]
fn what_has_ended_or_is_idle_begins_anew() {
    let mut totals = totals();
    told(&mut totals, &sum(vec![delta(10, Number::AsInt(3))]));
    let mut end = delta(11, Number::AsInt(9));
    end.flags = points::NO_RECORDED_VALUE;
    let Decoded { batch, .. } = add(&mut totals, &sum(vec![end]));
    assert_eq!(batch.samples[0].value.to_bits(), STALE_NAN_BITS);
    assert_eq!((totals.len(), totals.size_bytes()), (0, 0));
    assert_eq!(told(&mut totals, &sum(vec![delta(12, Number::AsInt(2))])), (vec![(12, 2.0)], 0));
    let mut later = |now_ms, seconds| {
        let message = sum(vec![delta(seconds, Number::AsInt(1))]);
        let (settings, limits) = (OtlpSettings::default(), DecodeLimits::default());
        decode_deltas(&message, &settings, &limits, &mut totals, now_ms).unwrap().batch.samples[0].value
    };
    assert_eq!([later(3_599_999, 13), later(3_600_000, 14), later(2 * 3_600_000, 15)], [3.0, 4.0, 1.0]);
}

#[test]
fn there_is_so_much_room_and_no_more() {
    let of = |name: &str| {
        let key = proto::KeyValue {
            key: "k".to_owned(),
            value: Some(proto::AnyValue { value: Some(Any::StringValue(name.to_owned())) }),
        };
        proto::NumberDataPoint { attributes: vec![key], ..delta(10, Number::AsInt(1)) }
    };
    let mut totals = RunningTotals::new(1200);
    let many: Vec<_> = (0..100).map(|n| of(&n.to_string())).collect();
    let Decoded { batch, refused } = add(&mut totals, &sum(many.clone()));
    assert_eq!((refused[0].reason, refused[0].count + totals.len() as u64), (Reason::DeltaLimit, 100));
    assert!(totals.len() > 1 && totals.size_bytes() <= 1200 && batch.samples.len() == totals.len());
    let again = add(&mut totals, &sum(many)).batch.samples.len();
    assert_eq!(again, totals.len(), "what is known goes on");
}

#[test]
fn histograms_add_up_bucket_by_bucket_and_begin_anew_with_other_bounds() {
    let histogram = |seconds: u64, bounds: &[f64], counts: &[u64], sum| {
        let point = proto::HistogramDataPoint {
            start_time_unix_nano: (seconds - 1) * 1_000_000_000,
            time_unix_nano: seconds * 1_000_000_000,
            count: counts.iter().sum(),
            sum,
            explicit_bounds: bounds.to_vec(),
            bucket_counts: counts.to_vec(),
            ..proto::HistogramDataPoint::default()
        };
        message(Data::Histogram(proto::Histogram { data_points: vec![point], aggregation_temporality: DELTA }))
    };
    let mut totals = totals();
    let mut values = |message: &[u8]| -> Vec<f64> {
        add(&mut totals, message).batch.samples.iter().map(|sample| sample.value).collect()
    };
    // sum, count, buckets
    assert_eq!(values(&histogram(10, &[1.0, 2.0], &[1, 2, 3], Some(9.0))), [9.0, 6.0, 1.0, 3.0, 6.0]);
    assert_eq!(values(&histogram(11, &[1.0, 2.0], &[1, 0, 0], Some(0.5))), [9.5, 7.0, 2.0, 4.0, 7.0]);
    assert_eq!(values(&histogram(12, &[1.0], &[1, 1], None)), [2.0, 1.0, 2.0]);
    assert_eq!(values(&histogram(13, &[1.0], &[1, 1], Some(1.0))), [4.0, 2.0, 4.0], "a sum that is not known stays so");
    let Decoded { refused, .. } = add(&mut totals, &histogram(14, &[1.0], &[u64::MAX - 9, 0], None));
    assert_eq!(refused.len(), 0);
    let Decoded { refused, .. } = add(&mut totals, &histogram(15, &[1.0], &[9, 0], None));
    assert_eq!((refused[0].reason, refused[0].count), (Reason::DataPoint, 1), "more than can be counted");
}

fn exponential(seconds: u64, scale: i32, positive: (i32, &[u64]), negative: (i32, &[u64])) -> Vec<u8> {
    let side = |(offset, counts): (i32, &[u64])| Some(Buckets { offset, bucket_counts: counts.to_vec() });
    let point = proto::ExponentialHistogramDataPoint {
        start_time_unix_nano: (seconds - 1) * 1_000_000_000,
        time_unix_nano: seconds * 1_000_000_000,
        count: positive.1.iter().chain(negative.1).fold(1, |all, count| all.saturating_add(*count)),
        sum: Some(1.5),
        scale,
        zero_count: 1,
        positive: side(positive),
        negative: side(negative),
        ..proto::ExponentialHistogramDataPoint::default()
    };
    message(Data::ExponentialHistogram(proto::ExponentialHistogram {
        data_points: vec![point],
        aggregation_temporality: DELTA,
    }))
}

#[test]
fn exponential_histograms_add_up_at_the_coarser_scale() {
    let mut totals = totals();
    let mut told = |message: &[u8]| {
        let Decoded { batch, refused } = add(&mut totals, message);
        assert!(refused.is_empty(), "{refused:?}");
        let HistogramValue::Integer(histogram) = &batch.histograms[0].value else { panic!() };
        histogram.validate().unwrap();
        (**histogram).clone()
    };
    told(&exponential(10, 2, (4, &[1, 2, 3, 4]), (0, &[])));
    // Two buckets of scale 2 are one of scale 1: 4 and 5 become 2, 6 and 7 become 3.
    let both = told(&exponential(11, 1, (3, &[10]), (-1, &[5])));
    assert_eq!((both.schema, both.count, both.zero_count, both.sum), (1, 27, 2, 3.0));
    assert_eq!((both.positive_spans[0].offset, &both.positive_deltas[..]), (3, &[3, 14][..]), "one higher here");
    assert_eq!((both.negative_spans[0].offset, &both.negative_deltas[..]), (0, &[5][..]));
    // Buckets far apart are brought together by a coarser scale, or refused.
    let far = told(&exponential(12, 1, (1000, &[1]), (0, &[])));
    assert_eq!((far.schema, far.count), (0, 29));
    let Decoded { refused, .. } = add(&mut totals, &exponential(13, 1, (i32::MAX, &[1]), (i32::MIN, &[1])));
    assert_eq!((refused[0].reason, refused[0].count), (Reason::DataPoint, 1));
    let Decoded { refused, .. } = add(&mut totals, &exponential(13, -5, (0, &[1]), (0, &[])));
    assert_eq!((refused[0].reason, refused[0].count), (Reason::DataPoint, 1));
}

proptest! {
    /// Whatever is added, the totals stay histograms and within their room, and count what was taken.
    #[test]
    fn totals_of_any_exponential_histograms_are_histograms(
        all in prop::collection::vec((-6i32..12, -40i32..40, prop::collection::vec(0u64..9, 0..6)), 1..20)
    ) {
        let mut totals = RunningTotals::new(1 << 16);
        let mut count = 0;
        for (at, (scale, offset, counts)) in all.iter().enumerate() {
            let message = exponential(10 + at as u64, *scale, (*offset, counts), (-*offset, counts));
            let Decoded { batch, refused } = add(&mut totals, &message);
            prop_assert_eq!(refused.is_empty(), *scale >= -4);
            if let Some(sample) = batch.histograms.first() {
                let HistogramValue::Integer(histogram) = &sample.value else { panic!() };
                histogram.validate().unwrap();
                count += 1 + 2 * counts.iter().sum::<u64>();
                prop_assert_eq!(histogram.count, count);
            }
            prop_assert!(totals.size_bytes() <= 1 << 16);
        }
    }
}
