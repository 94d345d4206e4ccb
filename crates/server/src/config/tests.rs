//! The example file holds every key with its default; wrong keys and values are named with their place.

use super::*;
use longhaul_log::SyncMode;

fn example() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/longhaul.example.yaml");
    std::fs::read_to_string(path).unwrap()
}

/// The example shows the defaults, so that it parses to exactly them; and it shows every key.
#[test]
fn the_example_holds_every_key_with_its_default() {
    let example = example();
    assert_eq!(Config::parse(&example).unwrap(), Config::default());
    let yaml = serde_json::to_value(Config::default()).unwrap();
    let mut keys = Vec::new();
    collect_keys(&yaml, &mut keys);
    for key in keys {
        assert!(example.contains(&format!("{key}:")), "deploy/longhaul.example.yaml lacks the key {key}");
    }
}

fn collect_keys(value: &serde_json::Value, keys: &mut Vec<String>) {
    if let Some(map) = value.as_object() {
        for (key, value) in map {
            keys.push(key.clone());
            collect_keys(value, keys);
        }
    }
}

#[test]
fn unknown_keys_and_wrong_values_are_named_with_their_place() {
    let error = Config::parse("http:\n  lisen: 127.0.0.1:1\n").unwrap_err().to_string();
    assert!(error.contains("lisen") && error.contains("line 2"), "{error}");
    let error = Config::parse("log:\n  sync: sometimes\n").unwrap_err().to_string();
    assert!(error.contains("commit") && error.contains("line 2"), "{error}");
    let error = Config::parse("limits:\n  series_max: 0\n").unwrap_err().to_string();
    assert!(error.contains("unlimited"), "{error}");
    assert_eq!(Config::parse("# nothing\n\n").unwrap(), Config::default());
}

#[test]
fn no_authentication_stays_on_loopback() {
    let mut config = Config::default();
    config.check().unwrap();
    config.http.listen = "0.0.0.0:9009".parse().unwrap();
    assert!(config.check().unwrap_err().to_string().contains("--insecure-bind"));
    config.auth.insecure_bind = true;
    config.check().unwrap();
    config.auth = AuthConfig { mode: AuthMode::Header, insecure_bind: false };
    config.check().unwrap();
}

#[test]
fn nothing_is_deleted_too_early() {
    for (yaml, key) in [
        ("retired_delay: 12h", "compactor.retired_delay"), // and query.timeout
        ("orphan_age: 23h", "compactor.orphan_age"),
        ("history: 23h", "compactor.history"),
        ("collect_interval: 0s", "compactor.collect_interval"),
        ("deletes_max: 0", "deletes_max"),
        ("deletes_per_second: 0", "deletes_per_second"),
    ] {
        let refused = Config::parse(&format!("compactor: {{{yaml}}}")).unwrap().check().unwrap_err().to_string();
        assert!(refused.contains(key), "{yaml}: {refused}");
    }
    let lowest = Config::parse("compactor: {retired_delay: 13h, orphan_age: 1d, history: 1d, deletes_max: 7}").unwrap();
    lowest.check().unwrap();
    let settings = lowest.collect_settings();
    assert_eq!((settings.retired_delay_ms, settings.orphan_age_ms), (46_800_000, 86_400_000));
    assert_eq!((settings.history_ms, settings.objects_per_run_max), (86_400_000, 7));
}

#[test]
fn values_reach_the_settings() {
    let config =
        Config::parse("limits: {series_max: 7}\nlog: {sync: 100ms, replay_max: 1GiB}\nmemory: {chunk_budget: 3MiB}\n")
            .unwrap();
    let ingest = config.ingest_settings(3);
    assert_eq!(ingest.limits.series_max, Some(7));
    assert_eq!((ingest.replay_bytes_max, ingest.chunk_budget_bytes, ingest.lanes), (1 << 30, 3 << 20, 3));
    assert_eq!(config.log_settings().sync, SyncMode::Interval(100));
}

#[test]
fn retention_is_per_tenant_and_per_selector() {
    let config = Config::parse(
        "retention: {defaults: {raw: 90d}, tenants: {a: {series: [{match: '{env=\"dev\"}', raw: 7d}]}, b: {}}}\n",
    )
    .unwrap();
    config.check().unwrap();
    let retentions = config.compact_settings().unwrap().retentions;
    let of = |name: &str| retentions.of(&longhaul_model::TenantId::parse(name).unwrap());
    assert_eq!(of("other").raw_ms, Some(90 * 86_400_000));
    assert_eq!((of("a").raw_ms, of("a").series[0].raw_ms, of("b").raw_ms), (None, 7 * 86_400_000, None));
    for (yaml, says) in [
        ("retention: {defaults: {raw: 10s}}", "less than 1h"),
        ("retention: {defaults: {series: [{match: 'up{', raw: 1d}]}}", "retention.defaults.series: \"up{\""),
        ("retention: {tenants: {'a/b': {}}}", "retention.tenants"),
    ] {
        let error = Config::parse(yaml).unwrap().check().unwrap_err().to_string();
        assert!(error.contains(says), "{yaml}: {error}");
    }
}
