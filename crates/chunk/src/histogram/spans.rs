//! Sets of buckets, as spans name them: walk, compare, join.

use longhaul_model::BucketSpan;

/// The indexes of the buckets that `spans` name, rising if no span but the first has a negative offset.
pub(super) fn indexes(spans: &[BucketSpan]) -> impl Iterator<Item = i64> {
    // Offsets and lengths have 32 bits each, and a chunk has less than 2^31 spans: 64 bits hold any index.
    let runs = spans.iter().scan(0_i64, |next, span| {
        let first = *next + i64::from(span.offset);
        *next = first + i64::from(span.length);
        Some(first..*next)
    });
    runs.flatten()
}

/// How many buckets `spans` name.
pub(super) fn bucket_count(spans: &[BucketSpan]) -> u64 {
    spans.iter().map(|span| u64::from(span.length)).sum()
}

/// Whether no span but the first begins before the end of the one before it.
pub(super) fn are_apart(spans: &[BucketSpan]) -> bool {
    spans.iter().skip(1).all(|span| span.offset >= 0)
}

/// The buckets that one histogram has and another has not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// The later histogram has buckets that the earlier one has not.
    pub(super) more: bool,
    /// The earlier histogram has buckets that the later one has not.
    pub(super) fewer: bool,
}

/// How the buckets of a histogram lie to those of the one before it. None if a count has shrunk, which the absence of a
/// bucket that was not empty is too.
pub(super) fn compare_counters<C: PartialOrd + Default>(
    before: &[BucketSpan],
    mut before_counts: impl Iterator<Item = C>,
    after: &[BucketSpan],
    mut after_counts: impl Iterator<Item = C>,
) -> Option<Difference> {
    if before == after {
        let shrunk = before_counts.zip(after_counts).any(|(old, new)| old > new);
        return (!shrunk).then_some(Difference::default());
    }
    let mut difference = Difference::default();
    for (_, in_before, in_after) in union_indexes(before, after) {
        let old = in_before.then(|| before_counts.next()).flatten().unwrap_or_default();
        let new = in_after.then(|| after_counts.next()).flatten().unwrap_or_default();
        let vanished = !in_after && old != C::default();
        if vanished || (in_before && old > new) {
            return None;
        }
        difference.fewer |= !in_after;
        difference.more |= !in_before;
    }
    Some(difference)
}

/// How the buckets of a histogram lie to those of the one before it, whatever they count.
pub(super) fn compare(before: &[BucketSpan], after: &[BucketSpan]) -> Difference {
    if before == after {
        return Difference::default();
    }
    let (mut old, mut new) = (0, 0);
    let joined = union_indexes(before, after).inspect(|(_, in_before, in_after)| {
        old += u64::from(*in_before);
        new += u64::from(*in_after);
    });
    let all = joined.count() as u64;
    Difference { more: old < all, fewer: new < all }
}

/// Spans that name the buckets of both, without empty ones.
pub(super) fn union(one: &[BucketSpan], other: &[BucketSpan]) -> Vec<BucketSpan> {
    from_indexes(union_indexes(one, other).map(|(index, _, _)| index))
}

/// Spans that name the same buckets, without empty ones and with neighbours joined.
pub(super) fn tidy(spans: &[BucketSpan]) -> Vec<BucketSpan> {
    from_indexes(indexes(spans))
}

/// The counts of the buckets of `to`, those that `from` has not being empty; `from` names none that `to` has not.
pub(super) fn widen<C: Copy + Default>(counts: &[C], from: &[BucketSpan], to: &[BucketSpan]) -> Vec<C> {
    let mut known = indexes(from).zip(counts).peekable();
    let widened = indexes(to)
        .map(|index| known.next_if(|(known_index, _)| *known_index == index).map_or(C::default(), |(_, count)| *count));
    let widened = widened.collect();
    assert!(known.next().is_none(), "a wider layout has all buckets of the one before");
    widened
}

/// The indexes of either, rising, and in which of the two each is.
fn union_indexes(one: &[BucketSpan], other: &[BucketSpan]) -> impl Iterator<Item = (i64, bool, bool)> {
    let (mut ones, mut others) = (indexes(one).peekable(), indexes(other).peekable());
    std::iter::from_fn(move || {
        let index = match (ones.peek(), others.peek()) {
            (Some(one), Some(other)) => *one.min(other),
            (Some(index), None) | (None, Some(index)) => *index,
            (None, None) => return None,
        };
        let in_one = ones.next_if_eq(&index).is_some();
        let in_other = others.next_if_eq(&index).is_some();
        Some((index, in_one, in_other))
    })
}

fn from_indexes(indexes: impl Iterator<Item = i64>) -> Vec<BucketSpan> {
    let mut spans: Vec<BucketSpan> = Vec::new();
    let mut next = 0;
    for index in indexes {
        match spans.last_mut() {
            Some(last) if index == next && last.length < u32::MAX => last.length += 1,
            _ => {
                // A distance beyond 32 bits takes empty spans between.
                let mut distance = index - next;
                while distance > i64::from(i32::MAX) {
                    spans.push(BucketSpan { offset: i32::MAX, length: 0 });
                    distance -= i64::from(i32::MAX);
                }
                spans.push(BucketSpan { offset: distance as i32, length: 1 }); // an index is never below i32::MIN
            }
        }
        next = index + 1;
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn spans() -> impl Strategy<Value = Vec<BucketSpan>> {
        let span = (0_i32..4, 0_u32..4).prop_map(|(offset, length)| BucketSpan { offset, length });
        (prop_oneof![-5_i32..5, Just(i32::MIN), Just(i32::MAX)], prop::collection::vec(span, 0..6)).prop_map(
            |(first, mut spans)| {
                spans.iter_mut().take(1).for_each(|span| span.offset = first);
                spans
            },
        )
    }

    fn set(spans: &[BucketSpan]) -> BTreeSet<i64> {
        indexes(spans).collect()
    }

    proptest! {
        #[test]
        fn spans_are_sets(one in spans(), other in spans()) {
            prop_assert_eq!(bucket_count(&one), set(&one).len() as u64);
            let joined = union(&one, &other);
            prop_assert_eq!(set(&joined), &set(&one) | &set(&other));
            prop_assert_eq!(set(&tidy(&one)), set(&one));
            prop_assert!(tidy(&one).len() <= one.len().max(3));
            prop_assert!(are_apart(&joined) && are_apart(&tidy(&other)));
            let difference = compare(&one, &other);
            prop_assert_eq!(difference.fewer, !set(&one).is_subset(&set(&other)));
            prop_assert_eq!(difference.more, !set(&other).is_subset(&set(&one)));

            // Counters that have not moved: a bucket can be missed only when it is empty.
            let all = |spans: &[BucketSpan], count: i64| std::iter::repeat_n(count, set(spans).len());
            let unmoved = |count| compare_counters(&one, all(&one, count), &other, all(&other, count));
            prop_assert_eq!(unmoved(0), Some(difference));
            prop_assert_eq!(unmoved(1), (!difference.fewer).then_some(difference));
            let shrunk = compare_counters(&one, all(&one, 2), &other, all(&other, 1));
            prop_assert_eq!(shrunk, set(&one).is_empty().then_some(difference));

            let counts: Vec<i64> = indexes(&one).map(|index| index ^ 1 << 40).collect();
            let widened = widen(&counts, &one, &joined);
            for (index, count) in indexes(&joined).zip(widened) {
                prop_assert_eq!(count, if set(&one).contains(&index) { index ^ 1 << 40 } else { 0 });
            }
        }
    }
}
