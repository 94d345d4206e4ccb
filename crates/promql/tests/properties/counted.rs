//! What is counted at a step of a range query is what an instant query at that time counts.

use crate::data::{NOW_MS, engine, run};
use crate::{generate, queries};
use longhaul_promql::engine::CountSamples;
use longhaul_promql::value::{SampleCounts, Value};
use longhaul_promql::{Budget, Engine, QueryRequest};
use proptest::prelude::*;
use std::sync::LazyLock;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| engine(2));

#[test]
fn committed_queries_count_the_same_at_every_step() {
    for query in queries() {
        compare(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn random_queries_count_the_same_at_every_step(query in generate::vector()) {
        compare(&query)?;
    }
}

fn counted(request: QueryRequest) -> Option<(Value, SampleCounts)> {
    let request = QueryRequest { count_samples: CountSamples::PerStep, ..request };
    let result = run(&ENGINE, &request, &Budget::unlimited()).ok()?;
    Some((result.value, result.stats.counted.unwrap()))
}

fn compare(query: &str) -> Result<(), TestCaseError> {
    if ["start()", "end()", "step()", "range()", "info("].iter().any(|word| query.contains(word)) {
        return Ok(()); // They look at the whole query. (Which info series are asked for depends on all steps.)
    }
    let Some((_, all)) = counted(QueryRequest::range(query, NOW_MS, NOW_MS + 300_000, 75_000)) else { return Ok(()) };
    prop_assert_eq!(all.steps.len(), 5);
    prop_assert_eq!(all.queried, all.steps.iter().map(|step| step.queried).sum::<u64>());
    prop_assert_eq!(all.read, all.steps.iter().map(|step| step.read).sum::<u64>());
    for step in &all.steps {
        let Some((_, alone)) = counted(QueryRequest::instant(query, step.t_ms)) else { continue };
        prop_assert_eq!(step.queried, alone.queried, "at {}", step.t_ms);
        prop_assert!(step.read <= alone.read, "at {}: {} {}", step.t_ms, step.read, alone.read);
    }
    Ok(())
}

#[test]
fn figures_are_those_of_prometheus() {
    let counts = |request| counted(request).map(|(_, counts)| (counts.queried, counts.read)).unwrap();
    let instant = |query: &str| counts(QueryRequest::instant(query, NOW_MS));
    let range = |query: &str| counts(QueryRequest::range(query, NOW_MS, NOW_MS + 120_000, 30_000));
    assert_eq!(instant("requests_total"), (4, 4), "one a series");
    assert_eq!(range("requests_total"), (20, 20), "and step");
    assert_eq!(range("requests_total @ 60"), (20, 4), "but read once if it is pinned");
    assert_eq!(instant("sum(rate(requests_total[1m]))"), (16, 16), "all that a window holds");
    assert_eq!(range("sum(rate(requests_total[1m]))"), (80, 48), "windows share what they read");
    assert_eq!(range("sum(rate(requests_total[15s]))"), (20, 20), "unless there are gaps between them");
    assert_eq!(instant("sum_over_time(late[1m:15s])"), (0, 0), "nothing is there yet");
    assert_eq!(instant("sum_over_time(requests_total[1m:30s])"), (8, 8), "the points of a subquery");
    assert_eq!(range("sum_over_time(requests_total[1m:30s])"), (40, 24));
    assert_eq!(range("sum_over_time(requests_total[15s:15s])"), (20, 20), "what lies in gaps is not read");
    assert_eq!(instant("requests_total[1m:30s]"), (8, 8));
    assert_eq!(instant("requests_total[1m]"), (16, 16));
    assert_eq!(instant("timestamp(requests_total)"), (4, 4));
    assert_eq!(instant("info(requests_total)"), (7, 7), "info series are looked at too");
    assert_eq!(instant("vector(1)"), (0, 0));
}
