//! Classic histograms: `histogram_quantile`, `histogram_quantiles` and `histogram_fraction` over series with `le`.
//!
//! The buckets of a histogram arrive as series of their own, so that all have to be held until the last one has come.

use crate::ast::Span;
use crate::budget::Held;
use crate::engine::QueryError;
use crate::engine::aggregate::Groups;
use crate::engine::annotations::{Annotations, Note, general};
use crate::engine::collide::Watch;
use crate::engine::labels::{parse_float, with_label};
use crate::engine::points::{Identity, SeriesPoints};
use crate::engine::select::Naming;
use crate::engine::stream::Sink;
use longhaul_model::Labels;
use std::sync::Arc;

/// Relative differences between neighbouring buckets that count as rounding (as in Prometheus).
const SMALL_DELTA: f64 = 1e-12;

/// The buckets of all histograms of a vector.
#[derive(Debug)]
pub struct Buckets {
    histograms: Groups<Vec<(f64, SeriesPoints)>>,
    watch: Watch,
    held: Held,
    notes: Arc<Annotations>,
    /// Where the vector stands.
    span: Span,
}

/// A bucket series with its bound and the labels of its histogram.
#[derive(Debug)]
pub struct BucketSeries {
    series: SeriesPoints,
    histogram: Labels,
    bound: Option<f64>,
}

impl BucketSeries {
    /// Reads the bound.
    pub fn new(series: SeriesPoints) -> Self {
        let bound = series.labels.get("le").and_then(parse_float);
        Self { histogram: series.labels.without(|name| name == "le"), series, bound }
    }
}

impl Sink for Buckets {
    type Item = BucketSeries;

    fn take(&mut self, BucketSeries { series, histogram, bound }: BucketSeries) -> Result<(), QueryError> {
        self.watch.admit(&series)?;
        let Some(bound) = bound else {
            let le = series.labels.get("le").unwrap_or("").to_owned();
            self.notes.add(self.span, Note::BadBucketLabel(le, series.labels.metric_name().to_owned()));
            return Ok(());
        };
        self.held.grow(series.size_bytes())?;
        self.histograms.entry(histogram, series.drop_name, Vec::new).push((bound, series));
        Ok(())
    }
}

/// What is asked of each histogram.
pub enum Question {
    /// The quantile `q[step]`.
    Quantile(Arc<[f64]>),
    /// Several quantiles, each under its own value of the label.
    Quantiles(String, Vec<Arc<[f64]>>),
    /// The share of observations between two values.
    Fraction(Arc<[f64]>, Arc<[f64]>),
}

impl Buckets {
    /// None yet. `span`: where the vector stands.
    pub fn new(held: Held, notes: Arc<Annotations>, span: Span) -> Self {
        Self { histograms: Groups::default(), watch: Watch::default(), held, notes, span }
    }

    /// Answers for every histogram.
    pub fn finish(self, question: &Question, steps: usize, naming: Naming) -> Vec<SeriesPoints> {
        let (notes, span) = (&self.notes, self.span);
        let mut out = Vec::new();
        for (labels, drop_name, mut members) in self.histograms {
            members.sort_by(|a, b| a.0.total_cmp(&b.0));
            let metric = labels.metric_name().to_owned();
            let mut answer = |labels: Labels, figure: &mut dyn FnMut(usize, &mut Vec<Bucket>) -> f64| {
                let mut series = SeriesPoints { drop_name, ..SeriesPoints::empty(labels, steps) };
                let mut buckets = Vec::with_capacity(members.len());
                for step in 0..steps {
                    buckets.clear();
                    let there = members.iter().filter(|(_, member)| member.present.get(step));
                    buckets.extend(there.map(|(bound, member)| Bucket { bound: *bound, count: member.values[step] }));
                    if !buckets.is_empty() {
                        series.set(step, figure(step, &mut buckets));
                    }
                }
                naming.drop_name(&mut series, Identity::Merge);
                out.push(series);
            };
            let at_quantile = |q: f64, buckets: &mut Vec<Bucket>| {
                let (value, forced) = quantile(q, buckets);
                if forced {
                    notes.add(span, Note::ForcedMonotonicity(metric.clone()));
                }
                value
            };
            match question {
                Question::Quantile(q) => answer(labels, &mut |step, buckets| at_quantile(q[step], buckets)),
                Question::Quantiles(label, all) => {
                    for q in all {
                        let labels = with_label(&labels, label, &quantile_label(q.first().copied().unwrap_or(0.0)));
                        answer(labels, &mut |step, buckets| at_quantile(q[step], buckets));
                    }
                }
                Question::Fraction(lower, upper) => {
                    answer(labels, &mut |step, buckets| fraction(lower[step], upper[step], buckets));
                }
            }
        }
        out
    }
}

/// A quantile as the value of a label (OpenMetrics: always with a point or an exponent).
fn quantile_label(q: f64) -> String {
    let text = general(q);
    if text.contains(['.', 'e', 'N', 'I']) { text } else { text + ".0" }
}

/// A cumulative bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bucket {
    bound: f64,
    count: f64,
}

/// The quantile `q` of buckets in order of their bounds, interpolated within a bucket; and whether counts had to be
/// forced to rise.
fn quantile(q: f64, buckets: &mut Vec<Bucket>) -> (f64, bool) {
    if q.is_nan() {
        return (f64::NAN, false);
    } else if q < 0.0 {
        return (f64::NEG_INFINITY, false);
    } else if q > 1.0 {
        return (f64::INFINITY, false);
    }
    if buckets.last().is_none_or(|last| last.bound != f64::INFINITY) {
        return (f64::NAN, false);
    }
    coalesce(buckets);
    let forced = make_rise(buckets);
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if last == 0 || observations == 0.0 {
        return (f64::NAN, false);
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
    (value, forced)
}

/// The share of observations in `(lower, upper]`, interpolated within buckets.
fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
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

/// Makes counts rise from bucket to bucket; says whether more than rounding was in the way.
fn make_rise(buckets: &mut [Bucket]) -> bool {
    let mut forced = false;
    let Some(mut before) = buckets.first().map(|bucket| bucket.count) else { return false };
    for bucket in &mut buckets[1..] {
        if bucket.count == before {
            continue;
        }
        if almost_equal(before, bucket.count) {
            bucket.count = before;
        } else if bucket.count < before {
            bucket.count = before;
            forced = true;
        } else {
            before = bucket.count;
        }
    }
    forced
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

    fn of(q: f64, buckets: &[(f64, f64)]) -> (f64, bool) {
        quantile(q, &mut buckets.iter().map(|(bound, count)| Bucket { bound: *bound, count: *count }).collect())
    }

    #[test]
    fn quantiles_of_buckets() {
        let inf = f64::INFINITY;
        assert_eq!(of(0.5, &[(1.0, 0.0), (2.0, 4.0), (inf, 4.0)]), (1.5, false));
        assert_eq!(of(1.0, &[(1.0, 0.0), (2.0, 3.0), (inf, 4.0)]), (2.0, false), "the last bound that is one");
        assert_eq!(of(0.1, &[(-1.0, 2.0), (inf, 4.0)]), (-1.0, false));
        assert!(of(0.5, &[(1.0, 5.0), (2.0, 3.0), (inf, 5.0)]).1);
        assert!(!of(0.5, &[(1.0, 5.0), (2.0, 5.0 - 1e-15), (inf, 5.0)]).1);
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
    }
}
