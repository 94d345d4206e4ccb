//! What an aggregation holds does not grow with the series it takes in.

use crate::data::engine;
use futures::executor::block_on;
use longhaul_model::{Labels, Sample};
use longhaul_promql::memory::MemorySource;
use longhaul_promql::{Budget, QueryRequest};
use std::sync::Arc;

/// Between two samples, ms.
const INTERVAL_MS: i64 = 60_000;

#[test]
fn aggregations_hold_groups_not_series() {
    let (some, many) = (source(10_000), source(100_000));
    for query in [
        "sum by (group) (x)",
        "min by (group) (x)",
        "max by (group) (x)",
        "avg by (group) (x)",
        "count by (group) (x)",
        "group by (group) (x)",
        "stddev by (group) (x)",
        // Values rise from series to series: every one of them stands among the best for a while.
        "topk by (group) (5, x)",
    ] {
        let (some, many) = (bytes_peak(&some, query), bytes_peak(&many, query));
        // How many batches are under way at the same time is a matter of chance.
        assert!(many < 2 * some, "{query}: {some} bytes, {many} with ten times as many series");
    }
}

/// Series in ten groups.
fn source(series: usize) -> Arc<MemorySource> {
    let one = |number: usize| {
        let (group, i) = ((number % 10).to_string(), format!("{number:06}"));
        let labels = Labels::from_pairs([("__name__", "x"), ("group", group.as_str()), ("i", i.as_str())]);
        (labels, [0, 1, 2].map(|n| Sample::new(n * INTERVAL_MS, number as f64)))
    };
    let all: Vec<(Labels, [Sample; 3])> = (0..series).map(one).collect();
    let all = all.iter().map(|(labels, samples)| (labels.clone(), samples.as_slice()));
    Arc::new(MemorySource::from_samples(all))
}

fn bytes_peak(source: &Arc<MemorySource>, query: &str) -> u64 {
    let (budget, request) = (Budget::unlimited(), QueryRequest::range(query, 0, 2 * INTERVAL_MS, INTERVAL_MS));
    block_on(engine(2).run(source.clone(), &request, &budget)).unwrap();
    budget.stats().bytes_peak
}
