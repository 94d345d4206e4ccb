//! Series of a downsampled block: made of raw ones, or of finer windows.
//!
//! What we read of them is windows (`columns`). Beside those each series has chunks of Thanos' five aggregates
//! ([`aggregates`]), by which the index finds it and which other programs read.
//!
//! **Invariant I-COARSE-1:** the windows of a series that came out of raw samples, or out of windows of them, or out of blocks
//! that a border cut in two, are those of all its samples at once (I-FOLD-1). Columns that one of the sources did not have are
//! not written.

mod aggregates;
mod fold;
mod raw;

pub use fold::fold_coarse;
pub use raw::RawDownsampler;

use crate::block::Block;
use crate::columns::{BlockColumns, ColumnSet};
use crate::deleted::ranges_of;
use crate::error::{BlockError, Result};
use crate::files::BlockFile;
use longhaul_chunk::SeriesChunks;
use longhaul_downsample::{NumberedWindow, Resolution};
use longhaul_model::{TimeRange, Tombstone};
use std::sync::Arc;

/// A series of a downsampled block.
#[derive(Clone, Debug)]
pub struct CoarseSeries {
    /// Its labels, and chunks of aggregates.
    pub series: SeriesChunks,
    /// Its windows, by rising number.
    pub windows: Vec<NumberedWindow>,
    /// Which columns of them are known; what belongs to others is not written.
    pub known: ColumnSet,
}

/// Series of a downsampled block in label order.
pub type CoarseSource<'a> = Box<dyn Iterator<Item = Result<CoarseSeries>> + Send + 'a>;

impl Block {
    /// All series of a downsampled block of ours, without the windows that `tombstones` are about: a window of which something
    /// is deleted goes as a whole. At most about `buffer_bytes` of chunks are in memory at a time.
    pub fn coarse_series(&self, tombstones: Vec<Arc<Tombstone>>, buffer_bytes: u64) -> Result<CoarseSource<'static>> {
        if self.series_count() == 0 {
            return Ok(Box::new(std::iter::empty())); // nothing is written of windows then
        }
        let whole = Self { inner: self.inner.clone(), deleted: None };
        let columns = BlockColumns::open(self.inner.files.clone(), self.meta())?;
        if columns.series_count() != self.series_count() {
            return Err(BlockError::corrupt(BlockFile::Columns, 0, "it has not the series of the index"));
        }
        let (resolution, range) = (columns.resolution(), self.meta().range());
        let series = whole.select(&[], TimeRange::ALL)?.reading_at_most(buffer_bytes).into_series();
        let joined = series.zip(columns.into_series()).map(|(series, windows)| {
            let (series, windows) = (series?, windows?);
            Ok(CoarseSeries { series, windows: windows.windows, known: windows.known })
        });
        Ok(Box::new(joined.filter_map(move |series| {
            let left = series.map(|series| without(series, &tombstones, resolution, range));
            left.transpose()
        })))
    }
}

/// What is left of a series; None if nothing is.
fn without(
    mut series: CoarseSeries,
    tombstones: &[Arc<Tombstone>],
    resolution: Resolution,
    block: TimeRange,
) -> Option<CoarseSeries> {
    let deleted = ranges_of(tombstones, &series.series.labels);
    let before = series.windows.len();
    series.windows.retain(|it| {
        let end_ms = resolution.end_ms(it.number);
        let window = TimeRange::inclusive(end_ms.saturating_sub(resolution.length_ms() - 1), end_ms);
        !deleted.iter().any(|range| range.overlaps(&window))
    });
    if series.windows.len() < before {
        series.series.chunks = aggregates::of_windows(&series.windows, resolution, block);
    }
    (!series.windows.is_empty()).then_some(series)
}

#[cfg(test)]
mod tests;
