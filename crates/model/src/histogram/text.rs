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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::test_histograms::{custom, exponential, span};

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        for (number, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (100_000.0, "100000"),
            (1_000_000.0, "1e+06"),
            (123_456.75, "123456.75"),
            (1_234_567.0, "1.234567e+06"),
            (0.0001, "0.0001"),
            (0.00001234, "1.234e-05"),
            (-2.5e-7, "-2.5e-07"),
            (1e100, "1e+100"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (-f64::NAN, "NaN"),
        ] {
            assert_eq!(General(number).to_string(), text);
        }
    }

    #[test]
    fn histograms_are_written_by_their_populated_buckets() {
        assert_eq!(FloatHistogram::default().to_string(), "{count:0, sum:0}");
        let histogram = FloatHistogram {
            zero_threshold: 0.001,
            zero_count: 1.5,
            count: 1e6,
            sum: f64::NAN,
            negative_spans: vec![span(0, 3)],
            negative_counts: vec![1.0, 0.0, 2.0],
            ..exponential(0, &[span(-1, 2), span(1024, 1)], &[0.25, 0.0, 7.0])
        };
        assert_eq!(
            histogram.to_string(),
            "{count:1e+06, sum:NaN, [-4,-2):2, [-1,-0.5):1, [-0.001,0.001]:1.5, (0.25,0.5]:0.25, \
             (1.7976931348623157e+308,+Inf]:7}"
        );
        let histogram = custom(&[1.0, 2.5], &[span(0, 3)], &[1.0, 2.0, 3.0]);
        assert_eq!(histogram.to_string(), "{count:6, sum:0, [-Inf,1]:1, (1,2.5]:2, (2.5,+Inf]:3}");
        let integer = Histogram {
            count: 1_000_000,
            zero_count: 1,
            positive_spans: vec![span(1, 2)],
            positive_deltas: vec![999_000, -1],
            negative_spans: vec![span(1, 1)],
            negative_deltas: vec![2],
            ..Default::default()
        };
        assert_eq!(integer.to_string(), "{count:1000000, sum:0, [-2,-1):2, [-0,0]:1, (1,2]:999000, (2,4]:998999}");
    }
}
