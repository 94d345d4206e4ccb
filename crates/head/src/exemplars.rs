//! The exemplars of a head: few beside the samples, so they are kept apart from the series, whole and sorted.
//!
//! They are a set: what comes again is there already, at whatever time it comes, so that nothing is ever out of order and
//! a replay may apply what a part has as well. Cuts take them with the samples of their range.

use crate::cut::CutNumber;
use crate::ranges::aligned;
use crate::{CutView, Head, Series, Verdict, index};
use hashbrown::HashMap;
use longhaul_model::{Exemplar, Labels, Matcher, TimeRange};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Series that are looked up while the lock is held once.
const STEP: usize = 1024;

/// All exemplars in memory.
#[derive(Debug, Default)]
pub(crate) struct Exemplars {
    /// By the series' ids.
    by_series: Mutex<HashMap<u32, OfSeries>>,
    count: AtomicUsize,
}

#[derive(Debug)]
struct OfSeries {
    /// Held, so that the series is not evicted while it has exemplars.
    series: Arc<Series>,
    /// With the cut that has taken each; [`CutNumber::NONE`] if none has.
    held: BTreeMap<Exemplar, CutNumber>,
}

impl Head {
    /// Applies one exemplar that the log made durable at `offset` (from 1 on). Lane only; offsets never fall. It is stored,
    /// or was there already.
    pub fn apply_exemplar(&self, series: &Arc<Series>, exemplar: Exemplar, offset: u64) -> Verdict {
        debug_assert!(offset > 0 && exemplar.t_ms < i64::MAX);
        let (t_ms, size_bytes) = (exemplar.t_ms, size_bytes(&exemplar));
        let is_new = {
            let mut all = self.exemplars.by_series.lock();
            let fresh = || OfSeries { series: Arc::clone(series), held: BTreeMap::new() };
            let held = &mut all.entry(series.id()).or_insert_with(fresh).held;
            let is_new = !held.contains_key(&exemplar);
            if is_new {
                held.insert(exemplar, CutNumber::NONE);
            }
            is_new
        };
        if !is_new {
            return Verdict::Duplicate;
        }
        self.exemplars.count.fetch_add(1, Relaxed);
        self.ranges.lock().stored_exemplar(t_ms, offset, size_bytes);
        Verdict::Stored
    }

    /// The exemplars in `range` of the series that satisfy `matchers`, in the order of the series and then their own.
    pub fn exemplars(&self, matchers: &[Matcher], range: TimeRange) -> Vec<(Labels, Exemplar)> {
        if self.exemplar_count() == 0 {
            return Vec::new();
        }
        let found = index::select(&self.index, matchers);
        let mut of_series = Vec::new();
        for step in found.chunks(STEP) {
            let all = self.exemplars.by_series.lock();
            for it in step.iter().filter_map(|series| all.get(&series.id())) {
                let wanted: Vec<Exemplar> = it.held.keys().filter(|it| range.contains(it.t_ms)).cloned().collect();
                if !wanted.is_empty() {
                    of_series.push((Arc::clone(&it.series), wanted));
                }
            }
        }
        self.with_their_labels(of_series)
    }

    /// How many there are in memory, those of cuts that are not released among them.
    pub fn exemplar_count(&self) -> usize {
        self.exemplars.count.load(Relaxed)
    }

    /// Gives a cut those of its range that no other cut has.
    pub(crate) fn take_exemplars(&self, range: TimeRange, cut: CutNumber) {
        let length_ms = self.settings.block_range_ms;
        for it in self.exemplars.by_series.lock().values_mut() {
            for (exemplar, of) in &mut it.held {
                if of.is_none() && range.covers(&aligned(exemplar.t_ms, length_ms)) {
                    *of = cut;
                }
            }
        }
    }

    /// Drops those in `range` of the series with these sorted ids, those that a cut has taken as well.
    pub(crate) fn delete_exemplars(&self, ids: &[u32], range: TimeRange) {
        if self.exemplar_count() == 0 {
            return;
        }
        let mut gone = Vec::new();
        self.exemplars.by_series.lock().retain(|id, it| {
            if ids.binary_search(id).is_ok() {
                gone.extend(it.held.extract_if(.., |exemplar, _| range.contains(exemplar.t_ms)));
            }
            !it.held.is_empty()
        });
        self.exemplars.count.fetch_sub(gone.len(), Relaxed);
        let mut ranges = self.ranges.lock();
        gone.iter().for_each(|(exemplar, cut)| ranges.removed_exemplar(exemplar.t_ms, *cut, size_bytes(exemplar)));
    }

    /// Forgets those of a cut.
    pub(crate) fn free_exemplars(&self, cut: CutNumber) {
        let mut freed = 0;
        self.exemplars.by_series.lock().retain(|_, it| {
            let before = it.held.len();
            it.held.retain(|_, of| *of != cut);
            freed += before - it.held.len();
            !it.held.is_empty()
        });
        self.exemplars.count.fetch_sub(freed, Relaxed);
    }

    /// Those of a cut count as never cut.
    pub(crate) fn restore_exemplars(&self, cut: CutNumber) {
        let mut all = self.exemplars.by_series.lock();
        let of_cut = all.values_mut().flat_map(|it| it.held.values_mut()).filter(|of| **of == cut);
        of_cut.for_each(|of| *of = CutNumber::NONE);
    }

    fn with_their_labels(&self, of_series: Vec<(Arc<Series>, Vec<Exemplar>)>) -> Vec<(Labels, Exemplar)> {
        let mut labelled: Vec<(Labels, Vec<Exemplar>)> =
            of_series.into_iter().map(|(series, exemplars)| (series.labels(self), exemplars)).collect();
        labelled.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let each = |(labels, exemplars): (Labels, Vec<Exemplar>)| {
            exemplars.into_iter().map(move |exemplar| (labels.clone(), exemplar))
        };
        labelled.into_iter().flat_map(each).collect()
    }
}

impl CutView {
    /// The exemplars of the cut, in the order of the series and then their own. After an abandon there are none.
    pub fn exemplars(&self) -> Vec<(Labels, Exemplar)> {
        let head = &self.head;
        let of_cut = |it: &OfSeries| {
            let of_cut = it.held.iter().filter(|(_, of)| **of == self.cut);
            let of_cut: Vec<Exemplar> = of_cut.map(|(exemplar, _)| exemplar.clone()).collect();
            (!of_cut.is_empty()).then(|| (Arc::clone(&it.series), of_cut))
        };
        let of_series = head.exemplars.by_series.lock().values().filter_map(of_cut).collect();
        head.with_their_labels(of_series)
    }
}

/// About what one takes in memory with its place in the map.
fn size_bytes(exemplar: &Exemplar) -> usize {
    exemplar.size_bytes() + 2 * size_of::<CutNumber>()
}
