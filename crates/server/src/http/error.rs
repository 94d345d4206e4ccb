//! Why a request of the read API has no answer, and what of it goes over the wire: the one mapping of errors to HTTP.
//!
//! Kinds and statuses are Prometheus' (`errorType` in `web/api/v1/api.go`).

use crate::http::json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use longhaul_bucket::BucketError;
use longhaul_ingest::DeleteError;
use longhaul_promql::QueryError;
use longhaul_promql::source::SourceError;

/// An error as a client of the read API sees it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(crate) struct ApiError {
    kind: ErrorKind,
    text: String,
}

/// What a client can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    /// Ask something else.
    BadData,
    /// The question is well formed, the data or the limits do not allow it.
    Execution,
    /// Someone stopped the query.
    Canceled,
    /// Ask for less, or wait longer.
    Timeout,
    /// It is our fault.
    Internal,
    /// Nothing is wrong with the request: the same may work later.
    Unavailable,
}

impl ApiError {
    /// The request is wrong.
    pub(crate) fn bad_data(text: impl ToString) -> Self {
        Self { kind: ErrorKind::BadData, text: text.to_string() }
    }

    /// One parameter of the request is wrong.
    pub(crate) fn invalid_parameter(name: &str, reason: impl std::fmt::Display) -> Self {
        Self::bad_data(format!("invalid parameter \"{name}\": {reason}"))
    }

    /// The time is up; `phase` says in which part of the work.
    pub(crate) fn timed_out(phase: &str) -> Self {
        Self { kind: ErrorKind::Timeout, text: format!("query timed out in {phase}") }
    }

    /// Something broke on this side. What it was goes to our log only: it names stores and objects, which are no
    /// business of whoever asks.
    pub(crate) fn internal(detail: impl std::fmt::Display) -> Self {
        tracing::error!(error = %detail, "a request failed");
        let text = "some of the data cannot be read at the moment; the server's log says which and why";
        Self { kind: ErrorKind::Internal, text: text.to_owned() }
    }

    /// Something that this side needs is away. What it was goes to our log only, as with [`Self::internal`].
    pub(crate) fn later(detail: impl std::fmt::Display) -> Self {
        tracing::warn!(error = %detail, "a request has to be repeated");
        let text = "that cannot be done at the moment, and may be asked for again; the server's log says why";
        Self { kind: ErrorKind::Unavailable, text: text.to_owned() }
    }

    /// It is asked rightly, and this version does not do it.
    pub(crate) fn not_built(text: impl ToString) -> Self {
        Self::execution(text)
    }

    fn execution(text: impl ToString) -> Self {
        Self { kind: ErrorKind::Execution, text: text.to_string() }
    }
}

impl ErrorKind {
    fn name(self) -> &'static str {
        match self {
            Self::BadData => "bad_data",
            Self::Execution => "execution",
            Self::Canceled => "canceled",
            Self::Timeout => "timeout",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::BadData => StatusCode::BAD_REQUEST,
            Self::Execution => StatusCode::UNPROCESSABLE_ENTITY,
            // nginx' code for a client that went away.
            Self::Canceled => StatusCode::from_u16(499).expect("499 is a status code"),
            Self::Timeout | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        match error {
            // What the engine calls bad is always the query.
            QueryError::BadData(text) => Self::invalid_parameter("query", text),
            QueryError::Execution(_) | QueryError::Limit { .. } | QueryError::SourceLimit(_) => Self::execution(error),
            QueryError::Timeout => Self { kind: ErrorKind::Timeout, text: error.to_string() },
            QueryError::Canceled => Self { kind: ErrorKind::Canceled, text: error.to_string() },
            QueryError::Storage(text) => Self::internal(text),
        }
    }
}

impl From<SourceError> for ApiError {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Storage(text) => Self::internal(text),
            SourceError::Limit(text) => Self::execution(text),
        }
    }
}

impl From<DeleteError> for ApiError {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::TooMany(_) => Self::execution(error),
            DeleteError::Log(_) | DeleteError::Closed => Self { kind: ErrorKind::Unavailable, text: error.to_string() },
            DeleteError::Bucket(error) => error.into(),
        }
    }
}

impl From<BucketError> for ApiError {
    fn from(error: BucketError) -> Self {
        Self::internal(error)
    }
}

/// The same error as plain text, for routes that do not answer in JSON.
pub(crate) struct TextError(ApiError);

impl<E: Into<ApiError>> From<E> for TextError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for TextError {
    fn into_response(self) -> Response {
        (self.0.kind.status(), format!("{}\n", self.0.text)).into_response()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        json::error(self.kind.status(), self.kind.name(), &self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longhaul_promql::budget::Limit;

    #[test]
    fn every_way_to_fail_has_its_type_and_status() {
        let limit = QueryError::Limit { limit: Limit::Series, asked: 2, allowed: 1 };
        let cases: [(ApiError, &str, u16); 9] = [
            (QueryError::BadData("x".to_owned()).into(), "bad_data", 400),
            (QueryError::Execution("x".to_owned()).into(), "execution", 422),
            (limit.into(), "execution", 422),
            (QueryError::SourceLimit("x".to_owned()).into(), "execution", 422),
            (QueryError::Timeout.into(), "timeout", 503),
            (QueryError::Canceled.into(), "canceled", 499),
            (QueryError::Storage("x".to_owned()).into(), "internal", 500),
            (SourceError::Storage("x".to_owned()).into(), "internal", 500),
            (SourceError::Limit("x".to_owned()).into(), "execution", 422),
        ];
        for (error, name, status) in cases {
            assert_eq!((error.kind.name(), error.kind.status().as_u16()), (name, status), "{error}");
        }
        let store = ApiError::from(SourceError::Storage("s3://secret/tenant: refused".to_owned()));
        assert!(!store.to_string().contains("secret"), "details of the store stay in the log");
        assert_eq!(ApiError::timed_out("query queue").to_string(), "query timed out in query queue");
    }
}
