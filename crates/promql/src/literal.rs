//! Numbers, durations and strings: what they are worth, and how they are written. The rules are Go's.

use std::fmt::{self, Write};

/// The units of durations, greatest first, with their milliseconds.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The longest duration, ms: Prometheus counts nanoseconds in 64 bits.
const MILLISECONDS_MAX: u64 = i64::MAX as u64 / 1_000_000;

/// The value of a number: decimal with an exponent or without, hexadecimal, octal (a leading 0), `Inf`, `NaN`.
pub(crate) fn number(text: &str) -> Result<f64, String> {
    let wrong = |why: &str| Err(format!("error parsing number: strconv.ParseFloat: parsing {}: {why}", quote(text)));
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    if !underscores_separate_digits(text, hex.is_some()) {
        return wrong("invalid syntax");
    }
    let plain = |digits: &str| digits.replace('_', "");
    let integer = match hex {
        Some(digits) => i64::from_str_radix(&plain(digits), 16),
        None if text.len() > 1 && text.starts_with('0') => i64::from_str_radix(&plain(text), 8),
        None => plain(text).parse(),
    };
    if let Ok(integer) = integer {
        return Ok(integer as f64);
    }
    match plain(text).parse::<f64>() {
        Ok(value) if value.is_infinite() && text.starts_with(|first: char| !first.is_ascii_alphabetic()) => {
            wrong("value out of range")
        }
        Ok(value) => Ok(value),
        Err(_) => wrong("invalid syntax"),
    }
}

/// Each `_` stands between two digits, or between the prefix of a hexadecimal number and its first digit.
fn underscores_separate_digits(text: &str, hex: bool) -> bool {
    let bytes = text.as_bytes();
    let is_digit = |byte: &u8| if hex { byte.is_ascii_hexdigit() } else { byte.is_ascii_digit() };
    let is_one = |index: usize| bytes.get(index).is_some_and(is_digit);
    (0..bytes.len()).filter(|&index| bytes[index] == b'_').all(|index| {
        let after_prefix = hex && index == 2;
        index > 0 && (after_prefix || is_one(index - 1)) && is_one(index + 1)
    })
}

/// The value of a duration, seconds: numbers with units, the greater ones first, each once.
pub(crate) fn duration(text: &str) -> Result<f64, String> {
    let invalid = || format!("not a valid duration string: {}", quote(text));
    let mut milliseconds: u64 = 0;
    let mut units = &UNITS[..];
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (count, after) = rest.split_at(digits);
        let count: u64 = count.parse().map_err(|_| invalid())?;
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        if unit.is_empty() {
            return Err(invalid());
        }
        if UNITS.iter().all(|(name, _)| *name != unit) {
            return Err(format!("unknown unit {} in duration {}", quote(unit), quote(text)));
        }
        let index = units.iter().position(|(name, _)| *name == unit).ok_or_else(invalid)?;
        milliseconds = count
            .checked_mul(units[index].1)
            .and_then(|more| milliseconds.checked_add(more))
            .filter(|&sum| sum <= MILLISECONDS_MAX)
            .ok_or("duration out of range")?;
        units = &units[index + 1..];
        rest = after;
    }
    Ok((milliseconds / 1000) as f64 + (milliseconds % 1000) as f64 / 1000.0)
}

/// The duration as `1d2h3m4s5ms`. Years and weeks are used only if nothing remains: 90d is easier to read than 12w6d.
pub(crate) fn format_duration(milliseconds: i64) -> String {
    let mut rest = milliseconds.unsigned_abs();
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    if milliseconds < 0 {
        text.push('-');
    }
    for (unit, worth) in UNITS {
        let alone = matches!(unit, "y" | "w");
        if rest >= worth && (!alone || rest.is_multiple_of(worth)) {
            // Writing to a String cannot fail.
            let _ = write!(text, "{}{unit}", rest / worth);
            rest %= worth;
        }
    }
    text
}

/// The number as a query shows it: with as many digits as it needs, never with an exponent, `+Inf`, `-Inf`, `NaN`.
pub fn format_number(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    value.to_string()
}

/// The number as Go's `%v` shows it: with an exponent below 1e-4 and from 1e6 on.
pub(crate) fn format_general(value: f64) -> String {
    let scientific = format!("{value:e}");
    match scientific.split_once('e').map(|(digits, exponent)| (digits, exponent.parse::<i32>())) {
        Some((digits, Ok(exponent))) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
        }
        _ => format_number(value),
    }
}

/// What a string stands for, given with its quotes; its escapes have been checked by the lexer. Escaped bytes that make
/// no UTF-8 become U+FFFD: texts inside are UTF-8.
pub(crate) fn unquote(text: &str) -> String {
    Text::unquoted(text).text
}

/// What a string literal stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    text: String,
    /// The very bytes, if they are no UTF-8.
    bytes: Option<Box<[u8]>>,
}

impl Text {
    /// The text of a literal, given with its quotes; its escapes have been checked by the lexer.
    pub(crate) fn unquoted(literal: &str) -> Self {
        match String::from_utf8(unquoted_bytes(literal)) {
            Ok(text) => Self { text, bytes: None },
            Err(error) => {
                let bytes = error.into_bytes().into_boxed_slice();
                Self { text: String::from_utf8_lossy(&bytes).into_owned(), bytes: Some(bytes) }
            }
        }
    }

    /// The text; bytes that make no UTF-8 have become U+FFFD.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), bytes: None }
    }
}

/// In double quotes, escaped so that it reads back.
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.bytes.as_deref().unwrap_or(self.text.as_bytes());
        let mut quoted = String::from('"');
        for chunk in bytes.utf8_chunks() {
            push_quoted(&mut quoted, chunk.valid());
            chunk.invalid().iter().try_for_each(|byte| write!(quoted, "\\x{byte:02x}"))?;
        }
        quoted.push('"');
        f.write_str(&quoted)
    }
}

/// What a string stands for, byte by byte.
fn unquoted_bytes(text: &str) -> Vec<u8> {
    let inner = &text[1..text.len() - 1];
    if text.starts_with('`') || !inner.contains('\\') {
        return inner.as_bytes().to_vec();
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(backslash) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..backslash]);
        rest = unescape(&rest[backslash + 1..], &mut bytes);
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// Appends what the escape at the start of `rest` (after its backslash) stands for; returns what follows.
fn unescape<'a>(rest: &'a str, bytes: &mut Vec<u8>) -> &'a str {
    let (digits_at, digits, radix) = match rest.as_bytes()[0] {
        b'x' => (1, 2, 16),
        b'u' => (1, 4, 16),
        b'U' => (1, 8, 16),
        b'0'..=b'7' => (0, 3, 8),
        letter => {
            bytes.push(match letter {
                b'a' => 0x07,
                b'b' => 0x08,
                b'f' => 0x0c,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'v' => 0x0b,
                quote_or_backslash => quote_or_backslash,
            });
            return &rest[1..];
        }
    };
    let (digits, after) = rest[digits_at..].split_at(digits);
    let code = u32::from_str_radix(digits, radix).unwrap_or(u32::MAX);
    match rest.as_bytes()[0] {
        b'u' | b'U' => {
            let decoded = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
            bytes.extend_from_slice(decoded.encode_utf8(&mut [0; 4]).as_bytes());
        }
        _ => bytes.push(code as u8),
    }
    after
}

/// The text in double quotes, escaped so that [`unquote`] gives it back.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    push_quoted(&mut quoted, text);
    quoted.push('"');
    quoted
}

/// Appends what stands between double quotes for `text`.
fn push_quoted(quoted: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            // The lexer takes it only as an escape: by itself it stands for bytes that are no text.
            char::REPLACEMENT_CHARACTER => quoted.push_str("\\ufffd"),
            _ => push_escaped(quoted, c, '"'),
        }
    }
}

/// The character in single quotes.
pub(crate) fn quote_char(c: char) -> String {
    let mut quoted = String::from('\'');
    push_escaped(&mut quoted, c, '\'');
    quoted.push('\'');
    quoted
}

/// The character's number, and itself if it can be seen: `U+0027 '''`.
pub(crate) fn name_char(c: char) -> String {
    let number = c as u32;
    if is_printable(c) { format!("U+{number:04X} '{c}'") } else { format!("U+{number:04X}") }
}

/// Whether the character can be seen: letters, marks, digits, punctuation, symbols and the plain space.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    // A combining mark is escaped only where it has nothing to combine with.
    String::from_iter(['x', c]).escape_debug().count() == 2
}

fn push_escaped(quoted: &mut String, c: char, delimiter: char) {
    let escaped = match c {
        '\x07' => "\\a",
        '\x08' => "\\b",
        '\x0c' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\x0b' => "\\v",
        '\\' => "\\\\",
        _ if c == delimiter => {
            quoted.push('\\');
            return quoted.push(c);
        }
        _ if is_printable(c) => return quoted.push(c),
        _ => {
            // Writing to a String cannot fail.
            let _ = match c as u32 {
                code @ ..=0x7f => write!(quoted, "\\x{code:02x}"),
                code @ ..=0xffff => write!(quoted, "\\u{code:04x}"),
                code => write!(quoted, "\\U{code:08x}"),
            };
            return;
        }
    };
    quoted.push_str(escaped);
}

#[cfg(test)]
mod tests;
