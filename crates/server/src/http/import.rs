//! Texts that are pushed where others are scraped: Prometheus' text format and OpenMetrics, for a push without a Prometheus.

use crate::app::{App, AppState};
use crate::http::auth::Tenant;
use crate::http::compression;
use crate::http::intake::{self, IntakeError, Stored};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use longhaul_model::TenantId;
use longhaul_wire::exposition::{self, Dialect};

pub(crate) fn routes() -> Router<AppState> {
    Router::new().route("/import/prometheus", post(push).put(push))
}

async fn push(
    State(app): State<AppState>,
    Tenant(tenant): Tenant,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, IntakeError> {
    let stored = store(&app, &tenant, &headers, body).await?;
    Ok(match stored.refused() {
        None => StatusCode::NO_CONTENT.into_response(),
        Some(message) => (StatusCode::BAD_REQUEST, message).into_response(),
    })
}

async fn store(app: &App, tenant: &TenantId, headers: &HeaderMap, body: Body) -> Result<Stored, IntakeError> {
    let dialect = dialect(headers)?;
    let (body, reserved) = intake::read(app, headers, body).await?;
    let text = compression::open_body(headers, body, app.config.http.decoded_max.bytes)?;
    let decoded = exposition::decode(&text, dialect, app.clock.now_ms(), &intake::limits(app))?;
    drop(reserved); // from here on the batch has a reservation of its own
    intake::store(app, tenant, decoded).await
}

/// Whatever does not say what it is, or says what curl says of any text, is the older format.
fn dialect(headers: &HeaderMap) -> Result<Dialect, IntakeError> {
    let text = headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase());
    let text = text.unwrap_or_default();
    match text.split(';').next().unwrap_or_default().trim() {
        "application/openmetrics-text" => Ok(Dialect::OpenMetrics),
        "" | "text/plain" | "application/x-www-form-urlencoded" | "application/octet-stream" => Ok(Dialect::Text),
        _ => Err(IntakeError::Unsupported(format!(
            "content type {text:?} is not supported; send text/plain or application/openmetrics-text"
        ))),
    }
}
