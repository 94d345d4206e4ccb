//! The administration of samples (`admin/tsdb`): deletion, tombstones, snapshots. None of it is there yet; what is well
//! formed is refused in words that say so.

use crate::app::AppState;
use crate::http::auth::Tenant;
use crate::http::error::ApiError;
use crate::http::params::{self, Params};
use axum::Router;
use axum::response::Response;
use axum::routing::post;

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/admin/tsdb/delete_series", post(delete_series).put(delete_series))
        .route("/admin/tsdb/clean_tombstones", post(clean_tombstones).put(clean_tombstones))
        .route("/admin/tsdb/snapshot", post(snapshot).put(snapshot))
}

async fn delete_series(Tenant(_): Tenant, params: Params) -> Result<Response, ApiError> {
    if params.all("match[]").next().is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    params.lookup_range()?;
    for text in params.all("match[]") {
        params::selector(text).map_err(|error| ApiError::invalid_parameter("match[]", error))?;
    }
    Err(ApiError::not_built("series cannot be deleted yet; nothing was deleted"))
}

async fn clean_tombstones(Tenant(_): Tenant) -> Result<Response, ApiError> {
    Err(ApiError::not_built("series cannot be deleted yet; there are no tombstones to clean"))
}

async fn snapshot(Tenant(_): Tenant, params: Params) -> Result<Response, ApiError> {
    params.boolean("skip_head")?;
    Err(ApiError::not_built("there are no snapshots; the bucket is the copy"))
}
