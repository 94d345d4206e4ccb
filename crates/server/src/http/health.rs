//! Health, readiness, and our own metrics.

use crate::app::AppState;
use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// What Prometheus' own text parser takes for OpenMetrics.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/-/healthy", get(|| async { "Longhaul is Healthy.\n" }))
        // The listener opens once the replay is done: who gets an answer gets a ready one.
        .route("/-/ready", get(|| async { "Longhaul is Ready.\n" }))
        .route("/metrics", get(metrics))
}

async fn metrics(State(app): State<AppState>) -> Response {
    ([(CONTENT_TYPE, OPENMETRICS)], app.metrics.render()).into_response()
}
