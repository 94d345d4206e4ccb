//! The payload of a sample frame: every value and every column comes back, and arbitrary bytes end in an answer.

use super::*;
use crate::tests::support::{TestBatch, World};
use longhaul_model::{STALE_NAN_BITS, Sample};
use proptest::prelude::*;

fn values_back(values: &[f64]) -> Vec<u8> {
    let (mut out, mut writer) = (Vec::new(), ValueWriter::default());
    values.iter().for_each(|value| writer.push(&mut out, *value));
    writer.finish(&mut out);
    let mut input = Input(&out);
    let read = read_values(&mut input, values.len()).unwrap();
    assert!(input.is_empty());
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&read), bits(values));
    out
}

#[test]
fn values_keep_every_bit() {
    let integers = [0i64, 1, -1, 127, 128, -129, 1 << 53, (1 << 53) + 1, i64::MAX, i64::MIN, i64::MAX - 511];
    let mut values: Vec<f64> = integers.iter().map(|integer| *integer as f64).collect();
    values.extend([-0.0, 0.0, f64::NAN, f64::from_bits(STALE_NAN_BITS), f64::from_bits(u64::MAX), f64::INFINITY]);
    values.extend([
        f64::NEG_INFINITY,
        f64::MIN_POSITIVE,
        f64::from_bits(1),
        -f64::from_bits(1),
        f64::MAX,
        f64::EPSILON,
    ]);
    values.extend([0.1, 0.5, -0.25, 1.001, 0.000001, 123.456789, 1e-9, 2e-9, -1e-9, 0.3 - 0.2, 8_999_999.999_999_999]);
    values.extend([9e6 + 0.001, 9e6 - 0.001, 1e12 + 0.5, 4e15 + 0.5, 1e18, 1e19, -1e300, 1.0 / 3.0]);
    values_back(&values);
    for value in values {
        values_back(&[value, value, -value]);
    }
}

#[test]
fn values_are_as_short_as_promised() {
    for (value, bytes) in [(0.0, 1), (1.0, 2), (-1.0, 2), (300.0, 3), (1.5e9, 5), (0.25, 3), (12.345, 3), (1e-9, 2)] {
        assert_eq!(values_back(&[f64::NAN, value]).len(), 9 + bytes, "{value}");
    }
    assert_eq!(values_back(&[0.0; 1000]).len(), 8);
    assert_eq!(values_back(&[std::f64::consts::PI]).len(), 9);
}

proptest! {
    #[test]
    fn any_values_come_back(bits in proptest::collection::vec(any::<u64>(), 0..50)) {
        values_back(&bits.iter().map(|bits| f64::from_bits(*bits)).collect::<Vec<_>>());
    }

    #[test]
    fn any_decimals_come_back(numbers in proptest::collection::vec((any::<i64>(), 0u32..64, 0i32..12), 0..50)) {
        let values = numbers.iter().map(|(number, shift, places)| (number >> shift) as f64 / 10f64.powi(*places));
        values_back(&values.collect::<Vec<_>>());
    }

    #[test]
    fn columns_come_back(groups in proptest::collection::vec((any::<i64>(), 1usize..6), 0..40)) {
        let values: Vec<i64> = groups.iter().flat_map(|(value, count)| std::iter::repeat_n(*value, *count)).collect();
        let mut out = Vec::new();
        push_column(&mut out, &values);
        let mut input = Input(&out);
        prop_assert_eq!(read_column(&mut input, values.len()), Some(values));
        prop_assert!(input.is_empty());
    }

    #[test]
    fn batches_come_back(entries in proptest::collection::vec(
        (any::<u32>(), proptest::collection::vec((any::<i64>(), any::<u64>()), 0..4)), 0..40,
    )) {
        let samples = |samples: &[(i64, u64)]| samples.iter().map(|(t, v)| Sample::new(*t, f64::from_bits(*v))).collect();
        let batch = TestBatch {
            world: World::shared(),
            tenant: 0,
            entries: entries.iter().map(|(series, list)| (*series, samples(list))).collect(),
            others: vec![Vec::new(); entries.len()],
            exemplars: vec![Vec::new(); entries.len()],
        };
        let mut out = Vec::new();
        encode(&batch, &mut Scratch::default(), &mut out).unwrap();
        let (tenant, columns) = decode(&out).unwrap();
        prop_assert_eq!(&tenant, batch.tenant());
        prop_assert_eq!(columns.series, entries.iter().map(|entry| entry.0).collect::<Vec<_>>());
        prop_assert_eq!(columns.counts, entries.iter().map(|entry| entry.1.len() as u32).collect::<Vec<_>>());
        let all: Vec<(i64, u64)> = entries.iter().flat_map(|entry| entry.1.clone()).collect();
        let read = columns.times.into_iter().zip(columns.values.into_iter().map(f64::to_bits));
        prop_assert_eq!(read.collect::<Vec<_>>(), all);
    }

    #[test]
    fn arbitrary_bytes_end_in_an_answer(mut bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = decode(&bytes);
        bytes.splice(0..0, [1, b'a']);
        let _ = decode(&bytes);
        let _ = crate::refusals::decode(&bytes);
        let _ = crate::definitions::Definitions::default().add(&bytes);
    }
}
