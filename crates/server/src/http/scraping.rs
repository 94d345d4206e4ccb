//! `targets`, `scrape_pools`, `alertmanagers` and `metadata`: the side of Prometheus that scrapes and notifies. Longhaul does
//! neither, and answers as a Prometheus does whose configuration names no target; metadata it has from its senders.

use crate::app::AppState;
use crate::http::auth::Tenant;
use crate::http::error::ApiError;
use crate::http::json;
use crate::http::params::{self, Params};
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/targets", get(targets))
        .route("/targets/metadata", get(target_metadata))
        .route("/targets/relabel_steps", get(relabel_steps))
        .route("/scrape_pools", get(scrape_pools))
        .route("/scrape_pools/config", get(scrape_pool_config))
        .route("/alertmanagers", get(alertmanagers))
        .route("/metadata", get(metadata))
}

async fn targets(Tenant(_): Tenant, params: Params) -> Response {
    let state = params.get("state").unwrap_or_default().to_ascii_lowercase();
    // Counts that were not asked for are none, where lists are empty.
    let counts = if matches!(state.as_str(), "" | "any" | "dropped") { json!({}) } else { Value::Null };
    json::success(&json!({ "activeTargets": [], "droppedTargets": [], "droppedTargetCounts": counts }))
}

async fn target_metadata(Tenant(_): Tenant, params: Params) -> Result<Response, ApiError> {
    params.number("limit")?;
    if let Some(text) = params.get("match_target") {
        params::selector(text).map_err(|error| ApiError::invalid_parameter("match_target", error))?;
    }
    Ok(json::success(&json!([])))
}

async fn relabel_steps(Tenant(_): Tenant, params: Params) -> Result<Response, ApiError> {
    let pool = scrape_pool(&params)?;
    let labels = params.get("labels").ok_or_else(|| ApiError::bad_data("no labels parameter provided"))?;
    serde_json::from_str::<std::collections::BTreeMap<String, String>>(labels)
        .map_err(|error| ApiError::bad_data(format!("error parsing labels: {error}")))?;
    Err(no_scrape_pool(pool))
}

async fn scrape_pools(Tenant(_): Tenant) -> Response {
    json::success(&json!({ "scrapePools": [] }))
}

async fn scrape_pool_config(Tenant(_): Tenant, params: Params) -> Result<Response, ApiError> {
    Err(no_scrape_pool(scrape_pool(&params)?))
}

fn scrape_pool(params: &Params) -> Result<&str, ApiError> {
    params.get("scrapePool").ok_or_else(|| ApiError::bad_data("no scrapePool parameter provided"))
}

fn no_scrape_pool(pool: &str) -> ApiError {
    ApiError::bad_data(format!("error retrieving scrape config: scrape pool {pool:?} not found"))
}

async fn alertmanagers(Tenant(_): Tenant) -> Response {
    json::success(&json!({ "activeAlertmanagers": [], "droppedAlertmanagers": [] }))
}

/// What senders say of metric families. A negative limit is none, and so is a limit per metric that is not positive.
async fn metadata(State(app): State<AppState>, Tenant(tenant): Tenant, params: Params) -> Result<Response, ApiError> {
    let limit = params.number("limit")?.and_then(|limit| usize::try_from(limit).ok());
    let per_metric = params.number("limit_per_metric")?.and_then(|limit| usize::try_from(limit).ok());
    let per_metric = per_metric.filter(|limit| *limit > 0);
    let (limit, per_metric) = (limit.unwrap_or(usize::MAX), per_metric.unwrap_or(usize::MAX));
    Ok(json::success(&app.ingester.metadata(&tenant, params.get("metric"), limit, per_metric)))
}
