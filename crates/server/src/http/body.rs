//! Bodies of requests, read within a length and a time.

use axum::body::{Body, Bytes};
use std::time::Duration;

/// A client that takes longer than this to send its body is given up.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no body.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// It is longer than it may be.
    #[error("the body has more than {0} bytes")]
    TooLarge(u64),
    /// The connection broke.
    #[error("the body did not arrive: {0}")]
    Broken(String),
    /// The client was too slow.
    #[error("the body did not arrive within {} seconds", TIMEOUT.as_secs())]
    TooSlow,
}

/// Reads a body of `size_bytes_max` at most.
pub(crate) async fn read(body: Body, size_bytes_max: u64) -> Result<Bytes, BodyError> {
    match tokio::time::timeout(TIMEOUT, axum::body::to_bytes(body, size_bytes_max as usize)).await {
        Err(_) => Err(BodyError::TooSlow),
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) if is_length_limit(&error) => Err(BodyError::TooLarge(size_bytes_max)),
        Ok(Err(error)) => Err(BodyError::Broken(error.to_string())),
    }
}

fn is_length_limit(error: &axum::Error) -> bool {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = source {
        if error.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        source = error.source();
    }
    false
}
