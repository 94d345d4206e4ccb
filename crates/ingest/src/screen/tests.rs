//! Rules beside what Prometheus does, elections over time, and batches before and after.

use super::*;
use longhaul_model::Sample;
use longhaul_model::write_batch::ExemplarEntry;
use serde_json::{Value, json};

fn tenant() -> TenantId {
    TenantId::parse("team-a").unwrap()
}

fn rule(config: Value) -> RuleConfig {
    serde_json::from_value(config).unwrap()
}

fn rules(configs: &[Value]) -> ScreenSettings {
    ScreenSettings { rules: configs.iter().cloned().map(rule).collect(), ..ScreenSettings::default() }
}

/// A batch of series with a sample each, numbered.
fn batch(series: &[&[(&str, &str)]]) -> WriteBatch {
    let (mut buffer, mut batch) = (Vec::new(), WriteBatch::default());
    for (number, labels) in (0u32..).zip(series) {
        let start = buffer.len() as u32;
        labels.iter().for_each(|(name, value)| LabelSection::push(&mut buffer, name, value));
        batch.samples.push(Sample::new(i64::from(number), f64::from(number)));
        batch.series.push(SeriesEntry {
            labels: start..buffer.len() as u32,
            samples: number..number + 1,
            histograms: 0..0,
            exemplars: 0..0,
        });
    }
    batch.buffer = buffer.into();
    batch
}

/// The series that are left, with the number of their sample.
fn left(batch: &WriteBatch) -> Vec<String> {
    let text = |entry: &SeriesEntry| {
        let pairs = batch.labels(entry).pairs().map(|pair| {
            let (name, value) = pair.unwrap();
            (String::from_utf8(name.to_vec()).unwrap(), String::from_utf8(value.to_vec()).unwrap())
        });
        let pairs: Vec<(String, String)> = pairs.collect();
        assert!(pairs.is_sorted_by(|a, b| a.0 < b.0), "canonical: {pairs:?}");
        let name = pairs.iter().find(|(name, _)| name == "__name__").map_or("", |(_, value)| value);
        let others = pairs.iter().filter(|(name, _)| name != "__name__");
        let others: Vec<String> = others.map(|(name, value)| format!("{name}={value:?}")).collect();
        format!("{name}{{{}}} {}", others.join(", "), batch.samples(entry)[0].value)
    };
    batch.series.iter().map(text).collect()
}

fn screened(settings: &ScreenSettings, series: &[&[(&str, &str)]]) -> Vec<String> {
    let screen = Screen::new(settings, []).unwrap();
    left(&screen.apply(&tenant(), batch(series), 0).batch)
}

const SERIES: &[(&str, &str)] = &[("__name__", "up"), ("a", "foo"), ("b", "bar"), ("c", "Baz")];

#[test]
fn rules_do_what_they_do_in_prometheus() {
    for (configs, wanted) in [
        (
            json!([{"source_labels": ["a"], "regex": "f(.*)", "target_label": "d", "replacement": "ch${1}-ch${1}"}]),
            r#"up{a="foo", b="bar", c="Baz", d="choo-choo"} 0"#,
        ),
        (
            json!([{"source_labels": ["a", "b"], "regex": "f(.*);(.*)r", "target_label": "a", "replacement": "b${1}${2}m"}]),
            r#"up{a="boobam", b="bar", c="Baz"} 0"#,
        ),
        // Without a match nothing is written; with one an empty value takes the label away.
        (
            json!([{"source_labels": ["a"], "regex": "x", "target_label": "d", "replacement": "y"}]),
            r#"up{a="foo", b="bar", c="Baz"} 0"#,
        ),
        (json!([{"source_labels": ["zzz"], "target_label": "b"}]), r#"up{a="foo", c="Baz"} 0"#),
        (
            json!([{"target_label": "d", "replacement": "static", "separator": ""}]),
            r#"up{a="foo", b="bar", c="Baz", d="static"} 0"#,
        ),
        (
            json!([{"source_labels": ["a"], "regex": "(f).*", "target_label": "${1}_x", "replacement": "v"}]),
            r#"up{a="foo", b="bar", c="Baz", f_x="v"} 0"#,
        ),
        (
            json!([{"source_labels": ["a"], "regex": "(x)?foo", "target_label": "$1", "replacement": "v"}]),
            r#"up{a="foo", b="bar", c="Baz"} 0"#,
        ),
        (
            json!([{"source_labels": ["c"], "target_label": "d", "action": "hashmod", "modulus": 1000}]),
            r#"up{a="foo", b="bar", c="Baz", d="HASH"} 0"#,
        ),
        (
            json!([{"regex": "(b|c)", "replacement": "x_$1", "action": "labelmap"}]),
            r#"up{a="foo", b="bar", c="Baz", x_b="bar", x_c="Baz"} 0"#,
        ),
        (json!([{"regex": "a|c", "action": "labeldrop"}]), r#"up{b="bar"} 0"#),
        (json!([{"regex": "__name__|a", "action": "labelkeep"}]), r#"up{a="foo"} 0"#),
        (
            json!([{"source_labels": ["c"], "target_label": "l", "action": "lowercase"},
                {"source_labels": ["c"], "target_label": "u", "action": "uppercase"}]),
            r#"up{a="foo", b="bar", c="Baz", l="baz", u="BAZ"} 0"#,
        ),
        (json!([{"source_labels": ["a"], "regex": "fo", "action": "drop"}]), r#"up{a="foo", b="bar", c="Baz"} 0"#),
        (json!([{"source_labels": ["a"], "regex": "fo+", "action": "drop"}]), ""),
        (json!([{"source_labels": ["a"], "regex": "fo", "action": "keep"}]), ""),
        (json!([{"source_labels": ["a"], "regex": "fo+", "action": "keep"}]), r#"up{a="foo", b="bar", c="Baz"} 0"#),
        (json!([{"source_labels": ["a"], "target_label": "b", "action": "keepequal"}]), ""),
        (
            json!([{"source_labels": ["a"], "target_label": "b", "action": "dropequal"}]),
            r#"up{a="foo", b="bar", c="Baz"} 0"#,
        ),
        // The next rule sees what the one before has written.
        (
            json!([{"target_label": "b", "replacement": "foo"},
                {"source_labels": ["a"], "target_label": "b", "action": "dropequal"}]),
            "",
        ),
        (json!([{"regex": ".*", "action": "labeldrop"}]), ""),
    ] {
        // What Prometheus takes the hash for is its own function's test.
        let hash = rule::hash("Baz") % 1000;
        let wanted: Vec<String> = match wanted {
            "" => vec![],
            one => vec![one.replace("HASH", &hash.to_string())],
        };
        assert_eq!(screened(&rules(configs.as_array().unwrap()), &[SERIES]), wanted, "{configs}");
    }
}

#[test]
fn hashes_are_those_of_prometheus() {
    // relabel_test.go: the pairs of values and moduli there.
    assert_eq!(rule::hash("baz") % 1000, 976);
    assert_eq!(rule::hash("foo\nbar") % 1000, 734);
}

#[test]
fn rules_that_cannot_be_are_refused_with_a_reason() {
    for (config, reason) in [
        (json!({"action": "replace"}), "rule 1: Replace needs a target_label"),
        (json!({"action": "keepequal"}), "rule 1: KeepEqual needs a target_label"),
        (json!({"action": "hashmod", "target_label": "a"}), "rule 1: HashMod needs a modulus above 0"),
        (json!({"action": "labeldrop", "source_labels": ["a"]}), "rule 1: LabelDrop takes a regex and nothing else"),
        (
            json!({"action": "dropequal", "target_label": "a", "regex": "x"}),
            "rule 1: DropEqual takes source_labels and target_label and nothing else",
        ),
        (json!({"action": "labelmap", "replacement": ""}), "rule 1: LabelMap needs a replacement"),
        (json!({"action": "keep", "regex": "("}), "rule 1: error parsing regexp: missing closing ): `(`"),
    ] {
        assert_eq!(Screen::new(&rules(std::slice::from_ref(&config)), []).unwrap_err(), reason, "{config}");
    }
    assert!(serde_json::from_value::<RuleConfig>(json!({"action": "explode"})).is_err());
    assert!(serde_json::from_value::<RuleConfig>(json!({"target": "a"})).is_err());
}

#[test]
fn labels_are_dropped_and_tenants_have_their_own_wishes() {
    let drop_b = ScreenSettings { drop_labels: vec!["b".to_owned()], ..ScreenSettings::default() };
    let other = TenantId::parse("team-b").unwrap();
    let screen = Screen::new(&drop_b, [(other.clone(), ScreenSettings::default())]).unwrap();
    let Screened { batch: kept, dropped, .. } = screen.apply(&tenant(), batch(&[SERIES, &[("b", "1")]]), 0);
    assert_eq!(left(&kept), [r#"up{a="foo", c="Baz"} 0"#]);
    assert_eq!(dropped, Dropped { samples: 1, ..Dropped::default() });
    assert_eq!(left(&screen.apply(&other, batch(&[SERIES]), 0).batch).len(), 1);
}

#[test]
fn what_is_wrong_is_left_to_whoever_refuses_it() {
    let settings = rules(&[json!({"regex": "a", "action": "labeldrop"})]);
    let mut wrong = batch(&[&[("a", "1"), ("a", "2")], &[("", "1")], &[("b", ""), ("c", "3")]]);
    wrong.series.push(SeriesEntry { labels: 0..1, ..wrong.series[0].clone() });
    let before: Vec<Vec<u8>> = wrong.series.iter().map(|entry| wrong.labels(entry).bytes().to_vec()).collect();
    let after = Screen::new(&settings, []).unwrap().apply(&tenant(), wrong, 0).batch;
    let after: Vec<Vec<u8>> = after.series.iter().map(|entry| after.labels(entry).bytes().to_vec()).collect();
    assert_eq!((after.len(), &after[..2], &after[3]), (4, &before[..2], &before[3]));
    let mut section = Vec::new();
    LabelSection::push(&mut section, "c", "3");
    assert_eq!(after[2], section, "an empty value is none");
}

#[test]
fn exemplars_keep_their_labels() {
    let mut with = batch(&[SERIES]);
    let mut buffer = with.buffer.to_vec();
    let start = buffer.len() as u32;
    LabelSection::push(&mut buffer, "trace_id", "7");
    with.exemplars.push(ExemplarEntry { labels: start..buffer.len() as u32, t_ms: 0, value: 1.0 });
    with.series[0].exemplars = 0..1;
    with.buffer = buffer.into();
    let settings = rules(&[json!({"target_label": "d", "replacement": "x"})]);
    let after = Screen::new(&settings, []).unwrap().apply(&tenant(), with, 0).batch;
    let section = LabelSection::new(after.bytes(&after.exemplars[0].labels));
    assert_eq!(section.pairs().next().unwrap().unwrap(), (&b"trace_id"[..], &b"7"[..]));
}

#[test]
fn rules_cannot_write_without_end() {
    let long = json!({"target_label": "a", "replacement": "x".repeat(1 << 20)});
    let series = [("__name__", "up")];
    let many = vec![&series[..]; 70];
    let screen = Screen::new(&rules(&[long]), []).unwrap();
    let Screened { batch, refusals, .. } = screen.apply(&tenant(), batch(&many), 0);
    assert_eq!((batch.series.len(), refusals.causes()[0].cause, refusals.count()), (63, Cause::LabelSetTooLarge, 7));
}

fn election() -> ScreenSettings {
    let election = ElectionSettings {
        cluster_label: "cluster".to_owned(),
        replica_label: "__replica__".to_owned(),
        failover_timeout_ms: 30_000,
        clusters_max: 2,
    };
    ScreenSettings { election: Some(election), ..ScreenSettings::default() }
}

#[test]
fn one_replica_is_listened_to_until_it_falls_silent() {
    let screen = Screen::new(&election(), []).unwrap();
    let of = |replica: &str, now_ms| {
        let series: &[(&str, &str)] = &[("__name__", "up"), ("__replica__", replica), ("cluster", "c")];
        let Screened { batch, dropped, refusals } = screen.apply(&tenant(), batch(&[series, series]), now_ms);
        assert!(refusals.is_empty());
        assert_eq!(batch.series.len() as u64 + dropped.samples, 2);
        assert!(left(&batch).iter().all(|it| it.starts_with(r#"up{cluster="c"}"#)), "{:?}", left(&batch));
        batch.series.len() == 2
    };
    assert!(of("a", 0));
    assert!(!of("b", 1_000));
    assert!(of("a", 20_000));
    assert!(!of("b", 50_000), "30 s are not over");
    assert!(of("b", 50_001));
    assert!(!of("a", 50_002));
    // A clock that goes back changes nothing.
    assert!(of("b", 0));
    assert!(!of("a", 80_001));
    assert!(of("a", 80_002));
}

#[test]
fn series_without_a_replica_are_taken_and_clusters_are_bounded() {
    let screen = Screen::new(&election(), []).unwrap();
    let one: &[(&str, &str)] = &[("__name__", "up"), ("cluster", "c")];
    let long = "x".repeat(NAME_BYTES_MAX + 1);
    let two: &[(&str, &str)] = &[("__name__", "up"), ("__replica__", "r"), ("cluster", &long)];
    assert_eq!(screen.apply(&tenant(), batch(&[one, two]), 0).batch.series.len(), 2);
    let of = |cluster: &str, now_ms| {
        let series: &[(&str, &str)] = &[("__name__", "up"), ("__replica__", "r"), ("cluster", cluster)];
        screen.apply(&tenant(), batch(&[series]), now_ms)
    };
    assert!(of("c1", 0).refusals.is_empty() && of("c2", 0).refusals.is_empty());
    let Screened { batch, refusals, .. } = of("c3", election::IDLE_MS - 1);
    assert_eq!((batch.series.len(), refusals.causes()[0].cause), (0, Cause::TooManyClusters));
    assert!(of("c3", election::IDLE_MS).refusals.is_empty(), "those that are silent for an hour make room");
}
