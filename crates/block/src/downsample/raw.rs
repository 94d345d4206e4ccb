//! Raw series as series of a downsampled block.

use super::{CoarseSeries, aggregates};
use crate::columns::ColumnSet;
use crate::error::{BlockError, Result};
use longhaul_chunk::{Chunk, ChunkError, Columns, SeriesChunks, decode_any, decode_into};
use longhaul_downsample::{Resolution, Splitter};
use longhaul_model::{FloatHistogram, Measurement, Sample, TimeRange, Value, is_stale};
use std::sync::Arc;

/// Downsamples one raw series after the other. Its buffers live on; a series is in memory with its windows.
pub struct RawDownsampler {
    resolution: Resolution,
    block: TimeRange,
    samples: u64,
    markers: u64,
    columns: Columns,
    measurements: Vec<Measurement>,
    /// The floats of a series with NaNs.
    floats: Vec<Sample>,
}

impl RawDownsampler {
    /// For a block over `block`, which holds all samples.
    pub fn new(resolution: Resolution, block: TimeRange) -> Self {
        Self {
            resolution,
            block,
            samples: 0,
            markers: 0,
            columns: Columns::default(),
            measurements: Vec::new(),
            floats: Vec::new(),
        }
    }

    /// Samples that the windows made so far count, and stale markers, which they do not: what came in, together.
    pub fn counts(&self) -> (u64, u64) {
        (self.samples, self.markers)
    }

    /// Downsamples a series; its chunks are in time order and disjoint, as they come out of a merge.
    pub fn downsample(&mut self, series: &SeriesChunks) -> Result<CoarseSeries> {
        let mut splitter = Splitter::new(self.resolution);
        let mut nans = false;
        for chunk in &series.chunks {
            self.take(chunk, &mut splitter, &mut nans)
                .map_err(|error| BlockError::Chunk { series: series.labels.to_string(), error })?;
        }
        let windows = splitter.finish();
        self.samples += windows.iter().map(|it| it.window.samples()).sum::<u64>();
        let chunks = match nans {
            false => aggregates::of_windows(&windows, self.resolution, self.block),
            true => {
                self.floats.clear();
                self.expand(series).map_err(|error| BlockError::Chunk { series: series.labels.to_string(), error })?;
                aggregates::of_samples(&self.floats, &windows, self.resolution, self.block)
            }
        };
        let series = SeriesChunks { labels: series.labels.clone(), chunks };
        Ok(CoarseSeries { series, windows, known: ColumnSet::ALL })
    }

    /// Takes in a chunk; notes whether there are NaNs, which count for Thanos as little as markers do.
    fn take(&mut self, chunk: &Chunk, splitter: &mut Splitter, nans: &mut bool) -> Result<(), ChunkError> {
        if chunk.encoding.is_float() {
            self.columns.clear();
            decode_into(chunk, TimeRange::ALL, &mut self.columns)?;
            let Columns { t_ms, values, start_ms } = &self.columns;
            let starts = start_ms.iter().copied().chain(std::iter::repeat(0));
            for ((t_ms, value), start_ms) in t_ms.iter().zip(values).zip(starts) {
                if value.is_nan() {
                    let stale = is_stale(*value);
                    self.markers += u64::from(stale);
                    *nans |= !stale;
                }
                splitter.push_float(*t_ms, start_ms, *value);
            }
            return Ok(());
        }
        self.measurements.clear();
        decode_any(chunk, &mut self.measurements)?;
        for Measurement { t_ms, start_ms, value } in self.measurements.drain(..) {
            self.markers += u64::from(value.is_stale());
            let value = match value {
                Value::Histogram(value) => Arc::new(FloatHistogram::from(&*value)),
                Value::FloatHistogram(value) => value,
                Value::Float(value) => {
                    splitter.push_float(t_ms, start_ms, value);
                    continue;
                }
            };
            splitter.push_histogram(t_ms, start_ms, value);
        }
        Ok(())
    }

    fn expand(&mut self, series: &SeriesChunks) -> Result<(), ChunkError> {
        for chunk in series.chunks.iter().filter(|chunk| chunk.encoding.is_float()) {
            self.columns.clear();
            decode_into(chunk, TimeRange::ALL, &mut self.columns)?;
            let samples = self.columns.t_ms.iter().zip(&self.columns.values);
            self.floats.extend(samples.map(|(t_ms, value)| Sample::new(*t_ms, *value)));
        }
        Ok(())
    }
}
