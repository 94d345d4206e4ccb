//! InfluxDB's line protocol, where Mimir's proxy and InfluxDB itself take it. Errors are JSON as InfluxDB writes them:
//! Telegraf reads in their texts whether to try again.

use crate::app::{App, AppState};
use crate::http::auth::Tenant;
use crate::http::compression;
use crate::http::intake::{self, IntakeError, Stored};
use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use longhaul_model::TenantId;
use longhaul_wire::WireError;
use longhaul_wire::influx::{self, Precision};
use serde_json::json;

/// Below `/api/v1`.
pub(crate) fn routes() -> Router<AppState> {
    Router::new().route("/push/influx/write", post(push))
}

/// Where versions 1 and 2 of InfluxDB have it.
pub(crate) fn root_routes() -> Router<AppState> {
    Router::new().route("/write", post(push)).route("/api/v2/write", post(push))
}

async fn push(
    State(app): State<AppState>,
    Tenant(tenant): Tenant,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let (mut response, message) = match store(&app, &tenant, query.as_deref(), &headers, body).await {
        Ok(stored) => match stored.refused() {
            None => return StatusCode::NO_CONTENT.into_response(),
            Some(message) => (StatusCode::BAD_REQUEST.into_response(), format!("partial write: {message}")),
        },
        Err(error) => {
            let message = error.to_string();
            (error.into_response(), message)
        }
    };
    *response.body_mut() = json!({ "error": message }).to_string().into();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

async fn store(
    app: &App,
    tenant: &TenantId,
    query: Option<&str>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Stored, IntakeError> {
    let precision = precision(query)?;
    let (body, reserved) = intake::read(app, headers, body).await?;
    let text = compression::open_body(headers, body, app.config.http.decoded_max.bytes)?;
    let decoded = influx::decode(&text, precision, app.clock.now_ms(), &intake::limits(app))?;
    drop(reserved); // from here on the batch has a reservation of its own
    intake::store(app, tenant, decoded).await
}

/// All other parameters (`db`, `bucket`, `org`, `rp`, ...) choose what there is no choice of here.
fn precision(query: Option<&str>) -> Result<Precision, WireError> {
    let mut parameters = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let name = parameters.find(|(name, _)| name == "precision").map(|(_, value)| value).unwrap_or_default();
    Precision::parse(&name)
        .ok_or_else(|| WireError::Line(format!("{name:?} is no precision; use ns, us, ms, s, m or h")))
}
