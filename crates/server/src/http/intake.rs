//! What all that is sent has in common: a body is let in before it is read, read within its cap, and what is made of it is
//! stored and counted.

use crate::app::App;
use crate::http::body::{self, BodyError};
use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_LENGTH, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use longhaul_ingest::{Cause, Inflight, Refusals, Screened, WriteError, WriteLimits, WriteReport};
use longhaul_model::TenantId;
use longhaul_wire::remote_write::DecodeLimits;
use longhaul_wire::{Decoded, Reason, WireError};
use std::sync::atomic::Ordering::Relaxed;

/// What a sender is asked to wait before it tries again, seconds.
pub(crate) const RETRY_AFTER_SECONDS: u64 = 1;

/// Why a request was not taken, or not wholly.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IntakeError {
    #[error("err-longhaul-unsupported-media-type: {0}")]
    Unsupported(String),
    #[error("err-longhaul-body-too-large: the body has more than the {0} bytes that `http.body_max` allows")]
    BodyTooLarge(u64),
    #[error("{0}")]
    Body(BodyError),
    #[error("{0}")]
    TooSlow(BodyError),
    #[error("err-longhaul-decode: the body cannot be decompressed: {0}")]
    Compression(std::io::Error),
    #[error("err-longhaul-decode: {0}")]
    Wire(#[from] WireError),
    #[error("{0}")]
    TryAgain(#[from] WriteError),
}

/// What of a request is stored, and what is not. What its tenant does not want counts as stored: its sender has nothing to
/// do about it.
#[derive(Debug)]
pub(crate) struct Stored {
    /// Floats.
    pub(crate) samples: u64,
    /// Native histograms.
    pub(crate) histograms: u64,
    /// Exemplars.
    pub(crate) exemplars: u64,
    /// What was left out, by the decoder or when it was to be stored.
    pub(crate) refusals: Refusals,
}

impl Stored {
    /// What a sender is told if not all of it is.
    pub(crate) fn refused(&self) -> Option<String> {
        let all = self.samples + self.histograms + self.exemplars;
        (!self.refusals.is_empty()).then(|| self.refusals.message(all))
    }
}

/// Reads a body, with the memory that is reserved for it until something is made of it. One that is declared too long is
/// not read at all.
pub(crate) async fn read(app: &App, headers: &HeaderMap, body: Body) -> Result<(Bytes, Inflight), IntakeError> {
    let body_max = app.config.http.body_max.bytes;
    let declared_bytes = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0);
    let reserved = app.ingester.admit(if declared_bytes > 0 { declared_bytes } else { body_max })?;
    if declared_bytes > body_max {
        return Err(IntakeError::BodyTooLarge(body_max));
    }
    let body = body::read(body, body_max).await.map_err(|error| match error {
        BodyError::TooLarge(max) => IntakeError::BodyTooLarge(max),
        BodyError::TooSlow => IntakeError::TooSlow(error),
        BodyError::Broken(_) => IntakeError::Body(error),
    })?;
    Ok((body, reserved))
}

/// What a request may hold.
pub(crate) fn limits(app: &App) -> DecodeLimits {
    DecodeLimits {
        series_max: app.config.limits.series_per_request_max,
        samples_max: app.config.limits.samples_per_request_max,
        text_bytes_max: app.config.http.decoded_max.bytes.min(i32::MAX as u64) as u32,
        ..DecodeLimits::default()
    }
}

/// Stores what was decoded, as far as the tenant wants it.
pub(crate) async fn store(app: &App, tenant: &TenantId, decoded: Decoded) -> Result<Stored, IntakeError> {
    let Decoded { batch, refused } = decoded;
    let Screened { batch, dropped, refusals: unscreened } = app.screen.apply(tenant, batch, app.clock.now_ms());
    let limits = WriteLimits { zeros_at_start: app.screen.wants_zeros_at_start(tenant), ..app.write_limits(tenant) };
    let WriteReport { stored, histograms_stored, exemplars_stored, mut refusals } =
        app.ingester.write(tenant, &batch, &limits).await?;
    let not_decoded: u64 = refused.iter().map(|left_out| left_out.count).sum();
    let metrics = app.ingester.metrics();
    metrics.samples_refused.fetch_add(not_decoded + unscreened.count(), Relaxed);
    metrics.samples_dropped.fetch_add(dropped.count(), Relaxed);
    refusals.extend(unscreened);
    for left_out in refused {
        refusals.add(cause(left_out.reason), left_out.count, || left_out.first);
    }
    Ok(Stored {
        samples: stored - histograms_stored + dropped.samples,
        histograms: histograms_stored + dropped.histograms,
        exemplars: exemplars_stored + dropped.exemplars,
        refusals,
    })
}

fn cause(reason: Reason) -> Cause {
    match reason {
        Reason::SymbolReference => Cause::SymbolReference,
        Reason::NoSamples => Cause::NoSamples,
        Reason::Temporality => Cause::Temporality,
        Reason::DeltaLimit => Cause::DeltaLimit,
        Reason::Name => Cause::Name,
        Reason::DataPoint => Cause::DataPoint,
        Reason::Line => Cause::Line,
    }
}

impl IntakeError {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Unsupported(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyTooLarge(_)
            | Self::Wire(WireError::TooLarge { .. } | WireError::TooMany { .. } | WireError::TextsTooLarge { .. }) => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Self::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Body(_) | Self::Compression(_) | Self::Wire(_) => StatusCode::BAD_REQUEST,
            Self::TryAgain(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl IntoResponse for IntakeError {
    fn into_response(self) -> Response {
        let mut response = (self.status(), self.to_string()).into_response();
        if matches!(self, Self::TryAgain(_)) {
            response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS.into());
        }
        response
    }
}
