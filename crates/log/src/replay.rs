//! What was appended, read back in order: only frames whose CRC, which knows log, segment and place, is right
//! (**I-LOG-2**).

use crate::definitions::Definitions;
use crate::frame::Kind;
use crate::reader::{FrameReader, Step};
use crate::recover::ReadySegment;
use crate::{Deletion, LogError, Offset, deletions, exemplars, mixed, refusals, samples};
use longhaul_model::{Exemplar, Labels, Measurement, Sample, TenantId};
use std::sync::Arc;

/// One frame of the log.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its offset; rising from record to record.
    pub offset: Offset,
    /// Whose it is.
    pub tenant: TenantId,
    /// What it holds.
    pub kind: RecordKind,
}

/// What a record holds.
#[derive(Clone, Debug)]
pub enum RecordKind {
    /// A batch's series with their samples, refused ones included (see [`crate::Refused`]). Entries whose definition is
    /// lost are left out.
    Samples(Vec<ReplaySeries>),
    /// Refused samples of an earlier batch; already in [`crate::Refused`].
    Refusals {
        /// The offset of that batch.
        batch: Offset,
        /// (entry, sample within the entry).
        samples: Vec<(u32, u32)>,
    },
    /// What was deleted of the records before it.
    Deletion(Deletion),
}

/// One entry of a batch.
#[derive(Clone, Debug)]
pub struct ReplaySeries {
    /// Which entry of the batch it was: what refusals refer to.
    pub entry: u32,
    /// The series' labels; entries of one series in a segment share one allocation.
    pub labels: Labels,
    /// The series' number in its segment: a cache key as long as `segment` is the same.
    pub series_number: u32,
    /// The segment the record lies in.
    pub segment: u64,
    /// Its plain floats, in the order of the batch.
    pub samples: Vec<Sample>,
    /// Its other samples, in the order of the batch; refusals count them behind the floats.
    pub others: Vec<Measurement>,
    /// Its exemplars, which are never refused.
    pub exemplars: Vec<Exemplar>,
}

/// Iterates over the records of a log. After an error there is nothing more.
#[derive(Debug)]
pub struct Replay {
    segments: Arc<Vec<ReadySegment>>,
    next_segment: usize,
    current: Option<Current>,
    samples_without_series: u64,
}

#[derive(Debug)]
struct Current {
    number: u64,
    reader: FrameReader,
    definitions: Definitions,
}

impl Replay {
    pub(crate) fn new(segments: Arc<Vec<ReadySegment>>) -> Self {
        Self { segments, next_segment: 0, current: None, samples_without_series: 0 }
    }

    /// Samples and exemplars met so far whose series definition is lost in both its places.
    pub fn samples_without_series(&self) -> u64 {
        self.samples_without_series
    }

    fn read(&mut self) -> Result<Option<Record>, LogError> {
        loop {
            let Some(current) = &mut self.current else {
                let Some(segment) = self.segments.get(self.next_segment) else { return Ok(None) };
                self.next_segment += 1;
                self.current = Some(Current::open(segment)?);
                continue;
            };
            match current.reader.next()? {
                Step::End => self.current = None,
                Step::Bad { .. } => {} // reported when the log was opened
                Step::Frame { kind: Kind::Series | Kind::Seal, .. } => {}
                Step::Frame { kind: Kind::Refusals, head, .. } => {
                    if let Some(refusals) = refusals::decode(current.reader.payload()) {
                        let kind = RecordKind::Refusals { batch: refusals.batch, samples: refusals.samples };
                        return Ok(Some(Record { offset: head.offset, tenant: refusals.tenant, kind }));
                    }
                }
                Step::Frame { kind: Kind::Deletion, head, .. } => {
                    if let Some(deletion) = deletions::decode(current.reader.payload()) {
                        let (offset, tenant) = (head.offset, deletion.tenant.clone());
                        return Ok(Some(Record { offset, tenant, kind: RecordKind::Deletion(deletion) }));
                    }
                }
                Step::Frame { kind: Kind::Samples, head, .. } => {
                    if let Some((tenant, columns)) = samples::decode(current.reader.payload()) {
                        let (series, lost) = current.series(&columns, Default::default(), Default::default());
                        self.samples_without_series += lost;
                        return Ok(Some(Record { offset: head.offset, tenant, kind: RecordKind::Samples(series) }));
                    }
                    tracing::error!(offset = head.offset, "a batch in the log cannot be decoded");
                }
                Step::Frame { kind: Kind::Mixed, head, .. } => {
                    if let Some((tenant, columns, others)) = mixed::decode(current.reader.payload()) {
                        let (series, lost) = current.series(&columns, others, Default::default());
                        self.samples_without_series += lost;
                        return Ok(Some(Record { offset: head.offset, tenant, kind: RecordKind::Samples(series) }));
                    }
                    tracing::error!(offset = head.offset, "a batch of histograms in the log cannot be decoded");
                }
                Step::Frame { kind: Kind::Exemplars, head, .. } => {
                    if let Some((tenant, columns, others, exemplars)) = exemplars::decode(current.reader.payload()) {
                        let (series, lost) = current.series(&columns, others, exemplars);
                        self.samples_without_series += lost;
                        return Ok(Some(Record { offset: head.offset, tenant, kind: RecordKind::Samples(series) }));
                    }
                    tracing::error!(offset = head.offset, "a batch with exemplars in the log cannot be decoded");
                }
            }
        }
    }
}

impl Iterator for Replay {
    type Item = Result<Record, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = self.read();
        if record.is_err() {
            (self.current, self.next_segment) = (None, self.segments.len());
        }
        record.transpose()
    }
}

impl Current {
    /// Opens a segment and reads all its definitions: the readable copy of one may stand behind its samples.
    fn open(ready: &ReadySegment) -> Result<Self, LogError> {
        let mut reader = FrameReader::new(ready.segment.clone(), ready.end_bytes);
        let mut definitions = Definitions::default();
        for at in &ready.definitions {
            reader.seek(*at);
            if matches!(reader.next()?, Step::Frame { kind: Kind::Series, .. })
                && definitions.add(reader.payload()).is_none()
            {
                tracing::error!(segment = ready.segment.number, "series definitions in the log cannot be decoded");
            }
        }
        reader.seek(0);
        Ok(Self { number: ready.segment.number, reader, definitions })
    }

    /// The series of a batch, and how many samples have none.
    fn series(
        &mut self,
        columns: &samples::SampleColumns,
        others: mixed::Others,
        exemplars: exemplars::Exemplars,
    ) -> (Vec<ReplaySeries>, u64) {
        let (mut series, mut lost) = (Vec::with_capacity(columns.series.len()), 0);
        let mut rest = columns.times.iter().zip(&columns.values).map(|(t_ms, value)| Sample::new(*t_ms, *value));
        let mut rest_of_others = others.samples.into_iter();
        let mut others_counts = others.counts.into_iter();
        let mut rest_of_exemplars = exemplars.exemplars.into_iter();
        let mut exemplars_counts = exemplars.counts.into_iter();
        for (entry, (number, count)) in columns.series.iter().zip(&columns.counts).enumerate() {
            let samples: Vec<Sample> = rest.by_ref().take(*count as usize).collect();
            let others_count = others_counts.next().unwrap_or(0);
            let others: Vec<Measurement> = rest_of_others.by_ref().take(others_count as usize).collect();
            let exemplars_count = exemplars_counts.next().unwrap_or(0);
            let exemplars: Vec<Exemplar> = rest_of_exemplars.by_ref().take(exemplars_count as usize).collect();
            match self.definitions.labels(*number) {
                Some(labels) => series.push(ReplaySeries {
                    entry: entry as u32,
                    labels,
                    series_number: *number,
                    segment: self.number,
                    samples,
                    others,
                    exemplars,
                }),
                None => lost += u64::from(*count) + u64::from(others_count) + u64::from(exemplars_count),
            }
        }
        (series, lost)
    }
}
