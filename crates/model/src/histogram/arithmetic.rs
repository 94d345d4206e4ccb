//! Sums and differences of float histograms, scaling, resolution (Prometheus `model/histogram/float_histogram.go`).
//!
//! One sum of histograms serves all: [`Running`] over plain floats is `+` and `-`, over compensated ones it is the
//! aggregations (`sum.rs`). What differs between two histograms is settled toward the coarser of the two: the larger zero
//! bucket, the lower resolution, the custom bounds that both have.

use super::side::{Cell, Cells, Side};
use super::{BucketSpan, CounterResetHint, FloatHistogram, SCHEMA_CUSTOM, schema};
use crate::kahan;
use std::sync::Arc;

/// A histogram with exponential buckets and one with custom ones have no sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot apply this operation on histograms with a mix of exponential and custom bucket schemas")]
pub struct IncompatibleSchemas;

/// What a user should know about a sum or difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Combined {
    /// One says that counting began anew, another that it did not.
    pub resets_conflict: bool,
    /// The custom bounds differed; those that all have are left.
    pub bounds_reconciled: bool,
}

impl FloatHistogram {
    /// Adds `other`. Empty buckets stay; see [`FloatHistogram::compact`].
    ///
    /// # Errors
    /// If one has custom bounds and the other has not. Nothing is changed then.
    pub fn add(&mut self, other: &Self) -> Result<Combined, IncompatibleSchemas> {
        self.combine(other, 1.0)
    }

    /// Takes `other` away. The reset hint becomes that of a sum; what the operator `-` makes is a gauge, which is for the
    /// caller to say.
    ///
    /// # Errors
    /// If one has custom bounds and the other has not. Nothing is changed then.
    pub fn sub(&mut self, other: &Self) -> Result<Combined, IncompatibleSchemas> {
        self.combine(other, -1.0)
    }

    fn combine(&mut self, other: &Self, sign: f64) -> Result<Combined, IncompatibleSchemas> {
        let mut running = Running::<f64>::from(std::mem::take(self));
        let combined = running.combine(other, sign);
        *self = running.into();
        combined
    }

    /// Multiplies all counts and the sum. By a negative factor it becomes a gauge.
    pub fn scale(&mut self, factor: f64) {
        self.each(|value| *value *= factor);
        if factor < 0.0 {
            self.reset_hint = CounterResetHint::Gauge;
        }
    }

    /// Divides all counts and the sum. By a negative divisor it becomes a gauge; by zero it loses its buckets.
    pub fn divide(&mut self, divisor: f64) {
        if divisor == 0.0 {
            self.positive_spans.clear();
            self.negative_spans.clear();
            self.positive_counts.clear();
            self.negative_counts.clear();
        }
        self.each(|value| *value /= divisor);
        if divisor < 0.0 {
            self.reset_hint = CounterResetHint::Gauge;
        }
    }

    fn each(&mut self, change: impl FnMut(&mut f64)) {
        let totals = [&mut self.zero_count, &mut self.count, &mut self.sum].into_iter();
        totals.chain(&mut self.positive_counts).chain(&mut self.negative_counts).for_each(change);
    }

    /// Puts the buckets into those of the coarser exponential `schema`. Without effect if it is not coarser, and on
    /// custom bounds.
    pub fn reduce_resolution(&mut self, schema: i32) {
        if schema >= self.schema || schema == SCHEMA_CUSTOM || self.uses_custom_bounds() {
            return;
        }
        Side::edit(&mut self.positive_spans, &mut self.positive_counts, |side| side.coarsen(self.schema, schema));
        Side::edit(&mut self.negative_spans, &mut self.negative_counts, |side| side.coarsen(self.schema, schema));
        self.schema = schema;
    }
}

/// A number that counts are added up in.
pub(super) trait Total: Cell + From<f64> {
    /// The number, without what it knows to have lost.
    fn rounded(self) -> f64;

    /// The number, as exact as it can be told.
    fn exact(self) -> f64;

    /// Multiplies by a factor.
    fn scale(&mut self, factor: f64);

    /// Divides by a divisor.
    fn divide(&mut self, divisor: f64);
}

impl Total for f64 {
    fn rounded(self) -> f64 {
        self
    }

    fn exact(self) -> f64 {
        self
    }

    fn scale(&mut self, factor: f64) {
        *self *= factor;
    }

    fn divide(&mut self, divisor: f64) {
        *self /= divisor;
    }
}

impl Total for kahan::Sum {
    fn rounded(self) -> f64 {
        self.sum
    }

    fn exact(self) -> f64 {
        // Nothing lost leaves the sign of a zero alone.
        if self.lost == 0.0 { self.sum } else { self.total() }
    }

    fn scale(&mut self, factor: f64) {
        self.sum *= factor;
        self.lost *= factor;
    }

    fn divide(&mut self, divisor: f64) {
        self.sum /= divisor;
        self.lost /= divisor;
    }
}

/// A sum of histograms in the making.
#[derive(Clone, Debug)]
pub(super) struct Running<N> {
    pub reset_hint: CounterResetHint,
    schema: i32,
    zero_threshold: f64,
    pub zero_count: N,
    pub count: N,
    pub sum: N,
    pub positive: Side<N>,
    pub negative: Side<N>,
    custom_bounds: Arc<[f64]>,
}

impl<N: Total> Running<N> {
    /// Adds `sign * other`.
    pub fn combine(&mut self, other: &FloatHistogram, sign: f64) -> Result<Combined, IncompatibleSchemas> {
        let custom = self.schema == SCHEMA_CUSTOM;
        if custom != other.uses_custom_bounds() {
            return Err(IncompatibleSchemas);
        }
        let resets_conflict = self.combine_hints(other.reset_hint);
        let bounds_reconciled = custom && !schema::same_bounds(&self.custom_bounds, &other.custom_bounds);
        if !custom {
            let zero_count = self.reconcile_zero_buckets(other, sign);
            self.zero_count.absorb(zero_count);
        }
        self.count.absorb(N::from(sign * other.count));
        self.sum.absorb(N::from(sign * other.sum));
        if bounds_reconciled {
            self.combine_custom_buckets(other, sign);
        } else {
            self.combine_buckets(other, sign);
        }
        Ok(Combined { resets_conflict, bounds_reconciled })
    }

    /// A gauge and anything is a gauge; hints that differ cancel out. True if they contradict each other.
    fn combine_hints(&mut self, other: CounterResetHint) -> bool {
        use CounterResetHint::{Gauge, NotReset, Reset, Unknown};
        let (hint, conflict) = match (self.reset_hint, other) {
            (Gauge, _) | (_, Gauge) => (Gauge, false),
            (Unknown, _) | (_, Unknown) => (Unknown, false),
            (Reset, Reset) => (Reset, false),
            (NotReset, NotReset) => (NotReset, false),
            (Reset, NotReset) | (NotReset, Reset) => (Unknown, true),
        };
        self.reset_hint = hint;
        conflict
    }

    /// Widens the narrower zero bucket until both are equally wide and cut through no populated bucket on either side.
    /// Returns what is in the zero bucket of `other` then, times `sign`.
    fn reconcile_zero_buckets(&mut self, other: &FloatHistogram, sign: f64) -> N {
        let others = N::from(sign * other.zero_count);
        let (mut zero_count, mut threshold) = (others, other.zero_threshold);
        loop {
            if self.zero_threshold > threshold {
                let sides = [
                    signed(&other.positive_spans, &other.positive_counts, sign),
                    signed(&other.negative_spans, &other.negative_counts, sign),
                ];
                (zero_count, threshold) = widened_zero(others, self.zero_threshold, other.schema, sides);
            } else if threshold > self.zero_threshold {
                let sides = [self.positive.iter(), self.negative.iter()];
                (self.zero_count, self.zero_threshold) = widened_zero(self.zero_count, threshold, self.schema, sides);
                for side in [&mut self.positive, &mut self.negative] {
                    let outside = |&(index, cell): &(i64, N)| {
                        schema::exponential_bound(index - 1, self.schema) >= self.zero_threshold && !cell.is_empty()
                    };
                    *side = Side::gather(side.iter().filter(outside), 0);
                }
            } else {
                return zero_count;
            }
        }
    }

    fn combine_buckets(&mut self, other: &FloatHistogram, sign: f64) {
        if other.schema < self.schema {
            self.positive.coarsen(self.schema, other.schema);
            self.negative.coarsen(self.schema, other.schema);
            self.schema = other.schema;
        }
        let (schema, threshold) = (self.schema, self.zero_threshold);
        let sides = [
            (&mut self.positive, &other.positive_spans, &other.positive_counts),
            (&mut self.negative, &other.negative_spans, &other.negative_counts),
        ];
        for (side, spans, counts) in sides {
            // The zero bucket has taken in whole buckets of the other's resolution, perhaps not of the coarser one.
            let within_zero =
                |index| schema != SCHEMA_CUSTOM && schema::exponential_bound(index, other.schema) <= threshold;
            let others = signed::<N>(spans, counts, sign).skip_while(|(index, _)| within_zero(*index));
            if other.schema > schema {
                let coarser = others.map(|(index, count)| (schema::coarser_index(index, other.schema, schema), count));
                side.absorb(Side::gather(coarser, 0).iter());
            } else if side.spans == *spans && side.cells.len() == counts.len() && !starts_within(spans, within_zero) {
                // The common case: the layouts are the same.
                side.cells.iter_mut().zip(counts).for_each(|(here, count)| here.absorb(N::from(sign * count)));
            } else {
                side.absorb(others);
            }
        }
    }

    /// Puts the buckets of both into those of the bounds that both have.
    fn combine_custom_buckets(&mut self, other: &FloatHistogram, sign: f64) {
        let common: Arc<[f64]> = schema::common_bounds(&self.custom_bounds, &other.custom_bounds).into();
        let here =
            self.positive.iter().map(|(index, cell)| (schema::common_index(index, &self.custom_bounds, &common), cell));
        let others = signed(&other.positive_spans, &other.positive_counts, sign);
        let others = others.map(|(index, cell)| (schema::common_index(index, &other.custom_bounds, &common), cell));
        let mut combined = Side::gather(here, 0);
        combined.absorb(others);
        combined.compact(0);
        self.positive = combined;
        self.custom_bounds = common;
    }

    /// Multiplies by a factor, which is not negative.
    pub fn scale(&mut self, factor: f64) {
        self.each(|number| number.scale(factor));
    }

    /// Divides by a divisor, which is positive.
    pub fn divide(&mut self, divisor: f64) {
        self.each(|number| number.divide(divisor));
    }

    fn each(&mut self, change: impl FnMut(&mut N)) {
        let totals = [&mut self.zero_count, &mut self.count, &mut self.sum].into_iter();
        totals.chain(&mut self.positive.cells).chain(&mut self.negative.cells).for_each(change);
    }

    /// The histogram as it stands.
    pub fn total(&self) -> FloatHistogram {
        let exact = |cells: &[N]| cells.iter().map(|cell| cell.exact()).collect();
        FloatHistogram {
            reset_hint: self.reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count.exact(),
            count: self.count.exact(),
            sum: self.sum.exact(),
            positive_spans: self.positive.spans.clone(),
            negative_spans: self.negative.spans.clone(),
            positive_counts: exact(&self.positive.cells),
            negative_counts: exact(&self.negative.cells),
            custom_bounds: Arc::clone(&self.custom_bounds),
        }
    }

    /// Whether a number has left the range of floats.
    pub fn overflows(&self) -> bool {
        let totals = [self.zero_count, self.count, self.sum];
        let cells = totals.iter().chain(&self.positive.cells).chain(&self.negative.cells);
        cells.map(|cell| cell.rounded()).chain(self.custom_bounds.iter().copied()).any(f64::is_infinite)
    }
}

/// The buckets of one side, times `sign`.
fn signed<'a, N: Total>(
    spans: &'a [BucketSpan],
    counts: &'a [f64],
    sign: f64,
) -> impl Iterator<Item = (i64, N)> + Clone + 'a {
    Cells::new(spans, counts).map(move |(index, count)| (index, N::from(sign * count)))
}

/// Whether the first bucket lies where `within` says.
fn starts_within(spans: &[BucketSpan], within: impl Fn(i64) -> bool) -> bool {
    let first = spans.iter().scan(0, |end, span| {
        let start = *end + i64::from(span.offset);
        *end = start + i64::from(span.length);
        Some((start, span.length))
    });
    first.into_iter().find(|(_, length)| *length > 0).is_some_and(|(start, _)| within(start))
}

/// What would be in the zero bucket if it reached to `threshold`, which is more than it does, and where it would end: if
/// that is within a populated bucket of one of the `sides`, at the end of that bucket.
pub(super) fn widened_zero<N: Total>(
    zero_count: N,
    mut threshold: f64,
    schema: i32,
    sides: [impl Iterator<Item = (i64, N)> + Clone; 2],
) -> (N, f64) {
    'wider: loop {
        let mut total = zero_count;
        for side in &sides {
            for (index, cell) in side.clone() {
                if schema::exponential_bound(index - 1, schema) >= threshold {
                    break;
                }
                total.absorb(cell);
                let upper = schema::exponential_bound(index, schema);
                if upper > threshold {
                    if cell.rounded() != 0.0 {
                        threshold = upper;
                        continue 'wider;
                    }
                    break;
                }
            }
        }
        return (total, threshold);
    }
}

impl<N: Total> From<FloatHistogram> for Running<N> {
    fn from(histogram: FloatHistogram) -> Self {
        let side = |spans, counts: Vec<f64>| Side { spans, cells: counts.into_iter().map(N::from).collect() };
        Self {
            reset_hint: histogram.reset_hint,
            schema: histogram.schema,
            zero_threshold: histogram.zero_threshold,
            zero_count: N::from(histogram.zero_count),
            count: N::from(histogram.count),
            sum: N::from(histogram.sum),
            positive: side(histogram.positive_spans, histogram.positive_counts),
            negative: side(histogram.negative_spans, histogram.negative_counts),
            custom_bounds: histogram.custom_bounds,
        }
    }
}

impl From<Running<f64>> for FloatHistogram {
    fn from(running: Running<f64>) -> Self {
        Self {
            reset_hint: running.reset_hint,
            schema: running.schema,
            zero_threshold: running.zero_threshold,
            zero_count: running.zero_count,
            count: running.count,
            sum: running.sum,
            positive_spans: running.positive.spans,
            negative_spans: running.negative.spans,
            positive_counts: running.positive.cells,
            negative_counts: running.negative.cells,
            custom_bounds: running.custom_bounds,
        }
    }
}

#[cfg(test)]
mod tests;
