//! Remote read: both layouts, what they hold of a range, limits, and bodies that are not what they should be.

use super::{Answer, NOW_MS, Server};
use crate::config::{AuthMode, Config};
use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{Request, StatusCode};
use longhaul_chunk::{Chunk, Columns, Encoding, decode_any, decode_into};
use longhaul_model::histogram::SCHEMA_CUSTOM;
use longhaul_model::{
    BucketSpan, FloatHistogram, Histogram, Labels, Measurement, STALE_NAN_BITS, Sample, TimeRange, Value,
};
use longhaul_wire::proto::prometheus::label_matcher::Type;
use longhaul_wire::proto::prometheus::read_request::ResponseType;
use longhaul_wire::proto::prometheus::{
    ChunkedReadResponse, Label, LabelMatcher, Query, ReadHints, ReadRequest, ReadResponse, histogram,
};
use longhaul_wire::snappy;
use prost::Message;
use prost::bytes::Buf;
use std::collections::BTreeMap;

/// The samples of series, to the bit.
type Found = BTreeMap<String, Vec<(i64, u64)>>;

const SAMPLES: &[ResponseType] = &[ResponseType::Samples];
const CHUNKS: &[ResponseType] = &[ResponseType::StreamedXorChunks, ResponseType::Samples];

fn pod(pod: u32) -> Labels {
    let pod = format!("pod-{pod}");
    Labels::from_pairs([("__name__", "m"), ("pod", pod.as_str())])
}

/// 500 samples a series, 15 s apart, the last one now; odd values among them.
fn samples(pod: u32) -> Vec<Sample> {
    let value = |n: i64| match n {
        7 => f64::from_bits(STALE_NAN_BITS),
        8 => -0.0,
        9 => f64::NAN,
        _ => (n * i64::from(pod + 1)) as f64 / 3.0,
    };
    (0..500).map(|n| Sample::new(NOW_MS - (499 - n) * 15_000, value(n))).collect()
}

async fn load(server: &Server) {
    let all: Vec<Vec<Sample>> = (0..3).map(samples).collect();
    let batch: Vec<(Labels, &[Sample])> = (0..3).map(|n| (pod(n), all[n as usize].as_slice())).collect();
    server.write("anonymous", &batch).await;
}

fn expected(pods: &[u32], range: TimeRange) -> Found {
    let bits = |pod: u32| {
        let inside = samples(pod).into_iter().filter(|sample| range.contains(sample.t_ms));
        inside.map(|sample| (sample.t_ms, sample.value.to_bits())).collect()
    };
    pods.iter().map(|&number| (pod(number).to_string(), bits(number))).collect()
}

fn query(range: TimeRange, matchers: &[(Type, &str, &str)]) -> Query {
    let matcher = |&(kind, name, value): &(Type, &str, &str)| LabelMatcher {
        r#type: kind.into(),
        name: name.to_owned(),
        value: value.to_owned(),
    };
    Query {
        start_timestamp_ms: range.start_ms,
        end_timestamp_ms: range.end_ms - 1,
        matchers: matchers.iter().map(matcher).collect(),
        // Narrower than the range, and nonsense: neither may matter.
        hints: Some(ReadHints {
            start_ms: NOW_MS,
            end_ms: 0,
            step_ms: -1,
            func: "series".to_owned(),
            ..ReadHints::default()
        }),
    }
}

async fn post(server: &Server, body: Vec<u8>) -> Answer {
    server
        .send(Request::post("/api/v1/read").header("X-Scope-OrgID", "anonymous").body(Body::from(body)).unwrap())
        .await
}

async fn read(server: &Server, layouts: &[ResponseType], queries: Vec<Query>) -> Answer {
    let accepted_response_types = layouts.iter().map(|layout| (*layout).into()).collect();
    post(server, snappy::compress(&ReadRequest { queries, accepted_response_types }.encode_to_vec())).await
}

fn labels(labels: &[Label]) -> String {
    Labels::from_pairs(labels.iter().map(|label| (label.name.as_str(), label.value.as_str()))).to_string()
}

/// The results of an answer in the layout `SAMPLES`.
fn sampled(answer: &Answer) -> Vec<Found> {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.headers[CONTENT_TYPE], "application/x-protobuf");
    assert_eq!(answer.headers[CONTENT_ENCODING], "snappy");
    let response = ReadResponse::decode(snappy::decompress(&answer.bytes, 1 << 24).unwrap()).unwrap();
    let found = |result: &longhaul_wire::proto::prometheus::QueryResult| {
        let series = result.timeseries.iter().map(|series| {
            let samples = series.samples.iter().map(|sample| (sample.timestamp, sample.value.to_bits()));
            (labels(&series.labels), samples.collect())
        });
        series.collect()
    };
    response.results.iter().map(found).collect()
}

/// The frames of an answer in the layout `STREAMED_XOR_CHUNKS`.
fn frames(answer: &Answer) -> Vec<ChunkedReadResponse> {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.headers[CONTENT_TYPE], "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse");
    assert!(!answer.headers.contains_key(CONTENT_ENCODING));
    let (mut rest, mut frames) = (answer.bytes.clone(), Vec::new());
    while rest.has_remaining() {
        let length = prost::encoding::decode_varint(&mut rest).unwrap() as usize;
        let checksum = rest.get_u32();
        let message = rest.split_to(length);
        assert_eq!(checksum, crc32c::crc32c(&message));
        frames.push(ChunkedReadResponse::decode(message).unwrap());
    }
    frames
}

/// The results of an answer in the layout `STREAMED_XOR_CHUNKS`; series come in order of their labels, chunks in order of
/// time.
fn streamed(answer: &Answer, queries: usize) -> Vec<Found> {
    let mut results = vec![Found::new(); queries];
    for frame in frames(answer) {
        let [series] = frame.chunked_series.as_slice() else { panic!("{frame:?}") };
        let result = &mut results[frame.query_index as usize];
        let labels = labels(&series.labels);
        assert!(result.last_key_value().is_none_or(|(last, _)| *last <= labels), "{labels} is out of order");
        let found = result.entry(labels).or_default();
        for chunk in &series.chunks {
            let encoding = Encoding::try_from(chunk.r#type as u8).unwrap();
            let (min_ms, max_ms) = (chunk.min_time_ms, chunk.max_time_ms);
            let mut columns = Columns::default();
            let chunk = Chunk { encoding, min_ms, max_ms, data: chunk.data.clone().into() };
            decode_into(&chunk, TimeRange::ALL, &mut columns).unwrap();
            assert_eq!((columns.t_ms.first(), columns.t_ms.last()), (Some(&min_ms), Some(&max_ms)));
            assert!(found.last().is_none_or(|(last_ms, _)| *last_ms < min_ms), "chunks overlap");
            found.extend(columns.t_ms.iter().copied().zip(columns.values.iter().map(|value| value.to_bits())));
        }
    }
    results
}

#[tokio::test]
async fn both_layouts_hold_what_is_in_the_range() {
    let server = Server::start(Config::default()).await;
    load(&server).await;
    let at = |minutes: i64| NOW_MS - minutes * 60_000;
    let ranges = [
        TimeRange::new(at(200), at(-5)),
        TimeRange::new(at(60), at(30)),
        TimeRange::inclusive(at(10), at(10)),
        TimeRange::new(at(10) + 1, at(10) + 2),
        TimeRange::new(at(1), at(2)),
    ];
    for place in ["the head", "the bucket", "both"] {
        if place == "the bucket" {
            server.app.ingester.flush(None).await.unwrap();
        }
        if place == "both" {
            // The same once more, and what a block has overlaps what is new.
            load(&server).await;
            let late = [Sample::new(at(50) + 1, 0.5)];
            server.write("anonymous", &[(pod(9), &late)]).await;
        }
        for range in ranges {
            let matchers = [(Type::Eq, "__name__", "m"), (Type::Re, "pod", "pod-[02]"), (Type::Neq, "pod", "")];
            let queries = vec![
                query(range, &matchers),
                query(range, &[(Type::Nre, "pod", ".*")]),
                query(range, &[(Type::Eq, "pod", "pod-1")]),
            ];
            let mut wanted = vec![expected(&[0, 2], range), Found::new(), expected(&[1], range)];
            wanted.iter_mut().for_each(|result| result.retain(|_, samples| !samples.is_empty()));
            assert_eq!(sampled(&read(&server, SAMPLES, queries.clone()).await), wanted, "{place} {range}");
            assert_eq!(streamed(&read(&server, CHUNKS, queries).await, 3), wanted, "{place} {range}");
        }
    }
    let none = read(&server, &[], Vec::new()).await;
    assert_eq!(sampled(&none), [], "no layout means samples");
    assert_eq!(streamed(&read(&server, CHUNKS, Vec::new()).await, 0), []);
}

fn integer(n: u64) -> Histogram {
    Histogram {
        schema: 1,
        zero_threshold: 0.001,
        zero_count: n,
        count: 4 + n,
        sum: n as f64 / 3.0,
        positive_spans: vec![BucketSpan { offset: 0, length: 2 }],
        positive_deltas: vec![1, 2],
        ..Histogram::default()
    }
}

/// A series of all kinds: floats, then integer, then float histograms with custom bounds.
fn mixed() -> Vec<Measurement> {
    let custom = |n: u64| FloatHistogram {
        schema: SCHEMA_CUSTOM,
        count: n as f64 + 0.5,
        sum: -1.0,
        positive_spans: vec![BucketSpan { offset: 0, length: 1 }],
        positive_counts: vec![n as f64 + 0.5],
        custom_bounds: [0.25].into(),
        ..FloatHistogram::default()
    };
    let value = |n: u64| match n {
        0..10 => Value::Float(n as f64),
        10..30 => Value::Histogram(integer(n).into()),
        _ => Value::FloatHistogram(custom(n).into()),
    };
    (0..50).map(|n| Measurement { t_ms: NOW_MS - (49 - n as i64) * 15_000, start_ms: 0, value: value(n) }).collect()
}

#[tokio::test]
async fn histograms_are_read_in_both_layouts() {
    let server = Server::start(Config::default()).await;
    load(&server).await;
    let labels = Labels::from_pairs([("__name__", "mixed")]);
    server.put(&labels, mixed(), &[]).await;
    let range = TimeRange::new(NOW_MS - 45 * 15_000, NOW_MS - 1);
    let wanted: Vec<Measurement> = mixed().into_iter().filter(|it| range.contains(it.t_ms)).collect();
    let queries = || vec![query(range, &[(Type::Eq, "__name__", "mixed")])];
    for place in ["the head", "the bucket"] {
        let answer = read(&server, SAMPLES, queries()).await;
        let response = ReadResponse::decode(snappy::decompress(&answer.bytes, 1 << 24).unwrap()).unwrap();
        let [series] = response.results[0].timeseries.as_slice() else { panic!("{place}: {response:?}") };
        let times = series.samples.iter().map(|it| it.timestamp).chain(series.histograms.iter().map(|it| it.timestamp));
        assert_eq!(times.collect::<Vec<_>>(), wanted.iter().map(|it| it.t_ms).collect::<Vec<_>>(), "{place}");
        let (whole, parts) = (&series.histograms[0], series.histograms.last().unwrap());
        assert_eq!(whole.count, Some(histogram::Count::CountInt(14)), "{place}");
        assert_eq!((&whole.positive_deltas[..], whole.schema, whole.sum), (&[1, 2][..], 1, 10.0 / 3.0));
        assert_eq!(parts.count, Some(histogram::Count::CountFloat(48.5)), "{place}");
        assert_eq!((&parts.positive_counts[..], &parts.custom_values[..]), (&[48.5][..], &[0.25][..]));

        let mut found = Vec::new();
        for frame in frames(&read(&server, CHUNKS, queries()).await) {
            for chunk in &frame.chunked_series[0].chunks {
                let encoding = Encoding::try_from(chunk.r#type as u8).unwrap();
                let (min_ms, max_ms) = (chunk.min_time_ms, chunk.max_time_ms);
                let chunk = Chunk { encoding, min_ms, max_ms, data: chunk.data.clone().into() };
                decode_any(&chunk, &mut found).unwrap();
            }
        }
        assert_eq!(found.len(), wanted.len(), "{place}");
        for (found, wanted) in found.iter().zip(&wanted) {
            assert!(found.t_ms == wanted.t_ms && found.value.same(&wanted.value), "{place}: {found:?} for {wanted:?}");
        }
        server.app.ingester.flush(None).await.unwrap();
    }
}

#[tokio::test]
async fn limits_and_tenants_hold_for_reading() {
    let mut config = Config::default();
    config.query.series_max = 2;
    config.auth.mode = AuthMode::Header;
    let server = Server::start(config).await;
    load(&server).await;
    let all = || vec![query(TimeRange::ALL, &[(Type::Eq, "__name__", "m")])];
    for layouts in [SAMPLES, CHUNKS] {
        let answer = read(&server, layouts, all()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.body.contains("series_max is 2, asked for 3"), "{}", answer.body);
    }
    let body = snappy::compress(&ReadRequest { queries: all(), ..ReadRequest::default() }.encode_to_vec());
    let request = |tenant: &str| {
        let request = Request::post("/prometheus/api/v1/read").header("X-Scope-OrgID", tenant);
        request.body(Body::from(body.clone())).unwrap()
    };
    assert_eq!(sampled(&server.send(request("other")).await), [Found::new()]);
    let anonymous = Request::post("/api/v1/read").body(Body::from(body.clone())).unwrap();
    assert_eq!(server.send(anonymous).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn samples_and_bytes_of_an_answer_are_bounded() {
    let queries = || vec![query(TimeRange::ALL, &[(Type::Eq, "__name__", "m")])];
    let mut config = Config::default();
    config.query.samples_max = 1499;
    let server = Server::start(config).await;
    load(&server).await;
    let refused = read(&server, SAMPLES, queries()).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.body.contains("samples_max is 1499"), "{}", refused.body);
    assert_eq!(streamed(&read(&server, CHUNKS, queries()).await, 1)[0].len(), 3, "chunks are not decoded to be sent");

    let mut config = Config::default();
    config.query.memory_max = crate::config::quantity::Size::from_bytes(30_000);
    let server = Server::start(config).await;
    load(&server).await;
    let refused = read(&server, SAMPLES, queries()).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.body.contains("bytes_max is 30000"), "{}", refused.body);
}

#[tokio::test]
async fn hostile_bodies_end_in_a_refusal() {
    let server = Server::start(Config::default()).await;
    let regex = query(TimeRange::ALL, &[(Type::Re, "a", "(")]);
    let mut bomb = vec![0xff, 0xff, 0xff, 0x7f]; // 256 MiB, it says
    bomb.extend([0; 100]);
    let bodies = [
        (Vec::new(), "not valid snappy"),
        (b"hello".to_vec(), "not valid snappy"),
        (snappy::compress(&[0xff; 50]), "no remote read request"),
        (snappy::compress(&ReadRequest { queries: vec![regex], ..ReadRequest::default() }.encode_to_vec()), "missing"),
        (snappy::compress(&ReadRequest { queries: vec![], accepted_response_types: vec![9] }.encode_to_vec()), "[9]"),
        (bomb, "the limit is 1048576"),
        (snappy::compress(&vec![0; (1 << 20) + 1]), "the limit is 1048576"),
        (vec![0; (1 << 20) + 1], "the body has more than 1048576 bytes"),
    ];
    for (body, says) in bodies {
        let answer = post(&server, body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{says}: {}", answer.body);
        assert!(answer.body.contains(says), "{says}: {}", answer.body);
    }
    assert_eq!(server.app.query_slots.available_permits(), Config::default().query.concurrent_max);
    assert_eq!(server.get("/api/v1/read").await.status, StatusCode::METHOD_NOT_ALLOWED);
}

/// A reader that does not read, or has gone, gives its slot back.
#[tokio::test]
async fn a_stream_that_nobody_reads_frees_its_slot() {
    let mut config = Config::default();
    config.query.concurrent_max = 1;
    config.query.timeout = crate::config::quantity::Duration::from_ms(300);
    let server = Server::start(config).await;
    load(&server).await;
    // Many frames, so that the queue is full before the end.
    let queries = vec![query(TimeRange::ALL, &[(Type::Eq, "__name__", "m")]); 20];
    let accepted_response_types = vec![ResponseType::StreamedXorChunks.into()];
    let body = snappy::compress(&ReadRequest { queries, accepted_response_types }.encode_to_vec());
    let start = async || {
        let request = Request::post("/api/v1/read").body(Body::from(body.clone())).unwrap();
        tower::ServiceExt::oneshot(server.router.clone(), request).await.unwrap()
    };
    let free = async || {
        let freed = async {
            while server.app.query_slots.available_permits() == 0 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), freed).await.expect("the slot is not free again")
    };
    let gone = start().await;
    assert_eq!((gone.status(), server.app.query_slots.available_permits()), (StatusCode::OK, 0));
    drop(gone);
    free().await;

    let idle = start().await;
    assert_eq!(idle.status(), StatusCode::OK);
    free().await;
    let broken = http_body_util::BodyExt::collect(idle.into_body()).await;
    assert!(broken.is_err(), "a stream that was cut off must not look whole");
}
