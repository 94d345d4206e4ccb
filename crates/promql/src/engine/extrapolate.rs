//! `rate`, `increase` and `delta`: the difference over a window, stretched to the window's edges, as Prometheus
//! stretches it (`promql/functions.go`, `extrapolatedRate`).
//!
//! A counter's resets are found once a series; a window adds those inside it, in their order. That is the same sum, in
//! the same order, as walking the window: to the bit, at a fraction of the work.

use crate::engine::points::SeriesPoints;
use crate::engine::starts;
use crate::engine::window::{EvenWindows, Window, Windows, slide, slide_steps};
use longhaul_chunk::Columns;
use std::ops::Range;

/// Which of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Of a gauge.
    Delta,
    /// Of a counter.
    Increase,
    /// Of a counter, per second.
    Rate,
}

/// Evaluates `difference` in every window; says in how many of them start timestamps contradict their samples.
pub fn extrapolated(difference: Difference, samples: &Columns, windows: &Windows, out: &mut SeriesPoints) -> u64 {
    let per = if difference == Difference::Rate { windows.range_ms as f64 / 1000.0 } else { 1.0 };
    let mut stretch = Stretch::new(windows.range_ms, per);
    if difference == Difference::Delta {
        stretch.evaluate::<false>(samples, &[], windows, out);
        return 0;
    }
    let resets = resets(samples);
    if samples.start_ms.is_empty() {
        stretch.evaluate::<true>(samples, &resets, windows, out);
        return 0;
    }
    let mut resets = Inside::new(&resets);
    let overlaps = starts::overlaps_of(samples);
    let (mut overlaps, mut overlapping) = (Inside::new(&overlaps), 0);
    slide(samples, windows, out, |window| {
        overlapping += u64::from(overlaps.of(&window).next().is_some());
        let start_ms = window.starts().first().copied().unwrap_or(0);
        stretch.apply::<true>(window, resets.gain(&window, samples), start_ms)
    });
    overlapping
}

/// The indexes of the samples before which the counter was reset: those that lie below the one before, or whose start
/// says so.
fn resets(samples: &Columns) -> Vec<usize> {
    let values = samples.values.as_slice();
    if !samples.start_ms.is_empty() {
        let reset = |index: &usize| values[*index] < values[index - 1] || starts::reset_at(samples, *index);
        return (1..values.len()).filter(reset).collect();
    }
    if !values.windows(2).fold(false, |any, pair| any | (pair[1] < pair[0])) {
        return Vec::new();
    }
    (1..values.len()).filter(|index| values[*index] < values[index - 1]).collect()
}

/// Rising sample indexes, of which each window asks for those that lie behind its first sample.
struct Inside<'a> {
    indexes: &'a [usize],
    passed: usize,
}

impl<'a> Inside<'a> {
    fn new(indexes: &'a [usize]) -> Self {
        Self { indexes, passed: 0 }
    }

    /// The gain over a window with what the counter had gained before each of these resets.
    #[inline(always)]
    fn gain(&mut self, window: &Window<'_>, samples: &Columns) -> f64 {
        self.of(window).fold(gain(window), |gain, reset| gain + samples.values[reset - 1])
    }

    #[inline(always)]
    fn of(&mut self, window: &Window<'_>) -> impl Iterator<Item = usize> + use<'a> {
        while self.passed < self.indexes.len() && self.indexes[self.passed] <= window.first {
            self.passed += 1;
        }
        let end = window.end;
        self.indexes[self.passed..].iter().copied().take_while(move |index| *index < end)
    }
}

/// The steps of `alike` whose windows hold a reset, in runs.
fn disturbed(alike: &EvenWindows, resets: &[usize]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for steps in resets.iter().map(|reset| alike.steps_across(*reset)).filter(|steps| !steps.is_empty()) {
        match runs.last_mut() {
            Some(last) if steps.start <= last.end => last.end = steps.end,
            _ => runs.push(steps),
        }
    }
    runs
}

#[inline(always)]
fn gain(window: &Window<'_>) -> f64 {
    let values = window.values();
    values[values.len() - 1] - values[0]
}

/// What the gain over a window is to be multiplied by, so that it is the gain from edge to edge.
///
/// `times`: of the window's samples; `first`: where a counter stands at the first of them; `begins_ms`: where it began at
/// zero, if that is inside the window and known: then one sample is enough.
#[inline(always)]
pub fn factor<const COUNTER: bool>(
    times: &[i64],
    end_ms: i64,
    range_ms: i64,
    begins_ms: Option<i64>,
    first: f64,
    gain: f64,
) -> f64 {
    let Edges { mut to_start, to_end, mut sampled } = Edges::of(times, end_ms, range_ms);
    if let Some(begins_ms) = begins_ms {
        to_start = 0.0;
        sampled = (times[times.len() - 1] - begins_ms) as f64 / 1000.0;
    } else if COUNTER && gain > 0.0 && first >= 0.0 {
        // A counter was not below zero: it cannot have begun before it would have stood there.
        to_start = to_start.min(sampled * (first / gain));
    }
    (sampled + to_start + to_end) / sampled
}

/// How far a window's samples go, and how far beyond them on either side they are taken to go on; seconds.
#[derive(Clone, Copy, Default)]
struct Edges {
    to_start: f64,
    to_end: f64,
    sampled: f64,
}

impl Edges {
    #[inline(always)]
    fn of(times: &[i64], end_ms: i64, range_ms: i64) -> Self {
        let (first_ms, last_ms) = (times[0], times[times.len() - 1]);
        let to_start = (first_ms - (end_ms - range_ms)) as f64 / 1000.0;
        let to_end = (end_ms - last_ms) as f64 / 1000.0;
        let sampled = (last_ms - first_ms) as f64 / 1000.0;
        let between = if times.len() > 1 { sampled / (times.len() - 1) as f64 } else { 0.0 };
        // Samples that come regularly go on to the edge, within a tolerance of a tenth; a series that begins or ends inside
        // the window is taken to go on for half an interval.
        let beyond = |to_edge: f64| if to_edge >= between * 1.1 { between / 2.0 } else { to_edge };
        Self { to_start: beyond(to_start), to_end: beyond(to_end), sampled }
    }
}

/// [`factor`] from window to window. Scrapes come regularly, so that the samples of one window lie in it as those of the
/// window before: what divisions said of that holds again.
struct Stretch {
    range_ms: i64,
    /// What an increase over the range is divided by.
    per: f64,
    /// How the last window's samples lay: from its start to the first, from that to the last one (ms), how many.
    shape: (i64, i64, usize),
    /// What a gain in a window like that is multiplied by, if no zero is in the way.
    plain: f64,
    /// A first value of at least the gain times this left zero before the samples are taken to begin, rounding allowed for.
    reach: f64,
}

/// Above this, a value times any reach is no subnormal number, of which rounding might leave nothing.
const CERTAIN_MIN: f64 = 1e-290;

impl Stretch {
    fn new(range_ms: i64, per: f64) -> Self {
        Self { range_ms, per, shape: (0, 0, 0), plain: 0.0, reach: 0.0 }
    }

    /// Every window of a series without starts. Those that lie alike and hold no reset are taken many at a time.
    fn evaluate<const COUNTER: bool>(
        &mut self,
        samples: &Columns,
        resets: &[usize],
        windows: &Windows,
        out: &mut SeriesPoints,
    ) {
        let mut inside = Inside::new(resets);
        let alike = EvenWindows::of(&samples.t_ms, windows).filter(|alike| alike.samples > 1);
        let Some(alike) = alike else {
            slide(samples, windows, out, |window| self.apply::<COUNTER>(window, inside.gain(&window, samples), 0));
            return;
        };
        let Range { start, end } = alike.steps;
        let mut apply = |window: Window<'_>| self.apply::<COUNTER>(window, inside.gain(&window, samples), 0);
        slide_steps(samples, windows, 0..start, out, &mut apply);
        let mut done = start;
        for disturbed in disturbed(&alike, resets) {
            self.alike::<COUNTER>(samples, windows, &alike, done..disturbed.start, out);
            done = disturbed.end;
            for window in alike.windows(disturbed, samples, windows) {
                out.put(window.step, self.apply::<COUNTER>(window, inside.gain(&window, samples), 0));
            }
        }
        self.alike::<COUNTER>(samples, windows, &alike, done..end, out);
        let mut apply = |window: Window<'_>| self.apply::<COUNTER>(window, inside.gain(&window, samples), 0);
        slide_steps(samples, windows, end..windows.grid.steps, out, &mut apply);
    }

    /// [`Self::apply`] in those windows of `alike` that belong to `steps`, none of which holds a reset.
    fn alike<const COUNTER: bool>(
        &mut self,
        samples: &Columns,
        windows: &Windows,
        alike: &EvenWindows,
        steps: Range<usize>,
        out: &mut SeriesPoints,
    ) {
        let mut each = alike.windows(steps.clone(), samples, windows);
        let Some(first) = each.next() else { return };
        // It finds out what holds for all.
        out.put(first.step, self.apply::<COUNTER>(first, gain(&first), 0));
        let values = &samples.values[first.first..];
        let (firsts, lasts) = (values, &values[alike.samples - 1..]);
        let slots = &mut out.values[steps.clone()];
        let plain = match alike.stride {
            1 => self.lay::<COUNTER>(slots, firsts.iter(), lasts.iter()),
            stride => self.lay::<COUNTER>(slots, firsts.iter().step_by(stride), lasts.iter().step_by(stride)),
        };
        if plain {
            out.present.set_all(steps);
            return;
        }
        for window in alike.windows(steps, samples, windows) {
            out.put(window.step, self.apply::<COUNTER>(window, gain(&window), 0));
        }
    }

    /// The gains from `firsts` to `lasts`, stretched; whether no zero was in the way.
    #[inline(always)]
    fn lay<'a, const COUNTER: bool>(
        &self,
        slots: &mut [f64],
        firsts: impl Iterator<Item = &'a f64>,
        lasts: impl Iterator<Item = &'a f64>,
    ) -> bool {
        let mut plain = true;
        for ((slot, first), last) in slots.iter_mut().zip(firsts).zip(lasts) {
            let gain = last - first;
            plain &= !COUNTER | !((gain > 0.0) & (*first >= 0.0)) | self.far_from_zero(*first, gain);
            *slot = gain * self.plain;
        }
        plain
    }

    /// Whether a counter that stood at `first` and gained `gain` was above zero when the samples are taken to begin.
    #[inline(always)]
    fn far_from_zero(&self, first: f64, gain: f64) -> bool {
        (first > CERTAIN_MIN) & (first >= gain * self.reach)
    }

    /// The gain inside `window` from edge to edge. `start_ms`: since when the window's first sample counts, 0 if that is
    /// not known. If it is inside the window, the counter stood at zero there, and even a single sample will do.
    #[inline(always)]
    fn apply<const COUNTER: bool>(&mut self, window: Window<'_>, gain: f64, start_ms: i64) -> Option<f64> {
        let (times, first, end_ms) = (window.times(), window.values()[0], window.end_ms);
        if COUNTER && start_ms != 0 && end_ms - self.range_ms < start_ms && start_ms < times[0] {
            let gain = gain + first;
            return Some(gain * (factor::<true>(times, end_ms, self.range_ms, Some(start_ms), first, gain) / self.per));
        }
        if times.len() < 2 {
            return None;
        }
        let shape = (times[0] - (end_ms - self.range_ms), times[times.len() - 1] - times[0], times.len());
        if shape != self.shape {
            let edges = Edges::of(times, end_ms, self.range_ms);
            self.shape = shape;
            self.plain = factor::<false>(times, end_ms, self.range_ms, None, first, gain) / self.per;
            self.reach = edges.to_start / edges.sampled * (1.0 + 1e-9);
        }
        if COUNTER && gain > 0.0 && first >= 0.0 && !self.far_from_zero(first, gain) {
            return Some(gain * (factor::<true>(times, end_ms, self.range_ms, None, first, gain) / self.per));
        }
        Some(gain * self.plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::points::Grid;
    use longhaul_model::{Labels, Started};
    use proptest::prelude::*;

    /// Time, value, start.
    type Sample = (i64, f64, i64);

    /// The definition, walking every window; and whether its starts contradict its samples.
    fn walked(samples: &[Sample], start_ms: i64, end_ms: i64, difference: Difference) -> (Option<f64>, bool) {
        let inside: Vec<_> = samples.iter().filter(|s| start_ms < s.0 && s.0 <= end_ms).collect();
        let counter = difference != Difference::Delta;
        let [first, .., last] = inside[..] else {
            let only = inside.first().filter(|only| counter && start_ms < only.2 && only.2 != 0 && only.2 < only.0);
            // The difference to itself is no zero where it is no number.
            let gain = |value: f64| if value.is_finite() { 0.0 + value } else { f64::NAN };
            let per = if difference == Difference::Rate { (end_ms - start_ms) as f64 / 1000.0 } else { 1.0 };
            return (only.map(|only| gain(only.1) * (1.0 / per)), false);
        };
        let (mut gain, mut overlaps) = (last.1 - first.1, false);
        if counter {
            for pair in inside.windows(2) {
                let started = |s: &Sample| Started { t_ms: s.0, start_ms: s.2 };
                let (before, after) = (started(pair[0]), started(pair[1]));
                overlaps |= after.overlaps(before);
                if pair[1].1 < pair[0].1 || after.is_reset_after(before) {
                    gain += pair[0].1;
                }
            }
        }
        let (mut to_start, mut to_end) = ((first.0 - start_ms) as f64 / 1000.0, (end_ms - last.0) as f64 / 1000.0);
        let mut sampled = (last.0 - first.0) as f64 / 1000.0;
        let between = sampled / (inside.len() - 1) as f64;
        if counter && first.2 != 0 && start_ms < first.2 && first.2 < first.0 {
            gain += first.1;
            (to_start, sampled) = (0.0, (last.0 - first.2) as f64 / 1000.0);
        } else {
            if to_start >= between * 1.1 {
                to_start = between / 2.0;
            }
            if counter && gain > 0.0 && first.1 >= 0.0 {
                let to_zero = sampled * (first.1 / gain);
                if to_zero < to_start {
                    to_start = to_zero;
                }
            }
        }
        if to_end >= between * 1.1 {
            to_end = between / 2.0;
        }
        let mut factor = (sampled + to_start + to_end) / sampled;
        if difference == Difference::Rate {
            factor /= (end_ms - start_ms) as f64 / 1000.0;
        }
        (Some(gain * factor), overlaps)
    }

    proptest! {
        #[test]
        fn sliding_is_walking_to_the_bit(
            gaps in prop_oneof![
                proptest::collection::vec(prop_oneof![Just(15_000i64), 1i64..40_000], 0..120),
                (1i64..40_000, 0usize..120).prop_map(|(gap, samples)| vec![gap; samples]),
            ],
            values in proptest::collection::vec(prop_oneof![
                4 => (0u32..1000).prop_map(f64::from),
                1 => any::<f64>(),
            ], 120),
            // Before the sample: far, at the sample before, close, none.
            ages in proptest::collection::vec(prop_oneof![1i64..100_000, Just(-1), 1i64..10, Just(-2)], 120),
            starts in any::<bool>(),
            range_ms in 1i64..400_000,
            step_ms in 1i64..100_000,
            samples_per_step in prop_oneof![2 => Just(0i64), 1 => 1i64..4],
            rising in any::<bool>(),
            // A reset in each half, and where they meet.
            reset in proptest::array::uniform2(prop_oneof![Just(0usize), 0usize..60]),
            offset_ms in -50_000i64..50_000,
        ) {
            let step_ms = gaps.first().map(|gap| gap * samples_per_step).filter(|step| *step > 0).unwrap_or(step_ms);
            let mut values = values;
            if rising {
                values.sort_by(f64::total_cmp);
                let (early, late) = values.split_at_mut(60);
                early.rotate_left(reset[0]);
                late.rotate_left(reset[1]);
            }
            let mut t = 0;
            let sample = |((gap, value), age): ((&i64, &f64), &i64)| {
                t += gap;
                let start = match age {
                    -1 => t - gap,
                    -2 => 0,
                    age => t - age,
                };
                (t, *value, if starts { start } else { 0 })
            };
            let samples: Vec<Sample> = gaps.iter().zip(&values).zip(&ages).map(sample).collect();
            let columns = Columns {
                t_ms: samples.iter().map(|s| s.0).collect(),
                values: samples.iter().map(|s| s.1).collect(),
                start_ms: samples.iter().map(|s| s.2).filter(|_| starts).collect(),
            };
            let windows = Windows { grid: Grid::new(0, t + range_ms, step_ms), range_ms, offset_ms, at_ms: None, beyond: None };
            for difference in [Difference::Delta, Difference::Increase, Difference::Rate] {
                let mut out = SeriesPoints::empty(Labels::empty(), windows.grid.steps);
                let overlapping = extrapolated(difference, &columns, &windows, &mut out);
                let mut expected_overlapping = 0;
                for step in 0..windows.grid.steps {
                    let end = windows.end_ms(step);
                    let (expected, overlaps) = walked(&samples, end - range_ms, end, difference);
                    expected_overlapping += u64::from(overlaps);
                    prop_assert_eq!(out.present.get(step), expected.is_some());
                    if let Some(value) = expected {
                        prop_assert!(
                            out.values[step].to_bits() == value.to_bits() || (value.is_nan() && out.values[step].is_nan())
                        );
                    }
                }
                prop_assert_eq!(overlapping, expected_overlapping);
            }
        }
    }
}
