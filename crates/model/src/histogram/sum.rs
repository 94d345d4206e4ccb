//! Sums and means of many histograms, compensated as those of floats are, in the order in which they come.

use super::arithmetic::Running;
use super::{Combined, CounterResetHint, FloatHistogram, IncompatibleSchemas};
use crate::kahan;

/// A running sum of histograms: `sum`, `sum_over_time`.
#[derive(Clone, Debug)]
pub struct HistogramSum {
    running: Running<kahan::Sum>,
    findings: Findings,
}

impl HistogramSum {
    /// The sum of one.
    pub fn new(first: &FloatHistogram) -> Self {
        Self { running: first.clone().into(), findings: Findings::of(first) }
    }

    /// Adds `histogram`.
    ///
    /// # Errors
    /// If it is the first with or without custom bounds. The sum is then what it was.
    pub fn add(&mut self, histogram: &FloatHistogram) -> Result<Combined, IncompatibleSchemas> {
        self.findings.note(histogram, self.running.combine(histogram, 1.0))
    }

    /// The sum. Empty buckets are kept in it, as `sum_over_time` gives it out; `sum` compacts it.
    pub fn total(&self) -> FloatHistogram {
        self.running.total()
    }

    /// What a user should know about all additions so far: conflicting hints count wherever they stand in the order.
    pub fn findings(&self) -> Combined {
        self.findings.combined()
    }
}

/// A running mean of histograms: `avg`, `avg_over_time`. It is the sum divided by the count; from the moment the sum
/// would overflow, an incremental mean, which is less exact.
#[derive(Clone, Debug)]
pub struct HistogramMean {
    /// The sum, or the mean once that is incremental.
    running: Running<kahan::Sum>,
    count: f64,
    incremental: bool,
    /// No number in the sum is larger.
    magnitude: f64,
    findings: Findings,
}

impl HistogramMean {
    /// The mean of one.
    pub fn new(first: &FloatHistogram) -> Self {
        let bounded = first.custom_bounds.iter().all(|bound| bound.is_finite());
        Self {
            running: first.clone().into(),
            count: 1.0,
            incremental: false,
            magnitude: if bounded { magnitude(first) } else { f64::INFINITY },
            findings: Findings::of(first),
        }
    }

    /// Takes `histogram` in.
    ///
    /// # Errors
    /// If it is the first with or without custom bounds. The mean means nothing afterwards.
    pub fn add(&mut self, histogram: &FloatHistogram) -> Result<Combined, IncompatibleSchemas> {
        let combined = self.combine(histogram);
        self.findings.note(histogram, combined)
    }

    fn combine(&mut self, histogram: &FloatHistogram) -> Result<Combined, IncompatibleSchemas> {
        /// Below this no rounding on the way reaches infinity.
        const SAFE_MAX: f64 = f64::MAX / 2.0;
        self.count += 1.0;
        if !self.incremental {
            self.magnitude += magnitude(histogram);
            if self.magnitude <= SAFE_MAX {
                return self.running.combine(histogram, 1.0);
            }
            let mut next = self.running.clone();
            let combined = next.combine(histogram, 1.0)?;
            if !next.overflows() {
                self.running = next;
                return Ok(combined);
            }
            self.incremental = true;
            self.running.divide(self.count - 1.0);
        }
        self.running.scale((self.count - 1.0) / self.count);
        let mut share = histogram.clone();
        share.divide(self.count);
        self.running.combine(&share, 1.0)
    }

    /// The mean. Empty buckets are kept in it, as `avg_over_time` gives it out; `avg` compacts it.
    pub fn mean(&self) -> FloatHistogram {
        if self.incremental {
            return self.running.total();
        }
        let mut mean = self.running.clone();
        mean.divide(self.count);
        mean.total()
    }

    /// What a user should know about all that came so far: conflicting hints count wherever they stand in the order.
    pub fn findings(&self) -> Combined {
        self.findings.combined()
    }
}

/// The sum of the absolute values of all numbers but NaN, which never becomes infinite.
fn magnitude(histogram: &FloatHistogram) -> f64 {
    let totals = [histogram.zero_count, histogram.count, histogram.sum];
    let numbers = totals.iter().chain(&histogram.positive_counts).chain(&histogram.negative_counts);
    numbers.filter(|number| !number.is_nan()).map(|number| number.abs()).sum()
}

/// What was seen among the histograms of a sum.
#[derive(Clone, Copy, Debug, Default)]
struct Findings {
    reset: bool,
    no_reset: bool,
    bounds_reconciled: bool,
}

impl Findings {
    fn of(first: &FloatHistogram) -> Self {
        let mut findings = Self::default();
        findings.see(first);
        findings
    }

    fn see(&mut self, histogram: &FloatHistogram) {
        self.reset |= histogram.reset_hint == CounterResetHint::Reset;
        self.no_reset |= histogram.reset_hint == CounterResetHint::NotReset;
    }

    fn note(
        &mut self,
        histogram: &FloatHistogram,
        combined: Result<Combined, IncompatibleSchemas>,
    ) -> Result<Combined, IncompatibleSchemas> {
        self.see(histogram);
        self.bounds_reconciled |= combined.is_ok_and(|combined| combined.bounds_reconciled);
        combined
    }

    fn combined(self) -> Combined {
        Combined { resets_conflict: self.reset && self.no_reset, bounds_reconciled: self.bounds_reconciled }
    }
}

#[cfg(test)]
mod tests;
