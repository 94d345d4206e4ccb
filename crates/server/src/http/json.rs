//! Answers as JSON, in Prometheus' envelope, written by hand into bytes and rendered while they are sent.
//!
//! A result may hold millions of points, and its text is larger than itself: a body is made chunk by chunk as the
//! client takes it, and what has been rendered is let go.

mod exemplars;
mod histogram;
mod numbers;
mod query;
mod syntax_tree;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::stream;
use longhaul_model::Labels;
use serde::Serialize;
use std::convert::Infallible;

pub(crate) use exemplars::exemplars;
pub(crate) use query::{Timings, query_answer};
pub(crate) use syntax_tree::syntax_tree;

/// A body is sent in pieces of about this many bytes: large enough that sending them costs nothing beside rendering,
/// small enough that a connection holds little.
const CHUNK_BYTES: usize = 64 << 10;

/// Warnings and infos of each kind that are listed; more are counted.
const NOTES_MAX: usize = 10;

/// What was cut off is said in these words.
const TRUNCATED: &str = "results truncated due to limit";

/// What stands beside the data.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// What may make the answer wrong.
    pub(crate) warnings: Vec<String>,
    /// What is worth knowing.
    pub(crate) infos: Vec<String>,
}

impl Notes {
    /// Cuts `items` to `limit`, if there is one, and says so before anything else.
    pub(crate) fn truncate<T>(&mut self, items: &mut Vec<T>, limit: Option<usize>) {
        if let Some(limit) = limit
            && items.len() > limit
        {
            items.truncate(limit);
            self.warnings.insert(0, TRUNCATED.to_owned());
        }
    }
}

/// A success whose data is small.
pub(crate) fn success(data: &impl Serialize) -> Response {
    let data = serde_json::to_string(data).expect("keys are texts");
    respond(StatusCode::OK, Body::from(format!(r#"{{"status":"success","data":{data}}}"#)))
}

/// A success whose data is a list of texts.
pub(crate) fn texts(items: Vec<String>, notes: &Notes) -> Response {
    list(items, notes, |out, text| push_text(out, text))
}

/// A success whose data is a list of label sets.
pub(crate) fn label_sets(items: Vec<Labels>, notes: &Notes) -> Response {
    list(items, notes, push_labels)
}

/// An error.
pub(crate) fn error(status: StatusCode, error_type: &str, text: &str) -> Response {
    let mut envelope = format!(r#"{{"status":"error","errorType":"{error_type}","error":"#).into_bytes();
    push_text(&mut envelope, text);
    envelope.push(b'}');
    respond(status, Body::from(envelope))
}

fn list<T: Send + 'static>(items: Vec<T>, notes: &Notes, push: fn(&mut Vec<u8>, &T)) -> Response {
    let head = br#"{"status":"success","data":["#.to_vec();
    let mut tail = b"]".to_vec();
    push_notes(&mut tail, notes);
    rendered(head, List::new(items, push), tail)
}

/// The rest of an envelope after the data.
fn push_notes(out: &mut Vec<u8>, notes: &Notes) {
    for (key, kind, texts) in [("warnings", "warning", &notes.warnings), ("infos", "info", &notes.infos)] {
        if texts.is_empty() {
            continue;
        }
        out.extend_from_slice(format!(",\"{key}\":[").as_bytes());
        for (index, text) in texts.iter().take(NOTES_MAX).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            push_text(out, text);
        }
        if texts.len() > NOTES_MAX {
            let more = texts.len() - NOTES_MAX;
            out.extend_from_slice(format!(",\"{more} more {kind} annotations omitted\"").as_bytes());
        }
        out.push(b']');
    }
    out.push(b'}');
}

/// Something that is rendered piece by piece.
trait Pieces: Send + 'static {
    /// Appends the next piece, some kilobytes at most; false if there is none.
    fn push_next(&mut self, out: &mut Vec<u8>) -> bool;
}

/// The elements of an array, a piece each.
struct List<T> {
    items: std::vec::IntoIter<T>,
    push: fn(&mut Vec<u8>, &T),
    first: bool,
}

impl<T> List<T> {
    fn new(items: Vec<T>, push: fn(&mut Vec<u8>, &T)) -> Self {
        Self { items: items.into_iter(), push, first: true }
    }
}

impl<T: Send + 'static> Pieces for List<T> {
    fn push_next(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(item) = self.items.next() else { return false };
        if !std::mem::take(&mut self.first) {
            out.push(b',');
        }
        (self.push)(out, &item);
        true
    }
}

/// A body of `head`, the pieces and `tail`: at once if it is short, else as it is sent.
fn rendered(head: Vec<u8>, pieces: impl Pieces, tail: Vec<u8>) -> Response {
    let mut chunks = Chunks { begun: Some(head), pieces, tail: Some(tail) };
    let first = chunks.next().unwrap_or_default();
    let body = if chunks.tail.is_none() {
        Body::from(first)
    } else {
        Body::from_stream(stream::iter(std::iter::once(first).chain(chunks).map(Ok::<_, Infallible>)))
    };
    respond(StatusCode::OK, body)
}

/// The chunks of a body; the tail is taken with the last one.
struct Chunks<P> {
    begun: Option<Vec<u8>>,
    pieces: P,
    tail: Option<Vec<u8>>,
}

impl<P: Pieces> Iterator for Chunks<P> {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        self.tail.as_ref()?;
        // A piece may go somewhat beyond: room for it keeps the buffer from moving.
        let mut chunk = self.begun.take().unwrap_or_else(|| Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 8));
        while chunk.len() < CHUNK_BYTES {
            if !self.pieces.push_next(&mut chunk) {
                chunk.append(&mut self.tail.take()?);
                break;
            }
        }
        Some(Bytes::from(chunk))
    }
}

fn respond(status: StatusCode, body: Body) -> Response {
    (status, [(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}

/// Appends a label set as an object, names in order.
fn push_labels(out: &mut Vec<u8>, labels: &Labels) {
    out.push(b'{');
    for (index, (name, value)) in labels.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_text(out, name);
        out.push(b':');
        push_text(out, value);
    }
    out.push(b'}');
}

/// Appends a string with its quotes. Control characters, quotes and backslashes are escaped, nothing else is.
fn push_text(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    out.push(b'"');
    let mut written = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[written..at]);
        written = at + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
        }
    }
    out.extend_from_slice(&bytes[written..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests;
