//! Histograms without buckets that nobody needs.

use super::FloatHistogram;
use super::side::Side;

impl FloatHistogram {
    /// Takes empty buckets out and lays the spans anew, with at most `empty_max` empty buckets in a row within a span.
    /// Two histograms with the same populated buckets have the same layout afterwards.
    ///
    /// Up to `empty_max` buckets come in for each one that is there, where spans are near each other.
    pub fn compact(&mut self, empty_max: usize) {
        Side::edit(&mut self.positive_spans, &mut self.positive_counts, |side| side.compact(empty_max));
        Side::edit(&mut self.negative_spans, &mut self.negative_counts, |side| side.compact(empty_max));
    }
}
