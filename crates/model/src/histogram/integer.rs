//! Integer histograms: what they become as float histograms and back, and the changes of layout that they know.

use super::side::Side;
use super::{BucketSpan, FloatHistogram, Histogram, SCHEMA_CUSTOM};
use std::sync::Arc;

/// A float histogram has a count that is no whole number from 0 up to 2^53, beyond which floats skip some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("histogram has a count that is not a whole number")]
pub struct NotIntegral;

impl Histogram {
    /// See [`FloatHistogram::compact`].
    pub fn compact(&mut self, empty_max: usize) {
        edit(&mut self.positive_spans, &mut self.positive_deltas, |side| side.compact(empty_max));
        edit(&mut self.negative_spans, &mut self.negative_deltas, |side| side.compact(empty_max));
    }

    /// See [`FloatHistogram::reduce_resolution`].
    pub fn reduce_resolution(&mut self, schema: i32) {
        if schema >= self.schema || schema == SCHEMA_CUSTOM || self.uses_custom_bounds() {
            return;
        }
        edit(&mut self.positive_spans, &mut self.positive_deltas, |side| side.coarsen(self.schema, schema));
        edit(&mut self.negative_spans, &mut self.negative_deltas, |side| side.coarsen(self.schema, schema));
        self.schema = schema;
    }
}

/// Changes the buckets of a side while their counts are absolute.
fn edit(spans: &mut Vec<BucketSpan>, deltas: &mut Vec<i64>, change: impl FnOnce(&mut Side<i64>)) {
    let mut counts = absolute(deltas).collect();
    Side::edit(spans, &mut counts, change);
    *deltas = differences(counts.into_iter()).collect();
}

/// Counts from the differences between neighbours.
pub(super) fn absolute(deltas: &[i64]) -> impl Iterator<Item = i64> + '_ {
    deltas.iter().scan(0i64, |count, delta| {
        *count = count.wrapping_add(*delta);
        Some(*count)
    })
}

/// The differences between neighbours, the first from zero.
fn differences(counts: impl Iterator<Item = i64>) -> impl Iterator<Item = i64> {
    counts.scan(0i64, |before, count| Some(count.wrapping_sub(std::mem::replace(before, count))))
}

impl From<&Histogram> for FloatHistogram {
    fn from(integer: &Histogram) -> Self {
        let counts = |deltas| absolute(deltas).map(|count| count as f64).collect();
        Self {
            reset_hint: integer.reset_hint,
            schema: integer.schema,
            zero_threshold: integer.zero_threshold,
            zero_count: integer.zero_count as f64,
            count: integer.count as f64,
            sum: integer.sum,
            positive_spans: integer.positive_spans.clone(),
            negative_spans: integer.negative_spans.clone(),
            positive_counts: counts(&integer.positive_deltas),
            negative_counts: counts(&integer.negative_deltas),
            custom_bounds: Arc::clone(&integer.custom_bounds),
        }
    }
}

impl TryFrom<&FloatHistogram> for Histogram {
    type Error = NotIntegral;

    fn try_from(float: &FloatHistogram) -> Result<Self, NotIntegral> {
        /// All whole numbers up to here are floats.
        const WHOLE_MAX: f64 = (1u64 << 53) as f64;
        let whole = |count: f64| {
            let is_whole = (0.0..=WHOLE_MAX).contains(&count) && count.fract() == 0.0;
            if is_whole { Ok(count as u64) } else { Err(NotIntegral) }
        };
        let deltas = |counts: &[f64]| {
            let counts: Vec<i64> = counts.iter().map(|count| Ok(whole(*count)? as i64)).collect::<Result<_, _>>()?;
            Ok(differences(counts.into_iter()).collect())
        };
        Ok(Self {
            reset_hint: float.reset_hint,
            schema: float.schema,
            zero_threshold: float.zero_threshold,
            zero_count: whole(float.zero_count)?,
            count: whole(float.count)?,
            sum: float.sum,
            positive_spans: float.positive_spans.clone(),
            negative_spans: float.negative_spans.clone(),
            positive_deltas: deltas(&float.positive_counts)?,
            negative_deltas: deltas(&float.negative_counts)?,
            custom_bounds: Arc::clone(&float.custom_bounds),
        })
    }
}
