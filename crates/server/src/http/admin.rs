//! The operators' listener.

use crate::app::AppState;
use crate::upkeep::upkeep;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use longhaul_model::TenantId;
use serde::Deserialize;

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/-/flush", post(flush))
        .route("/-/compact", post(compact))
        .route("/-/quarantine", get(quarantine))
}

#[derive(Deserialize)]
struct Whose {
    tenant: Option<String>,
}

impl Whose {
    fn tenant(&self) -> Result<Option<TenantId>, Response> {
        let tenant = self.tenant.as_deref().map(TenantId::parse).transpose();
        tenant.map_err(|error| (StatusCode::BAD_REQUEST, format!("tenant: {error}")).into_response())
    }
}

/// Cuts and ships everything, of one tenant or of all; answers when it is in the manifest.
async fn flush(State(app): State<AppState>, Query(whose): Query<Whose>) -> Response {
    let tenant = match whose.tenant() {
        Ok(tenant) => tenant,
        Err(refusal) => return refusal,
    };
    match app.ingester.flush(tenant.as_ref()).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}

/// Compacts what there is to compact and collects garbage, of one tenant or of all; answers when nothing is left to do,
/// with what was done.
async fn compact(State(app): State<AppState>, Query(whose): Query<Whose>) -> Response {
    let tenant = match whose.tenant() {
        Ok(tenant) => tenant,
        Err(refusal) => return refusal,
    };
    match upkeep(&app.compactor, &app.collector, tenant.as_ref()).await {
        Ok(report) => Json(report).into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}

/// The blocks that compaction leaves alone, as of its last look.
async fn quarantine(State(app): State<AppState>) -> Response {
    Json(app.compactor.quarantined()).into_response()
}
