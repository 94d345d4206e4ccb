//! Remote write, 1.0 and 2.0: who, whether, what, then the answer. The sender says in the content type which it is.

use crate::app::{App, AppState};
use crate::http::auth::Tenant;
use crate::http::body::{self, BodyError};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use longhaul_ingest::{Cause, WriteError, WriteReport};
use longhaul_model::TenantId;
use longhaul_wire::remote_write::{self, DecodeLimits, v2};
use longhaul_wire::{Reason, WireError, snappy};

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
    #[error("{message}")]
    Refused { message: String, written: Written },
    #[error("{0}")]
    TryAgain(#[from] WriteError),
}

/// Which message a body holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    /// `prometheus.WriteRequest`.
    V1,
    /// `io.prometheus.write.v2.Request`.
    V2,
}

/// What of a request is stored. Senders of 2.0 are told, whatever the answer is; those of 1.0 never.
#[derive(Clone, Copy, Debug, Default)]
struct Written {
    samples: u64,
    histograms: u64,
    exemplars: u64,
}

async fn push(
    State(app): State<AppState>,
    Tenant(tenant): Tenant,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, PushError> {
    let protocol = protocol(&headers)?;
    let outcome = store(&app, &tenant, protocol, &headers, body).await;
    let written = match &outcome {
        Ok(written) | Err(PushError::Refused { written, .. }) => *written,
        Err(_) => Written::default(),
    };
    let mut response = match outcome {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => error.into_response(),
    };
    if protocol == Protocol::V2 {
        written.report(response.headers_mut());
    }
    Ok(response)
}

async fn store(
    app: &App,
    tenant: &TenantId,
    protocol: Protocol,
    headers: &HeaderMap,
    body: Body,
) -> Result<Written, PushError> {
    let declared_bytes = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0);
    let reserved_bytes = if declared_bytes > 0 { declared_bytes } else { app.config.http.body_max.bytes };
    let reserved = app.ingester.admit(reserved_bytes)?;
    let body = read_body(app, declared_bytes, body).await?;
    let decoded_max = app.config.http.decoded_max.bytes;
    let message = snappy::decompress(&body, decoded_max as usize)?;
    let limits = DecodeLimits {
        series_max: app.config.limits.series_per_request_max,
        samples_max: app.config.limits.samples_per_request_max,
        text_bytes_max: decoded_max.min(i32::MAX as u64) as u32,
        ..DecodeLimits::default()
    };
    let (batch, left_out) = match protocol {
        Protocol::V1 => (remote_write::decode(message, &limits)?, Vec::new()),
        Protocol::V2 => {
            let v2::Decoded { batch, refused } = v2::decode(&message, &limits)?;
            (batch, refused)
        }
    };
    drop(reserved); // from here on the batch has a reservation of its own
    let WriteReport { stored, histograms_stored, mut refusals } =
        app.ingester.write(tenant, &batch, &app.write_limits).await?;
    for refused in left_out {
        let cause = match refused.reason {
            Reason::SymbolReference => Cause::SymbolReference,
            Reason::NoSamples => Cause::NoSamples,
        };
        refusals.add(cause, refused.count, || refused.first);
    }
    let written = Written { samples: stored - histograms_stored, histograms: histograms_stored, exemplars: 0 };
    if refusals.is_empty() {
        Ok(written)
    } else {
        Err(PushError::Refused { message: refusals.message(stored), written })
    }
}

/// What the headers say of the body, which is snappy-compressed; absent ones mean 1.0.
fn protocol(headers: &HeaderMap) -> Result<Protocol, PushError> {
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
        None | Some("prometheus.writerequest") => Ok(Protocol::V1),
        Some("io.prometheus.write.v2.request") => Ok(Protocol::V2),
        Some(message) => Err(PushError::Unsupported(format!(
            "message {message:?} is not supported; send remote write 1.0 (prometheus.WriteRequest) or 2.0 \
             (io.prometheus.write.v2.Request)"
        ))),
    }
}

impl Written {
    /// All three, also where they are zero.
    fn report(self, headers: &mut HeaderMap) {
        let counts = [
            ("x-prometheus-remote-write-samples-written", self.samples),
            ("x-prometheus-remote-write-histograms-written", self.histograms),
            ("x-prometheus-remote-write-exemplars-written", self.exemplars),
        ];
        for (name, count) in counts {
            headers.insert(HeaderName::from_static(name), count.into());
        }
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
            Self::BodyTooLarge(_)
            | Self::Wire(WireError::TooLarge { .. } | WireError::TooMany { .. } | WireError::TextsTooLarge { .. }) => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Self::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Body(_) | Self::Wire(_) | Self::Refused { .. } => StatusCode::BAD_REQUEST,
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
