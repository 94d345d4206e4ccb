//! Snappy's block format behind a gate: the declared length is judged before a byte is allocated for it.
//!
//! Facts of the format: `uvarint` decompressed length, then literals and copies; a copy turns at least three bytes into
//! at most 64.

use crate::WireError;
use bytes::Bytes;

/// More than any snappy element expands its own bytes: a three-byte copy yields 64.
const EXPANSION_MAX: u64 = 22;

/// Decompresses `body`. A declared length over `size_bytes_max` is [`WireError::TooLarge`]; one that so few bytes
/// cannot hold, and everything else that is no snappy block, is [`WireError::Snappy`]. In both cases nothing was allocated
/// for it.
pub fn decompress(body: &[u8], size_bytes_max: usize) -> Result<Bytes, WireError> {
    let mut out = Vec::new();
    decompress_into(body, size_bytes_max, &mut out)?;
    Ok(Bytes::from(out))
}

/// Like [`decompress`], into a buffer that the caller keeps: its old content is overwritten, its memory used again.
/// After an error its content is undefined.
pub fn decompress_into(body: &[u8], size_bytes_max: usize, out: &mut Vec<u8>) -> Result<(), WireError> {
    let size_bytes = declared_size(body, size_bytes_max)?;
    out.truncate(size_bytes); // what stays is overwritten, and need not be zeroed
    out.resize(size_bytes, 0);
    let written = snap::raw::Decoder::new().decompress(body, out).map_err(refused)?;
    out.truncate(written);
    Ok(())
}

/// Compresses `message` into one block.
///
/// # Panics
/// If `message` has more than 4 GiB, which the format cannot hold.
pub fn compress(message: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(message).expect("a snappy block holds up to 4 GiB")
}

fn declared_size(body: &[u8], size_bytes_max: usize) -> Result<usize, WireError> {
    let size_bytes = snap::raw::decompress_len(body).map_err(refused)? as u64;
    let size_bytes_max = size_bytes_max as u64;
    if size_bytes > size_bytes_max {
        return Err(WireError::TooLarge { size_bytes, size_bytes_max });
    }
    if size_bytes > EXPANSION_MAX * body.len() as u64 {
        return Err(WireError::Snappy(format!("{} bytes cannot hold {size_bytes}", body.len())));
    }
    Ok(size_bytes as usize)
}

fn refused(error: snap::Error) -> WireError {
    WireError::Snappy(error.to_string())
}
