//! Points and the series they become, lines that are none, and any bytes at all.

use super::*;
use longhaul_model::WriteBatch;
use proptest::prelude::*;

const NOW_MS: i64 = 1_700_000_000_123;

fn decoded(text: &str) -> Decoded {
    decode(text.as_bytes(), Precision::Nanoseconds, NOW_MS, &DecodeLimits::default()).unwrap()
}

fn lines(batch: &WriteBatch) -> Vec<String> {
    let line = |series| {
        let pairs = batch.labels(series).pairs().map(|pair| {
            let (name, value) = pair.unwrap();
            format!("{}={:?}", str::from_utf8(name).unwrap(), str::from_utf8(value).unwrap())
        });
        let sample = batch.samples(series)[0];
        format!("{} {} {}", pairs.collect::<Vec<_>>().join(","), sample.value, sample.t_ms)
    };
    batch.series.iter().map(line).collect()
}

#[test]
fn each_field_with_a_number_is_a_series() {
    let text = "# A comment\n\
        cpu,host=server\\ 01,region=us-west usage_idle=99.5,usage.user=1i 1465839830100400200\n\
        \n\
        weather value=-1.5e2,ok=t,off=FALSE,big=18446744073709551615u,note=\"say \\\"hi\\\", x=1\nnext\",last=2i\r\n\
        9\\,\\ ns,a\\=b=c\\,d,__name__=x,k\\d=e\\f v\\ 1=3 1\n";
    let Decoded { batch, refused } = decoded(text);
    assert_eq!(refused, []);
    let cpu = r#"host="server 01",region="us-west""#;
    assert_eq!(
        lines(&batch),
        [
            format!(r#"__name__="cpu_usage_idle",{cpu} 99.5 1465839830100"#),
            format!(r#"__name__="cpu_usage_user",{cpu} 1 1465839830100"#),
            format!(r#"__name__="weather" -150 {NOW_MS}"#),
            format!(r#"__name__="weather_ok" 1 {NOW_MS}"#),
            format!(r#"__name__="weather_off" 0 {NOW_MS}"#),
            format!(r#"__name__="weather_big" 18446744073709552000 {NOW_MS}"#),
            format!(r#"__name__="weather_last" 2 {NOW_MS}"#),
            r#"__name__="_9__ns_v_1",a_b="c,d",k_d="e\\f" 3 0"#.to_owned(),
        ]
    );
    // Texts alone are a point without a series.
    let Decoded { batch, refused } = decoded("system uptime_format=\"1 day\" 1");
    assert_eq!((batch.series.len(), refused), (0, vec![]));
}

#[test]
fn times_are_in_the_precision_that_the_request_says() {
    for (name, time, t_ms) in [
        ("", "1465839830100400200", 1_465_839_830_100),
        ("ns", "-1", -1),
        ("us", "1465839830100400", 1_465_839_830_100),
        ("ms", "-7", -7),
        ("s", "1465839830", 1_465_839_830_000),
        ("m", "2", 120_000),
        ("h", "1", 3_600_000),
    ] {
        let precision = Precision::parse(name).unwrap();
        let decoded = decode(format!("m v=1 {time}").as_bytes(), precision, 0, &DecodeLimits::default()).unwrap();
        assert_eq!(decoded.batch.samples[0].t_ms, t_ms, "{name}");
    }
    assert_eq!(Precision::parse("d"), None);
    let text = format!("m v=1 {}", i64::MAX);
    let Decoded { refused, .. } = decode(text.as_bytes(), Precision::Hours, 0, &DecodeLimits::default()).unwrap();
    assert_eq!(refused[0].first, "line 1: its time is out of range");
}

#[test]
fn a_line_that_is_none_is_told_with_its_number_and_costs_no_other() {
    for (line, what) in [
        ("cpu", "the field \"\" is no name with a value"),
        ("cpu,host=a", "the field \"\" is no name with a value"),
        (",host=a v=1", "it has no measurement"),
        ("cpu,host v=1", "the tag \"host\" is no name with a value"),
        ("cpu,=a v=1", "the tag \"\" is no name with a value"),
        ("cpu,host= v=1", "the tag \"host\" has no value, or two"),
        ("cpu,host=a=b v=1", "the tag \"host\" has no value, or two"),
        ("cpu v", "the field \"v\" is no name with a value"),
        ("cpu v=", "the field \"v\" has the value \"\""),
        ("cpu v=x", "the field \"v\" has the value \"x\""),
        ("cpu v=1x", "the field \"v\" has the value \"1x\""),
        ("cpu v=NaN", "the field \"v\" has the value \"NaN\""),
        ("cpu v=1e999", "the field \"v\" has the value \"1e999\""),
        ("cpu v=1.5i", "the field \"v\" has the value \"1.5i\""),
        ("cpu v=-1u", "the field \"v\" has the value \"-1u\""),
        ("cpu v=1,", "the field \"\" is no name with a value"),
        ("cpu v=1 soon", "\"soon\" is no time"),
        ("cpu v=1 1 2", "there is something behind the time"),
        ("cpu v=\"x\"y", "there is something behind the text of the field \"v\""),
    ] {
        let Decoded { batch, refused } = decoded(&format!("before value=1\n\n{line}\nafter value=2\n"));
        assert_eq!(batch.series.len(), 2, "{line}");
        assert_eq!((refused[0].reason, refused[0].count), (Reason::Line, 1), "{line}");
        assert_eq!(refused[0].first, format!("line 3: {what}"), "{line}");
    }
    let text = b"a v=1\n\xff v=1\nb v=1";
    let Decoded { batch, refused } = decode(text, Precision::Nanoseconds, 0, &DecodeLimits::default()).unwrap();
    assert_eq!((batch.series.len(), refused[0].first.as_str()), (2, "line 2: it is not valid UTF-8"));
    // Where a text does not end, no line after it is known to be one.
    let Decoded { batch, refused } = decoded("a v=1\nb v=\"x\nc v=1");
    assert_eq!((batch.series.len(), refused[0].first.as_str()), (1, "line 2: a text does not end"));
}

#[test]
fn limits_hold() {
    let text = format!("m,tag={} a=1{}", "x".repeat(100), ",b=2".repeat(100));
    let limited = |limits| decode(text.as_bytes(), Precision::Nanoseconds, 0, &limits).unwrap_err();
    let limits = DecodeLimits::default();
    assert!(matches!(limited(DecodeLimits { series_max: 9, ..limits }), WireError::TooMany { .. }));
    // The tags of a point are written for each of its fields.
    assert!(matches!(limited(DecodeLimits { text_bytes_max: 999, ..limits }), WireError::TextsTooLarge { .. }));
}

proptest! {
    #[test]
    fn any_bytes_end_in_an_answer(text in prop::collection::vec(any::<u8>(), 0..200)) {
        decode(&text, Precision::Seconds, 0, &DecodeLimits::default()).unwrap();
    }

    #[test]
    fn any_line_ends_in_an_answer(text in r#"([a-z]{1,2}|,|=| |\\|"|\n|#|-?[0-9]{1,20}[iu]?|t|false){0,60}"#) {
        let Decoded { batch, refused } = decoded(&text);
        for series in &batch.series {
            prop_assert!(batch.labels(series).pairs().all(|pair| pair.is_ok_and(|(_, value)| !value.is_empty())));
        }
        prop_assert!(refused.iter().map(|it| it.count).sum::<u64>() <= text.lines().count() as u64);
    }

    #[test]
    fn what_is_escaped_is_read(
        tags in prop::collection::btree_map("[a-z]{1,4}", "[a-z ,=é]{1,9}", 0..4),
        value in any::<f64>().prop_filter("finite", |value| value.is_finite()),
        t_ms in -1_000_000_000_000i64..1_000_000_000_000,
    ) {
        let escape = |text: &str| text.replace(',', "\\,").replace('=', "\\=").replace(' ', "\\ ");
        let written: String = tags.iter().map(|(name, value)| format!(",{name}={}", escape(value))).collect();
        let Decoded { batch, refused } = decoded(&format!("m{written} value={value:?} {}", t_ms * 1_000_000));
        prop_assert_eq!(&refused, &[]);
        prop_assert_eq!((batch.samples[0].t_ms, batch.samples[0].value.to_bits()), (t_ms, value.to_bits()));
        let wanted = [("__name__", "m")].into_iter().chain(tags.iter().map(|(n, v)| (n.as_str(), v.as_str())));
        let pairs = batch.labels(&batch.series[0]).pairs().map(|pair| {
            let (name, value) = pair.unwrap();
            (str::from_utf8(name).unwrap(), str::from_utf8(value).unwrap())
        });
        prop_assert_eq!(pairs.collect::<Vec<_>>(), wanted.collect::<Vec<_>>());
    }
}
