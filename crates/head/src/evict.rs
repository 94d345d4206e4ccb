//! Forgetting series that have nothing in memory any more.
//!
//! Why no sample can get lost: whoever applies a sample holds the series by an `Arc`. A series goes only while its
//! count is two, the head's own two places (table and index), with both of them locked for writing. Then nobody else
//! holds it, and nobody can come to: every `Arc` there is was cloned from one of those two, under its lock, or from
//! another one that somebody held. So it has no samples at that moment and never gets any; who asks for its labels from
//! then on gets a new series. Cuts, pins and whoever gives ranks hold series in the same way.

use crate::{Head, Series, SeriesKey, index};
use longhaul_model::TimeRange;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Series that go while the index is locked once: some 0.2 ms.
const BATCH: usize = 128;

impl Head {
    /// Forgets the series that hold no sample, whose newest one lies before `idle_before_ms`, and that nobody else
    /// holds; returns how many. Any thread may call it.
    pub fn evict_idle(&self, idle_before_ms: i64) -> usize {
        let idle = |series: &Series| {
            let samples = series.samples.lock();
            samples.is_empty() && samples.newest_ms < idle_before_ms
        };
        self.evict_emptied();
        let mut evicted = 0;
        for page in index::pages(&self.index) {
            // Keys only: held by an `Arc` here, none of them would go.
            let idle_keys: Vec<_> = page.into_iter().filter(|it| idle(it)).map(|it| it.key()).collect();
            evicted += self.evict(&idle_keys, idle);
        }
        self.shrink_after(evicted);
        evicted
    }

    /// Forgets the series that a deletion has emptied, as far as nobody holds them; the others are tried again with the next
    /// call. Until then they must not count as there.
    pub(crate) fn evict_emptied(&self) {
        let hidden = self.pins.hidden();
        let mut emptied = self.emptied.lock();
        if emptied.is_empty() {
            return;
        }
        let evicted = self.evict(&emptied, |series| series.samples.lock().is_empty());
        let shows_nothing = |series: Arc<Series>| !series.samples.lock().overlap(TimeRange::ALL, &hidden);
        emptied.retain(|key| self.table.find(*key).is_some_and(shows_nothing));
        drop(emptied);
        self.shrink_after(evicted);
    }

    /// Forgets those of the series with these `keys` that `idle` accepts and nobody else holds; returns how many.
    fn evict(&self, keys: &[SeriesKey], idle: impl Fn(&Series) -> bool) -> usize {
        let mut evicted = 0;
        for step in keys.chunks(BATCH) {
            let mut index = self.index.write();
            for &key in step {
                let alone = |series: &Arc<Series>| Arc::strong_count(series) == 2 && idle(series);
                if let Some(series) = self.table.remove_if(key, alone) {
                    index.remove(&series);
                    evicted += 1;
                }
            }
        }
        evicted
    }

    fn shrink_after(&self, evicted: usize) {
        if evicted > 0 {
            let mut index = self.index.write();
            index.symbols.shrink();
            self.table.shrink();
            self.series.store(index.series.len(), Relaxed);
        }
    }
}
