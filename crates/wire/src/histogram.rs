//! Reads the `Histogram` messages of remote write; 1.0 and 2.0 lay them out alike, but for the start that only 2.0 has.
//!
//! A few packed bytes stand for many in memory: an empty span of two bytes takes eight, a delta of one byte eight.
//! Invariant: what is read is counted before it takes memory ([`BucketsLeft`]).

use crate::walk::{FIXED64, LENGTH, VARINT, Walk, wrong_wire_type};
use crate::{Item, WireError};
use longhaul_model::write_batch::{HistogramSample, HistogramValue};
use longhaul_model::{BucketSpan, CounterResetHint, FloatHistogram, Histogram};
use std::sync::Arc;

// prometheus.Histogram and io.prometheus.write.v2.Histogram
const COUNT_INTEGER: u32 = 1;
const COUNT_FLOAT: u32 = 2;
const SUM: u32 = 3;
const SCHEMA: u32 = 4;
const ZERO_THRESHOLD: u32 = 5;
const ZERO_COUNT_INTEGER: u32 = 6;
const ZERO_COUNT_FLOAT: u32 = 7;
const NEGATIVE_SPANS: u32 = 8;
const NEGATIVE_DELTAS: u32 = 9;
const NEGATIVE_COUNTS: u32 = 10;
const POSITIVE_SPANS: u32 = 11;
const POSITIVE_DELTAS: u32 = 12;
const POSITIVE_COUNTS: u32 = 13;
const RESET_HINT: u32 = 14;
const TIMESTAMP: u32 = 15;
const CUSTOM_VALUES: u32 = 16;
const START_TIMESTAMP: u32 = 17;
// BucketSpan
const SPAN_OFFSET: u32 = 1;
const SPAN_LENGTH: u32 = 2;

/// How many buckets, bounds and spans the histograms of a request may still have.
#[derive(Debug)]
pub(crate) struct BucketsLeft {
    left: u32,
    max: u32,
}

impl BucketsLeft {
    /// None is read yet.
    pub fn new(max: u32) -> Self {
        Self { left: max, max }
    }

    fn take(&mut self) -> Result<(), WireError> {
        self.take_many(1)
    }

    /// Counts `count` at once.
    pub fn take_many(&mut self, count: usize) -> Result<(), WireError> {
        let too_many = || WireError::TooMany { item: Item::Buckets, max: self.max };
        let left = u32::try_from(count).ok().and_then(|count| self.left.checked_sub(count));
        self.left = left.ok_or_else(too_many)?;
        Ok(())
    }
}

/// A number that comes as one of two types; what comes last counts.
#[derive(Clone, Copy)]
enum Number {
    Integer(u64),
    Float(f64),
}

/// The message's fields that do not go straight into a histogram.
#[derive(Default)]
struct Fields {
    t_ms: i64,
    start_ms: i64,
    count: Option<Number>,
    zero_count: Option<Number>,
    integer: Histogram,
    positive_counts: Vec<f64>,
    negative_counts: Vec<f64>,
    custom_values: Vec<f64>,
}

/// Reads a histogram. It is a float histogram if its count is a float; what belongs to the other type is left out.
/// Nothing is validated.
pub(crate) fn read(mut walk: Walk<'_>, left: &mut BucketsLeft) -> Result<HistogramSample, WireError> {
    let mut fields = Fields::default();
    while !walk.is_done() {
        let start = walk.at;
        let key = walk.key()?;
        let it = &mut fields.integer;
        match (key.number, key.wire) {
            (COUNT_INTEGER, VARINT) => fields.count = Some(Number::Integer(walk.varint()?)),
            (COUNT_FLOAT, FIXED64) => fields.count = Some(Number::Float(f64::from_bits(walk.fixed64()?))),
            (SUM, FIXED64) => it.sum = f64::from_bits(walk.fixed64()?),
            (SCHEMA, VARINT) => it.schema = signed_32(walk.varint()?),
            (ZERO_THRESHOLD, FIXED64) => it.zero_threshold = f64::from_bits(walk.fixed64()?),
            (ZERO_COUNT_INTEGER, VARINT) => fields.zero_count = Some(Number::Integer(walk.varint()?)),
            (ZERO_COUNT_FLOAT, FIXED64) => fields.zero_count = Some(Number::Float(f64::from_bits(walk.fixed64()?))),
            (NEGATIVE_SPANS, LENGTH) => it.negative_spans.push(span(walk.message()?, left)?),
            (POSITIVE_SPANS, LENGTH) => it.positive_spans.push(span(walk.message()?, left)?),
            (NEGATIVE_DELTAS, LENGTH | VARINT) => deltas(&mut walk, key.wire, &mut it.negative_deltas, left)?,
            (POSITIVE_DELTAS, LENGTH | VARINT) => deltas(&mut walk, key.wire, &mut it.positive_deltas, left)?,
            (NEGATIVE_COUNTS, LENGTH | FIXED64) => floats(&mut walk, key.wire, &mut fields.negative_counts, left)?,
            (POSITIVE_COUNTS, LENGTH | FIXED64) => floats(&mut walk, key.wire, &mut fields.positive_counts, left)?,
            (CUSTOM_VALUES, LENGTH | FIXED64) => floats(&mut walk, key.wire, &mut fields.custom_values, left)?,
            (RESET_HINT, VARINT) => it.reset_hint = hint(walk.varint()?),
            (TIMESTAMP, VARINT) => fields.t_ms = walk.varint()? as i64,
            (START_TIMESTAMP, VARINT) => fields.start_ms = walk.varint()? as i64,
            (COUNT_INTEGER..=CUSTOM_VALUES, _) => return Err(wrong_wire_type(start)),
            (_, wire) => walk.skip(wire)?,
        }
    }
    Ok(fields.finish())
}

impl Fields {
    fn finish(self) -> HistogramSample {
        let Self { t_ms, start_ms, count, zero_count, integer, positive_counts, negative_counts, custom_values } = self;
        let custom_bounds = if custom_values.is_empty() { Arc::default() } else { Arc::from(custom_values) };
        let value = match count {
            Some(Number::Float(count)) => HistogramValue::Float(Arc::new(FloatHistogram {
                reset_hint: integer.reset_hint,
                schema: integer.schema,
                zero_threshold: integer.zero_threshold,
                zero_count: if let Some(Number::Float(count)) = zero_count { count } else { 0.0 },
                count,
                sum: integer.sum,
                positive_spans: integer.positive_spans,
                negative_spans: integer.negative_spans,
                positive_counts,
                negative_counts,
                custom_bounds,
            })),
            Some(Number::Integer(_)) | None => HistogramValue::Integer(Arc::new(Histogram {
                count: if let Some(Number::Integer(count)) = count { count } else { 0 },
                zero_count: if let Some(Number::Integer(count)) = zero_count { count } else { 0 },
                custom_bounds,
                ..integer
            })),
        };
        HistogramSample { t_ms, start_ms, value }
    }
}

fn span(mut walk: Walk<'_>, left: &mut BucketsLeft) -> Result<BucketSpan, WireError> {
    left.take()?;
    let mut span = BucketSpan::default();
    while !walk.is_done() {
        let start = walk.at;
        let key = walk.key()?;
        match (key.number, key.wire) {
            (SPAN_OFFSET, VARINT) => span.offset = signed_32(walk.varint()?),
            (SPAN_LENGTH, VARINT) => span.length = walk.varint()? as u32,
            (SPAN_OFFSET | SPAN_LENGTH, _) => return Err(wrong_wire_type(start)),
            (_, wire) => walk.skip(wire)?,
        }
    }
    Ok(span)
}

/// Signed varints, packed or one by one.
fn deltas(walk: &mut Walk<'_>, wire: u8, out: &mut Vec<i64>, left: &mut BucketsLeft) -> Result<(), WireError> {
    repeated(walk, wire, left, |walk| {
        let number = walk.varint()?;
        out.push((number >> 1) as i64 ^ -((number & 1) as i64));
        Ok(())
    })
}

/// Doubles, packed or one by one.
fn floats(walk: &mut Walk<'_>, wire: u8, out: &mut Vec<f64>, left: &mut BucketsLeft) -> Result<(), WireError> {
    repeated(walk, wire, left, |walk| {
        out.push(f64::from_bits(walk.fixed64()?));
        Ok(())
    })
}

/// Reads the numbers of a repeated field, each with `read`.
fn repeated(
    walk: &mut Walk<'_>,
    wire: u8,
    left: &mut BucketsLeft,
    mut read: impl FnMut(&mut Walk<'_>) -> Result<(), WireError>,
) -> Result<(), WireError> {
    if wire != LENGTH {
        left.take()?;
        return read(walk);
    }
    let mut packed = walk.message()?;
    while !packed.is_done() {
        left.take()?;
        read(&mut packed)?;
    }
    Ok(())
}

/// A `sint32`: of a longer varint the low half counts.
fn signed_32(number: u64) -> i32 {
    let number = number as u32;
    (number >> 1) as i32 ^ -((number & 1) as i32)
}

fn hint(number: u64) -> CounterResetHint {
    match number as i32 {
        1 => CounterResetHint::Reset,
        2 => CounterResetHint::NotReset,
        3 => CounterResetHint::Gauge,
        _ => CounterResetHint::Unknown,
    }
}
