//! Start timestamps in a series' columns: where they say that a counter was reset, and where they contradict each other
//! (`model::Started` knows when).

use longhaul_chunk::SampleColumns;
use longhaul_model::Started;

/// When sample `index` of a series was taken and since when it counts.
pub fn started<V>(samples: &SampleColumns<V>, index: usize) -> Started {
    Started { t_ms: samples.t_ms[index], start_ms: samples.start_ms.get(index).copied().unwrap_or(0) }
}

/// Whether the starts say that a counter was reset between sample `index` and the one before.
pub fn reset_at<V>(samples: &SampleColumns<V>, index: usize) -> bool {
    !samples.start_ms.is_empty() && started(samples, index).is_reset_after(started(samples, index - 1))
}

/// The indexes of the samples whose starts overlap with the sample before.
pub fn overlaps_of<V>(samples: &SampleColumns<V>) -> Vec<usize> {
    if samples.start_ms.is_empty() {
        return Vec::new();
    }
    let overlap = |index: &usize| started(samples, *index).overlaps(started(samples, index - 1));
    (1..samples.len()).filter(overlap).collect()
}
