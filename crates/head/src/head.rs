//! The head itself: its settings, its errors, and the way in: find, create, apply.

use crate::exemplars::Exemplars;
use crate::index::Index;
use crate::order::Order;
use crate::pins::Pins;
use crate::ranges::Ranges;
use crate::table::Table;
use crate::{HashSeed, Numbers, Series, SeriesKey};
use longhaul_model::{Labels, Measurement, Sample, TimeRange, Value};
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How a head is built.
#[derive(Clone, Copy, Debug)]
pub struct HeadSettings {
    /// Length of the aligned ranges that no chunk crosses, ms: that of the smallest block.
    pub block_range_ms: i64,
    /// A chunk with that many samples is sealed: what an instant query decodes at most to get at one of them.
    pub chunk_samples_max: u16,
    /// A chunk with that many bytes is sealed; met only by values that hardly compress (8 bytes a sample and more).
    pub chunk_bytes_max: usize,
    /// Most series that may be in memory at once; changed later by [`Head::set_series_max`].
    pub series_max: usize,
}

impl Default for HeadSettings {
    fn default() -> Self {
        Self { block_range_ms: 2 * 3600 * 1000, chunk_samples_max: 120, chunk_bytes_max: 1024, series_max: usize::MAX }
    }
}

/// Why a series cannot be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// The tenant has as many series in memory as it may have.
    #[error("the limit of {limit} series in memory is reached")]
    SeriesLimit {
        /// The limit.
        limit: usize,
    },
    /// The process has created 2^32 series; it must be restarted before it can create another one.
    #[error("series numbers are exhausted; restart the process")]
    NumbersExhausted,
}

/// What became of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is in the head.
    Stored,
    /// The same time with the same bits was there already: success, nothing stored.
    Duplicate,
    /// The same, and what it equals is in an unfinished cut or in something older. Once that has left the machine, a
    /// replay would take this sample for a new one and refuse what corrects it later: the caller records that it is to
    /// be left out.
    DuplicateOfOlder,
    /// The same time with other bits was there already: refused.
    Conflict,
}

/// What has left the head but not yet the machine: the local parts.
///
/// All parts that a series could have must be known to it before the first [`Head::apply`], and a cut's part before
/// that cut's [`Head::release`].
pub trait OlderSamples {
    /// The value that the series has at `t_ms`, if it has one. May read from disk; called without any lock held.
    fn value_at(&self, labels: &Labels, t_ms: i64) -> Option<Value>;

    /// The newest time of any sample; `i64::MIN` without any.
    fn newest_ms(&self) -> i64;
}

/// Nothing older: for a head without parts.
impl OlderSamples for () {
    fn value_at(&self, _labels: &Labels, _t_ms: i64) -> Option<Value> {
        None
    }

    fn newest_ms(&self) -> i64 {
        i64::MIN
    }
}

/// What a head holds of one aligned range, apart from finished cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeState {
    /// The range, [`HeadSettings::block_range_ms`] long.
    pub range: TimeRange,
    /// Samples that no cut has taken.
    pub samples: u64,
    /// Exemplars that no cut has taken.
    pub exemplars: u64,
    /// Samples in cuts that are neither released nor abandoned.
    pub cutting_samples: u64,
    /// Lowest offset of all those samples and exemplars: what the log must keep.
    pub first_offset: u64,
    /// Bytes that chunks and exemplars take in memory.
    pub chunk_bytes: usize,
}

/// A head's size; cheap to ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadStats {
    /// Series in memory.
    pub series: usize,
    /// Samples that are not in a finished cut.
    pub samples: u64,
    /// Exemplars, the same.
    pub exemplars: usize,
    /// Bytes of chunks, open and sealed, of side runs, of exemplars, and of released data that a reader still holds.
    pub chunk_bytes: usize,
    /// Bytes of labels, symbols, postings and tables.
    pub series_bytes: usize,
    /// Time of the oldest sample that is not in a finished cut; `i64::MAX` without any.
    pub min_ms: i64,
    /// Time of the newest one; `i64::MIN` without any.
    pub max_ms: i64,
}

/// One tenant's recent samples. All methods take `&self`; the crate's page says which thread may call what.
#[derive(Debug)]
pub struct Head {
    pub(crate) settings: HeadSettings,
    pub(crate) index: RwLock<Index>,
    pub(crate) table: Table,
    pub(crate) ranges: Mutex<Ranges>,
    pub(crate) pins: Pins,
    pub(crate) exemplars: Exemplars,
    pub(crate) order: Order,
    /// Series that have shown nothing since a deletion, and that somebody still holds.
    pub(crate) emptied: Mutex<Vec<SeriesKey>>,
    /// About how many series there are, without the index's lock.
    pub(crate) series: AtomicUsize,
    series_max: AtomicUsize,
    numbers: Arc<Numbers>,
    seed: HashSeed,
}

impl Head {
    /// An empty head. `numbers` and `seed` are the process' own, shared by all heads.
    ///
    /// # Panics
    /// If the settings make no sense: a range that is not positive or 2^32 ms or longer, chunks without samples or
    /// bytes.
    pub fn new(settings: HeadSettings, numbers: Arc<Numbers>, seed: HashSeed) -> Self {
        assert!(settings.block_range_ms > 0 && settings.block_range_ms <= i64::from(u32::MAX), "block_range_ms");
        assert!(settings.chunk_samples_max > 0 && settings.chunk_bytes_max > 0, "chunks hold something");
        Self {
            settings,
            index: RwLock::new(Index::new(seed.clone())),
            table: Table::default(),
            ranges: Mutex::new(Ranges::new(settings.block_range_ms)),
            pins: Pins::default(),
            exemplars: Exemplars::default(),
            order: Order::default(),
            emptied: Mutex::default(),
            series_max: AtomicUsize::new(settings.series_max),
            series: AtomicUsize::new(0),
            numbers,
            seed,
        }
    }

    /// The settings.
    pub fn settings(&self) -> &HeadSettings {
        &self.settings
    }

    /// Changes the limit of series in memory; those above it stay.
    pub fn set_series_max(&self, series_max: usize) {
        self.series_max.store(series_max, Relaxed);
    }

    /// The key of a canonical label section ([`longhaul_model::label_section`]). Of a section that is not canonical
    /// the key finds nothing.
    pub fn key(&self, section: &[u8]) -> SeriesKey {
        self.seed.key(section)
    }

    /// The series with that key, if it is in memory: one probe, no allocation.
    pub fn find(&self, key: SeriesKey) -> Option<Arc<Series>> {
        self.table.find(key)
    }

    /// The series with that key; created if it is not in memory. `pairs` are the labels that the key was made from:
    /// sorted by name, names unique, values not empty.
    pub fn create(&self, key: SeriesKey, pairs: &[(&str, &str)]) -> Result<Arc<Series>, HeadError> {
        let mut index = self.index.write();
        if let Some(series) = self.table.find(key) {
            return Ok(series);
        }
        let limit = self.series_max.load(Relaxed);
        if index.series.len() >= limit {
            return Err(HeadError::SeriesLimit { limit });
        }
        let series = index.insert(key, pairs, &self.numbers)?;
        self.series.store(index.series.len(), Relaxed);
        self.table.insert(series.clone());
        Ok(series)
    }

    /// The text of a symbol of a series that the caller holds.
    ///
    /// # Panics
    /// If no series uses the symbol.
    pub fn symbol(&self, symbol: u32) -> Arc<str> {
        self.index.read().symbols.text(symbol).clone()
    }

    /// Applies one float that the log made durable at `offset` (from 1 on). Lane only; offsets never fall.
    /// `sample.t_ms` is not `i64::MAX`, which no range can hold.
    pub fn apply(&self, series: &Arc<Series>, sample: Sample, offset: u64, older: &dyn OlderSamples) -> Verdict {
        debug_assert!(offset > 0 && sample.t_ms < i64::MAX);
        let mut ranges = self.ranges.lock();
        let mut samples = series.samples.lock();
        if !samples.is_new(sample.t_ms) {
            drop(samples);
            drop(ranges);
            return self.apply_late(series, sample.into(), offset, older);
        }
        let change = samples.store(sample, ranges.range_of(sample.t_ms), &self.settings);
        drop(samples);
        ranges.stored(sample.t_ms, offset, series.id(), change, self.series.load(Relaxed));
        Verdict::Stored
    }

    /// [`Self::apply`] for a sample of any kind: floats with a start, histograms.
    ///
    /// What is compared with a sample at the same time is the value ([`Value::same`]), not the start: who sends a value
    /// again with another start, or without one, sends a duplicate.
    ///
    /// # Panics
    /// If a histogram's spans do not fit its buckets or overlap: whoever lets samples in validates them.
    pub fn apply_any(
        &self,
        series: &Arc<Series>,
        sample: Measurement,
        offset: u64,
        older: &dyn OlderSamples,
    ) -> Verdict {
        debug_assert!(offset > 0 && sample.t_ms < i64::MAX);
        if !series.samples.lock().is_new(sample.t_ms) {
            return self.apply_late(series, sample, offset, older);
        }
        self.store(series, sample, offset);
        Verdict::Stored
    }

    /// Applies a sample whose time the series may have had before, or the series' first one.
    #[cold]
    fn apply_late(&self, series: &Series, sample: Measurement, offset: u64, older: &dyn OlderSamples) -> Verdict {
        let judge = |stored: Value, is_older: bool| match (stored.same(&sample.value), is_older) {
            (true, false) => Verdict::Duplicate,
            (true, true) => Verdict::DuplicateOfOlder,
            (false, _) => Verdict::Conflict,
        };
        let older_newest_ms = older.newest_ms();
        let hidden = self.pins.hidden();
        let mut samples = series.samples.lock();
        if samples.newest_ms == i64::MIN {
            // What the series had before it was created here nobody knows: it may be anything older.
            samples.newest_ms = older_newest_ms;
        }
        if let Some((stored, is_in_cut)) = samples.value_at(sample.t_ms, &hidden) {
            return judge(stored, is_in_cut);
        }
        let ask = sample.t_ms <= samples.newest_ms && sample.t_ms <= older_newest_ms;
        drop(samples);
        if ask && let Some(stored) = older.value_at(&series.labels(self), sample.t_ms) {
            return judge(stored, true);
        }
        // Nothing has come in between: there is one lane.
        self.store(series, sample, offset);
        Verdict::Stored
    }

    /// Stores a sample at a time that the series does not have.
    fn store(&self, series: &Series, sample: Measurement, offset: u64) {
        let t_ms = sample.t_ms;
        let mut ranges = self.ranges.lock();
        let range = ranges.range_of(t_ms);
        let change = series.samples.lock().store_any(sample, range, &self.settings);
        ranges.stored(t_ms, offset, series.id(), change, self.series.load(Relaxed));
    }

    /// What is in memory and not in a finished cut, range by range in order of time.
    pub fn ranges(&self) -> Vec<RangeState> {
        self.ranges.lock().states()
    }

    /// The head's size.
    pub fn stats(&self) -> HeadStats {
        let (samples, chunk_bytes, min_ms, max_ms) = self.ranges.lock().totals();
        let chunk_bytes = chunk_bytes + self.pins.released_bytes();
        let index = self.index.read();
        let series_bytes = index.heap_bytes() + self.table.heap_bytes();
        HeadStats {
            series: index.series.len(),
            samples,
            exemplars: self.exemplar_count(),
            chunk_bytes,
            series_bytes,
            min_ms,
            max_ms,
        }
    }
}
