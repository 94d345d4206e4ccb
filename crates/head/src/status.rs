//! By what the series in memory are many: metrics, labels, values.

use crate::Head;
use crate::index::{self, STEP};
use longhaul_model::{METRIC_NAME, TimeRange};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What a head holds, and what makes it large. Lists are sorted by falling counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeadStatus {
    /// Series in memory.
    pub series: usize,
    /// Distinct pairs of label name and value.
    pub label_pairs: usize,
    /// Chunks, open and sealed.
    pub chunks: usize,
    /// Time of the oldest sample that is not in a finished cut; `i64::MAX` without any.
    pub min_ms: i64,
    /// Time of the newest one; `i64::MIN` without any.
    pub max_ms: i64,
    /// Metrics by how many series they have.
    pub series_by_metric: Vec<Counted>,
    /// Label names by how many values they have.
    pub values_by_label: Vec<Counted>,
    /// Label names by how many bytes their values would take if each series had its own copy.
    pub bytes_by_label: Vec<Counted>,
    /// Pairs, as `name=value`, by how many series have them.
    pub series_by_pair: Vec<Counted>,
}

/// A name with a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The name.
    pub name: String,
    /// The number.
    pub count: u64,
}

/// The greatest of what is offered.
struct Top {
    limit: usize,
    /// The least of them on top; of equal counts the greatest name.
    kept: BinaryHeap<(Reverse<u64>, String)>,
}

impl Top {
    fn new(limit: usize) -> Self {
        Self { limit, kept: BinaryHeap::new() }
    }

    fn offer(&mut self, count: u64, name: impl FnOnce() -> String) {
        let full = self.kept.len() >= self.limit;
        if full && self.kept.peek().is_none_or(|(Reverse(least), _)| count < *least) {
            return;
        }
        self.kept.push((Reverse(count), name()));
        if full {
            self.kept.pop();
        }
    }

    fn into_list(self) -> Vec<Counted> {
        let sorted = self.kept.into_sorted_vec();
        sorted.into_iter().map(|(Reverse(count), name)| Counted { name, count }).collect()
    }
}

impl Head {
    /// What the head holds, with `limit` entries a list. Takes as long as there are distinct labels and series; writes go
    /// on meanwhile.
    pub fn status(&self, limit: usize) -> HeadStatus {
        let stats = self.stats();
        let mut status = HeadStatus {
            series: stats.series,
            chunks: self.chunk_count(),
            min_ms: stats.min_ms,
            max_ms: stats.max_ms,
            ..HeadStatus::default()
        };
        let [mut metrics, mut values, mut bytes, mut pairs] = std::array::from_fn(|_| Top::new(limit));
        let names: Vec<u32> = self.index.read().postings.names().collect();
        for name in names {
            let index = self.index.read();
            let Some(label) = index.symbols.find_text(name).cloned() else { continue };
            let counts: Vec<(u32, u64)> = index.postings.counts(name).collect();
            drop(index);
            let mut label_bytes = 0;
            for step in counts.chunks(STEP) {
                let index = self.index.read();
                for (value, series) in step {
                    let Some(text) = index.symbols.find_text(*value) else { continue };
                    label_bytes += text.len() as u64 * series;
                    pairs.offer(*series, || format!("{label}={text}"));
                    if &*label == METRIC_NAME {
                        metrics.offer(*series, || text.to_string());
                    }
                }
            }
            status.label_pairs += counts.len();
            values.offer(counts.len() as u64, || label.to_string());
            bytes.offer(label_bytes, || label.to_string());
        }
        status.series_by_metric = metrics.into_list();
        status.values_by_label = values.into_list();
        status.bytes_by_label = bytes.into_list();
        status.series_by_pair = pairs.into_list();
        status
    }

    /// Chunks of all series that a reader sees, the open ones too.
    fn chunk_count(&self) -> usize {
        let hidden = self.pins.hidden();
        let (mut count, mut chunks) = (0, Vec::new());
        for series in index::pages(&self.index).flatten() {
            series.samples.lock().read(TimeRange::ALL, &hidden, &mut chunks);
            count += chunks.drain(..).len();
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_are_kept_in_order() {
        let mut top = Top::new(3);
        for (count, name) in [(1, "a"), (5, "b"), (3, "z"), (3, "c"), (2, "d"), (3, "a")] {
            top.offer(count, || name.to_owned());
        }
        let kept: Vec<_> = top.into_list().into_iter().map(|it| (it.count, it.name)).collect();
        assert_eq!(kept, [(5, "b".to_owned()), (3, "a".to_owned()), (3, "c".to_owned())]);
        let mut none = Top::new(0);
        none.offer(1, || unreachable!());
        assert!(none.into_list().is_empty());
    }
}
