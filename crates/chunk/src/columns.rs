//! Decoded samples as columns: what chunks become for queries, and what merges sort.
//!
//! Invariant: the columns of one run have the same length, but for starts, which are left out where no sample has one.

use longhaul_model::{FloatHistogram, TimeRange};
use std::sync::Arc;

/// Decoded float samples, to the bit as stored.
pub type Columns = SampleColumns<f64>;

/// Decoded histograms. Integer histograms come as float histograms: queries compute with nothing else. A stale marker
/// is a histogram whose sum has the marker's bits.
pub type HistogramColumns = SampleColumns<Arc<FloatHistogram>>;

/// Decoded samples of one kind as columns of the same length, times strictly rising.
#[derive(Clone, Debug, Default)]
pub struct SampleColumns<V> {
    /// Times, ms.
    pub t_ms: Vec<i64>,
    /// Values.
    pub values: Vec<V>,
    /// Since when each counts, ms since the Unix epoch, 0 where that is not known. Empty if no sample has a start.
    pub start_ms: Vec<i64>,
}

/// Decoded samples of a series: floats and histograms apart. No time stands in both, and a later chunk wins over an
/// earlier one whatever the kinds of the two.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    /// The float samples.
    pub floats: Columns,
    /// The histograms.
    pub histograms: HistogramColumns,
}

/// How far columns went, to come back to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    pub(crate) len: usize,
    started: bool,
}

impl<V> SampleColumns<V> {
    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.t_ms.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.t_ms.is_empty()
    }

    /// Appends a sample without a start; its time must lie after the last one's.
    #[inline]
    pub fn push(&mut self, t_ms: i64, value: V) {
        self.t_ms.push(t_ms);
        self.values.push(value);
        if !self.start_ms.is_empty() {
            self.start_ms.push(0);
        }
    }

    /// Appends a sample that counts since `start_ms`, 0 if that is not known; its time must lie after the last one's.
    pub fn push_started(&mut self, start_ms: i64, t_ms: i64, value: V) {
        self.push(t_ms, value);
        if start_ms != 0 {
            self.start_ms.resize(self.t_ms.len(), 0);
            if let Some(last) = self.start_ms.last_mut() {
                *last = start_ms;
            }
        }
    }

    /// Lets all samples go and keeps the allocations.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Keeps the first `len` samples.
    pub fn truncate(&mut self, len: usize) {
        self.t_ms.truncate(len);
        self.values.truncate(len);
        self.start_ms.truncate(len);
    }

    /// Makes room for `count` more samples.
    pub(crate) fn reserve(&mut self, count: usize) {
        self.t_ms.reserve(count);
        self.values.reserve(count);
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { len: self.len(), started: !self.start_ms.is_empty() }
    }

    /// Lets go what came after `mark`.
    pub(crate) fn rewind(&mut self, mark: Mark) {
        self.truncate(mark.len);
        if !mark.started {
            self.start_ms.clear();
        }
    }

    /// Of the samples after `mark`, which a decoder has appended, keeps those in `range`.
    pub(crate) fn retain_range(&mut self, mark: Mark, range: TimeRange) {
        self.cut_range(mark.len, range);
        if self.start_ms.is_empty() {
            return;
        }
        // A decoder may leave the starts out, or give them though all are 0.
        self.start_ms.resize(self.t_ms.len(), 0);
        if !mark.started && self.start_ms.iter().all(|&start_ms| start_ms == 0) {
            self.start_ms.clear();
        }
    }

    fn cut_range(&mut self, begin: usize, range: TimeRange) {
        let (Some(&first), Some(&last)) = (self.t_ms[begin..].first(), self.t_ms.last()) else { return };
        if range.contains(first) && range.contains(last) {
            return;
        }
        let times = &self.t_ms[begin..];
        let from = times.partition_point(|&t_ms| t_ms < range.start_ms);
        let to = times.partition_point(|&t_ms| t_ms < range.end_ms).max(from);
        self.truncate(begin + to);
        self.t_ms.drain(begin..begin + from);
        self.values.drain(begin..begin + from);
        if self.start_ms.len() > begin {
            self.start_ms.drain(begin..begin + from);
        }
    }
}

impl Samples {
    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.floats.is_empty() && self.histograms.is_empty()
    }

    /// Lets all samples go and keeps the allocations.
    pub fn clear(&mut self) {
        self.floats.clear();
        self.histograms.clear();
    }
}
