//! From a text in one of the exposition formats to a batch: what a program pushes that is usually scraped.
//!
//! A line that cannot be read is left out and told with its number; it costs no other line. What the lines say of families
//! is kept as metadata. Series are written in the order of the lines.

use super::line::{self, ExemplarPart, Said, SampleLine, Text};
use crate::batch_writer::BatchWriter;
use crate::refused::{self, Reason, Refused};
use crate::remote_write::DecodeLimits;
use crate::{Decoded, WireError};
use longhaul_model::{METRIC_NAME, MetricKind};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Which format a text is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Prometheus' text format 0.0.4: times in milliseconds.
    Text,
    /// OpenMetrics 1.0: times in seconds, exemplars, and a line that says where the text ends.
    OpenMetrics,
}

/// Decodes a text; samples without a time are of `now_ms`.
///
/// # Errors
/// More than the limits allow. Lines that are none cost themselves only.
pub fn decode(text: &[u8], dialect: Dialect, now_ms: i64, limits: &DecodeLimits) -> Result<Decoded, WireError> {
    let mut decoder =
        Decoder { now_ms, batch: BatchWriter::new(limits), refused: Vec::new(), families: BTreeMap::new() };
    let mut has_ended = false;
    let mut number = 0;
    for line in text.strip_suffix(b"\n").unwrap_or(text).split(|byte| *byte == b'\n') {
        number += 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let read = match str::from_utf8(line) {
            _ if has_ended => Err("it comes after the end of the text".to_owned()),
            Err(_) => Err("it is not valid UTF-8".to_owned()),
            Ok(line) => decoder.line(line, dialect)?.map(|ended| has_ended = ended && dialect == Dialect::OpenMetrics),
        };
        if let Err(what) = read {
            decoder.refuse(number, &what);
        }
    }
    if dialect == Dialect::OpenMetrics && !has_ended {
        decoder.refuse(number, "the text ends without # EOF; it may have been cut");
    }
    let Decoder { mut batch, refused, families, .. } = decoder;
    for (name, family) in &families {
        batch.metadata(name, family.kind, &family.help, &family.unit)?;
    }
    Ok(Decoded { batch: batch.finish(), refused })
}

struct Decoder<'a> {
    now_ms: i64,
    batch: BatchWriter<'a>,
    refused: Vec<Refused>,
    families: BTreeMap<Text<'a>, Family<'a>>,
}

#[derive(Default)]
struct Family<'a> {
    kind: MetricKind,
    help: Text<'a>,
    unit: Text<'a>,
}

impl<'a> Decoder<'a> {
    /// Whether the line is the last one; Err(Err) if the request is too much, Ok(Err) says why it is no line.
    fn line(&mut self, line: &'a str, dialect: Dialect) -> Result<Result<bool, String>, WireError> {
        let first = line.trim_start_matches([' ', '\t']);
        if first.is_empty() {
            return Ok(Ok(false));
        }
        if first.starts_with('#') {
            return Ok(line::comment(first).map(|said| self.said(said)));
        }
        match line::sample(first, dialect) {
            Ok(line) => self.sample(line).map(|()| Ok(false)),
            Err(what) => Ok(Err(what)),
        }
    }

    fn said(&mut self, said: Said<'a>) -> bool {
        match said {
            Said::End => return true,
            Said::Nothing => {}
            Said::Kind(name, kind) => self.families.entry(name).or_default().kind = kind,
            Said::Help(name, help) => self.families.entry(name).or_default().help = help,
            Said::Unit(name, unit) => self.families.entry(name).or_default().unit = unit,
        }
        false
    }

    fn sample(&mut self, line: SampleLine<'a>) -> Result<(), WireError> {
        let SampleLine { name, mut labels, value, t_ms, exemplar } = line;
        let t_ms = t_ms.unwrap_or(self.now_ms);
        self.batch.begin()?;
        self.batch.sample(t_ms, value, 0)?;
        if let Some(ExemplarPart { mut labels, value, t_ms: own_ms }) = exemplar {
            self.batch.exemplar_pairs(own_ms.unwrap_or(t_ms), value, &mut labels)?;
        }
        labels.extend(name.map(|name| (Cow::Borrowed(METRIC_NAME), name)));
        self.batch.label_pairs(&mut labels)
    }

    fn refuse(&mut self, line: u64, what: &str) {
        refused::add(&mut self.refused, Reason::Line, 1, || format!("line {line}: {what}"));
    }
}
