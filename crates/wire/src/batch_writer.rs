//! How a decoder that cannot leave labels where they lie fills a [`WriteBatch`]: label sections and texts go into a buffer
//! of its own, series after series, within the limits of the request.
//!
//! Invariant: every range of the batch lies inside its vector or the buffer, and the batch holds no more than its
//! [`DecodeLimits`] say, however the sender's message is built: references make a few bytes stand for many.

use crate::histogram::{self, BucketsLeft};
use crate::remote_write::DecodeLimits;
use crate::walk::Walk;
use crate::{Item, WireError};
use bytes::Bytes;
use longhaul_model::write_batch::{ExemplarEntry, HistogramSample, MetadataEntry};
use longhaul_model::{LabelSection, MetricKind, Sample, SeriesEntry, WriteBatch};
use std::borrow::Cow;
use std::ops::Range;

/// A batch in the making. Samples, histograms and exemplars belong to the series that was begun last.
pub(crate) struct BatchWriter<'a> {
    limits: &'a DecodeLimits,
    buckets_left: BucketsLeft,
    batch: WriteBatch,
    buffer: Vec<u8>,
    /// A label section in the making; kept for its memory.
    section: Vec<u8>,
}

/// How far a batch was filled; see [`BatchWriter::undo`].
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    buffer: usize,
    series: usize,
    samples: usize,
    histograms: usize,
    exemplars: usize,
}

impl<'a> BatchWriter<'a> {
    pub fn new(limits: &'a DecodeLimits) -> Self {
        Self {
            limits,
            buckets_left: BucketsLeft::new(limits.buckets_max),
            batch: WriteBatch::default(),
            buffer: Vec::new(),
            section: Vec::new(),
        }
    }

    /// Begins a series, whose labels follow later ([`Self::labels`]).
    pub fn begin(&mut self) -> Result<(), WireError> {
        if self.batch.series.len() >= self.limits.series_max as usize {
            return Err(WireError::TooMany { item: Item::Series, max: self.limits.series_max });
        }
        let (samples, histograms, exemplars) = (self.samples(), self.histograms(), self.exemplars());
        self.batch.series.push(SeriesEntry {
            labels: 0..0,
            samples: samples..samples,
            histograms: histograms..histograms,
            exemplars: exemplars..exemplars,
        });
        Ok(())
    }

    /// The labels of the series: `write` appends them as a section of `size_bytes`.
    pub fn labels(&mut self, size_bytes: usize, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), WireError> {
        let labels = self.write(size_bytes, write)?;
        self.last().labels = labels;
        Ok(())
    }

    /// The labels of the series, in whatever order they come; they are put in order, and those without a value left out.
    pub fn label_pairs(&mut self, pairs: &mut [(Cow<'_, str>, Cow<'_, str>)]) -> Result<(), WireError> {
        let labels = self.write_pairs(pairs)?;
        self.last().labels = labels;
        Ok(())
    }

    /// Adds a sample; `start_ms` 0 is not known.
    pub fn sample(&mut self, t_ms: i64, value: f64, start_ms: i64) -> Result<(), WireError> {
        self.count_sample()?;
        if start_ms != 0 || !self.batch.starts_ms.is_empty() {
            self.batch.starts_ms.resize(self.batch.samples.len(), 0);
            self.batch.starts_ms.push(start_ms);
        }
        self.batch.samples.push(Sample::new(t_ms, value));
        self.last().samples.end += 1;
        Ok(())
    }

    /// Adds the histogram whose message this is.
    pub fn read_histogram(&mut self, message: Walk<'_>) -> Result<(), WireError> {
        self.count_sample()?;
        let sample = histogram::read(message, &mut self.buckets_left)?;
        self.batch.histograms.push(sample);
        self.last().histograms.end += 1;
        Ok(())
    }

    /// Counts buckets of histograms that are about to be made for [`Self::histogram`].
    pub fn buckets(&mut self, count: usize) -> Result<(), WireError> {
        self.buckets_left.take_many(count)
    }

    /// Adds a histogram.
    pub fn histogram(&mut self, sample: HistogramSample) -> Result<(), WireError> {
        self.count_sample()?;
        self.batch.histograms.push(sample);
        self.last().histograms.end += 1;
        Ok(())
    }

    /// Adds an exemplar, whose labels `write` appends as a section of `size_bytes`.
    pub fn exemplar(
        &mut self,
        t_ms: i64,
        value: f64,
        size_bytes: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), WireError> {
        self.count_sample()?;
        let labels = self.write(size_bytes, write)?;
        self.batch.exemplars.push(ExemplarEntry { labels, t_ms, value });
        self.last().exemplars.end += 1;
        Ok(())
    }

    /// Adds an exemplar with these labels, as [`Self::label_pairs`] takes them.
    pub fn exemplar_pairs(
        &mut self,
        t_ms: i64,
        value: f64,
        pairs: &mut [(Cow<'_, str>, Cow<'_, str>)],
    ) -> Result<(), WireError> {
        self.count_sample()?;
        let labels = self.write_pairs(pairs)?;
        self.batch.exemplars.push(ExemplarEntry { labels, t_ms, value });
        self.last().exemplars.end += 1;
        Ok(())
    }

    /// Says what the metrics of a family are.
    pub fn metadata(&mut self, family: &str, kind: MetricKind, help: &str, unit: &str) -> Result<(), WireError> {
        if self.batch.metadata.len() >= self.limits.series_max as usize {
            return Err(WireError::TooMany { item: Item::Metadata, max: self.limits.series_max });
        }
        let [family, help, unit] =
            [family, help, unit].map(|text| self.write(text.len(), |buffer| buffer.extend(text.as_bytes())));
        self.batch.metadata.push(MetadataEntry { family: family?, kind, help: help?, unit: unit? });
        Ok(())
    }

    /// The series that was begun last has a start of counting, where its samples name none themselves.
    pub fn start_of_series(&mut self, start_ms: i64) {
        let (samples, histograms) = (self.last().samples.clone(), self.last().histograms.clone());
        if !samples.is_empty() {
            self.batch.starts_ms.resize(self.batch.samples.len(), 0);
            let starts = &mut self.batch.starts_ms[samples.start as usize..];
            starts.iter_mut().filter(|start| **start == 0).for_each(|start| *start = start_ms);
        }
        let histograms = &mut self.batch.histograms[histograms.start as usize..];
        histograms.iter_mut().filter(|sample| sample.start_ms == 0).for_each(|sample| sample.start_ms = start_ms);
    }

    /// Where the batch stands now.
    pub fn mark(&self) -> Mark {
        Mark {
            buffer: self.buffer.len(),
            series: self.batch.series.len(),
            samples: self.batch.samples.len(),
            histograms: self.batch.histograms.len(),
            exemplars: self.batch.exemplars.len(),
        }
    }

    /// Takes back the series that were begun since `mark`, with all that they have. No metadata may have been added.
    pub fn undo(&mut self, mark: Mark) {
        self.buffer.truncate(mark.buffer);
        self.batch.series.truncate(mark.series);
        self.batch.samples.truncate(mark.samples);
        self.batch.starts_ms.truncate(mark.samples);
        self.batch.histograms.truncate(mark.histograms);
        self.batch.exemplars.truncate(mark.exemplars);
    }

    /// Samples, histograms and exemplars since `mark`.
    pub fn items_since(&self, mark: Mark) -> u64 {
        let samples = self.batch.samples.len() - mark.samples + self.batch.histograms.len() - mark.histograms;
        (samples + self.batch.exemplars.len() - mark.exemplars) as u64
    }

    /// The batch.
    pub fn finish(mut self) -> WriteBatch {
        self.batch.buffer = Bytes::from(self.buffer);
        self.batch
    }

    /// The limit is asked before anything is written.
    #[inline(always)]
    fn write(&mut self, size_bytes: usize, write: impl FnOnce(&mut Vec<u8>)) -> Result<Range<u32>, WireError> {
        let start = self.buffer.len();
        let max = self.limits.text_bytes_max;
        if size_bytes > max as usize - start {
            return Err(WireError::TextsTooLarge { size_bytes_max: max });
        }
        write(&mut self.buffer);
        debug_assert_eq!(self.buffer.len(), start + size_bytes);
        Ok(start as u32..self.buffer.len() as u32)
    }

    fn write_pairs(&mut self, pairs: &mut [(Cow<'_, str>, Cow<'_, str>)]) -> Result<Range<u32>, WireError> {
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        let mut section = std::mem::take(&mut self.section);
        section.clear();
        for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
            LabelSection::push(&mut section, name, value);
        }
        let written = self.write(section.len(), |buffer| buffer.extend_from_slice(&section));
        self.section = section;
        written
    }

    fn last(&mut self) -> &mut SeriesEntry {
        self.batch.series.last_mut().expect("samples come after the beginning of their series")
    }

    fn count_sample(&self) -> Result<(), WireError> {
        let batch = &self.batch;
        let all = batch.samples.len() + batch.histograms.len() + batch.exemplars.len();
        if all >= self.limits.samples_max as usize {
            return Err(WireError::TooMany { item: Item::Samples, max: self.limits.samples_max });
        }
        Ok(())
    }

    fn samples(&self) -> u32 {
        self.batch.samples.len() as u32
    }

    fn histograms(&self) -> u32 {
        self.batch.histograms.len() as u32
    }

    fn exemplars(&self) -> u32 {
        self.batch.exemplars.len() as u32
    }
}
