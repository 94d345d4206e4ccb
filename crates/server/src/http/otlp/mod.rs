//! OpenTelemetry's metrics: over HTTP ([`over_http`]) and gRPC ([`over_grpc`]). Here is what both have in common: from the
//! bytes of a message to what its sender is told.
//!
//! All of it stored: success. A part of it: success too, with how many data points were rejected and why (OTLP's partial
//! success); nothing of it: refused. What may be tried again is told by 503 and `UNAVAILABLE` only.

mod over_grpc;
mod over_http;
mod totals;

use crate::app::App;
use crate::http::intake::{self, IntakeError};
use axum::body::Bytes;
use axum::http::StatusCode;
use longhaul_ingest::Inflight;
use longhaul_model::TenantId;
use longhaul_wire::proto::opentelemetry::{ExportMetricsPartialSuccess, ExportMetricsServiceResponse};
use longhaul_wire::{Decoded, WireError, otlp};

pub(crate) use over_grpc::routes as grpc_routes;
pub(crate) use over_http::routes;
pub(crate) use totals::TenantTotals;

/// How many times the longest body a message may take in memory while it is decoded.
const WEIGHT_PER_BYTE_MAX: u64 = 8;

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    Protobuf,
    Json,
}

/// Why nothing of a request is stored.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Request(#[from] IntakeError),
    /// Each of its data points, with the causes.
    #[error("{0}")]
    Points(String),
}

impl Refused {
    fn status(&self) -> StatusCode {
        match self {
            Self::Request(error) => error.status(),
            Self::Points(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// The number that gRPC has for it (`google.rpc.Code`).
    fn code(&self) -> i32 {
        const INVALID_ARGUMENT: i32 = 3;
        const UNIMPLEMENTED: i32 = 12;
        const UNAVAILABLE: i32 = 14;
        match self.status() {
            StatusCode::SERVICE_UNAVAILABLE => UNAVAILABLE,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => UNIMPLEMENTED,
            _ => INVALID_ARGUMENT,
        }
    }
}

impl From<WireError> for Refused {
    fn from(error: WireError) -> Self {
        Self::Request(error.into())
    }
}

fn decode(app: &App, tenant: &TenantId, message: &[u8]) -> Result<Decoded, WireError> {
    let (settings, limits) = (app.config.otlp.settings(), intake::limits(app));
    if !app.screen.wants_otlp_deltas(tenant) {
        return otlp::decode(message, &settings, &limits);
    }
    let totals = app.otlp_totals.of(tenant, app.config.limits.otlp_deltas_max.bytes as usize);
    otlp::decode_deltas(message, &settings, &limits, &mut totals.lock(), app.clock.now_ms())
}

/// Stores the metrics of a message, which is not compressed any more. `reserved` is the memory of its body.
async fn store(
    app: &App,
    tenant: &TenantId,
    layout: Layout,
    text: Bytes,
    reserved: Inflight,
) -> Result<ExportMetricsServiceResponse, Refused> {
    let size_bytes_max = app.config.http.decoded_max.bytes;
    let message = if layout == Layout::Json { otlp::json_to_protobuf(&text, size_bytes_max)? } else { text };
    let weight_bytes = otlp::weigh(&message)?;
    if weight_bytes > size_bytes_max * WEIGHT_PER_BYTE_MAX {
        return Err(WireError::TooLarge { size_bytes: weight_bytes, size_bytes_max }.into());
    }
    let weight_reserved = app.ingester.admit(weight_bytes).map_err(IntakeError::from)?;
    let decoded = decode(app, tenant, &message)?;
    drop((reserved, weight_reserved)); // from here on the batch has a reservation of its own
    let stored = intake::store(app, tenant, decoded).await?;
    let causes = stored.refusals.causes().iter();
    let rejected: u64 = causes.filter(|it| !it.cause.is_of_exemplars()).map(|it| it.count).sum();
    match stored.refused() {
        Some(message) if rejected > 0 && stored.samples + stored.histograms == 0 => Err(Refused::Points(message)),
        message => Ok(ExportMetricsServiceResponse {
            partial_success: message.map(|error_message| ExportMetricsPartialSuccess {
                rejected_data_points: rejected as i64,
                error_message,
            }),
        }),
    }
}
