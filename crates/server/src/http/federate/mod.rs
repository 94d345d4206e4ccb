//! `/federate`: the newest samples of what `match[]` selects, in the formats in which Prometheus scrapes.

mod families;

use crate::app::AppState;
use crate::http::allowance::Allowance;
use crate::http::auth::Tenant;
use crate::http::error::{ApiError, TextError};
use crate::http::params::Params;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use families::Families;
use futures::stream;
use longhaul_model::TimeRange;
use longhaul_wire::exposition::Format;
use std::convert::Infallible;

pub(crate) fn routes() -> Router<AppState> {
    Router::new().route("/federate", get(federate))
}

async fn federate(
    State(app): State<AppState>,
    Tenant(tenant): Tenant,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, TextError> {
    let selectors = params.any_selectors().map_err(ApiError::bad_data)?;
    let format = Format::negotiate(headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default());
    let now_ms = app.clock.now_ms();
    let range = TimeRange::inclusive(now_ms - app.config.query.lookback.ms, now_ms);
    let allowance = Allowance::new(&app, None);
    let newest = async {
        let source = app.source(&tenant, app.query_slot().await?).await?;
        Ok(source.newest(selectors, range, &allowance.budget).await?)
    };
    let families = Families::new(allowance.within("federation", newest).await?, format.kind);
    let chunks = families.map(move |family| {
        let mut chunk = Vec::new();
        format.push(&mut chunk, family);
        Ok::<_, Infallible>(Bytes::from(chunk))
    });
    Ok(([(CONTENT_TYPE, format.content_type())], Body::from_stream(stream::iter(chunks))).into_response())
}
