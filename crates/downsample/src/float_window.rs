//! What is kept of the floats of a window.

use longhaul_model::Started;
use longhaul_model::kahan::Sum;

/// Above this, figures are not taken to be exact: on the way to them something may have overflowed that does not when the
/// samples are added one after the other, or the other way round.
const MAGNITUDE_MAX: f64 = 1e308;

/// A variance is exact as long as the mean is at most this many standard deviations away from zero: beyond, rounding of the
/// mean shows in the ninth digit.
const MEAN_PER_DEVIATION_MAX: f64 = 1e7;

/// A sample.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Its time, ms.
    pub t_ms: i64,
    /// Since when it counts, ms; 0 where that is not known.
    pub start_ms: i64,
    /// Its value.
    pub value: f64,
}

/// What is kept of at least one float; stale markers are no samples here.
#[derive(Clone, Copy, Debug)]
pub struct FloatWindow {
    /// Samples, ordinary NaNs among them.
    pub count: u64,
    /// How many of them are NaN.
    pub nan_count: u64,
    /// The sum of all, compensated.
    pub sum: Sum,
    /// The smallest number; the first of equal ones, which may differ by the sign of zero. NaN if there is no number.
    pub min: f64,
    /// When it was measured last, ms; the time of the last sample if there is no number.
    pub min_ms: i64,
    /// The largest number, likewise.
    pub max: f64,
    /// When it was measured last, ms, likewise.
    pub max_ms: i64,
    /// The first sample.
    pub first: Point,
    /// The last one.
    pub last: Point,
    /// The one before the last.
    pub prev: Option<Point>,
    /// The sum of the values before each reset of a counter.
    pub correction: f64,
    /// Samples below the one before, or whose start says that their counter began anew.
    pub resets: u64,
    /// Samples that differ from the one before.
    pub changes: u64,
    /// The mean of all.
    pub mean: f64,
    /// The sum of the squared distances from the mean.
    pub squares: f64,
    /// Whether the start of a sample contradicts the one before.
    pub overlaps: bool,
}

impl Point {
    fn started(self) -> Started {
        Started { t_ms: self.t_ms, start_ms: self.start_ms }
    }
}

impl FloatWindow {
    /// The window of one sample.
    #[inline]
    pub fn of(point: Point) -> Self {
        let Point { t_ms, value, .. } = point;
        Self {
            count: 1,
            nan_count: u64::from(value.is_nan()),
            sum: Sum::default().plus(value),
            min: value,
            min_ms: t_ms,
            max: value,
            max_ms: t_ms,
            first: point,
            last: point,
            prev: None,
            correction: 0.0,
            resets: 0,
            changes: 0,
            mean: value,
            squares: if value.is_finite() { 0.0 } else { f64::NAN },
            overlaps: false,
        }
    }

    /// Takes in the window that follows.
    #[inline]
    pub fn fold(&mut self, later: &Self) {
        let (before, after) = (self.last, later.first);
        let reset = after.value < before.value || after.started().is_reset_after(before.started());
        if reset {
            self.correction += before.value;
        }
        self.correction += later.correction;
        self.resets += u64::from(reset) + later.resets;
        self.changes += u64::from(is_change(before.value, after.value)) + later.changes;
        self.overlaps |= later.overlaps || after.started().overlaps(before.started());

        let counts = [self.count as f64, later.count as f64];
        let count = counts[0] + counts[1];
        let delta = later.mean - self.mean;
        self.squares += later.squares + delta * delta * (counts[0] * counts[1] / count);
        self.mean += delta * (counts[1] / count);
        self.sum = add(self.sum, later.sum);

        if later.min <= self.min || self.min.is_nan() {
            self.min_ms = later.min_ms;
        }
        if later.min < self.min || self.min.is_nan() {
            self.min = later.min;
        }
        if later.max >= self.max || self.max.is_nan() {
            self.max_ms = later.max_ms;
        }
        if later.max > self.max || self.max.is_nan() {
            self.max = later.max;
        }
        self.prev = later.prev.or(Some(self.last));
        self.last = later.last;
        self.count += later.count;
        self.nan_count += later.nan_count;
    }

    /// `sum_over_time`. None: it cannot be told exactly from here.
    pub fn total(&self) -> Option<f64> {
        self.adds_up().then(|| self.sum.total())
    }

    /// `avg_over_time`; None as for [`Self::total`].
    pub fn average(&self) -> Option<f64> {
        let count = self.count as f64;
        self.adds_up().then(|| self.sum.sum / count + self.sum.lost / count)
    }

    /// `stdvar_over_time`; None: it cannot be told exactly from here.
    pub fn variance(&self) -> Option<f64> {
        if self.nan_count > 0 || self.max.is_infinite() || self.min.is_infinite() {
            return Some(f64::NAN);
        }
        if self.min == self.max {
            return Some(0.0);
        }
        let variance = self.squares / self.count as f64;
        let exact = variance.is_finite() && self.mean.abs() < MEAN_PER_DEVIATION_MAX * variance.sqrt();
        exact.then_some(variance)
    }

    /// What a counter has gained from the first sample to the last, resets made up for; None as for [`Self::total`].
    pub fn gain(&self) -> Option<f64> {
        (self.correction.abs() <= MAGNITUDE_MAX).then_some(self.last.value - self.first.value + self.correction)
    }

    /// Whether no order of adding up can have overflowed.
    fn adds_up(&self) -> bool {
        self.nan_count > 0 || self.count as f64 * self.min.abs().max(self.max.abs()) <= MAGNITUDE_MAX
    }
}

/// Whether a value differs from the one before, as `changes` has it.
fn is_change(before: f64, after: f64) -> bool {
    before != after && !(before.is_nan() && after.is_nan())
}

fn add(sum: Sum, later: Sum) -> Sum {
    let Sum { sum, lost } = sum.plus(later.sum);
    Sum { sum, lost: if sum.is_infinite() { 0.0 } else { lost + later.lost } }
}
