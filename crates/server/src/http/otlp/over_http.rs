//! OTLP over HTTP, protobuf or JSON; the answer is in the same.

use super::{Layout, Refused, store};
use crate::app::{App, AppState};
use crate::http::auth::Tenant;
use crate::http::compression;
use crate::http::intake::{self, IntakeError};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use longhaul_model::TenantId;
use longhaul_wire::proto::opentelemetry::{ExportMetricsServiceResponse, Status};
use prost::Message;
use serde_json::json;

pub(crate) fn routes() -> Router<AppState> {
    Router::new().route("/otlp/v1/metrics", post(push))
}

async fn push(State(app): State<AppState>, Tenant(tenant): Tenant, headers: HeaderMap, body: Body) -> Response {
    let layout = match layout(&headers) {
        Ok(layout) => layout,
        Err(error) => return error.into_response(),
    };
    let (mut response, body) = match read(&app, &tenant, layout, &headers, body).await {
        Ok(told) => (StatusCode::OK.into_response(), success(layout, &told)),
        Err(refused) => {
            let body = failure(layout, &refused);
            let status = refused.status();
            match refused {
                Refused::Request(error) => (error.into_response(), body), // with its headers
                Refused::Points(_) => (status.into_response(), body),
            }
        }
    };
    *response.body_mut() = body.into();
    response.headers_mut().insert(CONTENT_TYPE, layout.content_type());
    response
}

async fn read(
    app: &App,
    tenant: &TenantId,
    layout: Layout,
    headers: &HeaderMap,
    body: Body,
) -> Result<ExportMetricsServiceResponse, Refused> {
    let (body, reserved) = intake::read(app, headers, body).await?;
    let text = compression::open_body(headers, body, app.config.http.decoded_max.bytes)?;
    store(app, tenant, layout, text, reserved).await
}

fn layout(headers: &HeaderMap) -> Result<Layout, IntakeError> {
    let text = headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes())).unwrap_or_default();
    match text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/x-protobuf" => Ok(Layout::Protobuf),
        "application/json" => Ok(Layout::Json),
        _ => Err(IntakeError::Unsupported(format!(
            "content type {text:?} is not supported; send application/x-protobuf or application/json"
        ))),
    }
}

fn success(layout: Layout, told: &ExportMetricsServiceResponse) -> Vec<u8> {
    match (layout, &told.partial_success) {
        (Layout::Protobuf, _) => told.encode_to_vec(),
        (Layout::Json, None) => b"{}".to_vec(),
        (Layout::Json, Some(partial)) => {
            let count = partial.rejected_data_points.to_string();
            let partial = json!({"rejectedDataPoints": count, "errorMessage": partial.error_message});
            json!({"partialSuccess": partial}).to_string().into_bytes()
        }
    }
}

/// The body of an answer that is no success.
fn failure(layout: Layout, refused: &Refused) -> Vec<u8> {
    let (code, message) = (refused.code(), refused.to_string());
    match layout {
        Layout::Protobuf => Status { code, message }.encode_to_vec(),
        Layout::Json => json!({"code": code, "message": message}).to_string().into_bytes(),
    }
}

impl Layout {
    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        })
    }
}
