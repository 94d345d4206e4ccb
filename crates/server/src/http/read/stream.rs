//! The layout `STREAMED_XOR_CHUNKS`: frames are made while the reader takes them.
//!
//! A task reads and fills a short queue, the body empties it. When the reader goes away the queue closes and the task
//! ends; when the time is up, also because the reader does not read, the task ends and the stream breaks. Either way the
//! query's slot is free again.
//!
//! Invariant: a stream ends in good order only if everything was sent.

use super::refused;
use crate::http::allowance::Allowance;
use crate::http::error::ApiError;
use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures::stream;
use longhaul_chunk::{Chunk, SeriesChunks};
use longhaul_promql::QueryError;
use longhaul_query::TenantSource;
use longhaul_wire::remote_read::{FRAME_BYTES_MAX, ReadChunk, ReadQuery, push_frames};
use tokio::sync::mpsc::{self, Receiver, Sender};

const STREAMED: &str = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";

/// Pieces of the body that wait for the reader: one on its way, one behind it.
const QUEUED_MAX: usize = 2;

/// What the task tells the body.
enum Piece {
    Frames(Bytes),
    /// Everything was sent.
    End,
    Failed(ApiError),
}

pub(super) async fn answer(
    source: TenantSource,
    queries: Vec<ReadQuery>,
    allowance: Allowance,
) -> Result<Response, ApiError> {
    let (sender, mut pieces) = mpsc::channel(QUEUED_MAX);
    tokio::spawn(produce(sender, source, queries, allowance));
    // What goes wrong before the first frame still gets a status of its own.
    let first = match pieces.recv().await {
        Some(Piece::Failed(error)) => return Err(error),
        Some(Piece::Frames(frames)) => frames,
        Some(Piece::End) => return Ok(([(CONTENT_TYPE, STREAMED)], Body::empty()).into_response()),
        None => return Err(ApiError::timed_out("remote read")),
    };
    let rest = stream::unfold(pieces, next);
    let body = stream::StreamExt::chain(stream::iter([Ok(first)]), rest);
    Ok(([(CONTENT_TYPE, STREAMED)], Body::from_stream(body)).into_response())
}

/// The next piece of the body; an error breaks the connection, so that the reader sees that something is missing.
async fn next(mut pieces: Receiver<Piece>) -> Option<(Result<Bytes, std::io::Error>, Receiver<Piece>)> {
    let piece = match pieces.recv().await {
        Some(Piece::Frames(frames)) => Ok(frames),
        Some(Piece::End) => return None,
        Some(Piece::Failed(error)) => Err(std::io::Error::other(error)),
        None => Err(std::io::Error::other("remote read took too long")),
    };
    Some((piece, pieces))
}

async fn produce(sender: Sender<Piece>, source: TenantSource, queries: Vec<ReadQuery>, allowance: Allowance) {
    let sending = async { send_all(&sender, &source, queries, &allowance).await.map_err(refused) };
    tokio::select! {
        () = sender.closed() => {}
        sent = allowance.within("remote read", sending) => {
            // No room means that the reader does not read; the end of the queue breaks its stream.
            let _ = sent.map_err(|error| sender.try_send(Piece::Failed(error)));
        }
    }
}

async fn send_all(
    sender: &Sender<Piece>,
    source: &TenantSource,
    queries: Vec<ReadQuery>,
    allowance: &Allowance,
) -> Result<(), QueryError> {
    for (index, ReadQuery { matchers, range }) in queries.into_iter().enumerate() {
        let mut reader = source.read(matchers, range, &allowance.budget).await?;
        while let Some(batch) = reader.next_chunks().await? {
            let mut frames = Vec::new();
            for SeriesChunks { labels, chunks } in batch {
                push_frames(&mut frames, index, &labels, chunks.into_iter().map(as_sent), FRAME_BYTES_MAX);
                if frames.len() >= FRAME_BYTES_MAX {
                    send(sender, std::mem::take(&mut frames)).await?;
                }
            }
            send(sender, frames).await?;
        }
    }
    sender.send(Piece::End).await.map_err(|_| QueryError::Canceled)
}

async fn send(sender: &Sender<Piece>, frames: Vec<u8>) -> Result<(), QueryError> {
    if frames.is_empty() {
        return Ok(());
    }
    sender.send(Piece::Frames(Bytes::from(frames))).await.map_err(|_| QueryError::Canceled)
}

fn as_sent(chunk: Chunk) -> ReadChunk {
    ReadChunk { encoding: chunk.encoding.byte(), min_ms: chunk.min_ms, max_ms: chunk.max_ms, data: chunk.data }
}
