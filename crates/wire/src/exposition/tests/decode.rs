//! Texts and the samples that they hold, lines that are none, what is written read back, and any bytes at all.

use crate::exposition::{Dialect, Format, FormatKind, decode};
use crate::names::Escaping;
use crate::proto::client;
use crate::remote_write::DecodeLimits;
use crate::{Decoded, Reason, WireError};
use longhaul_model::{LabelSection, WriteBatch};
use proptest::prelude::*;

const NOW_MS: i64 = 1_700_000_000_123;

fn decoded(text: &str, dialect: Dialect) -> Decoded {
    decode(text.as_bytes(), dialect, NOW_MS, &DecodeLimits::default()).unwrap()
}

fn labels(section: LabelSection<'_>) -> String {
    let pairs = section.pairs().map(|pair| {
        let (name, value) = pair.unwrap();
        format!("{}={:?}", str::from_utf8(name).unwrap(), str::from_utf8(value).unwrap())
    });
    pairs.collect::<Vec<_>>().join(",")
}

fn lines(batch: &WriteBatch) -> Vec<String> {
    let lines = batch.series.iter().flat_map(|series| {
        let labels = labels(batch.labels(series));
        batch.samples(series).iter().map(move |it| format!("{labels} {} {}", it.value, it.t_ms)).collect::<Vec<_>>()
    });
    lines.collect()
}

/// The lines of a text that holds nothing wrong.
fn read(text: &str, dialect: Dialect) -> Vec<String> {
    let Decoded { batch, refused } = decoded(text, dialect);
    assert_eq!(refused, [], "{text}");
    lines(&batch)
}

#[test]
fn samples_are_read_however_they_are_written() {
    let text = "# A comment.\n#\n\n\
        up 1\n\
        http_requests_total{method=\"post\",code=\"200\"} 1027 1395066363000\n\
        spaced  {  a = \"1\" ,\tb=\"2\" , }\t-3.5e-2\t -5 \n\
        escaped{path=\"C:\\\\DIR\\\\F.TXT\",error=\"no \\\"x\\\"\\nhere \\d\"} +Inf\n\
        odd:name:sum{} NaN\n\
        {\"http.requests\",\"a.b\"=\"süd\",c=\"\"} 7\n\
        {__name__=\"inside\"} 8\r\n";
    assert_eq!(
        read(text, Dialect::Text),
        [
            format!("__name__=\"up\" 1 {NOW_MS}"),
            "__name__=\"http_requests_total\",code=\"200\",method=\"post\" 1027 1395066363000".to_owned(),
            "__name__=\"spaced\",a=\"1\",b=\"2\" -0.035 -5".to_owned(),
            format!(
                "__name__=\"escaped\",error=\"no \\\"x\\\"\\nhere \\\\d\",path=\"C:\\\\DIR\\\\F.TXT\" inf {NOW_MS}"
            ),
            format!("__name__=\"odd:name:sum\" NaN {NOW_MS}"),
            format!("__name__=\"http.requests\",a.b=\"süd\" 7 {NOW_MS}"),
            format!("__name__=\"inside\" 8 {NOW_MS}"),
        ]
    );
    assert_eq!(read("", Dialect::Text), Vec::<String>::new());
}

#[test]
fn openmetrics_has_seconds_and_exemplars() {
    let text = "# TYPE foo counter\n# UNIT foo seconds\n# HELP foo Of \\\"x\\\".\\n\\\\\n\
        foo_total 17.0 1520879607.789 # {trace_id=\"KOO5S4vxi0o\"} 0.67\n\
        foo_created 1520430000.123 1520879607.789\n\
        bar_bucket{le=\"0.1\"} 8 # {} 0.054 1520879607.7\n\
        # EOF\n";
    let Decoded { batch, refused } = decoded(text, Dialect::OpenMetrics);
    assert_eq!(refused, []);
    assert_eq!(
        lines(&batch),
        [
            "__name__=\"foo_total\" 17 1520879607789".to_owned(),
            "__name__=\"foo_created\" 1520430000.123 1520879607789".to_owned(),
            format!("__name__=\"bar_bucket\",le=\"0.1\" 8 {NOW_MS}"),
        ]
    );
    let exemplars =
        batch.exemplars.iter().map(|it| (labels(LabelSection::new(batch.bytes(&it.labels))), it.value, it.t_ms));
    assert_eq!(
        exemplars.collect::<Vec<_>>(),
        [("trace_id=\"KOO5S4vxi0o\"".to_owned(), 0.67, 1_520_879_607_789), (String::new(), 0.054, 1_520_879_607_700),]
    );
    let said = &batch.metadata[0];
    let texts = [&said.family, &said.help, &said.unit].map(|it| str::from_utf8(batch.bytes(it)).unwrap());
    assert_eq!((texts, said.kind.as_str()), (["foo", "Of \"x\".\n\\", "seconds"], "counter"));

    // Whoever cuts the text is told; what is there is taken.
    let Decoded { batch, refused } = decoded("up 1\n", Dialect::OpenMetrics);
    assert_eq!(
        (batch.series.len(), refused[0].first.as_str()),
        (1, "line 1: the text ends without # EOF; it may have been cut")
    );
}

#[test]
fn a_line_that_is_none_is_told_with_its_number_and_costs_no_other() {
    for (line, what) in [
        ("9lives 1", "\"9lives\" is no name of a metric"),
        ("a-b 1", "\"a-b\" is no name of a metric"),
        ("up", "there is no value"),
        ("up one", "\"one\" is no value"),
        ("up 1 soon", "\"soon\" is no time"),
        ("up 1 1.5", "\"1.5\" is no time"),
        ("up 1 2 3", "\"3\" behind the sample"),
        ("up 1 # {} 3", "\"# {} 3\" behind the sample"),
        ("up{a=\"1\" 1", "a comma or brace is missing behind a label"),
        ("up{a=\"1\"b=\"2\"} 1", "a comma or brace is missing behind a label"),
        ("up{a=\"1} 1", "a text in quotes does not end"),
        ("up{a=1} 1", "a quotation mark is missing"),
        ("up{a} 1", "the label \"a\" has no value"),
        ("up{\"a\"} 1", "the label \"a\" has no value"),
        ("{\"a\",\"b\"} 1", "the label \"b\" has no value"),
        ("up{a-b=\"1\"} 1", "\"a-b\" is no name of a label"),
        ("up{,} 1", "\"\" is no name of a label"),
        ("# TYPE up thing", "\"thing\" is no type of metric"),
        ("# TYPE", "TYPE without a name"),
    ] {
        let Decoded { batch, refused } = decoded(&format!("before 1\n{line}\nafter 2\n"), Dialect::Text);
        assert_eq!(batch.series.len(), 2, "{line}");
        assert_eq!((refused[0].reason, refused[0].count), (Reason::Line, 1), "{line}");
        assert_eq!(refused[0].first, format!("line 2: {what}"), "{line}");
    }
    for (line, what) in [
        ("up 1 1e300", "\"1e300\" is no time"),
        ("up 1 NaN", "\"NaN\" is no time"),
        ("up 1 # 3", "labels in braces are missing"),
        ("up 1 # {a=\"b\"}", "there is no value of an exemplar"),
        ("up 1 # {a=\"b\"} 1 2 3", "\"3\" behind the exemplar"),
    ] {
        let Decoded { refused, .. } = decoded(&format!("{line}\n# EOF\n"), Dialect::OpenMetrics);
        assert_eq!(refused[0].first, format!("line 1: {what}"), "{line}");
    }
    let Decoded { refused, .. } = decoded("# EOF\nup 1", Dialect::OpenMetrics);
    assert_eq!(refused[0].first, "line 2: it comes after the end of the text");
    let Decoded { batch, refused } = decode(b"a 1\n\xff 1\nb 1", Dialect::Text, 0, &DecodeLimits::default()).unwrap();
    assert_eq!((batch.series.len(), refused[0].first.as_str()), (2, "line 2: it is not valid UTF-8"));
}

#[test]
fn limits_hold() {
    let text = "up{a=\"b\"} 1\n".repeat(100);
    let limited = |limits| decode(text.as_bytes(), Dialect::Text, 0, &limits).unwrap_err();
    let limits = DecodeLimits::default();
    assert!(matches!(limited(DecodeLimits { series_max: 9, ..limits }), WireError::TooMany { .. }));
    assert!(matches!(limited(DecodeLimits { samples_max: 9, ..limits }), WireError::TooMany { .. }));
    assert!(matches!(limited(DecodeLimits { text_bytes_max: 99, ..limits }), WireError::TextsTooLarge { .. }));
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        name in ".{1,9}",
        pairs in prop::collection::btree_map("[a-z.]{1,5}", ".{1,9}", 0..4),
        value in any::<f64>(),
        t_ms in any::<i64>(),
    ) {
        let label = pairs.iter().map(|(name, value)| client::LabelPair {
            name: Some(name.clone()),
            value: Some(value.clone()),
        });
        let metric = client::Metric {
            label: label.collect(),
            untyped: Some(client::Untyped { value: Some(value) }),
            timestamp_ms: Some(t_ms),
            ..Default::default()
        };
        let family = client::MetricFamily {
            name: Some(name.clone()),
            r#type: Some(client::MetricType::Untyped as i32),
            metric: vec![metric],
            ..Default::default()
        };
        let mut text = Vec::new();
        Format { kind: FormatKind::Text, escaping: Escaping::AllowUtf8 }.push(&mut text, family);
        // A carriage return before the end of a line is taken for a part of that end.
        prop_assume!(!text.ends_with(b"\r\n"));
        let Decoded { batch, refused } = decode(&text, Dialect::Text, 0, &DecodeLimits::default()).unwrap();
        prop_assert_eq!(&refused, &[]);
        let sample = batch.samples[0];
        prop_assert_eq!(sample.t_ms, t_ms);
        prop_assert!(sample.value == value || value.is_nan() && sample.value.is_nan());
        let mut wanted: Vec<(Vec<u8>, Vec<u8>)> =
            pairs.iter().map(|(name, value)| (name.clone().into_bytes(), value.clone().into_bytes())).collect();
        wanted.push((b"__name__".to_vec(), name.into_bytes()));
        wanted.sort();
        let got = batch.labels(&batch.series[0]).pairs().map(|pair| pair.map(|(n, v)| (n.to_vec(), v.to_vec())).unwrap());
        prop_assert_eq!(got.collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn any_bytes_end_in_an_answer(text in prop::collection::vec(any::<u8>(), 0..200)) {
        decode(&text, Dialect::OpenMetrics, 0, &DecodeLimits::default()).unwrap();
    }

    /// Every line is a sample, something said, nothing, or refused.
    #[test]
    fn any_line_is_counted(
        text in r#"([a-z_]{1,3}|\{|\}|"|\\|=|,|#| |\t|\n|# (TYPE|HELP|EOF)|-?[0-9]{1,9}(\.[0-9])?){0,40}"#,
        is_open in any::<bool>(),
    ) {
        let dialect = if is_open { Dialect::OpenMetrics } else { Dialect::Text };
        let Decoded { batch, refused } = decoded(&text, dialect);
        let refused: u64 = refused.iter().map(|it| it.count).sum();
        let all = text.strip_suffix('\n').unwrap_or(&text).split('\n').count() as u64;
        prop_assert!(batch.series.len() as u64 + refused <= all + 1);
        let candidates = text.lines().filter(|line| {
            let line = line.trim_matches([' ', '\t', '\r']);
            !line.is_empty() && !line.starts_with('#')
        });
        prop_assert!(batch.series.len() as u64 + refused >= candidates.count() as u64);
    }
}
