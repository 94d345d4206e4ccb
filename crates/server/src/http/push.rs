//! Remote write, 1.0 and 2.0: who, whether, what, then the answer. The sender says in the content type which it is.

use crate::app::{App, AppState};
use crate::http::auth::Tenant;
use crate::http::intake::{self, IntakeError, Stored};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use longhaul_model::TenantId;
use longhaul_wire::remote_write::{self, v2};
use longhaul_wire::{Decoded, snappy};

/// The same handler under the names by which senders know it.
pub(crate) fn routes() -> Router<AppState> {
    Router::new().route("/push", post(push)).route("/write", post(push)).route("/receive", post(push))
}

/// Which message a body holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    /// `prometheus.WriteRequest`.
    V1,
    /// `io.prometheus.write.v2.Request`.
    V2,
}

async fn push(
    State(app): State<AppState>,
    Tenant(tenant): Tenant,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, IntakeError> {
    let protocol = protocol(&headers)?;
    let outcome = store(&app, &tenant, protocol, &headers, body).await;
    let counts =
        outcome.as_ref().map(|stored| [stored.samples, stored.histograms, stored.exemplars]).unwrap_or_default();
    let mut response = match outcome {
        Ok(stored) => match stored.refused() {
            None => StatusCode::NO_CONTENT.into_response(),
            Some(message) => (StatusCode::BAD_REQUEST, message).into_response(),
        },
        Err(error) => error.into_response(),
    };
    if protocol == Protocol::V2 {
        report(counts, response.headers_mut());
    }
    Ok(response)
}

async fn store(
    app: &App,
    tenant: &TenantId,
    protocol: Protocol,
    headers: &HeaderMap,
    body: Body,
) -> Result<Stored, IntakeError> {
    let (body, reserved) = intake::read(app, headers, body).await?;
    let message = snappy::decompress(&body, app.config.http.decoded_max.bytes as usize)?;
    let limits = intake::limits(app);
    let decoded = match protocol {
        Protocol::V1 => Decoded { batch: remote_write::decode(message, &limits)?, refused: Vec::new() },
        Protocol::V2 => v2::decode(&message, &limits)?,
    };
    drop(reserved); // from here on the batch has a reservation of its own
    intake::store(app, tenant, decoded).await
}

/// What the headers say of the body, which is snappy-compressed; absent ones mean 1.0.
fn protocol(headers: &HeaderMap) -> Result<Protocol, IntakeError> {
    let text =
        |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_ascii_lowercase());
    let encoding = text(CONTENT_ENCODING).unwrap_or_default();
    if !matches!(encoding.as_str(), "" | "snappy") {
        return Err(IntakeError::Unsupported(format!("content encoding {encoding:?} is not supported; send snappy")));
    }
    let content_type = text(CONTENT_TYPE).unwrap_or_default();
    let mut parameters = content_type.split(';').map(str::trim);
    let media_type = parameters.next().unwrap_or_default();
    if !matches!(media_type, "" | "application/x-protobuf") {
        return Err(IntakeError::Unsupported(format!(
            "content type {content_type:?} is not supported; send application/x-protobuf"
        )));
    }
    match parameters.find_map(|parameter| parameter.strip_prefix("proto=")) {
        None | Some("prometheus.writerequest") => Ok(Protocol::V1),
        Some("io.prometheus.write.v2.request") => Ok(Protocol::V2),
        Some(message) => Err(IntakeError::Unsupported(format!(
            "message {message:?} is not supported; send remote write 1.0 (prometheus.WriteRequest) or 2.0 \
             (io.prometheus.write.v2.Request)"
        ))),
    }
}

/// What is written, told to senders of 2.0 whatever the answer is, and never to those of 1.0: all three, also where they
/// are zero.
fn report([samples, histograms, exemplars]: [u64; 3], headers: &mut HeaderMap) {
    let counts = [
        ("x-prometheus-remote-write-samples-written", samples),
        ("x-prometheus-remote-write-histograms-written", histograms),
        ("x-prometheus-remote-write-exemplars-written", exemplars),
    ];
    for (name, count) in counts {
        headers.insert(HeaderName::from_static(name), count.into());
    }
}
