//! XOR chunks: round trips to the bit; cut, forged and arbitrary bytes.

use super::*;
use proptest::prelude::*;

/// Values that are awkward somewhere: every NaN payload, both zeros, subnormals, and runs of the same.
pub(crate) fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        3 => any::<u64>().prop_map(f64::from_bits),
        2 => (-5_i32..5).prop_map(f64::from),
        1 => any::<u64>().prop_map(|payload| f64::from_bits(0x7ff0_0000_0000_0000 | payload)),
        1 => (0_u64..1 << 52).prop_map(f64::from_bits),
        1 => prop_oneof![
            Just(0.0), Just(-0.0), Just(f64::INFINITY), Just(f64::MIN_POSITIVE),
            Just(f64::from_bits(longhaul_model::STALE_NAN_BITS)),
        ],
    ]
}

/// Strictly rising times: regular ones with jitter of every magnitude, and arbitrary ones.
pub(crate) fn times() -> impl Strategy<Value = Vec<i64>> {
    let arbitrary = prop::collection::btree_set(any::<i64>(), 0..40).prop_map(|set| set.into_iter().collect());
    let regular = (any::<i32>(), prop::collection::vec((1_i64..1 << 33, 0_u32..33, any::<bool>()), 0..300));
    let regular = regular.prop_map(|(start, steps)| {
        let mut t_ms = i64::from(start);
        let step = |(jitter, shift, late): (i64, u32, bool)| {
            t_ms += if late { 1 + (jitter >> shift) } else { 15_000 };
            t_ms
        };
        steps.into_iter().map(step).collect()
    });
    prop_oneof![arbitrary, regular]
}

pub(crate) fn samples() -> impl Strategy<Value = Vec<Sample>> {
    times().prop_flat_map(|times| {
        let len = times.len();
        (Just(times), prop::collection::vec(value(), len)).prop_map(|(times, values)| {
            times.into_iter().zip(values).map(|(t_ms, value)| Sample { t_ms, value }).collect()
        })
    })
}

pub(crate) fn bits(samples: impl IntoIterator<Item = Sample>) -> Vec<(i64, u64)> {
    samples.into_iter().map(|sample| (sample.t_ms, sample.value.to_bits())).collect()
}

pub(crate) fn column_bits(columns: &Columns) -> Vec<(i64, u64)> {
    bits(columns.t_ms.iter().zip(&columns.values).map(|(&t_ms, &value)| Sample { t_ms, value }))
}

fn encode(samples: &[Sample]) -> XorAppender {
    let mut chunk = XorAppender::new();
    for sample in samples {
        chunk.append(sample.t_ms, sample.value);
    }
    chunk
}

proptest! {
    #[test]
    fn samples_round_trip_to_the_bit(samples in samples()) {
        let chunk = encode(&samples);
        prop_assert_eq!(usize::from(chunk.samples()), samples.len());
        let mut columns = Columns::default();
        columns.push(i64::MIN, 1.0);
        decode_all(chunk.bytes(), &mut columns).unwrap();
        prop_assert_eq!(&column_bits(&columns)[1..], bits(samples.clone()));
        let iterated = XorIterator::new(chunk.bytes()).unwrap().map(Result::unwrap);
        prop_assert_eq!(bits(iterated), bits(samples.clone()));

        let copy = chunk.to_chunk();
        prop_assert_eq!(copy.min_ms, samples.first().map_or(i64::MAX, |sample| sample.t_ms));
        prop_assert_eq!(copy.max_ms, samples.last().map_or(i64::MIN, |sample| sample.t_ms));
        prop_assert_eq!(chunk.seal(), copy);
    }

    #[test]
    fn a_packed_chunk_holds_the_same_in_no_more_bytes(samples in samples()) {
        let (t_ms, values): (Vec<i64>, Vec<f64>) = samples.iter().map(|sample| (sample.t_ms, sample.value)).unzip();
        let packed = pack(&t_ms, &values, &mut WindowPlan::default());
        let mut columns = Columns::default();
        decode_all(&packed.data, &mut columns).unwrap();
        prop_assert_eq!(column_bits(&columns), bits(samples.clone()));
        let appended = encode(&samples).seal();
        prop_assert_eq!((packed.min_ms, packed.max_ms), (appended.min_ms, appended.max_ms));
        prop_assert!(packed.data.len() <= appended.data.len());
    }

    #[test]
    fn a_chunk_cut_short_is_an_error(samples in samples(), cut in any::<prop::sample::Index>()) {
        let chunk = encode(&samples);
        let cut = cut.index(chunk.size_bytes());
        prop_assert!(decode_all(&chunk.bytes()[..cut], &mut Columns::default()).is_err());
        if let Ok(mut iterator) = XorIterator::new(&chunk.bytes()[..cut]) {
            let good = iterator.by_ref().take_while(Result::is_ok).count();
            prop_assert!(good < samples.len());
            prop_assert!(iterator.next().is_none(), "nothing follows an error");
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300), count in 0_u16..400) {
        if let Some(head) = bytes.first_chunk_mut() {
            *head = count.to_be_bytes();
        }
        let mut columns = Columns::default();
        let decoded = decode_all(&bytes, &mut columns);
        let iterated: Option<Vec<Sample>> =
            XorIterator::new(&bytes).ok().and_then(|iterator| iterator.collect::<Result<_, _>>().ok());
        // Both readings agree, also about what is an error.
        prop_assert_eq!(decoded.is_ok(), iterated.is_some());
        if let Some(iterated) = iterated {
            prop_assert_eq!(column_bits(&columns), bits(iterated));
        }
    }
}

#[test]
fn holds_as_many_samples_as_it_can_count() {
    let samples: Vec<Sample> =
        (0..i64::from(CHUNK_SAMPLES_MAX)).map(|at| Sample::new(at * 1000, (at / 7) as f64)).collect();
    let mut columns = Columns::default();
    decode_all(encode(&samples).bytes(), &mut columns).unwrap();
    assert_eq!(column_bits(&columns), bits(samples));
}

#[test]
fn a_wide_change_does_not_widen_what_follows_it() {
    let mut values: Vec<f64> = (0..120).map(f64::from).collect();
    values[10] = 0.1;
    let t_ms: Vec<i64> = (0..120).map(|at| at * 15_000).collect();
    let samples: Vec<Sample> = t_ms.iter().zip(&values).map(|(t_ms, value)| Sample::new(*t_ms, *value)).collect();
    let packed = pack(&t_ms, &values, &mut WindowPlan::default());
    assert_eq!((encode(&samples).size_bytes(), packed.data.len()), (927, 158));
}

#[test]
fn a_count_that_the_bytes_cannot_hold_allocates_nothing() {
    let mut columns = Columns::default();
    assert!(decode_all(&[0xff, 0xff, 0, 0], &mut columns).is_err());
    assert_eq!(columns.t_ms.capacity(), 0);
}

#[test]
fn times_that_do_not_rise_are_corrupt() {
    let mut writer = BitWriter::new(&[0, 2]);
    writer.write_varint(5);
    writer.write(0, 64);
    writer.write_uvarint(0);
    writer.write(0, 1);
    let error = decode_all(writer.bytes(), &mut Columns::default()).unwrap_err();
    assert!(error.to_string().contains("times do not rise"), "{error}");
}

#[test]
fn a_window_is_reused_before_there_was_one() {
    // An appender of Prometheus that was opened again on an unchanging chunk takes the whole value for its window.
    let mut writer = BitWriter::new(&[0, 2]);
    writer.write_varint(5);
    writer.write(0, 64);
    writer.write_uvarint(1);
    writer.write(0b10, 2);
    writer.write(1.5_f64.to_bits(), 64);
    let mut columns = Columns::default();
    decode_all(writer.bytes(), &mut columns).unwrap();
    assert_eq!(columns.values, [0.0, 1.5]);
}
