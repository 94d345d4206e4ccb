//! Queries and look-ups: tenants, limits, slots, and the edges of their parameters.

use super::{NOW_MS, Server};
use crate::config::{AuthMode, Config};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use longhaul_model::{Labels, Sample};
use serde_json::json;
use std::time::Duration;

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

/// Milliseconds where seconds belong are a time as any other; methods that are not there are told apart from paths.
#[tokio::test]
async fn odd_requests_get_their_answers() {
    let server = Server::start(Config::default()).await;
    let milliseconds = server.get("/api/v1/query?query=up&time=1704067800500").await;
    assert_eq!(milliseconds.json()["data"]["result"], json!([]));
    let form = server.post_form("/api/v1/query_range", "query=vector(1)&start=0&end=10&step=5").await;
    assert_eq!(form.json()["data"]["result"][0]["values"], json!([[0, "1"], [5, "1"], [10, "1"]]));
    assert_eq!(server.get("/api/v1/nope").await.status, StatusCode::NOT_FOUND);
    let delete = Request::delete("/api/v1/query?query=1").body(Body::empty());
    assert_eq!(server.send(delete.unwrap()).await.status, StatusCode::METHOD_NOT_ALLOWED);
    let name = server.get("/api/v1/label/a%FFb%22/values").await;
    assert_eq!(name.json()["error"], r#"invalid label name: "a\xffb\"""#);
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
