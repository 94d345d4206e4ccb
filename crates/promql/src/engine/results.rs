//! The last step: points and samples as the values that a query yields.

use crate::ast::Extended;
use crate::budget::{Budget, Held};
use crate::engine::QueryError;
use crate::engine::collide;
use crate::engine::extended;
use crate::engine::labels::without_metadata;
use crate::engine::order;
use crate::engine::points::{Grid, SeriesPoints};
use crate::engine::stage::weight;
use crate::engine::tally::Tally;
use crate::engine::vector::Vector;
use crate::engine::window::{Windows, drop_stale};
use crate::value::{Histograms, InstantSample, Points, RangeSeries, SampleValue, Value};
use longhaul_chunk::{Samples, SeriesChunks, merge_samples};
use std::sync::Arc;

/// A value, accounted for.
#[derive(Debug)]
pub struct Accounted {
    /// The value.
    pub value: Value,
    /// Accounts for it.
    pub held: Held,
}

/// Makes a value of a vector over `grid`: names that are to go go (`delayed`), equal series meet, and points get their
/// times. A matrix is in label order.
pub fn finish(mut vector: Vector, delayed: bool, instant: bool, grid: &Grid) -> Result<Accounted, QueryError> {
    if delayed {
        for at in 0..vector.series.len() {
            let series = &mut vector.series[at];
            if series.drop_name {
                series.labels = without_metadata(&series.labels).0;
            }
            let bytes = series.labels.size_bytes();
            vector.go_on(bytes)?;
        }
    }
    let Vector { mut series, held: mut points_held, .. } = collide::merge(vector)?;
    let budget = points_held.budget().clone();
    let (mut held, mut pace) = (budget.nothing_held(), budget.pace());
    if instant {
        held.grow(series.iter().map(|one| size_of::<InstantSample>() + one.labels.size_bytes()).sum())?;
        let samples = series.into_iter().map(|one| sample(one, grid.start_ms)).collect();
        return Ok(Accounted { value: Value::Vector(samples), held });
    }
    series = order::sorted(series, &budget, |a, b| a.labels.cmp(&b.labels))?;
    let mut matrix = Vec::with_capacity(series.len());
    for one in series {
        pace.go_on(one.steps())?;
        points_held.shrink(one.size_bytes());
        let one = over(one, grid);
        held.grow(range_bytes(&one))?;
        if !is_empty(&one) {
            matrix.push(one);
        }
    }
    Ok(Accounted { value: Value::Matrix(matrix), held })
}

/// The samples of a range on its own.
pub fn raw(
    all: &[SeriesChunks],
    windows: &Windows,
    budget: &Budget,
    tally: Option<&Tally>,
) -> Result<Accounted, QueryError> {
    let (mut matrix, mut held) = (Vec::with_capacity(all.len()), budget.nothing_held());
    for series in all {
        budget.check()?;
        let one = samples(series, windows, budget, tally)?;
        held.grow(range_bytes(&one))?;
        if !is_empty(&one) {
            matrix.push(one);
        }
    }
    let matrix = order::sorted(matrix, budget, |a, b| a.labels.cmp(&b.labels))?;
    Ok(Accounted { value: Value::Matrix(matrix), held })
}

fn is_empty(series: &RangeSeries) -> bool {
    series.points.t_ms.is_empty() && series.histograms.t_ms.is_empty()
}

fn range_bytes(series: &RangeSeries) -> usize {
    let histograms: usize = series.histograms.values.iter().map(|histogram| 16 + histogram.size_bytes()).sum();
    size_of::<RangeSeries>() + series.labels.size_bytes() + series.points.t_ms.len() * 16 + histograms
}

/// The one point of a series as an element of an instant vector.
fn sample(series: SeriesPoints, t_ms: i64) -> InstantSample {
    let value = match series.histogram(0) {
        Some(histogram) => SampleValue::Histogram(Arc::clone(histogram)),
        None => SampleValue::Float(series.values[0]),
    };
    InstantSample { labels: series.labels, t_ms, value }
}

/// The points of a series with their times.
fn over(series: SeriesPoints, grid: &Grid) -> RangeSeries {
    let mut histograms = Histograms::default();
    let mut points = Points::default();
    if series.present.is_all() {
        points = Points { t_ms: grid.times().collect(), values: series.values };
    } else {
        for (step, value) in series.points() {
            points.t_ms.push(grid.time_ms(step));
            points.values.push(value);
        }
        for (step, histogram) in series.histograms.into_iter().flat_map(|histograms| *histograms) {
            histograms.t_ms.push(grid.time_ms(step));
            histograms.values.push(histogram);
        }
    }
    RangeSeries { labels: series.labels, points, histograms }
}

/// The samples of one series of a range on its own.
fn samples(
    series: &SeriesChunks,
    windows: &Windows,
    budget: &Budget,
    tally: Option<&Tally>,
) -> Result<RangeSeries, QueryError> {
    let mut samples = Samples::default();
    merge_samples(&series.chunks, windows.reach(), &mut samples)?;
    budget.count_samples(weight(&samples))?;
    drop_stale(&mut samples);
    if let Some(beyond) = windows.beyond {
        if !samples.histograms.t_ms.is_empty() {
            let modifier = if beyond.extended == Extended::Anchored { "anchored" } else { "smoothed" };
            return Err(QueryError::execution(format!("{modifier} modifier is not supported with histograms")));
        }
        samples.floats = extended::range(&samples.floats, windows, beyond.extended);
    }
    if let Some(tally) = tally {
        tally.answer(&samples);
    }
    let Samples { floats, histograms } = samples;
    Ok(RangeSeries {
        labels: series.labels.clone(),
        points: Points { t_ms: floats.t_ms, values: floats.values },
        histograms: Histograms { t_ms: histograms.t_ms, values: histograms.values },
    })
}
