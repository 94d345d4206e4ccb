//! Why a query has no answer.

use crate::budget::Limit;
use crate::source::SourceError;
use longhaul_chunk::ChunkError;

/// Why a query has no answer. The texts are Prometheus' where it has one for the case.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum QueryError {
    /// The text is not a query (HTTP 400).
    #[error("{0}")]
    BadData(String),
    /// The data does not allow what the query asks for (422).
    #[error("{0}")]
    Execution(String),
    /// The time is up (503).
    #[error("query timed out in expression evaluation")]
    Timeout,
    /// Someone stopped it (503).
    #[error("query was canceled in expression evaluation")]
    Canceled,
    /// It would use more than it may (422).
    #[error("{limit} is {allowed}, asked for {asked}")]
    Limit {
        /// Which limit.
        limit: Limit,
        /// What the query would have used.
        asked: u64,
        /// What it may use.
        allowed: u64,
    },
    /// The source met a limit of its own (422).
    #[error("{0}")]
    SourceLimit(String),
    /// Data that should be there cannot be read (500).
    #[error("{0}")]
    Storage(String),
}

impl QueryError {
    /// Two series of one result have the same labels at the same time.
    pub(crate) fn same_labels() -> Self {
        Self::Execution("vector cannot contain metrics with the same labelset".to_owned())
    }

    pub(crate) fn execution(text: impl Into<String>) -> Self {
        Self::Execution(text.into())
    }
}

impl From<SourceError> for QueryError {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Storage(text) => Self::Storage(text),
            SourceError::Limit(text) => Self::SourceLimit(text),
        }
    }
}

impl From<ChunkError> for QueryError {
    fn from(error: ChunkError) -> Self {
        match error {
            ChunkError::Unsupported(_) => Self::Execution(error.to_string()),
            ChunkError::Corrupt { .. } => Self::Storage(error.to_string()),
        }
    }
}
