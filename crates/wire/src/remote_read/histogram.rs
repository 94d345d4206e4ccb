//! Native histograms as messages.

use crate::proto::prometheus as message;
use crate::proto::prometheus::histogram::{Count, ResetHint, ZeroCount};
use longhaul_model::{BucketSpan, CounterResetHint, FloatHistogram, Histogram};

/// The message for an integer histogram at `t_ms`.
pub(super) fn integer(t_ms: i64, histogram: &Histogram) -> message::Histogram {
    message::Histogram {
        count: Some(Count::CountInt(histogram.count)),
        zero_count: Some(ZeroCount::ZeroCountInt(histogram.zero_count)),
        negative_deltas: histogram.negative_deltas.clone(),
        positive_deltas: histogram.positive_deltas.clone(),
        sum: histogram.sum,
        schema: histogram.schema,
        zero_threshold: histogram.zero_threshold,
        negative_spans: spans(&histogram.negative_spans),
        positive_spans: spans(&histogram.positive_spans),
        reset_hint: hint(histogram.reset_hint).into(),
        custom_values: histogram.custom_bounds.to_vec(),
        timestamp: t_ms,
        ..message::Histogram::default()
    }
}

/// The message for a float histogram at `t_ms`.
pub(super) fn float(t_ms: i64, histogram: &FloatHistogram) -> message::Histogram {
    message::Histogram {
        count: Some(Count::CountFloat(histogram.count)),
        zero_count: Some(ZeroCount::ZeroCountFloat(histogram.zero_count)),
        negative_counts: histogram.negative_counts.clone(),
        positive_counts: histogram.positive_counts.clone(),
        sum: histogram.sum,
        schema: histogram.schema,
        zero_threshold: histogram.zero_threshold,
        negative_spans: spans(&histogram.negative_spans),
        positive_spans: spans(&histogram.positive_spans),
        reset_hint: hint(histogram.reset_hint).into(),
        custom_values: histogram.custom_bounds.to_vec(),
        timestamp: t_ms,
        ..message::Histogram::default()
    }
}

fn spans(spans: &[BucketSpan]) -> Vec<message::BucketSpan> {
    spans.iter().map(|span| message::BucketSpan { offset: span.offset, length: span.length }).collect()
}

fn hint(hint: CounterResetHint) -> ResetHint {
    match hint {
        CounterResetHint::Unknown => ResetHint::Unknown,
        CounterResetHint::Reset => ResetHint::Yes,
        CounterResetHint::NotReset => ResetHint::No,
        CounterResetHint::Gauge => ResetHint::Gauge,
    }
}
