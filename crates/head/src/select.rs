//! Reading the head: series with their chunks, and what labels there are.

use crate::index::{self, STEP};
use crate::sealed::Hidden;
use crate::{Head, Series};
use longhaul_chunk::{Chunk, SeriesChunks};
use longhaul_model::{Labels, LabelsWriter, Matcher, TimeRange};
use smallvec::SmallVec;
use std::ops::Range;
use std::sync::Arc;

/// The symbols of names and values that are asked for.
type Pairs = SmallVec<[(u32, u32); 4]>;

/// The pinned answer to a selection: see [`Head::pin`].
#[derive(Debug)]
pub struct HeadSeries {
    pin: Pin,
    series: Vec<Arc<Series>>,
    range: TimeRange,
    /// The symbols of the names of the labels that are asked for; None for all.
    names: Option<Vec<u32>>,
    newest_only: bool,
}

/// One reader's hold on what was in the head when it began.
#[derive(Debug)]
struct Pin {
    head: Arc<Head>,
    number: u64,
    hidden: Hidden,
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.head.free(self.head.pins.unpin(self.number));
    }
}

impl HeadSeries {
    /// How many series there are at the most: whether they have samples in the range is seen when they are read.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether there are none for certain.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// The range that was asked for.
    pub fn range(&self) -> TimeRange {
        self.range
    }

    /// The series `indexes` (of `0..len()`, in label order) with their chunks that overlap the range; those that have none
    /// are left out.
    ///
    /// # Panics
    /// If `indexes` goes beyond `len()`.
    pub fn batch(&self, indexes: Range<usize>) -> Vec<SeriesChunks> {
        let (mut out, mut writer) = (Vec::with_capacity(indexes.len()), LabelsWriter::default());
        for step in self.series[indexes].chunks(STEP) {
            let read: Vec<(&Series, Vec<Chunk>)> = step.iter().filter_map(|series| self.read(series)).collect();
            let index = self.pin.head.index.read();
            out.extend(read.into_iter().map(|(it, chunks)| {
                let pairs = it.label_symbols();
                let labels = match &self.names {
                    None => index.write_labels(pairs, &mut writer),
                    Some(names) => {
                        let asked = pairs.iter().filter(|pair| names.contains(&pair.0)).copied();
                        index.write_labels(&asked.collect::<Pairs>(), &mut writer)
                    }
                };
                SeriesChunks { labels, chunks }
            }));
        }
        out
    }

    /// The labels of series `index`, whichever were asked for: its place in label order.
    ///
    /// # Panics
    /// If `index` is not below `len()`.
    pub fn order_labels(&self, index: usize) -> Labels {
        let symbols = self.series[index].label_symbols();
        self.pin.head.index.read().write_labels(symbols, &mut LabelsWriter::default())
    }

    fn read<'a>(&self, series: &'a Series) -> Option<(&'a Series, Vec<Chunk>)> {
        let (mut chunks, samples) = (Vec::new(), series.samples.lock());
        match self.newest_only.then(|| samples.newest_in(self.range)).flatten() {
            Some(newest) => chunks.push(newest),
            None => samples.read(self.range, &self.pin.hidden, &mut chunks),
        }
        (!chunks.is_empty()).then_some((series, chunks))
    }

    /// Leaves out samples of which the series has a newer one in the range, where that is cheap.
    pub fn newest_only(&mut self) {
        self.newest_only = true;
    }

    /// Leaves out all labels but those of these names. Nothing is left out while some series of the head has one of the
    /// labels `unless`.
    pub fn project(&mut self, names: &[&str], unless: &[&str]) {
        let index = self.pin.head.index.read();
        if unless.iter().all(|name| index.symbols.find(name).is_none()) {
            self.names = Some(names.iter().filter_map(|name| index.symbols.find(name)).collect());
        }
    }
}

impl Head {
    /// The series that satisfy `matchers` with what they hold of `range`, in label order; those without samples in
    /// it are left out. For large answers see [`Head::pin`].
    pub fn select(self: &Arc<Self>, matchers: &[Matcher], range: TimeRange) -> Vec<SeriesChunks> {
        let pinned = self.pin(matchers, range);
        pinned.batch(0..pinned.len())
    }

    /// Like [`Head::select`], but to be read batch by batch. What the head holds now stays readable through it, cuts
    /// that are released in between included: whoever pins the head first and then looks which parts there are misses
    /// nothing. What comes later may or may not be seen.
    pub fn pin(self: &Arc<Self>, matchers: &[Matcher], range: TimeRange) -> HeadSeries {
        let (number, hidden) = self.pins.pin();
        let pin = Pin { head: self.clone(), number, hidden };
        let mut series = if range.is_empty() { Vec::new() } else { index::select(&self.index, matchers) };
        self.order.sort(&self.index, &mut series);
        HeadSeries { pin, series, range, names: None, newest_only: false }
    }

    /// The label names of the series that satisfy `matchers` and have samples in `range`, sorted. Without matchers: of
    /// all series in memory, if the head has samples in `range`.
    pub fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Vec<Arc<str>> {
        let names = match self.all_labels(matchers, range) {
            Some(true) => self.index.read().postings.names().collect(),
            Some(false) => Vec::new(),
            None => self.symbols_of(matchers, range, |series, found| {
                found.extend(series.label_symbols().iter().map(|pair| pair.0));
            }),
        };
        self.texts(names)
    }

    /// The values of the label `name`, of the same series as [`Head::label_names`]; sorted.
    pub fn label_values(&self, name: &str, matchers: &[Matcher], range: TimeRange) -> Vec<Arc<str>> {
        let Some(name) = self.index.read().symbols.find(name) else { return Vec::new() };
        let values = match self.all_labels(matchers, range) {
            Some(true) => self.index.read().postings.values(name).collect(),
            Some(false) => Vec::new(),
            None => self.symbols_of(matchers, range, |series, found| {
                found.extend(series.label_symbols().iter().find(|pair| pair.0 == name).map(|pair| pair.1));
            }),
        };
        self.texts(values)
    }

    /// The labels of the series that satisfy `matchers` and have samples in `range`, in label order.
    pub fn series_labels(&self, matchers: &[Matcher], range: TimeRange) -> Vec<Labels> {
        let mut series = self.matching(matchers, range, &self.pins.hidden());
        self.order.sort(&self.index, &mut series);
        self.with_labels(&series, |_, _| {}).into_iter().map(|it| it.labels).collect()
    }

    /// The labels of `series`, with the chunks that `read` finds in them.
    pub(crate) fn with_labels(
        &self,
        series: &[Arc<Series>],
        read: impl Fn(&Series, &mut Vec<Chunk>),
    ) -> Vec<SeriesChunks> {
        let (mut out, mut writer) = (Vec::with_capacity(series.len()), LabelsWriter::default());
        for step in series.chunks(STEP) {
            let begin = out.len();
            let index = self.index.read();
            let mut labels = |series: &Series| index.write_labels(series.label_symbols(), &mut writer);
            out.extend(step.iter().map(|it| SeriesChunks { labels: labels(it), chunks: Vec::new() }));
            drop(index);
            step.iter().zip(&mut out[begin..]).for_each(|(series, out)| read(series, &mut out.chunks));
        }
        out
    }

    /// The series that satisfy `matchers` and show samples in `range`, in no particular order.
    fn matching(&self, matchers: &[Matcher], range: TimeRange, hidden: &Hidden) -> Vec<Arc<Series>> {
        if range.is_empty() {
            return Vec::new();
        }
        let mut series = index::select(&self.index, matchers);
        series.retain(|it| it.samples.lock().overlap(range, hidden));
        series
    }

    /// Whether a question without matchers concerns all series or none; None if each must be looked at.
    fn all_labels(&self, matchers: &[Matcher], range: TimeRange) -> Option<bool> {
        let is_plain = matchers.is_empty() && self.emptied.lock().is_empty();
        is_plain.then(|| self.ranges().iter().any(|it| it.range.overlaps(&range)))
    }

    /// The distinct symbols that `collect` finds in the selected series.
    fn symbols_of(&self, matchers: &[Matcher], range: TimeRange, collect: impl Fn(&Series, &mut Vec<u32>)) -> Vec<u32> {
        let series = self.matching(matchers, range, &self.pins.hidden());
        let mut found = Vec::new();
        for step in series.chunks(STEP) {
            step.iter().for_each(|it| collect(it, &mut found));
            found.sort_unstable();
            found.dedup();
        }
        found
    }

    /// The texts of symbols, sorted; those that nothing uses any more are left out.
    fn texts(&self, symbols: Vec<u32>) -> Vec<Arc<str>> {
        let mut texts = Vec::with_capacity(symbols.len());
        for step in symbols.chunks(STEP) {
            let index = self.index.read();
            texts.extend(step.iter().filter_map(|symbol| index.symbols.find_text(*symbol).cloned()));
        }
        texts.sort_unstable();
        texts
    }
}
