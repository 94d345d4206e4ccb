//! The windows of one series as cells, and back: which rows a column has, and what is expected of each.
//!
//! What follows from other columns has no row. The one sample of a window of one is its last; of two, the first is the last
//! but one.

use super::column::{Column, ColumnSet};
use super::page::Page;
use super::values::{self, Expected};
use super::{FILE, SERIES_WINDOWS_MAX, cell, histograms};
use crate::cursor::{Cursor, push_uvarint};
use crate::error::{BlockError, Result};
use longhaul_downsample::{FloatWindow, NumberedWindow, Point, Resolution, Window};
use longhaul_model::kahan;

/// A sum of decimals that is this close to a decimal number is written as one.
const SUM_TOLERANCE: f64 = 1.0 / (1u64 << 50) as f64;

/// Squares keep this many bits of their mantissa.
const SQUARES_BITS: u32 = 40;

/// What rounding has lost of a sum is written where it is more than this share of the smallest sample that is known: sums
/// that cancel would miss it.
const LOST_SHARE: f64 = 1.0 / (1u64 << 40) as f64;

/// The cells of a series by the numbers of their columns; empty where it has none.
pub(super) type Cells = Vec<Vec<u8>>;

/// The pages of a run by the numbers of their columns.
pub(super) type Pages = Vec<Page>;

/// Encodes a series' windows, of which `wanted` columns are kept. `cells` are empty before.
pub(super) fn encode(windows: &[NumberedWindow], resolution: Resolution, wanted: ColumnSet, cells: &mut Cells) {
    let number = &mut cells[Column::Number as usize];
    push_uvarint(number, windows.len() as u64);
    let gaps = windows.iter().enumerate().map(|(at, it)| match at {
        0 => it.number,
        at => it.number.wrapping_sub(windows[at - 1].number).wrapping_sub(1),
    });
    cell::push(number, 0, &gaps.collect::<Vec<_>>());
    let start_ms = |number: i64| resolution.end_ms(number).wrapping_sub(resolution.length_ms());
    let stale = windows.iter().map(|it| it.window.stale_ms.map_or(0, |at_ms| at_ms.wrapping_sub(start_ms(it.number))));
    push_integers(cells, Column::Stale, wanted, stale);
    histograms::encode(windows, resolution, wanted, cells);
    if windows.iter().any(|it| it.window.floats.is_some()) {
        encode_floats(windows, resolution, wanted, cells);
    }
}

fn encode_floats(windows: &[NumberedWindow], resolution: Resolution, wanted: ColumnSet, cells: &mut Cells) {
    use Column::*;
    let start_ms = |number: i64| resolution.end_ms(number).wrapping_sub(resolution.length_ms());
    let with_floats = || windows.iter().filter_map(|it| Some((it.number, it.window.floats.as_ref()?)));
    let all: Vec<(i64, &FloatWindow)> = with_floats().collect();
    let several: Vec<(i64, &FloatWindow)> = with_floats().filter(|(_, it)| it.count > 1).collect();
    let many: Vec<(&FloatWindow, Point)> =
        several.iter().filter(|(_, it)| it.count > 2).filter_map(|(_, it)| Some((*it, it.prev?))).collect();

    let count = |it: &NumberedWindow| it.window.floats.map_or(0, |floats| floats.count as i64);
    push_integers(cells, Count, wanted, windows.iter().map(count));
    let last_ms = all.iter().map(|(number, it)| resolution.end_ms(*number).wrapping_sub(it.last.t_ms));
    push_integers(cells, LastTime, wanted, last_ms);
    push_integers(cells, LastStart, wanted, all.iter().map(|(_, it)| it.last.start_ms));
    let of_several = |figure: fn(&FloatWindow) -> i64| several.iter().map(move |(_, it)| figure(it));
    push_integers(
        cells,
        FirstTime,
        wanted,
        several.iter().map(|(number, it)| it.first.t_ms.wrapping_sub(start_ms(*number))),
    );
    push_integers(cells, FirstStart, wanted, of_several(|it| it.first.start_ms));
    push_integers(cells, NanCount, wanted, of_several(|it| it.nan_count as i64));
    push_integers(cells, MinTime, wanted, of_several(|it| it.last.t_ms.wrapping_sub(it.min_ms)));
    push_integers(cells, MaxTime, wanted, of_several(|it| it.last.t_ms.wrapping_sub(it.max_ms)));
    push_integers(cells, Resets, wanted, of_several(|it| it.resets as i64));
    push_integers(cells, Changes, wanted, of_several(|it| it.changes as i64));
    push_integers(cells, Overlaps, wanted, of_several(|it| it.overlaps.into()));
    push_integers(cells, PrevTime, wanted, many.iter().map(|(it, prev)| it.last.t_ms.wrapping_sub(prev.t_ms)));
    push_integers(cells, PrevStart, wanted, many.iter().map(|(_, prev)| prev.start_ms));

    let mut push = |column: Column, values: Vec<f64>, expected: Expected<'_>, tolerance: f64| {
        if wanted.contains(column) {
            values::push(&mut cells[column as usize], &values, &expected, tolerance);
        }
    };
    push(Last, all.iter().map(|(_, it)| it.last.value).collect(), Expected::Nothing, 0.0);
    let before = last_before(all.iter().map(|(_, it)| *it));
    push(First, several.iter().map(|(_, it)| it.first.value).collect(), Expected::About(&before), 0.0);
    let expected: Vec<f64> = many.iter().map(|(it, _)| it.last.value).collect();
    push(Prev, many.iter().map(|(_, prev)| prev.value).collect(), Expected::About(&expected), 0.0);
    let floats = || several.iter().map(|(_, it)| *it);
    let expected: Vec<f64> = floats().map(expected_min).collect();
    push(Min, floats().map(|it| it.min).collect(), Expected::About(&expected), 0.0);
    let expected: Vec<f64> = floats().map(expected_max).collect();
    push(Max, floats().map(|it| it.max).collect(), Expected::About(&expected), 0.0);
    let sums: Vec<kahan::Sum> = floats().map(rounded_sum).collect();
    let lost: Vec<f64> = floats().zip(&sums).map(|(it, sum)| lost_worth_keeping(it, *sum)).collect();
    let exact = lost.iter().any(|lost| *lost != 0.0);
    let expected: Vec<f64> = floats().map(expected_sum).collect();
    let tolerance = if exact { 0.0 } else { SUM_TOLERANCE };
    push(Sum, sums.iter().map(|sum| sum.sum).collect(), Expected::About(&expected), tolerance);
    if exact {
        push(SumLost, lost, Expected::Nothing, 0.0);
    }
    let expected = vec![0.0; several.len()];
    push(Correction, floats().map(|it| it.correction).collect(), Expected::About(&expected), 0.0);
    let expected: Vec<f64> = floats().map(expected_squares).collect();
    push(Squares, floats().map(|it| rounded(it.squares)).collect(), Expected::About(&expected), 0.0);
}

/// Appends the cell of a column of integers, each as its difference to the one before. A column that is zero where it is
/// missing has no cell if it is zero.
pub(super) fn push_integers(
    cells: &mut Cells,
    column: Column,
    wanted: ColumnSet,
    integers: impl Iterator<Item = i64> + Clone,
) {
    if !wanted.contains(column) || (column.is_zero_if_missing() && integers.clone().all(|integer| integer == 0)) {
        return;
    }
    let mut before = 0i64;
    let differences = integers.map(|integer| integer.wrapping_sub(std::mem::replace(&mut before, integer)));
    cell::push(&mut cells[column as usize], 0, &differences.collect::<Vec<_>>());
}

/// Decodes the `asked` columns, which are closed, of a series of a run; says which of them it has. Of the others the windows
/// hold zeros.
pub(super) fn decode(
    pages: &Pages,
    series: usize,
    resolution: Resolution,
    asked: ColumnSet,
) -> Result<(ColumnSet, Vec<NumberedWindow>)> {
    let mut reading = Reading { pages, series, asked, known: ColumnSet::default() };
    let mut windows = reading.numbers()?;
    let start_ms = |number: i64| resolution.end_ms(number).wrapping_sub(resolution.length_ms());
    if let Some(stale) = reading.integers(Column::Stale, windows.len())? {
        for (it, stale) in windows.iter_mut().zip(stale) {
            it.window.stale_ms = (stale != 0).then(|| start_ms(it.number).wrapping_add(stale));
        }
    }
    histograms::decode(&mut reading, resolution, &mut windows)?;
    decode_floats(&mut reading, resolution, &mut windows)?;
    Ok((reading.known, windows))
}

fn decode_floats(reading: &mut Reading<'_>, resolution: Resolution, windows: &mut [NumberedWindow]) -> Result<()> {
    use Column::*;
    let start_ms = |number: i64| resolution.end_ms(number).wrapping_sub(resolution.length_ms());
    let Some(counts) = reading.integers(Count, windows.len())? else { return Ok(()) };
    let mut numbers = Vec::new();
    let mut all: Vec<FloatWindow> = Vec::new();
    for (it, count) in windows.iter().zip(&counts).filter(|(_, count)| **count != 0) {
        let count = samples_of(*count, resolution)?;
        numbers.push(it.number);
        let nothing = Point { t_ms: resolution.end_ms(it.number), start_ms: 0, value: 0.0 };
        all.push(FloatWindow { count, ..FloatWindow::of(nothing) });
    }
    if let Some(starts) = reading.integers(LastStart, all.len())? {
        all.iter_mut().zip(starts).for_each(|(it, start_ms)| it.last.start_ms = start_ms);
    }
    if let Some(times) = reading.integers(LastTime, all.len())? {
        all.iter_mut().zip(times).for_each(|(it, before_ms)| it.last.t_ms = it.last.t_ms.wrapping_sub(before_ms));
    }
    if let Some(values) = reading.values(Last, all.len(), Expected::Nothing)? {
        all.iter_mut().zip(values).for_each(|(it, value)| it.last.value = value);
    }
    let before = last_before(&all);
    for it in &mut all {
        *it = FloatWindow { count: it.count, ..FloatWindow::of(it.last) };
    }

    let mut several: Vec<(i64, &mut FloatWindow)> =
        numbers.into_iter().zip(&mut all).filter(|(_, it)| it.count > 1).collect();
    let rows = several.len();
    if let Some(starts) = reading.integers(FirstStart, rows)? {
        several.iter_mut().zip(starts).for_each(|((_, it), start_ms)| it.first.start_ms = start_ms);
    }
    if let Some(times) = reading.integers(FirstTime, rows)? {
        several.iter_mut().zip(times).for_each(|((number, it), behind_ms)| {
            it.first.t_ms = start_ms(*number).wrapping_add(behind_ms);
        });
    }
    if let Some(values) = reading.values(First, rows, Expected::About(&before))? {
        several.iter_mut().zip(values).for_each(|((_, it), value)| it.first.value = value);
    }
    let mut several: Vec<&mut FloatWindow> = several.into_iter().map(|(_, it)| it).collect();
    let mut set = |column: Column, put: fn(&mut FloatWindow, i64)| -> Result<()> {
        if let Some(integers) = reading.integers(column, rows)? {
            several.iter_mut().zip(integers).for_each(|(it, integer)| put(it, integer));
        }
        Ok(())
    };
    set(NanCount, |it, count| it.nan_count = count as u64)?;
    set(MinTime, |it, before_ms| it.min_ms = it.last.t_ms.wrapping_sub(before_ms))?;
    set(MaxTime, |it, before_ms| it.max_ms = it.last.t_ms.wrapping_sub(before_ms))?;
    set(Resets, |it, count| it.resets = count as u64)?;
    set(Changes, |it, count| it.changes = count as u64)?;
    set(Overlaps, |it, overlaps| it.overlaps = overlaps != 0)?;
    let mut set = |column: Column, expected: fn(&FloatWindow) -> f64, put: fn(&mut FloatWindow, f64)| -> Result<()> {
        let expected: Vec<f64> = several.iter().map(|it| expected(it)).collect();
        let expected = if column == SumLost { Expected::Nothing } else { Expected::About(&expected) };
        if let Some(values) = reading.values(column, rows, expected)? {
            several.iter_mut().zip(values).for_each(|(it, value)| put(it, value));
        }
        Ok(())
    };
    set(Min, expected_min, |it, value| it.min = value)?;
    set(Max, expected_max, |it, value| it.max = value)?;
    set(Sum, expected_sum, |it, value| it.sum = value.into())?;
    set(SumLost, |_| 0.0, |it, value| it.sum.lost = value)?;
    set(Correction, |_| 0.0, |it, value| it.correction = value)?;
    set(Squares, expected_squares, |it, value| it.squares = value)?;
    for it in &mut several {
        if it.nan_count > it.count || it.resets >= it.count || it.changes >= it.count {
            return Err(corrupt("a window counts more than it has samples"));
        }
        it.mean = it.sum.total() / it.count as f64;
        it.prev = Some(it.first);
    }

    let mut many: Vec<&mut FloatWindow> = several.into_iter().filter(|it| it.count > 2).collect();
    let rows = many.len();
    let expected: Vec<f64> = many.iter().map(|it| it.last.value).collect();
    let times = reading.integers(PrevTime, rows)?;
    let starts = reading.integers(PrevStart, rows)?;
    let values = reading.values(Prev, rows, Expected::About(&expected))?;
    for (row, it) in many.iter_mut().enumerate() {
        let of = |column: &Option<Vec<i64>>| column.as_ref().map_or(0, |column| column[row]);
        it.prev = Some(Point {
            t_ms: it.last.t_ms.wrapping_sub(of(&times)),
            start_ms: of(&starts),
            value: values.as_ref().map_or(0.0, |values| values[row]),
        });
    }
    let mut all = all.into_iter();
    for (it, _) in windows.iter_mut().zip(counts).filter(|(_, count)| *count != 0) {
        it.window.floats = all.next();
    }
    Ok(())
}

/// A series of a run being read.
pub(super) struct Reading<'a> {
    pages: &'a Pages,
    series: usize,
    asked: ColumnSet,
    known: ColumnSet,
}

impl<'a> Reading<'a> {
    /// The cell of a column, if it was asked for; notes whether the series has the column.
    pub fn cell(&mut self, column: Column) -> Option<Cursor<'a>> {
        if !self.asked.contains(column) {
            return None;
        }
        let cell = self.pages[column as usize].cell(self.series);
        if cell.is_some() || column.is_zero_if_missing() {
            self.known = self.known.with(column);
        }
        cell
    }

    /// The integers of a column.
    pub fn integers(&mut self, column: Column, rows: usize) -> Result<Option<Vec<i64>>> {
        let Some(mut cursor) = self.cell(column) else { return Ok(None) };
        let (_, mut integers) = cell::read(&mut cursor, rows)?;
        cursor.finish()?;
        let mut sum = 0i64;
        for integer in &mut integers {
            sum = sum.wrapping_add(*integer);
            *integer = sum;
        }
        Ok(Some(integers))
    }

    fn values(&mut self, column: Column, rows: usize, expected: Expected<'_>) -> Result<Option<Vec<f64>>> {
        let Some(mut cursor) = self.cell(column) else { return Ok(None) };
        let values = values::read(&mut cursor, rows, &expected)?;
        cursor.finish()?;
        Ok(Some(values))
    }

    /// Which windows there are.
    fn numbers(&mut self) -> Result<Vec<NumberedWindow>> {
        let Some(mut cursor) = self.cell(Column::Number) else { return Ok(Vec::new()) };
        let rows = windows_of(&mut cursor)?;
        let (_, gaps) = cell::read(&mut cursor, rows)?;
        cursor.finish()?;
        let mut windows: Vec<NumberedWindow> = Vec::with_capacity(rows);
        for gap in gaps {
            let number = match windows.last() {
                None => Some(gap),
                Some(last) if gap >= 0 => last.number.checked_add(gap).and_then(|number| number.checked_add(1)),
                Some(_) => None,
            };
            let number = number.ok_or_else(|| corrupt("the numbers of windows do not rise"))?;
            windows.push(NumberedWindow { number, window: Window::default() });
        }
        Ok(windows)
    }
}

/// How many windows a series has, from the cell of their numbers.
pub(super) fn windows_of(cursor: &mut Cursor<'_>) -> Result<usize> {
    let windows = cursor.uvarint()?;
    if windows > SERIES_WINDOWS_MAX {
        return Err(cursor.corrupt("a series has more windows than one may have"));
    }
    Ok(windows as usize)
}

/// A count of samples of one kind in a window, of which no two can have the same millisecond.
pub(super) fn samples_of(count: i64, resolution: Resolution) -> Result<u64> {
    let most = resolution.length_ms().min(u32::MAX.into());
    match u64::try_from(count) {
        Ok(samples) if count <= most => Ok(samples),
        _ => Err(corrupt("a window has more samples than milliseconds")),
    }
}

pub(super) fn corrupt(reason: &'static str) -> BlockError {
    BlockError::corrupt(FILE, 0, reason)
}

/// Of the windows with several samples: the last value of the window before.
fn last_before<'a>(all: impl IntoIterator<Item = &'a FloatWindow>) -> Vec<f64> {
    let mut last = 0.0;
    let each = all.into_iter().map(|it| (it.count, std::mem::replace(&mut last, it.last.value)));
    each.filter(|(count, _)| *count > 1).map(|(_, before)| before).collect()
}

fn expected_min(it: &FloatWindow) -> f64 {
    it.first.value.min(it.last.value)
}

fn expected_max(it: &FloatWindow) -> f64 {
    it.first.value.max(it.last.value)
}

fn expected_sum(it: &FloatWindow) -> f64 {
    it.count as f64 * (it.first.value + it.last.value) / 2.0
}

fn expected_squares(it: &FloatWindow) -> f64 {
    rounded(it.count as f64 * (it.max - it.min) * (it.max - it.min) / 8.0)
}

/// A sum with as much of it in its first half as fits.
fn rounded_sum(it: &FloatWindow) -> kahan::Sum {
    let sum = it.sum.total();
    let lost = if sum.is_finite() { (it.sum.sum - sum) + it.sum.lost } else { 0.0 };
    kahan::Sum { sum, lost }
}

fn lost_worth_keeping(it: &FloatWindow, sum: kahan::Sum) -> f64 {
    let known = [it.first.value, it.last.value, it.min, it.max].map(f64::abs);
    let smallest = known.into_iter().filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
    if sum.lost.abs() > LOST_SHARE * smallest { sum.lost } else { 0.0 }
}

/// A float with fewer bits; infinity where rounding leads there.
fn rounded(value: f64) -> f64 {
    const DROPPED: u32 = f64::MANTISSA_DIGITS - SQUARES_BITS;
    if !value.is_finite() {
        return value;
    }
    f64::from_bits((value.to_bits() + (1 << (DROPPED - 1))) >> DROPPED << DROPPED)
}
