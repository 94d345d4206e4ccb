//! Numbers as Prometheus writes them (`util/jsonutil`): digit for digit what Go prints.

/// Appends a sample's value, without quotes: the shortest decimal that reads back as the same number, with an exponent
/// (of two digits at least) only below 1e-6 and from 1e21 on.
pub(super) fn push_value(out: &mut Vec<u8>, value: f64) {
    /// Below this, every whole number is a float of its own: its digits are the shortest ones.
    const EXACT_MAX: u64 = 1 << 53;
    let whole = value as i64;
    if whole as f64 == value && whole.unsigned_abs() < EXACT_MAX && (whole != 0 || value.is_sign_positive()) {
        out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
    } else if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    } else {
        push_shortest(out, zmij::Buffer::new().format_finite(value));
    }
}

/// Lays out the digits of `shortest`, which are in Rust's style (`1.0`, `1.5e-7`), in Go's.
fn push_shortest(out: &mut Vec<u8>, shortest: &str) {
    let Some((mantissa, exponent)) = shortest.split_once('e') else {
        return out.extend_from_slice(shortest.strip_suffix(".0").unwrap_or(shortest).as_bytes());
    };
    let exponent: i32 = exponent.parse().expect("a formatted float has a numeric exponent");
    if !(-6..21).contains(&exponent) {
        out.extend_from_slice(mantissa.as_bytes());
        out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
        let size = exponent.unsigned_abs();
        if size < 10 {
            out.push(b'0');
        }
        return out.extend_from_slice(itoa::Buffer::new().format(size).as_bytes());
    }
    let unsigned = mantissa.strip_prefix('-').unwrap_or(mantissa);
    if unsigned.len() < mantissa.len() {
        out.push(b'-');
    }
    let (first, rest) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + (-exponent - 1) as usize, b'0');
        out.extend_from_slice(first.as_bytes());
        out.extend_from_slice(rest.as_bytes());
    } else {
        out.extend_from_slice(first.as_bytes());
        let (before, after) = rest.split_at(rest.len().min(exponent as usize));
        out.extend_from_slice(before.as_bytes());
        out.resize(out.len() + exponent as usize - before.len(), b'0');
        if !after.is_empty() {
            out.push(b'.');
            out.extend_from_slice(after.as_bytes());
        }
    }
}

/// Appends a time as seconds: whole ones, or with exactly three decimals.
pub(super) fn push_time(out: &mut Vec<u8>, t_ms: i64) {
    if t_ms < 0 {
        out.push(b'-');
    }
    let t_ms = t_ms.unsigned_abs();
    out.extend_from_slice(itoa::Buffer::new().format(t_ms / 1000).as_bytes());
    let rest = (t_ms % 1000) as u16;
    if rest != 0 {
        let digit = |worth: u16| b'0' + (rest / worth % 10) as u8;
        out.extend_from_slice(&[b'.', digit(100), digit(10), digit(1)]);
    }
}
