//! How far logs are in the bucket, as a step function of sample time: for every (log id, partition) disjoint ranges,
//! each with the offset up to which everything of it is there.

use longhaul_model::{LogId, TimeRange};

/// One step: every sample of `range` that was accepted at an offset up to `to` is in the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThroughEntry {
    /// Which log.
    pub log_id: LogId,
    /// Which partition of it.
    pub partition: u32,
    /// Of which time range.
    pub range: TimeRange,
    /// Last offset that is covered.
    pub to: u64,
}

/// All steps.
///
/// **Invariant:** sorted by (log id, partition, start); those of one partition do not overlap, are not empty, and two
/// that touch have different offsets. So the list is as short as it can be, and equal functions are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Through {
    entries: Vec<ThroughEntry>,
}

impl Through {
    /// The steps.
    pub fn entries(&self) -> &[ThroughEntry] {
        &self.entries
    }

    /// Whether a sample at `t_ms` that was accepted at `offset` is in the bucket.
    pub fn covered(&self, log_id: LogId, partition: u32, t_ms: i64, offset: u64) -> bool {
        let entries = self.of(log_id, partition);
        let next = entries.partition_point(|entry| entry.range.start_ms <= t_ms);
        next > 0 && entries[next - 1].range.contains(t_ms) && offset <= entries[next - 1].to
    }

    /// The offset up to which all of `range` is in the bucket: the least of its steps, 0 if some of it has none.
    pub fn reached(&self, log_id: LogId, partition: u32, range: TimeRange) -> u64 {
        self.steps(log_id, partition, range).iter().map(|(_, to)| *to).min().unwrap_or(0)
    }

    /// `range` cut into the pieces that got equally far, in order of time; 0 where nothing is known.
    pub fn steps(&self, log_id: LogId, partition: u32, range: TimeRange) -> Vec<(TimeRange, u64)> {
        let mut steps = Vec::new();
        let mut at_ms = range.start_ms;
        for entry in self.of(log_id, partition) {
            let inside = entry.range.intersection(&range);
            if inside.is_empty() {
                continue;
            }
            if at_ms < inside.start_ms {
                steps.push((TimeRange::new(at_ms, inside.start_ms), 0));
            }
            steps.push((inside, entry.to));
            at_ms = inside.end_ms;
        }
        if at_ms < range.end_ms {
            steps.push((TimeRange::new(at_ms, range.end_ms), 0));
        }
        steps
    }

    /// The highest offset of a log in any of its steps.
    pub fn known_end(&self, log_id: LogId) -> Option<u64> {
        self.entries.iter().filter(|entry| entry.log_id == log_id).map(|entry| entry.to).max()
    }

    /// Records that everything of `range` up to offset `to` is in the bucket. What had got further stays so.
    ///
    /// With [`TimeRange::ALL`] it states a floor below which the log is needed by nobody, which swallows all the steps
    /// below it: that is what keeps the list short over the years.
    pub fn raise(&mut self, log_id: LogId, partition: u32, range: TimeRange, to: u64) {
        if range.is_empty() || to == 0 {
            return;
        }
        let span = self.span(log_id, partition);
        let mut steps: Vec<(TimeRange, u64)> =
            self.steps(log_id, partition, range).into_iter().map(|(piece, old)| (piece, old.max(to))).collect();
        for entry in &self.entries[span.clone()] {
            let before = TimeRange::new(entry.range.start_ms, entry.range.end_ms.min(range.start_ms));
            let after = TimeRange::new(entry.range.start_ms.max(range.end_ms), entry.range.end_ms);
            steps.extend([(before, entry.to), (after, entry.to)].into_iter().filter(|(piece, _)| !piece.is_empty()));
        }
        steps.sort_by_key(|(piece, _)| piece.start_ms);
        steps.dedup_by(|next, last| {
            let joins = last.0.end_ms == next.0.start_ms && last.1 == next.1;
            if joins {
                last.0.end_ms = next.0.end_ms;
            }
            joins
        });
        let entries = steps.into_iter().map(|(range, to)| ThroughEntry { log_id, partition, range, to });
        self.entries.splice(span, entries);
    }

    /// Forgets a log that nobody will ever replay again.
    pub fn forget(&mut self, log_id: LogId) {
        self.entries.retain(|entry| entry.log_id != log_id);
    }

    fn of(&self, log_id: LogId, partition: u32) -> &[ThroughEntry] {
        &self.entries[self.span(log_id, partition)]
    }

    fn span(&self, log_id: LogId, partition: u32) -> std::ops::Range<usize> {
        let key = (log_id, partition);
        let start = self.entries.partition_point(|entry| (entry.log_id, entry.partition) < key);
        let end = self.entries.partition_point(|entry| (entry.log_id, entry.partition) <= key);
        start..end
    }
}
