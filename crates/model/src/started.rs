//! Start timestamps: what a sample says of the time since when its counter counts (0: nothing), as Prometheus reads it
//! (`promql/functions.go`, `isStartTimestampReset` and `checkStartTimeOverlap`).

/// When a sample was taken and since when it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    /// Its time, ms.
    pub t_ms: i64,
    /// Its start, ms; 0 is none.
    pub start_ms: i64,
}

impl Started {
    /// Whether a counter was reset between the sample `before` and this one, going by their starts.
    ///
    /// A start at the earlier sample's very time is one of a delta, if the earlier sample has a start itself; else it says
    /// that nothing is known. Starts behind their own sample say nothing.
    #[inline]
    pub fn is_reset_after(self, before: Self) -> bool {
        if self.start_ms == 0 || self.start_ms >= self.t_ms || self.start_ms < before.t_ms {
            return false;
        }
        self.start_ms > before.t_ms || (before.start_ms != 0 && before.start_ms < before.t_ms)
    }

    /// Whether this sample says to count since a time before the sample `before`, but not since the same time as that one:
    /// then one of the two is wrong.
    #[inline]
    pub fn overlaps(self, before: Self) -> bool {
        self.start_ms != 0 && self.start_ms < before.t_ms && self.start_ms != before.start_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(t_ms: i64, start_ms: i64) -> Started {
        Started { t_ms, start_ms }
    }

    #[test]
    fn a_start_between_two_samples_is_a_reset() {
        let is_reset = |before, after: Started| after.is_reset_after(before);
        assert!(is_reset(at(10, 0), at(20, 15)));
        assert!(!is_reset(at(10, 5), at(20, 5)), "both count since the same time");
        assert!(!is_reset(at(10, 0), at(20, 0)), "not known");
        assert!(!is_reset(at(10, 0), at(20, 20)) && !is_reset(at(10, 0), at(20, 21)), "no start a counter can have");
        assert!(is_reset(at(10, 5), at(20, 10)), "a delta");
        assert!(!is_reset(at(10, 0), at(20, 10)) && !is_reset(at(10, 10), at(20, 10)), "an unknown start");
        assert!(!is_reset(at(10, 11), at(20, 10)));
    }

    #[test]
    fn overlaps_contradict_the_sample_before() {
        let overlaps = |before, after: Started| after.overlaps(before);
        assert!(overlaps(at(10, 0), at(20, 5)));
        assert!(!overlaps(at(10, 5), at(20, 5)) && !overlaps(at(10, 5), at(20, 10)) && !overlaps(at(10, 5), at(20, 0)));
    }
}
