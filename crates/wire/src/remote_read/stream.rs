//! The layout `STREAMED_XOR_CHUNKS`: frames of `length | checksum | ChunkedReadResponse`.
//!
//! The length is a varint, the checksum CRC-32C of the message, big-endian. A frame holds chunks of one series; a series
//! whose chunks are many has several frames, each with its labels.

use crate::proto::prometheus::{Chunk, ChunkedReadResponse, ChunkedSeries};
use bytes::Bytes;
use longhaul_model::Labels;
use prost::Message;
use prost::encoding::encode_varint;

/// A frame is closed when it has about so many bytes: Prometheus' default (`--storage.remote.read-max-bytes-in-frame`).
/// Readers refuse frames above 50 MB unless told otherwise.
pub const FRAME_BYTES_MAX: usize = 1 << 20;

/// A chunk as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadChunk {
    /// The encoding byte of the TSDB format.
    pub encoding: u8,
    /// Time of the first sample, ms.
    pub min_ms: i64,
    /// Time of the last sample, ms.
    pub max_ms: i64,
    /// The chunk's data.
    pub data: Bytes,
}

/// Appends the frames of a series of the query `query_index`; none if it has no chunks. A frame goes beyond
/// `frame_bytes_max` by one chunk at most.
pub fn push_frames(
    out: &mut Vec<u8>,
    query_index: usize,
    labels: &Labels,
    chunks: impl IntoIterator<Item = ReadChunk>,
    frame_bytes_max: usize,
) {
    let mut series = ChunkedSeries { labels: super::labels(labels), chunks: Vec::new() };
    let chunk_bytes_max = frame_bytes_max.saturating_sub(series.encoded_len());
    let mut chunk_bytes = 0;
    for chunk in chunks {
        if chunk_bytes > 0 && chunk_bytes >= chunk_bytes_max {
            series = push_frame(out, query_index, series);
            chunk_bytes = 0;
        }
        let chunk = Chunk {
            min_time_ms: chunk.min_ms,
            max_time_ms: chunk.max_ms,
            r#type: chunk.encoding.into(),
            data: chunk.data.into(),
        };
        chunk_bytes += chunk.encoded_len();
        series.chunks.push(chunk);
    }
    if !series.chunks.is_empty() {
        push_frame(out, query_index, series);
    }
}

/// Appends one frame; gives the series back without its chunks.
fn push_frame(out: &mut Vec<u8>, query_index: usize, series: ChunkedSeries) -> ChunkedSeries {
    let mut frame = ChunkedReadResponse { chunked_series: vec![series], query_index: query_index as i64 };
    let message = frame.encode_to_vec();
    encode_varint(message.len() as u64, out);
    out.extend_from_slice(&crc32c::crc32c(&message).to_be_bytes());
    out.extend_from_slice(&message);
    let mut series = frame.chunked_series.remove(0);
    series.chunks.clear();
    series
}
