//! Expressions as such: `format_query` shows one to people, `parse_query` to programs.

use crate::app::AppState;
use crate::http::auth::Tenant;
use crate::http::error::ApiError;
use crate::http::json;
use crate::http::params::Params;
use axum::Router;
use axum::response::Response;
use axum::routing::get;
use longhaul_promql::ast::Expr;
use longhaul_promql::{ParseErrors, ParseOptions, parse, pretty};

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/format_query", get(format_query).post(format_query))
        .route("/parse_query", get(parse_query).post(parse_query))
}

/// The expression in `query`.
pub(crate) fn of(params: &Params) -> Result<Expr, ApiError> {
    parsed(params).map_err(|error| ApiError::invalid_parameter("query", error))
}

/// The same, for those whose errors do not name the parameter.
pub(crate) fn parsed(params: &Params) -> Result<Expr, ParseErrors> {
    parse(params.get("query").unwrap_or_default(), &ParseOptions::default())
}

async fn format_query(Tenant(_): Tenant, params: Params) -> Result<Response, ApiError> {
    Ok(json::success(&pretty(&of(&params)?)))
}

async fn parse_query(Tenant(_): Tenant, params: Params) -> Result<Response, ApiError> {
    Ok(json::success(&json::syntax_tree(&of(&params)?)))
}
