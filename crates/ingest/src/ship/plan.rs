//! Which parts go to the bucket now, and together: a pure function of the parts, what heads still hold, and the time.

use crate::settings::IngestSettings;
use longhaul_model::{BlockId, TimeRange};

/// What the planner knows of a part.
#[derive(Clone, Debug)]
pub(crate) struct PartState {
    pub id: BlockId,
    /// The hull of the aligned ranges that the part covers (not merely of its samples).
    pub range: TimeRange,
    pub size_bytes: u64,
    /// When the part was written, ms since the epoch.
    pub written_ms: i64,
}

/// Parts that become one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShipJob {
    /// In the order in which they were given: rising precedence.
    pub parts: Vec<BlockId>,
}

/// Plans what is shipped. `parts` come in rising precedence; `uncut` are the ranges that the head still has samples of.
///
/// **Invariant I-SHIP-1:** parts whose ranges overlap are shipped in one job. `through` speaks for a whole range, so
/// that a part left behind would count as covered by the block of another.
pub(crate) fn plan(
    parts: &[PartState],
    uncut: &[TimeRange],
    now_ms: i64,
    everything: bool,
    settings: &IngestSettings,
) -> Vec<ShipJob> {
    let groups = overlapping(parts);
    if everything {
        return groups.into_iter().map(|group| job(parts, &group.parts)).collect();
    }
    let mut jobs = Vec::new();
    let mut small: Vec<Group> = Vec::new();
    for group in groups {
        let over = group.range.end_ms.saturating_add(settings.cut_delay_ms) <= now_ms;
        let to_come = uncut.iter().any(|range| range.overlaps(&group.range));
        // Late data that never ends must not keep what is there from the bucket.
        let aged = group.oldest_written_ms.saturating_add(settings.ship_max_age_ms) <= now_ms;
        if !over || to_come && !aged {
            continue;
        }
        if group.size_bytes >= settings.ship_small_bytes {
            jobs.push(job(parts, &group.parts));
        } else {
            small.push(group);
        }
    }
    // Small ranges of a day go together once one of them has waited long enough or together they are large enough.
    small.sort_by_key(|group| group.range.start_ms);
    for day in small.chunk_by(|a, b| day_of(a) == day_of(b)) {
        let size_bytes: u64 = day.iter().map(|group| group.size_bytes).sum();
        let oldest_ms = day.iter().map(|group| group.oldest_written_ms).min().unwrap_or(now_ms);
        if size_bytes >= settings.ship_small_bytes || oldest_ms.saturating_add(settings.ship_max_age_ms) <= now_ms {
            let mut together: Vec<usize> = day.iter().flat_map(|group| group.parts.iter().copied()).collect();
            together.sort_unstable();
            jobs.push(job(parts, &together));
        }
    }
    jobs
}

/// Groups with more parts than a query should have to open: each becomes one part.
pub(crate) fn plan_local_merges(parts: &[PartState], settings: &IngestSettings) -> Vec<ShipJob> {
    overlapping(parts)
        .into_iter()
        .filter(|group| group.parts.len() > settings.parts_per_range_max)
        .map(|group| job(parts, &group.parts))
        .collect()
}

/// Parts whose ranges overlap, directly or through others.
#[derive(Debug)]
struct Group {
    range: TimeRange,
    parts: Vec<usize>,
    size_bytes: u64,
    oldest_written_ms: i64,
}

fn overlapping(parts: &[PartState]) -> Vec<Group> {
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|&i| parts[i].range);
    let mut groups: Vec<Group> = Vec::new();
    for i in order {
        let part = &parts[i];
        match groups.last_mut() {
            Some(group) if group.range.overlaps(&part.range) => {
                group.range = group.range.hull(&part.range);
                group.parts.push(i);
                group.size_bytes += part.size_bytes;
                group.oldest_written_ms = group.oldest_written_ms.min(part.written_ms);
            }
            _ => groups.push(Group {
                range: part.range,
                parts: vec![i],
                size_bytes: part.size_bytes,
                oldest_written_ms: part.written_ms,
            }),
        }
    }
    for group in &mut groups {
        group.parts.sort_unstable();
    }
    groups
}

fn day_of(group: &Group) -> i64 {
    group.range.start_ms.div_euclid(IngestSettings::DAY_MS)
}

fn job(parts: &[PartState], indexes: &[usize]) -> ShipJob {
    ShipJob { parts: indexes.iter().map(|&i| parts[i].id).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;
    const LARGE: u64 = 5 << 20;

    fn part(n: u128, hours: (i64, i64), size_bytes: u64, written_hour: i64) -> PartState {
        PartState {
            id: BlockId::from_parts(0, n),
            range: TimeRange::new(hours.0 * HOUR_MS, hours.1 * HOUR_MS),
            size_bytes,
            written_ms: written_hour * HOUR_MS,
        }
    }

    fn ids(jobs: &[ShipJob]) -> Vec<Vec<u128>> {
        jobs.iter().map(|job| job.parts.iter().map(BlockId::random).collect()).collect()
    }

    #[test]
    fn closed_ranges_go_and_open_ones_wait() {
        let settings = IngestSettings::default();
        let parts = [part(1, (0, 2), LARGE, 1), part(2, (0, 2), LARGE, 2), part(3, (2, 4), LARGE, 3)];
        assert_eq!(ids(&plan(&parts, &[], 3 * HOUR_MS, false, &settings)), [[1, 2]]);
        let uncut = [TimeRange::new(0, 2 * HOUR_MS)];
        assert!(plan(&parts, &uncut, 3 * HOUR_MS, false, &settings).is_empty(), "late data is still to come");
        assert_eq!(ids(&plan(&parts[..2], &uncut, 13 * HOUR_MS, false, &settings)), [[1, 2]], "but not for ever");
        assert_eq!(ids(&plan(&parts, &uncut, 0, true, &settings)), [vec![1, 2], vec![3]]);
    }

    /// I-SHIP-1
    #[test]
    fn overlapping_parts_never_part() {
        let settings = IngestSettings::default();
        let parts = [
            part(1, (0, 2), LARGE, 1),
            part(2, (4, 6), LARGE, 1),
            part(3, (0, 24), 1, 50),
            part(4, (24, 26), LARGE, 1),
        ];
        for everything in [false, true] {
            assert_eq!(ids(&plan(&parts, &[], 100 * HOUR_MS, everything, &settings)), [vec![1, 2, 3], vec![4]]);
        }
    }

    #[test]
    fn small_ranges_wait_and_go_together() {
        let settings = IngestSettings::default();
        let parts = [part(1, (0, 2), 10, 2), part(2, (2, 4), 10, 4), part(3, (24, 26), 10, 13)];
        assert!(plan(&parts, &[], 13 * HOUR_MS, false, &settings).is_empty());
        assert_eq!(ids(&plan(&parts, &[], 14 * HOUR_MS, false, &settings)), [[1, 2]]);
    }

    #[test]
    fn many_parts_of_a_range_are_merged_locally() {
        let settings = IngestSettings { parts_per_range_max: 2, ..Default::default() };
        let parts = [part(1, (0, 2), 1, 0), part(2, (0, 2), 1, 0), part(3, (2, 4), 1, 0), part(4, (0, 2), 1, 0)];
        assert_eq!(ids(&plan_local_merges(&parts, &settings)), [[1, 2, 4]]);
    }
}
