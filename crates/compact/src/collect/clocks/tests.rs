//! I-GC-5: which readings are trusted.

use super::*;

const SKEW_MAX_MS: i64 = 600_000;

fn reading(store_ms: i64, wall_ms: i64, monotonic_ms: i64) -> Reading {
    Reading { store_ms, wall_ms, monotonic_ms }
}

#[test]
fn the_earlier_of_two_clocks_that_agree_counts() {
    let now = |before, now| trusted_now_ms(before, now, SKEW_MAX_MS);
    assert_eq!(now(None, reading(1_000_000, 1_000_500, 7)), Ok(1_000_000));
    assert_eq!(now(None, reading(1_600_000, 1_000_000, 7)), Ok(1_000_000), "as far apart as they may be");
    let before = Some(reading(1_000_000, 1_000_000, 0));
    assert_eq!(now(before, reading(999_000, 1_000_100, 100)), Ok(999_000), "a store that tells whole seconds");
    assert_eq!(now(before, reading(9_000_000, 9_000_000, 8_000_000)), Ok(9_000_000));
}

#[test]
fn clocks_that_disagree_or_jump_are_not_trusted() {
    let now = |before, now| trusted_now_ms(before, now, SKEW_MAX_MS).unwrap_err();
    let apart = ClockJump::Apart { store_ms: 1_600_001, wall_ms: 1_000_000 };
    assert_eq!(now(None, reading(1_600_001, 1_000_000, 0)), apart);
    assert!(matches!(now(None, reading(i64::MAX, i64::MIN, 0)), ClockJump::Apart { .. }));
    let before = Some(reading(1_000_000, 1_000_000, 0));
    assert_eq!(now(before, reading(399_000, 400_000, 100)), ClockJump::WentBack(601_000));
    let moved = ClockJump::Moved { moved_ms: 700_000, passed_ms: 1000 };
    assert_eq!(now(before, reading(1_700_000, 1_700_000, 1000)), moved);
    let slept = ClockJump::Moved { moved_ms: 0, passed_ms: 700_000 };
    assert_eq!(now(before, reading(1_000_000, 1_000_000, 700_000)), slept);
}
