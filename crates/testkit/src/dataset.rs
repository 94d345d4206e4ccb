//! Samples of a test, before they are stored in one way or another.
//!
//! Invariant: the times of a series rise.

use longhaul_model::{Labels, Measurement};
use std::collections::BTreeMap;

/// Series in label order with their samples.
#[derive(Clone, Debug, Default)]
pub struct Dataset {
    series: BTreeMap<Labels, Vec<Measurement>>,
}

impl Dataset {
    /// Adds samples to a series.
    ///
    /// # Errors
    /// If one of them does not come after all the series has.
    pub fn append(&mut self, labels: &Labels, samples: &[Measurement]) -> Result<(), String> {
        let series = self.series.entry(labels.clone()).or_default();
        for sample in samples {
            if let Some(last) = series.last().filter(|last| last.t_ms >= sample.t_ms) {
                return Err(format!("{labels}: a sample at {} ms comes after one at {} ms", sample.t_ms, last.t_ms));
            }
            series.push(sample.clone());
        }
        Ok(())
    }

    /// The series in label order; those without samples are left out.
    pub fn series(&self) -> impl Iterator<Item = (&Labels, &[Measurement])> {
        self.series
            .iter()
            .filter(|(_, samples)| !samples.is_empty())
            .map(|(labels, samples)| (labels, samples.as_slice()))
    }
}
