//! The last step: points and samples as the values that a query yields.

use crate::ast::Extended;
use crate::budget::Budget;
use crate::engine::QueryError;
use crate::engine::extended;
use crate::engine::points::{Grid, SeriesPoints};
use crate::engine::stage::weight;
use crate::engine::tally::Tally;
use crate::engine::window::{Windows, drop_stale};
use crate::value::{Histograms, InstantSample, Points, RangeSeries, SampleValue};
use longhaul_chunk::{Samples, SeriesChunks, merge_samples};
use std::sync::Arc;

/// The one point of a series as an element of an instant vector.
pub fn sample(series: SeriesPoints, t_ms: i64) -> InstantSample {
    let value = match series.histogram(0) {
        Some(histogram) => SampleValue::Histogram(Arc::clone(histogram)),
        None => SampleValue::Float(series.values[0]),
    };
    InstantSample { labels: series.labels, t_ms, value }
}

/// The points of a series with their times.
pub fn over(series: SeriesPoints, grid: &Grid) -> RangeSeries {
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

/// The samples of a range on its own.
pub fn raw(
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
