//! Times: decimal seconds or RFC 3339, to milliseconds.

use jiff::Timestamp;

/// The earliest time (Prometheus' `MinTime`): far enough from the edge that durations can be subtracted from it.
pub(super) const MIN_MS: i64 = -9_223_309_901_257_974_000;
/// The latest time (Prometheus' `MaxTime`).
pub(super) const MAX_MS: i64 = 9_223_309_901_257_974_999;

/// How Go formats the two, which RFC 3339 cannot hold; clients send them back.
const MIN_TEXT: &str = "-292273086-05-16T16:47:06Z";
const MAX_TEXT: &str = "292277025-08-18T07:12:54.999999999Z";

/// Reads a time. Err is the reason, for people.
pub(super) fn parse_ms(text: &str) -> Result<i64, String> {
    let parsed = match text.parse::<f64>() {
        Ok(seconds) => from_seconds(seconds),
        Err(_) => match text {
            MIN_TEXT => Some(MIN_MS),
            MAX_TEXT => Some(MAX_MS),
            _ => from_rfc_3339(text),
        },
    };
    parsed.ok_or_else(|| format!("cannot parse {text:?} to a valid timestamp"))
}

/// Rounds to the nearest millisecond. Not-a-number and what lies beyond all time is no time.
fn from_seconds(seconds: f64) -> Option<i64> {
    let whole = seconds.trunc();
    // The whole part is exact in 64 bits, as it is in Go; seconds times a thousand would not be.
    if whole.is_nan() || whole.abs() > (MAX_MS / 1000) as f64 {
        return None;
    }
    let ms = whole as i64 * 1000 + ((seconds - whole) * 1000.0).round() as i64;
    (MIN_MS..=MAX_MS).contains(&ms).then_some(ms)
}

/// Drops what is finer than a millisecond.
fn from_rfc_3339(text: &str) -> Option<i64> {
    if !is_rfc_3339(text.as_bytes()) {
        return None;
    }
    let timestamp: Timestamp = text.parse().ok()?;
    i64::try_from(timestamp.as_nanosecond().div_euclid(1_000_000)).ok()
}

/// Whether the text has the one shape that Go accepts; jiff alone would take several more.
fn is_rfc_3339(text: &[u8]) -> bool {
    let Some((date_time, rest)) = text.split_at_checked(19) else { return false };
    let fraction = match rest {
        [b'.', digits @ ..] => digits.iter().take_while(|byte| byte.is_ascii_digit()).count() + 1,
        _ => 0,
    };
    let zone = &rest[fraction..];
    fraction != 1
        && has_shape(date_time, b"0000-00-00T00:00:00")
        && date_time[17] < b'6' // Go knows no leap seconds
        && (zone == b"Z" || has_shape(zone, b"+00:00") || has_shape(zone, b"-00:00"))
}

/// Whether `text` is `shape` with any digits for the zeros.
fn has_shape(text: &[u8], shape: &[u8]) -> bool {
    text.len() == shape.len()
        && text.iter().zip(shape).all(|(byte, like)| if *like == b'0' { byte.is_ascii_digit() } else { byte == like })
}
