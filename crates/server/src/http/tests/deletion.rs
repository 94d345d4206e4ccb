//! Deleting through the API, until nothing of what was deleted is in a live block.

use super::{Answer, NOW_MS, Server};
use crate::config::Config;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use longhaul_model::{Labels, Sample};

async fn post(server: &Server, path: &str) -> Answer {
    server.send(Request::post(format!("/api/v1/admin/tsdb/{path}")).body(Body::empty()).unwrap()).await
}

/// Two series, a sample each at this age.
async fn write(server: &Server, age_ms: i64) {
    let samples = [Sample::new(NOW_MS - age_ms, 1.0)];
    for job in ["stays", "goes"] {
        server.write("anonymous", &[(Labels::from_pairs([("__name__", "up"), ("job", job)]), &samples)]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tombstones_are_cleaned_when_somebody_asks_for_it() {
    let server = Server::start(Config::default()).await;
    assert_eq!(post(&server, "clean_tombstones").await.status, StatusCode::NO_CONTENT, "of nobody");
    write(&server, 5000).await;
    server.app.ingester.flush(None).await.unwrap();
    write(&server, 3000).await;
    let deleted = post(&server, "delete_series?match[]=%7Bjob=%22goes%22%7D").await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT, "{}", deleted.body);
    let live = async || {
        let pin = server.app.ingester.pin(&longhaul_model::TenantId::anonymous()).await.unwrap();
        let series = pin.manifest.blocks.iter().map(|block| block.series).sum::<u64>();
        (series, pin.manifest.blocks.len(), pin.manifest.deletions.len())
    };
    assert_eq!(live().await, (2, 1, 0));
    let cleaned = post(&server, "clean_tombstones").await;
    assert_eq!(cleaned.status, StatusCode::NO_CONTENT, "{}", cleaned.body);
    assert_eq!(live().await, (2, 2, 0), "one series a block");
    let answer = server.get(&format!("/api/v1/series?match[]=up&start=0&end={}", NOW_MS / 1000)).await;
    assert!(answer.body.contains("stays") && !answer.body.contains("goes"), "{}", answer.body);
    assert_eq!(post(&server, "clean_tombstones").await.status, StatusCode::NO_CONTENT, "once more");
}
