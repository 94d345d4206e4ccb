//! What `load_with_nhcb` adds: native histograms with custom buckets made of classic ones (Prometheus
//! `util/convertnhcb`).

use longhaul_model::histogram::SCHEMA_CUSTOM;
use longhaul_model::measurement::Value;
use longhaul_model::{BucketSpan, FloatHistogram, Labels, METRIC_NAME, Measurement};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A classic histogram at one time, as far as it has been collected.
#[derive(Default)]
struct Classic {
    /// Upper bounds, rising, with how many observations are not above each.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

/// What a series contributes to the histogram whose base name its name begins with.
enum Part {
    Bucket(f64),
    Count,
    Sum,
}

/// The native histograms for the classic ones among `series`.
pub fn histograms(series: &[(Labels, Vec<Measurement>)]) -> Result<Vec<(Labels, Vec<Measurement>)>, String> {
    let mut all: BTreeMap<Labels, BTreeMap<i64, Classic>> = BTreeMap::new();
    for (labels, samples) in series {
        let Some((base, part)) = part_of(labels)? else { continue };
        let classic = all.entry(base).or_default();
        for sample in samples {
            if let Value::Float(value) = sample.value {
                classic.entry(sample.t_ms).or_default().add(&part, value);
            }
        }
    }
    let native = |(labels, times): (Labels, BTreeMap<i64, Classic>)| {
        let at = |(t_ms, classic): (i64, Classic)| {
            let histogram = classic.native().map_err(|why| format!("{labels} at {t_ms} ms: {why}"))?;
            Ok(Measurement { t_ms, start_ms: 0, value: Value::FloatHistogram(Arc::new(histogram)) })
        };
        let samples = times.into_iter().map(at).collect::<Result<_, String>>()?;
        Ok((labels, samples))
    };
    all.into_iter().map(native).collect()
}

fn part_of(labels: &Labels) -> Result<Option<(Labels, Part)>, String> {
    let name = labels.metric_name();
    let (base, part) = if let Some(base) = name.strip_suffix("_bucket") {
        let bound = labels.get("le").ok_or_else(|| format!("{labels} has no le"))?;
        match bound.parse::<f64>() {
            Ok(bound) if !bound.is_nan() => (base, Part::Bucket(bound)),
            _ => return Ok(None),
        }
    } else if let Some(base) = name.strip_suffix("_count") {
        (base, Part::Count)
    } else if let Some(base) = name.strip_suffix("_sum") {
        (base, Part::Sum)
    } else {
        return Ok(None);
    };
    let mut builder = labels.to_builder();
    builder.set(METRIC_NAME, base).remove("le");
    Ok(Some((builder.build(), part)))
}

impl Classic {
    fn add(&mut self, part: &Part, value: f64) {
        match part {
            Part::Count => self.count = Some(value),
            Part::Sum => self.sum = value,
            Part::Bucket(bound) => {
                let at = self.buckets.partition_point(|(other, _)| other < bound);
                // The first of several series with the same bound counts.
                if self.buckets.get(at).is_none_or(|(other, _)| other != bound) {
                    self.buckets.insert(at, (*bound, value));
                }
            }
        }
    }

    fn native(mut self) -> Result<FloatHistogram, String> {
        let count = self.count.or(self.buckets.last().map(|bucket| bucket.1)).unwrap_or(0.0);
        if self.buckets.last().is_none_or(|(bound, _)| *bound != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        let counts: Vec<f64> = self.buckets.iter().map(|bucket| bucket.1).collect();
        if count < 0.0 || counts.iter().any(|count| *count < 0.0) {
            return Err("a count is negative".to_owned());
        }
        if counts.windows(2).any(|pair| pair[1] < pair[0]) {
            return Err("the counts are not cumulative".to_owned());
        }
        if counts.last() != Some(&count) {
            return Err(format!("the count is {count}, that of the last bucket {:?}", counts.last()));
        }
        let before = std::iter::once(0.0).chain(counts.iter().copied());
        let bounds: Vec<f64> = self.buckets[..self.buckets.len() - 1].iter().map(|bucket| bucket.0).collect();
        let mut histogram = FloatHistogram {
            schema: SCHEMA_CUSTOM,
            count,
            sum: self.sum,
            positive_spans: vec![BucketSpan { offset: 0, length: counts.len() as u32 }],
            positive_counts: counts.iter().zip(before).map(|(count, before)| count - before).collect(),
            custom_bounds: bounds.into(),
            ..FloatHistogram::default()
        };
        // Whole counts make an integer histogram, which keeps short runs of empty buckets.
        let whole = counts.iter().all(|count| *count == count.round());
        histogram.compact(if whole { 2 } else { 0 });
        histogram.validate().map_err(|error| error.to_string())?;
        Ok(histogram)
    }
}
