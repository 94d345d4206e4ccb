//! The histograms of a series, one or none a step.
//!
//! They are shared, never changed in place: the sample that answers an instant selector stands at many steps.

use crate::engine::points::Presence;
use longhaul_model::FloatHistogram;
use std::sync::Arc;

/// One histogram or none a step.
#[derive(Clone, Debug)]
pub struct HistogramPoints {
    steps: Vec<Option<Arc<FloatHistogram>>>,
}

impl HistogramPoints {
    /// None at any step.
    pub fn none(steps: usize) -> Self {
        Self { steps: vec![None; steps] }
    }

    /// The same one at every step.
    pub fn all(steps: usize, histogram: Arc<FloatHistogram>) -> Self {
        Self { steps: vec![Some(histogram); steps] }
    }

    /// The one at `step`.
    pub fn get(&self, step: usize) -> Option<&Arc<FloatHistogram>> {
        self.steps[step].as_ref()
    }

    /// Sets the one at `step`.
    pub fn set(&mut self, step: usize, histogram: Arc<FloatHistogram>) {
        self.steps[step] = Some(histogram);
    }

    /// Keeps those at the steps of which `keep` says so.
    pub fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        for (step, histogram) in self.steps.iter_mut().enumerate() {
            if histogram.is_some() && !keep(step) {
                *histogram = None;
            }
        }
    }

    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        self.steps.iter().all(Option::is_none)
    }

    /// At which steps there is one.
    pub fn presence(&self) -> Presence {
        let mut present = Presence::none(self.steps.len());
        self.iter().for_each(|(step, _)| present.set(step));
        present
    }

    /// All of them with their steps, rising.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Arc<FloatHistogram>)> {
        self.steps.iter().enumerate().filter_map(|(step, histogram)| Some((step, histogram.as_ref()?)))
    }

    /// All of them with their steps, rising, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut Arc<FloatHistogram>)> {
        self.steps.iter_mut().enumerate().filter_map(|(step, histogram)| Some((step, histogram.as_mut()?)))
    }

    /// What they take in memory. One that stands at neighbouring steps is counted once.
    pub fn size_bytes(&self) -> usize {
        let mut bytes = self.steps.capacity() * size_of::<Option<Arc<FloatHistogram>>>();
        let mut before: Option<&Arc<FloatHistogram>> = None;
        for (_, histogram) in self.iter() {
            if before.is_none_or(|before| !Arc::ptr_eq(before, histogram)) {
                bytes += histogram.size_bytes();
            }
            before = Some(histogram);
        }
        bytes
    }
}

impl IntoIterator for HistogramPoints {
    type Item = (usize, Arc<FloatHistogram>);
    type IntoIter = Box<dyn Iterator<Item = Self::Item>>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.steps.into_iter().enumerate().filter_map(|(step, histogram)| Some((step, histogram?))))
    }
}
