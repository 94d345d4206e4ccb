//! The newest sample of each of many series: what federation hands on.

use crate::view::TenantSource;
use longhaul_chunk::{Samples, merge_samples};
use longhaul_model::{Labels, Matcher, TimeRange, is_stale};
use longhaul_promql::source::{SelectRequest, SeriesSource};
use longhaul_promql::value::SampleValue;
use longhaul_promql::{Budget, QueryError};
use std::collections::BTreeMap;

/// The newest sample of a series.
#[derive(Clone, Debug)]
pub struct Newest {
    /// Which series.
    pub labels: Labels,
    /// When, ms.
    pub t_ms: i64,
    /// What was measured; never a stale marker.
    pub value: SampleValue,
}

impl TenantSource {
    /// The newest sample in `range` of every series that satisfies any of `selectors`, in label order. A series that has
    /// ended has none.
    pub async fn newest(
        &self,
        selectors: Vec<Vec<Matcher>>,
        range: TimeRange,
        budget: &Budget,
    ) -> Result<Vec<Newest>, QueryError> {
        let mut found = BTreeMap::new();
        let mut held = budget.hold(0)?;
        let mut samples = Samples::default();
        for matchers in selectors {
            let request = SelectRequest { newest_only: true, ..SelectRequest::all(matchers, range) };
            let mut set = self.select(&request).await?;
            while let Some(batch) = set.next_batch().await? {
                budget.check()?;
                budget.count_series(batch.len() as u64)?;
                for series in batch {
                    samples.clear();
                    merge_samples(&series.chunks, range, &mut samples)?;
                    budget.count_samples((samples.floats.len() + samples.histograms.t_ms.len()) as u64)?;
                    if let Some((t_ms, value)) = newest(&samples) {
                        held.grow(series.labels.size_bytes() + size_of::<Newest>())?;
                        found.insert(series.labels, (t_ms, value));
                    }
                }
            }
        }
        Ok(found.into_iter().map(|(labels, (t_ms, value))| Newest { labels, t_ms, value }).collect())
    }
}

/// The last sample; None if there is none, or if it says that the series has ended.
fn newest(samples: &Samples) -> Option<(i64, SampleValue)> {
    let float = samples.floats.t_ms.last().copied().zip(samples.floats.values.last().copied());
    let histogram = samples.histograms.t_ms.last().copied().zip(samples.histograms.values.last());
    match (float, histogram) {
        (Some((t_ms, value)), histogram) if histogram.is_none_or(|histogram| histogram.0 < t_ms) => {
            (!is_stale(value)).then_some((t_ms, SampleValue::Float(value)))
        }
        (_, Some((t_ms, value))) => (!is_stale(value.sum)).then(|| (t_ms, SampleValue::Histogram(value.clone()))),
        _ => None,
    }
}
