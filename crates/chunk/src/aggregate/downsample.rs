//! Samples, or aggregates of finer windows, as the aggregates of coarser ones: one chunk's worth at a time.

use super::Aggregate;
use super::counter::CounterSamples;
use longhaul_model::Sample;
use longhaul_model::kahan::Sum;

/// The samples of the five aggregates of floats.
#[derive(Clone, Debug, Default)]
pub struct AggregateSamples {
    /// Samples of each window.
    pub count: Vec<Sample>,
    /// Their sums.
    pub sum: Vec<Sample>,
    /// The smallest.
    pub min: Vec<Sample>,
    /// The largest.
    pub max: Vec<Sample>,
    /// The counter: its first value, then its total at the end of each window, then its last value.
    pub counter: Vec<Sample>,
}

impl AggregateSamples {
    /// The samples of an aggregate.
    pub fn of(&self, aggregate: Aggregate) -> &[Sample] {
        match aggregate {
            Aggregate::Count => &self.count,
            Aggregate::Sum => &self.sum,
            Aggregate::Min => &self.min,
            Aggregate::Max => &self.max,
            Aggregate::Counter => &self.counter,
        }
    }

    /// The samples of an aggregate, to be filled.
    pub fn of_mut(&mut self, aggregate: Aggregate) -> &mut Vec<Sample> {
        match aggregate {
            Aggregate::Count => &mut self.count,
            Aggregate::Sum => &mut self.sum,
            Aggregate::Min => &mut self.min,
            Aggregate::Max => &mut self.max,
            Aggregate::Counter => &mut self.counter,
        }
    }
}

/// The aggregates of raw samples, in order of time, over windows of `resolution_ms` (at least 1). The last window stands at its
/// last sample, each other one at its end. NaN and stale markers count for nothing.
pub fn downsample_floats(samples: &[Sample], resolution_ms: i64) -> AggregateSamples {
    let samples: Vec<Sample> = samples.iter().copied().filter(|sample| !sample.value.is_nan()).collect();
    let mut out = AggregateSamples::default();
    for (t_ms, window) in windows(&samples, resolution_ms) {
        let fold = |pick: fn(f64, f64) -> f64| {
            window[1..].iter().fold(window[0].value, |value, sample| pick(value, sample.value))
        };
        let sum = window.iter().fold(Sum::default(), |sum, sample| sum.plus(sample.value));
        out.count.push(Sample::new(t_ms, window.len() as f64));
        out.sum.push(Sample::new(t_ms, sum.total()));
        out.min.push(Sample::new(t_ms, fold(f64::min)));
        out.max.push(Sample::new(t_ms, fold(f64::max)));
    }
    out.counter = counter(samples, resolution_ms);
    out
}

/// The aggregates over coarser windows of chunks of finer ones, which follow each other.
pub fn downsample_aggregates(chunks: &[AggregateSamples], resolution_ms: i64) -> AggregateSamples {
    let join = |aggregate: Aggregate| -> Vec<Sample> {
        chunks.iter().flat_map(|chunk| chunk.of(aggregate)).copied().collect()
    };
    let coarse = |aggregate: Aggregate, pick: fn(f64, f64) -> f64| -> Vec<Sample> {
        let fine = join(aggregate);
        let joined = windows(&fine, resolution_ms).map(|(t_ms, window)| {
            Sample::new(t_ms, window[1..].iter().fold(window[0].value, |value, sample| pick(value, sample.value)))
        });
        joined.collect()
    };
    AggregateSamples {
        count: coarse(Aggregate::Count, |a, b| a + b),
        sum: coarse(Aggregate::Sum, |a, b| a + b),
        min: coarse(Aggregate::Min, f64::min),
        max: coarse(Aggregate::Max, f64::max),
        counter: counter(join(Aggregate::Counter), resolution_ms),
    }
}

/// The windows of samples, each with the time that stands for it.
fn windows(samples: &[Sample], resolution_ms: i64) -> impl Iterator<Item = (i64, &[Sample])> {
    let last_ms = samples.last().map_or(i64::MIN, |last| last.t_ms);
    let number = move |sample: &Sample| sample.t_ms.div_euclid(resolution_ms);
    samples.chunk_by(move |a, b| number(a) == number(b)).map(move |window| {
        let end_ms = number(&window[0]).saturating_mul(resolution_ms).saturating_add(resolution_ms - 1);
        (end_ms.min(last_ms), window)
    })
}

/// A counter's chunk: raw samples, or those of finer chunks one after the other.
fn counter(samples: Vec<Sample>, resolution_ms: i64) -> Vec<Sample> {
    let mut counter = CounterSamples::default();
    let totals: Vec<Sample> = samples.into_iter().filter_map(|sample| counter.next(sample)).collect();
    let mut out = Vec::new();
    out.extend(totals.first().copied());
    out.extend(windows(&totals, resolution_ms).map(|(t_ms, window)| Sample::new(t_ms, window[window.len() - 1].value)));
    if let (Some(end), Some(last)) = (out.last().copied(), counter.last()) {
        out.push(Sample::new(end.t_ms, last.value));
    }
    out
}
