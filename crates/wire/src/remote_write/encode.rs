//! From label sections and samples to the bytes of a `WriteRequest`.

use longhaul_model::{LabelSection, Labels, Sample};

const TIMESERIES: u8 = 0x0a; // WriteRequest.timeseries
const SAMPLES: u8 = 0x12; // TimeSeries.samples
const VALUE: u8 = 0x09; // Sample.value
const TIMESTAMP: u8 = 0x10; // Sample.timestamp

/// Writes a `WriteRequest`, series by series.
#[derive(Debug, Default)]
pub struct Encoder {
    message: Vec<u8>,
}

impl Encoder {
    /// An empty request.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a series whose labels are already a section (see [`LabelSection`]), as senders with many requests keep
    /// them.
    pub fn push(&mut self, labels: LabelSection<'_>, samples: &[Sample]) {
        let size_bytes: usize = labels.bytes().len() + samples.iter().map(|s| 2 + sample_bytes(s)).sum::<usize>();
        self.message.push(TIMESERIES);
        push_varint(&mut self.message, size_bytes as u64);
        self.message.extend_from_slice(labels.bytes());
        samples.iter().for_each(|sample| push_sample(&mut self.message, sample));
    }

    /// Bytes so far.
    pub fn size_bytes(&self) -> usize {
        self.message.len()
    }

    /// The message so far.
    pub fn bytes(&self) -> &[u8] {
        &self.message
    }

    /// Begins the next request in the same memory.
    pub fn clear(&mut self) {
        self.message.clear();
    }

    /// The message, not compressed.
    pub fn finish(self) -> Vec<u8> {
        self.message
    }
}

/// A whole request at once, not compressed.
pub fn encode(series: &[(Labels, &[Sample])]) -> Vec<u8> {
    let mut encoder = Encoder::new();
    let mut section = Vec::new();
    for (labels, samples) in series {
        section.clear();
        labels.iter().for_each(|(name, value)| LabelSection::push(&mut section, name, value));
        encoder.push(LabelSection::new(&section), samples);
    }
    encoder.finish()
}

/// Appends a field of a `TimeSeries`. Generated code would leave out a negative zero as if it were none.
pub(crate) fn push_sample(out: &mut Vec<u8>, sample: &Sample) {
    out.extend_from_slice(&[SAMPLES, sample_bytes(sample) as u8, VALUE]);
    out.extend_from_slice(&sample.value.to_bits().to_le_bytes());
    out.push(TIMESTAMP);
    push_varint(out, sample.t_ms as u64);
}

/// Key, value, key, timestamp: at most 20 bytes, so that its length is one byte.
fn sample_bytes(sample: &Sample) -> usize {
    10 + varint_bytes(sample.t_ms as u64)
}

pub(crate) fn varint_bytes(value: u64) -> usize {
    (64 - (value | 1).leading_zeros()).div_ceil(7) as usize
}

pub(crate) fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
