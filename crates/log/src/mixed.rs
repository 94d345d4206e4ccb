//! What a mixed frame has behind the payload of a sample frame: the samples that are no plain floats, as columns.
//!
//! ```text
//! others per entry | kinds | times (as deltas) | starts (as deltas) | values of floats | histograms
//! ```
//!
//! Invariant: histograms were validated before they get here, so that their spans say how many buckets follow.

use crate::samples::{self, SAMPLES_MAX, SampleColumns, ValueWriter, push_column, read_column, read_values};
use crate::varint::{Input, push, push_signed};
use crate::{Batch, LogError};
use longhaul_model::{BucketSpan, CounterResetHint, FloatHistogram, Histogram, Measurement, TenantId, Value};
use std::sync::Arc;

const FLOAT: i64 = 0;
const INTEGER_HISTOGRAM: i64 = 1;
const FLOAT_HISTOGRAM: i64 = 2;

/// In a histogram's first byte, beside two bits for what is known of counter resets.
const SAME_BOUNDS: u8 = 4;

/// By the number that stands for each in a frame.
const HINTS: [CounterResetHint; 4] =
    [CounterResetHint::Unknown, CounterResetHint::Reset, CounterResetHint::NotReset, CounterResetHint::Gauge];

/// The decoded samples.
#[derive(Debug, Default)]
pub(crate) struct Others {
    /// How many of them each entry has.
    pub(crate) counts: Vec<u32>,
    /// Entry by entry.
    pub(crate) samples: Vec<Measurement>,
}

/// Appends what `batch` has beside plain floats.
pub(crate) fn encode<B: Batch>(batch: &B, out: &mut Vec<u8>) -> Result<(), LogError> {
    let counts: Vec<i64> = (0..batch.entries()).map(|entry| batch.others(entry).len() as i64).collect();
    let all: Vec<&Measurement> = (0..batch.entries()).flat_map(|entry| batch.others(entry)).collect();
    if all.len() > SAMPLES_MAX {
        return Err(LogError::TooLarge("more samples than a frame may hold"));
    }
    push_column(out, &counts);
    push_column(out, &all.iter().map(|sample| kind_of(&sample.value)).collect::<Vec<_>>());
    push_column(out, &deltas(all.iter().map(|sample| sample.t_ms)));
    push_column(out, &deltas(all.iter().map(|sample| sample.start_ms)));
    let mut values = ValueWriter::default();
    for sample in &all {
        if let Value::Float(value) = sample.value {
            values.push(out, value);
        }
    }
    values.finish(out);
    let mut bounds: &[f64] = &[];
    for sample in &all {
        match &sample.value {
            Value::Float(_) => {}
            Value::Histogram(it) => push_integer(out, it, std::mem::replace(&mut bounds, &it.custom_bounds)),
            Value::FloatHistogram(it) => push_float(out, it, std::mem::replace(&mut bounds, &it.custom_bounds)),
        }
    }
    Ok(())
}

/// Reads the payload of a mixed frame; `None` if it is anything else.
pub(crate) fn decode(payload: &[u8]) -> Option<(TenantId, SampleColumns, Others)> {
    let mut input = Input(payload);
    let decoded = read(&mut input)?;
    input.is_empty().then_some(decoded)
}

/// Reads it from the front of `input`.
pub(crate) fn read(input: &mut Input<'_>) -> Option<(TenantId, SampleColumns, Others)> {
    let (tenant, columns) = samples::read(input)?;
    let mut others = Others::default();
    let mut total = 0usize;
    for count in read_column(input, columns.series.len())? {
        let count = u32::try_from(count).ok()?;
        total = total.checked_add(count as usize).filter(|total| *total <= SAMPLES_MAX)?;
        others.counts.push(count);
    }
    let kinds = read_column(input, total)?;
    let times = sums(read_column(input, total)?);
    let starts = sums(read_column(input, total)?);
    let floats = read_values(input, kinds.iter().filter(|kind| **kind == FLOAT).count())?;
    let (mut floats, mut bounds) = (floats.into_iter(), Arc::default());
    for ((kind, t_ms), start_ms) in kinds.into_iter().zip(times).zip(starts) {
        let value = match kind {
            FLOAT => Value::Float(floats.next()?),
            INTEGER_HISTOGRAM => Value::Histogram(Arc::new(read_integer(input, &mut bounds)?)),
            FLOAT_HISTOGRAM => Value::FloatHistogram(Arc::new(read_float(input, &mut bounds)?)),
            _ => return None,
        };
        others.samples.push(Measurement { t_ms, start_ms, value });
    }
    Some((tenant, columns, others))
}

fn kind_of(value: &Value) -> i64 {
    match value {
        Value::Float(_) => FLOAT,
        Value::Histogram(_) => INTEGER_HISTOGRAM,
        Value::FloatHistogram(_) => FLOAT_HISTOGRAM,
    }
}

pub(crate) fn deltas(numbers: impl Iterator<Item = i64>) -> Vec<i64> {
    numbers.scan(0i64, |before, number| Some(number.wrapping_sub(std::mem::replace(before, number)))).collect()
}

pub(crate) fn sums(mut deltas: Vec<i64>) -> Vec<i64> {
    let mut sum = 0i64;
    for delta in &mut deltas {
        sum = sum.wrapping_add(*delta);
        *delta = sum;
    }
    deltas
}

fn push_integer(out: &mut Vec<u8>, it: &Histogram, bounds_before: &[f64]) {
    push_layout(
        out,
        it.reset_hint,
        it.schema,
        [&it.positive_spans, &it.negative_spans],
        &it.custom_bounds,
        bounds_before,
    );
    push_values(out, &[&[it.zero_threshold, it.sum]]);
    push(out, it.zero_count);
    push(out, it.count);
    it.positive_deltas.iter().chain(&it.negative_deltas).for_each(|delta| push_signed(out, *delta));
}

fn push_float(out: &mut Vec<u8>, it: &FloatHistogram, bounds_before: &[f64]) {
    push_layout(
        out,
        it.reset_hint,
        it.schema,
        [&it.positive_spans, &it.negative_spans],
        &it.custom_bounds,
        bounds_before,
    );
    let numbers = [it.zero_threshold, it.sum, it.zero_count, it.count];
    push_values(out, &[&numbers, &it.positive_counts, &it.negative_counts]);
}

/// Appends what both types have in common: which buckets there are.
fn push_layout(
    out: &mut Vec<u8>,
    hint: CounterResetHint,
    schema: i32,
    sides: [&[BucketSpan]; 2],
    bounds: &[f64],
    bounds_before: &[f64],
) {
    let hint = HINTS.iter().position(|it| *it == hint).unwrap_or_default() as u8;
    let same_bounds = bounds.iter().map(|it| it.to_bits()).eq(bounds_before.iter().map(|it| it.to_bits()));
    out.push(hint | if same_bounds { SAME_BOUNDS } else { 0 });
    push_signed(out, schema.into());
    for spans in sides {
        push(out, spans.len() as u64);
        for span in spans {
            push_signed(out, span.offset.into());
            push(out, span.length.into());
        }
    }
    if !same_bounds {
        push(out, bounds.len() as u64);
        push_values(out, &[bounds]);
    }
}

fn push_values(out: &mut Vec<u8>, runs: &[&[f64]]) {
    let mut values = ValueWriter::default();
    runs.iter().copied().flatten().for_each(|value| values.push(out, *value));
    values.finish(out);
}

struct Layout {
    reset_hint: CounterResetHint,
    schema: i32,
    spans: [Vec<BucketSpan>; 2],
    /// Buckets of each side.
    buckets: [usize; 2],
}

/// Reads a layout; `bounds` become the histogram's.
fn read_layout(input: &mut Input<'_>, bounds: &mut Arc<[f64]>) -> Option<Layout> {
    let first = input.byte()?;
    let reset_hint = *HINTS.get(usize::from(first & !SAME_BOUNDS))?;
    let schema = i32::try_from(input.signed()?).ok()?;
    let (mut spans, mut buckets) = ([Vec::new(), Vec::new()], [0usize; 2]);
    for (spans, buckets) in spans.iter_mut().zip(&mut buckets) {
        for _ in 0..input.varint()? {
            let span = BucketSpan { offset: i32::try_from(input.signed()?).ok()?, length: input.u32()? };
            *buckets = buckets.checked_add(span.length as usize).filter(|buckets| *buckets <= SAMPLES_MAX)?;
            spans.push(span);
        }
    }
    if first & SAME_BOUNDS == 0 {
        let count = usize::try_from(input.varint()?).ok().filter(|count| *count <= SAMPLES_MAX)?;
        *bounds = read_values(input, count)?.into();
    }
    Some(Layout { reset_hint, schema, spans, buckets })
}

fn read_integer(input: &mut Input<'_>, bounds: &mut Arc<[f64]>) -> Option<Histogram> {
    let Layout { reset_hint, schema, spans: [positive_spans, negative_spans], buckets } = read_layout(input, bounds)?;
    let [zero_threshold, sum] = read_values(input, 2)?.try_into().ok()?;
    let (zero_count, count) = (input.varint()?, input.varint()?);
    let mut deltas = |count: usize| (0..count).map(|_| input.signed()).collect::<Option<Vec<i64>>>();
    let (positive_deltas, negative_deltas) = (deltas(buckets[0])?, deltas(buckets[1])?);
    let custom_bounds = Arc::clone(bounds);
    Some(Histogram {
        reset_hint,
        schema,
        zero_threshold,
        zero_count,
        count,
        sum,
        positive_spans,
        negative_spans,
        positive_deltas,
        negative_deltas,
        custom_bounds,
    })
}

fn read_float(input: &mut Input<'_>, bounds: &mut Arc<[f64]>) -> Option<FloatHistogram> {
    let Layout { reset_hint, schema, spans: [positive_spans, negative_spans], buckets } = read_layout(input, bounds)?;
    let mut numbers = read_values(input, 4 + buckets[0] + buckets[1])?;
    let mut positive_counts = numbers.split_off(4);
    let [zero_threshold, sum, zero_count, count] = numbers.try_into().ok()?;
    let negative_counts = positive_counts.split_off(buckets[0]);
    Some(FloatHistogram {
        reset_hint,
        schema,
        zero_threshold,
        zero_count,
        count,
        sum,
        positive_spans,
        negative_spans,
        positive_counts,
        negative_counts,
        custom_bounds: Arc::clone(bounds),
    })
}

#[cfg(test)]
mod tests;
