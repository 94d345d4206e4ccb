//! Figures of classic histograms: the quantile and the fraction of cumulative buckets (Prometheus `promql/quantile.go`).

/// Relative differences between neighbouring buckets that count as rounding (as in Prometheus).
const SMALL_DELTA: f64 = 1e-12;

/// A cumulative bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Its upper bound.
    pub bound: f64,
    /// How many observations are at most the bound.
    pub count: f64,
}

/// Where counts did not rise from bucket to bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Falls {
    /// The lowest bound whose count was raised.
    pub from: f64,
    /// The highest one.
    pub to: f64,
    /// The most that a count was raised by.
    pub difference_max: f64,
}

/// The quantile `q` of buckets in order of their bounds, interpolated within a bucket; and where counts had to be forced
/// to rise.
pub fn quantile(q: f64, buckets: &mut Vec<Bucket>) -> (f64, Option<Falls>) {
    if q.is_nan() {
        return (f64::NAN, None);
    } else if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    } else if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if buckets.last().is_none_or(|last| last.bound != f64::INFINITY) {
        return (f64::NAN, None);
    }
    coalesce(buckets);
    let falls = make_rise(buckets);
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if last == 0 || observations == 0.0 {
        return (f64::NAN, falls);
    }
    let mut rank = q * observations;
    let at = buckets[..last].iter().position(|bucket| bucket.count >= rank).unwrap_or(last);
    let value = if at == last {
        buckets[last - 1].bound
    } else if at == 0 && buckets[0].bound <= 0.0 {
        buckets[0].bound
    } else {
        let (mut start, mut count) = (0.0, buckets[at].count);
        if at > 0 {
            start = buckets[at - 1].bound;
            count -= buckets[at - 1].count;
            rank -= buckets[at - 1].count;
        }
        start + (buckets[at].bound - start) * (rank / count)
    };
    (value, falls)
}

/// The share of observations in `(lower, upper]`, interpolated within buckets.
pub fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if buckets.last().is_none_or(|last| last.bound != f64::INFINITY) {
        return f64::NAN;
    }
    coalesce(buckets);
    let count = buckets[buckets.len() - 1].count;
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    } else if lower >= upper {
        return 0.0;
    }
    (rank_of(upper, buckets, count) - rank_of(lower, buckets, count)) / count
}

/// How many observations lie at or below `value`.
fn rank_of(value: f64, buckets: &[Bucket], count: f64) -> f64 {
    let mut rank = 0.0;
    let mut start = f64::NEG_INFINITY;
    for (number, bucket) in buckets.iter().enumerate() {
        if number == 0 && bucket.bound > 0.0 {
            start = 0.0;
        }
        if start >= value {
            return rank;
        }
        if bucket.bound > value {
            if start == f64::NEG_INFINITY {
                return bucket.count; // Nothing can be said of where observations lie in an endless bucket.
            }
            let within = rank + (bucket.count - rank) * (value - start) / (bucket.bound - start);
            return if within > count { count } else { within };
        }
        (rank, start) = (bucket.count, bucket.bound);
    }
    count
}

/// Buckets of the same bound are one.
fn coalesce(buckets: &mut Vec<Bucket>) {
    buckets.dedup_by(|next, kept| {
        let same = next.bound == kept.bound;
        if same {
            kept.count += next.count;
        }
        same
    });
}

/// Makes counts rise from bucket to bucket; says where more than rounding was in the way.
fn make_rise(buckets: &mut [Bucket]) -> Option<Falls> {
    let mut falls: Option<Falls> = None;
    let mut before = buckets.first()?.count;
    for bucket in &mut buckets[1..] {
        if bucket.count == before {
            continue;
        }
        if almost_equal(before, bucket.count) {
            bucket.count = before;
        } else if bucket.count < before {
            let first = Falls { from: bucket.bound, to: bucket.bound, difference_max: 0.0 };
            let falls = falls.get_or_insert(first);
            falls.to = bucket.bound;
            falls.difference_max = falls.difference_max.max(before - bucket.count);
            bucket.count = before;
        } else {
            before = bucket.count;
        }
    }
    falls
}

fn almost_equal(a: f64, b: f64) -> bool {
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < SMALL_DELTA * f64::MIN_POSITIVE;
    }
    (a.is_nan() && b.is_nan()) || difference / sum.min(f64::MAX) < SMALL_DELTA
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(q: f64, buckets: &[(f64, f64)]) -> (f64, Option<Falls>) {
        quantile(q, &mut buckets.iter().map(|(bound, count)| Bucket { bound: *bound, count: *count }).collect())
    }

    #[test]
    fn quantiles_of_buckets() {
        let inf = f64::INFINITY;
        assert_eq!(of(0.5, &[(1.0, 0.0), (2.0, 4.0), (inf, 4.0)]), (1.5, None));
        assert_eq!(of(1.0, &[(1.0, 0.0), (2.0, 3.0), (inf, 4.0)]), (2.0, None), "the last bound that is one");
        assert_eq!(of(0.1, &[(-1.0, 2.0), (inf, 4.0)]), (-1.0, None));
        let falls = Falls { from: 2.0, to: 3.0, difference_max: 2.0 };
        assert_eq!(of(0.5, &[(1.0, 5.0), (2.0, 3.0), (3.0, 4.0), (inf, 5.0)]).1, Some(falls));
        assert_eq!(of(0.5, &[(1.0, 5.0), (2.0, 5.0 - 1e-15), (inf, 5.0)]).1, None);
        assert!(of(0.5, &[(1.0, 5.0)]).0.is_nan() && of(0.5, &[(inf, 5.0)]).0.is_nan());
        assert!(of(0.5, &[(1.0, 0.0), (inf, 0.0)]).0.is_nan());
        assert_eq!(of(1.5, &[]).0, inf);
    }

    #[test]
    fn fractions_of_buckets() {
        let buckets = [(1.0, 2.0), (2.0, 4.0), (f64::INFINITY, 8.0)];
        let mut buckets: Vec<_> =
            buckets.iter().map(|(bound, count)| Bucket { bound: *bound, count: *count }).collect();
        assert_eq!(fraction(0.0, 1.5, &mut buckets), 3.0 / 8.0);
        assert_eq!(fraction(1.0, f64::INFINITY, &mut buckets), 6.0 / 8.0);
        assert_eq!(fraction(2.0, 1.0, &mut buckets), 0.0);
        let mut below_zero: Vec<_> = [(-1.0, 2.0), (f64::INFINITY, 4.0)]
            .iter()
            .map(|(bound, count)| Bucket { bound: *bound, count: *count })
            .collect();
        assert_eq!(fraction(-3.0, -2.0, &mut below_zero), 0.0);
        assert_eq!(fraction(f64::NEG_INFINITY, -2.0, &mut below_zero), 0.5);
    }
}
