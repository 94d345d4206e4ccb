//! `labels`, `label/<name>/values` and `series`: look-ups in what a tenant has.

use crate::app::{App, AppState};
use crate::http::allowance::Allowance;
use crate::http::auth::Tenant;
use crate::http::error::ApiError;
use crate::http::json::{self, Notes};
use crate::http::params::Params;
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use axum::routing::get;
use longhaul_model::TenantId;
use longhaul_promql::source::SourceError;
use longhaul_query::{LabelRequest, TenantSource};
use longhaul_wire::names;

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
    uri: Uri,
    params: Params,
) -> Result<Response, ApiError> {
    let name = label_name(name, &uri)?;
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
fn label_name(name: Result<Path<String>, PathRejection>, uri: &Uri) -> Result<String, ApiError> {
    let invalid = |name: &str| ApiError::bad_data(format!("invalid label name: {name}"));
    // There is one way in which a path that led here cannot be taken apart: the name is not UTF-8.
    let Path(name) = name.map_err(|_| invalid(&quoted(uri.path().rsplit('/').nth(1).unwrap_or_default())))?;
    let name = names::unescape(&name);
    if name.is_empty() {
        return Err(invalid("\"\""));
    }
    Ok(name.into_owned())
}

/// A part of a path in quotes, as Go writes what need not be UTF-8.
fn quoted(encoded: &str) -> String {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = encoded.get(encoded.len() - after.len()..).and_then(|after| after.get(..2));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| byte == b'%') {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    let mut text = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        text.extend(chunk.valid().chars().flat_map(char::escape_debug));
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text + "\""
}

/// Waits for a slot, pins the data, looks up, cuts to the limit; all of it within the time that a query may take.
async fn found<T>(
    app: &App,
    tenant: &TenantId,
    limit: Option<usize>,
    look_up: impl AsyncFnOnce(&TenantSource) -> Result<Vec<T>, SourceError>,
) -> Result<(Vec<T>, Notes), ApiError> {
    let looked_up = async {
        let source = app.source(tenant, app.query_slot().await?).await?;
        let items = look_up(&source).await?;
        Ok((items, Notes { warnings: source.warnings().to_vec(), infos: Vec::new() }))
    };
    let (mut items, mut notes) = Allowance::new(app, None).within("label lookup", looked_up).await?;
    notes.truncate(&mut items, limit);
    Ok((items, notes))
}
