//! What a chunk holds, decoded once to be counted, hashed and held against its bounds: by the writer, by the verifier
//! and by the accounts of a merge.

use crate::content_hash::{ContentHash, SeriesHash};
use longhaul_chunk::{Chunk, ChunkError, Columns, Encoding, aggregate, decode_any, decode_into, sample_count};
use longhaul_model::{Measurement, Sample, TimeRange};

/// Buffers that live from chunk to chunk.
#[derive(Default)]
pub(crate) struct StockTaker {
    columns: Columns,
    measurements: Vec<Measurement>,
    expanded: Vec<Sample>,
    canonical: Vec<u8>,
}

/// The content of a chunk, in figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stock {
    /// Float samples.
    pub floats: u64,
    /// Histograms.
    pub histograms: u64,
    /// The hash of both.
    pub hash: ContentHash,
    /// Time of the first and of the last sample, where there is one.
    pub times: Option<(i64, i64)>,
}

impl StockTaker {
    /// Takes stock of a chunk and calls `each` with the time and the hash of every sample. A chunk of aggregates counts
    /// as one item without a time: its samples are looked at and not counted.
    pub fn take(
        &mut self,
        chunk: &Chunk,
        series: SeriesHash,
        mut each: impl FnMut(i64, ContentHash),
    ) -> Result<Stock, ChunkError> {
        let mut stock = Stock::default();
        let mut add = |t_ms: i64, item: ContentHash| {
            stock.hash = stock.hash.plus(item);
            each(t_ms, item);
        };
        match chunk.encoding {
            Encoding::Xor | Encoding::Xor2 => {
                self.columns.clear();
                decode_into(chunk, TimeRange::ALL, &mut self.columns)?;
                let Columns { t_ms, values, start_ms } = &self.columns;
                let starts = start_ms.iter().copied().chain(std::iter::repeat(0));
                for ((t_ms, value), start_ms) in t_ms.iter().zip(values).zip(starts) {
                    add(*t_ms, series.of_float(*t_ms, start_ms, *value));
                }
                stock.floats = t_ms.len() as u64;
                stock.times = t_ms.first().copied().zip(t_ms.last().copied());
            }
            Encoding::ThanosAggregate => {
                // Aggregates of histograms are believed; those of floats are looked at.
                for part in aggregate::unpack(chunk)?.iter().flatten().filter(|part| part.encoding.is_float()) {
                    self.expanded.clear();
                    aggregate::expand(part, &mut self.expanded)?;
                }
                stock.histograms = sample_count(chunk).map_or(0, u64::from);
                stock.hash = series.of_aggregates(chunk);
            }
            _ => {
                self.measurements.clear();
                decode_any(chunk, &mut self.measurements)?;
                let all = &self.measurements;
                all.iter().for_each(|it| add(it.t_ms, series.of_any(it, &mut self.canonical)));
                stock.histograms = all.len() as u64;
                stock.times = all.first().map(|first| first.t_ms).zip(all.last().map(|last| last.t_ms));
            }
        }
        Ok(stock)
    }
}

impl Stock {
    /// Samples of both kinds.
    pub fn samples(&self) -> u64 {
        self.floats + self.histograms
    }

    /// What is wrong if the samples do not begin and end where the chunk says. Aggregates are believed.
    pub fn check_bounds(&self, chunk: &Chunk) -> Result<(), String> {
        if chunk.encoding == Encoding::ThanosAggregate || self.times == Some((chunk.min_ms, chunk.max_ms)) {
            return Ok(());
        }
        let bounds = TimeRange::inclusive(chunk.min_ms, chunk.max_ms);
        Err(match self.times {
            Some((first, last)) => format!("a chunk over {bounds} holds samples from {first} to {last} ms"),
            None => format!("a chunk over {bounds} holds no sample"),
        })
    }
}
