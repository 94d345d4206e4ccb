//! Deleting: what a deletion is about leaves the head at once, from cuts that are being written as well.
//!
//! Samples of a released cut that a reader still holds stay: whoever begins to read does not see them any more, its part
//! answers instead, and for that the deletion has to be applied elsewhere.

use crate::{Head, index};
use longhaul_model::{TimeRange, Tombstone};

impl Head {
    /// Drops the samples and exemplars that `tombstone` is about, and forgets the series of which nothing is left; returns how many samples
    /// went. Lane only. Takes as long as a cut of as many series.
    pub fn delete(&self, tombstone: &Tombstone) -> u64 {
        let hidden = self.pins.hidden();
        let (mut samples, mut emptied) = (0, Vec::new());
        let meant = index::select(&self.index, &tombstone.matchers);
        self.delete_exemplars(&meant.iter().map(|series| series.id()).collect::<Vec<_>>(), tombstone.range);
        for series in meant {
            let mut ranges = self.ranges.lock();
            let mut of_series = series.samples.lock();
            let removed = of_series.delete(tombstone.range, &hidden, &self.settings);
            if !removed.is_empty() {
                ranges.removed(&removed);
                samples += removed.iter().map(|it| it.samples).sum::<u64>();
            }
            if !of_series.overlap(TimeRange::ALL, &hidden) {
                emptied.push(series.key());
            }
        }
        self.emptied.lock().append(&mut emptied);
        self.evict_emptied();
        samples
    }
}
