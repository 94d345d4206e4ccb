//! An observation that stands for others, with labels that say where more is known of it: a trace's id, mostly.

use crate::Labels;
use std::cmp::Ordering;

/// An exemplar of a series.
///
/// Two are the same if all of it is, the value bit by bit: what is stored twice is found once. They are ordered by time,
/// then by value (in the total order of IEEE 754), then by labels.
#[derive(Clone, Debug)]
pub struct Exemplar {
    /// Milliseconds since the Unix epoch.
    pub t_ms: i64,
    /// What was observed; every bit pattern is legal and kept.
    pub value: f64,
    /// Where more is known of it; often a single label, sometimes none.
    pub labels: Labels,
}

impl Exemplar {
    /// About what it takes in memory, bytes.
    pub fn size_bytes(&self) -> usize {
        size_of::<Self>() + 2 * size_of::<usize>() + self.labels.size_bytes()
    }
}

impl Ord for Exemplar {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_value = || self.value.total_cmp(&other.value);
        self.t_ms.cmp(&other.t_ms).then_with(by_value).then_with(|| self.labels.cmp(&other.labels))
    }
}

impl PartialOrd for Exemplar {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Exemplar {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Exemplar {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_time_value_labels_and_bits_count() {
        let exemplar = |t_ms, value, trace: &str| Exemplar { t_ms, value, labels: Labels::from_pairs([("t", trace)]) };
        let rising = [
            exemplar(-1, f64::INFINITY, "z"),
            exemplar(0, -0.0, "z"),
            exemplar(0, 0.0, "a"),
            exemplar(0, 0.0, "b"),
            exemplar(0, f64::NAN, "a"),
            exemplar(0, f64::from_bits(f64::NAN.to_bits() + 1), "a"),
            exemplar(1, 0.0, ""),
        ];
        assert!(rising.is_sorted_by(|a, b| a < b));
        assert_eq!(rising[4], rising[4].clone());
    }
}
