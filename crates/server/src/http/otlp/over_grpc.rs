//! OTLP over gRPC: its one method, unary, on the listener that everything else uses (HTTP/2 without TLS, as clients call it
//! "insecure").
//!
//! Source of the format: gRPC's "gRPC over HTTP2". A message is framed by a byte that says whether it is compressed and
//! four of length; how the call ended stands in the trailers, or in the headers if there is no message.

use super::{Layout, Refused, store};
use crate::app::{App, AppState};
use crate::http::auth::{AuthError, Tenant};
use crate::http::compression;
use crate::http::intake;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http_body_util::{BodyExt, Full};
use longhaul_model::TenantId;
use longhaul_wire::WireError;
use longhaul_wire::proto::opentelemetry::ExportMetricsServiceResponse;
use prost::Message;
use std::fmt::Write;

const METHOD: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// What stands before a message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;
/// Longest text of a failure: clients take headers of some KiB only.
const MESSAGE_BYTES_MAX: usize = 1024;

// google.rpc.Code
const OK: i32 = 0;
const INVALID_ARGUMENT: i32 = 3;
const UNAUTHENTICATED: i32 = 16;

pub(crate) fn routes() -> Router<AppState> {
    Router::new().route(METHOD, post(export))
}

async fn export(
    State(app): State<AppState>,
    tenant: Result<Tenant, AuthError>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let content_type = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    if !matches!(content_type, b"application/grpc" | b"application/grpc+proto") {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    let tenant = match tenant {
        Ok(Tenant(tenant)) => tenant,
        Err(error @ AuthError::Missing) => return failed(UNAUTHENTICATED, &error.to_string()),
        Err(error) => return failed(INVALID_ARGUMENT, &error.to_string()),
    };
    match read(&app, &tenant, &headers, body).await {
        Ok(told) => succeeded(&told),
        Err(refused) => failed(refused.code(), &refused.to_string()),
    }
}

async fn read(
    app: &App,
    tenant: &TenantId,
    headers: &HeaderMap,
    body: Body,
) -> Result<ExportMetricsServiceResponse, Refused> {
    let (body, reserved) = intake::read(app, headers, body).await?;
    let (is_compressed, message) = unframe(body)?;
    let encoding = headers.get(ENCODING).map(|value| String::from_utf8_lossy(value.as_bytes())).unwrap_or_default();
    let encoding = if is_compressed { &*encoding } else { "" };
    let message = compression::open(encoding, message, app.config.http.decoded_max.bytes)?;
    store(app, tenant, Layout::Protobuf, message, reserved).await
}

/// The one message of a unary call.
fn unframe(body: Bytes) -> Result<(bool, Bytes), WireError> {
    let wrong = |what: &str| WireError::Otlp(format!("the body is no message of gRPC: {what}"));
    let Some(&[flag, a, b, c, d]) = body.first_chunk::<PREFIX_BYTES>() else {
        return Err(wrong("it is too short"));
    };
    if flag > 1 {
        return Err(wrong("an unknown flag"));
    }
    if u32::from_be_bytes([a, b, c, d]) as usize != body.len() - PREFIX_BYTES {
        return Err(wrong("another length than it says, or another message behind it"));
    }
    Ok((flag == 1, body.slice(PREFIX_BYTES..)))
}

fn succeeded(told: &ExportMetricsServiceResponse) -> Response {
    let message = told.encode_to_vec();
    let mut framed = vec![0];
    framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
    framed.extend_from_slice(&message);
    let trailers = HeaderMap::from_iter([(STATUS, OK.into())]);
    let body = Full::new(Bytes::from(framed)).with_trailers(async { Some(Ok(trailers)) });
    ([(CONTENT_TYPE, HeaderValue::from_static("application/grpc"))], Body::new(body)).into_response()
}

/// An answer without a message. Its HTTP status is 200 whatever the call's is.
fn failed(code: i32, message: &str) -> Response {
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(STATUS, code.into());
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(compression::KNOWN));
    headers.insert(MESSAGE, HeaderValue::from_str(&percent_encoded(message)).expect("visible ASCII"));
    response
}

/// A text as `grpc-message` has it, cut to its longest.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes().take(MESSAGE_BYTES_MAX) {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            _ => write!(encoded, "%{byte:02X}").expect("a string takes it"),
        }
    }
    encoded
}
