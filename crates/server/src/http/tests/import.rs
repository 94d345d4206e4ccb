//! Texts that are pushed: Prometheus' text format, OpenMetrics, and InfluxDB's line protocol.

use super::{Answer, NOW_MS, Server};
use crate::config::Config;
use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{Request, StatusCode};
use serde_json::Value;
use std::io::Write;

impl Server {
    async fn push(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let request = headers.iter().fold(Request::post(path), |request, (name, value)| request.header(*name, *value));
        self.send(request.body(body.into()).unwrap()).await
    }

    /// Each sample of the last hour as `metric value time`, in order.
    async fn stored(&self) -> Vec<String> {
        let form = format!("query={{__name__=~\".%2B\"}}[1h]&time={}", NOW_MS as f64 / 1000.0);
        let answer = self.post_form("/api/v1/query", &form).await;
        let result = answer.json()["data"]["result"].as_array().unwrap().clone();
        let mut lines: Vec<String> = result
            .iter()
            .flat_map(|series| {
                let values = series["values"].as_array().unwrap().iter();
                values.map(|value| format!("{} {} {}", series["metric"], value[1].as_str().unwrap(), value[0]))
            })
            .collect();
        lines.sort();
        lines
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

const NOW: &str = "1704067800.5";

#[tokio::test]
async fn texts_are_stored_and_the_wrong_lines_are_told() {
    let server = Server::start(Config::default()).await;
    let path = "/api/v1/import/prometheus";
    let text = format!("# TYPE up gauge\nup{{job=\"a\"}} 1\nold 2 {}\n", NOW_MS - 1000);
    assert_eq!(server.push(path, &[], text).await.status, StatusCode::NO_CONTENT);
    let open = format!("opened 3 {NOW}\n# EOF\n");
    let headers = [("content-type", "application/openmetrics-text; version=1.0.0"), ("content-encoding", "gzip")];
    assert_eq!(server.push(path, &headers, gzip(&open)).await.status, StatusCode::NO_CONTENT);
    let text = "good 4\nbad one\n{a=\"b\"} 1\nworse\n";
    let answer = server.push("/prometheus/api/v1/import/prometheus", &[("content-type", "text/plain")], text).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    for told in [
        "3 refused, 1 stored",
        "err-longhaul-line-malformed: a line cannot be read (2 times, first: line 2: \"one\" is no value)",
        "err-longhaul-missing-metric-name",
    ] {
        assert!(answer.body.contains(told), "{}", answer.body);
    }
    assert_eq!(
        server.stored().await,
        [
            format!("{{\"__name__\":\"good\"}} 4 {NOW}"),
            "{\"__name__\":\"old\"} 2 1704067799.5".to_owned(),
            format!("{{\"__name__\":\"opened\"}} 3 {NOW}"),
            format!("{{\"__name__\":\"up\",\"job\":\"a\"}} 1 {NOW}"),
        ]
    );
    for (headers, status) in [
        ([(CONTENT_TYPE.as_str(), "application/vnd.google.protobuf")], StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ([(CONTENT_ENCODING.as_str(), "br")], StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ([(CONTENT_ENCODING.as_str(), "gzip")], StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(server.push(path, &headers, "up 1").await.status, status, "{headers:?}");
    }
}

#[tokio::test]
async fn the_line_protocol_is_stored_wherever_its_senders_look_for_it() {
    let server = Server::start(Config::default()).await;
    for (number, path) in ["/write", "/api/v2/write", "/api/v1/push/influx/write"].into_iter().enumerate() {
        let text = format!("cpu,host=a v{number}=1.5,note=\"x\" 1704067800\n");
        let answer = server.push(&format!("{path}?db=telegraf&precision=s"), &[], text).await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::NO_CONTENT, ""), "{path}");
    }
    let answer = server.push("/write", &[("content-encoding", "gzip")], gzip("m value=2i\nm,x value=3\n")).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let error = answer.json()["error"].as_str().unwrap().to_owned();
    assert!(error.starts_with("partial write: 1 refused, 1 stored\nerr-longhaul-line-malformed"), "{error}");
    assert!(error.contains("first: line 2: the tag \"x\" is no name with a value"), "{error}");
    let of = |number: u32| format!("{{\"__name__\":\"cpu_v{number}\",\"host\":\"a\"}} 1.5 1704067800");
    let mut wanted = vec![of(0), of(1), of(2), format!("{{\"__name__\":\"m\"}} 2 {NOW}")];
    wanted.sort();
    assert_eq!(server.stored().await, wanted);
    let answer = server.push("/write?precision=d", &[], "m value=1").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let Value::String(error) = &answer.json()["error"] else { panic!("{}", answer.body) };
    assert!(error.contains("\"d\" is no precision"), "{error}");
}
