//! What a decoder hands to the ingester: the series of one request with all that was sent of them, still lying in the
//! request's buffer.

use crate::{FloatHistogram, Histogram, LabelSection, Measurement, MetricKind, Sample, Value};
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;

/// The decoded content of one write request. Labels and texts stay slices of `buffer`; samples lie in vectors, one for
/// each kind. A vector that nothing was sent for is empty and takes no memory.
///
/// Produced by `wire`, consumed by `ingest`. All ranges lie inside their vectors.
#[derive(Clone, Debug, Default)]
pub struct WriteBatch {
    /// The decompressed request, or an arena of label sections and texts that the decoder wrote.
    pub buffer: Bytes,
    /// The series in the order of the request; the same label set may come more than once.
    pub series: Vec<SeriesEntry>,
    /// The floats of all series, series after series, in the order of the request.
    pub samples: Vec<Sample>,
    /// Since when each of `samples` counts, ms since the Unix epoch, 0 where that is not known; empty if it is known of
    /// none.
    pub starts_ms: Vec<i64>,
    /// The native histograms of all series, series after series, in the order of the request; not validated.
    pub histograms: Vec<HistogramSample>,
    /// The exemplars of all series, series after series, in the order of the request.
    pub exemplars: Vec<ExemplarEntry>,
    /// What the request says of metric families, in its order. It never fails a sample.
    pub metadata: Vec<MetadataEntry>,
}

/// One series of a [`WriteBatch`].
#[derive(Clone, Debug)]
pub struct SeriesEntry {
    /// Where the label section lies in the buffer (see [`LabelSection`]); not known to be canonical.
    pub labels: Range<u32>,
    /// Which samples are the series'.
    pub samples: Range<u32>,
    /// Which histograms are.
    pub histograms: Range<u32>,
    /// Which exemplars are.
    pub exemplars: Range<u32>,
}

/// A native histogram as it was sent.
#[derive(Clone, Debug)]
pub struct HistogramSample {
    /// Milliseconds since the Unix epoch.
    pub t_ms: i64,
    /// Since when the histogram counts, ms since the Unix epoch; 0 where that is not known.
    pub start_ms: i64,
    /// The histogram.
    pub value: HistogramValue,
}

/// Either kind of native histogram.
#[derive(Clone, Debug)]
pub enum HistogramValue {
    /// Of counted observations.
    Integer(Arc<Histogram>),
    /// Whose counts are any numbers.
    Float(Arc<FloatHistogram>),
}

/// An observation that stands for others, with labels that say where more is known of it (a trace's id, mostly).
#[derive(Clone, Debug)]
pub struct ExemplarEntry {
    /// Where its label section lies in the buffer; not known to be canonical, often empty.
    pub labels: Range<u32>,
    /// Milliseconds since the Unix epoch; 0 if the sender gives none.
    pub t_ms: i64,
    /// What was observed.
    pub value: f64,
}

/// What a sender says of a metric family. The ranges are texts in the buffer, not known to be UTF-8.
#[derive(Clone, Debug)]
pub struct MetadataEntry {
    /// The family's name.
    pub family: Range<u32>,
    /// What kind of metric it is.
    pub kind: MetricKind,
    /// A sentence for people.
    pub help: Range<u32>,
    /// The unit.
    pub unit: Range<u32>,
}

impl WriteBatch {
    /// The label section of a series.
    pub fn labels(&self, series: &SeriesEntry) -> LabelSection<'_> {
        LabelSection::new(self.bytes(&series.labels))
    }

    /// The floats of a series.
    pub fn samples(&self, series: &SeriesEntry) -> &[Sample] {
        &self.samples[series.samples.start as usize..series.samples.end as usize]
    }

    /// The histograms of a series.
    pub fn histograms(&self, series: &SeriesEntry) -> &[HistogramSample] {
        &self.histograms[series.histograms.start as usize..series.histograms.end as usize]
    }

    /// The exemplars of a series.
    pub fn exemplars(&self, series: &SeriesEntry) -> &[ExemplarEntry] {
        &self.exemplars[series.exemplars.start as usize..series.exemplars.end as usize]
    }

    /// The bytes at a range of the buffer.
    pub fn bytes(&self, range: &Range<u32>) -> &[u8] {
        &self.buffer[range.start as usize..range.end as usize]
    }

    /// About what the batch takes in memory, bytes.
    pub fn size_bytes(&self) -> usize {
        self.buffer.len()
            + size_of_val(&*self.samples)
            + size_of_val(&*self.starts_ms)
            + self.histograms.iter().map(HistogramSample::size_bytes).sum::<usize>()
            + size_of_val(&*self.exemplars)
            + size_of_val(&*self.metadata)
    }
}

impl HistogramSample {
    fn size_bytes(&self) -> usize {
        size_of::<Self>() + Value::from(self.value.clone()).heap_bytes()
    }
}

impl From<HistogramValue> for Value {
    fn from(value: HistogramValue) -> Self {
        match value {
            HistogramValue::Integer(histogram) => Self::Histogram(histogram),
            HistogramValue::Float(histogram) => Self::FloatHistogram(histogram),
        }
    }
}

impl From<HistogramSample> for Measurement {
    fn from(sample: HistogramSample) -> Self {
        Self { t_ms: sample.t_ms, start_ms: sample.start_ms, value: sample.value.into() }
    }
}
