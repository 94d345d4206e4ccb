//! Start timestamps: what a sample says of the time since when its counter counts (0: nothing), as Prometheus reads it
//! (`promql/functions.go`, `isStartTimestampReset` and `checkStartTimeOverlap`).

use longhaul_chunk::{Columns, HistogramColumns};

/// Whether a counter was reset between a sample and the one before, going by their starts.
///
/// A start at the earlier sample's very time is one of a delta, if the earlier sample has a start itself; else it says
/// that nothing is known. Starts behind their own sample say nothing.
pub fn is_reset(before: Started, sample: Started) -> bool {
    if sample.start_ms == 0 || sample.start_ms >= sample.t_ms || sample.start_ms < before.t_ms {
        return false;
    }
    sample.start_ms > before.t_ms || (before.start_ms != 0 && before.start_ms < before.t_ms)
}

/// Whether a sample says to count since a time before the last sample, but not since the same time as that one: then
/// one of the two is wrong.
pub fn overlaps(before: Started, sample: Started) -> bool {
    sample.start_ms != 0 && sample.start_ms < before.t_ms && sample.start_ms != before.start_ms
}

/// When a sample was taken and since when it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    /// Its time, ms.
    pub t_ms: i64,
    /// Its start, ms; 0 is none.
    pub start_ms: i64,
}

impl Started {
    /// Sample `index` of a series.
    pub fn of(samples: &Columns, index: usize) -> Self {
        Self { t_ms: samples.t_ms[index], start_ms: samples.start_ms.get(index).copied().unwrap_or(0) }
    }

    /// Histogram `index` of a series.
    pub fn of_histogram(samples: &HistogramColumns, index: usize) -> Self {
        Self { t_ms: samples.t_ms[index], start_ms: samples.start_ms.get(index).copied().unwrap_or(0) }
    }
}

/// Whether the starts say that a counter was reset between sample `index` and the one before.
pub fn reset_at(samples: &Columns, index: usize) -> bool {
    !samples.start_ms.is_empty() && is_reset(Started::of(samples, index - 1), Started::of(samples, index))
}

/// The indexes of the samples whose starts overlap with the sample before.
pub fn overlaps_of(samples: &Columns) -> Vec<usize> {
    if samples.start_ms.is_empty() {
        return Vec::new();
    }
    let overlap = |index: &usize| overlaps(Started::of(samples, index - 1), Started::of(samples, *index));
    (1..samples.len()).filter(overlap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(t_ms: i64, start_ms: i64) -> Started {
        Started { t_ms, start_ms }
    }

    #[test]
    fn a_start_between_two_samples_is_a_reset() {
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
        assert!(overlaps(at(10, 0), at(20, 5)));
        assert!(!overlaps(at(10, 5), at(20, 5)) && !overlaps(at(10, 5), at(20, 10)) && !overlaps(at(10, 5), at(20, 0)));
    }
}
