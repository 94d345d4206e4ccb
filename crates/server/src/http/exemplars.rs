//! `query_exemplars`: the exemplars of the series that an expression selects.

use crate::app::AppState;
use crate::http::allowance::Allowance;
use crate::http::auth::Tenant;
use crate::http::error::ApiError;
use crate::http::expression;
use crate::http::json::{self, Notes};
use crate::http::params::Params;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use longhaul_model::Matcher;
use longhaul_promql::ast::{Expr, ExprKind};

pub(crate) fn routes() -> Router<AppState> {
    Router::new().route("/query_exemplars", get(query_exemplars).post(query_exemplars))
}

async fn query_exemplars(
    State(app): State<AppState>,
    Tenant(tenant): Tenant,
    params: Params,
) -> Result<Response, ApiError> {
    let range = params.lookup_range()?;
    if range.is_empty() {
        return Err(ApiError::bad_data("end timestamp must not be before start timestamp"));
    }
    let mut selectors = Vec::new();
    collect_selectors(&expression::parsed(&params).map_err(ApiError::bad_data)?, &mut selectors);
    if selectors.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let allowance = Allowance::new(&app, None);
    let found = async {
        let source = app.source(&tenant, app.query_slot().await?).await?;
        let found = source.exemplars(selectors, range, &allowance.budget).await?;
        Ok((found, Notes { warnings: source.warnings().to_vec(), infos: Vec::new() }))
    };
    let (found, notes) = allowance.within("exemplar lookup", found).await?;
    Ok(json::exemplars(found, &notes))
}

/// Every selector of an expression, each once.
fn collect_selectors(expr: &Expr, selectors: &mut Vec<Vec<Matcher>>) {
    let matchers = match &expr.kind {
        ExprKind::Vector(selector) => Some(&selector.matchers),
        ExprKind::Matrix(matrix) => Some(&matrix.selector.matchers),
        _ => None,
    };
    if let Some(matchers) = matchers
        && !selectors.contains(matchers)
    {
        selectors.push(matchers.clone());
    }
    expr.for_each_child(|child| collect_selectors(child, selectors));
}
