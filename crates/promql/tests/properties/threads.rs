//! The bits of an answer, and what is said of it, depend on the data only: not on threads, nor on how series arrive.

use crate::data::{NOW_MS, SOURCE, engine, spell};
use crate::{generate, queries};
use futures::executor::block_on;
use longhaul_promql::memory::MemorySource;
use longhaul_promql::{Budget, Engine, QueryError, QueryRequest};
use proptest::prelude::*;
use std::sync::{Arc, LazyLock};

static ENGINES: LazyLock<[Engine; 2]> = LazyLock::new(|| [1, 2].map(engine));

#[test]
fn committed_queries_have_the_same_bits_on_one_core_and_on_two() {
    for query in queries() {
        check(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn random_queries_have_the_same_bits_on_one_core_and_on_two(query in generate::vector()) {
        check(&query)?;
    }
}

fn check(query: &str) -> Result<(), TestCaseError> {
    for request in [QueryRequest::instant(query, NOW_MS), QueryRequest::range(query, NOW_MS, 2 * NOW_MS, 60_000)] {
        let [one, two] = &*ENGINES;
        let alone = answer(one, &request, 1000);
        for (engine, batch_series) in [(two, 1000), (two, 1), (one, 3)] {
            prop_assert_eq!(&answer(engine, &request, batch_series), &alone);
        }
    }
    Ok(())
}

/// All that an answer says, its series delivered so many at a time.
fn answer(engine: &Engine, request: &QueryRequest, batch_series: usize) -> Result<Vec<String>, QueryError> {
    let source = Arc::new(MemorySource::clone(&SOURCE).with_batches_of(batch_series));
    let result = block_on(engine.run(source, request, &Budget::unlimited()))?;
    Ok(spell(&result.value).into_iter().chain(result.warnings).chain(result.infos).collect())
}
