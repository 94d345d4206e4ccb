//! What is kept of the native histograms of a window.
//!
//! They are float histograms, which is what queries compute with. Whatever makes a function warn, or depends on the order in
//! which histograms meet, is noted ([`Layouts`]): a query goes back to the samples then.

use longhaul_model::{CounterResetHint, FloatHistogram, HistogramSum, Started};
use std::sync::Arc;

/// A histogram at a time.
#[derive(Clone, Debug)]
pub struct HistogramPoint {
    /// Its time, ms.
    pub t_ms: i64,
    /// Since when it counts, ms; 0 where that is not known.
    pub start_ms: i64,
    /// What was counted.
    pub value: Arc<FloatHistogram>,
}

/// What the histograms of a window have in common, and what they say of resets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layouts {
    /// Schema, zero bucket or custom bounds differ between some of them.
    pub differ: bool,
    /// Some have buckets that others have not, so that an empty bucket may count as a change.
    pub spans_differ: bool,
    /// Some are gauges.
    pub gauges: bool,
    /// Some are not.
    pub counters: bool,
    /// Some say that counting began anew.
    pub say_reset: bool,
    /// Some say that it went on.
    pub say_no_reset: bool,
}

/// What is kept of at least one histogram; stale markers are no samples here.
#[derive(Clone, Debug)]
pub struct HistogramWindow {
    /// Histograms.
    pub count: u64,
    /// The first one.
    pub first: HistogramPoint,
    /// The last one.
    pub last: HistogramPoint,
    /// The one before the last.
    pub prev: Option<HistogramPoint>,
    /// The sum of all; None where exponential and custom buckets met.
    pub sum: Option<HistogramSum>,
    /// The sum of the histograms before each reset, none if there was no reset or it cannot be summed up.
    pub correction: Option<HistogramSum>,
    /// Histograms before which counting began anew.
    pub resets: u64,
    /// Histograms that differ from the one before.
    pub changes: u64,
    /// What they have in common.
    pub layouts: Layouts,
    /// Whether the start of a histogram contradicts the one before.
    pub overlaps: bool,
}

impl Layouts {
    fn of(histogram: &FloatHistogram) -> Self {
        Self {
            gauges: histogram.is_gauge(),
            counters: !histogram.is_gauge(),
            say_reset: histogram.reset_hint == CounterResetHint::Reset,
            say_no_reset: histogram.reset_hint == CounterResetHint::NotReset,
            ..Self::default()
        }
    }

    fn or(self, other: Self) -> Self {
        Self {
            differ: self.differ || other.differ,
            spans_differ: self.spans_differ || other.spans_differ,
            gauges: self.gauges || other.gauges,
            counters: self.counters || other.counters,
            say_reset: self.say_reset || other.say_reset,
            say_no_reset: self.say_no_reset || other.say_no_reset,
        }
    }

    /// Whether sums and differences are the same in any order and nobody has to be warned of them.
    pub fn agree(self) -> bool {
        let conflict = (self.gauges && self.counters) || (self.say_reset && self.say_no_reset);
        !self.differ && !conflict
    }
}

impl HistogramPoint {
    fn started(&self) -> Started {
        Started { t_ms: self.t_ms, start_ms: self.start_ms }
    }
}

impl HistogramWindow {
    /// The window of one histogram.
    pub fn of(point: HistogramPoint) -> Self {
        Self {
            count: 1,
            sum: Some(HistogramSum::new(&point.value)),
            correction: None,
            layouts: Layouts::of(&point.value),
            first: point.clone(),
            last: point,
            prev: None,
            resets: 0,
            changes: 0,
            overlaps: false,
        }
    }

    /// Takes in the window that follows.
    pub fn fold(&mut self, later: &Self) {
        let (before, after) = (&self.last, &later.first);
        let reset = after.started().is_reset_after(before.started()) || after.value.is_reset_after(&before.value);
        self.layouts = self.layouts.or(later.layouts);
        self.layouts.differ |= !have_one_layout(&before.value, &after.value);
        self.layouts.spans_differ |= before.value.positive_spans != after.value.positive_spans
            || before.value.negative_spans != after.value.negative_spans;
        self.changes += u64::from(!after.value.same(&before.value)) + later.changes;
        self.overlaps |= later.overlaps || after.started().overlaps(before.started());
        if reset {
            let lost = before.value.clone();
            self.correction = sum_of(self.correction.take(), Some(&lost));
        }
        let lost_later = later.correction.as_ref().map(HistogramSum::total);
        if lost_later.is_some() {
            self.correction = sum_of(self.correction.take(), lost_later.as_ref());
        }
        self.resets += u64::from(reset) + later.resets;
        self.sum = match (self.sum.take(), &later.sum) {
            (Some(sum), Some(later)) => sum_of(Some(sum), Some(&later.total())),
            _ => None,
        };
        self.prev = Some(later.prev.clone().unwrap_or_else(|| self.last.clone()));
        self.last = later.last.clone();
        self.count += later.count;
    }

    /// `sum_over_time`. None: it cannot be told exactly from here, or a warning goes with it.
    pub fn total(&self) -> Option<FloatHistogram> {
        self.sum.as_ref().filter(|_| self.layouts.agree()).map(HistogramSum::total)
    }

    /// What a counter has gained from the first histogram to the last, resets made up for; None as for [`Self::total`].
    pub fn gain(&self) -> Option<FloatHistogram> {
        if !self.layouts.agree() || (self.resets > 0 && self.correction.is_none()) {
            return None;
        }
        let mut gain = FloatHistogram::clone(&self.last.value);
        gain.sub(&self.first.value).ok()?;
        if let Some(correction) = &self.correction {
            gain.add(&correction.total()).ok()?;
        }
        gain.reset_hint = CounterResetHint::Gauge;
        gain.compact(0);
        Some(gain)
    }
}

/// Whether two histograms have the same possible buckets.
fn have_one_layout(a: &FloatHistogram, b: &FloatHistogram) -> bool {
    a.schema == b.schema && a.zero_threshold == b.zero_threshold && a.custom_bounds == b.custom_bounds
}

/// A sum with another histogram in it; None if they cannot be added.
fn sum_of(sum: Option<HistogramSum>, other: Option<&FloatHistogram>) -> Option<HistogramSum> {
    match (sum, other) {
        (Some(mut sum), Some(other)) => sum.add(other).is_ok().then_some(sum),
        (None, Some(other)) => Some(HistogramSum::new(other)),
        (sum, None) => sum,
    }
}
