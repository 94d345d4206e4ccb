//! XOR2 chunks: round trips with start times, cut and arbitrary bytes, and what Prometheus recorded.

use super::*;
use crate::xor::tests::{bits, column_bits, samples};
use proptest::prelude::*;

fn encode(samples: &[(Sample, i64)]) -> Xor2Appender {
    let mut chunk = Xor2Appender::new();
    for (sample, start_ms) in samples {
        chunk.append(*start_ms, sample.t_ms, sample.value);
    }
    chunk
}

/// Samples with starts: none at all, some that change seldom, or arbitrary ones.
fn started() -> impl Strategy<Value = Vec<(Sample, i64)>> {
    let start = prop_oneof![Just(0_i64), 1_i64..3, any::<i64>()];
    (samples(), 0..3, prop::collection::vec(start, 300)).prop_map(|(samples, kind, starts)| {
        let start_ms = |at: usize| match kind {
            0 => 0,
            1 => starts[at / 50],
            _ => starts[at],
        };
        samples.into_iter().enumerate().map(|(at, sample)| (sample, start_ms(at))).collect()
    })
}

proptest! {
    #[test]
    fn samples_and_starts_round_trip_to_the_bit(samples in started()) {
        let chunk = encode(&samples);
        let mut columns = Columns::default();
        decode_all(chunk.bytes(), &mut columns).unwrap();
        prop_assert_eq!(column_bits(&columns), bits(samples.iter().map(|(sample, _)| *sample)));
        let iterated: Vec<StartedSample> = Xor2Iterator::new(chunk.bytes()).unwrap().map(Result::unwrap).collect();
        prop_assert_eq!(bits(iterated.iter().map(|item| item.sample)), column_bits(&columns));
        let starts: Vec<i64> = iterated.iter().map(|item| item.start_ms).collect();
        prop_assert_eq!(starts, samples.iter().map(|(_, start_ms)| *start_ms).collect::<Vec<_>>());
    }

    #[test]
    fn a_packed_chunk_holds_the_same(samples in started()) {
        let columns = |of: fn(&(Sample, i64)) -> i64| samples.iter().map(of).collect::<Vec<_>>();
        let (start_ms, t_ms) = (columns(|it| it.1), columns(|it| it.0.t_ms));
        let values: Vec<f64> = samples.iter().map(|(sample, _)| sample.value).collect();
        let packed = pack(&start_ms, &t_ms, &values, &mut WindowPlan::default());
        let appended = encode(&samples).seal();
        let all = |chunk: &Chunk| -> Vec<_> {
            let samples = Xor2Iterator::new(&chunk.data).unwrap().map(Result::unwrap);
            samples.map(|it| (it.start_ms, it.sample.t_ms, it.sample.value.to_bits())).collect()
        };
        prop_assert_eq!(all(&packed), all(&appended));
        prop_assert_eq!((packed.min_ms, packed.max_ms), (appended.min_ms, appended.max_ms));
    }

    #[test]
    fn a_chunk_cut_short_is_an_error(samples in started(), cut in any::<prop::sample::Index>()) {
        let chunk = encode(&samples);
        let cut = cut.index(chunk.bytes().len());
        prop_assert!(decode_all(&chunk.bytes()[..cut], &mut Columns::default()).is_err());
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300), count in 0_u16..400) {
        if let Some(head) = bytes.first_chunk_mut() {
            *head = count.to_be_bytes();
        }
        let decoded = decode_all(&bytes, &mut Columns::default());
        let iterated = Xor2Iterator::new(&bytes).and_then(|iterator| iterator.collect::<Result<Vec<_>, _>>());
        if usize::from(count) <= bytes.len() * 8 {
            prop_assert_eq!(decoded.is_ok(), iterated.is_ok());
        }
    }
}

/// Chunks that the appender of Prometheus 3.14 wrote (its `tsdb/chunkenc` fed with `[start, time, bits]`): with and
/// without starts, of 126 to 129 samples where the start header runs full, stale markers, NaNs, wild times.
#[test]
fn reads_and_writes_what_prometheus_writes() {
    let vectors: Vec<&str> = include_str!("vectors.jsonl").lines().collect();
    assert_eq!(vectors.len(), 36);
    for line in vectors {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let data = crate::tests::from_hex(case["data_hex"].as_str().unwrap());
        let samples: Vec<(Sample, i64)> = case["samples"]
            .as_array()
            .unwrap()
            .iter()
            .map(|sample| {
                let value = u64::from_str_radix(sample[2].as_str().unwrap(), 16).unwrap();
                (Sample::new(sample[1].as_i64().unwrap(), f64::from_bits(value)), sample[0].as_i64().unwrap())
            })
            .collect();
        assert_eq!(encode(&samples).bytes(), data);
        let mut columns = Columns::default();
        decode_all(&data, &mut columns).unwrap();
        assert_eq!(column_bits(&columns), bits(samples.iter().map(|(sample, _)| *sample)));
        let starts: Vec<i64> = Xor2Iterator::new(&data).unwrap().map(|item| item.unwrap().start_ms).collect();
        assert_eq!(starts, samples.iter().map(|(_, start_ms)| *start_ms).collect::<Vec<_>>());
    }
}
