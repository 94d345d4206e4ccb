//! Durations: decimal seconds, or Prometheus' notation with units.

use crate::config::quantity;

/// A duration in nanoseconds, as fine as a parameter may say it; possibly negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DurationNs(pub(crate) i64);

impl DurationNs {
    /// Reads a duration. Err is the reason, for people.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Ok(seconds) = text.parse::<f64>() {
            let ns = seconds * 1e9;
            // 2^63, the first float that does not fit, is what i64::MAX becomes. Not-a-number fits nowhere.
            return if ns.abs() < i64::MAX as f64 {
                Ok(Self(ns as i64))
            } else {
                Err(format!("cannot parse {text:?} to a valid duration. It overflows int64"))
            };
        }
        let ms = quantity::Duration::parse(text).map(|duration| duration.ms).ok();
        let ns = ms.and_then(|ms| ms.checked_mul(1_000_000));
        ns.map(Self).ok_or_else(|| format!("cannot parse {text:?} to a valid duration"))
    }

    /// Whole milliseconds, the rest dropped.
    pub(crate) fn whole_ms(self) -> i64 {
        self.0 / 1_000_000
    }
}
