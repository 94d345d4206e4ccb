//! The rows of the table. Every case has metric names of its own, unless it is about meeting an earlier one.

use super::request::{body, bomb, field, label, message, plain, raw_series, sample, series, series_with_labels};
use super::{Case, Series};
use longhaul_model::STALE_NAN_BITS;
use longhaul_wire::proto::prometheus::{Exemplar, Histogram, Label, MetricMetadata, Sample, TimeSeries, histogram};
use prost::Message;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// One series of one sample a minute ago.
fn one(name: &str, now_ms: i64) -> Series {
    series(&[("__name__", name)], &[sample(now_ms - MINUTE_MS, 1.5)])
}

/// What is around the series.
pub fn bodies(now_ms: i64) -> Vec<Case> {
    let good = body(vec![one("truncated", now_ms)]);
    let inner = message(&[one("unknown_fields", now_ms)]);
    let unknown = [field(15, b"whatever"), inner, vec![0x78, 1]].concat();
    let message_bytes = message(&[one("cut_protobuf", now_ms)]);
    let wrong_type = [vec![0x08, 1], message(&[one("wrong_type", now_ms)])].concat();
    vec![
        Case::stored("one sample", body(vec![one("plain", now_ms)]), vec![one("plain", now_ms)]),
        Case::stored("a request without series", body(Vec::new()), Vec::new()),
        Case::refused("no body at all", Vec::new(), 400, &["err-longhaul-decode", "snappy"]),
        Case::refused("not snappy", b"this is no snappy block".to_vec(), 400, &["err-longhaul-decode", "snappy"]),
        Case::refused("truncated snappy", good[..good.len() - 3].to_vec(), 400, &["err-longhaul-decode", "snappy"]),
        Case::refused("not protobuf", plain(&[0xff; 64]), 400, &["err-longhaul-decode", "malformed protobuf at byte"]),
        Case::refused(
            "truncated protobuf",
            plain(&message_bytes[..message_bytes.len() - 2]),
            400,
            &["err-longhaul-decode", "malformed protobuf at byte"],
        ),
        Case::refused("a field of another type", plain(&wrong_type), 400, &["malformed protobuf at byte 0"]),
        Case::stored("unknown fields", plain(&unknown), vec![one("unknown_fields", now_ms)]),
        Case::refused("a length that so few bytes cannot hold", bomb(1 << 20), 400, &["snappy"]),
        Case::refused("a bomb", bomb(u32::MAX), 413, &["err-longhaul-decode", "4294967295", "33554432"]),
        Case::refused("a bomb one byte over the cap", bomb((32 << 20) + 1), 413, &["33554433", "33554432"]),
    ]
}

/// Content type and content encoding.
pub fn headers(now_ms: i64) -> Vec<Case> {
    let accepted: [(&str, &[(&str, &str)]); 4] = [
        ("no_headers", &[("Content-Type", ""), ("Content-Encoding", "")]),
        ("explicit_message", &[("Content-Type", "application/x-protobuf;proto=prometheus.WriteRequest")]),
        ("spaces_and_case", &[("Content-Type", "Application/X-Protobuf; proto=prometheus.WriteRequest")]),
        ("version_header", &[("X-Prometheus-Remote-Write-Version", "0.1.0")]),
    ];
    let refused: [(&'static str, &[(&str, &str)]); 8] = [
        ("gzip", &[("Content-Encoding", "gzip")]),
        ("deflate", &[("Content-Encoding", "deflate")]),
        ("zstd", &[("Content-Encoding", "zstd")]),
        ("identity", &[("Content-Encoding", "identity")]),
        ("json", &[("Content-Type", "application/json")]),
        ("form", &[("Content-Type", "application/x-www-form-urlencoded")]),
        ("remote write 3.0", &[("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v3.Request")]),
        ("an unknown message", &[("Content-Type", "application/x-protobuf;proto=prometheus.ReadRequest")]),
    ];
    let accepted = accepted.iter().map(|(name, headers)| {
        Case::stored(name, body(vec![one(name, now_ms)]), vec![one(name, now_ms)]).with_headers(headers)
    });
    let refused = refused.iter().map(|(name, headers)| {
        Case::refused(name, body(vec![one("unsupported", now_ms)]), 415, &["is not supported; send"])
            .with_headers(headers)
    });
    accepted.chain(refused).collect()
}

/// Labels in order, in disorder, missing, twice, empty, not UTF-8; a good series beside each bad one.
pub fn labels(now_ms: i64) -> Vec<Case> {
    let at = [sample(now_ms - MINUTE_MS, 2.0)];
    let beside = |name: &str| series(&[("__name__", name), ("beside", "a bad one")], &at);
    let mut cases = vec![
        Case::stored(
            "unsorted labels",
            body(vec![series(&[("z", "1"), ("__name__", "unsorted"), ("a", "2")], &at)]),
            vec![series(&[("__name__", "unsorted"), ("a", "2"), ("z", "1")], &at)],
        ),
        // The same series again, its labels in another order.
        Case::stored(
            "the same series in two orders",
            body(vec![series(&[("a", "2"), ("z", "1"), ("__name__", "unsorted")], &[sample(now_ms, 3.0)])]),
            vec![series(&[("__name__", "unsorted"), ("a", "2"), ("z", "1")], &[sample(now_ms, 3.0)])],
        ),
        Case::stored(
            "empty values",
            body(vec![series(&[("__name__", "empty_value"), ("gone", ""), ("stays", "x")], &at)]),
            vec![series(&[("__name__", "empty_value"), ("stays", "x")], &at)],
        ),
        Case::stored(
            "names and values beyond ASCII",
            body(vec![series(&[("__name__", "größe.in metern"), ("a.b", "☃ \"\\\n\0"), ("日本", "x")], &at)]),
            vec![series(&[("__name__", "größe.in metern"), ("a.b", "☃ \"\\\n\0"), ("日本", "x")], &at)],
        ),
        Case::stored("a series without samples", body(vec![series(&[("__name__", "no_samples")], &[])]), Vec::new()),
        Case::refused(
            "a series without samples and without a name",
            body(vec![series(&[("a", "1")], &[])]),
            400,
            &["1 refused, 0 stored", "err-longhaul-missing-metric-name"],
        ),
    ];
    let bad: [(&'static str, &str, &[(&[u8], &[u8])], &str); 9] = [
        ("no name", "no_name", &[(b"a", b"1")], "err-longhaul-missing-metric-name"),
        ("an empty name", "name_empty", &[(b"__name__", b""), (b"a", b"2")], "err-longhaul-missing-metric-name"),
        ("no labels", "no_labels", &[], "err-longhaul-missing-metric-name"),
        (
            "a label twice",
            "twice",
            &[(b"__name__", b"x"), (b"a", b"1"), (b"a", b"2")],
            "err-longhaul-duplicate-label-names",
        ),
        (
            "a pair twice",
            "pair_twice",
            &[(b"__name__", b"x"), (b"a", b"1"), (b"a", b"1")],
            "err-longhaul-duplicate-label-names",
        ),
        ("an empty label name", "empty_name", &[(b"__name__", b"x"), (b"", b"1")], "err-longhaul-label-invalid"),
        (
            "a value that is not UTF-8",
            "utf8_value",
            &[(b"__name__", b"x"), (b"a", b"\xff")],
            "err-longhaul-label-invalid-utf8",
        ),
        (
            "a name that is not UTF-8",
            "utf8_name",
            &[(b"__name__", b"x"), (b"\xc3\x28", b"1")],
            "err-longhaul-label-invalid-utf8",
        ),
        ("a surrogate", "surrogate", &[(b"__name__", b"\xed\xa0\x80")], "err-longhaul-label-invalid-utf8"),
    ];
    cases.extend(bad.iter().map(|(name, metric, labels, id)| {
        let two = [at[0], sample(now_ms, 5.0)];
        let request = [field(1, &raw_series(labels, &two)), message(&[beside(metric)])].concat();
        Case::refused(name, plain(&request), 400, &["2 refused, 1 stored", id, "2 times, first: {"])
            .adding(vec![beside(metric)])
    }));
    // The first offender is named, causes are counted apart, and the message stays short whatever the series are.
    let long = "v".repeat(2000);
    let mut many: Vec<Series> = (0..300)
        .map(|n| series_with_labels((0..8).map(|l| label(&format!("l{l}"), &format!("{n}{long}"))).collect(), &at))
        .collect();
    many.insert(0, series(&[("first", "offender")], &at));
    many.insert(7, series(&[("__name__", "x"), ("y", "1"), ("y", "2")], &at));
    many.push(beside("many_refusals"));
    let says = [
        "302 refused, 1 stored",
        "err-longhaul-missing-metric-name",
        "301 times, first: {first=\"offender\"}",
        "err-longhaul-duplicate-label-names",
        "1 times, first: {__name__=\"x\", y=\"1\", y=\"2\"}",
    ];
    cases.push(Case::refused("many refusals", body(many), 400, &says).adding(vec![beside("many_refusals")]));
    cases
}

/// At each cap of the default configuration, and one beyond.
pub fn label_limits(now_ms: i64) -> Vec<Case> {
    let at = [sample(now_ms - MINUTE_MS, 4.0)];
    let named = |name: &str, labels: Vec<Label>| {
        let mut all = vec![label("__name__", name)];
        all.extend(labels);
        series_with_labels(all, &at)
    };
    let numbered = |count: usize| (0..count).map(|n| label(&format!("l{n:02}"), "x")).collect::<Vec<_>>();
    // `__name__` and its value count too.
    let of_bytes = |name: &str, bytes: usize| {
        let mut left = bytes - "__name__".len() - name.len();
        let mut labels = Vec::new();
        while left > 0 {
            let value = (left - 3).min(2000);
            labels.push(label(&format!("l{:02}", labels.len()), &"v".repeat(value)));
            left -= 3 + value;
        }
        named(name, labels)
    };
    let rows: [(&'static str, &str, Series, Series); 4] = [
        (
            "labels",
            "err-longhaul-max-label-names-per-series",
            named("label_names", numbered(39)),
            named("label_names", numbered(40)),
        ),
        (
            "length of a label name",
            "err-longhaul-label-name-too-long",
            named("name_length", vec![label(&"n".repeat(256), "x")]),
            named("name_length", vec![label(&"n".repeat(257), "x")]),
        ),
        (
            "length of a label value",
            "err-longhaul-label-value-too-long",
            named("value_length", vec![label("l", &"v".repeat(2048))]),
            named("value_length", vec![label("l", &"v".repeat(2049))]),
        ),
        (
            "length of all labels",
            "err-longhaul-label-set-too-large",
            of_bytes("set_length", 16 << 10),
            of_bytes("set_length", (16 << 10) + 1),
        ),
    ];
    let case = |(name, id, within, beyond): (&'static str, &str, Series, Series)| {
        Case::refused(name, body(vec![beyond, within.clone()]), 400, &["1 refused, 1 stored", id]).adding(vec![within])
    };
    rows.into_iter().map(case).collect()
}

/// Values whose bits matter, oldest first.
pub fn special_values(now_ms: i64) -> Vec<Sample> {
    let values = [
        0x7ff8_0000_0000_0001, // Prometheus' ordinary NaN
        0x7ff8_0000_0000_0000, // the processor's
        0xfff8_0000_dead_beef,
        0x7ff0_0000_0000_0001, // signalling
        f64::INFINITY.to_bits(),
        f64::NEG_INFINITY.to_bits(),
        (-0.0f64).to_bits(),
        1, // the smallest subnormal
        f64::MAX.to_bits(),
        f64::MIN_POSITIVE.to_bits(),
        STALE_NAN_BITS,
        0.1f64.to_bits(),
    ];
    let at = |index: usize| now_ms - 30 * MINUTE_MS + index as i64;
    values.into_iter().enumerate().map(|(index, bits)| sample(at(index), f64::from_bits(bits))).collect()
}

/// Stale markers, NaNs, and times at the edges of what is accepted.
pub fn values_and_times(now_ms: i64) -> Vec<Case> {
    let name = [("__name__", "times")];
    let special = special_values(now_ms);
    let shown: Vec<Sample> = special.iter().filter(|s| s.value.to_bits() != STALE_NAN_BITS).copied().collect();
    let all = [("__name__", "special_values")];
    let future = [sample(now_ms + 9 * MINUTE_MS, 1.0), sample(now_ms + 12 * MINUTE_MS, 2.0)];
    let old = [sample(now_ms - 90 * DAY_MS, 1.0), sample(now_ms - 40 * DAY_MS, 2.0)];
    let disorder = [sample(now_ms - 3, 3.0), sample(now_ms - 9, 1.0), sample(now_ms - 5, 2.0)];
    let extremes = [sample(i64::MAX, 1.0), sample(i64::MIN, 2.0), sample(now_ms - 11, 3.0)];
    let says = ["1 refused, 1 stored", "err-longhaul-too-far-in-future", "{__name__=\"times\"} at"];
    let says_both = ["2 refused, 1 stored", "err-longhaul-too-far-in-future", "err-longhaul-sample-timestamp-too-old"];
    vec![
        Case::stored("special values", body(vec![series(&all, &special)]), vec![series(&all, &shown)]),
        Case::refused("ahead of now", body(vec![series(&name, &future)]), 400, &says)
            .adding(vec![series(&name, &future[..1])]),
        Case::stored("months old", body(vec![series(&name, &old)]), vec![series(&name, &old)]),
        Case::stored("out of order", body(vec![series(&name, &disorder)]), vec![series(&name, &disorder)]),
        Case::refused("times that no clock shows", body(vec![series(&name, &extremes)]), 400, &says_both)
            .adding(vec![series(&name, &extremes[2..])]),
    ]
}

/// What may come beside floats: what of it does not add up gets a 400, never a 204, and what is beside it is stored.
pub fn beside_floats(now_ms: i64) -> Vec<Case> {
    let t_ms = now_ms - MINUTE_MS;
    let histogram = Histogram {
        sum: 10.0,
        timestamp: t_ms,
        count: Some(histogram::Count::CountInt(2)), // more than in its only bucket
        zero_count: Some(histogram::ZeroCount::ZeroCountInt(1)),
        ..Histogram::default()
    };
    let of_trace = |id: &str| Exemplar { labels: vec![label("trace_id", id)], value: 0.5, timestamp: t_ms };
    let exemplar = of_trace("abc");
    let raw_exemplar = Exemplar { labels: vec![label("", "nameless")], value: 0.5, timestamp: t_ms };
    let float = |name: &str| one(name, now_ms);
    let with_histogram = |name: &str| TimeSeries { histograms: vec![histogram.clone()], ..float(name) };
    let metadata = MetricMetadata { metric_family_name: "meta".into(), help: "help".into(), ..Default::default() };
    let with_metadata = |timeseries: Vec<Series>| {
        plain(&[message(&timeseries), field(3, &metadata.encode_to_vec()).repeat(3)].concat())
    };
    let broken_metadata = [field(3, &[0xff; 9]), message(&[float("broken_metadata")])].concat();
    vec![
        Case::refused(
            "a histogram alone that does not add up",
            body(vec![TimeSeries { samples: Vec::new(), ..with_histogram("histogram") }]),
            400,
            &["1 refused, 0 stored", "err-longhaul-invalid-native-histogram", "{__name__=\"histogram\"}"],
        ),
        Case::refused(
            "such a histogram beside a float of the same series, and of another",
            body(vec![with_histogram("float_and_histogram"), float("float_beside")]),
            400,
            &["1 refused, 2 stored", "err-longhaul-invalid-native-histogram"],
        )
        .adding(vec![float("float_and_histogram"), float("float_beside")]),
        Case::stored(
            "an exemplar, twice",
            body(vec![TimeSeries { exemplars: vec![exemplar.clone(); 2], ..float("with_exemplar") }]),
            vec![float("with_exemplar")],
        ),
        Case::refused(
            "exemplars whose labels are too long or have no name, beside a good one",
            body(vec![TimeSeries {
                exemplars: vec![exemplar, of_trace(&"x".repeat(121)), raw_exemplar],
                ..float("bad_exemplars")
            }]),
            400,
            &[
                "2 refused, 2 stored",
                "err-longhaul-exemplar-labels-too-long",
                "err-longhaul-exemplar-labels-invalid",
                "{__name__=\"bad_exemplars\"}",
            ],
        )
        .adding(vec![float("bad_exemplars")]),
        Case::stored("metadata alone", with_metadata(Vec::new()), Vec::new()),
        Case::stored("metadata and samples", with_metadata(vec![float("with_metadata")]), vec![float("with_metadata")]),
        Case::stored("metadata that is no message", plain(&broken_metadata), vec![float("broken_metadata")]),
    ]
}

/// The same again, and something else at the same time.
pub fn repetition_and_conflict(now_ms: i64) -> Vec<Case> {
    let t_ms = now_ms - MINUTE_MS;
    let name = [("__name__", "again")];
    let first = [sample(t_ms, 1.0), sample(t_ms + 1, f64::NAN), sample(t_ms + 2, -0.0)];
    let conflicting = [sample(t_ms, 2.0), sample(t_ms + 3, 4.0)];
    let stale = [sample(t_ms + 4, f64::from_bits(STALE_NAN_BITS))];
    let unstale = [sample(t_ms + 4, 1.0)];
    let zero = [sample(t_ms + 2, 0.0)];
    let twice =
        |name: &str, value: f64| body(vec![one(name, now_ms), series(&[("__name__", name)], &[sample(t_ms, value)])]);
    let conflict = "err-longhaul-sample-duplicate-timestamp";
    vec![
        Case::stored("first", body(vec![series(&name, &first)]), vec![series(&name, &first)]),
        Case::stored("the same request again", body(vec![series(&name, &first)]), Vec::new()),
        Case::refused(
            "another value at a time that is taken",
            body(vec![series(&name, &conflicting)]),
            400,
            &["1 refused, 1 stored", conflict, "again"],
        )
        .adding(vec![series(&name, &conflicting[1..])]),
        Case::refused(
            "it stays refused",
            body(vec![series(&name, &conflicting)]),
            400,
            &["1 refused, 1 stored", conflict],
        ),
        Case::refused("zero where minus zero is", body(vec![series(&name, &zero)]), 400, &[conflict]),
        Case::stored("a stale marker", body(vec![series(&name, &stale)]), Vec::new()),
        Case::refused("a value where a stale marker is", body(vec![series(&name, &unstale)]), 400, &[conflict]),
        Case::stored("twice in a request", twice("twice_in_one", 1.5), vec![one("twice_in_one", now_ms)]),
        Case::refused("two values in a request", twice("two_in_one", 2.5), 400, &["1 refused, 1 stored", conflict])
            .adding(vec![one("two_in_one", now_ms)]),
    ]
}

/// With `body_max: 64KiB`, `decoded_max: 128KiB`, 100 series and 200 samples a request.
pub fn caps(now_ms: i64) -> Vec<Case> {
    let old = sample(now_ms - 120 * MINUTE_MS, 1.0); // too old to be stored: the caps are what is looked at
    let of_series = |count: usize| body(vec![series(&[("__name__", "x")], &[old]); count]);
    let of_samples = |count: usize| body(vec![series(&[("__name__", "x")], &vec![old; count])]);
    vec![
        Case::refused("a body over the cap", vec![0; (64 << 10) + 1], 413, &["err-longhaul-body-too-large", "65536"]),
        Case::refused("more than the decoded cap", plain(&vec![0; (128 << 10) + 1]), 413, &["131073", "131072"]),
        Case::refused("as many series as allowed", of_series(100), 400, &["100 refused, 0 stored"]),
        Case::refused("one series more", of_series(101), 413, &["more than 100 series"]),
        Case::refused("as many samples as allowed", of_samples(200), 400, &["200 refused, 0 stored"]),
        Case::refused("one sample more", of_samples(201), 413, &["more than 200 samples"]),
    ]
}

/// With `retention: 1h`.
pub fn retention(now_ms: i64) -> Vec<Case> {
    let name = [("__name__", "kept")];
    let samples = [sample(now_ms - 61 * MINUTE_MS, 1.0), sample(now_ms - 58 * MINUTE_MS, 2.0)];
    let says = ["1 refused, 1 stored", "err-longhaul-sample-timestamp-too-old", "{__name__=\"kept\"} at"];
    vec![
        Case::refused("older than the retention", body(vec![series(&name, &samples)]), 400, &says)
            .adding(vec![series(&name, &samples[1..])]),
    ]
}

/// With `series_max: 3`, one of which is there.
pub fn series_limit(now_ms: i64) -> Vec<Case> {
    let at = |name: &str, age_ms: i64| series(&[("__name__", name)], &[sample(now_ms - age_ms, 7.0)]);
    let all = |age_ms: i64| vec![at("second", age_ms), at("third", age_ms), at("fourth", age_ms)];
    let says = ["1 refused, 2 stored", "err-longhaul-max-series-per-tenant", "{__name__=\"fourth\"}"];
    vec![
        Case::refused("a series too many", body(all(2000)), 400, &says).adding(all(2000)[..2].to_vec()),
        Case::refused("known series go on", body(all(1000)), 400, &says).adding(all(1000)[..2].to_vec()),
        Case::stored("without the new one all is well", body(vec![at("third", 500)]), vec![at("third", 500)]),
    ]
}
