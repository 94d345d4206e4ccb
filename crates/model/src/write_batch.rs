//! What a decoder hands to the ingester: the series and samples of one request, still lying in the request's buffer.

use crate::{LabelSection, Sample};
use bytes::Bytes;
use std::ops::Range;

/// The decoded content of one write request. Labels stay slices of `buffer`; samples lie in one vector.
///
/// Produced by `wire`, consumed by `ingest`. All ranges lie inside their vectors.
#[derive(Clone, Debug, Default)]
pub struct WriteBatch {
    /// The decompressed request, or an arena of label sections that the decoder wrote.
    pub buffer: Bytes,
    /// The series in the order of the request; the same label set may come more than once.
    pub series: Vec<SeriesEntry>,
    /// The samples of all series, series after series, in the order of the request.
    pub samples: Vec<Sample>,
    /// What the request held and this version cannot store, counted so that the sender is told (never a silent 2xx).
    pub unsupported: Unsupported,
    /// Metric metadata entries seen (they never fail a request).
    pub metadata_entries: u32,
}

/// Counts of what was recognised but cannot be stored yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unsupported {
    /// Native histogram samples.
    pub histograms: u32,
    /// Exemplars.
    pub exemplars: u32,
}

/// One series of a [`WriteBatch`].
#[derive(Clone, Debug)]
pub struct SeriesEntry {
    /// Where the label section lies in the buffer (see [`LabelSection`]); not known to be canonical.
    pub labels: Range<u32>,
    /// Which samples are the series'.
    pub samples: Range<u32>,
    /// Whether the request gave this series histograms (the whole series is then reported, its floats still stored).
    pub histograms: u32,
    /// How many exemplars the request gave it.
    pub exemplars: u32,
}

impl WriteBatch {
    /// The label section of a series.
    pub fn labels(&self, series: &SeriesEntry) -> LabelSection<'_> {
        LabelSection::new(&self.buffer[series.labels.start as usize..series.labels.end as usize])
    }

    /// The samples of a series.
    pub fn samples(&self, series: &SeriesEntry) -> &[Sample] {
        &self.samples[series.samples.start as usize..series.samples.end as usize]
    }
}
