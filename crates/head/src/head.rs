//! The head itself.

use crate::{HashSeed, Numbers, Series, SeriesKey};
use longhaul_chunk::SeriesChunks;
use longhaul_model::{Labels, Matcher, Sample, TimeRange};
use std::sync::Arc;

/// How a head is built.
#[derive(Clone, Copy, Debug)]
pub struct HeadSettings {
    /// Length of the aligned ranges that no chunk crosses, ms: that of the smallest block.
    pub block_range_ms: i64,
    /// A chunk with that many samples is sealed.
    pub chunk_samples_max: u16,
    /// A chunk with that many bytes is sealed.
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
    /// The same time with other bits was there already: refused.
    Conflict,
}

/// What has left the head but not yet the machine: the local parts.
///
/// All parts that a series could have must be known to it before the first [`Head::apply`], and a cut's part before
/// that cut's [`Head::release`].
pub trait OlderSamples {
    /// The value that the series has at `t_ms`, if it has one. May read from disk; called without any lock held.
    fn value_at(&self, labels: &Labels, t_ms: i64) -> Option<f64>;

    /// The newest time of any sample; `i64::MIN` without any.
    fn newest_ms(&self) -> i64;
}

/// Nothing older: for a head without parts.
impl OlderSamples for () {
    fn value_at(&self, _labels: &Labels, _t_ms: i64) -> Option<f64> {
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
    /// Samples in cuts that are neither released nor abandoned.
    pub cutting_samples: u64,
    /// Lowest offset of all those samples: what the log must keep.
    pub first_offset: u64,
    /// Bytes that their chunks take in memory.
    pub chunk_bytes: usize,
}

/// A head's size; cheap to ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadStats {
    /// Series in memory.
    pub series: usize,
    /// Samples that are not in a finished cut.
    pub samples: u64,
    /// Bytes of chunks, open and sealed, of side runs, and of released data that a reader still holds.
    pub chunk_bytes: usize,
    /// Bytes of labels, symbols, postings and tables.
    pub series_bytes: usize,
    /// Time of the oldest sample that is not in a finished cut; `i64::MAX` without any.
    pub min_ms: i64,
    /// Time of the newest one; `i64::MIN` without any.
    pub max_ms: i64,
}

/// One tenant's recent samples.
#[derive(Debug)]
pub struct Head {
    settings: HeadSettings,
}

impl Head {
    /// An empty head. `numbers` and `seed` are the process' own, shared by all heads.
    pub fn new(settings: HeadSettings, numbers: Arc<Numbers>, seed: HashSeed) -> Self {
        let _ = (numbers, seed);
        Self { settings }
    }

    /// The settings.
    pub fn settings(&self) -> &HeadSettings {
        &self.settings
    }

    /// Changes the limit of series in memory; those above it stay.
    pub fn set_series_max(&self, series_max: usize) {
        let _ = series_max;
    }

    /// The key of a canonical label section ([`longhaul_model::label_section`]). Of a section that is not canonical
    /// the key finds nothing.
    pub fn key(&self, section: &[u8]) -> SeriesKey {
        let _ = section;
        SeriesKey { hi: 0, lo: 0 }
    }

    /// The series with that key, if it is in memory: one probe, no allocation.
    pub fn find(&self, key: SeriesKey) -> Option<Arc<Series>> {
        let _ = key;
        None
    }

    /// The series with that key; created if it is not in memory. `pairs` are the labels that the key was made from:
    /// sorted by name, names unique, values not empty.
    pub fn create(&self, key: SeriesKey, pairs: &[(&str, &str)]) -> Result<Arc<Series>, HeadError> {
        let _ = (key, pairs);
        Err(HeadError::NumbersExhausted)
    }

    /// The text of a symbol of a series that the caller holds.
    ///
    /// # Panics
    /// If no series uses the symbol.
    pub fn symbol(&self, symbol: u32) -> Arc<str> {
        let _ = symbol;
        Arc::from("")
    }

    /// Applies one sample that the log made durable at `offset`. Lane only; offsets never fall.
    pub fn apply(&self, series: &Arc<Series>, sample: Sample, offset: u64, older: &dyn OlderSamples) -> Verdict {
        let _ = (series, sample, offset, older);
        Verdict::Stored
    }

    /// The series that satisfy `matchers` with what they hold of `range`, in label order; those without samples in
    /// it are left out. For large answers see [`Head::pin`].
    pub fn select(&self, matchers: &[Matcher], range: TimeRange) -> Vec<SeriesChunks> {
        let _ = (matchers, range);
        Vec::new()
    }

    /// Like [`Head::select`], but to be read batch by batch. What the head holds now stays readable through it, cuts
    /// that are released in between included; so whoever pins the head first and then looks which parts there are
    /// misses nothing.
    pub fn pin(self: &Arc<Self>, matchers: &[Matcher], range: TimeRange) -> HeadSeries {
        let _ = matchers;
        HeadSeries { _head: self.clone(), series: Vec::new(), range }
    }

    /// The label names of the series that satisfy `matchers` and have samples in `range`, sorted. Without matchers:
    /// of all series in memory, if any of them has samples in `range`.
    pub fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Vec<Arc<str>> {
        let _ = (matchers, range);
        Vec::new()
    }

    /// The values of the label `name`, as [`Head::label_names`] has the names.
    pub fn label_values(&self, name: &str, matchers: &[Matcher], range: TimeRange) -> Vec<Arc<str>> {
        let _ = (name, matchers, range);
        Vec::new()
    }

    /// The labels of the series that satisfy `matchers` and have samples in `range`, in label order.
    pub fn series_labels(&self, matchers: &[Matcher], range: TimeRange) -> Vec<Labels> {
        let _ = (matchers, range);
        Vec::new()
    }

    /// What is in memory and not in a finished cut, range by range in order of time.
    pub fn ranges(&self) -> Vec<RangeState> {
        Vec::new()
    }

    /// Takes all samples of `range` that are in memory and in no other cut; None if there are none. Lane only, after
    /// everything up to the offset `through` has been applied. `range` is one or several aligned ranges. The samples
    /// stay readable in the head until the cut is released.
    pub fn cut(self: &Arc<Self>, range: TimeRange, through: u64) -> Option<CutView> {
        let _ = (range, through);
        None
    }

    /// Hands over to the cut's part, which must be visible by now: who begins to read from here on does not find the
    /// cut's samples in the head any more. Lane only. Their memory is freed when the last reader that began before
    /// has ended and `view` is dropped, by the thread that comes last: better not the lane.
    pub fn release(&self, view: &CutView) {
        let _ = view;
    }

    /// Takes a cut back: its part could not be written, its samples count as never cut. Lane only.
    pub fn abandon(&self, view: &CutView) {
        let _ = view;
    }

    /// Forgets the series that hold no sample, whose newest one lies before `idle_before_ms`, and that nobody else
    /// holds; returns how many.
    pub fn evict_idle(&self, idle_before_ms: i64) -> usize {
        let _ = idle_before_ms;
        0
    }

    /// The head's size.
    pub fn stats(&self) -> HeadStats {
        HeadStats::default()
    }
}

/// The pinned answer to a selection: see [`Head::pin`].
#[derive(Debug)]
pub struct HeadSeries {
    _head: Arc<Head>,
    series: Vec<Arc<Series>>,
    range: TimeRange,
}

impl HeadSeries {
    /// How many series there are.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// The range that was asked for.
    pub fn range(&self) -> TimeRange {
        self.range
    }

    /// The series `indexes` (of `0..len()`, in label order) with their chunks that overlap the range.
    pub fn batch(&self, indexes: std::ops::Range<usize>) -> Vec<SeriesChunks> {
        let _ = indexes;
        Vec::new()
    }
}

/// What a cut took: see [`Head::cut`]. A view that is dropped without release or abandon is abandoned by the next cut.
#[derive(Debug)]
pub struct CutView {
    range: TimeRange,
    from: u64,
    through: u64,
    samples: u64,
}

impl CutView {
    /// The range that was asked for.
    pub fn range(&self) -> TimeRange {
        self.range
    }

    /// The view holds every sample of its range with an offset above `from` and up to [`CutView::through`].
    pub fn from(&self) -> u64 {
        self.from
    }

    /// See [`CutView::from`].
    pub fn through(&self) -> u64 {
        self.through
    }

    /// How many samples it holds.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// How many series it holds samples of.
    pub fn series_count(&self) -> usize {
        0
    }

    /// The series in label order, each with its chunks in order of time, disjoint. The first call sorts them, in the
    /// caller's thread.
    pub fn series(&self) -> impl Iterator<Item = SeriesChunks> + '_ {
        std::iter::empty()
    }
}
