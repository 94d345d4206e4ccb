//! The layout `SAMPLES`: a `ReadResponse` with a result a query, in one snappy block.

use super::histogram;
use crate::remote_write::{push_sample, push_varint};
use crate::snappy;
use longhaul_model::{LabelSection, Labels, Measurement, Sample, Value};
use prost::encoding::message;

const RESULTS: u8 = 0x0a; // ReadResponse.results
const TIMESERIES: u8 = 0x0a; // QueryResult.timeseries
const HISTOGRAMS: u32 = 4; // TimeSeries.histograms

/// An answer while it is made, series by series: it holds bytes, never the samples.
#[derive(Debug, Default)]
pub struct SamplesAnswer {
    /// The results of the queries that are done.
    message: Vec<u8>,
    /// The result of the query that is being answered.
    result: Vec<u8>,
    /// The series that is being added.
    series: Vec<u8>,
}

impl SamplesAnswer {
    /// Adds a series to the query that is being answered; its samples in order of time.
    pub fn push_series(&mut self, labels: &Labels, samples: impl IntoIterator<Item = Measurement>) {
        let series = &mut self.series;
        series.clear();
        labels.iter().for_each(|(name, value)| LabelSection::push(series, name, value));
        for Measurement { t_ms, value, .. } in samples {
            match value {
                Value::Float(value) => push_sample(series, &Sample { t_ms, value }),
                Value::Histogram(it) => message::encode(HISTOGRAMS, &histogram::integer(t_ms, &it), series),
                Value::FloatHistogram(it) => message::encode(HISTOGRAMS, &histogram::float(t_ms, &it), series),
            }
        }
        push_bytes(&mut self.result, TIMESERIES, series);
    }

    /// Ends the answer to a query; what follows answers the next one.
    pub fn end_query(&mut self) {
        push_bytes(&mut self.message, RESULTS, &self.result);
        self.result.clear();
    }

    /// How long the message is so far, bytes.
    pub fn size_bytes(&self) -> usize {
        self.message.len() + self.result.len()
    }

    /// The body.
    ///
    /// # Panics
    /// If the message has more than 4 GiB, which a snappy block cannot hold.
    pub fn into_body(self) -> Vec<u8> {
        snappy::compress(&self.message)
    }
}

/// Appends a field whose value has a length.
fn push_bytes(out: &mut Vec<u8>, key: u8, bytes: &[u8]) {
    out.push(key);
    push_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}
