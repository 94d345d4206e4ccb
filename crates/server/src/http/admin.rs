//! The operators' listener.

use crate::app::AppState;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use longhaul_model::TenantId;
use serde::Deserialize;

pub(crate) fn routes() -> Router<AppState> {
    Router::new().route("/-/flush", post(flush))
}

#[derive(Deserialize)]
struct FlushParameters {
    tenant: Option<String>,
}

/// Cuts and ships everything, of one tenant or of all; answers when it is in the manifest.
async fn flush(State(app): State<AppState>, Query(parameters): Query<FlushParameters>) -> Response {
    let tenant = match parameters.tenant.as_deref().map(TenantId::parse).transpose() {
        Ok(tenant) => tenant,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("tenant: {error}")).into_response(),
    };
    match app.ingester.flush(tenant.as_ref()).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}
