//! Remote write: who, whether, what, then the answer.

use crate::app::{App, AppState};
use crate::http::auth::Tenant;
use crate::http::body::{self, BodyError};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use longhaul_ingest::{WriteError, WriteReport};
use longhaul_wire::remote_write::{self, DecodeLimits};
use longhaul_wire::{WireError, snappy};

/// What a sender is asked to wait before it tries again, seconds.
const RETRY_AFTER_SECONDS: u64 = 1;

/// The same handler under the names by which senders know it.
pub(crate) fn routes() -> Router<AppState> {
    Router::new().route("/push", post(push)).route("/write", post(push)).route("/receive", post(push))
}

/// Why a request was not taken, or not wholly.
#[derive(Debug, thiserror::Error)]
enum PushError {
    #[error("err-longhaul-unsupported-media-type: {0}")]
    Unsupported(String),
    #[error("err-longhaul-body-too-large: the body has more than the {0} bytes that `http.body_max` allows")]
    BodyTooLarge(u64),
    #[error("{0}")]
    Body(BodyError),
    #[error("{0}")]
    TooSlow(BodyError),
    #[error("err-longhaul-decode: {0}")]
    Wire(#[from] WireError),
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    TryAgain(#[from] WriteError),
}

async fn push(
    State(app): State<AppState>,
    Tenant(tenant): Tenant,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, PushError> {
    check_headers(&headers)?;
    let declared_bytes = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0);
    let reserved_bytes = if declared_bytes > 0 { declared_bytes } else { app.config.http.body_max.bytes };
    let reserved = app.ingester.admit(reserved_bytes)?;
    let body = read_body(&app, declared_bytes, body).await?;
    let message = snappy::decompress(&body, app.config.http.decoded_max.bytes as usize)?;
    let limits = DecodeLimits {
        series_max: app.config.limits.series_per_request_max,
        samples_max: app.config.limits.samples_per_request_max,
        ..DecodeLimits::default()
    };
    let batch = remote_write::decode(message, &limits)?;
    drop(reserved); // from here on the batch has a reservation of its own
    let WriteReport { stored, refusals } = app.ingester.write(&tenant, &batch, &app.write_limits).await?;
    if refusals.is_empty() { Ok(StatusCode::NO_CONTENT) } else { Err(PushError::Refused(refusals.message(stored))) }
}

/// Remote write 1.0, snappy-compressed; an absent header means the same.
fn check_headers(headers: &HeaderMap) -> Result<(), PushError> {
    let text =
        |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_ascii_lowercase());
    let encoding = text(CONTENT_ENCODING).unwrap_or_default();
    if !matches!(encoding.as_str(), "" | "snappy") {
        return Err(PushError::Unsupported(format!("content encoding {encoding:?} is not supported; send snappy")));
    }
    let content_type = text(CONTENT_TYPE).unwrap_or_default();
    let mut parameters = content_type.split(';').map(str::trim);
    let media_type = parameters.next().unwrap_or_default();
    if !matches!(media_type, "" | "application/x-protobuf") {
        return Err(PushError::Unsupported(format!(
            "content type {content_type:?} is not supported; send application/x-protobuf"
        )));
    }
    match parameters.find_map(|parameter| parameter.strip_prefix("proto=")) {
        None | Some("prometheus.writerequest") => Ok(()),
        Some(message) => Err(PushError::Unsupported(format!(
            "message {message:?} is not supported; send remote write 1.0 (prometheus.WriteRequest)"
        ))),
    }
}

/// Reads the body; one that is declared too long is not read at all.
async fn read_body(app: &App, declared_bytes: u64, body: Body) -> Result<Bytes, PushError> {
    let body_max = app.config.http.body_max.bytes;
    if declared_bytes > body_max {
        return Err(PushError::BodyTooLarge(body_max));
    }
    body::read(body, body_max).await.map_err(|error| match error {
        BodyError::TooLarge(max) => PushError::BodyTooLarge(max),
        BodyError::TooSlow => PushError::TooSlow(error),
        BodyError::Broken(_) => PushError::Body(error),
    })
}

impl PushError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Unsupported(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyTooLarge(_) | Self::Wire(WireError::TooLarge { .. } | WireError::TooMany { .. }) => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Self::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Body(_) | Self::Wire(_) | Self::Refused(_) => StatusCode::BAD_REQUEST,
            Self::TryAgain(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl IntoResponse for PushError {
    fn into_response(self) -> Response {
        let mut response = (self.status(), self.to_string()).into_response();
        if matches!(self, Self::TryAgain(_)) {
            response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS.into());
        }
        response
    }
}
