//! The native histograms of windows as cells: as chunks, beside flags and times that are integers.
//!
//! The hints of histograms stand in the flags. Chunks hold all as gauges, since sums go up and down.

use super::column::{Column, ColumnSet};
use super::series::{Cells, Reading, corrupt, push_integers, samples_of};
use crate::cursor::{Cursor, push_uvarint};
use crate::error::Result;
use bytes::Bytes;
use longhaul_chunk::{Chunk, Encoding, decode_any, encode as encode_chunks};
use longhaul_downsample::{HistogramPoint, HistogramWindow, Layouts, NumberedWindow, Resolution};
use longhaul_model::{CounterResetHint, FloatHistogram, Histogram, HistogramSum, Measurement, Value};
use std::sync::Arc;

/// Histograms of a chunk at most; it is closed earlier by its size.
const CHUNK_SAMPLES: u16 = 1000;

/// Bits of a window's flags. The hints of the last, the first and the last but one take two bits each, from there on.
const FLAG_SUM: i64 = 1 << 7;
const FLAG_CORRECTION: i64 = 1 << 8;
const HINT_SHIFTS: [u32; 3] = [9, 11, 13];

const HINTS: [CounterResetHint; 4] =
    [CounterResetHint::Unknown, CounterResetHint::Reset, CounterResetHint::NotReset, CounterResetHint::Gauge];

pub(super) fn encode(windows: &[NumberedWindow], resolution: Resolution, wanted: ColumnSet, cells: &mut Cells) {
    use Column::*;
    let start_ms = |number: i64| resolution.end_ms(number).wrapping_sub(resolution.length_ms());
    let all: Vec<(i64, &HistogramWindow)> =
        windows.iter().filter_map(|it| Some((it.number, it.window.histograms.as_deref()?))).collect();
    if all.is_empty() {
        return;
    }
    let count = |it: &NumberedWindow| it.window.histograms.as_ref().map_or(0, |histograms| histograms.count as i64);
    push_integers(cells, HistogramCount, wanted, windows.iter().map(count));
    let several = || all.iter().filter(|(_, it)| it.count > 1);
    let many =
        || several().filter(|(_, it)| it.count > 2).filter_map(|(number, it)| Some((number, it, it.prev.as_ref()?)));
    push_integers(cells, HistogramFlags, wanted, all.iter().map(|(_, it)| flags(it)));
    let last_ms = all.iter().map(|(number, it)| resolution.end_ms(*number).wrapping_sub(it.last.t_ms));
    push_integers(cells, HistogramLastTime, wanted, last_ms);
    push_integers(cells, HistogramLastStart, wanted, all.iter().map(|(_, it)| it.last.start_ms));
    let first_ms = several().map(|(number, it)| it.first.t_ms.wrapping_sub(start_ms(*number)));
    push_integers(cells, HistogramFirstTime, wanted, first_ms);
    push_integers(cells, HistogramFirstStart, wanted, several().map(|(_, it)| it.first.start_ms));
    push_integers(cells, HistogramResets, wanted, several().map(|(_, it)| it.resets as i64));
    push_integers(cells, HistogramChanges, wanted, several().map(|(_, it)| it.changes as i64));
    let prev_ms = many().map(|(_, it, prev)| it.last.t_ms.wrapping_sub(prev.t_ms));
    push_integers(cells, HistogramPrevTime, wanted, prev_ms);
    push_integers(cells, HistogramPrevStart, wanted, many().map(|(_, _, prev)| prev.start_ms));

    let mut push = |column: Column, histograms: Vec<(i64, FloatHistogram)>| {
        if wanted.contains(column) {
            push_chunks(&mut cells[column as usize], histograms);
        }
    };
    let value = |number: i64, point: &HistogramPoint| (number, FloatHistogram::clone(&point.value));
    push(HistogramLast, all.iter().map(|(number, it)| value(*number, &it.last)).collect());
    push(HistogramFirst, several().map(|(number, it)| value(*number, &it.first)).collect());
    push(HistogramPrev, many().map(|(number, _, prev)| value(*number, prev)).collect());
    let sums = several().filter_map(|(number, it)| Some((*number, it.sum.as_ref()?.total())));
    push(HistogramSum, sums.collect());
    let corrections = several().filter_map(|(number, it)| Some((*number, it.correction.as_ref()?.total())));
    push(HistogramCorrection, corrections.collect());
}

fn flags(it: &HistogramWindow) -> i64 {
    let layouts = it.layouts;
    let bits = [
        layouts.differ,
        layouts.spans_differ,
        layouts.gauges,
        layouts.counters,
        layouts.say_reset,
        layouts.say_no_reset,
        it.overlaps,
        it.sum.is_some(),
        it.correction.is_some(),
    ];
    let flags = bits.iter().enumerate().fold(0, |flags, (bit, set)| flags | i64::from(*set) << bit);
    let kept = [Some(&it.last), Some(&it.first), it.prev.as_ref()];
    kept.iter().zip(HINT_SHIFTS).fold(flags, |flags, (point, shift)| {
        let hint = point.map_or(CounterResetHint::Unknown, |point| point.value.reset_hint);
        let number = HINTS.iter().position(|it| *it == hint).unwrap_or(0);
        flags | (number as i64) << shift
    })
}

/// Appends histograms, whose windows stand for their times.
fn push_chunks(out: &mut Vec<u8>, histograms: Vec<(i64, FloatHistogram)>) {
    let samples = histograms.into_iter().map(|(number, mut histogram)| {
        histogram.reset_hint = CounterResetHint::Gauge;
        // Counts of observations are whole numbers, which take less as such.
        let value = match Histogram::try_from(&histogram) {
            Ok(integer) => Value::Histogram(Arc::new(integer)),
            Err(_) => Value::FloatHistogram(Arc::new(histogram)),
        };
        Measurement { t_ms: number, start_ms: 0, value }
    });
    let mut chunks = Vec::new();
    encode_chunks(samples, CHUNK_SAMPLES, &mut chunks);
    push_uvarint(out, chunks.len() as u64);
    for chunk in chunks {
        out.push(chunk.encoding.byte());
        push_uvarint(out, chunk.data.len() as u64);
        out.extend_from_slice(&chunk.data);
    }
}

fn read_chunks(mut cursor: Cursor<'_>, rows: usize) -> Result<Vec<FloatHistogram>> {
    let mut samples = Vec::new();
    for _ in 0..cursor.count(2)? {
        let encoding =
            Encoding::try_from(cursor.u8()?).map_err(|_| cursor.corrupt("a cell has an unknown encoding"))?;
        if !encoding.is_histogram() {
            return Err(cursor.corrupt("a cell of histograms has a chunk of something else"));
        }
        let data = Bytes::copy_from_slice(cursor.prefixed()?);
        let chunk = Chunk { encoding, min_ms: i64::MIN, max_ms: i64::MAX, data };
        decode_any(&chunk, &mut samples).map_err(|_| cursor.corrupt("a cell has a corrupt chunk"))?;
        if samples.len() > rows {
            return Err(cursor.corrupt("a cell has more histograms than windows"));
        }
    }
    cursor.finish()?;
    if samples.len() != rows {
        return Err(cursor.corrupt("a cell has fewer histograms than windows"));
    }
    let histogram = |sample: Measurement| match sample.value {
        Value::Float(_) => None,
        Value::Histogram(value) => Some(FloatHistogram::from(&*value)),
        Value::FloatHistogram(value) => Some(Arc::unwrap_or_clone(value)),
    };
    Ok(samples.into_iter().filter_map(histogram).collect())
}

pub(super) fn decode(reading: &mut Reading<'_>, resolution: Resolution, windows: &mut [NumberedWindow]) -> Result<()> {
    use Column::*;
    let start_ms = |number: i64| resolution.end_ms(number).wrapping_sub(resolution.length_ms());
    let Some(counts) = reading.integers(HistogramCount, windows.len())? else { return Ok(()) };
    let mut rows: Vec<Row> = Vec::new();
    for (it, count) in windows.iter().zip(&counts).filter(|(_, count)| **count != 0) {
        let count = samples_of(*count, resolution)?;
        rows.push(Row { number: it.number, count, ..Row::default() });
    }
    let all: fn(&Row) -> bool = |_| true;
    let several: fn(&Row) -> bool = |row| row.count > 1;
    let many: fn(&Row) -> bool = |row| row.count > 2;
    let mut integers = |column: Column, has: fn(&Row) -> bool, put: &dyn Fn(&mut Row, i64)| -> Result<()> {
        let count = rows.iter().filter(|row| has(row)).count();
        if let Some(integers) = reading.integers(column, count)? {
            rows.iter_mut().filter(|row| has(row)).zip(integers).for_each(|(row, integer)| put(row, integer));
        }
        Ok(())
    };
    integers(HistogramFlags, all, &|row, flags| row.flags = flags)?;
    integers(HistogramLastTime, all, &|row, before_ms| {
        row.last_ms = resolution.end_ms(row.number).wrapping_sub(before_ms);
        row.first_ms = row.last_ms;
    })?;
    integers(HistogramLastStart, all, &|row, start_ms| (row.last_start_ms, row.first_start_ms) = (start_ms, start_ms))?;
    integers(HistogramFirstTime, several, &|row, behind_ms| {
        row.first_ms = start_ms(row.number).wrapping_add(behind_ms);
        row.prev_ms = row.first_ms;
    })?;
    integers(HistogramFirstStart, several, &|row, start_ms| {
        (row.first_start_ms, row.prev_start_ms) = (start_ms, start_ms);
    })?;
    integers(HistogramResets, several, &|row, resets| row.resets = resets as u64)?;
    integers(HistogramChanges, several, &|row, changes| row.changes = changes as u64)?;
    integers(HistogramPrevTime, many, &|row, before_ms| row.prev_ms = row.last_ms.wrapping_sub(before_ms))?;
    integers(HistogramPrevStart, many, &|row, start_ms| row.prev_start_ms = start_ms)?;

    let mut histograms = |column: Column, has: fn(&Row) -> bool, put: fn(&mut Row, FloatHistogram)| -> Result<()> {
        let count = rows.iter().filter(|row| has(row)).count();
        if let Some(cursor) = reading.cell(column) {
            let histograms = read_chunks(cursor, count)?;
            rows.iter_mut().filter(|row| has(row)).zip(histograms).for_each(|(row, it)| put(row, it));
        }
        Ok(())
    };
    histograms(HistogramLast, all, |row, it| row.last = Some(row.hinted(it, 0)))?;
    histograms(HistogramFirst, several, |row, it| row.first = Some(row.hinted(it, 1)))?;
    histograms(HistogramPrev, many, |row, it| row.prev = Some(row.hinted(it, 2)))?;
    let summed: fn(&Row) -> bool = |row| row.count > 1 && row.flags & FLAG_SUM != 0;
    histograms(HistogramSum, summed, |row, it| row.sum = Some(it))?;
    let corrected: fn(&Row) -> bool = |row| row.count > 1 && row.flags & FLAG_CORRECTION != 0;
    histograms(HistogramCorrection, corrected, |row, it| row.correction = Some(it))?;
    if rows.iter().any(|row| row.resets >= row.count || row.changes >= row.count) {
        return Err(corrupt("a window counts more than it has histograms"));
    }
    let mut rows = rows.into_iter();
    for (it, _) in windows.iter_mut().zip(counts).filter(|(_, count)| *count != 0) {
        it.window.histograms = rows.next().map(|row| Box::new(row.into_window()));
    }
    Ok(())
}

/// A window being read.
#[derive(Default)]
struct Row {
    number: i64,
    count: u64,
    flags: i64,
    first_ms: i64,
    last_ms: i64,
    prev_ms: i64,
    first_start_ms: i64,
    last_start_ms: i64,
    prev_start_ms: i64,
    resets: u64,
    changes: u64,
    first: Option<Arc<FloatHistogram>>,
    last: Option<Arc<FloatHistogram>>,
    prev: Option<Arc<FloatHistogram>>,
    sum: Option<FloatHistogram>,
    correction: Option<FloatHistogram>,
}

impl Row {
    /// A histogram with the hint that the flags keep for it.
    fn hinted(&self, mut histogram: FloatHistogram, place: usize) -> Arc<FloatHistogram> {
        histogram.reset_hint = HINTS[(self.flags >> HINT_SHIFTS[place] & 3) as usize];
        Arc::new(histogram)
    }

    fn into_window(self) -> HistogramWindow {
        let Self { count, flags, .. } = self;
        let last = self.last.unwrap_or_default();
        let first = self.first.unwrap_or_else(|| last.clone());
        let prev = self.prev.unwrap_or_else(|| first.clone());
        let prev = HistogramPoint { t_ms: self.prev_ms, start_ms: self.prev_start_ms, value: prev };
        let bit = |bit: u32| flags & 1 << bit != 0;
        let sum = match count {
            1 => Some(HistogramSum::new(&last)),
            _ => self.sum.as_ref().map(HistogramSum::new),
        };
        HistogramWindow {
            count,
            sum,
            correction: self.correction.as_ref().map(HistogramSum::new),
            prev: (count > 1).then_some(prev),
            first: HistogramPoint { t_ms: self.first_ms, start_ms: self.first_start_ms, value: first },
            last: HistogramPoint { t_ms: self.last_ms, start_ms: self.last_start_ms, value: last },
            resets: self.resets,
            changes: self.changes,
            layouts: Layouts {
                differ: bit(0),
                spans_differ: bit(1),
                gauges: bit(2),
                counters: bit(3),
                say_reset: bit(4),
                say_no_reset: bit(5),
            },
            overlaps: bit(6),
        }
    }
}
