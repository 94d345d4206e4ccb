//! The language in small: what the scripts of the runner's self test do not reach.

use super::histogram::{describe, descriptor};
use super::number::{duration, number};
use super::parse::parse;
use super::series::{Written, series_line};
use super::starts::starts_line;

fn values(line: &str) -> Result<Vec<String>, String> {
    let shown = |value: &Option<Written>| value.as_ref().map_or("_".to_owned(), ToString::to_string);
    Ok(series_line(line)?.values.iter().map(shown).collect())
}

#[test]
fn durations_have_units_from_the_greatest_to_the_least() {
    assert_eq!(duration("0"), Ok(0));
    assert_eq!(duration("10s53ms"), Ok(10_053));
    assert_eq!(duration("1y2w3d4h5m"), Ok((((365 + 14 + 3) * 24 + 4) * 60 + 5) * 60_000));
    for wrong in ["", "5", "1m1h", "1m1m", "-1m", "1.5m", "m", "1x", "99999999999999y"] {
        assert!(duration(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn numbers_are_those_of_promql() {
    let cases =
        [("1e-3", 1e-3), ("+5", 5.0), ("-Inf", f64::NEG_INFINITY), ("010", 8.0), ("1m30s", 90.0), ("-1m", -60.0)];
    for (text, value) in cases {
        assert_eq!(number(text), Ok(value), "{text}");
    }
    assert!(number("NaN").unwrap().is_nan());
    assert!(number("1 + 1").is_err() && number("x").is_err() && number("").is_err());
}

#[test]
fn a_sequence_repeats_and_steps() {
    assert_eq!(values("m 1 _ 2x2 _x2 5-2x2").unwrap(), ["1", "_", "2", "2", "2", "_", "_", "5", "3", "1"]);
    assert_eq!(
        values("m 1e1+1e1x1 -1-1x1 stalex1 0x3 NaNx1").unwrap(),
        ["10", "20", "-1", "-2", "stale", "stale", "0", "0", "0", "0", "NaN", "NaN"]
    );
    // Steps are added one after the other, so that they round as they do in a counter.
    assert_eq!(values("m 0+0.1x3").unwrap()[3], (0.1 + 0.1 + 0.1f64).to_string());
    for wrong in
        ["m 1+1", "m 1+1x", "m 1x-1", "m _5", "m 1y2", "m fresh", "m {{sum:1", "m {{sum:1}}+1x2", "m 1x99999999"]
    {
        assert!(series_line(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_metric_is_written_in_many_ways() {
    let labels = |line: &str| series_line(line).unwrap().labels.to_string();
    assert_eq!(labels(r#"m{a="b c", d='e}',} 1"#), r#"{__name__="m", a="b c", d="e}"}"#);
    assert_eq!(labels(r#"m {a="b"} 1"#), r#"{__name__="m", a="b"}"#);
    assert_eq!(labels(r#"{"my.metric", "a.b"=`\`} 1"#), r#"{__name__="my.metric", a.b="\\"}"#);
    assert_eq!(labels("sum {{count:1}}"), r#"{__name__="sum"}"#);
    assert_eq!(labels("{} 1"), "{}");
    assert!(series_line(r#"m{a=~"b"} 1"#).is_err());
}

#[test]
fn a_histogram_is_read_as_it_is_written() {
    for text in [
        "{{}}",
        "{{count:4 sum:5 buckets:[1 2 1]}}",
        "{{schema:-53 count:3 sum:-2.5 custom_values:[1 2.5] counter_reset_hint:not_reset offset:1 buckets:[3]}}",
        "{{schema:3 z_bucket:1 z_bucket_w:0.001 counter_reset_hint:gauge n_offset:-2 n_buckets:[1 0 2]}}",
    ] {
        let (read, rest) = descriptor(text).unwrap();
        assert_eq!((describe(&read.histogram).as_str(), rest), (text, ""));
        assert_eq!(read.hint_given, text.contains("counter_reset_hint"));
    }
    let (read, rest) = descriptor("{{ Buckets:[1 Inf] OFFSET:-1 }}x5").unwrap();
    assert_eq!((describe(&read.histogram).as_str(), rest), ("{{offset:-1 buckets:[1 inf]}}", "x5"));
    for wrong in [
        "{{sum}}",
        "{{sum:x}}",
        "{{buckets:[]}}",
        "{{buckets:1}}",
        "{{sum:1 sum:2}}",
        "{{schema:1.5}}",
        "{{total:1}}",
        "{{counter_reset_hint:no}}",
        "{{buckets:[1]sum:1}}",
    ] {
        assert!(descriptor(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn starts_stand_before_their_samples() {
    let offsets = |line: &str| starts_line(line).unwrap().unwrap().offsets_ms;
    assert_eq!(offsets("m@st -1m+15sx2 _ 0"), [Some(-60_000), Some(-45_000), Some(-30_000), None, Some(0)]);
    assert_eq!(offsets("m@st _x2 -1ms-1sx1 5sx1"), [None, None, Some(-1), Some(-1001), Some(5000), Some(5000)]);
    assert!(starts_line("m 1").is_none() && starts_line("m @st 1").is_none());
    for wrong in ["m@st 5", "m@st -1m30s", "m@st _x0", "m@st -1m+1s"] {
        assert!(starts_line(wrong).unwrap().is_err(), "{wrong}");
    }
}

#[test]
fn an_error_names_its_line() {
    for (script, line) in [
        ("load 1m\n  m 1\n  m x\n", 3),
        ("\n# comment\nload 1\n", 3),
        ("load 1m\n  m@st -1s\n", 2),
        ("eval instant at 1m m\n  expect warn msg\n", 2),
        ("eval instant at 1m sum(\n", 1),
        ("eval instant at 1m m\n  5\n  6\n", 3),
    ] {
        assert_eq!(parse(script).unwrap_err().line, line, "{script}");
    }
}
