//! The walk from the bytes of a `WriteRequest` to a [`WriteBatch`].

use crate::histogram::{self, BucketsLeft};
use crate::walk::{FIXED64, LENGTH, VARINT, Walk, wrong_wire_type};
use crate::{Item, WireError};
use bytes::Bytes;
use longhaul_model::write_batch::{ExemplarEntry, MetadataEntry};
use longhaul_model::{MetricKind, Sample, SeriesEntry, WriteBatch};
use std::ops::Range;

/// What one request may hold. Memory grows with what was found, never past these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// `TimeSeries` messages, and as many `MetricMetadata` ones. An empty one is two bytes on the wire and an entry of
    /// 32 in memory.
    pub series_max: u32,
    /// Samples, histograms and exemplars of all series together. An empty one is two bytes on the wire and up to 300 in
    /// memory, if it is a histogram.
    pub samples_max: u32,
    /// Buckets, bounds and spans of all histograms together: a byte on the wire, 8 in memory.
    pub buckets_max: u32,
    /// Labels and texts of all series together, written out, bytes: in 2.0 a reference of a byte stands for a text of any
    /// length. At most 2 GiB.
    pub text_bytes_max: u32,
}

impl Default for DecodeLimits {
    /// Far beyond what senders put into a request (2,000 samples by default).
    fn default() -> Self {
        Self { series_max: 1_000_000, samples_max: 5_000_000, buckets_max: 20_000_000, text_bytes_max: 256 << 20 }
    }
}

/// A guess at the bytes of a series with one sample, to begin with vectors of about the right size.
const SERIES_BYTES_GUESS: usize = 256;

// prometheus.WriteRequest
const WRITE_REQUEST_TIMESERIES: u32 = 1;
const WRITE_REQUEST_METADATA: u32 = 3;
// prometheus.TimeSeries
const SERIES_LABELS: u32 = 1;
const SERIES_SAMPLES: u32 = 2;
const SERIES_EXEMPLARS: u32 = 3;
const SERIES_HISTOGRAMS: u32 = 4;
const LABELS_KEY: u8 = 0x0a; // SERIES_LABELS, LENGTH: how every label of a section begins
// prometheus.Sample
const SAMPLE_VALUE: u32 = 1;
const SAMPLE_TIMESTAMP: u32 = 2;
// prometheus.Exemplar
const EXEMPLAR_LABELS: u32 = 1;
const EXEMPLAR_VALUE: u32 = 2;
const EXEMPLAR_TIMESTAMP: u32 = 3;
// prometheus.MetricMetadata
const METADATA_TYPE: u32 = 1;
const METADATA_FAMILY: u32 = 2;
const METADATA_HELP: u32 = 4;
const METADATA_UNIT: u32 = 5;

/// Decodes a decompressed `WriteRequest`; `message` becomes the batch's buffer.
///
/// Not looked at: what is inside labels, and whether texts are UTF-8. Timestamps, values and histograms are taken as they
/// are. A message of 2 GiB or more is [`WireError::TooLarge`].
pub fn decode(message: Bytes, limits: &DecodeLimits) -> Result<WriteBatch, WireError> {
    check_size(&message)?;
    let guess = message.len() / SERIES_BYTES_GUESS + 1;
    let mut decoder = Decoder {
        limits,
        batch: WriteBatch {
            series: Vec::with_capacity(guess.min(limits.series_max as usize)),
            samples: Vec::with_capacity(guess.min(limits.samples_max as usize)),
            ..WriteBatch::default()
        },
        samples_seen: 0,
        buckets_left: BucketsLeft::new(limits.buckets_max),
        copied: Vec::new(),
        copied_from: message.len(),
    };
    let mut walk = Walk::new(&message, 0);
    while !walk.is_done() {
        let start = walk.at;
        let key = walk.key()?;
        match (key.number, key.wire) {
            (WRITE_REQUEST_TIMESERIES, LENGTH) => decoder.series(walk.message()?)?,
            (WRITE_REQUEST_METADATA, LENGTH) => match decoder.metadata(walk.message()?) {
                Err(WireError::Malformed { .. }) => {} // trouble with metadata never fails samples
                read => read?,
            },
            (WRITE_REQUEST_TIMESERIES | WRITE_REQUEST_METADATA, _) => return Err(wrong_wire_type(start)),
            (_, wire) => walk.skip(wire)?,
        }
    }
    let Decoder { mut batch, copied, .. } = decoder;
    batch.buffer = if copied.is_empty() { message } else { Bytes::from([&message[..], &copied[..]].concat()) };
    Ok(batch)
}

/// Positions are u32, and copied label sections may double the buffer.
pub(super) fn check_size(message: &[u8]) -> Result<(), WireError> {
    const MESSAGE_BYTES_MAX: usize = i32::MAX as usize;
    if message.len() > MESSAGE_BYTES_MAX {
        return Err(WireError::TooLarge { size_bytes: message.len() as u64, size_bytes_max: MESSAGE_BYTES_MAX as u64 });
    }
    Ok(())
}

struct Decoder<'a> {
    limits: &'a DecodeLimits,
    batch: WriteBatch,
    /// Samples, histograms and exemplars so far.
    samples_seen: u32,
    buckets_left: BucketsLeft,
    /// Label sections that did not lie in one run; they end up behind the message, at `copied_from`.
    copied: Vec<u8>,
    copied_from: usize,
}

impl Decoder<'_> {
    fn series(&mut self, mut walk: Walk<'_>) -> Result<(), WireError> {
        if self.batch.series.len() >= self.limits.series_max as usize {
            return Err(WireError::TooMany { item: Item::Series, max: self.limits.series_max });
        }
        let whole = walk;
        let mut labels = 0..0;
        let mut in_one_run = true;
        let (samples, histograms, exemplars) = self.counts();
        while !walk.is_done() {
            let start = walk.at;
            if walk.peek() == Some(LABELS_KEY) {
                in_one_run &= labels.is_empty();
                labels = self.label_run(&mut walk)?;
                continue;
            }
            let key = walk.key()?;
            match (key.number, key.wire) {
                (SERIES_SAMPLES, LENGTH) => {
                    self.count_sample()?;
                    let sample = read_sample(walk.message()?)?;
                    self.batch.samples.push(sample);
                }
                (SERIES_LABELS, LENGTH) => {
                    in_one_run = false; // a key of more bytes than needed: no section begins like that
                    walk.skip(LENGTH)?;
                }
                (SERIES_EXEMPLARS, LENGTH) => {
                    self.count_sample()?;
                    self.exemplar(walk.message()?)?;
                }
                (SERIES_HISTOGRAMS, LENGTH) => {
                    self.count_sample()?;
                    let histogram = histogram::read(walk.message()?, &mut self.buckets_left)?;
                    self.batch.histograms.push(histogram);
                }
                (SERIES_LABELS | SERIES_SAMPLES | SERIES_EXEMPLARS | SERIES_HISTOGRAMS, _) => {
                    return Err(wrong_wire_type(start));
                }
                (_, wire) => walk.skip(wire)?,
            }
        }
        if !in_one_run {
            labels = self.copy_labels(whole)?;
        }
        let (samples_end, histograms_end, exemplars_end) = self.counts();
        self.batch.series.push(SeriesEntry {
            labels: labels.start as u32..labels.end as u32,
            samples: samples..samples_end,
            histograms: histograms..histograms_end,
            exemplars: exemplars..exemplars_end,
        });
        Ok(())
    }

    /// How many samples, histograms and exemplars there are so far.
    #[inline(always)]
    fn counts(&self) -> (u32, u32, u32) {
        let batch = &self.batch;
        (batch.samples.len() as u32, batch.histograms.len() as u32, batch.exemplars.len() as u32)
    }

    fn exemplar(&mut self, mut walk: Walk<'_>) -> Result<(), WireError> {
        let whole = walk;
        let mut labels = 0..0;
        let mut in_one_run = true;
        let (mut t_ms, mut value) = (0, 0.0);
        while !walk.is_done() {
            let start = walk.at;
            if walk.peek() == Some(LABELS_KEY) {
                in_one_run &= labels.is_empty();
                labels = self.label_run(&mut walk)?;
                continue;
            }
            let key = walk.key()?;
            match (key.number, key.wire) {
                (EXEMPLAR_LABELS, LENGTH) => {
                    in_one_run = false;
                    walk.skip(LENGTH)?;
                }
                (EXEMPLAR_VALUE, FIXED64) => value = f64::from_bits(walk.fixed64()?),
                (EXEMPLAR_TIMESTAMP, VARINT) => t_ms = walk.varint()? as i64,
                (EXEMPLAR_LABELS | EXEMPLAR_VALUE | EXEMPLAR_TIMESTAMP, _) => return Err(wrong_wire_type(start)),
                (_, wire) => walk.skip(wire)?,
            }
        }
        if !in_one_run {
            labels = self.copy_labels(whole)?;
        }
        self.batch.exemplars.push(ExemplarEntry { labels: labels.start as u32..labels.end as u32, t_ms, value });
        Ok(())
    }

    fn metadata(&mut self, mut walk: Walk<'_>) -> Result<(), WireError> {
        if self.batch.metadata.len() >= self.limits.series_max as usize {
            return Err(WireError::TooMany { item: Item::Metadata, max: self.limits.series_max });
        }
        let mut entry = MetadataEntry { family: 0..0, kind: MetricKind::Unknown, help: 0..0, unit: 0..0 };
        while !walk.is_done() {
            let start = walk.at;
            let key = walk.key()?;
            match (key.number, key.wire) {
                (METADATA_TYPE, VARINT) => entry.kind = MetricKind::from_number(walk.varint()?),
                (METADATA_FAMILY, LENGTH) => entry.family = text(&mut walk)?,
                (METADATA_HELP, LENGTH) => entry.help = text(&mut walk)?,
                (METADATA_UNIT, LENGTH) => entry.unit = text(&mut walk)?,
                (METADATA_TYPE | METADATA_FAMILY | METADATA_HELP | METADATA_UNIT, _) => {
                    return Err(wrong_wire_type(start));
                }
                (_, wire) => walk.skip(wire)?,
            }
        }
        self.batch.metadata.push(entry);
        Ok(())
    }

    /// Moves over all labels that follow one another from here on.
    #[inline(always)]
    fn label_run(&self, walk: &mut Walk<'_>) -> Result<Range<usize>, WireError> {
        let start = walk.at;
        while walk.peek() == Some(LABELS_KEY) {
            walk.at += 1;
            walk.at = walk.enter()?;
        }
        Ok(start..walk.at)
    }

    /// Before a sample takes memory.
    #[inline(always)]
    fn count_sample(&mut self) -> Result<(), WireError> {
        if self.samples_seen >= self.limits.samples_max {
            return Err(WireError::TooMany { item: Item::Samples, max: self.limits.samples_max });
        }
        self.samples_seen += 1;
        Ok(())
    }

    /// Writes the labels of a series or an exemplar, wherever they lie in it, as one section; returns where it will be.
    /// At most as many bytes as the whole message has.
    #[cold]
    fn copy_labels(&mut self, mut walk: Walk<'_>) -> Result<Range<usize>, WireError> {
        let start = self.copied_from + self.copied.len();
        while !walk.is_done() {
            let key = walk.key()?;
            if key.number == SERIES_LABELS {
                let length_at = walk.at;
                let label = walk.message()?;
                self.copied.push(LABELS_KEY);
                self.copied.extend_from_slice(label.since(length_at));
            } else {
                walk.skip(key.wire)?;
            }
        }
        Ok(start..self.copied_from + self.copied.len())
    }
}

/// Where the text lies that begins here, with the walk moved behind it.
fn text(walk: &mut Walk<'_>) -> Result<Range<u32>, WireError> {
    let inner = walk.message()?;
    Ok(inner.at as u32..walk.at as u32)
}

#[inline(always)]
fn read_sample(mut walk: Walk<'_>) -> Result<Sample, WireError> {
    let mut sample = Sample::new(0, 0.0);
    while !walk.is_done() {
        let start = walk.at;
        let key = walk.key()?;
        match (key.number, key.wire) {
            (SAMPLE_VALUE, FIXED64) => sample.value = f64::from_bits(walk.fixed64()?),
            (SAMPLE_TIMESTAMP, VARINT) => sample.t_ms = walk.varint()? as i64,
            (SAMPLE_VALUE | SAMPLE_TIMESTAMP, _) => return Err(wrong_wire_type(start)),
            (_, wire) => walk.skip(wire)?,
        }
    }
    Ok(sample)
}
