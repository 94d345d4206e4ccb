//! Under a small budget a query yields what it yields under a large one, or says which limit it met; it never takes more.

use crate::data::{NOW_MS, engine, run, spell};
use crate::{generate, queries};
use longhaul_model::ManualClock;
use longhaul_promql::{Budget, BudgetLimits, CancelFlag, Engine, QueryError, QueryRequest};
use proptest::prelude::*;
use std::sync::{Arc, LazyLock};

static ENGINE: LazyLock<Engine> = LazyLock::new(|| engine(2));

#[test]
fn committed_queries_stay_within_small_budgets() {
    for query in queries() {
        for bytes_max in [0, 1 << 10, 8 << 10, 64 << 10, 1 << 20] {
            check(query, limits(bytes_max, 5000, 20)).unwrap_or_else(|error| panic!("{query}: {error}"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn random_queries_stay_within_small_budgets(
        query in generate::vector(),
        bytes_max in prop_oneof![0u64..10_000, 10_000u64..200_000],
        samples_max in 0u64..20_000,
        series_max in 0u64..60,
    ) {
        check(&query, limits(bytes_max, samples_max, series_max))?;
    }
}

fn limits(bytes_max: u64, samples_max: u64, series_max: u64) -> BudgetLimits {
    BudgetLimits { bytes_max, samples_max, series_max, time_max_ms: u64::MAX }
}

fn check(query: &str, limits: BudgetLimits) -> Result<(), TestCaseError> {
    for request in [QueryRequest::instant(query, NOW_MS), QueryRequest::range(query, NOW_MS, 2 * NOW_MS, 60_000)] {
        let free = run(&ENGINE, &request, &Budget::unlimited());
        let budget = Budget::new(limits, Arc::new(ManualClock::at(0)), CancelFlag::default());
        let bound = run(&ENGINE, &request, &budget);
        let used = budget.stats();
        prop_assert!(used.bytes_peak <= limits.bytes_max, "{used:?}");
        match (free, bound) {
            (Ok(free), Ok(bound)) => {
                prop_assert_eq!(spell(&free.value), spell(&bound.value));
                prop_assert!(used.samples <= limits.samples_max && used.series <= limits.series_max, "{used:?}");
            }
            (_, Err(QueryError::Limit { asked, allowed, .. })) => prop_assert!(asked > allowed),
            (Err(free), Err(bound)) => {
                prop_assert!(!free.to_string().contains("panicked"), "{free}");
                prop_assert_eq!(free, bound);
            }
            (free, bound) => prop_assert!(false, "without bounds {free:?}, within them {bound:?}"),
        }
    }
    Ok(())
}
