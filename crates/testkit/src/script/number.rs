//! Numbers and durations of the script language.

use longhaul_promql::ast::{ExprKind, UnaryOp};
use longhaul_promql::{ParseOptions, parse};

/// The units of durations, greatest first, with their milliseconds.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// `5m`, `10s53ms` or `0`, in milliseconds: no sign, no fraction, units from the greatest to the least.
pub fn duration(text: &str) -> Result<i64, String> {
    let wrong = || format!("{text:?} is not a duration");
    if text == "0" {
        return Ok(0);
    }
    if text.is_empty() {
        return Err(wrong());
    }
    let (mut total, mut rest, mut units) = (0i64, text, &UNITS[..]);
    while !rest.is_empty() {
        let (count, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?);
        let (unit, after) = after.split_at(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()));
        let place = units.iter().position(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let count: i64 = count.parse().map_err(|_| wrong())?;
        total = count.checked_mul(units[place].1).and_then(|more| total.checked_add(more)).ok_or_else(wrong)?;
        (rest, units) = (after, &units[place + 1..]);
    }
    Ok(total)
}

/// A number as PromQL writes it, or a duration, which counts as seconds; either may have a sign.
pub fn number(text: &str) -> Result<f64, String> {
    let read = |text: &str| match parse(text, &ParseOptions::default()).ok()?.kind {
        ExprKind::Number(value) | ExprKind::Duration(value) => Some(value),
        ExprKind::Unary(op, inner) => match inner.kind {
            ExprKind::Number(value) | ExprKind::Duration(value) if op == UnaryOp::Minus => Some(-value),
            ExprKind::Number(value) | ExprKind::Duration(value) => Some(value),
            _ => None,
        },
        _ => None,
    };
    read(text).ok_or_else(|| format!("{text:?} is not a number"))
}

/// How many bytes at the start of `text` may be a number or a duration: sign, digits, point, exponent, units; or a word.
/// Never an `x`, which begins the count of repetitions.
pub fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    while let Some(byte) = bytes.get(at) {
        at += match byte {
            b'e' | b'E' if matches!(bytes.get(at + 1), Some(b'+' | b'-')) => 2,
            b'x' | b'X' => break,
            b'.' | b'_' => 1,
            byte if byte.is_ascii_alphanumeric() => 1,
            _ => break,
        };
    }
    at
}

/// A whole number without a sign, `N` in `xN`.
pub fn count(text: &str) -> Result<usize, String> {
    /// More positions than any script needs, so that a slip of the pen does not eat the memory.
    const COUNT_MAX: usize = 1_000_000;
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(count) if digits && count <= COUNT_MAX => Ok(count),
        _ => Err(format!("{text:?} is not a count of repetitions")),
    }
}
