//! The payload of a sample frame: one batch as columns. Every frame decodes alone.
//!
//! ```text
//! tenant | entries | series numbers (as deltas) | samples per entry | times (as deltas) | values
//! ```
//!
//! The integer columns hold runs and literals; a value is a tag and as few bytes as give back its exact bits.

use crate::varint::{Input, push, push_bytes, push_signed, unzigzag, zigzag};
use crate::{Batch, LogError};
use longhaul_model::TenantId;

/// Most samples (and most entries) in a frame: runs make a short payload stand for many, so reading needs a bound.
pub(crate) const SAMPLES_MAX: usize = 1 << 24;

/// Buffers that outlive a batch.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    series: Vec<i64>,
    counts: Vec<i64>,
    times: Vec<i64>,
}

/// Appends the payload for `batch` to `out`.
pub(crate) fn encode<B: Batch>(batch: &B, scratch: &mut Scratch, out: &mut Vec<u8>) -> Result<(), LogError> {
    let Scratch { series, counts, times } = scratch;
    series.clear();
    counts.clear();
    times.clear();
    let (mut number, mut time) = (-1i64, 0i64);
    for entry in 0..batch.entries() {
        let next = i64::from(batch.series_number(entry));
        series.push(next - number);
        number = next;
        let samples = batch.samples(entry);
        counts.push(samples.len() as i64);
        for sample in samples {
            times.push(sample.t_ms.wrapping_sub(time));
            time = sample.t_ms;
        }
    }
    if series.len() > SAMPLES_MAX || times.len() > SAMPLES_MAX {
        return Err(LogError::TooLarge("more samples than a frame may hold"));
    }
    push_bytes(out, batch.tenant().as_str().as_bytes());
    push(out, series.len() as u64);
    push_column(out, series);
    push_column(out, counts);
    push_column(out, times);
    let mut values = ValueWriter::default();
    for entry in 0..batch.entries() {
        for sample in batch.samples(entry) {
            values.push(out, sample.value);
        }
    }
    values.finish(out);
    Ok(())
}

/// The columns of a decoded frame.
#[derive(Debug, Default)]
pub(crate) struct SampleColumns {
    /// The entries' series.
    pub(crate) series: Vec<u32>,
    /// How many samples each entry has.
    pub(crate) counts: Vec<u32>,
    /// Times of all samples, entry by entry, ms.
    pub(crate) times: Vec<i64>,
    /// Their values.
    pub(crate) values: Vec<f64>,
}

/// Reads what [`encode`] wrote; `None` if `payload` is anything else.
pub(crate) fn decode(payload: &[u8]) -> Option<(TenantId, SampleColumns)> {
    let mut input = Input(payload);
    let decoded = read(&mut input)?;
    input.is_empty().then_some(decoded)
}

/// Reads what [`encode`] wrote from the front of `input`.
pub(crate) fn read(input: &mut Input<'_>) -> Option<(TenantId, SampleColumns)> {
    let tenant = TenantId::parse(input.text()?).ok()?;
    let entries = usize::try_from(input.varint()?).ok().filter(|entries| *entries <= SAMPLES_MAX)?;
    let mut columns = SampleColumns::default();
    let mut number = -1i64;
    for delta in read_column(input, entries)? {
        number = number.checked_add(delta)?;
        columns.series.push(u32::try_from(number).ok()?);
    }
    let mut samples = 0usize;
    for count in read_column(input, entries)? {
        let count = u32::try_from(count).ok()?;
        samples = samples.checked_add(count as usize).filter(|samples| *samples <= SAMPLES_MAX)?;
        columns.counts.push(count);
    }
    columns.times = read_column(input, samples)?;
    let mut time = 0i64;
    for delta in &mut columns.times {
        time = time.wrapping_add(*delta);
        *delta = time;
    }
    columns.values = read_values(input, samples)?;
    Some((tenant, columns))
}

/// From how many equal values on a run is written as one: below, control bytes cost more than they save.
const RUN_MIN: usize = 3;

/// Appends a column of integers: groups of `length << 1` and one value that repeats, or `length << 1 | 1` and so many
/// values. How many values there are in all is the reader's to know.
pub(crate) fn push_column(out: &mut Vec<u8>, values: &[i64]) {
    let (mut unwritten, mut at) = (0, 0);
    while at < values.len() {
        let value = values[at];
        let length = values[at..].iter().take_while(|other| **other == value).count();
        if length >= RUN_MIN {
            push_literals(out, &values[unwritten..at]);
            push(out, (length as u64) << 1);
            push_signed(out, value);
            unwritten = at + length;
        }
        at += length;
    }
    push_literals(out, &values[unwritten..]);
}

fn push_literals(out: &mut Vec<u8>, values: &[i64]) {
    if !values.is_empty() {
        push(out, (values.len() as u64) << 1 | 1);
        for value in values {
            push_signed(out, *value);
        }
    }
}

/// Reads a column of exactly `length` integers.
pub(crate) fn read_column(input: &mut Input<'_>, length: usize) -> Option<Vec<i64>> {
    let mut values = Vec::new();
    while values.len() < length {
        let control = input.varint()?;
        let group = usize::try_from(control >> 1).ok().filter(|group| (1..=length - values.len()).contains(group))?;
        if control & 1 == 0 {
            values.resize(values.len() + group, input.signed()?);
        } else {
            for _ in 0..group {
                values.push(input.signed()?);
            }
        }
    }
    Some(values)
}

// The tag before a value: 0x0n an integer in n bytes (zigzag, little-endian, no leading zeros); 0x1n, 0x2n, 0x3n such
// an integer divided by 10^3, 10^6, 10^9; 0x40 the value's eight bytes; 0x80 + k: the value before once more, k + 1
// times. The "value before" the first one is +0.
const RAW: u8 = 0x40;
const REPEAT: u8 = 0x80;
const REPEATS_MAX: u8 = 128;
const INTEGER_BYTES_MAX: usize = 7; // eight would be as long as the raw value
const SCALES: [f64; 4] = [1.0, 1e3, 1e6, 1e9];

/// Writes values one by one.
#[derive(Debug, Default)]
pub(crate) struct ValueWriter {
    before: u64,
    repeats: u8,
}

impl ValueWriter {
    #[inline]
    pub(crate) fn push(&mut self, out: &mut Vec<u8>, value: f64) {
        let bits = value.to_bits();
        if bits == self.before {
            self.repeats += 1;
            if self.repeats == REPEATS_MAX {
                self.finish(out);
            }
            return;
        }
        self.finish(out);
        self.before = bits;
        let integer = value as i64;
        if (integer as f64).to_bits() == bits {
            push_scaled(out, 0, integer, bits);
        } else {
            push_fraction(out, value);
        }
    }

    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        if self.repeats > 0 {
            out.push(REPEAT + (self.repeats - 1));
            self.repeats = 0;
        }
    }
}

/// A value with few decimals is an integer over a power of ten; whether it is *exactly* that is checked by the
/// division that the reader will do.
fn push_fraction(out: &mut Vec<u8>, value: f64) {
    // Nine decimals hold every value with three or six, as long as the integer stays below 2^53.
    let scale = if value.abs() < 9e6 { 3 } else { 1 };
    let scaled = value * SCALES[scale];
    let integer = (scaled + 0.5f64.copysign(scaled)) as i64; // saturates; NaN becomes 0: both fail the check
    if (integer as f64 / SCALES[scale]).to_bits() != value.to_bits() {
        push_raw(out, value.to_bits());
    } else if scale == 3 && integer % 1_000_000 == 0 {
        push_scaled(out, 1, integer / 1_000_000, value.to_bits());
    } else if scale == 3 && integer % 1000 == 0 {
        push_scaled(out, 2, integer / 1000, value.to_bits());
    } else {
        push_scaled(out, scale as u8, integer, value.to_bits());
    }
}

#[inline]
fn push_scaled(out: &mut Vec<u8>, scale: u8, integer: i64, bits: u64) {
    let folded = zigzag(integer);
    let length = (u64::BITS - folded.leading_zeros()).div_ceil(8) as usize;
    // An integer over 10^6 whose nine decimals passed the check divides to the same bits: both are the double nearest
    // to one and the same number, and both integers are exact below 2^53.
    if length > INTEGER_BYTES_MAX {
        return push_raw(out, bits);
    }
    let mut bytes = [0; 9];
    bytes[0] = scale << 4 | length as u8;
    bytes[1..].copy_from_slice(&folded.to_le_bytes());
    let end = out.len() + 1 + length;
    out.extend_from_slice(&bytes); // nine bytes at once and a cut are faster than a copy of unknown length
    out.truncate(end);
}

fn push_raw(out: &mut Vec<u8>, bits: u64) {
    out.push(RAW);
    out.extend_from_slice(&bits.to_le_bytes());
}

pub(crate) fn read_values(input: &mut Input<'_>, length: usize) -> Option<Vec<f64>> {
    let mut values = Vec::new();
    let mut before = 0f64;
    while values.len() < length {
        let tag = input.byte()?;
        if tag >= REPEAT {
            let repeats = usize::from(tag - REPEAT) + 1;
            if repeats > length - values.len() {
                return None;
            }
            values.resize(values.len() + repeats, before);
            continue;
        }
        before = if tag == RAW {
            f64::from_bits(u64::from_le_bytes(input.take(8)?.try_into().ok()?))
        } else {
            let (scale, size) = (usize::from(tag >> 4), usize::from(tag & 15));
            if scale >= SCALES.len() || size > INTEGER_BYTES_MAX {
                return None;
            }
            let mut bytes = [0; 8];
            bytes[..size].copy_from_slice(input.take(size)?);
            let integer = unzigzag(u64::from_le_bytes(bytes)) as f64;
            if scale == 0 { integer } else { integer / SCALES[scale] }
        };
        values.push(before);
    }
    Some(values)
}

#[cfg(test)]
mod tests;
