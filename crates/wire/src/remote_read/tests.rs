//! Requests and answers against the generated types, and hostile bodies.

use super::*;
use crate::proto::prometheus::{ChunkedReadResponse, ReadHints, ReadResponse, histogram};
use crate::snappy;
use bytes::Bytes;
use longhaul_model::{BucketSpan, CounterResetHint, FloatHistogram, Histogram, Measurement, Value};
use proptest::prelude::*;

fn request(accepted: &[i32], matchers: &[(i32, &str, &str)]) -> message::ReadRequest {
    let matcher = |&(kind, name, value): &(i32, &str, &str)| LabelMatcher {
        r#type: kind,
        name: name.to_owned(),
        value: value.to_owned(),
    };
    let hints = ReadHints { func: "rate".to_owned(), start_ms: 99, end_ms: -1, ..ReadHints::default() };
    let query = Query {
        start_timestamp_ms: -5,
        end_timestamp_ms: 10,
        matchers: matchers.iter().map(matcher).collect(),
        hints: Some(hints),
    };
    message::ReadRequest { queries: vec![query], accepted_response_types: accepted.to_vec() }
}

#[test]
fn requests_become_matchers_and_ranges() {
    let all = [(0, "a", "1"), (1, "b", "2"), (2, "c", "x|y"), (3, "d", "z.*")];
    let decoded = decode(&request(&[], &all).encode_to_vec()).unwrap();
    let [ReadQuery { matchers, range }] = decoded.queries.as_slice() else { panic!("{decoded:?}") };
    assert_eq!(*range, TimeRange::new(-5, 11), "hints restrict nothing");
    let texts: Vec<String> = matchers.iter().map(ToString::to_string).collect();
    assert_eq!(texts, [r#"a="1""#, r#"b!="2""#, r#"c=~"x|y""#, r#"d!~"z.*""#]);
    assert!(matchers[2].matches("y") && !matchers[2].matches("yy"), "expressions are anchored");
    assert_eq!(decode(&[]).unwrap(), ReadRequest { queries: Vec::new(), layout: Layout::Samples });
}

#[test]
fn the_first_layout_that_is_known_is_taken() {
    let cases = [
        (&[][..], Some(Layout::Samples)),
        (&[0], Some(Layout::Samples)),
        (&[1, 0], Some(Layout::StreamedChunks)),
        (&[0, 1], Some(Layout::Samples)),
        (&[7, 1], Some(Layout::StreamedChunks)),
        (&[7], None),
    ];
    for (accepted, layout) in cases {
        let decoded = decode(&request(accepted, &[]).encode_to_vec());
        assert_eq!(decoded.as_ref().ok().map(|request| request.layout), layout, "{accepted:?}: {decoded:?}");
    }
}

#[test]
fn wrong_requests_are_refused_with_a_reason() {
    let bodies = [
        (request(&[], &[(2, "a", "(")]).encode_to_vec(), "missing"),
        (request(&[], &[(4, "a", "x")]).encode_to_vec(), "invalid matcher type 4"),
        (b"\x0a\xff\xff\xff\xff\x0f".to_vec(), "no remote read request"),
        (b"\x0a\x02\x08".to_vec(), "no remote read request"),
        (vec![0x0a; 1000], "no remote read request"),
    ];
    for (body, reason) in bodies {
        let error = decode(&body).unwrap_err();
        assert!(matches!(error, WireError::Read(_)) && error.to_string().contains(reason), "{error}");
    }
}

fn integer() -> Histogram {
    Histogram {
        reset_hint: CounterResetHint::NotReset,
        schema: 1,
        zero_threshold: 0.001,
        zero_count: 2,
        count: 12,
        sum: 18.4,
        positive_spans: vec![BucketSpan { offset: -1, length: 2 }],
        negative_spans: vec![BucketSpan { offset: 3, length: 1 }],
        positive_deltas: vec![1, -1],
        negative_deltas: vec![4],
        custom_bounds: [].into(),
    }
}

fn at(t_ms: i64, value: Value) -> Measurement {
    Measurement { t_ms, start_ms: 0, value }
}

#[test]
fn samples_answers_are_one_snappy_block() {
    let labels = Labels::from_pairs([("__name__", "m"), ("a", "ü")]);
    let (integer, float) =
        (integer(), FloatHistogram { count: 0.5, sum: f64::NAN, ..FloatHistogram::from(&integer()) });
    let mut answer = SamplesAnswer::default();
    answer.end_query();
    let all = [
        at(1, Value::Float(0.5)),
        at(2, Value::Float(f64::NEG_INFINITY)),
        at(3, Value::Histogram(integer.into())),
        at(4, Value::FloatHistogram(float.into())),
    ];
    answer.push_series(&labels, all);
    answer.push_series(&Labels::empty(), [at(i64::MIN, Value::Float(-0.0))]);
    answer.end_query();
    let size_bytes = answer.size_bytes();
    let message = snappy::decompress(&answer.into_body(), size_bytes).unwrap();
    assert_eq!(message.len(), size_bytes);

    let decoded = ReadResponse::decode(message).unwrap();
    let [empty, full] = decoded.results.as_slice() else { panic!("{decoded:?}") };
    assert!(empty.timeseries.is_empty());
    let [first, second] = full.timeseries.as_slice() else { panic!("{full:?}") };
    let pairs: Vec<_> = first.labels.iter().map(|label| (label.name.as_str(), label.value.as_str())).collect();
    assert_eq!(pairs, [("__name__", "m"), ("a", "ü")]);
    let samples: Vec<_> = first.samples.iter().map(|sample| (sample.timestamp, sample.value)).collect();
    assert_eq!(samples, [(1, 0.5), (2, f64::NEG_INFINITY)]);
    let [whole, parts] = first.histograms.as_slice() else { panic!("{first:?}") };
    assert_eq!((whole.timestamp, whole.schema, whole.sum, whole.reset_hint), (3, 1, 18.4, 2));
    assert_eq!(whole.count, Some(histogram::Count::CountInt(12)));
    assert_eq!(whole.zero_count, Some(histogram::ZeroCount::ZeroCountInt(2)));
    assert_eq!((&whole.positive_deltas[..], &whole.negative_deltas[..]), (&[1, -1][..], &[4][..]));
    assert_eq!((whole.positive_spans[0].offset, whole.negative_spans[0].length), (-1, 1));
    assert_eq!(parts.count, Some(histogram::Count::CountFloat(0.5)));
    assert_eq!((&parts.positive_counts[..], parts.sum.is_nan()), (&[1.0, 0.0][..], true));
    assert!(second.samples[0].value.is_sign_negative() && second.samples[0].timestamp == i64::MIN);
}

fn chunks(count: usize, bytes: usize) -> Vec<ReadChunk> {
    let chunk = |number: usize| ReadChunk {
        encoding: 1,
        min_ms: number as i64 * 10,
        max_ms: number as i64 * 10 + 9,
        data: Bytes::from(vec![number as u8; bytes]),
    };
    (0..count).map(chunk).collect()
}

/// Takes frames apart as a reader does.
fn frames(mut bytes: &[u8]) -> Vec<ChunkedReadResponse> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let length = prost::encoding::decode_varint(&mut bytes).unwrap() as usize;
        let (checksum, rest) = bytes.split_first_chunk().unwrap();
        let (message, rest) = rest.split_at(length);
        assert_eq!(u32::from_be_bytes(*checksum), crc32c::crc32c(message));
        frames.push(ChunkedReadResponse::decode(message).unwrap());
        bytes = rest;
    }
    frames
}

#[test]
fn the_checksum_of_a_frame_is_the_published_one() {
    // The check value of CRC-32C.
    assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
}

proptest! {
    #[test]
    fn a_series_keeps_its_chunks_over_frames(count in 0usize..20, bytes in 0usize..100, max in 0usize..500) {
        let labels = Labels::from_pairs([("__name__", "m"), ("pod", "p-1")]);
        let mut out = Vec::new();
        push_frames(&mut out, 3, &labels, chunks(count, bytes), max);
        let frames = frames(&out);
        prop_assert_eq!(frames.is_empty(), count == 0);
        let mut found = Vec::new();
        for frame in frames {
            prop_assert_eq!(frame.query_index, 3);
            prop_assert_eq!(frame.chunked_series.len(), 1);
            let series = &frame.chunked_series[0];
            prop_assert_eq!(&series.labels, &super::labels(&labels));
            let last = series.chunks.last().unwrap().encoded_len();
            prop_assert!(series.chunks.len() == 1 || series.encoded_len() <= max + last + 64);
            found.extend(series.chunks.iter().map(|chunk| ReadChunk {
                encoding: chunk.r#type as u8,
                min_ms: chunk.min_time_ms,
                max_ms: chunk.max_time_ms,
                data: Bytes::from(chunk.data.clone()),
            }));
        }
        prop_assert_eq!(found, chunks(count, bytes));
    }

    #[test]
    fn hostile_requests_end_in_an_answer(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        drop(decode(&body));
    }

    #[test]
    fn changed_requests_end_in_an_answer(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = request(&[1], &[(2, "a", "x.*"), (0, "b", "")]).encode_to_vec();
        let at = at.index(body.len());
        body[at] = byte;
        drop(decode(&body));
    }
}
