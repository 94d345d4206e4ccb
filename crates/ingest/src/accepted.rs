//! A batch on its way through the log: the samples that passed the checks, with their series resolved, and the reply
//! that its request is waiting for.

use crate::gate::Inflight;
use crate::refusal::{Cause, Refusals};
use crate::settings::WriteLimits;
use crate::tenant::Tenant;
use crate::validate::{self, TimeWindow};
use crate::zeros::zeros;
use longhaul_chunk::{Columns, Encoding, decode_any, merge_chunks, merge_into};
use longhaul_head::{CutView, HeadError, Series, SeriesKey};
use longhaul_model::{
    Exemplar, LabelSection, Labels, Measurement, Sample, SeriesEntry, TenantId, TimeRange, Value, WriteBatch,
};
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::oneshot;

/// A batch whose every sample is to be made durable and applied.
pub(crate) struct Accepted {
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) entries: Vec<Entry>,
    /// The plain floats of all entries.
    pub(crate) samples: Vec<Sample>,
    /// Their other samples: valid histograms, and floats of which is known since when they count.
    pub(crate) others: Vec<Measurement>,
    pub(crate) exemplars: Vec<Exemplar>,
    pub(crate) purpose: Purpose,
    /// The memory that it takes.
    pub(crate) inflight: Option<Inflight>,
}

/// One series of a batch.
pub(crate) struct Entry {
    pub(crate) series: Arc<Series>,
    pub(crate) samples: Range<u32>,
    pub(crate) others: Range<u32>,
    pub(crate) exemplars: Range<u32>,
    /// How many of the first floats, and of the first other samples, no sender has sent: see [`crate::zeros`].
    pub(crate) zeros: [u32; 2],
}

/// What the batch is for.
pub(crate) enum Purpose {
    /// A request that waits for its verdict.
    Write(oneshot::Sender<Applied>),
    /// The samples of a tiny head, logged once more so that an old segment can go. They are in the head already.
    LogAgain(LoggedAgain),
}

/// Views of a head whose samples are logged once more, and who waits for it.
pub(crate) struct LoggedAgain {
    pub(crate) views: Vec<CutView>,
    pub(crate) done: oneshot::Sender<()>,
}

/// The verdict on a batch.
#[derive(Debug)]
pub(crate) enum Applied {
    /// It is durable, and each sample was stored, was there already, or was refused.
    Done {
        stored: u64,
        duplicates: u64,
        /// How many of both are native histograms.
        histograms: u64,
        /// Exemplars that are in memory now, those that were there before included.
        exemplars: u64,
        /// Samples that met another value at their timestamp, and which was the first.
        conflicts: u64,
        first_conflict: Option<String>,
    },
    /// It could not be made durable; nothing of it was applied.
    Failed(String),
}

/// The part of a request that can be logged.
#[derive(Default)]
pub(crate) struct Resolved {
    pub(crate) entries: Vec<Entry>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) others: Vec<Measurement>,
    pub(crate) exemplars: Vec<Exemplar>,
    pub(crate) refusals: Refusals,
}

impl Resolved {
    /// Checks a request and finds or creates its series. What cannot be stored is counted, the rest goes on.
    ///
    /// `new_series` is false when the instance's memory has no room for series that are not known yet.
    pub(crate) fn of(batch: &WriteBatch, tenant: &Tenant, limits: &WriteLimits, now_ms: i64, new_series: bool) -> Self {
        let window = TimeWindow::at(now_ms, limits);
        let mut resolved = Self {
            entries: Vec::with_capacity(batch.series.len()),
            samples: Vec::with_capacity(batch.samples.len()),
            ..Self::default()
        };
        for entry in &batch.series {
            resolved.add(batch, entry, tenant, limits, window, new_series);
        }
        resolved
    }

    fn add(
        &mut self,
        batch: &WriteBatch,
        entry: &SeriesEntry,
        tenant: &Tenant,
        limits: &WriteLimits,
        window: TimeWindow,
        new_series: bool,
    ) {
        let section = batch.labels(entry);
        let describe = || validate::describe(section);
        let start = self.lengths();
        for (at, sample) in batch.samples(entry).iter().enumerate() {
            let start_ms = batch.starts_ms.get(entry.samples.start as usize + at).copied().unwrap_or(0);
            match window.check(sample.t_ms) {
                Ok(()) if start_ms == 0 => self.samples.push(*sample),
                Ok(()) => self.others.push(Measurement { start_ms, ..Measurement::from(*sample) }),
                Err(cause) => self.refusals.add(cause, 1, || format!("{} at {} ms", describe(), sample.t_ms)),
            }
        }
        for sample in batch.histograms(entry) {
            let at = |what: &dyn std::fmt::Display| format!("{} at {} ms{what}", describe(), sample.t_ms);
            match (window.check(sample.t_ms), validate::histogram(&sample.value, limits.histogram_buckets_max)) {
                (Ok(()), Ok(value)) => {
                    self.others.push(Measurement { t_ms: sample.t_ms, start_ms: sample.start_ms, value });
                }
                (Err(cause), _) => self.refusals.add(cause, 1, || at(&"")),
                (_, Err((cause, what))) => self.refusals.add(cause, 1, || at(&format_args!(": {what}"))),
            }
        }
        for exemplar in batch.exemplars(entry) {
            let labels = LabelSection::new(batch.bytes(&exemplar.labels));
            let in_time = window.check(exemplar.t_ms).map_err(|_| Cause::ExemplarTime);
            let checked = in_time.and_then(|()| validate::exemplar_labels(labels));
            // Of other requests that are under way nothing is known here: the limit holds about.
            let has_room = tenant.head.exemplar_count() + self.exemplars.len() < limits.exemplars_max;
            match checked {
                Ok(labels) if has_room => {
                    self.exemplars.push(Exemplar { t_ms: exemplar.t_ms, value: exemplar.value, labels });
                }
                Ok(_) => self.refusals.add(Cause::ExemplarLimit, 1, describe),
                Err(cause) => self.refusals.add(cause, 1, || {
                    format!("exemplar {} of {} at {} ms", validate::describe(labels), describe(), exemplar.t_ms)
                }),
            }
        }
        let end = self.lengths();
        // A series with nothing to store is not created, but its labels are still checked: a sender that gets
        // them wrong hears of it.
        let found = if start == end {
            validate::labels(section, limits).map(|_| None)
        } else {
            resolve(section, tenant, limits, new_series).map(Some)
        };
        match found {
            Ok(Some(series)) => {
                let zeros = if limits.zeros_at_start { self.add_zeros(&series, start, window) } else { [0, 0] };
                let end = self.lengths();
                let [samples, others, exemplars] = [0, 1, 2].map(|kind| start[kind]..end[kind]);
                self.entries.push(Entry { series, samples, others, exemplars, zeros });
            }
            Ok(None) => {}
            Err(cause) => {
                let refused: u32 = end.iter().zip(start).map(|(end, start)| end - start).sum();
                self.samples.truncate(start[0] as usize);
                self.others.truncate(start[1] as usize);
                self.exemplars.truncate(start[2] as usize);
                self.refusals.add(cause, u64::from(refused).max(1), describe);
            }
        }
    }

    /// Puts zeros in front of the samples of the series that is being added; returns how many of either kind.
    fn add_zeros(&mut self, series: &Series, start: [u32; 3], window: TimeWindow) -> [u32; 2] {
        let [samples_start, others_start] = [start[0] as usize, start[1] as usize];
        let plain = self.samples[samples_start..].iter().map(|sample| sample.t_ms);
        let newest_ms = plain.fold(series.newest_ms(), i64::max);
        let zeros = zeros(&self.others[others_start..], newest_ms, window);
        let (mut floats, mut others) = (Vec::new(), Vec::new());
        for zero in zeros {
            match zero.value {
                Value::Float(value) => floats.push(Sample::new(zero.t_ms, value)),
                _ => others.push(zero),
            }
        }
        let counts = [floats.len() as u32, others.len() as u32];
        self.samples.splice(samples_start..samples_start, floats);
        self.others.splice(others_start..others_start, others);
        counts
    }

    /// How many plain floats, other samples and exemplars there are.
    fn lengths(&self) -> [u32; 3] {
        [self.samples.len(), self.others.len(), self.exemplars.len()].map(|length| length as u32)
    }
}

/// The series of a label section. The section's own bytes find a known series when they are canonical; otherwise it is
/// taken apart, checked, and looked up by its canonical form.
fn resolve(
    section: LabelSection<'_>,
    tenant: &Tenant,
    limits: &WriteLimits,
    new_series: bool,
) -> Result<Arc<Series>, Cause> {
    let head = &tenant.head;
    if let Some(series) = head.find(head.key(section.bytes())) {
        return Ok(series);
    }
    let pairs = validate::labels(section, limits)?;
    let mut canonical = Vec::with_capacity(section.bytes().len());
    for (name, value) in &pairs {
        LabelSection::push(&mut canonical, name, value);
    }
    let key = head.key(&canonical);
    match head.find(key) {
        Some(series) => Ok(series),
        None if !new_series => Err(Cause::SeriesLimit),
        None => head.create(key, &pairs).map_err(|error| match error {
            HeadError::SeriesLimit { .. } | HeadError::NumbersExhausted => Cause::SeriesLimit,
        }),
    }
}

impl longhaul_log::Batch for Accepted {
    fn tenant(&self) -> &TenantId {
        &self.tenant.id
    }

    fn tenant_number(&self) -> u32 {
        self.tenant.number
    }

    fn entries(&self) -> usize {
        self.entries.len()
    }

    fn series_number(&self, entry: usize) -> u32 {
        self.entries[entry].series.number()
    }

    fn label_symbols(&self, entry: usize, out: &mut Vec<(u32, u32)>) {
        out.extend_from_slice(self.entries[entry].series.label_symbols());
    }

    fn symbol(&self, symbol: u32) -> Arc<str> {
        self.tenant.head.symbol(symbol)
    }

    fn samples(&self, entry: usize) -> &[Sample] {
        let range = &self.entries[entry].samples;
        &self.samples[range.start as usize..range.end as usize]
    }

    fn is_mixed(&self) -> bool {
        !self.others.is_empty()
    }

    fn others(&self, entry: usize) -> &[Measurement] {
        let range = &self.entries[entry].others;
        &self.others[range.start as usize..range.end as usize]
    }

    fn has_exemplars(&self) -> bool {
        !self.exemplars.is_empty()
    }

    fn exemplars(&self, entry: usize) -> &[Exemplar] {
        let range = &self.entries[entry].exemplars;
        &self.exemplars[range.start as usize..range.end as usize]
    }
}

impl Accepted {
    /// The batch that logs the samples and exemplars of some views once more. Gives them back if there is nothing to log or a chunk
    /// cannot be decoded.
    pub(crate) fn again(tenant: &Arc<Tenant>, again: LoggedAgain) -> Result<Self, LoggedAgain> {
        match collect(tenant, &again.views) {
            Some(Collected { entries, samples, others, exemplars }) if !entries.is_empty() => {
                let purpose = Purpose::LogAgain(again);
                Ok(Self { tenant: tenant.clone(), entries, samples, others, exemplars, purpose, inflight: None })
            }
            _ => Err(again),
        }
    }
}

/// What some views hold, as entries of a batch.
#[derive(Default)]
struct Collected {
    entries: Vec<Entry>,
    samples: Vec<Sample>,
    others: Vec<Measurement>,
    exemplars: Vec<Exemplar>,
}

/// What `views` hold; None if a chunk cannot be decoded or if a series is gone.
fn collect(tenant: &Tenant, views: &[CutView]) -> Option<Collected> {
    let Collected { mut entries, mut samples, mut others, mut exemplars } = Collected::default();
    let (mut columns, mut decoded) = (Columns::default(), Vec::new());
    for series in views.iter().flat_map(CutView::series) {
        let (start, others_start) = (samples.len() as u32, others.len() as u32);
        if series.chunks.iter().all(|chunk| chunk.encoding == Encoding::Xor) {
            columns.clear();
            merge_into(&series.chunks, TimeRange::ALL, &mut columns).ok()?;
            samples.extend(columns.t_ms.iter().zip(&columns.values).map(|(t_ms, value)| Sample::new(*t_ms, *value)));
        } else {
            decoded.clear();
            for chunk in merge_chunks(series.chunks, tenant.head.settings().chunk_samples_max).ok()? {
                decode_any(&chunk, &mut decoded).ok()?;
            }
            for sample in decoded.drain(..) {
                match sample.value {
                    Value::Float(value) if sample.start_ms == 0 => samples.push(Sample::new(sample.t_ms, value)),
                    _ => others.push(sample),
                }
            }
        }
        let known = tenant.head.find(key_of(tenant, &series.labels))?;
        entries.push(Entry {
            series: known,
            samples: start..samples.len() as u32,
            others: others_start..others.len() as u32,
            exemplars: 0..0,
            zeros: [0, 0],
        });
    }
    for of_view in views.iter().map(CutView::exemplars) {
        for of_series in of_view.chunk_by(|a, b| a.0 == b.0) {
            let start = exemplars.len() as u32;
            exemplars.extend(of_series.iter().map(|(_, exemplar)| exemplar.clone()));
            let series = tenant.head.find(key_of(tenant, &of_series[0].0))?;
            let exemplars = start..exemplars.len() as u32;
            entries.push(Entry { series, samples: 0..0, others: 0..0, exemplars, zeros: [0, 0] });
        }
    }
    Some(Collected { entries, samples, others, exemplars })
}

/// The key under which a head knows `labels`.
pub(crate) fn key_of(tenant: &Tenant, labels: &Labels) -> SeriesKey {
    let mut section = Vec::new();
    for (name, value) in labels.iter() {
        LabelSection::push(&mut section, name, value);
    }
    tenant.head.key(&section)
}
