//! What the head knows of its series' labels: symbols, postings, and the series by id; and the look-ups over it.
//!
//! One lock guards all three. Readers hold it for a bounded number of steps at a time, never for a whole query: ids
//! and symbols are never reused, so that what a reader saw in one step means the same in the next.

use crate::identity::Numbers;
use crate::paged::Paged;
use crate::postings::Postings;
use crate::symbols::Symbols;
use crate::{HashSeed, HeadError, Series, SeriesKey};
use longhaul_model::{Labels, LabelsWriter, Matcher};
use longhaul_postings::LabelIndex;
use parking_lot::RwLock;
use roaring::RoaringBitmap;
use std::convert::Infallible;
use std::sync::Arc;

/// Series or values that a reader looks at before it lets others have the lock.
pub(crate) const STEP: usize = 1024;

#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) symbols: Symbols,
    pub(crate) postings: Postings,
    pub(crate) series: Paged<Arc<Series>>,
    /// What the series themselves take, their labels included.
    series_bytes: usize,
}

impl Index {
    pub(crate) fn new(seed: HashSeed) -> Self {
        Self { symbols: Symbols::new(seed), postings: Postings::new(), series: Paged::new(), series_bytes: 0 }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.series_bytes + self.symbols.heap_bytes() + self.postings.heap_bytes() + self.series.heap_bytes()
    }

    /// Adds a series that is not there.
    pub(crate) fn insert(
        &mut self,
        key: SeriesKey,
        pairs: &[(&str, &str)],
        numbers: &Numbers,
    ) -> Result<Arc<Series>, HeadError> {
        debug_assert!(pairs.is_sorted_by(|a, b| a.0 < b.0), "labels are sorted by unique names");
        let symbols_end = u64::from(self.symbols.next()) + 2 * pairs.len() as u64;
        let id = self.series.next();
        if symbols_end >= u64::from(u32::MAX) || id == u32::MAX {
            return Err(HeadError::NumbersExhausted);
        }
        let number = numbers.next().ok_or(HeadError::NumbersExhausted)?;
        self.postings.add_series(id);
        let labels: Box<[(u32, u32)]> = pairs
            .iter()
            .map(|(name, value)| {
                // One use a place: were a text both new name and new value, it must not be interned twice.
                let name = self.symbols.intern(name);
                let value = self.symbols.intern(value);
                let new = self.postings.add(name, value, id);
                if new.name {
                    self.symbols.acquire(name);
                }
                if new.value {
                    self.symbols.acquire(value);
                }
                (name, value)
            })
            .collect();
        let series = Arc::new(Series::new(key, id, number, labels));
        self.series_bytes += series.heap_bytes();
        self.series.push(series.clone());
        Ok(series)
    }

    /// Removes a series.
    pub(crate) fn remove(&mut self, series: &Series) {
        for &(name, value) in series.label_symbols() {
            let gone = self.postings.remove(name, value, series.id());
            if gone.value {
                self.symbols.release(value);
            }
            if gone.name {
                self.symbols.release(name);
            }
        }
        self.postings.remove_series(series.id());
        self.series_bytes -= series.heap_bytes();
        self.series.take(series.id());
    }

    /// The labels that these symbols of names and values stand for.
    pub(crate) fn labels(&self, pairs: &[(u32, u32)]) -> Labels {
        self.write_labels(pairs, &mut LabelsWriter::default())
    }

    /// The same, one series of this head after the other.
    pub(crate) fn write_labels(&self, pairs: &[(u32, u32)], writer: &mut LabelsWriter) -> Labels {
        writer.write(pairs, |symbol| self.symbols.text(symbol))
    }
}

/// The series that satisfy `matchers`, of those that were there when the call began, in order of their ids.
pub(crate) fn select(index: &RwLock<Index>, matchers: &[Matcher]) -> Vec<Arc<Series>> {
    let view = IndexView { index, end: index.read().series.next() };
    let ids = match longhaul_postings::select(&view, matchers) {
        Ok(ids) => ids,
        Err(never) => match never {},
    };
    let ids: Vec<u32> = ids.iter().take_while(|id| *id < view.end).collect();
    let mut found = Vec::with_capacity(ids.len());
    for step in ids.chunks(STEP) {
        let index = index.read();
        found.extend(step.iter().filter_map(|id| index.series.get(*id)).cloned());
    }
    found
}

/// All series, page by page, without holding the lock in between. Those that come while it runs may be missing.
pub(crate) fn pages(index: &RwLock<Index>) -> impl Iterator<Item = Vec<Arc<Series>>> + '_ {
    (0..).map_while(|page| Some(index.read().series.page(page)?.cloned().collect()))
}

/// The index as a plan sees it: the series with ids below `end`.
///
/// Each look-up locks by itself. A series that is created between two look-ups of a plan might be in the one and not in
/// the other, and a difference of the two be wrong: it has an id from `end` on and is left out (whoever asked began
/// before it had a sample). One that is evicted in between has no samples, and [`select`] does not find it any more.
struct IndexView<'a> {
    index: &'a RwLock<Index>,
    end: u32,
}

impl IndexView<'_> {
    fn cut_off(&self, mut ids: RoaringBitmap) -> RoaringBitmap {
        ids.remove_range(self.end..);
        ids
    }

    fn union(&self, name: u32, values: &[u32]) -> RoaringBitmap {
        let mut union = RoaringBitmap::new();
        for step in values.chunks(STEP) {
            union |= self.index.read().postings.union(name, step.iter().copied());
        }
        self.cut_off(union)
    }
}

impl LabelIndex for IndexView<'_> {
    type Error = Infallible;

    fn all(&self) -> Result<RoaringBitmap, Infallible> {
        Ok(self.cut_off(self.index.read().postings.all().clone()))
    }

    fn with_values(&self, name: &str, values: &[&str]) -> Result<RoaringBitmap, Infallible> {
        let index = self.index.read();
        let Some(name) = index.symbols.find(name) else { return Ok(RoaringBitmap::new()) };
        let values: Vec<u32> = values.iter().filter_map(|value| index.symbols.find(value)).collect();
        drop(index);
        Ok(self.union(name, &values))
    }

    fn with_values_where(
        &self,
        name: &str,
        prefix: &str,
        keep: &mut dyn FnMut(&str) -> bool,
    ) -> Result<RoaringBitmap, Infallible> {
        let index = self.index.read();
        let Some(name) = index.symbols.find(name) else { return Ok(RoaringBitmap::new()) };
        let values: Vec<u32> = index.postings.values(name).collect();
        drop(index);
        let mut kept = Vec::new();
        for step in values.chunks(STEP) {
            let index = self.index.read();
            kept.extend(step.iter().copied().filter(|value| {
                index.symbols.find_text(*value).is_some_and(|text| text.starts_with(prefix) && keep(text))
            }));
        }
        Ok(self.union(name, &kept))
    }

    fn with_name(&self, name: &str) -> Result<RoaringBitmap, Infallible> {
        let index = self.index.read();
        let Some(name) = index.symbols.find(name) else { return Ok(RoaringBitmap::new()) };
        let values: Vec<u32> = index.postings.values(name).collect();
        drop(index);
        Ok(self.union(name, &values))
    }
}
