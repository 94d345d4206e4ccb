//! The functions over ranges as Prometheus defines them, sample by sample (`promql/functions.go`), for samples without stale
//! markers.

use longhaul_model::Measurement;
use longhaul_model::Value;
use longhaul_model::kahan::{Mean, Sum};

/// A float sample: time, start, value.
pub type Sample = (i64, i64, f64);

pub fn floats(samples: &[Measurement]) -> Vec<Sample> {
    samples
        .iter()
        .filter(|sample| !sample.value.is_stale())
        .filter_map(|sample| match sample.value {
            Value::Float(value) => Some((sample.t_ms, sample.start_ms, value)),
            _ => None,
        })
        .collect()
}

pub fn sum(samples: &[Sample]) -> f64 {
    samples.iter().fold(Sum::default(), |sum, it| sum.plus(it.2)).total()
}

pub fn average(samples: &[Sample]) -> f64 {
    samples.iter().fold(Mean::default(), |mean, it| mean.plus(it.2)).value()
}

pub fn variance(samples: &[Sample]) -> f64 {
    let zero = Sum { sum: 0.0, lost: 0.0 };
    let (mut count, mut mean, mut squares) = (0.0, zero, zero);
    for (_, _, value) in samples {
        count += 1.0;
        let before = value - mean.total();
        mean = mean.plus(before / count);
        squares = squares.plus(before * (value - mean.total()));
    }
    squares.total() / count
}

/// The largest number with the time of its last occurrence; of NaNs alone, NaN with the last time.
pub fn max(samples: &[Sample]) -> (f64, i64) {
    extreme(samples, |a, b| a > b)
}

pub fn min(samples: &[Sample]) -> (f64, i64) {
    extreme(samples, |a, b| a < b)
}

fn extreme(samples: &[Sample], beats: fn(f64, f64) -> bool) -> (f64, i64) {
    let (mut value, mut timed) = (samples[0].2, samples[0]);
    for sample in samples {
        if beats(sample.2, value) || value.is_nan() {
            value = sample.2;
        }
        if beats(sample.2, timed.2) || sample.2 == timed.2 || timed.2.is_nan() {
            timed = *sample;
        }
    }
    (value, timed.0)
}

pub fn changes(samples: &[Sample]) -> u64 {
    let differ = |pair: &&[Sample]| pair[0].2 != pair[1].2 && !(pair[0].2.is_nan() && pair[1].2.is_nan());
    samples.windows(2).filter(differ).count() as u64
}

pub fn resets(samples: &[Sample]) -> u64 {
    samples.windows(2).filter(|pair| is_reset(pair[0], pair[1])).count() as u64
}

pub fn overlaps(samples: &[Sample]) -> bool {
    samples.windows(2).any(|pair| pair[1].1 != 0 && pair[1].1 < pair[0].0 && pair[1].1 != pair[0].1)
}

/// What `increase` stretches to the range's edges, and the magnitude of what was added up for it.
pub fn gain(samples: &[Sample]) -> (f64, f64) {
    let (first, last) = (samples[0].2, samples[samples.len() - 1].2);
    let (mut gain, mut magnitude) = (last - first, last.abs() + first.abs());
    for pair in samples.windows(2).filter(|pair| is_reset(pair[0], pair[1])) {
        gain += pair[0].2;
        magnitude += pair[0].2.abs();
    }
    (gain, magnitude)
}

fn is_reset(before: Sample, after: Sample) -> bool {
    let (start_ms, before_start_ms) = (after.1, before.1);
    let started = start_ms != 0 && start_ms < after.0;
    let new = start_ms > before.0 || (start_ms == before.0 && before_start_ms != 0 && before_start_ms < before.0);
    after.2 < before.2 || (started && new)
}
