//! The layout `SAMPLES`: the whole answer is one message, made series by series and compressed at the end.

use super::refused;
use crate::http::allowance::Allowance;
use crate::http::error::ApiError;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use longhaul_promql::QueryError;
use longhaul_query::TenantSource;
use longhaul_wire::remote_read::{ReadQuery, SamplesAnswer};

pub(super) async fn answer(
    source: &TenantSource,
    queries: Vec<ReadQuery>,
    allowance: &Allowance,
) -> Result<Response, ApiError> {
    let read = async { body(source, queries, allowance).await.map_err(refused) };
    let body = allowance.within("remote read", read).await?;
    let headers = [(CONTENT_TYPE, "application/x-protobuf"), (CONTENT_ENCODING, "snappy")];
    Ok((headers, body).into_response())
}

async fn body(source: &TenantSource, queries: Vec<ReadQuery>, allowance: &Allowance) -> Result<Vec<u8>, QueryError> {
    let mut answer = SamplesAnswer::default();
    let mut held = allowance.budget.hold(0)?;
    for ReadQuery { matchers, range } in queries {
        let mut reader = source.read(matchers, range, &allowance.budget).await?;
        while let Some(batch) = reader.next_samples().await? {
            let size_bytes = answer.size_bytes();
            for series in batch {
                answer.push_series(&series.labels, series.samples);
            }
            // Twice: the message, and its compressed form beside it.
            held.grow(2 * (answer.size_bytes() - size_bytes))?;
        }
        answer.end_query();
    }
    tokio::task::spawn_blocking(|| answer.into_body()).await.map_err(|error| QueryError::Storage(error.to_string()))
}
