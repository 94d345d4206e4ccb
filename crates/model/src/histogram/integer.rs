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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::test_histograms::{any_histogram, span};
    use proptest::prelude::*;

    #[test]
    fn counts_are_sums_of_differences() {
        let integer = Histogram {
            count: 10,
            positive_spans: vec![span(0, 3)],
            positive_deltas: vec![3, -3, 7],
            ..Default::default()
        };
        assert_eq!(FloatHistogram::from(&integer).positive_counts, [3.0, 0.0, 7.0]);
        let mut compact = integer.clone();
        compact.compact(0);
        assert_eq!((compact.positive_spans, compact.positive_deltas), (vec![span(0, 1), span(1, 1)], vec![3, 4]));
        let mut wide = Histogram { positive_spans: vec![span(0, 1), span(2, 2)], ..integer };
        wide.compact(3);
        assert_eq!((wide.positive_spans, wide.positive_deltas), (vec![span(0, 5)], vec![3, -3, 0, 0, 7]));
    }

    #[test]
    fn fractions_and_large_numbers_are_no_integers() {
        for count in [0.5, -1.0, f64::NAN, f64::INFINITY, 1e16] {
            let float = FloatHistogram { count, ..Default::default() };
            assert_eq!(Histogram::try_from(&float).err(), Some(NotIntegral), "{count}");
            let float = FloatHistogram { positive_counts: vec![count], ..Default::default() };
            assert_eq!(Histogram::try_from(&float).err(), Some(NotIntegral), "{count}");
        }
    }

    proptest! {
        /// Integer histograms change their layout as float histograms do.
        #[test]
        fn there_and_back(float in any_histogram(), schema in -4..=8i32, empty_max in 0..3usize) {
            let integer = Histogram::try_from(&float).unwrap();
            prop_assert!(integer.validate().is_ok() && FloatHistogram::from(&integer).same(&float));
            let (mut float, mut integer) = (float, integer);
            float.reduce_resolution(schema);
            integer.reduce_resolution(schema);
            prop_assert!(FloatHistogram::from(&integer).same(&float));
            float.compact(empty_max);
            integer.compact(empty_max);
            prop_assert!(FloatHistogram::from(&integer).same(&float));
            prop_assert!(integer.same(&Histogram::try_from(&float).unwrap()));
        }
    }
}
