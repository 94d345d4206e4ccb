//! `meta.json` byte by byte, with what others put into it.

use super::*;

#[test]
fn written_as_prometheus_writes_it() {
    let json = "{\n\t\"ulid\": \"01M80JWKXYBEY92V9PWSX9BYSS\",\n\t\"minTime\": 1717632000500,\n\t\"maxTime\": 1717639140501,\n\t\
        \"stats\": {\n\t\t\"numSamples\": 720,\n\t\t\"numSeries\": 6,\n\t\t\"numChunks\": 6,\n\t\t\"numTombstones\": 7\n\t},\n\t\
        \"compaction\": {\n\t\t\"level\": 1,\n\t\t\"sources\": [\n\t\t\t\"01M80JWKXYBEY92V9PWSX9BYSS\"\n\t\t]\n\t},\n\t\"version\": 1\n}";
    let meta = BlockMeta::parse(json.as_bytes()).unwrap();
    assert_eq!(meta.stats.num_tombstones, 7);
    assert_eq!(String::from_utf8(meta.to_json()).unwrap(), json);
}

#[test]
fn what_is_unknown_is_kept_and_other_versions_are_refused() {
    let json = r#"{"ulid":"01JFJBS3YP1SHZ3PJQ6HK76EC3","minTime":1,"maxTime":2,"stats":{"numFoo":3},"version":1,
        "compaction":{"level":1,"sources":null,"parents":[{"ulid":"00000000000000000000000000","minTime":0,"maxTime":0}]},
        "out_of_order":false,"thanos":{"labels":{"a":"b"},"downsample":{"resolution":300000},"source":"receive",
        "upload_time":"x","files":[{"rel_path":"meta.json"},{"rel_path":"index","size_bytes":5}]}}"#;
    let meta = BlockMeta::parse(json.as_bytes()).unwrap();
    assert_eq!(meta.resolution_ms(), 300_000);
    assert_eq!(meta.file_size_bytes(BlockFile::Index), Some(5));
    assert_eq!(meta.external_labels(), [("a", "b")]);
    let again = BlockMeta::parse(&meta.to_json()).unwrap();
    assert_eq!(again, meta);
    assert_eq!(again.other["out_of_order"], Value::Bool(false));
    assert_eq!(again.stats.other["numFoo"], 3);
    assert_eq!(again.thanos.unwrap().other["upload_time"], "x");

    let two = json.replace(r#""version":1"#, r#""version":2"#);
    let error = BlockMeta::parse(two.as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "meta.json is not supported: unexpected meta file version 2, this program reads 1");
    for bad in ["", "{}", "[1]", &json.replace("\"minTime\":1", "\"minTime\":9"), &json.replace("01JFJ", "01JF!")] {
        assert!(BlockMeta::parse(bad.as_bytes()).unwrap_err().is_corrupt(), "{bad}");
    }
}

#[test]
fn our_section_comes_back() {
    let id = BlockId::from_parts(1, 2);
    let coverage = Coverage { log_id: LogId::from_u128(7), partition: 0, range: TimeRange::new(0, 10), from: 3, to: 9 };
    let mut meta = BlockMeta::new(id, TimeRange::new(0, 10));
    let mut longhaul = LonghaulMeta::new(TenantId::anonymous());
    (longhaul.coverage, longhaul.lookup_footer_bytes) = (vec![coverage], 100);
    meta.longhaul = Some(longhaul);
    assert_eq!(BlockMeta::parse(&meta.to_json()).unwrap(), meta);
    meta.longhaul.as_mut().unwrap().version = 2;
    assert!(matches!(BlockMeta::parse(&meta.to_json()), Err(BlockError::Unsupported { .. })));
}
