//! Plain chunks in memory.

use super::Storage;
use crate::dataset::Dataset;
use longhaul_promql::memory::MemorySource;
use longhaul_promql::source::SeriesSource;
use std::sync::Arc;

/// Chunks in memory, without any storage engine.
#[derive(Clone, Copy, Debug)]
pub struct MemoryStorage;

impl Storage for MemoryStorage {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn store(&self, data: &Dataset) -> Result<Arc<dyn SeriesSource>, String> {
        let series = data.series().map(|(labels, samples)| (labels.clone(), samples));
        Ok(Arc::new(MemorySource::from_measurements(series)))
    }
}
