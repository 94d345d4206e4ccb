//! What tenants want of what is sent to them: rules, dropped labels and elected replicas, from the configuration to what is
//! read back, and what senders are told.

use super::{NOW_MS, Server};
use crate::config::Config;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use longhaul_model::{Labels, Sample};
use longhaul_wire::{remote_write, snappy};

const RULES: &str = "
intake:
  defaults:
    metric_relabel_configs:
      - {source_labels: [__name__], regex: noise_.*, action: drop}
      - {source_labels: [pod], regex: '(.*)-[0-9]+', target_label: workload}
    drop_labels: [pod]
    ha_elect: true
";

async fn push(server: &Server, series: &[&[(&str, &str)]]) -> (StatusCode, String) {
    let samples = [Sample::new(NOW_MS, 1.0)];
    let series: Vec<(Labels, &[Sample])> =
        series.iter().map(|labels| (Labels::from_pairs(labels.iter().copied()), &samples[..])).collect();
    let body = snappy::compress(&remote_write::encode(&series));
    let answer = server.send(Request::post("/api/v1/push").body(Body::from(body)).unwrap()).await;
    (answer.status, answer.body)
}

#[tokio::test]
async fn rules_are_applied_before_anything_is_stored() {
    let server = Server::start(Config::parse(RULES).unwrap()).await;
    let of = |replica: &'static str, value: &'static str| {
        [("__name__", "up"), ("__replica__", replica), ("cluster", "c"), ("pod", value)]
    };
    let noise = [("__name__", "noise_x"), ("pod", "a-1")];
    assert_eq!(push(&server, &[&of("r1", "web-1"), &noise]).await.0, StatusCode::NO_CONTENT);
    // Both are told that all is well: the one that is not elected has done nothing wrong.
    assert_eq!(push(&server, &[&of("r2", "db-7")]).await.0, StatusCode::NO_CONTENT);
    let form = format!("match[]={{__name__=~\".%2B\"}}&start={}", NOW_MS / 1000 - 60);
    let answer = server.post_form("/api/v1/series", &form).await;
    assert_eq!(
        answer.json()["data"],
        serde_json::json!([{"__name__": "up", "cluster": "c", "workload": "web"}]),
        "{}",
        answer.body
    );
    let metrics = server.get("/metrics").await.body;
    assert!(metrics.contains("longhaul_samples_dropped_total 2"), "{metrics}");
    // What is wrong is refused as ever.
    let (status, text) = push(&server, &[&[("a", "b")]]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
}

#[test]
fn rules_that_cannot_be_stop_the_start() {
    let check = |yaml: &str| Config::parse(yaml).unwrap().check().unwrap_err().to_string();
    let error = check("intake: {defaults: {metric_relabel_configs: [{action: keep, regex: '('}]}}");
    assert!(error.starts_with("intake: rule 1: error parsing regexp"), "{error}");
    let error = check("intake: {tenants: {team-a: {metric_relabel_configs: [{action: hashmod}]}}}");
    assert!(error.starts_with("intake: tenant team-a: rule 1: HashMod needs a target_label"), "{error}");
    let error = check("intake: {tenants: {'a/b': {}}}");
    assert!(error.starts_with("intake.tenants: "), "{error}");
}
