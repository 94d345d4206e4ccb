//! Blocks that Prometheus, Thanos and Mimir wrote, against what an independent reader found in them.

use super::*;
use crate::testing::{blocks_below, conformance, json_lines, open_dir};
use crate::{Block, BlockFile, BlockMeta, verify};
use longhaul_chunk::{Columns, Encoding, decode_into};
use longhaul_model::{BucketSpan, TimeRange, Value as Measured, is_stale};
use serde_json::Value;
use std::path::Path;

fn labels_of(line: &Value) -> Labels {
    Labels::from_pairs(
        line["labels"].as_object().unwrap().iter().map(|(name, value)| (&**name, value.as_str().unwrap())),
    )
}

fn assert_value(actual: f64, expected: &Value, place: &str) {
    let same = match expected.as_str() {
        None => actual.to_bits() == expected.as_f64().unwrap().to_bits(),
        Some("NaN") => actual.is_nan() && !is_stale(actual),
        Some("stale") => is_stale(actual),
        Some("+Inf") => actual == f64::INFINITY,
        Some("-Inf") => actual == f64::NEG_INFINITY,
        Some("-0") => actual.to_bits() == (-0.0f64).to_bits(),
        Some(other) => panic!("{other}"),
    };
    assert!(same, "{place}: {actual} instead of {expected}");
}

fn spans_of(value: &Value) -> Vec<BucketSpan> {
    let span = |it: &Value| BucketSpan {
        offset: it[0].as_i64().unwrap().try_into().unwrap(),
        length: it[1].as_u64().unwrap().try_into().unwrap(),
    };
    value.as_array().unwrap().iter().map(span).collect()
}

fn list<T>(value: &Value, item: impl Fn(&Value) -> Option<T>) -> Vec<T> {
    value.as_array().unwrap().iter().map(|it| item(it).unwrap()).collect()
}

fn assert_histogram(actual: &Measured, expected: &Value, place: &str) {
    match actual {
        Measured::Float(_) => panic!("{place}: {actual:?} instead of {expected}"),
        Measured::Histogram(it) => {
            let totals = (expected["count"].as_u64(), expected["zero"].as_u64(), expected["schema"].as_i64());
            assert_eq!((Some(it.count), Some(it.zero_count), Some(it.schema.into())), totals, "{place}");
            assert_eq!(it.positive_spans, spans_of(&expected["pspans"]), "{place}");
            assert_eq!(it.negative_spans, spans_of(&expected["nspans"]), "{place}");
            assert_eq!(it.positive_deltas, list(&expected["pdeltas"], Value::as_i64), "{place}");
            assert_eq!(it.negative_deltas, list(&expected["ndeltas"], Value::as_i64), "{place}");
            assert_value(it.sum, &expected["sum"], place);
            assert_value(it.zero_threshold, &expected["zt"], place);
            assert_eq!(it.custom_bounds[..], list(&expected["custom"], Value::as_f64), "{place}");
        }
        Measured::FloatHistogram(it) => {
            let totals = (expected["count"].as_f64(), expected["zero"].as_f64(), expected["schema"].as_i64());
            assert_eq!((Some(it.count), Some(it.zero_count), Some(it.schema.into())), totals, "{place}");
            assert_eq!(it.positive_spans, spans_of(&expected["pspans"]), "{place}");
            assert_eq!(it.negative_spans, spans_of(&expected["nspans"]), "{place}");
            assert_eq!(it.positive_counts, list(&expected["pcounts"], Value::as_f64), "{place}");
            assert_eq!(it.negative_counts, list(&expected["ncounts"], Value::as_f64), "{place}");
            assert_value(it.sum, &expected["sum"], place);
            assert_value(it.zero_threshold, &expected["zt"], place);
            assert_eq!(it.custom_bounds[..], list(&expected["custom"], Value::as_f64), "{place}");
        }
    }
}

fn assert_samples(actual: &[DumpChunk], expected: &[Value], place: &str) {
    let samples: Vec<_> = actual.iter().flat_map(|chunk| chunk.decode().unwrap()).collect();
    assert_eq!(samples.len(), expected.len(), "{place}");
    for (sample, expected) in samples.iter().zip(expected) {
        assert_eq!((Some(sample.t_ms), sample.start_ms), (expected[0].as_i64(), 0), "{place}");
        match &sample.value {
            Measured::Float(value) => assert_value(*value, &expected[1], place),
            _ if expected[1] == "stale" => assert!(sample.value.is_stale(), "{place}"),
            histogram => assert_histogram(histogram, &expected[1], place),
        }
    }
}

/// Compares the dump of a block with the golden one; answers how many series were compared.
fn assert_golden(dir: &Path, golden: &Path) -> usize {
    let (files, _) = open_dir(dir);
    let expected = json_lines(golden);
    let dump: Vec<_> = Dump::new(&*files).unwrap().map(Result::unwrap).collect();
    assert_eq!(dump.len(), expected.len(), "{}", dir.display());
    for (series, line) in dump.iter().zip(&expected) {
        let place = format!("{} {}", dir.display(), series.labels);
        assert_eq!(series.labels, labels_of(line), "{place}");
        let chunks = line["chunks"].as_array().unwrap();
        assert_eq!(series.chunks.len(), chunks.len(), "{place}");
        for (chunk, line) in series.chunks.iter().zip(chunks) {
            assert_eq!(Some(chunk.chunk.min_ms), line["mint"].as_i64(), "{place}");
            assert_eq!(Some(chunk.chunk.max_ms), line["maxt"].as_i64(), "{place}");
            assert_eq!(Some(chunk.reference), line["ref"].as_u64(), "{place}");
            assert_eq!(Some(u64::from(chunk.chunk.encoding.byte())), line["enc"].as_u64(), "{place}");
            assert_eq!(chunk.samples.map(u64::from), line["n"].as_u64(), "{place}");
            let header = chunk.reset_hint.map(|hint| match hint {
                CounterResetHint::Unknown => "unknown",
                CounterResetHint::Reset => "reset",
                CounterResetHint::NotReset => "not_reset",
                CounterResetHint::Gauge => "gauge",
            });
            assert_eq!(header, line["counter_reset_header"].as_str(), "{place}");
            let aggregates = chunk.aggregates().unwrap();
            assert_eq!(aggregates.len(), line["aggr"].as_object().map_or(0, |aggregates| aggregates.len()), "{place}");
            for (aggregate, chunk, samples) in aggregates {
                let line = &line["aggr"][aggregate.as_str()];
                assert_eq!(Some(u64::from(chunk.encoding.byte())), line["enc"].as_u64(), "{place}");
                let samples: Vec<_> = samples.iter().map(|it| (Some(it.t_ms), Some(it.value))).collect();
                let expected = line["samples"].as_array().unwrap().iter().map(|it| (it[0].as_i64(), it[1].as_f64()));
                assert_eq!(samples, expected.collect::<Vec<_>>(), "{place}");
            }
        }
        if series.chunks.iter().all(|chunk| chunk.chunk.encoding != Encoding::ThanosAggregate) {
            assert_samples(&series.chunks, line["samples"].as_array().unwrap(), &place);
        }
    }
    dump.len()
}

#[test]
fn every_fixture_reads_as_its_golden_dump() {
    let Some(fixtures) = conformance("fixtures") else { return };
    let mut compared = 0;
    for dir in blocks_below(&fixtures) {
        let golden = dir.with_extension("dump.jsonl.gz");
        if golden.exists() {
            assert!(assert_golden(&dir, &golden) > 0);
            compared += 1;
        }
    }
    assert!(compared >= 12, "only {compared} blocks have a golden dump");
}

#[test]
fn the_demo_block_holds_the_demo_data() {
    let Some(root) = conformance("") else { return };
    let (files, meta) = open_dir(&root.join("fixtures/oracle-2.53.3/demo/01M80J8ARBW628TDK8YDW9085T"));
    let mut expected = json_lines(&root.join("oracle/demo-data.jsonl.gz"));
    expected.sort_by_key(labels_of);
    let dump: Vec<_> = Dump::new(&*files).unwrap().map(Result::unwrap).collect();
    assert_eq!(dump.len(), 156);
    for (series, line) in dump.iter().zip(&expected) {
        assert_eq!(series.labels, labels_of(line));
        assert_samples(&series.chunks, line["samples"].as_array().unwrap(), &series.labels.to_string());
    }
    let report = verify(&*files, &meta).unwrap().sound().unwrap();
    assert_eq!((report.stats.num_samples, report.stats.num_chunks), (220_789, 1844));
}

#[test]
fn native_histograms_can_be_written_anew() {
    let Some(root) = conformance("fixtures/oracle-2.53.3/native-histograms") else { return };
    let (files, meta) = open_dir(&blocks_below(&root)[0]);
    let theirs = verify(&*files, &meta).unwrap().sound().unwrap();
    let block = Block::open(files, meta).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let series = block.select(&[], TimeRange::ALL).unwrap().into_series();
    let meta = crate::write(std::sync::Arc::new(longhaul_disk::RealFs), dir.path(), crate::testing::seed(), series);
    let meta = meta.unwrap();
    let stats = &meta.stats;
    assert_eq!((stats.num_samples, stats.num_float_samples, stats.num_histogram_samples), (1211, 254, 957));
    let (files, meta) = open_dir(dir.path());
    let ours = verify(&*files, &meta).unwrap().sound().unwrap();
    assert_eq!((ours.stats, ours.content_hash), (theirs.stats, theirs.content_hash));
    let golden = json_lines(&blocks_below(&root)[0].with_extension("dump.jsonl.gz"));
    for (series, line) in Dump::new(&*files).unwrap().map(Result::unwrap).zip(&golden) {
        assert_samples(&series.chunks, line["samples"].as_array().unwrap(), &series.labels.to_string());
    }
}

#[test]
fn every_fixture_is_sound() {
    let Some(fixtures) = conformance("fixtures") else { return };
    for dir in blocks_below(&fixtures) {
        let (files, meta) = open_dir(&dir);
        let report = verify(&*files, &meta).unwrap();
        assert!(report.problems.is_empty(), "{}: {:?}", dir.display(), report.problems);
    }
}

#[test]
fn select_over_a_built_lookup_gives_what_the_dump_has() {
    let Some(fixtures) = conformance("fixtures") else { return };
    for dir in blocks_below(&fixtures) {
        let (files, meta) = open_dir(&dir);
        if meta.stats.num_tombstones > 0 {
            continue;
        }
        let external: Vec<_> = meta.external_labels().iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
        let mut expected: Vec<_> = Dump::new(&*files).unwrap().map(Result::unwrap).collect();
        for series in &mut expected {
            let mut labels = series.labels.to_builder();
            external.iter().for_each(|(name, value)| _ = labels.set(name, value));
            series.labels = labels.build();
        }
        expected.sort_by(|a, b| a.labels.cmp(&b.labels));
        let block = Block::open(files, meta).unwrap();
        let found = block.select(&[], TimeRange::ALL).unwrap().into_series().map(Result::unwrap).collect::<Vec<_>>();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!(found.labels, expected.labels);
            assert!(found.chunks.iter().eq(expected.chunks.iter().map(|chunk| &chunk.chunk)), "{}", found.labels);
        }
    }
}

#[test]
fn deleted_samples_are_not_seen() {
    let Some(root) = conformance("fixtures/oracle-2.53.3/tombstones") else { return };
    let (files, meta) = open_dir(&blocks_below(&root.join("deleted"))[0]);
    assert_eq!(verify(&*files, &meta).unwrap().sound().unwrap().stats.num_tombstones, 7);
    let decoded: Value =
        serde_json::from_slice(&std::fs::read(root.join("deleted/tombstones.decoded.json")).unwrap()).unwrap();
    let block = Block::open(files.clone(), meta).unwrap();
    for entry in decoded.as_array().unwrap() {
        let range = TimeRange::inclusive(entry["mint"].as_i64().unwrap(), entry["maxt"].as_i64().unwrap());
        assert!(block.inner.deleted[&labels_of(entry)].contains(&range), "{entry}");
    }
    let (cleaned, _) = open_dir(&blocks_below(&root.join("cleaned"))[0]);
    let expected: Vec<_> = Dump::new(&*cleaned).unwrap().map(Result::unwrap).collect();
    let found: Vec<_> = block.select(&[], TimeRange::ALL).unwrap().into_series().map(Result::unwrap).collect();
    let mut samples = 0;
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found.labels, expected.labels);
        let decode = |chunks: &mut dyn Iterator<Item = &Chunk>| {
            let mut columns = Columns::default();
            chunks.for_each(|chunk| decode_into(chunk, TimeRange::ALL, &mut columns).unwrap());
            (columns.t_ms, columns.values)
        };
        let found = decode(&mut found.chunks.iter());
        samples += found.0.len();
        assert_eq!(found, decode(&mut expected.chunks.iter().map(|chunk| &chunk.chunk)), "{}", expected.labels);
    }
    assert_eq!(samples, 523);
    let raw = std::fs::read(blocks_below(&root.join("deleted"))[0].join("tombstones")).unwrap();
    let parsed = crate::Tombstones::parse(&raw).unwrap();
    assert_eq!((parsed.len(), crate::Tombstones::parse(&parsed.to_bytes()).unwrap()), (7, parsed));
}

#[test]
fn metas_of_others_are_written_back_as_they_were() {
    let Some(fixtures) = conformance("fixtures") else { return };
    for dir in blocks_below(&fixtures.join("oracle-2.53.3")) {
        let json = std::fs::read(dir.join("meta.json")).unwrap();
        let again = BlockMeta::parse(&json).unwrap().to_json();
        assert_eq!(String::from_utf8(again).unwrap(), String::from_utf8(json).unwrap(), "{}", dir.display());
    }
}

#[test]
fn chunks_out_of_order_in_an_index_are_read_and_told() {
    let Some(root) = conformance("fixtures/thanos/out_of_order_chunks") else { return };
    let files = crate::testing::MemoryFiles {
        files: [(BlockFile::Index, std::fs::read(root.join("index")).unwrap().into())].into(),
        ..Default::default()
    };
    let index = IndexReader::open(&files).unwrap();
    let references = index.all_series().unwrap();
    let series: Vec<_> = index.series(references).map(Result::unwrap).collect();
    let backwards = |entry: &&SeriesEntry| entry.chunks.windows(2).any(|pair| pair[0].max_ms >= pair[1].min_ms);
    assert!(series.iter().filter(backwards).count() > 0, "{series:?}");
    // The fixture has no chunks: whatever needs them says so.
    assert!(Dump::new(&files).unwrap().next().unwrap().is_err());
}
