//! What is deleted of a block and still in its files, apart from its own `tombstones`: deletions that were asked for
//! after it was written, and that hide what they are about until the block is rewritten.

use crate::block::Block;
use crate::error::Result;
use crate::lookup::ChunkPlace;
use crate::select::walk;
use crate::tombstones::merged;
use longhaul_model::{Labels, TimeRange, Tombstone};
use longhaul_postings::RoaringBitmap;
use std::sync::{Arc, OnceLock};

/// Deletions that a block is read with.
#[derive(Debug)]
pub(crate) struct Deleted {
    tombstones: Vec<Arc<Tombstone>>,
    /// The series of which nothing is left; found out when somebody asks for labels.
    gone: OnceLock<RoaringBitmap>,
}

impl Deleted {
    /// Whether whatever a series has at `t_ms` is deleted.
    pub(crate) fn is_about(&self, series: &Labels, t_ms: i64) -> bool {
        self.tombstones.iter().any(|it| it.range.contains(t_ms) && it.is_about(series))
    }
}

impl Block {
    /// The same block without what `tombstones` are about, whichever they were before. Its files stay as they are.
    #[must_use]
    pub fn without(&self, mut tombstones: Vec<Arc<Tombstone>>) -> Self {
        tombstones.retain(|tombstone| tombstone.range.overlaps(&self.meta().range()));
        let deleted = (!tombstones.is_empty()).then(|| Arc::new(Deleted { tombstones, gone: OnceLock::new() }));
        Self { inner: self.inner.clone(), deleted }
    }

    /// The same block without what `tombstones` are about either.
    #[must_use]
    pub fn also_without(&self, tombstones: impl IntoIterator<Item = Arc<Tombstone>>) -> Self {
        let before = self.deleted.iter().flat_map(|deleted| deleted.tombstones.iter().cloned());
        self.without(before.chain(tombstones).collect())
    }

    /// Takes the series out of `ordinals` that are deleted as a whole; returns the tombstones that are about some of the
    /// rest.
    pub(crate) fn leave_out_deleted(&self, ordinals: &mut RoaringBitmap) -> Result<Vec<Arc<Tombstone>>> {
        let mut about = Vec::new();
        for tombstone in self.deleted.iter().flat_map(|deleted| &deleted.tombstones) {
            let mut meant = self.all_matching(&tombstone.matchers)?;
            meant &= &*ordinals;
            if tombstone.range.covers(&self.meta().range()) {
                *ordinals -= meant;
            } else if !meant.is_empty() {
                about.push(tombstone.clone());
            }
        }
        Ok(about)
    }

    /// The series of which nothing is left. A chunk counts as there unless deletions cover all of it.
    pub(crate) fn gone(&self) -> Result<Option<&RoaringBitmap>> {
        let Some(deleted) = &self.deleted else { return Ok(None) };
        if deleted.gone.get().is_none() {
            let _ = deleted.gone.set(self.find_gone(&deleted.tombstones)?);
        }
        Ok(deleted.gone.get())
    }

    fn find_gone(&self, tombstones: &[Arc<Tombstone>]) -> Result<RoaringBitmap> {
        let (mut gone, mut doubtful) = (RoaringBitmap::new(), RoaringBitmap::new());
        for tombstone in tombstones {
            let meant = self.all_matching(&tombstone.matchers)?;
            let whole = tombstone.range.covers(&self.meta().range());
            *(if whole { &mut gone } else { &mut doubtful }) |= meant;
        }
        doubtful -= &gone;
        let mut ordinals = doubtful.iter();
        let mut also_gone = Vec::new();
        walk(&self.inner.lookup, &doubtful, |labels, chunks| {
            let ranges = ranges_of(tombstones, labels);
            let is_gone = chunks.iter().all(|chunk| is_covered(chunk, &ranges));
            also_gone.extend(ordinals.next().filter(|_| is_gone));
        })?;
        gone.extend(also_gone);
        Ok(gone)
    }
}

/// What is deleted of a series: rising, disjoint ranges.
pub(crate) fn ranges_of(tombstones: &[Arc<Tombstone>], labels: &Labels) -> Vec<TimeRange> {
    merged(tombstones.iter().filter(|it| it.is_about(labels)).map(|it| it.range).collect())
}

/// Whether all of a chunk is deleted.
pub(crate) fn is_covered(chunk: &ChunkPlace, deleted: &[TimeRange]) -> bool {
    let bounds = TimeRange::inclusive(chunk.min_ms, chunk.max_ms);
    deleted.iter().any(|range| range.covers(&bounds))
}

#[cfg(test)]
mod tests;
