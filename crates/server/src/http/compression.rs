//! Opens compressed bodies within a cap; one that becomes too long is not opened further.

use crate::http::intake::IntakeError;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;
use longhaul_wire::WireError;
use std::io::Read;

/// How far back a zstd frame may refer, as a power of two of bytes: what RFC 8878 asks every decoder for. A header of a few
/// bytes reserves so much memory.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// The names of what [`open`] knows.
pub(crate) const KNOWN: &str = "identity, gzip, zstd";

/// What a body holds that is compressed as its headers say.
pub(crate) fn open_body(headers: &HeaderMap, body: Bytes, size_bytes_max: u64) -> Result<Bytes, IntakeError> {
    let encoding = headers.get(CONTENT_ENCODING).map(|value| String::from_utf8_lossy(value.as_bytes()));
    open(&encoding.unwrap_or_default(), body, size_bytes_max)
}

/// What a body holds that is compressed as `encoding` says; none and `identity` mean not at all.
pub(crate) fn open(encoding: &str, body: Bytes, size_bytes_max: u64) -> Result<Bytes, IntakeError> {
    let reader: Box<dyn Read + '_> = match encoding.trim().to_ascii_lowercase().as_str() {
        "" | "identity" => return within(body.len() as u64, size_bytes_max).map(|()| body),
        "gzip" => Box::new(flate2::read::MultiGzDecoder::new(&body[..])),
        "zstd" => {
            let mut decoder = zstd::stream::read::Decoder::new(&body[..]).map_err(malformed)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(malformed)?;
            Box::new(decoder)
        }
        other => {
            let what = format!("content encoding {other:?} is not supported; send one of {KNOWN}");
            return Err(IntakeError::Unsupported(what));
        }
    };
    let mut opened = Vec::new();
    reader.take(size_bytes_max + 1).read_to_end(&mut opened).map_err(malformed)?;
    within(opened.len() as u64, size_bytes_max)?;
    Ok(Bytes::from(opened))
}

fn within(size_bytes: u64, size_bytes_max: u64) -> Result<(), IntakeError> {
    if size_bytes > size_bytes_max { Err(WireError::TooLarge { size_bytes, size_bytes_max }.into()) } else { Ok(()) }
}

fn malformed(error: std::io::Error) -> IntakeError {
    IntakeError::Compression(error)
}
