//! Samples of a series as windows of time: what is kept of each, and how windows fold.
//!
//! Layer 1: pure functions over samples. Downsampling makes windows of raw blocks and wider windows of those; a query folds
//! windows and raw samples as one sequence, for a sample is a window of one. Window k of a resolution r is the time
//! (k*r, (k+1)*r], left-open as PromQL's ranges are.
//!
//! **Invariant I-FOLD-1:** folding the windows of any split of a sequence, in the order of time, yields what the window of
//! the whole sequence holds: counts, times and values to the bit, sums but for rounding.
//!
//! Knows nothing of chunks, files, or which function a query computes.

mod float_window;
mod histogram_window;
mod resolution;
mod split;
mod window;

pub use float_window::{FloatWindow, Point};
pub use histogram_window::{HistogramPoint, HistogramWindow, Layouts};
pub use resolution::Resolution;
pub use split::{NumberedWindow, Splitter, coarsen};
pub use window::Window;

#[cfg(test)]
mod tests;
