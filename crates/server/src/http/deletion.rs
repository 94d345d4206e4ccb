//! The administration of samples (`admin/tsdb`): deletion, tombstones, snapshots. What is not there yet is refused in words
//! that say so.

use crate::app::AppState;
use crate::http::auth::Tenant;
use crate::http::error::ApiError;
use crate::http::params::Params;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use longhaul_model::Tombstone;

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/admin/tsdb/delete_series", post(delete_series).put(delete_series))
        .route("/admin/tsdb/clean_tombstones", post(clean_tombstones).put(clean_tombstones))
        .route("/admin/tsdb/snapshot", post(snapshot).put(snapshot))
}

/// Deletes the samples of all series that one of the selectors `match[]` selects, from `start` to `end`, both included; without
/// them, of all of time. When it answers, no query sees them any more.
async fn delete_series(
    State(app): State<AppState>,
    Tenant(tenant): Tenant,
    params: Params,
) -> Result<StatusCode, ApiError> {
    if params.all("match[]").next().is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let range = params.lookup_range()?;
    // All of them before the first is carried out.
    let selectors = params.selectors().map_err(|error| ApiError::invalid_parameter("match[]", error))?;
    for matchers in selectors {
        app.ingester.delete(&tenant, Tombstone { matchers, range }).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Carries out the tenant's deletions at once: afterwards no live block holds what they are about.
async fn clean_tombstones(State(app): State<AppState>, Tenant(tenant): Tenant) -> Result<StatusCode, ApiError> {
    app.ingester.ship_deletions(&tenant).await.map_err(ApiError::later)?;
    let report = app.compactor.carry_out_deletions(&tenant).await.map_err(ApiError::later)?;
    if let Some(failure) = report.failures.first() {
        return Err(ApiError::later(&failure.error));
    }
    let pin = app.ingester.pin(&tenant).await?;
    let waiting: usize = pin.manifest.deletions.iter().map(|deletion| deletion.blocks.len()).sum();
    match waiting {
        0 => Ok(StatusCode::NO_CONTENT),
        _ => Err(ApiError::internal(format!("{waiting} blocks that hold what is deleted are in quarantine"))),
    }
}

async fn snapshot(Tenant(_): Tenant, params: Params) -> Result<Response, ApiError> {
    params.boolean("skip_head")?;
    Err(ApiError::not_built("there are no snapshots; the bucket is the copy"))
}
