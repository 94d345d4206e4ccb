//! OpenTelemetry's metrics over HTTP, protobuf or JSON; the answer is in the same.
//!
//! All of it stored: 200. A part of it: 200 too, with how many data points were rejected and why (OTLP's partial success);
//! nothing of it: 400. What may be tried again is 503 only.

use crate::app::{App, AppState};
use crate::http::auth::Tenant;
use crate::http::intake::{self, IntakeError, Stored};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use longhaul_model::TenantId;
use longhaul_wire::proto::opentelemetry::{ExportMetricsPartialSuccess, ExportMetricsServiceResponse, Status};
use longhaul_wire::{WireError, otlp};
use prost::Message;
use serde_json::json;
use std::io::Read;

/// How many times the longest body a message may take in memory while it is decoded.
const WEIGHT_PER_BYTE_MAX: u64 = 8;

/// How far back a zstd frame may refer, as a power of two of bytes: what RFC 8878 asks every decoder for. A header of a few
/// bytes reserves so much memory.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

// google.rpc.Code
const INVALID_ARGUMENT: i32 = 3;
const UNAVAILABLE: i32 = 14;

pub(crate) fn routes() -> Router<AppState> {
    Router::new().route("/otlp/v1/metrics", post(push))
}

/// How request and answer are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Protobuf,
    Json,
}

async fn push(State(app): State<AppState>, Tenant(tenant): Tenant, headers: HeaderMap, body: Body) -> Response {
    let format = match format(&headers) {
        Ok(format) => format,
        Err(error) => return error.into_response(),
    };
    match store(&app, &tenant, format, &headers, body).await {
        Ok(stored) => answer(format, &stored),
        Err(error) => {
            let status = error.status();
            let code = if status == StatusCode::SERVICE_UNAVAILABLE { UNAVAILABLE } else { INVALID_ARGUMENT };
            let body = failure(format, code, error.to_string());
            let mut response = error.into_response(); // with its headers
            *response.body_mut() = body.into();
            response.headers_mut().insert(CONTENT_TYPE, format.content_type());
            response
        }
    }
}

async fn store(
    app: &App,
    tenant: &TenantId,
    format: Format,
    headers: &HeaderMap,
    body: Body,
) -> Result<Stored, IntakeError> {
    let (body, reserved) = intake::read(app, headers, body).await?;
    let size_bytes_max = app.config.http.decoded_max.bytes;
    let text = decompressed(headers, body, size_bytes_max)?;
    let message = if format == Format::Json { otlp::json_to_protobuf(&text)? } else { text };
    let weight_bytes = otlp::weigh(&message)?;
    if weight_bytes > size_bytes_max * WEIGHT_PER_BYTE_MAX {
        return Err(WireError::TooLarge { size_bytes: weight_bytes, size_bytes_max }.into());
    }
    let weight_reserved = app.ingester.admit(weight_bytes)?;
    let decoded = otlp::decode(&message, &app.config.otlp.settings(), &intake::limits(app))?;
    drop((reserved, weight_reserved)); // from here on the batch has a reservation of its own
    intake::store(app, tenant, decoded).await
}

fn format(headers: &HeaderMap) -> Result<Format, IntakeError> {
    let text = headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase());
    let text = text.unwrap_or_default();
    match text.split(';').next().unwrap_or_default().trim() {
        "application/x-protobuf" => Ok(Format::Protobuf),
        "application/json" => Ok(Format::Json),
        _ => Err(IntakeError::Unsupported(format!(
            "content type {text:?} is not supported; send application/x-protobuf or application/json"
        ))),
    }
}

/// Opens a body; one that becomes too long is not opened further.
fn decompressed(headers: &HeaderMap, body: Bytes, size_bytes_max: u64) -> Result<Bytes, IntakeError> {
    let text =
        headers.get(CONTENT_ENCODING).map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase());
    let reader: Box<dyn Read + '_> = match text.as_deref().map_or("", str::trim) {
        "" | "identity" => return within(body.len() as u64, size_bytes_max).map(|()| body),
        "gzip" => Box::new(flate2::read::MultiGzDecoder::new(&body[..])),
        "zstd" => {
            let mut decoder = zstd::stream::read::Decoder::new(&body[..]).map_err(malformed)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(malformed)?;
            Box::new(decoder)
        }
        other => {
            return Err(IntakeError::Unsupported(format!(
                "content encoding {other:?} is not supported; send gzip, zstd or none"
            )));
        }
    };
    let mut opened = Vec::new();
    reader.take(size_bytes_max + 1).read_to_end(&mut opened).map_err(malformed)?;
    within(opened.len() as u64, size_bytes_max)?;
    Ok(Bytes::from(opened))
}

fn within(size_bytes: u64, size_bytes_max: u64) -> Result<(), IntakeError> {
    if size_bytes > size_bytes_max { Err(WireError::TooLarge { size_bytes, size_bytes_max }.into()) } else { Ok(()) }
}

fn malformed(error: std::io::Error) -> IntakeError {
    WireError::Otlp(format!("the body cannot be decompressed: {error}")).into()
}

fn answer(format: Format, stored: &Stored) -> Response {
    let causes = stored.refusals.causes().iter();
    let rejected: u64 = causes.filter(|it| !it.cause.is_of_exemplars()).map(|it| it.count).sum();
    let message = stored.refused();
    if let (true, 0, Some(message)) = (rejected > 0, stored.samples + stored.histograms, &message) {
        let body = failure(format, INVALID_ARGUMENT, message.clone());
        return (StatusCode::BAD_REQUEST, [(CONTENT_TYPE, format.content_type())], body).into_response();
    }
    let body = match format {
        Format::Protobuf => {
            let partial_success = message.map(|error_message| ExportMetricsPartialSuccess {
                rejected_data_points: rejected as i64,
                error_message,
            });
            ExportMetricsServiceResponse { partial_success }.encode_to_vec()
        }
        Format::Json => match message {
            None => b"{}".to_vec(),
            Some(message) => {
                let partial = json!({"rejectedDataPoints": rejected.to_string(), "errorMessage": message});
                json!({"partialSuccess": partial}).to_string().into_bytes()
            }
        },
    };
    (StatusCode::OK, [(CONTENT_TYPE, format.content_type())], body).into_response()
}

/// The body of an answer that is no success.
fn failure(format: Format, code: i32, message: String) -> Vec<u8> {
    match format {
        Format::Protobuf => Status { code, message }.encode_to_vec(),
        Format::Json => json!({"code": code, "message": message}).to_string().into_bytes(),
    }
}

impl Format {
    fn content_type(self) -> axum::http::HeaderValue {
        axum::http::HeaderValue::from_static(match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        })
    }
}
