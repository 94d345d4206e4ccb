//! Remote write 2.0: from the bytes of a `Request` to a [`WriteBatch`](longhaul_model::WriteBatch).
//!
//! Each text stands once in the message and is referred to by number. The text of a symbol with its length in front is
//! what a label section holds too, so that a series' section is put together from slices of the message ([`Symbols`]):
//! each label is copied once, and nothing is allocated for a series. A reference that leads nowhere costs its own series
//! (or exemplar, or metadata) only.

mod symbols;

#[cfg(test)]
mod tests;

use super::DecodeLimits;
use super::decode::check_size;
use crate::batch_writer::BatchWriter;
use crate::refused::{self, Reason, Refused};
use crate::walk::{FIXED64, LENGTH, VARINT, Walk, wrong_wire_type};
use crate::{Decoded, Item, WireError};
use longhaul_model::MetricKind;
use std::collections::BTreeSet;
use symbols::Symbols;

// io.prometheus.write.v2.Request
const REQUEST_SYMBOLS: u32 = 4;
const REQUEST_TIMESERIES: u32 = 5;
// TimeSeries
const SERIES_LABELS: u32 = 1;
const SERIES_SAMPLES: u32 = 2;
const SERIES_HISTOGRAMS: u32 = 3;
const SERIES_EXEMPLARS: u32 = 4;
const SERIES_METADATA: u32 = 5;
/// When counting began, of all samples of a series: senders of before the start timestamps were moved to the samples.
const SERIES_CREATED: u32 = 6;
// Sample
const SAMPLE_VALUE: u32 = 1;
const SAMPLE_TIMESTAMP: u32 = 2;
const SAMPLE_START: u32 = 3;
// Exemplar
const EXEMPLAR_LABELS: u32 = 1;
const EXEMPLAR_VALUE: u32 = 2;
const EXEMPLAR_TIMESTAMP: u32 = 3;
// Metadata
const METADATA_TYPE: u32 = 1;
const METADATA_HELP: u32 = 3;
const METADATA_UNIT: u32 = 4;

/// Label references of one series or exemplar: a byte in the message, four in memory.
const REFERENCES_MAX: u32 = 1 << 18;

/// Decodes a decompressed `Request`. Timestamps and values are taken as they are; labels are looked at by whoever
/// stores them, as with [`super::decode`]. Refused are series and exemplars that refer to symbols that are not there, and
/// series without anything.
pub fn decode(message: &[u8], limits: &DecodeLimits) -> Result<Decoded, WireError> {
    check_size(message)?;
    let mut decoder = Decoder {
        symbols: Symbols::read(message)?,
        batch: BatchWriter::new(limits),
        refused: Vec::new(),
        series_labels: Vec::new(),
        exemplar_labels: Vec::new(),
        said: BTreeSet::new(),
    };
    let mut walk = Walk::new(message, 0);
    while !walk.is_done() {
        let start = walk.at;
        let key = walk.key()?;
        match (key.number, key.wire) {
            (REQUEST_TIMESERIES, LENGTH) => decoder.series(walk.message()?)?,
            (REQUEST_TIMESERIES, _) => return Err(wrong_wire_type(start)),
            (_, wire) => walk.skip(wire)?,
        }
    }
    Ok(Decoded { batch: decoder.batch.finish(), refused: decoder.refused })
}

struct Decoder<'a> {
    symbols: Symbols<'a>,
    batch: BatchWriter<'a>,
    refused: Vec<Refused>,
    /// The references of a series and of an exemplar; kept for their memory.
    series_labels: Vec<u32>,
    exemplar_labels: Vec<u32>,
    /// What was said of which metric already: senders repeat it with each of its series.
    said: BTreeSet<(u32, Metadata)>,
}

/// What a `Metadata` message says, in references.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Metadata {
    kind: u64,
    help: u32,
    unit: u32,
}

impl<'a> Decoder<'a> {
    fn series(&mut self, mut walk: Walk<'a>) -> Result<(), WireError> {
        self.series_labels.clear();
        let mark = self.batch.mark();
        self.batch.begin()?;
        let (mut created_ms, mut metadata) = (0, None);
        while !walk.is_done() {
            let start = walk.at;
            let key = walk.key()?;
            match (key.number, key.wire) {
                (SERIES_LABELS, LENGTH | VARINT) => references(&mut walk, key.wire, &mut self.series_labels)?,
                (SERIES_SAMPLES, LENGTH) => read_sample(walk.message()?, &mut self.batch)?,
                (SERIES_HISTOGRAMS, LENGTH) => self.batch.read_histogram(walk.message()?)?,
                (SERIES_EXEMPLARS, LENGTH) => self.exemplar(walk.message()?)?,
                (SERIES_METADATA, LENGTH) => metadata = Some(read_metadata(walk.message()?)?),
                (SERIES_CREATED, VARINT) => created_ms = walk.varint()? as i64,
                (SERIES_LABELS..=SERIES_CREATED, _) => return Err(wrong_wire_type(start)),
                (_, wire) => walk.skip(wire)?,
            }
        }
        if created_ms != 0 {
            self.batch.start_of_series(created_ms);
        }
        let (symbols, labels, items) = (&self.symbols, &self.series_labels, self.batch.items_since(mark));
        match symbols.section_bytes(labels) {
            Ok(size_bytes) if items > 0 => {
                self.batch.labels(size_bytes, |section| symbols.push_section(labels, section))?;
            }
            Ok(_) => {
                refused::add(&mut self.refused, Reason::NoSamples, 1, || symbols.describe(labels));
                self.batch.undo(mark);
            }
            Err(bad) => {
                let first = || format!("{} in {}", symbols.explain(bad), symbols.describe(labels));
                refused::add(&mut self.refused, Reason::SymbolReference, items.max(1), first);
                self.batch.undo(mark);
            }
        }
        match metadata {
            Some(metadata) => self.metadata(metadata),
            None => Ok(()),
        }
    }

    fn exemplar(&mut self, mut walk: Walk<'a>) -> Result<(), WireError> {
        self.exemplar_labels.clear();
        let (mut value, mut t_ms) = (0.0, 0);
        while !walk.is_done() {
            let start = walk.at;
            let key = walk.key()?;
            match (key.number, key.wire) {
                (EXEMPLAR_LABELS, LENGTH | VARINT) => references(&mut walk, key.wire, &mut self.exemplar_labels)?,
                (EXEMPLAR_VALUE, FIXED64) => value = f64::from_bits(walk.fixed64()?),
                (EXEMPLAR_TIMESTAMP, VARINT) => t_ms = walk.varint()? as i64,
                (EXEMPLAR_LABELS..=EXEMPLAR_TIMESTAMP, _) => return Err(wrong_wire_type(start)),
                (_, wire) => walk.skip(wire)?,
            }
        }
        let (symbols, labels) = (&self.symbols, &self.exemplar_labels);
        match symbols.section_bytes(labels) {
            Ok(size_bytes) => {
                self.batch.exemplar(t_ms, value, size_bytes, |section| symbols.push_section(labels, section))
            }
            Err(bad) => {
                let first = || format!("{} in the exemplar {}", symbols.explain(bad), symbols.describe(labels));
                refused::add(&mut self.refused, Reason::SymbolReference, 1, first);
                Ok(())
            }
        }
    }

    /// Keeps what is said of a series' metric. What cannot be understood is left out: it never costs a sample.
    fn metadata(&mut self, metadata: Metadata) -> Result<(), WireError> {
        let Some(family) = self.symbols.metric_name(&self.series_labels) else { return Ok(()) };
        if metadata == Metadata::default() || !self.said.insert((family, metadata)) {
            return Ok(());
        }
        let text = |reference| std::str::from_utf8(self.symbols.text(reference)?).ok();
        let (Some(name), Some(help), Some(unit)) = (text(family), text(metadata.help), text(metadata.unit)) else {
            return Ok(());
        };
        self.batch.metadata(name, MetricKind::from_number(metadata.kind), help, unit)
    }
}

/// A run of references, or one alone.
#[inline(always)]
fn references(walk: &mut Walk<'_>, wire: u8, out: &mut Vec<u32>) -> Result<(), WireError> {
    let mut push = |number: u64| {
        if out.len() >= REFERENCES_MAX as usize {
            return Err(WireError::TooMany { item: Item::References, max: REFERENCES_MAX });
        }
        out.push(number as u32);
        Ok(())
    };
    if wire == VARINT {
        return push(walk.varint()?);
    }
    let mut packed = walk.message()?;
    while !packed.is_done() {
        push(packed.varint()?)?;
    }
    Ok(())
}

#[inline(always)]
fn read_sample(mut walk: Walk<'_>, batch: &mut BatchWriter<'_>) -> Result<(), WireError> {
    let (mut value, mut t_ms, mut start_ms) = (0.0, 0, 0);
    while !walk.is_done() {
        let start = walk.at;
        let key = walk.key()?;
        match (key.number, key.wire) {
            (SAMPLE_VALUE, FIXED64) => value = f64::from_bits(walk.fixed64()?),
            (SAMPLE_TIMESTAMP, VARINT) => t_ms = walk.varint()? as i64,
            (SAMPLE_START, VARINT) => start_ms = walk.varint()? as i64,
            (SAMPLE_VALUE..=SAMPLE_START, _) => return Err(wrong_wire_type(start)),
            (_, wire) => walk.skip(wire)?,
        }
    }
    batch.sample(t_ms, value, start_ms)
}

fn read_metadata(mut walk: Walk<'_>) -> Result<Metadata, WireError> {
    let mut metadata = Metadata::default();
    while !walk.is_done() {
        let start = walk.at;
        let key = walk.key()?;
        match (key.number, key.wire) {
            (METADATA_TYPE, VARINT) => metadata.kind = walk.varint()?,
            (METADATA_HELP, VARINT) => metadata.help = walk.varint()? as u32,
            (METADATA_UNIT, VARINT) => metadata.unit = walk.varint()? as u32,
            (METADATA_TYPE | METADATA_HELP | METADATA_UNIT, _) => return Err(wrong_wire_type(start)),
            (_, wire) => walk.skip(wire)?,
        }
    }
    Ok(metadata)
}
