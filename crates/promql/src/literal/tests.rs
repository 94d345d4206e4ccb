//! Numbers, durations and quoted texts as Go reads them; what is formatted comes back.

use super::*;
use proptest::prelude::*;

#[test]
fn numbers_are_worth_what_go_says() {
    let cases = [
        ("1", 1.0),
        ("0755", 493.0),
        ("08", 8.0),
        ("0x1F", 31.0),
        ("0X_1f", 31.0),
        ("1_000.5", 1000.5),
        ("5e3", 5000.0),
        (".5", 0.5),
        ("3.", 3.0),
        ("Inf", f64::INFINITY),
        ("1e-400", 0.0),
        ("18446744073709551616", 18_446_744_073_709_551_616.0),
    ];
    for (text, value) in cases {
        assert_eq!(number(text), Ok(value), "{text}");
    }
    assert!(number("nAn").unwrap().is_nan());
    assert_eq!(
        number("1e999").unwrap_err(),
        "error parsing number: strconv.ParseFloat: parsing \"1e999\": value out of range"
    );
    for text in ["0x", "5e", "1__0", "1_.5", "0x10000000000000000"] {
        assert!(number(text).unwrap_err().ends_with("invalid syntax"), "{text}");
    }
}

#[test]
fn durations_have_each_unit_once_and_in_order() {
    for (text, seconds) in [("5m30s", 330.0), ("1y", 31_536_000.0), ("1s1ms", 1.001), ("0s", 0.0)] {
        assert_eq!(duration(text), Ok(seconds), "{text}");
    }
    assert_eq!(duration("5m1h").unwrap_err(), "not a valid duration string: \"5m1h\"");
    assert_eq!(duration("5y1hs").unwrap_err(), "unknown unit \"hs\" in duration \"5y1hs\"");
    assert_eq!(duration("300y").unwrap_err(), "duration out of range");
}

#[test]
fn years_and_weeks_are_written_only_alone() {
    for (ms, text) in [(0, "0s"), (1001, "1s1ms"), (-300_000, "-5m"), (1_209_600_000, "2w"), (7_776_000_000, "90d")] {
        assert_eq!(format_duration(ms), text);
    }
}

#[test]
fn escapes_are_gos() {
    assert_eq!(unquote(r#""\a\x41\101\u1234\U00010111\"☺""#), "\u{7}AA\u{1234}\u{10111}\"☺");
    assert_eq!(unquote(r#""\xe2\x98\xba""#), "☺");
    assert_eq!(unquote(r#""\xff""#), "\u{fffd}");
    assert_eq!(unquote(r"`\a`"), r"\a");
    assert_eq!(quote("a\"b\\\u{7}\u{7f}\u{200b}'"), r#""a\"b\\\a\x7f\u200b'""#);
}

proptest! {
    #[test]
    fn quoted_texts_come_back(text in any::<String>()) {
        prop_assert_eq!(unquote(&quote(&text)), text);
    }

    #[test]
    fn formatted_durations_come_back(ms in 0_i64..10_000_000_000_000) {
        prop_assume!(ms as u64 <= MILLISECONDS_MAX);
        let seconds = duration(&format_duration(ms)).unwrap();
        prop_assert_eq!((seconds * 1000.0).round() as i64, ms);
    }

    #[test]
    fn formatted_numbers_come_back(value in proptest::num::f64::POSITIVE | proptest::num::f64::ZERO) {
        prop_assert_eq!(number(&format_number(value)), Ok(value));
    }
}

#[test]
fn bytes_that_are_no_text_stay_what_they_are() {
    let text = Text::unquoted(r#"'a\xc5z"'"#);
    assert_eq!((text.as_str(), text.to_string()), ("a\u{fffd}z\"", r#""a\xc5z\"""#.to_owned()));
    assert_eq!(Text::unquoted(&text.to_string()), text);
    assert_eq!(Text::unquoted("`a\\`"), Text::from("a\\"));
}
