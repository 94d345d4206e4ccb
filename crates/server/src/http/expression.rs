//! Expressions as such: `format_query` shows one to people, `parse_query` to programs; `query_exemplars` looks for what its
//! selectors select.

use crate::app::AppState;
use crate::http::auth::Tenant;
use crate::http::error::ApiError;
use crate::http::json;
use crate::http::params::Params;
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use longhaul_promql::ast::{Expr, ExprKind};
use longhaul_promql::{ParseErrors, ParseOptions, parse, pretty};
use serde_json::json;

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/format_query", get(format_query).post(format_query))
        .route("/parse_query", get(parse_query).post(parse_query))
        .route("/query_exemplars", get(query_exemplars).post(query_exemplars))
}

/// The expression in `query`.
pub(crate) fn of(params: &Params) -> Result<Expr, ApiError> {
    parsed(params).map_err(|error| ApiError::invalid_parameter("query", error))
}

fn parsed(params: &Params) -> Result<Expr, ParseErrors> {
    parse(params.get("query").unwrap_or_default(), &ParseOptions::default())
}

async fn format_query(Tenant(_): Tenant, params: Params) -> Result<Response, ApiError> {
    Ok(json::success(&pretty(&of(&params)?)))
}

async fn parse_query(Tenant(_): Tenant, params: Params) -> Result<Response, ApiError> {
    Ok(json::success(&json::syntax_tree(&of(&params)?)))
}

/// Exemplars are not kept yet: whatever is selected has none.
async fn query_exemplars(Tenant(_): Tenant, params: Params) -> Result<Response, ApiError> {
    let range = params.lookup_range()?;
    if range.is_empty() {
        return Err(ApiError::bad_data("end timestamp must not be before start timestamp"));
    }
    let expr = parsed(&params).map_err(ApiError::bad_data)?;
    if !has_selector(&expr) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(json::success(&json!([])))
}

fn has_selector(expr: &Expr) -> bool {
    let mut found = matches!(expr.kind, ExprKind::Vector(_) | ExprKind::Matrix(_));
    expr.for_each_child(|child| found |= has_selector(child));
    found
}
