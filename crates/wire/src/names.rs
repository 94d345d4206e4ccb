//! Names of metrics and labels in places that do not take every character: which names are plain, and how others are
//! escaped there and back.
//!
//! Formats: Prometheus' escaping schemes (`model.EscapeName`, `model.UnescapeName` of `prometheus/common`). The one that can
//! be undone, "value encoding", doubles an underscore and writes any other foreign character as its code point in
//! hexadecimal between underscores, all behind `U__`.

use std::borrow::Cow;
use std::fmt::Write;

/// How names that are not plain are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Escaping {
    /// As they are, in quotes.
    AllowUtf8,
    /// `_` for every foreign character.
    #[default]
    Underscores,
    /// `_dot_` for a dot, `__` for an underscore and for every other foreign character.
    Dots,
    /// `U__`, code points in hexadecimal.
    Values,
}

/// What names in value encoding begin with.
const PREFIX: &str = "U__";

/// Hexadecimal digits of the greatest code point.
const DIGITS_MAX: usize = 6;

impl Escaping {
    /// The scheme that a client names.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::AllowUtf8, Self::Underscores, Self::Dots, Self::Values].into_iter().find(|it| it.name() == name)
    }

    /// Its name in a content type.
    pub fn name(self) -> &'static str {
        match self {
            Self::AllowUtf8 => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }

    /// How `name` is written: plain names stand for themselves.
    pub fn escape(self, name: &str) -> Cow<'_, str> {
        if self == Self::AllowUtf8 || is_plain(name) {
            return Cow::Borrowed(name);
        }
        let mut escaped = if self == Self::Values { PREFIX.to_owned() } else { String::new() };
        for (at, character) in name.char_indices() {
            match (self, character) {
                (Self::Dots | Self::Values, '_') => escaped.push_str("__"),
                _ if fits(at, character) => escaped.push(character),
                (Self::Dots, '.') => escaped.push_str("_dot_"),
                (Self::Dots, _) => escaped.push_str("__"),
                (Self::Values, _) => write!(escaped, "_{:x}_", u32::from(character)).expect("a string takes it"),
                (Self::Underscores | Self::AllowUtf8, _) => escaped.push('_'),
            }
        }
        Cow::Owned(escaped)
    }
}

/// Whether a name has nothing but letters, digits, underscores and colons, and does not begin with a digit.
pub fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.char_indices().all(|(at, character)| fits(at, character))
}

fn fits(at: usize, character: char) -> bool {
    character.is_ascii_alphabetic() || matches!(character, '_' | ':') || (character.is_ascii_digit() && at > 0)
}

/// What a name in value encoding stands for. Any other name, also one that only looks escaped, stands for itself.
pub fn unescape(name: &str) -> Cow<'_, str> {
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
    use proptest::prelude::*;

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

    #[test]
    fn each_scheme_has_its_way() {
        let cases = [
            ("plain_name:x9", ["plain_name:x9"; 4]),
            (
                "http.status_code",
                ["http.status_code", "http_status_code", "http_dot_status__code", "U__http_2e_status__code"],
            ),
            ("9to5", ["9to5", "_to5", "__to5", "U___39_to5"]),
            ("süd ☀", ["süd ☀", "s_d__", "s__d____", "U__s_fc_d_20__2600_"]),
        ];
        for (name, escaped) in cases {
            for (scheme, escaped) in ["allow-utf-8", "underscores", "dots", "values"].into_iter().zip(escaped) {
                let scheme = Escaping::parse(scheme).unwrap();
                assert_eq!(scheme.escape(name), escaped, "{name} {scheme:?}");
                assert_eq!(Escaping::parse(scheme.name()), Some(scheme));
            }
        }
        assert_eq!(Escaping::parse("rot13"), None);
    }

    proptest! {
        #[test]
        fn value_encoding_can_be_undone(name in ".{1,20}") {
            let escaped = Escaping::Values.escape(&name);
            prop_assert!(is_plain(&escaped), "{}", escaped);
            if !name.starts_with(PREFIX) {
                prop_assert_eq!(unescape(&escaped), name.as_str());
            }
        }
    }
}
