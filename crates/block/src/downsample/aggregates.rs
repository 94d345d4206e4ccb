//! Chunks of Thanos' aggregates beside windows: of the windows, of the samples where those say more, of finer chunks.
//!
//! Thanos' windows hold their start and not their end, ours the other way round: a sample counts 1 ms earlier there. Each
//! window stands at its stamp ([`Resolution::stamp_ms`]). A chunk has the windows of one aligned stretch, so that those of a
//! finer block lie in one of the coarser each; its bounds are the stamps of its first and last window, of histograms too, which
//! have no aggregates of their own.

use crate::error::{BlockError, Result};
use longhaul_chunk::aggregate::{
    Aggregate, AggregateSamples, downsample_aggregates, downsample_floats, expand, pack, unpack,
};
use longhaul_chunk::{Chunk, SeriesChunks};
use longhaul_downsample::{FloatWindow, NumberedWindow, Resolution};
use longhaul_model::{Sample, TimeRange};

/// Windows of a chunk at most: about what Thanos writes. Twelve hours of 5 m, six days of 1 h.
const CHUNK_WINDOWS: i64 = 144;

/// The stretches of windows that get a chunk each.
fn stretches(windows: &[NumberedWindow]) -> impl Iterator<Item = &[NumberedWindow]> {
    windows.chunk_by(|a, b| stretch_of(a.number) == stretch_of(b.number))
}

fn stretch_of(number: i64) -> i64 {
    number.div_euclid(CHUNK_WINDOWS)
}

fn bounds(stretch: &[NumberedWindow], resolution: Resolution, block: TimeRange) -> (i64, i64) {
    let stamp_ms = |at: usize| resolution.stamp_ms(stretch[at].number, block);
    (stamp_ms(0), stamp_ms(stretch.len() - 1))
}

/// Chunks from windows. Where a window has a NaN, the sum of the others is not known: it is left out.
pub(super) fn of_windows(windows: &[NumberedWindow], resolution: Resolution, block: TimeRange) -> Vec<Chunk> {
    let chunk = |stretch: &[NumberedWindow]| {
        let mut out = AggregateSamples::default();
        let (mut total, mut last): (f64, Option<FloatWindow>) = (0.0, None);
        for it in stretch {
            let Some(floats) = it.window.floats.filter(|floats| floats.nan_count == 0) else { continue };
            let t_ms = resolution.stamp_ms(it.number, block);
            out.count.push(Sample::new(t_ms, floats.count as f64));
            out.sum.push(Sample::new(t_ms, floats.sum.total()));
            out.min.push(Sample::new(t_ms, floats.min));
            out.max.push(Sample::new(t_ms, floats.max));
            let first = floats.first.value;
            match last {
                None => {
                    let first_ms = floats.first.t_ms.min(t_ms).max(block.start_ms);
                    out.counter.push(Sample::new(first_ms, first));
                    total = first;
                }
                Some(last) if first < last.last.value => total += first,
                Some(last) => total += first - last.last.value,
            }
            total += floats.last.value - first + floats.correction;
            out.counter.push(Sample::new(t_ms, total));
            last = Some(floats);
        }
        close_counter(&mut out, last.map(|last| last.last.value));
        pack(&out, bounds(stretch, resolution, block))
    };
    stretches(windows).map(chunk).collect()
}

/// What a counter's chunk ends with: where the counter really stood.
fn close_counter(out: &mut AggregateSamples, last: Option<f64>) {
    if let (Some(end), Some(last)) = (out.counter.last().copied(), last) {
        out.counter.push(Sample::new(end.t_ms, last));
    }
}

/// Chunks from the floats of a series, NaN among them, of which `windows` were made.
pub(super) fn of_samples(
    samples: &[Sample],
    windows: &[NumberedWindow],
    resolution: Resolution,
    block: TimeRange,
) -> Vec<Chunk> {
    let mut rest = samples;
    let chunk = |stretch: &[NumberedWindow]| {
        let end_ms = resolution.end_ms(stretch[stretch.len() - 1].number);
        let (of_stretch, behind) = rest.split_at(rest.partition_point(|sample| sample.t_ms <= end_ms));
        rest = behind;
        let earlier: Vec<Sample> =
            of_stretch.iter().map(|it| Sample::new(it.t_ms.saturating_sub(1), it.value)).collect();
        let mut out = downsample_floats(&earlier, resolution.length_ms());
        let first_ms = of_stretch.iter().find(|sample| !sample.value.is_nan()).map(|first| first.t_ms);
        stamp(&mut out, first_ms, resolution, block);
        pack(&out, bounds(stretch, resolution, block))
    };
    stretches(windows).map(chunk).collect()
}

/// Chunks from those of finer windows, of which `windows` were made.
pub(super) fn of_finer(
    series: &SeriesChunks,
    finer: Resolution,
    windows: &[NumberedWindow],
    resolution: Resolution,
    block: TimeRange,
) -> Result<Vec<Chunk>> {
    let mut rest: &[Chunk] = &series.chunks;
    let chunk = |stretch: &[NumberedWindow]| {
        let this = stretch_of(stretch[0].number);
        let of_chunk = |chunk: &Chunk| stretch_of(resolution.window_of(finer.end_ms(finer.window_of(chunk.max_ms))));
        let (of_stretch, behind) = rest.split_at(rest.partition_point(|chunk| of_chunk(chunk) <= this));
        rest = behind;
        let mut first_ms = None;
        let parts = of_stretch.iter().map(|chunk| {
            let mut part = AggregateSamples::default();
            for (aggregate, packed) in Aggregate::ALL.into_iter().zip(unpack(chunk)?) {
                if let Some(packed) = packed.filter(|packed| packed.encoding.is_float()) {
                    expand(&packed, part.of_mut(aggregate))?;
                }
                part.of_mut(aggregate).iter_mut().for_each(|it| it.t_ms = it.t_ms.saturating_sub(1));
            }
            first_ms = first_ms.or(part.counter.first().map(|first| first.t_ms.saturating_add(1)));
            Ok(part)
        });
        let parts: Vec<AggregateSamples> = parts
            .collect::<Result<_, _>>()
            .map_err(|error| BlockError::Chunk { series: series.labels.to_string(), error })?;
        let mut out = downsample_aggregates(&parts, resolution.length_ms());
        stamp(&mut out, first_ms, resolution, block);
        Ok(pack(&out, bounds(stretch, resolution, block)))
    };
    stretches(windows).map(chunk).collect()
}

/// Puts what was computed 1 ms earlier at the stamps of its windows, and the first of a counter at its own time.
fn stamp(out: &mut AggregateSamples, first_ms: Option<i64>, resolution: Resolution, block: TimeRange) {
    for aggregate in Aggregate::ALL {
        for sample in out.of_mut(aggregate) {
            sample.t_ms = resolution.stamp_ms(sample.t_ms.div_euclid(resolution.length_ms()), block);
        }
    }
    if let (Some(first), Some(first_ms)) = (out.counter.first_mut(), first_ms) {
        first.t_ms = first_ms.min(first.t_ms).max(block.start_ms);
    }
}
