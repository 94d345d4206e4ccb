//! What Grafana's Prometheus data source sends, in the order in which a user makes it send it: the connection is tested, a
//! query is built, explored, put on a dashboard. A 400, 404 or 405 to a POST makes Grafana send everything again as GET
//! from then on: no POST may get one. Both ways must give the same answers, under both prefixes.

use super::{NOW_MS, Server};
use crate::config::Config;
use axum::body::Body;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_TYPE};
use axum::http::{Method, Request, StatusCode};
use longhaul_model::{Labels, Sample};
use serde_json::{Value, json};
use url::form_urlencoded;

const GET: &[Method] = &[Method::GET];
/// Sent as a form, and as a URL by who has been refused the form.
const POST: &[Method] = &[Method::POST, Method::GET];

/// A request and the `data` that it gets.
struct Step {
    what: &'static str,
    methods: &'static [Method],
    path: &'static str,
    params: Vec<(&'static str, String)>,
    data: Value,
}

fn step(
    what: &'static str,
    methods: &'static [Method],
    path: &'static str,
    params: &[(&'static str, &str)],
    data: Value,
) -> Step {
    let params = params.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Step { what, methods, path, params, data }
}

/// Counts up by two a second, a sample every 16 s for some minutes: figures that give whole numbers.
async fn load(server: &Server) {
    let samples: Vec<Sample> = (0..=20).map(|n| Sample::new(NOW_MS - (20 - n) * 16_000, n as f64 * 32.0)).collect();
    let series = |method: &str, code: &str| {
        Labels::from_pairs([
            ("__name__", "http_requests_total"),
            ("job", "api"),
            ("http.method", method),
            ("status_code", code),
        ])
    };
    let up = Labels::from_pairs([("__name__", "up"), ("job", "api")]);
    server.write("anonymous", &[(series("GET", "200"), &samples), (series("PUT", "500"), &samples)]).await;
    server.write("anonymous", &[(up, &[Sample::new(NOW_MS, 1.0)])]).await;
}

fn the_sequence() -> Vec<Step> {
    const START: &str = "1704067200.5";
    const END: &str = "1704067800.5";
    const RANGE: [(&str, &str); 2] = [("start", START), ("end", END)];
    let with = |more: &[(&'static str, &'static str)]| [&RANGE[..], more].concat();
    let get = json!({"__name__": "http_requests_total", "http.method": "GET", "job": "api", "status_code": "200"});
    let put = json!({"__name__": "http_requests_total", "http.method": "PUT", "job": "api", "status_code": "500"});
    vec![
        // Save & test.
        step("flavour", GET, "status/buildinfo", &[], Value::Null),
        step(
            "health check",
            POST,
            "query",
            &[("query", "1+1"), ("time", "4")],
            json!({"resultType": "scalar", "result": [4, "2"]}),
        ),
        // Milliseconds, where seconds belong.
        step(
            "exemplar probe",
            POST,
            "query_exemplars",
            &[("query", "test"), ("start", "1704066000500"), ("end", "1704067800500")],
            json!([]),
        ),
        // The query builder.
        step("metadata", GET, "metadata", &[("limit", "40000")], json!({})),
        step("features of rules", GET, "rules", &[], json!({"groups": []})),
        step(
            "metric picker",
            GET,
            "label/__name__/values",
            &with(&[("limit", "40000")]),
            json!(["http_requests_total", "up"]),
        ),
        step(
            "metric picker with a search",
            GET,
            "label/__name__/values",
            &with(&[("match[]", r#"{__name__=~".*req.*"}"#), ("limit", "1000")]),
            json!(["http_requests_total"]),
        ),
        step(
            "label picker",
            POST,
            "labels",
            &with(&[("match[]", "http_requests_total"), ("limit", "40000")]),
            json!(["__name__", "http.method", "job", "status_code"]),
        ),
        step("value picker", GET, "label/job/values", &with(&[("match[]", "up"), ("limit", "40000")]), json!(["api"])),
        step(
            "value picker of an escaped name",
            GET,
            "label/U__http_2e_method/values",
            &with(&[("match[]", r#"{__name__="http_requests_total",job="api"}"#)]),
            json!(["GET", "PUT"]),
        ),
        step(
            "value picker of a name with underscores, escaped all the same",
            GET,
            "label/U__status__code/values",
            &with(&[("match[]", "http_requests_total")]),
            json!(["200", "500"]),
        ),
        step(
            "series",
            POST,
            "series",
            &with(&[("match[]", "http_requests_total"), ("limit", "40000")]),
            json!([get, put]),
        ),
        step("format", GET, "format_query", &[("query", "sum(up)by(job)")], json!("sum by (job) (up)")),
        // Explore: one range and one instant query.
        step(
            "explore, range",
            POST,
            "query_range",
            &with(&[("query", "sum(http_requests_total)"), ("step", "300")]),
            json!({"resultType": "matrix", "result": [
                {"metric": {}, "values": [[1_704_067_500.5, "64"], [1_704_067_800.5, "1280"]]}
            ]}),
        ),
        step(
            "explore, instant",
            POST,
            "query",
            &[("query", "up"), ("time", END)],
            json!({"resultType": "vector", "result": [
                {"metric": {"__name__": "up", "job": "api"}, "value": [1_704_067_800.5, "1"]}
            ]}),
        ),
        // A dashboard: `$__rate_interval` arrives as Go prints it, `$__range` as seconds.
        step(
            "panel",
            POST,
            "query_range",
            &with(&[
                ("query", r#"sum by ("http.method") (rate(http_requests_total{job=~"api"}[1m0s]))"#),
                ("step", "600"),
            ]),
            json!({"resultType": "matrix", "result": [
                {"metric": {"http.method": "GET"}, "values": [[1_704_067_800.5, "2"]]},
                {"metric": {"http.method": "PUT"}, "values": [[1_704_067_800.5, "2"]]},
            ]}),
        ),
        step(
            "panel of a sum over the whole range",
            POST,
            "query",
            &[("query", "count_over_time(up[600s])"), ("time", END)],
            json!({"resultType": "vector", "result": [{"metric": {"job": "api"}, "value": [1_704_067_800.5, "1"]}]}),
        ),
        step(
            "variable from a query",
            POST,
            "query",
            &[("query", "topk(1, up)"), ("time", END)],
            json!({"resultType": "vector", "result": [
                {"metric": {"__name__": "up", "job": "api"}, "value": [1_704_067_800.5, "1"]}
            ]}),
        ),
        step(
            "exemplars of a panel",
            POST,
            "query_exemplars",
            &with(&[("query", "rate(http_requests_total[1m0s])")]),
            json!([]),
        ),
        step(
            "annotations",
            POST,
            "query_range",
            &with(&[("query", "changes(up[1m]) > 0"), ("step", "60")]),
            json!({"resultType": "matrix", "result": []}),
        ),
        step("alert list", GET, "alerts", &[], json!({"alerts": []})),
    ]
}

fn request(prefix: &str, step: &Step, method: &Method) -> Request<Body> {
    let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs(&step.params).finish();
    let request = Request::builder().method(method.clone()).header(ACCEPT_ENCODING, "identity");
    let path = format!("{prefix}/api/v1/{}", step.path);
    if *method == Method::POST {
        let request = request.uri(path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        request.body(Body::from(encoded)).unwrap()
    } else {
        request.uri(format!("{path}?{encoded}")).body(Body::empty()).unwrap()
    }
}

async fn play(server: &Server) -> usize {
    let mut requests = 0;
    for step in the_sequence() {
        for method in step.methods {
            for prefix in ["", "/prometheus"] {
                let answer = server.send(request(prefix, &step, method)).await;
                let place = format!("{} ({method} {prefix})", step.what);
                assert_eq!(answer.status, StatusCode::OK, "{place}: {}", answer.body);
                let json = answer.json();
                assert_eq!(json["status"], "success", "{place}");
                assert_eq!(json.get("warnings"), None, "{place}");
                if !step.data.is_null() {
                    assert_eq!(json["data"], step.data, "{place}");
                }
                requests += 1;
            }
        }
    }
    requests
}

#[tokio::test]
async fn nothing_that_grafana_sends_makes_it_fall_back() {
    let server = Server::start(Config::default()).await;
    load(&server).await;
    let from_head = play(&server).await;
    server.app.ingester.flush(None).await.unwrap();
    assert_eq!(server.app.ingester.totals().samples, 0, "flushed");
    assert_eq!(play(&server).await, from_head);
    println!("{from_head} requests, each answered alike from the head and from the bucket");
}
