//! `status/*`, `features` and `notifications`: what the server says of itself, in Prometheus' terms.
//!
//! What concerns the whole server (where its data lies, who its other tenants are) is no business of the tenant that asks:
//! it is told its own figures and limits.

mod features;
mod tsdb;

use crate::app::AppState;
use crate::http::auth::Tenant;
use crate::http::error::ApiError;
use crate::http::json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use jiff::Timestamp;
use longhaul_wire::remote_read::FRAME_BYTES_MAX;
use serde_json::json;
use std::collections::BTreeMap;
use tokio::runtime::Handle;

/// The version of Prometheus whose API this is. Clients (Grafana among them) decide by it what they may ask for, so our
/// own version cannot stand in its place.
const API_VERSION: &str = "3.14.0";

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/status/buildinfo", get(build_info))
        .route("/status/runtimeinfo", get(runtime_info))
        .route("/status/config", get(config))
        .route("/status/flags", get(flags))
        .route("/status/walreplay", get(wal_replay))
        .route("/features", get(features))
        .route("/notifications", get(notifications))
        .route("/notifications/live", get(live_notifications))
        .merge(tsdb::routes())
}

async fn build_info(Tenant(_): Tenant) -> Response {
    json::success(&json!({
        "version": API_VERSION,
        "revision": concat!("longhaul ", env!("CARGO_PKG_VERSION")),
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    }))
}

async fn runtime_info(State(app): State<AppState>, Tenant(tenant): Tenant) -> Response {
    let started = Timestamp::from_millisecond(app.started_ms).unwrap_or_default().to_string();
    json::success(&json!({
        "startTime": started,
        "CWD": "",
        "reloadConfigSuccess": true,
        "lastConfigTime": started,
        "corruptionCount": 0,
        "goroutineCount": Handle::current().metrics().num_alive_tasks(),
        "GOMAXPROCS": std::thread::available_parallelism().map_or(1, usize::from),
        "GOMEMLIMIT": 0,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": app.config.retention.raw_of(&tenant),
    }))
}

/// The part of the configuration that bounds a tenant.
async fn config(State(app): State<AppState>, Tenant(_): Tenant) -> Result<Response, ApiError> {
    let yaml = app.config.tenant_yaml().map_err(ApiError::internal)?;
    Ok(json::success(&json!({ "yaml": yaml })))
}

/// The same under the names that Prometheus' flags have.
async fn flags(State(app): State<AppState>, Tenant(tenant): Tenant) -> Response {
    let query = &app.config.query;
    let flags = BTreeMap::from([
        ("query.lookback-delta", query.lookback.to_string()),
        ("query.max-concurrency", query.concurrent_max.to_string()),
        ("query.max-samples", query.samples_max.to_string()),
        ("query.timeout", query.timeout.to_string()),
        ("storage.remote.read-concurrent-limit", query.concurrent_max.to_string()),
        ("storage.remote.read-max-bytes-in-frame", FRAME_BYTES_MAX.to_string()),
        ("storage.remote.read-sample-limit", query.samples_max.to_string()),
        ("storage.tsdb.retention.time", app.config.retention.raw_of(&tenant)),
        ("web.cors.origin", ".*".to_owned()),
        ("web.enable-admin-api", "false".to_owned()),
        ("web.enable-lifecycle", "false".to_owned()),
        ("web.enable-otlp-receiver", "false".to_owned()),
        ("web.enable-remote-write-receiver", "true".to_owned()),
    ]);
    json::success(&flags)
}

/// The listener opens when the replay is done: whoever can ask finds nothing left of it.
async fn wal_replay(Tenant(_): Tenant) -> Response {
    json::success(&json!({ "min": 0, "max": 0, "current": 0 }))
}

async fn features(State(app): State<AppState>, Tenant(_): Tenant) -> Response {
    json::success(&features::all(app.engine.settings()))
}

/// Prometheus tells its users here that it starts, stops or did not take a configuration: none of it is seen from here.
async fn notifications(Tenant(_): Tenant) -> Response {
    json::success(&json!([]))
}

/// What Prometheus answers when it has no room for one more listener; its clients ask the list instead.
async fn live_notifications(Tenant(_): Tenant) -> StatusCode {
    StatusCode::NO_CONTENT
}
