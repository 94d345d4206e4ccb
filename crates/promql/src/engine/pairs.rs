//! `changes` and `resets` of series with histograms: neighbours are compared in the order of time, whatever their kinds.

use crate::engine::histogram_range::is_reset;
use crate::engine::points::SeriesPoints;
use crate::engine::range_functions::{count_running, is_change};
use crate::engine::starts;
use crate::engine::window::Windows;
use crate::functions::Func;
use longhaul_chunk::Samples;
use std::iter::Peekable;

/// A sample: its index in the column of its kind.
#[derive(Clone, Copy, Debug)]
enum At {
    Float(usize),
    Histogram(usize),
}

/// Counts in every window of `samples` into `out`.
pub fn count(func: Func, samples: &Samples, windows: &Windows, out: &mut SeriesPoints) {
    let mut times = Vec::with_capacity(samples.floats.t_ms.len() + samples.histograms.t_ms.len());
    let mut running = Vec::with_capacity(times.capacity());
    let (mut before, mut total) = (None, 0u32);
    for (t_ms, at) in in_order(samples) {
        total += u32::from(before.is_some_and(|before| counts(func, samples, before, at)));
        before = Some(at);
        times.push(t_ms);
        running.push(total);
    }
    count_running(&running, &times, windows, out);
}

/// Whether a sample differs from the one before, or the counter was reset between them. A change of kind is either.
fn counts(func: Func, samples: &Samples, before: At, at: At) -> bool {
    match (before, at) {
        (At::Float(before), At::Float(at)) => {
            let (earlier, later) = (samples.floats.values[before], samples.floats.values[at]);
            match func {
                Func::Changes => is_change(earlier, later),
                _ => later < earlier || starts::reset_at(&samples.floats, at),
            }
        }
        (At::Histogram(before), At::Histogram(at)) => match func {
            Func::Changes => !samples.histograms.values[at].same(&samples.histograms.values[before]),
            _ => is_reset(&samples.histograms, at),
        },
        _ => true,
    }
}

/// All samples with their times, in the order of time.
fn in_order(samples: &Samples) -> impl Iterator<Item = (i64, At)> + '_ {
    let floats = samples.floats.t_ms.iter().enumerate().map(|(index, t_ms)| (*t_ms, At::Float(index)));
    let histograms = samples.histograms.t_ms.iter().enumerate().map(|(index, t_ms)| (*t_ms, At::Histogram(index)));
    let (mut floats, mut histograms) = (floats.peekable(), histograms.peekable());
    std::iter::from_fn(move || next_of(&mut floats, &mut histograms))
}

fn next_of(
    floats: &mut Peekable<impl Iterator<Item = (i64, At)>>,
    histograms: &mut Peekable<impl Iterator<Item = (i64, At)>>,
) -> Option<(i64, At)> {
    match (floats.peek(), histograms.peek()) {
        (Some((float_ms, _)), Some((histogram_ms, _))) if histogram_ms < float_ms => histograms.next(),
        (None, Some(_)) => histograms.next(),
        _ => floats.next(),
    }
}
