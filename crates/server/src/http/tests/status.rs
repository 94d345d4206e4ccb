//! What the server says of itself, and the lists that are empty here: shapes, parameters, refusals.

use super::{NOW_MS, Server};
use crate::config::{AuthMode, Config};
use axum::body::Body;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, ORIGIN, VARY};
use axum::http::{Request, StatusCode};
use longhaul_model::{Labels, Sample};
use longhaul_wire::proto::prometheus::{MetricMetadata, WriteRequest};
use longhaul_wire::snappy;
use prost::Message;
use serde_json::{Value, json};

async fn data(server: &Server, path: &str) -> Value {
    let answer = server.get(&format!("/api/v1/{path}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
    answer.json()["data"].clone()
}

async fn error(server: &Server, path: &str) -> (u16, String) {
    let answer = server.get(&format!("/api/v1/{path}")).await;
    (answer.status.as_u16(), answer.json()["error"].as_str().unwrap().to_owned())
}

async fn load(server: &Server) {
    for (name, job, count) in [("up", "a", 1), ("requests", "b", 3)] {
        for pod in 0..count {
            let pod = format!("pod-{pod}");
            let labels = Labels::from_pairs([("__name__", name), ("job", job), ("pod", pod.as_str())]);
            let samples = [Sample::new(NOW_MS - 1000, 0.0), Sample::new(NOW_MS, 1.0)];
            server.write("anonymous", &[(labels, &samples)]).await;
        }
    }
}

#[tokio::test]
async fn what_is_in_memory_is_counted() {
    let server = Server::start(Config::default()).await;
    load(&server).await;
    let status = data(&server, "status/tsdb?limit=2").await;
    assert_eq!(
        status["headStats"],
        json!({"numSeries": 4, "numLabelPairs": 7, "chunkCount": 4, "minTime": NOW_MS - 1000, "maxTime": NOW_MS})
    );
    let list = |key: &str| -> Vec<(String, u64)> {
        let items = status[key].as_array().unwrap().iter();
        items.map(|item| (item["name"].as_str().unwrap().to_owned(), item["value"].as_u64().unwrap())).collect()
    };
    let expected = |items: [(&str, u64); 2]| items.map(|(name, count)| (name.to_owned(), count));
    assert_eq!(list("seriesCountByMetricName"), expected([("requests", 3), ("up", 1)]));
    assert_eq!(list("labelValueCountByLabelName"), expected([("pod", 3), ("__name__", 2)]));
    assert_eq!(list("memoryInBytesByLabelName"), expected([("__name__", 26), ("pod", 20)]));
    assert_eq!(list("seriesCountByLabelValuePair"), expected([("__name__=requests", 3), ("job=b", 3)]));
    for (limit, text) in [
        ("0", "limit must be a positive number"),
        ("x", "limit must be a positive number"),
        ("10001", "limit must not exceed 10000"),
    ] {
        assert_eq!(error(&server, &format!("status/tsdb?limit={limit}")).await, (400, text.to_owned()));
    }

    assert_eq!(data(&server, "status/tsdb/blocks").await, json!({"blocks": []}));
    server.app.ingester.flush(None).await.unwrap();
    let blocks = data(&server, "status/tsdb/blocks").await;
    let block = &blocks["blocks"][0];
    assert_eq!(block["stats"], json!({"numSamples": 8, "numSeries": 4}));
    assert_eq!((block["version"].as_i64(), block["compaction"]["level"].as_i64()), (Some(1), Some(1)));
    assert!(block["minTime"].as_i64().unwrap() <= NOW_MS - 1000 && block["maxTime"].as_i64().unwrap() > NOW_MS);
    assert_eq!(block["compaction"]["sources"], json!([block["ulid"]]));
    assert_eq!(data(&server, "status/tsdb").await["headStats"]["chunkCount"], 0);
}

#[tokio::test]
async fn a_tenant_is_told_its_limits_and_no_more() {
    let mut config = Config::default();
    config.auth.mode = AuthMode::Header;
    config.store.url = Some("s3://secret-bucket/prefix".to_owned());
    config.query.samples_max = 123;
    let server = Server::start(config).await;
    let ask = async |path: &str| {
        let request = Request::get(format!("/api/v1/{path}")).header("X-Scope-OrgID", "someone");
        server.send(request.body(Body::empty()).unwrap()).await
    };
    let config = ask("status/config").await;
    let yaml = config.json()["data"]["yaml"].as_str().unwrap().to_owned();
    assert!(yaml.contains("samples_max: 123") && yaml.contains("lookback: 5m"), "{yaml}");
    assert!(!config.body.contains("secret") && !yaml.contains("data_dir"), "{yaml}");
    Config::parse(&yaml).unwrap();
    let flags = ask("status/flags").await.json();
    assert_eq!(flags["data"]["query.max-samples"], "123");
    assert!(flags["data"].as_object().unwrap().values().all(Value::is_string));
    for path in ["status/config", "status/flags", "status/tsdb", "features", "rules", "targets", "notifications"] {
        assert_eq!(server.get(&format!("/api/v1/{path}")).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn features_follow_from_the_engine() {
    let server = Server::start(Config::default()).await;
    let features = data(&server, "features").await;
    for (category, name, on) in [
        ("api", "admin", false),
        ("api", "query_stats", true),
        ("promql", "offset", true),
        ("promql", "fill", true),
        ("promql", "delayed_name_removal", false),
        ("promql_functions", "rate", true),
        ("promql_functions", "mad_over_time", true),
        ("promql_operators", "limitk", true),
        ("promql_operators", ">=", true),
        ("tsdb", "exemplar_storage", true),
    ] {
        assert_eq!(features[category][name], on, "{category} {name}");
    }
}

/// What a server without targets, rules and notifications answers, and what it makes of wrong parameters.
#[tokio::test]
async fn lists_are_empty_and_parameters_are_judged() {
    let server = Server::start(Config::default()).await;
    for (path, expected) in [
        ("targets?state=active", json!({"activeTargets": [], "droppedTargets": [], "droppedTargetCounts": null})),
        ("targets/metadata?match_target=%7Bjob%3D%22a%22%7D&limit=1", json!([])),
        ("rules?type=alert&exclude_alerts=TRUE&group_limit=5", json!({"groups": []})),
        ("notifications", json!([])),
        ("query_exemplars?query=up", json!([])),
        ("parse_query?query=1", json!({"type": "numberLiteral", "val": "1"})),
    ] {
        assert_eq!(data(&server, path).await, expected, "{path}");
    }
    for (path, text) in [
        ("targets/metadata?limit=x", "limit must be a number"),
        (
            "targets/metadata?match_target=%7B",
            "invalid parameter \"match_target\": 1:2: parse error: unexpected end of input inside braces",
        ),
        ("targets/relabel_steps", "no scrapePool parameter provided"),
        ("targets/relabel_steps?scrapePool=p", "no labels parameter provided"),
        (
            "targets/relabel_steps?scrapePool=p&labels=%7B%7D",
            "error retrieving scrape config: scrape pool \"p\" not found",
        ),
        ("scrape_pools/config", "no scrapePool parameter provided"),
        ("scrape_pools/config?scrapePool=p", "error retrieving scrape config: scrape pool \"p\" not found"),
        ("rules?type=x", "invalid parameter \"type\": not supported value \"x\""),
        ("rules?match[]=%7B%7D", "match[] must contain at least one non-empty matcher"),
        (
            "rules?exclude_alerts=x",
            "invalid parameter \"exclude_alerts\": error converting exclude_alerts: strconv.ParseBool: parsing \"x\": invalid syntax",
        ),
        (
            "rules?group_next_token=t",
            "invalid parameter \"group_next_token\": group_limit needs to be present in order to paginate over the groups",
        ),
        ("rules?group_limit=0", "invalid parameter \"group_limit\": group_limit needs to be greater than 0"),
        (
            "rules?group_limit=1&group_next_token=t",
            "invalid parameter \"group_next_token\": invalid group_next_token 't'. were rule groups changed?",
        ),
        ("query_exemplars?query=up&start=2&end=1", "end timestamp must not be before start timestamp"),
    ] {
        assert_eq!(error(&server, path).await, (400, text.to_owned()), "{path}");
    }
    assert_eq!(server.get("/api/v1/notifications/live").await.status, StatusCode::NO_CONTENT);
    assert_eq!(server.get("/api/v1/query_exemplars?query=1").await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn what_is_not_built_is_refused_in_clear_words() {
    let server = Server::start(Config::default()).await;
    load(&server).await;
    let request = Request::put("/api/v1/admin/tsdb/snapshot").body(Body::empty());
    let answer = server.send(request.unwrap()).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer.json()["errorType"], "execution");
    assert!(answer.body.contains("no snapshots"), "{}", answer.body);
    assert_eq!(data(&server, "query?query=count(up)").await["result"][0]["value"][1], "1");
}

#[tokio::test]
async fn unknown_paths_and_preflights_are_answered() {
    let server = Server::start(Config::default()).await;
    for path in ["/api/v1/nope", "/prometheus/api/v1/nope", "/nope"] {
        let answer = server.get(path).await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::NOT_FOUND, "404 page not found\n"), "{path}");
    }
    let open = ["/api/v1/query", "/prometheus/api/v1/nope", "/api/v1/admin/tsdb/snapshot"];
    let closed = ["/api/v1/read", "/prometheus/api/v1/push"];
    for path in open.into_iter().chain(closed) {
        let request = Request::options(path).header(ORIGIN, "https://example.org").body(Body::empty());
        let answer = server.send(request.unwrap()).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{path}");
        let allowed = answer.headers.get("access-control-allow-origin");
        assert_eq!(allowed.is_some_and(|origin| origin == "*"), open.contains(&path), "{path}");
    }
    for path in ["/api/v1/query", "/api/v1/read"] {
        let request = Request::delete(path).body(Body::empty());
        let answer = server.send(request.unwrap()).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (405, "Method Not Allowed\n"), "{path}");
    }
    let answer = server.get("/api/v1/labels").await;
    assert!(answer.headers.get_all(VARY).iter().any(|value| value == "Origin"), "caches keep origins apart");
    assert!(!answer.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn answers_are_compressed_as_the_client_likes() {
    let server = Server::start(Config::default()).await;
    for (accept, encoding) in
        [("gzip", Some("gzip")), ("deflate", Some("deflate")), ("gzip;q=0.5, zstd", Some("zstd")), ("br", None)]
    {
        let request = Request::get("/api/v1/features").header(ACCEPT_ENCODING, accept).body(Body::empty());
        let answer = server.send(request.unwrap()).await;
        assert_eq!(answer.headers.get(CONTENT_ENCODING).map(|it| it.to_str().unwrap()), encoding, "{accept}");
    }
}

/// HELP, TYPE and UNIT of families, as senders of 1.0 tell them.
#[tokio::test]
async fn metadata_is_served_within_its_limits() {
    let server = Server::start(Config::default()).await;
    let of = |name: &str, kind, help: &str| MetricMetadata {
        r#type: kind,
        metric_family_name: name.into(),
        help: help.into(),
        unit: "bytes".into(),
    };
    let metadata =
        vec![of("a_total", 1, "First."), of("a_total", 1, "Second."), of("b", 2, ""), of("a_total", 1, "First.")];
    let request = WriteRequest { metadata, ..WriteRequest::default() };
    let body = snappy::compress(&request.encode_to_vec());
    let answer = server.send(Request::post("/api/v1/push").body(Body::from(body)).unwrap()).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.body);
    let said = |kind: &str, help: &str| json!({"type": kind, "help": help, "unit": "bytes"});
    let a = [said("counter", "First."), said("counter", "Second.")];
    for (path, expected) in [
        ("metadata", json!({"a_total": a, "b": [said("gauge", "")]})),
        ("metadata?limit=-1&limit_per_metric=0", json!({"a_total": a, "b": [said("gauge", "")]})),
        ("metadata?limit=1&limit_per_metric=1", json!({"a_total": a[..1]})),
        ("metadata?limit=0", json!({})),
        ("metadata?metric=b", json!({"b": [said("gauge", "")]})),
        ("metadata?metric=c", json!({})),
    ] {
        assert_eq!(data(&server, path).await, expected, "{path}");
    }
}
