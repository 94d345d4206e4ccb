//! The exposition of metrics, as Prometheus answers it at `/federate`: which of its formats a client wants, and metric
//! families in that format. [`decode()`] reads the texts of clients that push what others have scraped.
//!
//! Formats: the text format 0.0.4 and length-delimited protobuf. What is negotiated, and how names that are not plain are
//! escaped, is Prometheus' (`expfmt.Negotiate`, `expfmt.NewEncoder` of `prometheus/common`). The textual forms of protobuf,
//! which are meant for people, are not offered; nor is OpenMetrics, in which Prometheus does not federate. It is read.

mod accept;
mod decode;
mod line;
mod text;

pub use decode::{Dialect, decode};

use crate::names::Escaping;
use crate::proto::client::MetricFamily;
use prost::Message;

/// What a client gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// The format.
    pub kind: FormatKind,
    /// How names that are not plain are written.
    pub escaping: Escaping,
}

/// The formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatKind {
    /// Lines of text, version 0.0.4.
    Text,
    /// Families as protobuf messages, each behind its length.
    Protobuf,
}

impl Format {
    /// The format that an `Accept` header asks for; text, if it asks for nothing that is offered.
    pub fn negotiate(accept: &str) -> Self {
        let mut escaping = Escaping::default();
        for clause in accept::clauses(accept) {
            escaping = clause.parameter("escaping").and_then(Escaping::parse).unwrap_or(escaping);
            if let Some(kind) = clause.format() {
                return Self { kind, escaping };
            }
        }
        Self { kind: FormatKind::Text, escaping }
    }

    /// Its content type.
    pub fn content_type(self) -> String {
        let format = match self.kind {
            FormatKind::Text => "text/plain; version=0.0.4; charset=utf-8",
            FormatKind::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        };
        format!("{format}; escaping={}", self.escaping.name())
    }

    /// Appends a family, which has a name and metrics.
    pub fn push(self, out: &mut Vec<u8>, mut family: MetricFamily) {
        escape(&mut family, self.escaping);
        match self.kind {
            FormatKind::Text => text::push_family(out, &family),
            FormatKind::Protobuf => {
                family.encode_length_delimited(out).expect("a vector grows as it must");
            }
        }
    }
}

fn escape(family: &mut MetricFamily, escaping: Escaping) {
    let labels = family.metric.iter_mut().flat_map(|metric| &mut metric.label).map(|label| &mut label.name);
    for name in labels.chain([&mut family.name]).flatten() {
        if let std::borrow::Cow::Owned(escaped) = escaping.escape(name) {
            *name = escaped;
        }
    }
}

#[cfg(test)]
mod tests;
