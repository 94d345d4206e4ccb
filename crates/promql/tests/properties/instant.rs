//! An instant query is the one step of a range query.

use crate::data::{NOW_MS, run, spell};
use crate::{generate, queries};
use longhaul_model::Labels;
use longhaul_promql::value::InstantSample;
use longhaul_promql::{Budget, Engine, EngineSettings, QueryRequest, QueryResult, Value};
use proptest::prelude::*;
use std::sync::LazyLock;

/// The step of the range queries, ms.
const STEP_MS: i64 = 60_000;

/// As it comes, and with names that go at the end.
static ENGINES: LazyLock<[Engine; 2]> = LazyLock::new(|| {
    [false, true].map(|delayed_name_removal| Engine::new(EngineSettings { delayed_name_removal, ..Default::default() }))
});

#[test]
fn committed_queries_are_the_same_either_way() {
    for query in queries() {
        compare(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn random_queries_are_the_same_either_way(query in generate::vector()) {
        compare(&query)?;
    }
}

fn compare(query: &str) -> Result<(), TestCaseError> {
    if query.contains("step()") {
        return Ok(()); // an instant has none
    }
    if query.contains("sort") && ["limitk", "topk", "bottomk"].iter().any(|first| query.contains(first)) {
        return Ok(()); // these take the first of equals, and only an instant is sorted
    }
    ENGINES.iter().try_for_each(|engine| compare_on(engine, query))
}

fn compare_on(engine: &Engine, query: &str) -> Result<(), TestCaseError> {
    let ask = |request: QueryRequest| run(engine, &request, &Budget::unlimited());
    let alone = ask(QueryRequest::instant(query, NOW_MS));
    let step = ask(QueryRequest::range(query, NOW_MS, NOW_MS, STEP_MS));
    if let Ok(QueryResult { value: Value::Matrix(_) | Value::String { .. }, .. }) = alone {
        return Ok(()); // Only instants have such values.
    }
    let text =
        |result: &Result<QueryResult, _>| result.as_ref().map(|it| sorted(&it.value)).map_err(ToString::to_string);
    prop_assert_eq!(text(&alone), text(&step), "alone and as one step");
    let (Ok(alone), Ok(step)) = (alone, step) else { return Ok(()) };
    if !query.contains("sort") {
        prop_assert_eq!((&alone.warnings, &alone.infos), (&step.warnings, &step.infos));
    }
    // What other steps make of a series may refuse the whole; what looks at the range differs.
    if ["start()", "end()", "range()"].iter().any(|word| query.contains(word)) {
        return Ok(());
    }
    let Ok(around) = ask(QueryRequest::range(query, NOW_MS - STEP_MS, NOW_MS + STEP_MS, STEP_MS)) else {
        return Ok(());
    };
    let now = format!(" {NOW_MS} ");
    let here: Vec<String> = sorted(&around.value).into_iter().filter(|point| point.contains(&now)).collect();
    prop_assert_eq!(sorted(&alone.value), here, "alone and as a step of three");
    Ok(())
}

/// The points in an order of their own: that of an instant vector counts, that of a matrix is by labels.
fn sorted(value: &Value) -> Vec<String> {
    let mut points = match value {
        // A range query makes a series of it.
        Value::Scalar { t_ms, value } => {
            let sample = InstantSample { labels: Labels::empty(), t_ms: *t_ms, value: (*value).into() };
            spell(&Value::Vector(vec![sample]))
        }
        other => spell(other),
    };
    points.sort();
    points
}
