//! `U__` names: how clients write label names that are not made of letters, digits and underscores where only those fit.
//!
//! Format: Prometheus' "value encoding" (`model.UnescapeName`, `ValueEncodingEscaping`): an underscore is doubled, any other
//! foreign character is its code point in hexadecimal between underscores.

use std::borrow::Cow;

const PREFIX: &str = "U__";

/// Hexadecimal digits of the greatest code point.
const DIGITS_MAX: usize = 6;

/// What an escaped name stands for. Any other name, also one that only looks escaped, stands for itself.
pub(super) fn unescape(name: &str) -> Cow<'_, str> {
    name.strip_prefix(PREFIX).and_then(decode).map_or(Cow::Borrowed(name), Cow::Owned)
}

fn decode(escaped: &str) -> Option<String> {
    let mut name = String::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some((plain, escape)) = rest.split_once('_') {
        name.push_str(plain);
        let (code, after) = escape.split_once('_')?;
        name.push(if code.is_empty() { '_' } else { character(code)? });
        rest = after;
    }
    name.push_str(rest);
    Some(name)
}

fn character(code: &str) -> Option<char> {
    let is_code = code.len() <= DIGITS_MAX && code.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_code.then(|| u32::from_str_radix(code, 16).ok()).flatten().and_then(char::from_u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_names_are_decoded_and_others_kept() {
        let cases = [
            ("room", "room"),
            ("a.b", "a.b"),
            ("U__room", "room"),
            ("U__http_2e_status__code", "http.status_code"),
            ("U___2E__1F600_", ".😀"),
            ("U___10ffff_", "\u{10ffff}"),
            ("U__", ""),
            // Broken ones stand for themselves.
            ("U__a_", "U__a_"),
            ("U__a_2", "U__a_2"),
            ("U__a_zz_", "U__a_zz_"),
            ("U__a_+2e_", "U__a_+2e_"),
            ("U___d800_", "U___d800_"),
            ("U___110000_", "U___110000_"),
            ("U___0000041_", "U___0000041_"),
        ];
        for (escaped, name) in cases {
            assert_eq!(unescape(escaped), name, "{escaped}");
        }
    }
}
