//! A native histogram as JSON: `{"count":"…","sum":"…"}`, numbers quoted as everywhere.

use super::numbers::push_value;
use longhaul_model::FloatHistogram;

/// Appends a histogram.
pub(super) fn push_histogram(out: &mut Vec<u8>, histogram: &FloatHistogram) {
    out.extend_from_slice(br#"{"count":""#);
    push_value(out, histogram.count);
    out.extend_from_slice(br#"","sum":""#);
    push_value(out, histogram.sum);
    out.extend_from_slice(br#""}"#);
}
