//! `labels`, `label/<name>/values` and `series`: look-ups in what a tenant has.

mod escaping;

use crate::app::{App, AppState};
use crate::http::auth::Tenant;
use crate::http::error::ApiError;
use crate::http::json::{self, Notes};
use crate::http::params::Params;
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use longhaul_model::TenantId;
use longhaul_promql::source::SourceError;
use longhaul_query::{LabelRequest, TenantSource};
use std::time::Duration;

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/labels", get(labels).post(labels))
        .route("/label/{name}/values", get(label_values))
        .route("/series", get(series).post(series))
}

async fn labels(State(app): State<AppState>, Tenant(tenant): Tenant, params: Params) -> Result<Response, ApiError> {
    let limit = params.limit()?;
    let range = params.lookup_range()?;
    let selectors = params.selectors().map_err(ApiError::bad_data)?;
    let look_up = async |source: &TenantSource| source.label_names(LabelRequest { selectors, range }).await;
    let (names, notes) = found(&app, &tenant, limit, look_up).await?;
    Ok(json::texts(names, &notes))
}

async fn label_values(
    State(app): State<AppState>,
    Tenant(tenant): Tenant,
    name: Result<Path<String>, PathRejection>,
    params: Params,
) -> Result<Response, ApiError> {
    let name = label_name(name)?;
    let limit = params.limit()?;
    let range = params.lookup_range()?;
    let selectors = params.selectors().map_err(ApiError::bad_data)?;
    let look_up = async |source: &TenantSource| source.label_values(name, LabelRequest { selectors, range }).await;
    let (values, notes) = found(&app, &tenant, limit, look_up).await?;
    Ok(json::texts(values, &notes))
}

async fn series(State(app): State<AppState>, Tenant(tenant): Tenant, params: Params) -> Result<Response, ApiError> {
    if params.all("match[]").next().is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let limit = params.limit()?;
    let range = params.lookup_range()?;
    let selectors = params.selectors().map_err(|error| ApiError::invalid_parameter("match[]", error))?;
    let look_up = async |source: &TenantSource| source.series(LabelRequest { selectors, range }).await;
    let (series, notes) = found(&app, &tenant, limit, look_up).await?;
    Ok(json::label_sets(series, &notes))
}

/// The label in the path, as the client means it.
fn label_name(name: Result<Path<String>, PathRejection>) -> Result<String, ApiError> {
    // There is one way in which a path that led here cannot be taken apart.
    let Path(name) = name.map_err(|_| ApiError::bad_data("invalid label name: it is not UTF-8"))?;
    let name = escaping::unescape(&name);
    if name.is_empty() {
        return Err(ApiError::bad_data("invalid label name: \"\""));
    }
    Ok(name.into_owned())
}

/// Waits for a slot, pins the data, looks up, cuts to the limit; all of it within the time that a query may take.
async fn found<T>(
    app: &App,
    tenant: &TenantId,
    limit: Option<usize>,
    look_up: impl AsyncFnOnce(&TenantSource) -> Result<Vec<T>, SourceError>,
) -> Result<(Vec<T>, Notes), ApiError> {
    let looked_up = async {
        let slot = app.query_slots.clone().acquire_owned().await.map_err(|_| ApiError::internal("shutting down"))?;
        let source = app.source(tenant, slot).await?;
        let items = look_up(&source).await?;
        Ok((items, Notes { warnings: source.warnings().to_vec(), infos: Vec::new() }))
    };
    let time_max = Duration::from_millis(app.config.query.timeout.ms.max(0) as u64);
    let looked_up = tokio::time::timeout(time_max, looked_up).await;
    let (mut items, mut notes) = looked_up.unwrap_or_else(|_| Err(ApiError::timed_out("label lookup")))?;
    notes.truncate(&mut items, limit);
    Ok((items, notes))
}
