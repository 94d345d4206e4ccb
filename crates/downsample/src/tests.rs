//! I-FOLD-1 over generated sequences, and what folded windows say against Prometheus' definitions over the samples.

mod definitions;
mod floats;
mod histograms;

use crate::{NumberedWindow, Resolution, Splitter, Window, coarsen};
use longhaul_model::{Measurement, Value};
use proptest::prelude::*;

/// Whether two sums agree as far as rounding may part them: 1e-9 of the result, or 2^-48 of what was added up.
fn close(a: f64, b: f64, magnitude: f64) -> bool {
    a.to_bits() == b.to_bits()
        || (a.is_nan() && b.is_nan())
        || (a - b).abs() <= 1e-9 * b.abs()
        || (a - b).abs() <= magnitude * f64::powi(2.0, -48)
}

/// The samples of a sequence as windows of one.
fn ones(samples: &[Measurement]) -> impl Iterator<Item = Window> + '_ {
    samples.iter().map(|sample| Window::of(sample.t_ms, sample.start_ms, &sample.value))
}

fn folded(windows: impl IntoIterator<Item = Window>) -> Window {
    windows.into_iter().fold(Window::default(), |mut all, window| {
        all.fold(&window);
        all
    })
}

fn split(samples: &[Measurement], resolution: Resolution) -> Vec<NumberedWindow> {
    let mut splitter = Splitter::new(resolution);
    for sample in samples {
        match &sample.value {
            Value::Float(value) => splitter.push_float(sample.t_ms, sample.start_ms, *value),
            Value::FloatHistogram(value) => splitter.push_histogram(sample.t_ms, sample.start_ms, value.clone()),
            Value::Histogram(_) => unreachable!("queries compute with float histograms"),
        }
    }
    splitter.finish()
}

/// Times that rise, with gaps of which some are longer than a window of 100 ms and some end on a border.
fn times() -> impl Strategy<Value = Vec<i64>> {
    let gap = prop_oneof![4 => 1i64..40, 1 => Just(100i64), 1 => 100i64..500];
    proptest::collection::vec(gap, 1..60).prop_map(|gaps| {
        let mut t_ms = -1000;
        gaps.into_iter()
            .map(|gap_ms| {
                t_ms += gap_ms;
                t_ms
            })
            .collect()
    })
}

#[test]
fn windows_have_their_samples_and_gaps_have_none() {
    let samples: Vec<Measurement> = [(0, 1.0), (1, 2.0), (100, 3.0), (101, 4.0), (500, 5.0)]
        .map(|(t_ms, value)| Measurement { t_ms, start_ms: 0, value: Value::Float(value) })
        .to_vec();
    let of = |windows: &[NumberedWindow]| -> Vec<(i64, u64)> {
        windows.iter().map(|it| (it.number, it.window.samples())).collect()
    };
    let fine = Resolution::new(100).unwrap();
    let windows = split(&samples, fine);
    assert_eq!(of(&windows), [(-1, 1), (0, 2), (1, 1), (4, 1)]);
    assert_eq!(of(&coarsen(windows, fine, Resolution::new(200).unwrap())), [(-1, 1), (0, 3), (2, 1)]);
}
