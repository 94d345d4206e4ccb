//! What is kept of a stretch of time of one series.

use crate::float_window::{FloatWindow, Point};
use crate::histogram_window::{HistogramPoint, HistogramWindow};
use longhaul_model::{FloatHistogram, Value, is_stale};
use std::sync::Arc;

/// What is kept of a stretch of time; the default holds nothing. A series may mix floats and histograms.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// Of its floats.
    pub floats: Option<FloatWindow>,
    /// Of its histograms.
    pub histograms: Option<Box<HistogramWindow>>,
    /// When the series ended behind its last sample, ms: the first stale marker there.
    pub stale_ms: Option<i64>,
}

impl Window {
    /// The window of one sample, or of a stale marker, whatever its kind.
    pub fn of(t_ms: i64, start_ms: i64, value: &Value) -> Self {
        let mut window = Self::default();
        match value {
            _ if value.is_stale() => window.stale_ms = Some(t_ms),
            Value::Float(value) => window.push_float(t_ms, start_ms, *value),
            Value::Histogram(value) => window.push_histogram(t_ms, start_ms, Arc::new(FloatHistogram::from(&**value))),
            Value::FloatHistogram(value) => window.push_histogram(t_ms, start_ms, value.clone()),
        }
        window
    }

    /// Takes in the float or stale marker that follows.
    #[inline]
    pub fn push_float(&mut self, t_ms: i64, start_ms: i64, value: f64) {
        if is_stale(value) {
            self.stale_ms = self.stale_ms.or(Some(t_ms));
            return;
        }
        self.stale_ms = None;
        let sample = FloatWindow::of(Point { t_ms, start_ms, value });
        match &mut self.floats {
            Some(floats) => floats.fold(&sample),
            none => *none = Some(sample),
        }
    }

    /// Takes in the histogram or stale marker that follows.
    pub fn push_histogram(&mut self, t_ms: i64, start_ms: i64, value: Arc<FloatHistogram>) {
        if value.is_stale() {
            self.stale_ms = self.stale_ms.or(Some(t_ms));
            return;
        }
        self.stale_ms = None;
        let sample = HistogramWindow::of(HistogramPoint { t_ms, start_ms, value });
        match &mut self.histograms {
            Some(histograms) => histograms.fold(&sample),
            none => *none = Some(Box::new(sample)),
        }
    }

    /// Takes in the window that follows.
    pub fn fold(&mut self, later: &Self) {
        self.stale_ms = if later.samples() > 0 { later.stale_ms } else { self.stale_ms.or(later.stale_ms) };
        match (&mut self.floats, &later.floats) {
            (Some(floats), Some(later)) => floats.fold(later),
            (none @ None, later) => *none = *later,
            (Some(_), None) => {}
        }
        match (&mut self.histograms, &later.histograms) {
            (Some(histograms), Some(later)) => histograms.fold(later),
            (none @ None, later) => none.clone_from(later),
            (Some(_), None) => {}
        }
    }

    /// Samples of either kind; stale markers are none.
    pub fn samples(&self) -> u64 {
        self.floats.map_or(0, |floats| floats.count) + self.histograms.as_ref().map_or(0, |histograms| histograms.count)
    }

    /// Whether it holds floats and histograms: resets and changes between the two are not counted, so that functions which
    /// compare neighbours have to go back to the samples.
    pub fn is_mixed(&self) -> bool {
        self.floats.is_some() && self.histograms.is_some()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.samples() == 0 && self.stale_ms.is_none()
    }

    /// The time of the last sample, ms.
    pub fn last_ms(&self) -> Option<i64> {
        let histogram_ms = self.histograms.as_ref().map(|histograms| histograms.last.t_ms);
        self.floats.map(|floats| floats.last.t_ms).max(histogram_ms)
    }
}
