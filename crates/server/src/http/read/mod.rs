//! Remote read (`POST /api/v1/read`): what selectors hold of a range, as samples or as chunks. Who reads this way is
//! another Prometheus, or Thanos.

mod samples;
mod stream;

use crate::app::AppState;
use crate::http::allowance::Allowance;
use crate::http::auth::Tenant;
use crate::http::body::{self, BodyError};
use crate::http::error::{ApiError, TextError};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use longhaul_promql::QueryError;
use longhaul_wire::remote_read::{self, Layout};
use longhaul_wire::{WireError, snappy};

/// The longest request, as sent and decompressed. It is matchers and nothing else; decoded it takes up to 75 times as
/// much.
const REQUEST_BYTES_MAX: u64 = 1 << 20;

pub(crate) fn routes() -> Router<AppState> {
    Router::new().route("/read", post(read))
}

async fn read(State(app): State<AppState>, Tenant(tenant): Tenant, body: Body) -> Result<Response, TextError> {
    let body = body::read(body, REQUEST_BYTES_MAX).await?;
    let allowance = Allowance::new(&app, None);
    // Not before there is a slot: decoding takes memory.
    let slot = allowance.within("query queue", app.query_slot()).await?;
    let request = remote_read::decode(&snappy::decompress(&body, REQUEST_BYTES_MAX as usize)?)?;
    let source = allowance.within("query preparation", async { Ok(app.source(&tenant, slot).await?) }).await?;
    match request.layout {
        Layout::Samples => Ok(samples::answer(&source, request.queries, &allowance).await?),
        Layout::StreamedChunks => Ok(stream::answer(source, request.queries, allowance).await?),
    }
}

/// Readers take a limit for a mistake of theirs, as Prometheus tells it.
fn refused(error: QueryError) -> ApiError {
    match error {
        QueryError::Limit { .. } | QueryError::SourceLimit(_) => ApiError::bad_data(error),
        other => other.into(),
    }
}

impl From<WireError> for ApiError {
    fn from(error: WireError) -> Self {
        Self::bad_data(error)
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        Self::bad_data(error)
    }
}
