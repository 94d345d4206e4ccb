//! The operators `</` and `>/`: a histogram without what was observed above or below a bound.
//!
//! A bucket that the bound cuts keeps a share, as `fraction_below` interpolates. The sum cannot be known any more; it is
//! estimated from the middle of what is left of each bucket (Prometheus `FloatHistogram.TrimBuckets`).

use super::{Bucket, FloatHistogram};

impl FloatHistogram {
    /// What was observed up to `bound` (`upper`, the operator `</`) or from it on (`>/`). What takes nothing away leaves
    /// count and sum as they are; otherwise both are computed anew, and empty buckets are gone.
    pub fn trim(&self, bound: f64, upper: bool) -> Self {
        let cut = Cut { bound, upper, linear: self.uses_custom_bounds() };
        let mut trimmed = self.clone();
        let mut kept = Kept::default();
        let positive = kept.side(&cut, self.positive_buckets(), &mut trimmed.positive_counts, 1.0);
        let negative = kept.side(&cut, self.negative_buckets(), &mut trimmed.negative_counts, -1.0);
        if let Some(zero) = self.zero_bucket().filter(|zero| zero.count > 0.0) {
            let part = cut.zero(zero, negative && !positive, positive && !negative);
            kept.take(part, &mut trimmed.zero_count);
        }
        if kept.less {
            (trimmed.count, trimmed.sum) = (kept.count, kept.sum);
            trimmed.compact(0);
        }
        trimmed
    }
}

/// What is left so far.
#[derive(Default)]
struct Kept {
    count: f64,
    sum: f64,
    /// Whether anything was taken away.
    less: bool,
}

impl Kept {
    /// Takes what is left of the buckets of a side; true if any was populated.
    fn side(&mut self, cut: &Cut, buckets: impl Iterator<Item = Bucket>, counts: &mut [f64], sign: f64) -> bool {
        let mut populated = false;
        for (bucket, count) in buckets.zip(counts) {
            if bucket.count != 0.0 {
                populated = true;
                self.take(cut.bucket(&bucket, sign), count);
            }
        }
        populated
    }

    fn take(&mut self, part: Part, count: &mut f64) {
        self.count += part.count;
        self.sum += part.middle * part.count;
        self.less |= *count != part.count;
        *count = part.count;
    }
}

/// What is left of a bucket, and the value that stands for its observations.
struct Part {
    count: f64,
    middle: f64,
}

const NOTHING: Part = Part { count: 0.0, middle: 0.0 };

struct Cut {
    bound: f64,
    upper: bool,
    /// Custom buckets are taken for evenly filled, exponential ones on a logarithmic scale.
    linear: bool,
}

impl Cut {
    /// What is left of a bucket on the side of `sign`.
    fn bucket(&self, bucket: &Bucket, sign: f64) -> Part {
        let &Bucket { lower, upper, count, .. } = bucket;
        let (whole, cut) = match self.upper {
            true => (upper <= self.bound, lower < self.bound),
            false => (lower >= self.bound, upper > self.bound),
        };
        if whole {
            return Part { count, middle: self.middle(lower, upper, sign) };
        }
        if !cut {
            return NOTHING;
        }
        if lower == f64::NEG_INFINITY {
            return self.lowest(bucket);
        }
        if upper == f64::INFINITY {
            // How its observations are spread is not known; all may be beyond the bound.
            return if self.upper || self.bound < lower { NOTHING } else { Part { count, middle: self.bound } };
        }
        let below = match self.bound {
            bound if bound <= lower => 0.0,
            bound if bound >= upper => count,
            bound => count * bucket.fraction_below(bound, self.linear),
        };
        match self.upper {
            true => Part { count: below, middle: self.middle(lower, self.bound, sign) },
            false => Part { count: count - below, middle: self.middle(self.bound, upper, sign) },
        }
    }

    /// What is left of a cut bucket that reaches down to minus infinity. If it reaches above zero, it is taken to begin
    /// there.
    fn lowest(&self, &Bucket { upper, count, .. }: &Bucket) -> Part {
        let bound = self.bound;
        let from_zero = upper > bound && upper.is_finite();
        match self.upper {
            true if from_zero && bound > 0.0 => Part { count: count * bound / upper, middle: bound / 2.0 },
            true if upper <= 0.0 => Part { count, middle: bound },
            false if from_zero && bound >= 0.0 => {
                Part { count: count * (1.0 - bound / upper), middle: (bound + upper) / 2.0 }
            }
            _ => NOTHING,
        }
    }

    /// What is left of the zero bucket, which reaches to zero only if there are buckets on one side only.
    fn zero(&self, bucket: Bucket, only_negative: bool, only_positive: bool) -> Part {
        let lower = if only_positive { 0.0 } else { bucket.lower };
        let upper = if only_negative { 0.0 } else { bucket.upper };
        let (bound, count) = (self.bound, bucket.count);
        let whole = Part { count, middle: (lower + upper) / 2.0 };
        match self.upper {
            true if bound <= lower => NOTHING,
            true if bound >= upper => whole,
            true => Part { count: count * ((bound - lower) / (upper - lower)), middle: (lower + bound) / 2.0 },
            false if bound <= lower => whole,
            false if bound >= upper => NOTHING,
            false => Part { count: count * ((upper - bound) / (upper - lower)), middle: (bound + upper) / 2.0 },
        }
    }

    /// The value that stands for what was observed between two bounds.
    fn middle(&self, lower: f64, upper: f64, sign: f64) -> f64 {
        match (lower.is_infinite(), upper.is_infinite()) {
            (true, true) => 0.0,
            (true, false) if upper > 0.0 => upper / 2.0,
            (true, false) => upper,
            (false, true) => lower,
            (false, false) if self.linear => (lower + upper) / 2.0,
            (false, false) => sign * (lower * upper).abs().sqrt(),
        }
    }
}

#[cfg(test)]
mod tests;
