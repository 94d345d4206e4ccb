//! A native histogram as JSON: `{"count":"…","sum":"…","buckets":[[rule,"lower","upper","count"],…]}`, numbers quoted as
//! everywhere (Prometheus' `util/jsonutil`). Buckets rise; empty ones are left out, and the list with the last of them.

use super::numbers::push_value;
use longhaul_model::FloatHistogram;

/// Which bounds belong to a bucket, by whether the lower and the upper one do.
const RULES: [[u8; 2]; 2] = [[b'2', b'0'], [b'1', b'3']];

/// Appends a histogram.
pub(super) fn push_histogram(out: &mut Vec<u8>, histogram: &FloatHistogram) {
    out.extend_from_slice(br#"{"count":""#);
    push_value(out, histogram.count);
    out.extend_from_slice(br#"","sum":""#);
    push_value(out, histogram.sum);
    out.push(b'"');
    let mut filled = histogram.buckets().filter(|bucket| bucket.count != 0.0).peekable();
    if filled.peek().is_some() {
        out.extend_from_slice(br#","buckets":"#);
        let mut separator = b'[';
        for bucket in filled {
            let rule = RULES[usize::from(bucket.lower_inclusive)][usize::from(bucket.upper_inclusive)];
            out.extend_from_slice(&[separator, b'[', rule]);
            for number in [bucket.lower, bucket.upper, bucket.count] {
                out.extend_from_slice(b",\"");
                push_value(out, number);
                out.push(b'"');
            }
            out.push(b']');
            separator = b',';
        }
        out.push(b']');
    }
    out.push(b'}');
}
