//! Federation: what is selected, what of it is newest, and the formats in which it comes.

use super::{Answer, NOW_MS, Server};
use crate::config::{AuthMode, Config};
use axum::body::Body;
use axum::http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{Request, StatusCode};
use longhaul_model::{BucketSpan, Histogram, Labels, Measurement, STALE_NAN_BITS, Sample, Value};
use longhaul_wire::proto::client::{MetricFamily, MetricType};
use prost::Message;

const LOOKBACK_MS: i64 = 300_000;

const PROTOBUF: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

async fn load(server: &Server) {
    let stale = f64::from_bits(STALE_NAN_BITS);
    let series = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.iter().copied());
    let up = |job: &str, instance: &str| series(&[("__name__", "up"), ("job", job), ("instance", instance)]);
    let all: [(Labels, &[Sample]); 6] = [
        (up("a", "x:1"), &[Sample::new(NOW_MS - 20_000, 0.0), Sample::new(NOW_MS - 5000, 1.0)]),
        (up("b", ""), &[Sample::new(NOW_MS - LOOKBACK_MS, 0.5)]),
        (up("old", "x:3"), &[Sample::new(NOW_MS - LOOKBACK_MS - 1, 1.0)]),
        (up("ended", "x:4"), &[Sample::new(NOW_MS - 20_000, 1.0), Sample::new(NOW_MS - 5000, stale)]),
        (up("future", "x:5"), &[Sample::new(NOW_MS, 2e6), Sample::new(NOW_MS + 1, 3.0)]),
        (series(&[("__name__", "a.b"), ("c.d", "\"\n"), ("instance", "x:1")]), &[Sample::new(NOW_MS, f64::NAN)]),
    ];
    server.write("anonymous", &all).await;
}

async fn federate(server: &Server, query: &str, accept: &str) -> Answer {
    server.send(Request::get(format!("/federate?{query}")).header(ACCEPT, accept).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn the_newest_samples_are_exposed() {
    let server = Server::start(Config::default()).await;
    load(&server).await;
    let everything = "match[]=up&match[]=%7Bjob%3D~%22.%2B%22%7D&match[]=%7B__name__%3D%22a.b%22%7D";
    for place in ["the head", "the bucket"] {
        let answer = federate(&server, everything, "").await;
        assert_eq!(answer.status, StatusCode::OK, "{place}");
        assert_eq!(answer.headers[CONTENT_TYPE], "text/plain; version=0.0.4; charset=utf-8; escaping=underscores");
        let lines = [
            "# TYPE a_b untyped".to_owned(),
            format!("a_b{{c_d=\"\\\"\\n\",instance=\"x:1\"}} NaN {NOW_MS}"),
            "# TYPE up untyped".to_owned(),
            format!("up{{instance=\"x:1\",job=\"a\"}} 1 {}", NOW_MS - 5000),
            format!("up{{instance=\"x:5\",job=\"future\"}} 2e+06 {NOW_MS}"),
            format!("up{{job=\"b\",instance=\"\"}} 0.5 {}", NOW_MS - LOOKBACK_MS),
        ];
        assert_eq!(answer.body.lines().collect::<Vec<_>>(), lines, "{place}");
        assert_eq!(server.get(&format!("/prometheus/federate?{everything}")).await.body, answer.body);

        let utf8 = federate(&server, everything, "text/plain;escaping=allow-utf-8").await;
        assert!(utf8.body.contains(&format!("{{\"a.b\",\"c.d\"=\"\\\"\\n\",instance=\"x:1\"}} NaN {NOW_MS}\n")));
        server.app.ingester.flush(None).await.unwrap();
    }
}

#[tokio::test]
async fn protobuf_is_negotiated() {
    let server = Server::start(Config::default()).await;
    load(&server).await;
    let answer = federate(&server, "match[]=up", &format!("{PROTOBUF};q=0.7,*/*;q=0.1")).await;
    assert!(answer.headers[CONTENT_TYPE].to_str().unwrap().starts_with("application/vnd.google.protobuf; proto="));
    let mut rest = answer.bytes.clone();
    let family = MetricFamily::decode_length_delimited(&mut rest).unwrap();
    assert!(rest.is_empty());
    assert_eq!((family.name(), family.metric.len()), ("up", 3));
    assert_eq!(family.metric[0].untyped.unwrap().value(), 1.0);
    assert_eq!(family.metric[0].timestamp_ms(), NOW_MS - 5000);
}

/// Native histograms go to those who ask for protobuf.
#[tokio::test]
async fn histograms_are_federated() {
    let server = Server::start(Config::default()).await;
    load(&server).await;
    let histogram = |count: u64, sum: f64| Histogram {
        count,
        sum,
        positive_spans: vec![BucketSpan { offset: 2, length: 1 }],
        positive_deltas: vec![count as i64],
        ..Histogram::default()
    };
    let at = |t_ms: i64, it: Histogram| Measurement { t_ms, start_ms: 0, value: Value::Histogram(it.into()) };
    let labels = |name: &str| Labels::from_pairs([("__name__", name), ("kind", "native")]);
    let (old, new) = (at(NOW_MS - 15_000, histogram(3, 10.0)), at(NOW_MS, histogram(4, 12.5)));
    server.put(&labels("sizes"), vec![old, new], &[]).await;
    let ended = at(NOW_MS, histogram(0, f64::from_bits(STALE_NAN_BITS)));
    server.put(&labels("ended"), vec![at(NOW_MS - 15_000, histogram(1, 1.0)), ended], &[]).await;
    for place in ["the head", "the bucket"] {
        let query = "match[]=%7Bkind%3D%22native%22%7D";
        assert_eq!(federate(&server, query, "text/plain").await.body, "", "{place}");
        let mut answer = federate(&server, query, PROTOBUF).await.bytes;
        let family = MetricFamily::decode_length_delimited(&mut answer).unwrap();
        assert!(answer.is_empty(), "{place}");
        assert_eq!((family.name(), family.r#type(), family.metric.len()), ("sizes", MetricType::Histogram, 1));
        let found = family.metric[0].histogram.as_ref().unwrap();
        assert_eq!((found.sample_count_float(), found.sample_sum()), (4.0, 12.5), "{place}");
        assert_eq!((found.positive_span[0].offset(), &found.positive_count[..]), (2, &[4.0][..]), "{place}");
        server.app.ingester.flush(None).await.unwrap();
    }
}

#[tokio::test]
async fn federation_has_prometheus_edges() {
    let server = Server::start(Config::default()).await;
    load(&server).await;
    let nothing = federate(&server, "", "").await;
    assert_eq!((nothing.status, nothing.body.as_str()), (StatusCode::OK, ""));
    let all = federate(&server, "match[]=%7B%7D", "").await;
    assert_eq!(all.body.matches("# TYPE").count(), 2, "a selector may select everything: {}", all.body);
    let wrong = federate(&server, "match[]=up&match[]=up%5B5m%5D", "").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    assert!(wrong.body.starts_with("1:3: parse error: ") && wrong.body.ends_with('\n'), "{}", wrong.body);
    let form = server.post_form("/federate", "match[]=up").await;
    assert_eq!((form.status, form.body.as_str()), (StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n"));
    let request = Request::get("/federate?match[]=up").header(ACCEPT_ENCODING, "gzip").body(Body::empty());
    assert_eq!(server.send(request.unwrap()).await.headers[CONTENT_ENCODING], "gzip");
}

#[tokio::test]
async fn limits_and_tenants_hold_for_federation() {
    let mut config = Config::default();
    config.query.series_max = 2;
    config.auth.mode = AuthMode::Header;
    let server = Server::start(config).await;
    load(&server).await;
    let ask = async |tenant: &str, query: &str| {
        let request = Request::get(format!("/federate?{query}")).header("X-Scope-OrgID", tenant);
        server.send(request.body(Body::empty()).unwrap()).await
    };
    let refused = ask("anonymous", "match[]=up").await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.body.contains("series_max is 2"), "{}", refused.body);
    assert_eq!(ask("anonymous", "match[]=up%7Bjob%3D%22a%22%7D").await.body.lines().count(), 2);
    assert_eq!(ask("other", "match[]=up").await.body, "");
    assert_eq!(server.get("/federate?match[]=up").await.status, StatusCode::UNAUTHORIZED);
}
