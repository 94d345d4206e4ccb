//! Histograms as text, as Prometheus writes them: `{count:3, sum:4.5, [-0.001,0.001]:1, (1,2]:2}`.

use super::integer::absolute;
use super::{Bucket, FloatHistogram, Histogram, bucket};
use std::fmt;

/// A number as Go's `%g` writes it: as few digits as tell it apart, and an exponent if that is below -4 or above 5.
pub(super) struct General(pub f64);

impl fmt::Display for General {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        if value.is_nan() {
            return out.write_str("NaN");
        }
        if value.is_infinite() {
            return out.write_str(if value > 0.0 { "+Inf" } else { "-Inf" });
        }
        let scientific = format!("{value:e}");
        let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        if (-4..6).contains(&exponent) {
            return write!(out, "{value}");
        }
        write!(out, "{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_bucket(out, self, General(self.count))
    }
}

impl fmt::Display for Bucket<u64> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_bucket(out, self, self.count)
    }
}

fn write_bucket<C>(out: &mut fmt::Formatter<'_>, bucket: &Bucket<C>, count: impl fmt::Display) -> fmt::Result {
    let open = if bucket.lower_inclusive { '[' } else { '(' };
    let close = if bucket.upper_inclusive { ']' } else { ')' };
    write!(out, "{open}{},{}{close}:{count}", General(bucket.lower), General(bucket.upper))
}

/// The populated buckets by rising bounds, and none cut by the zero bucket.
impl fmt::Display for FloatHistogram {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{{count:{}, sum:{}", General(self.count), General(self.sum))?;
        let buckets = self.negative_buckets().rev().chain(self.zero_bucket()).chain(self.positive_buckets());
        for bucket in buckets.filter(|bucket| bucket.count != 0.0) {
            write!(out, ", {bucket}")?;
        }
        out.write_str("}")
    }
}

/// The populated buckets by rising bounds, and none cut by the zero bucket.
impl fmt::Display for Histogram {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{{count:{}, sum:{}", self.count, General(self.sum))?;
        let unsigned = |deltas| absolute(deltas).map(|count| count as u64).collect::<Vec<_>>();
        let (negative, positive) = (unsigned(&self.negative_deltas), unsigned(&self.positive_deltas));
        let buckets = bucket::negative(self.schema, &self.negative_spans, &negative)
            .rev()
            .chain(bucket::zero(self.schema, self.zero_threshold, self.zero_count))
            .chain(bucket::positive(self.schema, &self.positive_spans, &positive, &self.custom_bounds));
        for bucket in buckets.filter(|bucket| bucket.count != 0) {
            write!(out, ", {bucket}")?;
        }
        out.write_str("}")
    }
}
