//! Whether a counter began anew between two histograms: some bucket holds less than before, or the layout can only have
//! changed that way (Prometheus `FloatHistogram.DetectReset`).

use super::arithmetic::widened_zero;
use super::side::{Cells, Side};
use super::{CounterResetHint, FloatHistogram, schema};

impl FloatHistogram {
    /// Whether counting began anew between `before` and this one. A hint decides it, except that a gauge is looked at as
    /// if it were a counter.
    pub fn is_reset_after(&self, before: &Self) -> bool {
        match self.reset_hint {
            CounterResetHint::Reset => return true,
            CounterResetHint::NotReset => return false,
            CounterResetHint::Unknown | CounterResetHint::Gauge => {}
        }
        if self.count < before.count {
            return true;
        }
        if self.uses_custom_bounds() {
            return !before.uses_custom_bounds() || self.has_less_in_custom_buckets(before);
        }
        // A counter that goes on gets coarser, never finer.
        if self.schema > before.schema || self.zero_threshold < before.zero_threshold {
            return true;
        }
        let sides = [
            Cells::new(&before.positive_spans, &before.positive_counts),
            Cells::new(&before.negative_spans, &before.negative_counts),
        ];
        let mut zero_count = before.zero_count;
        if self.zero_threshold != before.zero_threshold {
            let (wider, threshold) = widened_zero(zero_count, self.zero_threshold, before.schema, sides.clone());
            if threshold != self.zero_threshold {
                return true; // it would end within a populated bucket
            }
            zero_count = wider;
        }
        let here = [
            Cells::new(&self.positive_spans, &self.positive_counts),
            Cells::new(&self.negative_spans, &self.negative_counts),
        ];
        let lost = |(here, before_here): (Cells<'_, f64>, Cells<'_, f64>)| {
            // What the zero bucket has taken in is no bucket any more.
            let outside = |cells, schema| {
                let within_zero = move |index| schema::exponential_bound(index, schema) <= self.zero_threshold;
                Cells::skip_while(cells, move |(index, _)| within_zero(*index))
            };
            if self.schema == before.schema {
                return has_less(outside(here, self.schema), outside(before_here, self.schema));
            }
            let coarser = outside(before_here, before.schema)
                .map(|(index, count)| (schema::coarser_index(index, before.schema, self.schema), count));
            has_less(outside(here, self.schema), Side::gather(coarser, 0).iter())
        };
        self.zero_count < zero_count || here.into_iter().zip(sides).any(lost)
    }

    /// The same for custom buckets: by the bounds that both have.
    fn has_less_in_custom_buckets(&self, before: &Self) -> bool {
        let here = Cells::new(&self.positive_spans, &self.positive_counts);
        let before_here = Cells::new(&before.positive_spans, &before.positive_counts);
        if schema::same_bounds(&self.custom_bounds, &before.custom_bounds) {
            return has_less(here, before_here);
        }
        let common = schema::common_bounds(&self.custom_bounds, &before.custom_bounds);
        let in_common = |cells: Cells<'_, f64>, bounds: &[f64]| {
            Side::gather(cells.map(|(index, count)| (schema::common_index(index, bounds, &common), count)), 0)
        };
        let here = in_common(here, &self.custom_bounds);
        has_less(here.iter(), in_common(before_here, &before.custom_bounds).iter())
    }
}

/// Whether a bucket of `before` holds more than that of `here`, which may be missing. Both by rising index.
fn has_less(here: impl Iterator<Item = (i64, f64)>, mut before: impl Iterator<Item = (i64, f64)>) -> bool {
    let mut here = here.peekable();
    before.any(|(index, count)| {
        while here.next_if(|(at, _)| *at < index).is_some() {}
        match here.peek() {
            Some((at, now)) if *at == index => *now < count,
            _ => count != 0.0,
        }
    })
}

#[cfg(test)]
mod tests;
