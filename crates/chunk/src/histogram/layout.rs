//! What all samples of a histogram chunk share, and what stands before the first of them: schema, zero threshold, where
//! the buckets lie, and the bounds of custom buckets.

use super::spans::{are_apart, bucket_count, tidy};
use super::value::HistogramRef;
use crate::ChunkError;
use crate::bits::{BitReader, BitWriter};
use crate::varbit::{take_int, take_uint, write_int, write_uint};
use longhaul_model::BucketSpan;
use longhaul_model::histogram::SCHEMA_CUSTOM;
use std::sync::Arc;

/// Spans beyond the number of buckets that a layout keeps. Every sample has its own copy of the spans, and pays for its
/// buckets only: without a bound a few kilobytes could claim gigabytes.
const SPARE_SPANS_MAX: usize = 8;

/// Exponential schemas that chunks may have; those beyond -4 to 8 are for versions to come.
const SCHEMAS: std::ops::RangeInclusive<i64> = -9..=52;

/// The byte that a zero threshold of 2^0 has; it stands for powers of two of both signs.
const ZERO_THRESHOLD_ONE: i64 = 244;

/// The byte behind which a zero threshold stands whole.
const ZERO_THRESHOLD_WHOLE: u64 = 0xff;

/// Largest custom bound in thousandths that is written as an integer: one more is the most that four bytes hold.
const BOUND_THOUSANDTHS_MAX: f64 = 33_554_430.0;

/// The layout of a chunk. The default is that of a chunk that begins with a stale marker.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    pub(super) schema: i32,
    pub(super) zero_threshold: f64,
    pub(super) positive_spans: Vec<BucketSpan>,
    pub(super) negative_spans: Vec<BucketSpan>,
    pub(super) custom_bounds: Arc<[f64]>,
}

impl Layout {
    /// The layout for a chunk that begins with `value`.
    ///
    /// # Panics
    /// If the spans of a side do not name as many buckets as it has, or overlap.
    pub(super) fn of(value: HistogramRef<'_>) -> Self {
        if value.is_stale() {
            return Self::default();
        }
        value.assert_laid_out();
        let [positive_spans, negative_spans] = value.spans().map(|spans| within_bounds(spans.to_vec()));
        let custom_bounds = match value {
            _ if value.schema() != SCHEMA_CUSTOM => Arc::default(),
            HistogramRef::Integer(it) => Arc::clone(&it.custom_bounds),
            HistogramRef::Float(it) => Arc::clone(&it.custom_bounds),
        };
        let (schema, zero_threshold) = (value.schema(), value.zero_threshold());
        Self { schema, zero_threshold, positive_spans, negative_spans, custom_bounds }
    }

    /// How many buckets the positive side has.
    pub(super) fn positive_buckets(&self) -> usize {
        bucket_count(&self.positive_spans) as usize
    }

    /// How many buckets both sides have.
    pub(super) fn buckets(&self) -> usize {
        self.positive_buckets() + bucket_count(&self.negative_spans) as usize
    }

    /// Bytes allocated beside the value itself; custom bounds are shared.
    pub(super) fn heap_bytes(&self) -> usize {
        (self.positive_spans.capacity() + self.negative_spans.capacity()) * size_of::<BucketSpan>()
    }

    pub(super) fn write(&self, writer: &mut BitWriter) {
        write_zero_threshold(writer, self.zero_threshold);
        write_int(writer, self.schema.into());
        for spans in [&self.positive_spans, &self.negative_spans] {
            write_uint(writer, spans.len() as u64);
            for span in spans {
                write_uint(writer, span.length.into());
                write_int(writer, span.offset.into());
            }
        }
        if self.schema == SCHEMA_CUSTOM {
            write_uint(writer, self.custom_bounds.len() as u64);
            self.custom_bounds.iter().for_each(|bound| write_bound(writer, *bound));
        }
    }

    /// Takes a layout. It has no more buckets than there are bits for the first sample.
    pub(super) fn take(reader: &mut BitReader<'_>) -> Result<Self, ChunkError> {
        let zero_threshold = take_zero_threshold(reader);
        let schema = take_int(reader);
        if !SCHEMAS.contains(&schema) && schema != i64::from(SCHEMA_CUSTOM) {
            reader.fail("unknown histogram schema");
        }
        let positive_spans = take_spans(reader);
        let negative_spans = take_spans(reader);
        let custom_bounds = if schema == i64::from(SCHEMA_CUSTOM) { take_bounds(reader) } else { Arc::default() };
        if bucket_count(&positive_spans) + bucket_count(&negative_spans) > reader.remaining_bits() as u64 {
            reader.fail("has more buckets than it can hold");
        }
        reader.verdict()?;
        Ok(Self {
            schema: schema as i32, // within SCHEMAS, by the verdict
            zero_threshold,
            positive_spans: within_bounds(positive_spans),
            negative_spans: within_bounds(negative_spans),
            custom_bounds,
        })
    }
}

/// The spans as they are, or, if too many of them are empty, without empty ones.
pub(super) fn within_bounds(spans: Vec<BucketSpan>) -> Vec<BucketSpan> {
    if spans.len() as u64 <= bucket_count(&spans) + SPARE_SPANS_MAX as u64 { spans } else { tidy(&spans) }
}

fn take_spans(reader: &mut BitReader<'_>) -> Vec<BucketSpan> {
    let count = take_uint(reader);
    // No span takes less than two bits, whatever the count claims.
    if count > reader.remaining_bits() as u64 / 2 {
        reader.fail("counts more spans than it can hold");
        return Vec::new();
    }
    let spans = (0..count).map(|_| {
        let (length, offset) = (u32::try_from(take_uint(reader)), i32::try_from(take_int(reader)));
        if length.is_err() || offset.is_err() {
            reader.fail("span beyond 32 bits");
        }
        BucketSpan { offset: offset.unwrap_or(0), length: length.unwrap_or(0) }
    });
    let spans: Vec<BucketSpan> = spans.collect();
    if !are_apart(&spans) {
        reader.fail("spans overlap");
    }
    spans
}

/// The byte of a zero threshold that is zero or a power of two from 2^-243 to 2^10, and that of no other.
fn zero_threshold_byte(threshold: f64) -> Option<u64> {
    let exponent = (threshold.to_bits() >> 52) as i64 - 1023;
    let byte = u64::try_from(exponent + ZERO_THRESHOLD_ONE).ok().filter(|byte| (1..=254).contains(byte)).unwrap_or(0);
    (zero_threshold_of(byte).to_bits() == threshold.to_bits()).then_some(byte)
}

/// The zero threshold that a byte below 255 stands for.
fn zero_threshold_of(byte: u64) -> f64 {
    match byte {
        0 => 0.0,
        _ => f64::from_bits((byte + 1023 - ZERO_THRESHOLD_ONE as u64) << 52),
    }
}

fn write_zero_threshold(writer: &mut BitWriter, threshold: f64) {
    match zero_threshold_byte(threshold) {
        Some(byte) => writer.write(byte, 8),
        None => {
            writer.write(ZERO_THRESHOLD_WHOLE, 8);
            writer.write(threshold.to_bits(), 64);
        }
    }
}

fn take_zero_threshold(reader: &mut BitReader<'_>) -> f64 {
    match reader.take_refilled(8) {
        ZERO_THRESHOLD_WHOLE => f64::from_bits(reader.take_refilled(64)),
        byte => zero_threshold_of(byte),
    }
}

/// Writes a bound of whole thousandths as an integer above zero, another behind a zero.
fn write_bound(writer: &mut BitWriter, bound: f64) {
    let thousandths = bound * 1000.0;
    let whole = thousandths.round() as u64;
    // Only where reading gives the same bits back: that leaves out NaN and -0.0 too.
    if (0.0..=BOUND_THOUSANDTHS_MAX).contains(&thousandths) && (whole as f64 / 1000.0).to_bits() == bound.to_bits() {
        return write_uint(writer, whole + 1);
    }
    writer.write(0, 1);
    writer.write(bound.to_bits(), 64);
}

fn take_bounds(reader: &mut BitReader<'_>) -> Arc<[f64]> {
    let count = take_uint(reader);
    // No bound takes less than five bits, whatever the count claims.
    if count > reader.remaining_bits() as u64 / 5 {
        reader.fail("counts more bounds than it can hold");
        return Arc::default();
    }
    let bounds = (0..count).map(|_| match take_uint(reader) {
        0 => f64::from_bits(reader.take_refilled(64)),
        above => (above - 1) as f64 / 1000.0,
    });
    bounds.collect()
}
