//! Half-open ranges of milliseconds: the only kind of time range inside Longhaul.

/// `[start_ms, end_ms)`, in milliseconds since the Unix epoch.
///
/// HTTP parameters and chunk bounds are inclusive; they become this type at the edge with [`TimeRange::inclusive`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct TimeRange {
    /// First millisecond inside.
    pub start_ms: i64,
    /// First millisecond after.
    pub end_ms: i64,
}

impl TimeRange {
    /// Everything that can be addressed (the very last millisecond excepted).
    pub const ALL: Self = Self { start_ms: i64::MIN, end_ms: i64::MAX };

    /// `[start_ms, end_ms)`.
    pub fn new(start_ms: i64, end_ms: i64) -> Self {
        Self { start_ms, end_ms }
    }

    /// The range that holds exactly the milliseconds `first_ms..=last_ms`.
    pub fn inclusive(first_ms: i64, last_ms: i64) -> Self {
        Self { start_ms: first_ms, end_ms: last_ms.saturating_add(1) }
    }

    /// The range of length `length_ms`, aligned to the epoch, that holds `t_ms`; its ends saturate at the edge of
    /// time. `length_ms` must be positive.
    pub fn aligned(t_ms: i64, length_ms: i64) -> Self {
        let start_ms = t_ms.div_euclid(length_ms).saturating_mul(length_ms);
        Self { start_ms, end_ms: start_ms.saturating_add(length_ms) }
    }

    /// Whether no millisecond is inside.
    pub fn is_empty(&self) -> bool {
        self.start_ms >= self.end_ms
    }

    /// Milliseconds inside.
    pub fn length_ms(&self) -> i64 {
        if self.is_empty() { 0 } else { self.end_ms.saturating_sub(self.start_ms) }
    }

    /// Whether `t_ms` is inside.
    pub fn contains(&self, t_ms: i64) -> bool {
        self.start_ms <= t_ms && t_ms < self.end_ms
    }

    /// Whether all of `other` is inside; an empty range is inside every range.
    pub fn covers(&self, other: &Self) -> bool {
        other.is_empty() || (self.start_ms <= other.start_ms && other.end_ms <= self.end_ms)
    }

    /// Whether some millisecond is inside both.
    pub fn overlaps(&self, other: &Self) -> bool {
        !self.intersection(other).is_empty()
    }

    /// What is inside both; possibly empty.
    pub fn intersection(&self, other: &Self) -> Self {
        Self { start_ms: self.start_ms.max(other.start_ms), end_ms: self.end_ms.min(other.end_ms) }
    }

    /// The smallest range that holds both; an empty one adds nothing.
    pub fn hull(&self, other: &Self) -> Self {
        if self.is_empty() {
            *other
        } else if other.is_empty() {
            *self
        } else {
            Self { start_ms: self.start_ms.min(other.start_ms), end_ms: self.end_ms.max(other.end_ms) }
        }
    }
}

impl std::fmt::Display for TimeRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}, {})", self.start_ms, self.end_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligned_ranges_hold_their_time_and_tile_the_line() {
        for t in [-7_200_001, -7_200_000, -1, 0, 1, 7_199_999, 7_200_000] {
            let range = TimeRange::aligned(t, 7_200_000);
            assert!(range.contains(t), "{range} should hold {t}");
            assert_eq!(range.length_ms(), 7_200_000);
            assert_eq!(range.start_ms.rem_euclid(7_200_000), 0);
        }
        assert!(!TimeRange::aligned(i64::MIN, 1000).is_empty());
    }

    #[test]
    fn algebra_of_ranges() {
        let (a, b) = (TimeRange::new(0, 10), TimeRange::new(10, 20));
        assert!(!a.overlaps(&b));
        assert!(a.intersection(&b).is_empty());
        assert_eq!(a.hull(&b), TimeRange::new(0, 20));
        assert!(a.hull(&b).covers(&a));
        assert!(!a.covers(&b));
        assert!(a.covers(&TimeRange::new(50, 50)));
        assert_eq!(TimeRange::inclusive(3, 3), TimeRange::new(3, 4));
        assert_eq!(TimeRange::inclusive(0, i64::MAX).end_ms, i64::MAX);
    }
}
