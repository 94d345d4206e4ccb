//! What a histogram from outside must be to be taken, and what Prometheus says if it is not: these texts are what senders
//! read in answers with status 400.

use super::integer::absolute;
use super::text::General;
use super::{BucketSpan, FloatHistogram, Histogram, SCHEMA_CUSTOM, is_exponential};
use std::fmt;

/// Why a histogram is refused, in Prometheus' words.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields are named in the texts")]
#[derive(thiserror::Error)]
pub enum HistogramError {
    /// A schema that no bucket has.
    #[error(
        "histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, or -53 for custom \
         buckets, got schema {schema}"
    )]
    Schema { schema: i32 },
    /// A span begins before the one before it ends.
    #[error("{place}: span number {number} with offset {offset}: histogram has a span whose offset is negative")]
    SpanOffset { place: Place, number: usize, offset: i32 },
    /// Spans and buckets differ in number.
    #[error(
        "{place}: spans need {spans} buckets, have {buckets} buckets: histogram spans specify different number of \
         buckets than provided"
    )]
    SpanBuckets { place: Place, spans: u64, buckets: usize },
    /// A bucket holds less than nothing.
    #[error(
        "{place}: bucket number {number} has observation count of {}: histogram has a bucket whose observation count \
         is negative",
        General(*count)
    )]
    BucketCount { place: Place, number: usize, count: f64 },
    /// A bucket of an integer histogram holds less than nothing.
    #[error(
        "{place}: bucket number {number} has observation count of {count}: histogram has a bucket whose observation \
         count is negative"
    )]
    IntegerBucketCount { place: Place, number: usize, count: i64 },
    /// The zero bucket holds less than nothing.
    #[error(
        "zero bucket has observation count of {}: histogram has a bucket whose observation count is negative",
        General(*count)
    )]
    ZeroCount { count: f64 },
    /// The whole is less than nothing.
    #[error("observation count is  {}: histogram's observation count is negative", General(*count))]
    NegativeCount { count: f64 },
    /// The buckets do not add up to the count.
    #[error(
        "{found} observations found in buckets, but the Count field is {count}: histogram's observation count should \
         equal the number of observations found in the buckets (in absence of NaN)"
    )]
    CountMismatch { found: u64, count: u64 },
    /// The buckets hold more than the count.
    #[error(
        "{found} observations found in buckets, but the Count field is {count}: histogram's observation count should \
         be at least the number of observations found in the buckets"
    )]
    CountTooSmall { found: u64, count: u64 },
    /// A bound is no number.
    #[error("custom buckets: histogram custom bounds must not be NaN")]
    BoundNaN,
    /// A bound is not above the one before it.
    #[error(
        "custom buckets: previous bound is {} and current is {}: histogram custom bounds must be in strictly increasing \
         order",
        Fixed(*previous),
        Fixed(*current)
    )]
    BoundOrder { previous: f64, current: f64 },
    /// The last bound, which is infinite without being said.
    #[error("custom buckets: last +Inf bound must not be explicitly defined: histogram custom bounds must be finite")]
    BoundInfinite,
    /// There are buckets beyond the last bound.
    #[error(
        "custom buckets: only {bounds} custom bounds defined which is insufficient to cover total span length of {spans}: \
         histogram custom bounds are too few"
    )]
    BoundsFew { bounds: usize, spans: u64 },
    /// Custom buckets and observations of zero beside them.
    #[error("custom buckets: must have zero count of 0")]
    CustomZeroCount,
    /// Custom buckets and a zero bucket beside them.
    #[error("custom buckets: must have zero threshold of 0")]
    CustomZeroThreshold,
    /// Custom buckets and spans of negative ones.
    #[error("custom buckets: must not have negative spans")]
    CustomNegativeSpans,
    /// Custom buckets and negative ones.
    #[error("custom buckets: must not have negative buckets")]
    CustomNegativeBuckets,
    /// Exponential buckets and custom bounds.
    #[error("histogram with exponential schema must not have custom bounds")]
    ExponentialBounds,
}

/// Which of a histogram's buckets an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The positive ones.
    Positive,
    /// The negative ones.
    Negative,
    /// Those with custom bounds.
    Custom,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Positive => "positive side",
            Self::Negative => "negative side",
            Self::Custom => "custom buckets",
        })
    }
}

/// A number with six decimals, as Go's `%f` writes it.
struct Fixed(f64);

impl fmt::Display for Fixed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_finite() { write!(out, "{:.6}", self.0) } else { General(self.0).fmt(out) }
    }
}

impl Histogram {
    /// Whether a histogram is one: layout, bounds, no bucket below zero, and a count that is the sum of the buckets. If
    /// the sum of the observations is NaN, some of them may be NaN too, which are in no bucket; the count may be larger.
    ///
    /// # Errors
    /// The first fault that Prometheus would find.
    pub fn validate(&self) -> Result<(), HistogramError> {
        let layout = Layout {
            schema: self.schema,
            positive: (&self.positive_spans, self.positive_deltas.len()),
            negative: (&self.negative_spans, self.negative_deltas.len()),
            zero: (self.zero_threshold, self.zero_count as f64),
            custom_bounds: &self.custom_bounds,
        };
        layout.check()?;
        let mut found = self.zero_count;
        for (place, deltas) in [(Place::Negative, &self.negative_deltas), (Place::Positive, &self.positive_deltas)] {
            if place == Place::Positive {
                layout.check_bounds_fit()?;
            }
            for (at, count) in absolute(deltas).enumerate() {
                // What is too large to be counted is not what the histogram says.
                found = found.saturating_add(u64::try_from(count).map_err(|_| HistogramError::IntegerBucketCount {
                    place,
                    number: at + 1,
                    count,
                })?);
            }
        }
        match self.count {
            count if found > count && self.sum.is_nan() => Err(HistogramError::CountTooSmall { found, count }),
            count if found != count && !self.sum.is_nan() => Err(HistogramError::CountMismatch { found, count }),
            _ => Ok(()),
        }
    }
}

impl FloatHistogram {
    /// Whether a histogram is one: layout, bounds, nothing below zero. The count is not compared with the buckets, whose
    /// sum may be rounded otherwise.
    ///
    /// # Errors
    /// The first fault that Prometheus would find.
    pub fn validate(&self) -> Result<(), HistogramError> {
        let layout = Layout {
            schema: self.schema,
            positive: (&self.positive_spans, self.positive_counts.len()),
            negative: (&self.negative_spans, self.negative_counts.len()),
            zero: (self.zero_threshold, self.zero_count),
            custom_bounds: &self.custom_bounds,
        };
        layout.check()?;
        check_counts(Place::Negative, &self.negative_counts)?;
        if self.zero_count < 0.0 {
            return Err(HistogramError::ZeroCount { count: self.zero_count });
        }
        layout.check_bounds_fit()?;
        if self.count < 0.0 {
            return Err(HistogramError::NegativeCount { count: self.count });
        }
        check_counts(Place::Positive, &self.positive_counts)
    }
}

fn check_counts(place: Place, counts: &[f64]) -> Result<(), HistogramError> {
    match counts.iter().position(|count| *count < 0.0) {
        Some(at) => Err(HistogramError::BucketCount { place, number: at + 1, count: counts[at] }),
        None => Ok(()),
    }
}

/// What both types of histograms have in common, each side with how many buckets it has.
struct Layout<'a> {
    schema: i32,
    positive: (&'a [BucketSpan], usize),
    negative: (&'a [BucketSpan], usize),
    zero: (f64, f64),
    custom_bounds: &'a [f64],
}

impl Layout<'_> {
    fn check(&self) -> Result<(), HistogramError> {
        match self.schema {
            SCHEMA_CUSTOM => self.check_custom(),
            schema if is_exponential(schema) => {
                check_spans(Place::Positive, self.positive)?;
                check_spans(Place::Negative, self.negative)
            }
            schema => Err(HistogramError::Schema { schema }),
        }
    }

    /// Exponential buckets have no custom bounds: Prometheus looks at that only after the negative buckets.
    fn check_bounds_fit(&self) -> Result<(), HistogramError> {
        let fit = self.schema == SCHEMA_CUSTOM || self.custom_bounds.is_empty();
        if fit { Ok(()) } else { Err(HistogramError::ExponentialBounds) }
    }

    fn check_custom(&self) -> Result<(), HistogramError> {
        let bounds = self.custom_bounds;
        for (at, &current) in bounds.iter().enumerate() {
            if current.is_nan() {
                return Err(HistogramError::BoundNaN);
            }
            if at > 0 && current <= bounds[at - 1] {
                return Err(HistogramError::BoundOrder { previous: bounds[at - 1], current });
            }
        }
        if bounds.last() == Some(&f64::INFINITY) {
            return Err(HistogramError::BoundInfinite);
        }
        let (spans, _) = self.positive;
        if let Some(span) = spans.first().filter(|span| span.offset < 0) {
            return Err(HistogramError::SpanOffset { place: Place::Custom, number: 1, offset: span.offset });
        }
        check_spans(Place::Custom, self.positive)?;
        let reach: u64 = spans.iter().map(|span| u64::from(span.offset.unsigned_abs()) + u64::from(span.length)).sum();
        if bounds.len() as u64 + 1 < reach {
            return Err(HistogramError::BoundsFew { bounds: bounds.len(), spans: reach });
        }
        let (zero_threshold, zero_count) = self.zero;
        match self.negative {
            _ if zero_count != 0.0 => Err(HistogramError::CustomZeroCount),
            _ if zero_threshold != 0.0 => Err(HistogramError::CustomZeroThreshold),
            (spans, _) if !spans.is_empty() => Err(HistogramError::CustomNegativeSpans),
            (_, buckets) if buckets > 0 => Err(HistogramError::CustomNegativeBuckets),
            _ => Ok(()),
        }
    }
}

fn check_spans(place: Place, (spans, buckets): (&[BucketSpan], usize)) -> Result<(), HistogramError> {
    let mut named = 0;
    for (at, span) in spans.iter().enumerate() {
        if at > 0 && span.offset < 0 {
            return Err(HistogramError::SpanOffset { place, number: at + 1, offset: span.offset });
        }
        named += u64::from(span.length);
    }
    if named == buckets as u64 { Ok(()) } else { Err(HistogramError::SpanBuckets { place, spans: named, buckets }) }
}

#[cfg(test)]
mod tests;
