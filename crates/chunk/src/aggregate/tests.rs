//! Against the vectors that were taken from Thanos' own tests.

use super::*;
use longhaul_model::STALE_NAN_BITS;
use proptest::prelude::*;
use serde_json::Value;

/// The vectors; None outside of the project's own machines.
fn vectors() -> Option<Value> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/conformance/formats/vectors/thanos_downsample_float.json"
    );
    match std::fs::read_to_string(path) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap()),
        Err(error) if std::env::var_os("CI").is_none() => {
            println!("skipped: {path}: {error}");
            None
        }
        Err(error) => panic!("{path}: {error}"),
    }
}

fn samples(pairs: &Value) -> Vec<Sample> {
    let value = |value: &Value| match value.as_str() {
        Some("stale") => f64::from_bits(STALE_NAN_BITS),
        Some(_) => f64::NAN,
        None => value.as_f64().unwrap(),
    };
    pairs.as_array().unwrap().iter().map(|it| Sample::new(it[0].as_i64().unwrap(), value(&it[1]))).collect()
}

fn all_samples(chunks: &Value) -> Vec<Sample> {
    chunks.as_array().unwrap().iter().flat_map(samples).collect()
}

fn aggregates(chunk: &Value) -> AggregateSamples {
    let mut all = AggregateSamples::default();
    for aggregate in Aggregate::ALL {
        *all.of_mut(aggregate) = samples(&chunk[aggregate.as_str()]);
    }
    all
}

fn pairs(samples: &[Sample]) -> Vec<(i64, f64)> {
    samples.iter().map(|sample| (sample.t_ms, sample.value)).collect()
}

fn assert_same(found: &AggregateSamples, expected: &AggregateSamples, name: &str) {
    for aggregate in Aggregate::ALL {
        assert_eq!(pairs(found.of(aggregate)), pairs(expected.of(aggregate)), "{name}: {aggregate:?}");
    }
}

/// What a reader finds in the chunk that is made of `samples`.
fn packed(samples: &AggregateSamples) -> AggregateSamples {
    let parts = unpack(&pack(samples, (0, i64::MAX))).unwrap();
    let mut found = AggregateSamples::default();
    for (aggregate, part) in Aggregate::ALL.into_iter().zip(parts) {
        expand(&part.unwrap(), found.of_mut(aggregate)).unwrap();
    }
    found
}

#[test]
fn blocks_are_downsampled_as_the_vectors_say() {
    let Some(vectors) = vectors() else { return };
    let cases = vectors["downsample_block"].as_array().unwrap();
    assert_eq!(cases.len(), 6);
    for case in cases {
        let (name, resolution_ms) = (case["name"].as_str().unwrap(), case["resolution"].as_i64().unwrap());
        let found = match case["in_raw"] {
            Value::Null => {
                let chunks: Vec<AggregateSamples> =
                    case["in_aggr"].as_array().unwrap().iter().map(aggregates).collect();
                downsample_aggregates(&chunks, resolution_ms)
            }
            _ => downsample_floats(&all_samples(&case["in_raw"]), resolution_ms),
        };
        let expected = aggregates(&case["expected"][0]);
        assert_same(&found, &expected, name);
        assert_same(&packed(&found), &expected, name);
    }
}

/// With our windows, (k*r, (k+1)*r], every sample lies 1 ms later than with Thanos': the vectors, all times moved, are what
/// windows of ours hold, stamped 1 ms before their ends.
#[test]
fn windows_of_ours_are_those_of_samples_a_millisecond_earlier() {
    let Some(vectors) = vectors() else { return };
    let case = &vectors["downsample_block"][0];
    let moved: Vec<Sample> =
        all_samples(&case["in_raw"]).into_iter().map(|it| Sample::new(it.t_ms + 1, it.value)).collect();
    let back: Vec<Sample> = moved.iter().map(|it| Sample::new(it.t_ms - 1, it.value)).collect();
    let found = downsample_floats(&back, 100);
    let of_window = |number: i64| {
        let inside = |it: &&Sample| !it.value.is_nan() && number * 100 < it.t_ms && it.t_ms <= (number + 1) * 100;
        moved.iter().filter(inside).count() as f64
    };
    assert_eq!(pairs(&found.count), [(99, of_window(0)), (199, of_window(1)), (250, of_window(2))]);
}

#[test]
fn a_counter_keeps_its_resets_across_chunks() {
    let Some(vectors) = vectors() else { return };
    let case = &vectors["counter_boundary_reset"];
    let (fine_ms, coarse_ms) =
        (case["rawAggrResolution"].as_i64().unwrap(), case["aggrAggrResolution"].as_i64().unwrap());
    // A chunk a window, as Thanos' test has it.
    let raw = samples(&case["raw"]);
    let fine: Vec<AggregateSamples> = raw
        .chunk_by(|a, b| a.t_ms.div_euclid(fine_ms) == b.t_ms.div_euclid(fine_ms))
        .map(|window| downsample_floats(window, fine_ms))
        .collect();
    assert_eq!(Some(fine.len() as u64), case["expectedRawAggrChunks"].as_u64());
    let joined = |chunks: &[AggregateSamples]| -> Vec<Sample> {
        chunks.iter().flat_map(|chunk| packed(chunk).counter).collect()
    };
    assert_eq!(pairs(&joined(&fine)), pairs(&samples(&case["rawCounterSamples"])));
    assert_eq!(pairs(&apply_resets(joined(&fine))), pairs(&samples(&case["rawCounterIterate"])));
    let coarse: Vec<AggregateSamples> = fine.chunks(2).map(|chunks| downsample_aggregates(chunks, coarse_ms)).collect();
    assert_eq!(Some(coarse.len() as u64), case["aggrChunks"].as_u64());
    assert_eq!(pairs(&joined(&coarse)), pairs(&samples(&case["aggrCounterSamples"])));
    assert_eq!(pairs(&apply_resets(joined(&coarse))), pairs(&samples(&case["aggrCounterIterate"])));
}

#[test]
fn counters_are_read_as_the_vectors_say() {
    let Some(vectors) = vectors() else { return };
    let cases = vectors["apply_counter_resets"].as_array().unwrap();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let found = apply_resets(all_samples(&case["chunks"]));
        assert_eq!(pairs(&found), pairs(&samples(&case["expected"])), "{}", case["name"]);
    }
    let case = &vectors["counter_seek"];
    let behind = apply_resets(all_samples(&case["chunks"]));
    let behind: Vec<Sample> = behind.into_iter().filter(|it| it.t_ms >= case["seek"].as_i64().unwrap()).collect();
    assert_eq!(pairs(&behind), pairs(&samples(&case["expected"])));
}

#[test]
fn what_goes_back_in_time_is_passed_over() {
    let Some(vectors) = vectors() else { return };
    let case = &vectors["expand_chunk"];
    let mut chunk = XorAppender::new();
    samples(&case["input"]).iter().for_each(|it| chunk.append_any(it.t_ms, it.value));
    let mut found = Vec::new();
    expand(&chunk.seal(), &mut found).unwrap();
    assert_eq!(pairs(&found), pairs(&samples(&case["expected"])));
}

proptest! {
    #[test]
    fn aggregates_come_back(raw in prop::collection::vec((1i64..400, 0i32..50), 0..80), resolution_ms in 1i64..1000) {
        let mut t_ms = -5000;
        let raw: Vec<Sample> = raw
            .into_iter()
            .map(|(gap_ms, value)| {
                t_ms += gap_ms;
                Sample::new(t_ms, f64::from(value))
            })
            .collect();
        let found = downsample_floats(&raw, resolution_ms);
        assert_same(&packed(&found), &found, "packed");
        prop_assert_eq!(found.count.iter().map(|it| it.value).sum::<f64>(), raw.len() as f64);
        // The counter's totals are those of the samples at the same times.
        let totals = apply_resets(raw.iter().copied());
        for it in apply_resets(found.counter.iter().copied()) {
            let upto = totals.iter().rfind(|total| total.t_ms <= it.t_ms).unwrap();
            prop_assert_eq!(it.value, upto.value);
        }
    }

    #[test]
    fn any_bytes_end_in_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let chunk = Chunk { encoding: Encoding::ThanosAggregate, min_ms: 0, max_ms: 1, data: bytes.into() };
        for part in unpack(&chunk).into_iter().flatten().flatten() {
            let _ = expand(&part, &mut Vec::new());
        }
    }
}

#[test]
fn a_length_that_reaches_too_far_is_refused() {
    for data in [&[1u8][..], &[0, 0, 0, 0], &[0, 0, 0, 0, 0, 0], &[0xff; 11], &[3, 1, 0, 0]] {
        let chunk = Chunk { encoding: Encoding::ThanosAggregate, min_ms: 0, max_ms: 1, data: data.to_vec().into() };
        assert!(unpack(&chunk).is_err(), "{data:?}");
    }
}
