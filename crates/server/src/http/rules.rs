//! `rules` and `alerts`: there are none yet. Parameters are judged as Prometheus judges them, so that a client with a wrong
//! one hears of it.

use crate::app::AppState;
use crate::http::auth::Tenant;
use crate::http::error::ApiError;
use crate::http::json;
use crate::http::params::Params;
use axum::Router;
use axum::response::Response;
use axum::routing::get;
use serde_json::json;

pub(crate) fn routes() -> Router<AppState> {
    Router::new().route("/rules", get(rules)).route("/alerts", get(alerts))
}

async fn rules(Tenant(_): Tenant, params: Params) -> Result<Response, ApiError> {
    params.selectors().map_err(ApiError::bad_data)?;
    let kind = params.get("type").unwrap_or_default().to_lowercase();
    if !matches!(kind.as_str(), "" | "alert" | "record") {
        return Err(ApiError::invalid_parameter("type", format!("not supported value {kind:?}")));
    }
    params.boolean("exclude_alerts")?;
    check_page(&params)?;
    Ok(json::success(&json!({ "groups": [] })))
}

/// The page of groups that is asked for: `group_limit` of them, from `group_next_token` on.
fn check_page(params: &Params) -> Result<(), ApiError> {
    let limit = params.get("group_limit");
    let token = params.get("group_next_token");
    let Some(limit) = limit else {
        let reason = "group_limit needs to be present in order to paginate over the groups";
        return if token.is_none() { Ok(()) } else { Err(ApiError::invalid_parameter("group_next_token", reason)) };
    };
    let wrong = |reason: String| ApiError::invalid_parameter("group_limit", reason);
    match limit.parse::<i32>() {
        Err(error) => return Err(wrong(format!("group_limit needs to be a valid number: {error}"))),
        Ok(limit) if limit <= 0 => return Err(wrong("group_limit needs to be greater than 0".to_owned())),
        Ok(_) => {}
    }
    token.map_or(Ok(()), |token| {
        let reason = format!("invalid group_next_token '{token}'. were rule groups changed?");
        Err(ApiError::invalid_parameter("group_next_token", reason))
    })
}

async fn alerts(Tenant(_): Tenant) -> Response {
    json::success(&json!({ "alerts": [] }))
}
