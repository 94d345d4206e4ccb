//! `metric@st offsets` lines: since when the samples of the series line below count.

use super::number::{count, duration};
use super::series::metric_labels;
use longhaul_model::Labels;

/// Start timestamps for the next series line.
pub struct StartsLine {
    /// The labels of that line.
    pub labels: Labels,
    /// For each position how far the start lies from the sample's time, ms; None where it is unknown.
    pub offsets_ms: Vec<Option<i64>>,
}

/// Reads a line if it is one of start timestamps.
pub fn starts_line(line: &str) -> Option<Result<StartsLine, String>> {
    let (metric, offsets) = line.split_once(char::is_whitespace)?;
    let metric = metric.strip_suffix("@st")?;
    Some(metric_labels(metric).and_then(|labels| {
        let mut offsets_ms = Vec::new();
        for item in offsets.split_whitespace() {
            self::item(item, &mut offsets_ms).map_err(|why| format!("{item}: {why}"))?;
        }
        Ok(StartsLine { labels, offsets_ms })
    }))
}

/// `_`, `_xN`, `-1m`, `-1mxN`, `-1m+15sxN`, `-1m-15sxN`
fn item(text: &str, offsets_ms: &mut Vec<Option<i64>>) -> Result<(), String> {
    if let Some(times) = text.strip_prefix('_') {
        let times = if times.is_empty() { 1 } else { count(times.strip_prefix('x').ok_or("after _ there is xN")?)? };
        if times == 0 {
            return Err("at least one is left out".to_owned());
        }
        offsets_ms.extend(std::iter::repeat_n(None, times));
        return Ok(());
    }
    let (mut offset_ms, rest) = signed(text)?;
    let (step_ms, times) = match rest.as_bytes().first() {
        None => (0, 0),
        Some(b'x') => (0, count(&rest[1..])?),
        Some(sign @ (b'+' | b'-')) => {
            let (step_ms, rest) = signed(&rest[1..])?;
            let times = count(rest.strip_prefix('x').ok_or("after a step there is xN")?)?;
            (if *sign == b'-' { -step_ms } else { step_ms }, times)
        }
        Some(_) => return Err(format!("{rest:?} is no step")),
    };
    for _ in 0..=times {
        offsets_ms.push(Some(offset_ms));
        offset_ms += step_ms;
    }
    Ok(())
}

/// A duration of one unit that may have a sign, and what follows it.
fn signed(text: &str) -> Result<(i64, &str), String> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let unit = unsigned[digits..].bytes().take_while(|byte| byte.is_ascii_alphabetic() && *byte != b'x').count();
    let (amount, rest) = unsigned.split_at(digits + unit);
    let amount_ms = duration(amount)?;
    Ok((if text.starts_with('-') { -amount_ms } else { amount_ms }, rest))
}
