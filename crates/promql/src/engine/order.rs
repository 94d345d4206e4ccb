//! Sorting that a query can be stopped in.

use crate::budget::Budget;
use crate::engine::QueryError;
use std::cmp::Ordering;

/// How many elements are sorted between two looks at the budget: some milliseconds of comparing label sets.
const RUN: usize = 4096;

/// What a comparison counts for in a [`Pace`](crate::budget::Pace): label sets take a while.
const COMPARISON: usize = 32;

/// Sorts; equal elements stay in their order. Err if the query must stop.
pub fn sorted<T>(items: Vec<T>, budget: &Budget, compare: impl Fn(&T, &T) -> Ordering) -> Result<Vec<T>, QueryError> {
    let mut pace = budget.pace();
    let mut in_order = true;
    for pair in items.windows(2) {
        pace.go_on(COMPARISON)?;
        in_order = compare(&pair[0], &pair[1]) != Ordering::Greater;
        if !in_order {
            break;
        }
    }
    if in_order {
        return Ok(items);
    }
    // Runs are sorted and merged by index, so that elements are moved once.
    let mut order: Vec<usize> = (0..items.len()).collect();
    for run in order.chunks_mut(RUN) {
        budget.check()?;
        run.sort_by(|a, b| compare(&items[*a], &items[*b]));
    }
    let mut merged = Vec::with_capacity(order.len());
    let mut run = RUN;
    while run < order.len() {
        for pair in order.chunks(2 * run) {
            let (mut left, mut right) = pair.split_at(run.min(pair.len()));
            while let (Some((l, rest_left)), Some((r, rest_right))) = (left.split_first(), right.split_first()) {
                pace.go_on(COMPARISON)?;
                if compare(&items[*l], &items[*r]) == Ordering::Greater {
                    merged.push(*r);
                    right = rest_right;
                } else {
                    merged.push(*l);
                    left = rest_left;
                }
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        std::mem::swap(&mut order, &mut merged);
        merged.clear();
        run *= 2;
    }
    let mut items: Vec<Option<T>> = items.into_iter().map(Some).collect();
    Ok(order.into_iter().filter_map(|index| items[index].take()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::{BudgetLimits, CancelFlag};
    use longhaul_model::ManualClock;
    use proptest::prelude::*;
    use std::sync::Arc;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn it_is_a_stable_sort(keys in prop::collection::vec(0u16..2000, 0..4 * RUN)) {
            let items: Vec<(u16, usize)> = keys.into_iter().enumerate().map(|(index, key)| (key, index)).collect();
            let mut expected = items.clone();
            expected.sort_by_key(|(key, _)| *key);
            let found = sorted(items, &Budget::unlimited(), |a, b| a.0.cmp(&b.0)).unwrap();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn it_stops() {
        let cancel = CancelFlag::default();
        let budget = Budget::new(BudgetLimits::default(), Arc::new(ManualClock::at(0)), cancel.clone());
        let compared = std::cell::Cell::new(0);
        let items: Vec<usize> = (0..100_000).rev().collect();
        let result = sorted(items, &budget, |a, b| {
            compared.set(compared.get() + 1);
            if compared.get() == 1000 {
                cancel.cancel();
            }
            a.cmp(b)
        });
        assert_eq!(result, Err(QueryError::Canceled));
        assert!(compared.get() < 1000 + 2 * RUN, "{} comparisons", compared.get());
    }
}
