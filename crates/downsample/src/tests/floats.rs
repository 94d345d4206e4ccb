//! Windows of floats.

use super::definitions as defined;
use super::{close, folded, ones, split, times};
use crate::{FloatWindow, Resolution, Window, coarsen};
use longhaul_model::{Measurement, STALE_NAN_BITS, Value};
use proptest::prelude::*;

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => (0u32..20).prop_map(f64::from),
        6 => (-1000i32..1000).prop_map(|value| f64::from(value) / 10.0),
        3 => (0u32..1000).prop_map(|value| 1e9 + f64::from(value)),
        2 => any::<i32>().prop_map(f64::from),
        1 => prop::sample::select(vec![0.0, -0.0, 1e100, -1e100, 5e-324, 0.1, f64::MAX, -f64::MAX, 1e160]),
        1 => Just(f64::INFINITY),
        1 => Just(f64::NEG_INFINITY),
        1 => Just(f64::NAN),
        1 => Just(f64::from_bits(0x7ff8_0000_dead_beef)),
        2 => Just(f64::from_bits(STALE_NAN_BITS)),
    ]
}

/// Plain series too: most sequences with NaN or infinity in them have nothing left to compare.
fn values() -> impl Strategy<Value = Vec<f64>> {
    let plain = prop_oneof![
        (0u32..20).prop_map(f64::from),
        (-1000i32..1000).prop_map(|value| f64::from(value) / 10.0),
        (0u32..1000).prop_map(|value| 1e9 + f64::from(value)),
    ];
    prop_oneof![proptest::collection::vec(value(), 60), proptest::collection::vec(plain, 60)]
}

fn sequence() -> impl Strategy<Value = Vec<Measurement>> {
    (times(), values(), proptest::collection::vec(0i64..300, 60), any::<bool>()).prop_map(
        |(times, values, ages, starts)| {
            let samples = times.into_iter().zip(values).zip(ages);
            let sample = |((t_ms, value), age_ms): ((i64, f64), i64)| Measurement {
                t_ms,
                start_ms: if starts && age_ms != 7 { t_ms - age_ms / 30 * 30 } else { 0 },
                value: Value::Float(value),
            };
            samples.map(sample).collect()
        },
    )
}

/// I-FOLD-1
fn same(a: &Window, b: &Window, magnitude: f64) -> Result<(), TestCaseError> {
    prop_assert_eq!(a.stale_ms, b.stale_ms);
    prop_assert_eq!(a.floats.is_some(), b.floats.is_some());
    let (Some(a), Some(b)) = (&a.floats, &b.floats) else { return Ok(()) };
    let exact = |it: &FloatWindow| {
        let point = |it: crate::Point| (it.t_ms, it.start_ms, it.value.to_bits());
        let extremes = [(it.min.to_bits(), it.min_ms), (it.max.to_bits(), it.max_ms)];
        let ends = (point(it.first), point(it.last), it.prev.map(point));
        (it.count, it.nan_count, extremes, ends, it.resets, it.changes, it.overlaps)
    };
    prop_assert_eq!(exact(a), exact(b));
    prop_assert!(close(a.correction, b.correction, magnitude) || magnitude > 1e307);
    prop_assert!(close(a.sum.total(), b.sum.total(), magnitude) || magnitude > 1e307);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_split_folds_to_the_whole(samples in sequence(), cuts in proptest::collection::vec(any::<bool>(), 60)) {
        let magnitude: f64 = defined::floats(&samples).iter().map(|it| it.2.abs()).filter(|it| it.is_finite()).sum();
        let whole = folded(ones(&samples));
        let mut parts = vec![Window::default()];
        for (one, cut) in ones(&samples).zip(cuts) {
            if cut {
                parts.push(Window::default());
            }
            parts.last_mut().unwrap().fold(&one);
        }
        same(&folded(parts), &whole, magnitude)?;
        let (fine, coarse) = (Resolution::new(100).unwrap(), Resolution::new(300).unwrap());
        let windows = split(&samples, fine);
        same(&folded(windows.iter().map(|it| it.window.clone())), &whole, magnitude)?;
        // Wider windows of windows are wider windows of samples.
        let (joined, direct) = (coarsen(windows, fine, coarse), split(&samples, coarse));
        prop_assert_eq!(joined.len(), direct.len());
        for (joined, direct) in joined.iter().zip(&direct) {
            prop_assert_eq!(joined.number, direct.number);
            same(&joined.window, &direct.window, magnitude)?;
        }
    }

    #[test]
    fn folded_windows_say_what_the_samples_say(samples in sequence(), from in 0usize..60, length in 1usize..60) {
        let samples = &samples[from.min(samples.len() - 1)..];
        let samples = &samples[..length.min(samples.len())];
        let windows = split(samples, Resolution::new(100).unwrap());
        let window = folded(windows.into_iter().map(|it| it.window));
        let floats = defined::floats(samples);
        let Some(window) = &window.floats else {
            prop_assert!(floats.is_empty());
            return Ok(());
        };
        let magnitude: f64 = floats.iter().map(|it| it.2.abs()).sum();
        let (first, last) = (floats[0], floats[floats.len() - 1]);
        prop_assert_eq!(window.count, floats.len() as u64);
        prop_assert_eq!((window.first.t_ms, window.first.start_ms, window.first.value.to_bits()), (first.0, first.1, first.2.to_bits()));
        prop_assert_eq!((window.last.t_ms, window.last.start_ms, window.last.value.to_bits()), (last.0, last.1, last.2.to_bits()));
        let prev = floats.len().checked_sub(2).map(|at| floats[at]);
        prop_assert_eq!(window.prev.map(|it| (it.t_ms, it.value.to_bits())), prev.map(|it| (it.0, it.2.to_bits())));
        for ((value, t_ms), defined) in
            [((window.max, window.max_ms), defined::max(&floats)), ((window.min, window.min_ms), defined::min(&floats))]
        {
            prop_assert!(value.to_bits() == defined.0.to_bits() || (value.is_nan() && defined.0.is_nan()));
            prop_assert_eq!(t_ms, defined.1);
        }
        prop_assert_eq!(window.changes, defined::changes(&floats));
        prop_assert_eq!(window.resets, defined::resets(&floats));
        prop_assert_eq!(window.overlaps, defined::overlaps(&floats));
        let plain = floats.iter().all(|it| it.2.is_finite() && it.2.abs() < 1e12);
        let (gain, added) = defined::gain(&floats);
        prop_assert!(window.gain().is_none_or(|found| close(found, gain, added)), "{:?} is not {}", window.gain(), gain);
        prop_assert!(window.gain().is_some() || !plain);
        for (found, defined) in [(window.total(), defined::sum(&floats)), (window.average(), defined::average(&floats))] {
            prop_assert!(found.is_none_or(|found| close(found, defined, magnitude)), "{:?} is not {}", found, defined);
            prop_assert!(found.is_some() || !plain);
        }
        let (found, variance) = (window.variance(), defined::variance(&floats));
        prop_assert!(found.is_none_or(|found| close(found, variance, 0.0)), "{:?} is not {}", found, variance);
        prop_assert!(found.is_some() || !plain || variance < 1e-13 * window.mean * window.mean);
    }
}

#[test]
fn sums_that_cancel_keep_what_rounding_loses() {
    let samples: Vec<Measurement> = [1.0, 1e100, 1.0, -1e100]
        .iter()
        .zip(1..)
        .map(|(value, t_ms)| Measurement { t_ms, start_ms: 0, value: Value::Float(*value) })
        .collect();
    let halves = samples.chunks(2).map(|half| folded(ones(half)));
    assert_eq!(folded(halves).floats.unwrap().total(), Some(2.0));
}

#[test]
fn what_may_have_overflowed_is_not_told() {
    let window = |values: &[f64]| {
        let samples = values.iter().zip(1..).map(|(value, t_ms)| Window::of(t_ms, 0, &Value::Float(*value)));
        folded(samples).floats.unwrap()
    };
    assert_eq!(window(&[f64::MAX, f64::MAX, -f64::MAX]).total(), None);
    assert_eq!(window(&[f64::INFINITY, 1.0]).average(), None);
    assert!(window(&[f64::MAX, f64::MAX, f64::NAN]).total().unwrap().is_nan(), "whatever came before");
    assert_eq!(window(&[f64::MAX, 0.0, f64::MAX, 0.0]).gain(), None);
    assert_eq!(window(&[1e9, 1e9 + 1e-3]).variance(), None, "the mean is too far from zero");
    assert_eq!(window(&[1e9, 1e9]).variance(), Some(0.0));
    assert_eq!(window(&[1e300, -1e300]).variance(), None, "the squares overflow");
}

#[test]
fn the_first_stale_marker_behind_the_last_sample_ends_a_series() {
    let stale = f64::from_bits(STALE_NAN_BITS);
    let samples = |values: &[f64]| -> Vec<Window> {
        values.iter().zip(1..).map(|(value, t_ms)| Window::of(t_ms, 0, &Value::Float(*value))).collect()
    };
    assert_eq!(folded(samples(&[1.0, stale, stale])).stale_ms, Some(2));
    assert_eq!(folded(samples(&[1.0, stale, 2.0])).stale_ms, None);
    let only = folded(samples(&[stale, stale]));
    assert_eq!((only.samples(), only.stale_ms, only.is_empty()), (0, Some(1), false));
}
