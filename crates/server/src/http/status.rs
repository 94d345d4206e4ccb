//! `metadata`, `status/buildinfo` and `status/runtimeinfo`: what the server says of itself, and of metrics.

use crate::app::AppState;
use crate::http::auth::Tenant;
use crate::http::error::ApiError;
use crate::http::json;
use crate::http::params::Params;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use jiff::Timestamp;
use serde_json::json;
use tokio::runtime::Handle;

/// The version of Prometheus whose API this is. Clients (Grafana among them) decide by it what they may ask for, so our
/// own version cannot stand in its place.
const API_VERSION: &str = "3.14.0";

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/metadata", get(metadata))
        .route("/status/buildinfo", get(build_info))
        .route("/status/runtimeinfo", get(runtime_info))
}

/// Senders' metadata is not kept yet: there is none to show, which is what a Prometheus without targets answers too.
async fn metadata(Tenant(_): Tenant, params: Params) -> Result<Response, ApiError> {
    for name in ["limit", "limit_per_metric"] {
        if params.get(name).is_some_and(|text| text.parse::<i64>().is_err()) {
            return Err(ApiError::bad_data(format!("{name} must be a number")));
        }
    }
    Ok(json::success(&json!({})))
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

async fn runtime_info(State(app): State<AppState>, Tenant(_): Tenant) -> Response {
    let started = Timestamp::from_millisecond(app.started_ms).unwrap_or_default().to_string();
    json::success(&json!({
        "startTime": started,
        // Where a server keeps its data is not its tenants' business.
        "CWD": "",
        "reloadConfigSuccess": true,
        "lastConfigTime": started,
        "corruptionCount": 0,
        "goroutineCount": Handle::current().metrics().num_alive_tasks(),
        "GOMAXPROCS": std::thread::available_parallelism().map_or(1, usize::from),
        "GOMEMLIMIT": 0,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": app.config.limits.retention.map_or(String::new(), |retention| retention.to_string()),
    }))
}
