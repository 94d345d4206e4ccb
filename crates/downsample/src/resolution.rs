//! Where windows lie, and the time that stands for each.

use longhaul_model::TimeRange;

/// The length of windows, ms; at least 2. Window k is (k*r, (k+1)*r].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resolution(i64);

impl Resolution {
    /// Five minutes: what is made of raw blocks.
    pub const FIVE_MINUTES: Self = Self(300_000);
    /// One hour: what is made of the blocks of five minutes.
    pub const ONE_HOUR: Self = Self(3_600_000);

    /// Windows of `length_ms`; None below 2 ms, which no window has.
    pub fn new(length_ms: i64) -> Option<Self> {
        (length_ms >= 2).then_some(Self(length_ms))
    }

    /// Length of a window, ms.
    pub fn length_ms(self) -> i64 {
        self.0
    }

    /// The number of the window that holds `t_ms`.
    #[inline]
    pub fn window_of(self, t_ms: i64) -> i64 {
        // A window holds its end and not its start. With lengths from 2 on no quotient is i64::MIN.
        t_ms.div_euclid(self.0) - i64::from(t_ms.rem_euclid(self.0) == 0)
    }

    /// The last millisecond of a window; saturates at the edge of time.
    #[inline]
    pub fn end_ms(self, window: i64) -> i64 {
        window.saturating_add(1).saturating_mul(self.0)
    }

    /// The time that stands for a window in a block over `block`, which holds a sample of it: its end less 1 ms, or the
    /// nearest to that within the block. The window is [`Self::window_of`] that time again.
    pub fn stamp_ms(self, window: i64, block: TimeRange) -> i64 {
        let stamp_ms = self.end_ms(window).saturating_sub(1);
        stamp_ms.max(block.start_ms).min(block.end_ms.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn windows_tile_the_line_and_stamps_name_them(
            t_ms in prop_oneof![any::<i64>(), -10_000_000i64..10_000_000],
            length_ms in prop_oneof![Just(2i64), Just(300_000), Just(3_600_000), 2i64..1000],
            before_ms in 0i64..1_000_000,
            after_ms in 1i64..1_000_000,
        ) {
            let resolution = Resolution::new(length_ms).unwrap();
            let window = resolution.window_of(t_ms);
            let end_ms = i128::from(window + 1) * i128::from(length_ms);
            prop_assert!(end_ms - i128::from(length_ms) < t_ms.into() && i128::from(t_ms) <= end_ms);
            let block = TimeRange::new(t_ms.saturating_sub(before_ms), t_ms.saturating_add(after_ms));
            prop_assume!(block.contains(t_ms));
            let stamp_ms = resolution.stamp_ms(window, block);
            prop_assert!(block.contains(stamp_ms));
            prop_assert_eq!(resolution.window_of(stamp_ms), window);
        }
    }

    #[test]
    fn borders_belong_to_the_window_that_they_end() {
        let hour = Resolution::ONE_HOUR;
        assert_eq!([0, 1, 3_600_000, 3_600_001].map(|t_ms| hour.window_of(t_ms)), [-1, 0, 0, 1]);
        let block = TimeRange::new(3_600_000, 9_000_000);
        assert_eq!([0, 1, 2].map(|window| hour.stamp_ms(window, block)), [3_600_000, 7_199_999, 8_999_999]);
        assert_eq!(Resolution::new(1), None);
    }
}
