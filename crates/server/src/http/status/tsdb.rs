//! `status/tsdb` and `status/tsdb/blocks`: how much of a tenant is in memory, by what its series are many, and which blocks
//! hold the rest.

use crate::app::AppState;
use crate::http::allowance::Allowance;
use crate::http::auth::Tenant;
use crate::http::error::ApiError;
use crate::http::json;
use crate::http::params::Params;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use longhaul_bucket::LiveBlock;
use longhaul_head::{Counted, HeadStatus};
use serde_json::{Value, json};

/// Entries of each list, unless more are asked for.
const LIMIT_DEFAULT: i64 = 10;
/// The most that may be asked for: Prometheus' number.
const LIMIT_MAX: i64 = 10_000;

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/status/tsdb", get(head_status)).route("/status/tsdb/blocks", get(blocks))
}

async fn head_status(
    State(app): State<AppState>,
    Tenant(tenant): Tenant,
    params: Params,
) -> Result<Response, ApiError> {
    let limit = limit(&params)?;
    let status = async {
        let source = app.source(&tenant, app.query_slot().await?).await?;
        Ok(source.head_status(limit).await?)
    };
    Ok(json::success(&rendered(&Allowance::new(&app, None).within("status of the head", status).await?)))
}

fn limit(params: &Params) -> Result<usize, ApiError> {
    let not_positive = || ApiError::bad_data("limit must be a positive number");
    match params.number("limit").map_err(|_| not_positive())?.unwrap_or(LIMIT_DEFAULT) {
        ..=0 => Err(not_positive()),
        limit if limit > LIMIT_MAX => Err(ApiError::bad_data(format!("limit must not exceed {LIMIT_MAX}"))),
        limit => Ok(limit as usize),
    }
}

fn rendered(status: &HeadStatus) -> Value {
    let list = |items: &[Counted]| -> Vec<Value> {
        items.iter().map(|item| json!({ "name": item.name, "value": item.count })).collect()
    };
    json!({
        "headStats": {
            "numSeries": status.series,
            "numLabelPairs": status.label_pairs,
            "chunkCount": status.chunks,
            "minTime": status.min_ms,
            "maxTime": status.max_ms,
        },
        "seriesCountByMetricName": list(&status.series_by_metric),
        "labelValueCountByLabelName": list(&status.values_by_label),
        "memoryInBytesByLabelName": list(&status.bytes_by_label),
        "seriesCountByLabelValuePair": list(&status.series_by_pair),
    })
}

async fn blocks(State(app): State<AppState>, Tenant(tenant): Tenant) -> Result<Response, ApiError> {
    let pinned = async { Ok(app.source(&tenant, app.query_slot().await?).await?) };
    let source = Allowance::new(&app, None).within("list of blocks", pinned).await?;
    let blocks: Vec<Value> = source.manifest().blocks.iter().map(block).collect();
    Ok(json::success(&json!({ "blocks": blocks })))
}

/// A block as its `meta.json` describes it, as far as the manifest knows.
fn block(block: &LiveBlock) -> Value {
    json!({
        "ulid": block.id.to_string(),
        "minTime": block.range.start_ms,
        "maxTime": block.range.end_ms,
        "stats": { "numSamples": block.samples, "numSeries": block.series },
        "compaction": {
            "level": block.level,
            "sources": block.sources.iter().map(ToString::to_string).collect::<Vec<_>>(),
        },
        "version": 1,
    })
}
