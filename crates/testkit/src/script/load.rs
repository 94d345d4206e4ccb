//! `load 5m` and `load_with_nhcb 5m` blocks: samples to be stored.

use super::nhcb;
use super::number::duration;
use super::series::{Written, series_line};
use super::starts::{StartsLine, starts_line};
use crate::dataset::Dataset;
use longhaul_model::measurement::Value;
use longhaul_model::{Labels, Measurement};

/// A load: series with their samples, each series once.
#[derive(Clone, Debug)]
pub struct Load {
    /// The samples, each series' in order of time.
    pub series: Vec<(Labels, Vec<Measurement>)>,
}

/// What is wrong with which line of a block (0 is its first line).
pub type LineError = (usize, String);

/// Reads a block.
pub fn load(head: &str, block: &[&str]) -> Result<Load, LineError> {
    let (command, interval) = head.split_once(char::is_whitespace).ok_or((0, "load <interval>".to_owned()))?;
    let with_nhcb = match command {
        "load" => false,
        "load_with_nhcb" => true,
        other => return Err((0, format!("there is no command {other}"))),
    };
    let interval_ms = duration(interval.trim()).map_err(|why| (0, why))?;
    let mut series: Vec<(Labels, Vec<Measurement>)> = Vec::new();
    let mut starts: Option<(usize, StartsLine)> = None;
    for (number, line) in block.iter().enumerate().map(|(index, line)| (index + 1, line)) {
        if let Some(read) = starts_line(line) {
            if let Some((number, _)) = starts {
                return Err((number, "no sample line follows the @st line".to_owned()));
            }
            starts = Some((number, read.map_err(|why| (number, why))?));
            continue;
        }
        let read = series_line(line).map_err(|why| (number, why))?;
        let offsets_ms = match starts.take() {
            None => Vec::new(),
            Some((number, starts)) if starts.labels != read.labels => {
                return Err((number, format!("the line after the @st line is of {}", read.labels)));
            }
            Some((number, starts)) if starts.offsets_ms.len() != read.values.len() => {
                let (starts, values) = (starts.offsets_ms.len(), read.values.len());
                return Err((number, format!("{starts} starts for {values} values")));
            }
            Some((_, starts)) => starts.offsets_ms,
        };
        let samples = read.values.into_iter().enumerate().filter_map(|(position, written)| {
            let t_ms = position as i64 * interval_ms;
            let start_ms = offsets_ms.get(position).copied().flatten().map_or(0, |offset_ms| t_ms + offset_ms);
            let value = match written? {
                Written::Float(value) => Value::Float(value),
                Written::Histogram { histogram, .. } => Value::FloatHistogram(histogram),
            };
            Some(Measurement { t_ms, start_ms, value })
        });
        let samples = samples.collect();
        match series.iter_mut().find(|(labels, _)| *labels == read.labels) {
            Some((_, earlier)) => *earlier = samples,
            None => series.push((read.labels, samples)),
        }
    }
    if let Some((number, _)) = starts {
        return Err((number, "no sample line follows the @st line".to_owned()));
    }
    if with_nhcb {
        let histograms = nhcb::histograms(&series).map_err(|why| (0, why))?;
        series.extend(histograms);
    }
    Ok(Load { series })
}

impl Load {
    /// Adds the samples to what is loaded.
    pub fn apply(&self, data: &mut Dataset) -> Result<(), String> {
        self.series.iter().try_for_each(|(labels, samples)| data.append(labels, samples))
    }
}
