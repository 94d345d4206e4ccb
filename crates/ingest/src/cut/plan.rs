//! Which heads are cut now, and why: a pure function of what the heads hold, what the log pins and what time it is.

use crate::settings::IngestSettings;
use longhaul_model::TimeRange;
use std::collections::BTreeMap;

/// What the planner knows of one head.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeadState {
    /// Which tenant; opaque to the planner, also spreads the cuts of many tenants over time.
    pub tenant_number: u32,
    /// The ranges that have uncut samples.
    pub ranges: Vec<RangeState>,
    /// When each range was last cut, by the start of the aligned range, ms since the epoch.
    pub last_cuts_ms: BTreeMap<i64, i64>,
    /// Bytes of chunks in memory, data that is being cut included.
    pub chunk_bytes: u64,
}

/// Uncut samples of one aligned block range.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RangeState {
    /// The aligned block range.
    pub range: TimeRange,
    /// Lowest offset of an uncut sample.
    pub first_offset: u64,
    /// Bytes of its chunks.
    pub chunk_bytes: u64,
}

/// What the planner knows of the log and of memory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pressure {
    /// Bytes of chunks of all heads.
    pub chunk_bytes: u64,
    /// Bytes of log on disk.
    pub log_bytes: u64,
    /// The last offset of the oldest segment: heads with uncut samples up to it keep the segment.
    pub oldest_segment_end: u64,
}

/// Something to do to one head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CutJob {
    pub tenant_number: u32,
    pub action: CutAction,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CutAction {
    /// The samples of a range become a part.
    Cut { range: TimeRange, reason: CutReason },
    /// The head is so small that its samples are appended to the log once more instead.
    LogAgain,
}

/// Why a range is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CutReason {
    /// The range is over.
    Age,
    /// The heads hold too many bytes.
    Bytes,
    /// The log has grown too long.
    Log,
}

/// Most jobs of one plan. The rest comes with the next look: memory, disk and log want to be looked at in between.
const JOBS_MAX: usize = 256;
/// What a byte of chunks takes in the log, about: its samples are not compressed there, and series are defined anew.
const LOG_BYTES_PER_CHUNK_BYTE: u64 = 8;

/// Plans the cuts that are due, the urgent ones first. No range of a head comes twice, day ranges swallow the block
/// ranges inside them.
pub(crate) fn plan(heads: &[HeadState], pressure: Pressure, now_ms: i64, settings: &IngestSettings) -> Vec<CutJob> {
    let mut jobs: Vec<CutJob> = heads.iter().flat_map(|head| by_age(head, now_ms, settings)).collect();
    by_bytes(heads, pressure, settings, &mut jobs);
    by_log(heads, pressure, settings, &mut jobs);
    jobs.sort_by_key(|job| match job.action {
        CutAction::Cut { reason: CutReason::Bytes, .. } => 0,
        CutAction::Cut { reason: CutReason::Log, .. } | CutAction::LogAgain => 1,
        CutAction::Cut { reason: CutReason::Age, .. } => 2,
    });
    jobs.truncate(JOBS_MAX);
    jobs
}

/// The range that a cut of `range` takes: the whole day once it is old.
pub(crate) fn cut_range(range: TimeRange, now_ms: i64, settings: &IngestSettings) -> TimeRange {
    if range.end_ms < now_ms.saturating_sub(settings.day_cut_age_ms) {
        TimeRange::aligned(range.start_ms, IngestSettings::DAY_MS).hull(&range)
    } else {
        range
    }
}

fn by_age(head: &HeadState, now_ms: i64, settings: &IngestSettings) -> Vec<CutJob> {
    // Ten thousand tenants whose range ends at the same moment must not cut at the same moment.
    let spread_ms = i64::from(head.tenant_number % 64) * settings.cut_delay_ms / 128;
    let mut jobs = Vec::new();
    for state in &head.ranges {
        let range = cut_range(state.range, now_ms, settings);
        let over = range.end_ms.saturating_add(settings.cut_delay_ms + spread_ms) <= now_ms;
        let rested = head
            .last_cuts_ms
            .get(&range.start_ms)
            .is_none_or(|last_ms| last_ms.saturating_add(settings.late_cut_interval_ms) <= now_ms);
        if over && rested {
            push(&mut jobs, head.tenant_number, range, CutReason::Age);
        }
    }
    jobs
}

/// Largest heads first, until a quarter of the budget is on its way out.
fn by_bytes(heads: &[HeadState], pressure: Pressure, settings: &IngestSettings, jobs: &mut Vec<CutJob>) {
    if pressure.chunk_bytes <= settings.chunk_budget_bytes {
        return;
    }
    let mut wanted = settings.chunk_budget_bytes / 4 + (pressure.chunk_bytes - settings.chunk_budget_bytes);
    let mut largest: Vec<&HeadState> = heads.iter().collect();
    largest.sort_by_key(|head| std::cmp::Reverse(head.chunk_bytes));
    for head in largest {
        if wanted == 0 {
            break;
        }
        for state in &head.ranges {
            push(jobs, head.tenant_number, state.range, CutReason::Bytes);
            wanted = wanted.saturating_sub(state.chunk_bytes);
        }
    }
}

/// The heads that keep the oldest segment: cut, or logged again where a part would be smaller than its own overhead.
fn by_log(heads: &[HeadState], pressure: Pressure, settings: &IngestSettings, jobs: &mut Vec<CutJob>) {
    if pressure.log_bytes <= settings.replay_bytes_max {
        return;
    }
    // Tiny heads that would fill the log by themselves would be logged again for ever.
    let tiny = |head: &HeadState| head.chunk_bytes <= settings.tiny_head_bytes;
    let tiny_bytes: u64 = heads.iter().filter(|head| tiny(head)).map(|head| head.chunk_bytes).sum();
    let may_log_again = tiny_bytes * LOG_BYTES_PER_CHUNK_BYTE <= settings.replay_bytes_max / 2;
    for head in heads {
        let pins = |state: &&RangeState| state.first_offset <= pressure.oldest_segment_end;
        if !head.ranges.iter().any(|state| pins(&state)) {
            continue;
        }
        if tiny(head) && may_log_again {
            if !jobs.iter().any(|job| job.tenant_number == head.tenant_number) {
                jobs.push(CutJob { tenant_number: head.tenant_number, action: CutAction::LogAgain });
            }
            continue;
        }
        for state in head.ranges.iter().filter(pins) {
            push(jobs, head.tenant_number, state.range, CutReason::Log);
        }
    }
}

fn push(jobs: &mut Vec<CutJob>, tenant_number: u32, range: TimeRange, reason: CutReason) {
    let taken = jobs.iter().any(|job| {
        job.tenant_number == tenant_number
            && matches!(job.action, CutAction::Cut { range: planned, .. } if planned.overlaps(&range))
    });
    if !taken {
        jobs.push(CutJob { tenant_number, action: CutAction::Cut { range, reason } });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn block(start_hour: i64) -> TimeRange {
        TimeRange::new(start_hour * HOUR_MS, (start_hour + 2) * HOUR_MS)
    }

    fn head(tenant_number: u32, ranges: &[(TimeRange, u64, u64)]) -> HeadState {
        HeadState {
            tenant_number,
            ranges: ranges
                .iter()
                .map(|&(range, first_offset, chunk_bytes)| RangeState { range, first_offset, chunk_bytes })
                .collect(),
            chunk_bytes: ranges.iter().map(|range| range.2).sum(),
            last_cuts_ms: BTreeMap::new(),
        }
    }

    fn cut(tenant_number: u32, range: TimeRange, reason: CutReason) -> CutJob {
        CutJob { tenant_number, action: CutAction::Cut { range, reason } }
    }

    #[test]
    fn a_range_is_cut_a_quarter_of_an_hour_after_its_end() {
        let settings = IngestSettings::default();
        let heads = [head(0, &[(block(100), 1, 10), (block(102), 5, 10)])];
        let due_ms = 102 * HOUR_MS + 15 * 60_000;
        assert_eq!(plan(&heads, Pressure::default(), due_ms - 1, &settings), []);
        assert_eq!(plan(&heads, Pressure::default(), due_ms, &settings), [cut(0, block(100), CutReason::Age)]);
    }

    #[test]
    fn tenants_are_spread() {
        let settings = IngestSettings::default();
        let heads: Vec<_> = (0..64).map(|n| head(n, &[(block(100), 1, 10)])).collect();
        let due_ms = 102 * HOUR_MS + 15 * 60_000;
        assert_eq!(plan(&heads, Pressure::default(), due_ms, &settings).len(), 1);
        assert_eq!(plan(&heads, Pressure::default(), due_ms + 15 * 60_000, &settings).len(), 64);
    }

    #[test]
    fn what_is_urgent_comes_first_and_the_rest_with_the_next_look() {
        let settings = IngestSettings { chunk_budget_bytes: 10_000, ..Default::default() };
        let mut heads: Vec<_> = (0..1000).map(|n| head(n, &[(block(100), 1, 10)])).collect();
        heads.push(head(1000, &[(block(104), 1, 9000)]));
        let pressure = Pressure { chunk_bytes: 19_000, ..Default::default() };
        let jobs = plan(&heads, pressure, 105 * HOUR_MS, &settings);
        assert_eq!((jobs[0], jobs.len()), (cut(1000, block(104), CutReason::Bytes), JOBS_MAX));
    }

    #[test]
    fn old_data_goes_by_days_and_not_too_often() {
        let settings = IngestSettings::default();
        let now_ms = 80 * HOUR_MS;
        let mut heads = [head(0, &[(block(24), 1, 10), (block(30), 2, 10), (block(48), 3, 10)])];
        let first_day = TimeRange::new(24 * HOUR_MS, 48 * HOUR_MS);
        let second_day = TimeRange::new(48 * HOUR_MS, 72 * HOUR_MS);
        let both = [cut(0, first_day, CutReason::Age), cut(0, second_day, CutReason::Age)];
        assert_eq!(plan(&heads, Pressure::default(), now_ms, &settings), both);
        heads[0].last_cuts_ms.insert(first_day.start_ms, now_ms - 29 * 60_000);
        assert_eq!(plan(&heads, Pressure::default(), now_ms, &settings), both[1..]);
        heads[0].last_cuts_ms.insert(first_day.start_ms, now_ms - 30 * 60_000);
        assert_eq!(plan(&heads, Pressure::default(), now_ms, &settings), both);
    }

    #[test]
    fn over_the_budget_the_largest_head_goes_first_and_a_quarter_is_freed() {
        let settings = IngestSettings { chunk_budget_bytes: 1000, ..Default::default() };
        let heads = [head(1, &[(block(0), 1, 300)]), head(2, &[(block(0), 1, 400), (block(2), 9, 310)])];
        let pressure = Pressure { chunk_bytes: 1010, ..Default::default() };
        let now_ms = HOUR_MS;
        assert_eq!(
            plan(&heads, pressure, now_ms, &settings),
            [cut(2, block(0), CutReason::Bytes), cut(2, block(2), CutReason::Bytes)]
        );
        assert_eq!(plan(&heads, Pressure { chunk_bytes: 1000, ..pressure }, now_ms, &settings), []);
    }

    #[test]
    fn a_long_log_cuts_who_pins_it_and_logs_the_tiny_again() {
        let settings = IngestSettings { replay_bytes_max: 1000, tiny_head_bytes: 50, ..Default::default() };
        let mut heads = vec![
            head(1, &[(block(0), 5, 500), (block(2), 50, 500)]),
            head(2, &[(block(0), 7, 20)]),
            head(3, &[(block(0), 50, 20)]),
        ];
        let pressure = Pressure { log_bytes: 1001, oldest_segment_end: 10, ..Default::default() };
        assert_eq!(
            plan(&heads, pressure, HOUR_MS, &settings),
            [cut(1, block(0), CutReason::Log), CutJob { tenant_number: 2, action: CutAction::LogAgain }]
        );
        assert_eq!(plan(&heads, Pressure { log_bytes: 1000, ..pressure }, HOUR_MS, &settings), []);
        heads.extend([head(4, &[(block(0), 50, 23)]), head(5, &[(block(0), 60, 20)])]);
        assert_eq!(
            plan(&heads, pressure, HOUR_MS, &settings),
            [cut(1, block(0), CutReason::Log), cut(2, block(0), CutReason::Log)],
            "together the tiny ones are not tiny"
        );
    }
}
