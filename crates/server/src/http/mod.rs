//! The HTTP surface: what is where. Handlers parse, call and render; what they call lives in the crates below.

pub(crate) mod admin;
pub(crate) mod allowance;
pub(crate) mod auth;
pub(crate) mod body;
pub(crate) mod compression;
pub(crate) mod cors;
pub(crate) mod deletion;
pub(crate) mod error;
pub(crate) mod exemplars;
pub(crate) mod expression;
pub(crate) mod federate;
pub(crate) mod health;
pub(crate) mod import;
pub(crate) mod influx;
pub(crate) mod intake;
pub(crate) mod json;
pub(crate) mod labels;
pub(crate) mod otlp;
pub(crate) mod params;
pub(crate) mod push;
pub(crate) mod query;
pub(crate) mod read;
pub(crate) mod rules;
pub(crate) mod scraping;
pub(crate) mod status;

use crate::app::AppState;
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::handler::Handler;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use tower_http::compression::CompressionLayer;

/// The main listener.
pub(crate) fn router(app: &AppState) -> Router {
    let api = api();
    let federation = federate::routes().layer(CompressionLayer::new());
    Router::new()
        .nest("/api/v1", api.clone())
        .nest("/prometheus/api/v1", api)
        .nest("/prometheus", federation.clone())
        .merge(federation)
        .merge(senders().layer(middleware::from_fn(cors::refuse)))
        .merge(health::routes())
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(app.clone(), observe))
        .with_state(app.clone())
}

/// What lies under `/api/v1`.
fn api() -> Router<AppState> {
    let json = Router::new()
        .merge(query::routes())
        .merge(expression::routes())
        .merge(exemplars::routes())
        .merge(labels::routes())
        .merge(scraping::routes())
        .merge(rules::routes())
        .merge(status::routes())
        .merge(deletion::routes())
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn(cors::allow));
    // What programs send and read: compressed as their formats have it, and nothing for pages of other origins.
    let protobuf = Router::new()
        .merge(read::routes())
        .merge(push::routes())
        .merge(otlp::routes())
        .merge(import::routes())
        .merge(influx::routes())
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn(cors::refuse));
    json.merge(protobuf).fallback(not_found.layer(middleware::from_fn(cors::allow)))
}

/// What lies at the root, since its senders look for it there.
fn senders() -> Router<AppState> {
    otlp::routes().merge(otlp::grpc_routes()).merge(influx::root_routes())
}

async fn not_found() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "404 page not found\n")
}

async fn method_not_allowed() -> (StatusCode, &'static str) {
    (StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n")
}

/// The operators' listener.
pub(crate) fn admin_router(app: &AppState) -> Router {
    admin::routes().merge(health::routes()).with_state(app.clone())
}

/// Counts requests by route and status, and how long they took.
async fn observe(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("other".to_owned(), |path| path.as_str().to_owned());
    let started_ns = app.clock.monotonic_ns();
    let response = next.run(request).await;
    let seconds = (app.clock.monotonic_ns() - started_ns) as f64 / 1e9;
    app.metrics.observe_request(&route, response.status().as_u16(), seconds);
    response
}

#[cfg(test)]
mod tests;
