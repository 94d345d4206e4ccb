//! Remote read (`prometheus.ReadRequest`): questions to matchers and ranges, and answers in both of its layouts.
//!
//! `SAMPLES` is one message in one snappy block ([`SamplesAnswer`]); `STREAMED_XOR_CHUNKS` is a stream of frames, each with
//! its length and checksum, that carry chunks as they are stored ([`push_frames`]). Format: the published field numbers, and
//! Prometheus' `storage/remote/{codec,chunked}.go`.
//!
//! What the reader says it will do with the series (`hints`) is not heeded: it changes no answer.

mod histogram;
mod samples;
mod stream;

pub use samples::SamplesAnswer;
pub use stream::{FRAME_BYTES_MAX, ReadChunk, push_frames};

use crate::WireError;
use crate::proto::prometheus::label_matcher::Type;
use crate::proto::prometheus::read_request::ResponseType;
use crate::proto::prometheus::{self as message, Label, LabelMatcher, Query};
use longhaul_model::{Labels, MatchOp, Matcher, TimeRange};
use prost::Message;

/// What a reader asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadRequest {
    /// The selections, each answered by itself.
    pub queries: Vec<ReadQuery>,
    /// How the answer is laid out.
    pub layout: Layout,
}

/// One selection.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadQuery {
    /// All of them must hold.
    pub matchers: Vec<Matcher>,
    /// The samples that are wanted.
    pub range: TimeRange,
}

/// How an answer is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `SAMPLES`
    Samples,
    /// `STREAMED_XOR_CHUNKS`
    StreamedChunks,
}

/// Reads a decompressed request. Decoding takes some 75 times the bytes of the message at worst: its length is the
/// caller's to bound.
///
/// # Errors
///
/// [`WireError::Read`]: it is no such message, a matcher is wrong, or none of the layouts that the reader takes is known.
pub fn decode(body: &[u8]) -> Result<ReadRequest, WireError> {
    let request = message::ReadRequest::decode(body)
        .map_err(|error| WireError::Read(format!("the body is no remote read request: {error}")))?;
    let layout = layout(&request.accepted_response_types)?;
    let queries = request.queries.into_iter().map(query).collect::<Result<_, _>>()?;
    Ok(ReadRequest { queries, layout })
}

/// The first that is known of what the reader takes; whoever says nothing takes samples.
fn layout(accepted: &[i32]) -> Result<Layout, WireError> {
    if accepted.is_empty() {
        return Ok(Layout::Samples);
    }
    let known = accepted.iter().find_map(|number| ResponseType::try_from(*number).ok());
    match known {
        Some(ResponseType::Samples) => Ok(Layout::Samples),
        Some(ResponseType::StreamedXorChunks) => Ok(Layout::StreamedChunks),
        None => Err(WireError::Read(format!(
            "server does not support any of the requested response types: {accepted:?}; \
             supported: SAMPLES (0), STREAMED_XOR_CHUNKS (1)"
        ))),
    }
}

fn query(query: Query) -> Result<ReadQuery, WireError> {
    let matchers = query.matchers.into_iter().map(matcher).collect::<Result<_, _>>()?;
    Ok(ReadQuery { matchers, range: TimeRange::inclusive(query.start_timestamp_ms, query.end_timestamp_ms) })
}

fn matcher(LabelMatcher { r#type, name, value }: LabelMatcher) -> Result<Matcher, WireError> {
    let op = match Type::try_from(r#type) {
        Ok(Type::Eq) => MatchOp::Equal,
        Ok(Type::Neq) => MatchOp::NotEqual,
        Ok(Type::Re) => MatchOp::Regex,
        Ok(Type::Nre) => MatchOp::NotRegex,
        Err(_) => return Err(WireError::Read(format!("invalid matcher type {}", r#type))),
    };
    Matcher::new(name, op, value).map_err(|error| WireError::Read(error.to_string()))
}

fn labels(labels: &Labels) -> Vec<Label> {
    labels.iter().map(|(name, value)| Label { name: name.to_owned(), value: value.to_owned() }).collect()
}

#[cfg(test)]
mod tests;
