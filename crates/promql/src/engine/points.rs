//! A series as the operators see it: one value and one presence bit a step, histograms beside, and the grid that the
//! steps lie on.
//!
//! Invariant: `values` and `present` have the grid's length; a value whose bit is not set means nothing and may hold
//! anything (arithmetic runs over it blindly). No step has both a float and a histogram.

use crate::engine::histogram_points::HistogramPoints;
use longhaul_model::{FloatHistogram, Labels};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// The times at which an expression is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// The first time, ms.
    pub start_ms: i64,
    /// Between two times, ms; positive.
    pub step_ms: i64,
    /// How many times there are; at least one, but none for a subquery whose range holds no step.
    pub steps: usize,
}

impl Grid {
    /// Times from `start_ms` to at most `end_ms`.
    pub fn new(start_ms: i64, end_ms: i64, step_ms: i64) -> Self {
        let step_ms = step_ms.max(1);
        let steps = if end_ms < start_ms { 0 } else { (end_ms.saturating_sub(start_ms) / step_ms) as usize + 1 };
        Self { start_ms, step_ms, steps }
    }

    /// One time only.
    pub fn instant(t_ms: i64) -> Self {
        Self { start_ms: t_ms, step_ms: 1, steps: 1 }
    }

    /// The time of step `step`.
    pub fn time_ms(&self, step: usize) -> i64 {
        self.start_ms + step as i64 * self.step_ms
    }

    /// The last time; `start_ms` if there is none.
    pub fn end_ms(&self) -> i64 {
        self.time_ms(self.steps.saturating_sub(1))
    }

    /// All times.
    pub fn times(&self) -> impl Iterator<Item = i64> + use<> {
        let grid = *self;
        (0..grid.steps).map(move |step| grid.time_ms(step))
    }
}

/// One bit a step. Up to 256 steps lie in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    words: SmallVec<[u64; 4]>,
    steps: usize,
}

impl Presence {
    /// No step.
    pub fn none(steps: usize) -> Self {
        Self { words: SmallVec::from_elem(0, steps.div_ceil(64)), steps }
    }

    /// Every step.
    pub fn all(steps: usize) -> Self {
        let mut words = SmallVec::from_elem(u64::MAX, steps.div_ceil(64));
        if let Some(last) = words.last_mut()
            && !steps.is_multiple_of(64)
        {
            *last = (1 << (steps % 64)) - 1;
        }
        Self { words, steps }
    }

    /// How many steps there are, in or out.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// What it takes in memory.
    pub fn size_bytes(&self) -> usize {
        size_of::<Self>() + if self.words.spilled() { self.words.len() * 8 } else { 0 }
    }

    /// Whether `step` is in.
    pub fn get(&self, step: usize) -> bool {
        self.words[step / 64] >> (step % 64) & 1 == 1
    }

    /// Puts `step` in.
    pub fn set(&mut self, step: usize) {
        self.words[step / 64] |= 1 << (step % 64);
    }

    /// Puts a run of steps in.
    pub fn set_all(&mut self, steps: Range<usize>) {
        for word in steps.start / 64..steps.end.div_ceil(64) {
            let (from, to) = (steps.start.max(word * 64) % 64, steps.end.min(word * 64 + 64) - word * 64);
            self.words[word] |= u64::MAX << from & u64::MAX >> (64 - to);
        }
    }

    /// Takes `step` out.
    pub fn clear(&mut self, step: usize) {
        self.words[step / 64] &= !(1 << (step % 64));
    }

    /// Whether every step is in.
    pub fn is_all(&self) -> bool {
        self.count() == self.steps
    }

    /// Whether no step is in.
    pub fn is_none(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// How many steps are in.
    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether some step is in both.
    pub fn intersects(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).any(|(a, b)| a & b != 0)
    }

    /// Adds the steps of `other`.
    pub fn unite(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a |= b);
    }

    /// Keeps the steps that are in `other` too.
    pub fn intersect(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a &= b);
    }

    /// Takes out the steps of `other`.
    pub fn subtract(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a &= !b);
    }

    /// The steps that are in, rising.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(index, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                (rest != 0).then(|| {
                    let bit = rest.trailing_zeros() as usize;
                    rest &= rest - 1;
                    index * 64 + bit
                })
            })
        })
    }
}

/// A series over all steps of a grid.
#[derive(Clone, Debug)]
pub struct SeriesPoints {
    /// Its labels.
    pub labels: Labels,
    /// Whether the metadata labels are to be dropped at the end of the query (delayed name removal only).
    pub drop_name: bool,
    /// Set once dropping the name may have made the series equal to another one: see [`Identity`].
    pub identity: Option<Identity>,
    /// One value a step.
    pub values: Vec<f64>,
    /// Which of them are there.
    pub present: Presence,
    /// Histograms, at steps without a value; None for the series of floats that most are.
    pub histograms: Option<Box<HistogramPoints>>,
}

/// How a series whose labels may collide with those of another one of the same operand is to be treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Two equal series are one, as long as they share no step.
    Merge,
    /// Two equal series are an error, whatever their steps (range functions).
    Refuse,
}

impl SeriesPoints {
    /// A series without points.
    pub fn empty(labels: Labels, steps: usize) -> Self {
        Self::new(labels, vec![0.0; steps], Presence::none(steps))
    }

    /// A series of these points.
    pub fn new(labels: Labels, values: Vec<f64>, present: Presence) -> Self {
        Self { labels, drop_name: false, identity: None, values, present, histograms: None }
    }

    /// How many steps it has, with points or without.
    pub fn steps(&self) -> usize {
        self.values.len()
    }

    /// Sets the point at `step`.
    pub fn set(&mut self, step: usize, value: f64) {
        self.values[step] = value;
        self.present.set(step);
    }

    /// Sets the point at `step`, if there is one.
    #[inline]
    pub fn put(&mut self, step: usize, value: Option<f64>) {
        if let Some(value) = value {
            self.set(step, value);
        }
    }

    /// Sets the point at `step`, where there is no float.
    pub fn set_histogram(&mut self, step: usize, histogram: Arc<FloatHistogram>) {
        let steps = self.steps();
        self.histograms.get_or_insert_with(|| Box::new(HistogramPoints::none(steps))).set(step, histogram);
    }

    /// The histogram at `step`.
    pub fn histogram(&self, step: usize) -> Option<&Arc<FloatHistogram>> {
        self.histograms.as_ref()?.get(step)
    }

    /// The steps at which there is a point, float or histogram.
    pub fn there(&self) -> Cow<'_, Presence> {
        match &self.histograms {
            None => Cow::Borrowed(&self.present),
            Some(histograms) => {
                let mut there = histograms.presence();
                there.unite(&self.present);
                Cow::Owned(there)
            }
        }
    }

    /// Whether there is a histogram at some step.
    pub fn has_histograms(&self) -> bool {
        self.histograms.as_ref().is_some_and(|histograms| !histograms.is_none())
    }

    /// Whether there is no point at all.
    pub fn is_empty(&self) -> bool {
        self.present.is_none() && !self.has_histograms()
    }

    /// Keeps the points at these steps.
    pub fn keep(&mut self, steps: &Presence) {
        self.present.intersect(steps);
        if let Some(histograms) = &mut self.histograms {
            histograms.retain(|step| steps.get(step));
        }
    }

    /// Takes away the points at these steps.
    pub fn remove(&mut self, steps: &Presence) {
        self.present.subtract(steps);
        if let Some(histograms) = &mut self.histograms {
            histograms.retain(|step| !steps.get(step));
        }
    }

    /// Its floats, rising.
    pub fn points(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.present.iter().map(|step| (step, self.values[step]))
    }

    /// What it takes in memory.
    pub fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.values.capacity() * 8 + self.labels.size_bytes() + self.histogram_bytes()
    }

    /// What its histograms take in memory.
    pub fn histogram_bytes(&self) -> usize {
        self.histograms.as_ref().map_or(0, |histograms| histograms.size_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presence_is_a_set_of_steps() {
        for steps in [0, 1, 63, 64, 65, 234, 256, 1000] {
            let all = Presence::all(steps);
            assert_eq!(all.count(), steps);
            assert!(all.is_all());
            assert_eq!(all.iter().collect::<Vec<_>>(), (0..steps).collect::<Vec<_>>());
            let mut odd = Presence::none(steps);
            (0..steps).filter(|step| step % 2 == 1).for_each(|step| odd.set(step));
            let mut even = all.clone();
            even.subtract(&odd);
            assert!(!even.intersects(&odd));
            even.unite(&odd);
            assert_eq!(even, all);
        }
    }

    #[test]
    fn a_grid_ends_at_its_last_whole_step() {
        assert_eq!(Grid::new(0, 25, 10).times().collect::<Vec<_>>(), [0, 10, 20]);
        assert_eq!(Grid::new(7, 7, 10).steps, 1);
        assert_eq!(Grid::new(8, 7, 10).steps, 0);
    }
}
