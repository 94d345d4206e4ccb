//! Histograms without buckets, for the expressions in which nothing but count and sum matters
//! (`histogram_count(rate(x[5m]))`): much less is added up then. Whether counting began anew shows in the buckets, so
//! that hints say it from here on (Prometheus `promql/histogram_stats_iterator.go`).

use longhaul_chunk::HistogramColumns;
use longhaul_model::{CounterResetHint, FloatHistogram};
use std::sync::Arc;

/// Takes the buckets away; stale markers are still there and stay.
pub fn reduce(histograms: &mut HistogramColumns) {
    let no_bounds: Arc<[f64]> = Arc::from([]);
    let mut before: Option<Arc<FloatHistogram>> = None;
    for histogram in &mut histograms.values {
        let whole = Arc::clone(histogram);
        let reset_hint = match (&before, whole.reset_hint) {
            (Some(before), CounterResetHint::Unknown) if !whole.is_stale() => match whole.is_reset_after(before) {
                true => CounterResetHint::Reset,
                false => CounterResetHint::NotReset,
            },
            (_, hint) => hint,
        };
        *histogram = Arc::new(FloatHistogram {
            reset_hint,
            schema: whole.schema,
            count: whole.count,
            sum: whole.sum,
            custom_bounds: Arc::clone(&no_bounds),
            ..FloatHistogram::default()
        });
        if !whole.is_stale() {
            before = Some(whole);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longhaul_model::{BucketSpan, STALE_NAN_BITS};

    fn of(counts: &[f64], sum: f64) -> Arc<FloatHistogram> {
        Arc::new(FloatHistogram {
            count: 7.0,
            sum,
            positive_spans: vec![BucketSpan { offset: 0, length: counts.len() as u32 }],
            positive_counts: counts.to_vec(),
            ..FloatHistogram::default()
        })
    }

    #[test]
    fn hints_tell_what_buckets_did() {
        let stale = of(&[], f64::from_bits(STALE_NAN_BITS));
        let values = vec![of(&[1.0, 5.0], 1.0), of(&[2.0, 5.0], 2.0), stale, of(&[1.0, 6.0], 3.0)];
        let mut histograms = HistogramColumns { t_ms: vec![0, 1, 2, 3], values, ..HistogramColumns::default() };
        reduce(&mut histograms);
        let hints: Vec<_> = histograms.values.iter().map(|histogram| histogram.reset_hint).collect();
        let (unknown, not, reset) = (CounterResetHint::Unknown, CounterResetHint::NotReset, CounterResetHint::Reset);
        assert_eq!(hints, [unknown, not, unknown, reset]);
        assert!(histograms.values.iter().all(|histogram| histogram.positive_counts.is_empty()));
        assert!(histograms.values[2].is_stale());
        assert_eq!((histograms.values[3].count, histograms.values[3].sum), (7.0, 3.0));
    }
}
