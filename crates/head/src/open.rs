//! The chunk at the newest end of a series, which is still growing.
//!
//! Most of a million series hold plain floats and nothing else, so that their open chunk lies in the series itself; a
//! chunk of any other encoding lies behind a pointer and costs those nothing.

use crate::HeadSettings;
use crate::sealed::{View, find};
use longhaul_chunk::{
    Encoding, HISTOGRAM_CHUNK_SAMPLES_MIN, HistogramAppender, HistogramRef, Xor2Appender, XorAppender,
};
use longhaul_model::{Measurement, Value};

#[derive(Debug)]
pub(crate) enum Open {
    /// Floats of which no start is known.
    Floats(XorAppender),
    /// Floats with starts.
    StartedFloats(Box<Xor2Appender>),
    /// Histograms of one kind.
    Histograms(Box<HistogramAppender>),
}

impl Open {
    /// A chunk that begins with `sample`; `before` is the chunk that it could not go into.
    pub(crate) fn begin(sample: &Measurement, before: Option<&Self>) -> Self {
        match &sample.value {
            Value::Float(value) if sample.start_ms == 0 => {
                let mut open = XorAppender::new();
                open.append(sample.t_ms, *value);
                Self::Floats(open)
            }
            Value::Float(value) => {
                let mut open = Xor2Appender::new();
                open.append(sample.start_ms, sample.t_ms, *value);
                Self::StartedFloats(Box::new(open))
            }
            Value::Histogram(it) => Self::of_histogram(sample, (&**it).into(), before),
            Value::FloatHistogram(it) => Self::of_histogram(sample, (&**it).into(), before),
        }
    }

    fn of_histogram(sample: &Measurement, histogram: HistogramRef<'_>, before: Option<&Self>) -> Self {
        Self::Histograms(Box::new(match before {
            Some(Self::Histograms(before)) => before.next(sample.start_ms, sample.t_ms, histogram),
            _ => HistogramAppender::first(sample.start_ms, sample.t_ms, histogram),
        }))
    }

    /// Appends a sample that is newer than all before it; false if this chunk cannot hold it.
    pub(crate) fn append(&mut self, sample: &Measurement) -> bool {
        match (self, &sample.value) {
            (Self::Floats(open), Value::Float(value)) if sample.start_ms == 0 => open.append(sample.t_ms, *value),
            (Self::StartedFloats(open), Value::Float(value)) => open.append(sample.start_ms, sample.t_ms, *value),
            (Self::Histograms(open), Value::Histogram(it)) => {
                return open.append(sample.start_ms, sample.t_ms, &**it).is_ok();
            }
            (Self::Histograms(open), Value::FloatHistogram(it)) => {
                return open.append(sample.start_ms, sample.t_ms, &**it).is_ok();
            }
            _ => return false,
        }
        true
    }

    /// Whether it is not to be sealed yet.
    pub(crate) fn has_room(&self, settings: &HeadSettings) -> bool {
        let samples_min = if self.encoding().is_histogram() { HISTOGRAM_CHUNK_SAMPLES_MIN } else { 0 };
        let samples = self.samples();
        samples < settings.chunk_samples_max && (samples < samples_min || self.bytes().len() < settings.chunk_bytes_max)
    }

    pub(crate) fn samples(&self) -> u16 {
        match self {
            Self::Floats(open) => open.samples(),
            Self::StartedFloats(open) => open.samples(),
            Self::Histograms(open) => open.samples(),
        }
    }

    pub(crate) fn encoding(&self) -> Encoding {
        match self {
            Self::Floats(_) => Encoding::Xor,
            Self::StartedFloats(_) => Encoding::Xor2,
            Self::Histograms(open) => open.encoding(),
        }
    }

    /// The chunk's data so far.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Floats(open) => open.bytes(),
            Self::StartedFloats(open) => open.bytes(),
            Self::Histograms(open) => open.bytes(),
        }
    }

    /// What it takes beside the series.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Floats(open) => open.heap_bytes(),
            Self::StartedFloats(open) => size_of::<Xor2Appender>() + open.heap_bytes(),
            Self::Histograms(open) => size_of::<HistogramAppender>() + open.heap_bytes(),
        }
    }

    pub(crate) fn min_ms(&self) -> i64 {
        match self {
            Self::Floats(open) => open.min_ms(),
            Self::StartedFloats(open) => open.min_ms(),
            Self::Histograms(open) => open.min_ms(),
        }
    }

    pub(crate) fn max_ms(&self) -> i64 {
        match self {
            Self::Floats(open) => open.max_ms(),
            Self::StartedFloats(open) => open.max_ms(),
            Self::Histograms(open) => open.max_ms(),
        }
    }

    /// What a reader gets of it.
    pub(crate) fn view(&self) -> View<'_> {
        (self.encoding(), self.min_ms(), self.max_ms(), self.bytes())
    }

    /// The value at `t_ms`, if there is one.
    pub(crate) fn value_at(&self, t_ms: i64) -> Option<Value> {
        match self {
            Self::Floats(open) if open.max_ms() == t_ms => Some(Value::Float(open.last_value())),
            _ if t_ms < self.min_ms() || self.max_ms() < t_ms => None,
            _ => find(self.encoding(), self.bytes(), t_ms),
        }
    }
}
