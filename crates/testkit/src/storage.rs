//! A test's samples stored in the ways in which Longhaul stores them, to be queried: what the engine answers must not
//! depend on where the samples lie.

mod block;
mod head;
mod memory;

pub use block::BlockStorage;
pub use head::HeadStorage;
pub use memory::MemoryStorage;

use crate::dataset::Dataset;
use longhaul_promql::source::SeriesSource;
use std::sync::Arc;

/// A way of storing samples.
pub trait Storage: Sync {
    /// What the way is called.
    fn name(&self) -> &'static str;

    /// Stores the samples; the engine reads them through what is returned.
    ///
    /// # Errors
    /// If something in the data cannot be stored in this way.
    fn store(&self, data: &Dataset) -> Result<Arc<dyn SeriesSource>, String>;
}

/// All ways: plain chunks in memory, a head, a block.
pub const ALL: [&dyn Storage; 3] = [&MemoryStorage, &HeadStorage, &BlockStorage];
