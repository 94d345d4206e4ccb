//! OpenTelemetry's metrics over HTTP and gRPC: the vectors of the conformance data stored and read back, each layout and compression,
//! and the answers to what cannot be stored.

use super::{Answer, NOW_MS, Server};
use crate::config::intake::TenantIntakeConfig;
use crate::config::{AuthConfig, AuthMode, Config};
use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use longhaul_wire::proto::opentelemetry::exponential_histogram_data_point::Buckets;
use longhaul_wire::proto::opentelemetry::metric::Data;
use longhaul_wire::proto::opentelemetry::number_data_point::Value as Number;
use longhaul_wire::proto::opentelemetry::{
    AggregationTemporality, ExponentialHistogram, ExponentialHistogramDataPoint, ExportMetricsServiceRequest,
    ExportMetricsServiceResponse, Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Status, Sum,
};
use prost::Message;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use tower::ServiceExt;

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";
const NOW_NS: u64 = NOW_MS as u64 * 1_000_000;

impl Server {
    async fn otlp(&self, tenant: &str, content_type: &str, encoding: &str, body: Vec<u8>) -> Answer {
        let request = Request::post("/otlp/v1/metrics")
            .header("X-Scope-OrgID", tenant)
            .header(CONTENT_TYPE, content_type)
            .header(CONTENT_ENCODING, encoding);
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    /// All series of a tenant with their samples.
    async fn everything(&self, tenant: &str) -> Vec<Value> {
        let form = format!("query={{__name__=~\".%2B\"}}[1h]&time={}", NOW_MS as f64 / 1000.0);
        let request = Request::post("/api/v1/query")
            .header("X-Scope-OrgID", tenant)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let answer = self.send(request.body(Body::from(form)).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.json()["data"]["result"].as_array().unwrap().clone()
    }
}

async fn start() -> Server {
    let mut config = Config::default();
    config.auth.mode = AuthMode::Header;
    Server::start(config).await
}

fn request(metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }
}

fn metric(name: &str, data: Data) -> Metric {
    Metric { name: name.to_owned(), data: Some(data), ..Metric::default() }
}

fn points(value: f64) -> Vec<NumberDataPoint> {
    let value = Some(Number::AsDouble(value));
    vec![NumberDataPoint { time_unix_nano: NOW_NS, value, ..NumberDataPoint::default() }]
}

fn gauge(name: &str, value: f64) -> Metric {
    metric(name, Data::Gauge(Gauge { data_points: points(value) }))
}

fn delta(name: &str) -> Metric {
    let aggregation_temporality = AggregationTemporality::Delta as i32;
    metric(name, Data::Sum(Sum { data_points: points(1.0), aggregation_temporality, is_monotonic: true }))
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[tokio::test]
async fn the_vectors_are_answered_and_read_back() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/formats/vectors/otlp-cases.jsonl");
    let Ok(text) = std::fs::read_to_string(Path::new(path)) else { return };
    let server = start().await;
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let (tenant, expect) = (case["id"].as_str().unwrap().replace(':', "-"), &case["expect"]);
        let answer = server.otlp(&tenant, PROTOBUF, "", hex(case["body_hex"].as_str().unwrap())).await;
        let mut floats = BTreeSet::new();
        for series in expect["series"].as_array().unwrap() {
            // A stale marker ends a series; it is no sample of an answer.
            if let Some(value) = series["v"].as_f64() {
                let t_seconds = json!(series["t"].as_i64().unwrap() / 1000);
                floats.insert(
                    json!({"metric": series["labels"], "values": [[t_seconds, value.to_string()]]}).to_string(),
                );
            }
        }
        let got: BTreeSet<String> = server.everything(&tenant).await.iter().map(ToString::to_string).collect();
        assert_eq!(got, floats, "{case}");
        if expect["code"] == 200 {
            assert_eq!(answer.status, StatusCode::OK, "{case}: {}", answer.body);
            let told = ExportMetricsServiceResponse::decode(answer.bytes).unwrap();
            let rejected = told.partial_success.map_or(0, |told| told.rejected_data_points);
            assert_eq!(rejected, 0, "{case}");
        } else {
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{case}");
        }
    }
    println!("{} requests", text.lines().count());
}

#[tokio::test]
async fn both_layouts_are_taken_in_each_compression() {
    let server = start().await;
    for (content_type, said) in [(PROTOBUF, ""), ("application/json; charset=utf-8", "{}")] {
        for encoding in ["", "identity", "gzip", "zstd"] {
            let value = if content_type == PROTOBUF { 1.0 } else { 2.0 };
            let body = match content_type {
                PROTOBUF => request(vec![gauge("g", value)]).encode_to_vec(),
                _ => json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "g", "gauge": {"dataPoints": [
                    {"timeUnixNano": NOW_NS.to_string(), "asDouble": value}]}}]}]}]})
                .to_string()
                .into_bytes(),
            };
            let body = match encoding {
                "gzip" => gzip(&body),
                "zstd" => zstd::encode_all(&body[..], 3).unwrap(),
                _ => body,
            };
            let tenant = format!("{}{encoding}", value);
            let answer = server.otlp(&tenant, content_type, encoding, body).await;
            assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, said), "{content_type} {encoding}");
            let stored = server.everything(&tenant).await;
            assert_eq!(stored[0]["values"][0][1], value.to_string(), "{content_type} {encoding}");
        }
    }
}

#[tokio::test]
async fn exponential_histograms_are_queried_as_native_ones() {
    let server = start().await;
    let point = ExponentialHistogramDataPoint {
        time_unix_nano: NOW_NS,
        count: 3,
        sum: Some(6.0),
        scale: 0,
        positive: Some(Buckets { offset: 0, bucket_counts: vec![1, 2] }),
        ..ExponentialHistogramDataPoint::default()
    };
    let histogram = ExponentialHistogram {
        data_points: vec![point],
        aggregation_temporality: AggregationTemporality::Cumulative as i32,
    };
    let body = request(vec![metric("latency", Data::ExponentialHistogram(histogram))]).encode_to_vec();
    assert_eq!(server.otlp("t", PROTOBUF, "", body).await.status, StatusCode::OK);
    let stored = server.everything("t").await;
    let value = &stored[0]["histograms"][0][1];
    assert_eq!((&value["count"], &value["sum"]), (&json!("3"), &json!("6")));
    assert_eq!(value["buckets"], json!([[0, "1", "2", "1"], [0, "2", "4", "2"]]));
}

#[tokio::test]
async fn deltas_are_added_up_for_tenants_that_want_them() {
    let mut config = Config { auth: AuthConfig { mode: AuthMode::Header, insecure_bind: false }, ..Config::default() };
    let wish = TenantIntakeConfig { otlp_deltas: true, zeros_at_start: true, ..TenantIntakeConfig::default() };
    config.intake.tenants.insert("adds".to_owned(), wish);
    let server = Server::start(config).await;
    let minute_ns = 60_000_000_000;
    for (minutes_ago, amount) in [(2, 5.0), (1, 4.0), (1, 4.0), (0, 1.0)] {
        let mut sent = points(amount);
        sent[0].time_unix_nano = NOW_NS - minutes_ago * minute_ns;
        sent[0].start_time_unix_nano = sent[0].time_unix_nano - minute_ns;
        let sum = Sum {
            data_points: sent,
            aggregation_temporality: AggregationTemporality::Delta as i32,
            is_monotonic: true,
        };
        let body = request(vec![metric("paid", Data::Sum(sum))]).encode_to_vec();
        assert_eq!(server.otlp("adds", PROTOBUF, "", body.clone()).await.status, StatusCode::OK);
        assert_eq!(server.otlp("refuses", PROTOBUF, "", body).await.status, StatusCode::BAD_REQUEST);
    }
    let stored = server.everything("adds").await;
    let values: Vec<&str> =
        stored[0]["values"].as_array().unwrap().iter().map(|sample| sample[1].as_str().unwrap()).collect();
    assert_eq!(values, ["0", "5", "9", "10"], "{stored:?}");
    assert!(server.everything("refuses").await.is_empty());
}

#[tokio::test]
async fn what_cannot_be_stored_is_counted_and_the_rest_is_stored() {
    let server = start().await;
    let body = request(vec![gauge("kept", 1.0), delta("lost")]);
    let answer = server.otlp("partly", PROTOBUF, "", body.encode_to_vec()).await;
    assert_eq!((answer.status, &answer.headers[CONTENT_TYPE]), (StatusCode::OK, &PROTOBUF.parse().unwrap()));
    let told = ExportMetricsServiceResponse::decode(answer.bytes).unwrap().partial_success.unwrap();
    assert_eq!(told.rejected_data_points, 1);
    assert!(told.error_message.contains("err-longhaul-temporality-not-supported"), "{}", told.error_message);
    assert!(told.error_message.contains("\"lost\""), "{}", told.error_message);
    assert_eq!(server.everything("partly").await.len(), 1);

    let answer = server.otlp("nothing", PROTOBUF, "", request(vec![delta("lost")]).encode_to_vec()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let status = Status::decode(answer.bytes).unwrap();
    assert_eq!(status.code, 3);
    assert!(status.message.contains("err-longhaul-temporality-not-supported"), "{}", status.message);

    // In JSON counts are texts.
    let number = |at: u64| json!([{"timeUnixNano": (NOW_NS + at).to_string(), "asInt": "5"}]);
    let sum =
        |temporality: u64| json!({"dataPoints": number(0), "aggregationTemporality": temporality, "isMonotonic": true});
    let metrics = json!([{"name": "kept", "sum": sum(2)}, {"name": "lost", "sum": sum(1)}]);
    let body = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}).to_string();
    let answer = server.otlp("json", JSON, "", body.into_bytes()).await;
    assert_eq!(answer.json()["partialSuccess"]["rejectedDataPoints"], "1");

    // Nothing at all is no mistake.
    assert_eq!(server.otlp("empty", PROTOBUF, "", Vec::new()).await.status, StatusCode::OK);
    assert_eq!(server.otlp("empty", JSON, "", b"{}".to_vec()).await.body, "{}");
}

#[tokio::test]
async fn bodies_that_are_something_else_are_refused() {
    let mut config = Config::default();
    config.http.decoded_max.bytes = 100_000;
    let server = Server::start(config).await;
    let good = request(vec![gauge("g", 1.0)]).encode_to_vec();
    let bomb = gzip(&vec![b' '; 1_000_000]);
    let heavy = [0x0a, 0].repeat(30_000); // 60 kB, megabytes when decoded
    let cases: [(&str, &str, Vec<u8>, StatusCode, &str); 11] = [
        ("", "", good.clone(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "content type"),
        ("text/plain", "", good.clone(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "content type"),
        (PROTOBUF, "snappy", good.clone(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "content encoding"),
        (PROTOBUF, "gzip", good.clone(), StatusCode::BAD_REQUEST, "decompressed"),
        (PROTOBUF, "zstd", good.clone(), StatusCode::BAD_REQUEST, "decompressed"),
        (PROTOBUF, "gzip", gzip(&good)[..20].to_vec(), StatusCode::BAD_REQUEST, "decompressed"),
        (PROTOBUF, "", good[..good.len() - 1].to_vec(), StatusCode::BAD_REQUEST, "malformed protobuf"),
        (JSON, "", good, StatusCode::BAD_REQUEST, "malformed JSON"),
        (JSON, "gzip", bomb.clone(), StatusCode::PAYLOAD_TOO_LARGE, "the limit is 100000"),
        (PROTOBUF, "", vec![0; 100_001], StatusCode::PAYLOAD_TOO_LARGE, "the limit is 100000"),
        (PROTOBUF, "", heavy, StatusCode::PAYLOAD_TOO_LARGE, "the limit is 100000"),
    ];
    for (content_type, encoding, body, status, what) in cases {
        let answer = server.otlp("t", content_type, encoding, body).await;
        assert_eq!(answer.status, status, "{content_type} {encoding}: {}", answer.body);
        assert!(answer.body.contains(what), "{content_type} {encoding}: {}", answer.body);
    }
    let answer = server.otlp("t", JSON, "", b"{".to_vec()).await;
    assert_eq!(answer.json()["code"], 3);
}

impl Server {
    /// Calls the method with a body; the message of the answer, status and text of the call.
    async fn grpc(&self, headers: &[(&str, &str)], body: Vec<u8>) -> (Vec<u8>, String, String) {
        let mut request = Request::post("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export")
            .header(CONTENT_TYPE, "application/grpc");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.router.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let (parts, body) = answer.into_parts();
        assert_eq!(
            (parts.status, &parts.headers[CONTENT_TYPE]),
            (StatusCode::OK, &"application/grpc".parse().unwrap())
        );
        let collected = body.collect().await.unwrap();
        let ended = collected.trailers().unwrap_or(&parts.headers);
        let text = |name: &str| ended.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        let (status, message) = (text("grpc-status"), text("grpc-message"));
        (collected.to_bytes().to_vec(), status, message)
    }
}

fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    [&[flag][..], &(message.len() as u32).to_be_bytes(), message].concat()
}

#[tokio::test]
async fn grpc_is_another_way_to_the_same() {
    let server = start().await;
    let message = request(vec![gauge("kept", 1.0), delta("lost")]).encode_to_vec();
    for (tenant, headers, body) in [
        ("plain", vec![], framed(0, &message)),
        ("said", vec![("grpc-encoding", "gzip")], framed(0, &message)),
        ("gzip", vec![("grpc-encoding", "gzip")], framed(1, &gzip(&message))),
        ("zstd", vec![("grpc-encoding", "zstd")], framed(1, &zstd::encode_all(&message[..], 3).unwrap())),
    ] {
        let headers = [headers, vec![("x-scope-orgid", tenant)]].concat();
        let (answer, status, _) = server.grpc(&headers, body).await;
        assert_eq!(status, "0", "{tenant}");
        assert_eq!(
            (answer[0], u32::from_be_bytes(*answer[1..].first_chunk().unwrap()) as usize),
            (0, answer.len() - 5)
        );
        let told = ExportMetricsServiceResponse::decode(&answer[5..]).unwrap().partial_success.unwrap();
        assert_eq!(told.rejected_data_points, 1);
        assert_eq!(server.everything(tenant).await.len(), 1, "{tenant}");
    }
    let tenant = ("x-scope-orgid", "t");
    let brotli = ("grpc-encoding", "br");
    let nothing = framed(0, &request(vec![delta("lost")]).encode_to_vec());
    for (headers, body, status, told) in [
        (vec![], framed(0, &message), "16", "no org id"),
        (vec![tenant], vec![], "3", "too short"),
        (vec![tenant], framed(2, &message), "3", "unknown flag"),
        (vec![tenant], [framed(0, &message), framed(0, &message)].concat(), "3", "another message"),
        (vec![tenant], framed(0, &message[1..]), "3", "malformed"),
        (vec![tenant, brotli], framed(1, &message), "12", "not supported"),
        (vec![tenant], nothing, "3", "0 stored%0Aerr-longhaul-temporality-not-supported"),
    ] {
        let (answer, code, text) = server.grpc(&headers, body).await;
        assert_eq!((answer.as_slice(), code.as_str()), (&[][..], status), "{text}");
        assert!(text.contains(told), "{text}");
    }
}
