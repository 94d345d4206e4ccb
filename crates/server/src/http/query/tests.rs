//! The whole read API in process: the router over an ingester with an in-memory bucket.

mod conformance;

use crate::app::{App, AppState};
use crate::config::{AuthMode, Config};
use crate::http::router;
use crate::metrics::Metrics;
use axum::Router;
use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use longhaul_bucket::Store;
use longhaul_disk::RealFs;
use longhaul_ingest::{Ingester, IngesterParts};
use longhaul_model::{Clock, IdSource, Labels, ManualClock, Sample};
use longhaul_promql::engine::{Engine, EngineSettings};
use longhaul_query::BlockCache;
use longhaul_wire::{remote_write, snappy};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tower::ServiceExt;

/// Ten minutes after the first sample of the conformance cases.
const NOW_MS: i64 = 1_704_067_800_500;

/// A server without sockets.
struct Server {
    app: AppState,
    router: Router,
    _data_dir: tempfile::TempDir,
}

/// What came back.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Server {
    async fn start(config: Config) -> Self {
        let data_dir = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(NOW_MS));
        let store = Store::memory();
        let mut id = 0;
        let ids = IdSource::new(move || {
            id += 1;
            id
        });
        let ingester = Ingester::open(IngesterParts {
            settings: config.ingest_settings(2),
            log_settings: config.log_settings(),
            data_dir: data_dir.path().to_owned(),
            fs: Arc::new(RealFs),
            store: store.clone(),
            clock: clock.clone(),
            ids: Arc::new(ids),
        })
        .await
        .unwrap();
        let app = AppState(Arc::new(App {
            write_limits: config.write_limits(),
            started_ms: NOW_MS,
            metrics: Metrics::new(ingester.clone(), store.metrics().clone()),
            engine: Engine::new(EngineSettings::default()),
            blocks: Arc::new(BlockCache::new(16)),
            query_slots: Arc::new(Semaphore::new(config.query.concurrent_max)),
            clock,
            ingester,
            config,
        }));
        Self { router: router(&app), app, _data_dir: data_dir }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    async fn get(&self, path_and_query: &str) -> Answer {
        self.send(Request::get(path_and_query).body(Body::empty()).unwrap()).await
    }

    async fn write(&self, tenant: &str, series: &[(Labels, &[Sample])]) {
        let body = snappy::compress(&remote_write::encode(series));
        let request = Request::post("/api/v1/push").header("X-Scope-OrgID", tenant).body(Body::from(body)).unwrap();
        let answer = self.send(request).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.body);
    }
}

impl Answer {
    fn json(&self) -> Value {
        assert_eq!(self.headers[CONTENT_TYPE], "application/json");
        serde_json::from_str(&self.body).unwrap()
    }
}

fn up(job: &str) -> Labels {
    Labels::from_pairs([("__name__", "up"), ("job", job)])
}

#[tokio::test]
async fn a_tenant_sees_its_own_data_only() {
    let mut config = Config::default();
    config.auth.mode = AuthMode::Header;
    let server = Server::start(config).await;
    let sample = [Sample { t_ms: NOW_MS, value: 1.0 }];
    server.write("a", &[(up("a"), &sample)]).await;
    server.write("b", &[(up("b"), &sample)]).await;
    let ask = async |tenant: &str, path: &str| {
        let request = Request::get(path).header("X-Scope-OrgID", tenant).body(Body::empty()).unwrap();
        server.send(request).await.json()["data"].clone()
    };
    for tenant in ["a", "b"] {
        assert_eq!(ask(tenant, "/api/v1/label/job/values").await, json!([tenant]));
        assert_eq!(ask(tenant, "/prometheus/api/v1/label/job/values").await, json!([tenant]));
        assert_eq!(ask(tenant, "/api/v1/query?query=count(up)").await["result"][0]["value"][1], "1");
        assert_eq!(ask(tenant, "/api/v1/series?match[]=up").await.as_array().unwrap().len(), 1);
    }
    assert_eq!(ask("c", "/api/v1/labels").await, json!([]));
    for path in ["query?query=1", "labels", "metadata", "status/buildinfo", "format_query?query=1"] {
        assert_eq!(server.get(&format!("/api/v1/{path}")).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn a_query_without_a_slot_times_out() {
    let mut config = Config::default();
    config.query.concurrent_max = 1;
    let server = Server::start(config).await;
    let slot = server.app.query_slots.acquire().await.unwrap();
    let answer = server.get("/api/v1/query?query=1&timeout=20ms").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.json()["errorType"], "timeout");
    drop(slot);
    assert_eq!(server.get("/api/v1/query?query=1&timeout=20s").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_query_that_nobody_waits_for_frees_its_slot() {
    let mut config = Config::default();
    config.query.concurrent_max = 1;
    let server = Server::start(config).await;
    // Two billion evaluations: longer than any test.
    let heavy = "/api/v1/query?query=sum_over_time(sum_over_time(vector(1)[1000s:1s])[1000000s:1s])";
    let impatient = tokio::time::timeout(Duration::from_millis(50), server.get(heavy));
    assert!(impatient.await.is_err(), "it was not heavy enough to be given up");
    assert_eq!(server.app.query_slots.available_permits(), 1);
    assert_eq!(server.get("/api/v1/query?query=1").await.status, StatusCode::OK);
}

#[tokio::test]
async fn limits_of_a_query_are_named() {
    let mut config = Config::default();
    config.query.series_max = 1;
    let server = Server::start(config).await;
    let sample = [Sample { t_ms: NOW_MS, value: 1.0 }];
    server.write("a", &[(up("a"), &sample), (up("b"), &sample)]).await;
    let answer = server.get("/api/v1/query?query=up").await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer.json()["errorType"], "execution");
    assert!(answer.body.contains("series_max is 1"), "{}", answer.body);
}

/// Grafana's traps: the health check, milliseconds where seconds belong, escaped names, forms.
#[tokio::test]
async fn grafana_gets_what_it_expects() {
    let server = Server::start(Config::default()).await;
    let health = server.get("/api/v1/query?query=1%2B1&time=4").await.json();
    assert_eq!(health, json!({"status": "success", "data": {"resultType": "scalar", "result": [4, "2"]}}));
    let milliseconds = server.get("/api/v1/query?query=up&time=1704067800500").await;
    assert_eq!(milliseconds.json()["data"]["result"], json!([]));
    let form = Request::post("/api/v1/query_range")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from("query=vector(1)&start=0&end=10&step=5"));
    let values = server.send(form.unwrap()).await.json()["data"]["result"][0]["values"].clone();
    assert_eq!(values, json!([[0, "1"], [5, "1"], [10, "1"]]));
    assert_eq!(server.get("/api/v1/nope").await.status, StatusCode::NOT_FOUND);
    let delete = Request::delete("/api/v1/query?query=1").body(Body::empty());
    assert_eq!(server.send(delete.unwrap()).await.status, StatusCode::METHOD_NOT_ALLOWED);
}

/// The grid may have 11,001 points, no more; the extremes of every number parameter are answered, not panicked over.
#[tokio::test]
async fn edges_of_ranges_are_answered() {
    let server = Server::start(Config::default()).await;
    let status = async |query: &str| server.get(&format!("/api/v1/{query}")).await.status.as_u16();
    assert_eq!(status("query_range?query=1&start=0&end=11000&step=1").await, 200);
    assert_eq!(status("query_range?query=1&start=0&end=11000.999&step=1").await, 200);
    assert_eq!(status("query_range?query=1&start=0&end=11001&step=1").await, 400);
    assert_eq!(status("query_range?query=1&start=0&end=1&step=0.0001").await, 400);
    let (first, last) = ("-292273086-05-16T16:47:06Z", "292277025-08-18T07:12:54.999999999Z");
    for query in ["up", "up%20offset%20-100y", "rate(up[100y])", "up[10d:1d]%20offset%20100y", "time()"] {
        for time in [first, last, "-9223309901257974", "0.0004"] {
            assert_eq!(status(&format!("query?query={query}&time={time}")).await, 200, "{query} {time}");
        }
    }
    assert_eq!(status(&format!("query_range?query=up&start={first}&end={last}&step=292y")).await, 400);
    assert_eq!(status(&format!("query_range?query=up&start={last}&end={last}&step=292y")).await, 200);
    assert_eq!(status("query?query=up&lookback_delta=292y&time=-9223309901257974").await, 200);
    assert_eq!(status("query?query=1&timeout=-1").await, 503);
    assert_eq!(status("labels?start=5&end=4").await, 200);
    assert_eq!(status(&format!("series?match[]=up&start={last}&end={first}")).await, 200);
    assert_eq!(status("labels?limit=18446744073709551616").await, 400);
}
