//! The lookup against the labels that it was built from; forged bytes end in an answer.

use super::*;
use crate::BlockFile;
use crate::cursor::crc;
use crate::testing::MemoryFiles;
use longhaul_model::Labels;
use longhaul_postings::{LabelIndex, Lookup as Announced};
use proptest::prelude::*;
use roaring::RoaringBitmap;
use std::collections::BTreeSet;
use std::sync::Arc;

fn place(segment: u32, start: u32) -> ChunkPlace {
    ChunkPlace { min_ms: i64::from(start) * 10, max_ms: i64::from(start) * 10 + 5, segment, start, length: 100 }
}

/// Series with a label of many values, some of few, and one that only some have.
fn many_series(count: u32) -> Vec<Labels> {
    let all = (0..count).map(|i| {
        let (pod, path) = (format!("pod-{i:06}"), format!("/api/{}/é", i % 50));
        let mut pairs = vec![("__name__", "requests"), ("path", &path), ("pod", &pod)];
        pairs.extend((i % 3 == 0).then_some(("canary", "yes")));
        Labels::from_pairs(pairs)
    });
    all.collect::<BTreeSet<_>>().into_iter().collect()
}

fn build(series: &[Labels]) -> (Vec<u8>, u64) {
    let mut writer = LookupWriter::begin(Vec::new()).unwrap();
    for (i, labels) in series.iter().enumerate() {
        writer.push(labels, &[place(0, i as u32 * 200), place(0, i as u32 * 200 + 100)]).unwrap();
    }
    let finished = writer.finish().unwrap();
    (finished.sink, finished.footer_bytes)
}

fn files(lookup: Vec<u8>) -> Arc<MemoryFiles> {
    Arc::new(MemoryFiles { files: [(BlockFile::Lookup, lookup.into())].into(), ..MemoryFiles::default() })
}

fn naive(series: &[Labels], keep: impl Fn(&Labels) -> bool) -> RoaringBitmap {
    series.iter().enumerate().filter(|(_, labels)| keep(labels)).map(|(i, _)| i as u32).collect()
}

#[test]
fn postings_are_those_of_the_series() {
    let series = many_series(20_000);
    let (lookup, footer_bytes) = build(&series);
    let files = files(lookup);
    let lookup = Lookup::open(files.clone(), None, footer_bytes).unwrap();
    assert_eq!(files.rounds.lock().unwrap().len(), 1);
    assert_eq!(lookup.series(), 20_000);
    assert_eq!(lookup.names().collect::<Vec<_>>(), [("__name__", 1), ("canary", 1), ("path", 50), ("pod", 20_000)]);
    let selection = Selection::new(&lookup);
    assert_eq!(selection.all().unwrap().len(), 20_000);
    for values in [&["/api/7/é"][..], &["/api/7/é", "/api/49/é", "/api/50/é", ""], &["nothing"], &[]] {
        let expected = naive(&series, |labels| labels.get("path").is_some_and(|path| values.contains(&path)));
        assert_eq!(selection.with_values("path", values).unwrap(), expected, "{values:?}");
    }
    for pod in [0, 1, 777, 19_999] {
        let pod = format!("pod-{pod:06}");
        let expected = naive(&series, |labels| labels.get("pod") == Some(&pod));
        assert_eq!(selection.with_values("pod", &[&pod]).unwrap(), expected);
    }
    for (name, prefix) in
        [("pod", "pod-0001"), ("pod", ""), ("pod", "q"), ("path", "/api/4"), ("canary", ""), ("x", "")]
    {
        let keep = |value: &str| value.ends_with(['1', '5', 'é', 's']);
        let wanted = |labels: &Labels| labels.get(name).is_some_and(|value| value.starts_with(prefix) && keep(value));
        let found = selection.with_values_where(name, prefix, &mut |value| keep(value)).unwrap();
        assert_eq!(found, naive(&series, wanted), "{name} {prefix}");
    }
    for name in ["__name__", "canary", "path", "pod", "x"] {
        assert_eq!(selection.with_name(name).unwrap(), naive(&series, |labels| labels.get(name).is_some()), "{name}");
    }
    let pods: BTreeSet<_> = series.iter().filter_map(|labels| labels.get("pod")).collect();
    assert_eq!(selection.values("pod").unwrap(), pods.into_iter().collect::<Vec<_>>());
    let mut counted = 0;
    selection.for_each_value("path", &mut |_, series| counted += series.len()).unwrap();
    assert_eq!(counted, 20_000);
}

#[test]
fn a_plan_is_fetched_in_one_round_of_no_more_than_a_range_a_label() {
    let series = many_series(20_000);
    let (lookup, footer_bytes) = build(&series);
    let (size, files) = (lookup.len() as u64, files(lookup));
    let lookup = Lookup::open(files.clone(), Some(size), footer_bytes).unwrap();
    assert_eq!(*files.sizes.lock().unwrap(), 0, "the size was known");
    files.rounds.lock().unwrap().clear();
    let selection = Selection::new(&lookup);
    selection.prefetch(&[Announced::Values("path", &["/api/7/é"]), Announced::Values("pod", &["pod-015000"])]).unwrap();
    assert_eq!(selection.with_values("path", &["/api/7/é"]).unwrap().len(), 400);
    assert_eq!(selection.with_values("pod", &["pod-015000"]).unwrap().len(), 1);
    let rounds = std::mem::take(&mut *files.rounds.lock().unwrap());
    assert_eq!((rounds.len(), rounds[0].1.len()), (1, 1), "pages that lie close are one range: {rounds:?}");
    // What the filter excludes costs nothing. (The pods are covered by it too: there are few enough.)
    assert!(selection.with_values("path", &["no such path"]).unwrap().is_empty());
    assert!(selection.with_values("pod", &["no such pod"]).unwrap().is_empty());
    assert!(files.rounds.lock().unwrap().is_empty());
    // Who has a label at all is one page, however many values there are; an expression needs all of them, at once.
    let whole = Selection::new(&lookup);
    whole.prefetch(&[Announced::Name("pod"), Announced::Prefix("pod", "pod-01")]).unwrap();
    assert_eq!(whole.with_name("pod").unwrap().len(), 20_000);
    assert_eq!(whole.with_values_where("pod", "pod-01", &mut |_| true).unwrap().len(), 10_000);
    assert_eq!(std::mem::take(&mut *files.rounds.lock().unwrap()).len(), 1);
    let selection = Selection::new(&lookup);
    selection.prefetch(&[Announced::Name("pod")]).unwrap();
    let read = std::mem::take(&mut *files.rounds.lock().unwrap());
    assert!(read[0].1[0].end - read[0].1[0].start < 2 * PAGE_BYTES as u64, "{read:?}");
    // Without a hint the footer takes one read more at most.
    let lookup = Lookup::open(files.clone(), None, 0).unwrap();
    assert_eq!(lookup.series(), 20_000);
    assert!(files.rounds.lock().unwrap().len() <= 2);
}

#[test]
fn a_large_entry_has_a_page_of_its_own_and_its_value_is_known_without_it() {
    // What makes an entry large does not matter to the pages; long values are cheaper to test than long postings.
    let long = |i: u32| format!("{}-{}", if i.is_multiple_of(3) { "a" } else { "b" }, "x".repeat(PAGE_BYTES));
    let series: Vec<_> = (0..300)
        .map(|i| Labels::from_pairs([("a", format!("{i:03}").as_str()), ("class", &*long(i)), ("d", "e")]))
        .collect();
    let (lookup, footer_bytes) = build(&series);
    let files = files(lookup);
    let lookup = Lookup::open(files.clone(), None, footer_bytes).unwrap();
    files.rounds.lock().unwrap().clear();
    let selection = Selection::new(&lookup);
    assert_eq!(selection.values("class").unwrap(), [long(0), long(1)]);
    let read: u64 = files.rounds.lock().unwrap().iter().flat_map(|(_, ranges)| ranges).map(|r| r.end - r.start).sum();
    assert!(read < PAGE_BYTES as u64, "{read} bytes to list two values");
    let expected = naive(&series, |labels| labels.get("class") == Some(&long(1)));
    assert_eq!(expected.len(), 200);
    assert_eq!(selection.with_values("class", &[&long(1)]).unwrap(), expected);
    assert_eq!(selection.with_values_where("class", "b", &mut |_| true).unwrap(), expected);
    assert_eq!(selection.with_values_where("class", "", &mut |value| value.starts_with('b')).unwrap(), expected);
    assert_eq!(selection.with_values("d", &["e"]).unwrap().len(), 300);
}

#[test]
fn long_postings_come_back_in_the_smaller_of_two_forms() {
    // Irregular: neither runs nor differences are short.
    let set: RoaringBitmap = (0..200_000u32).filter(|i| i.wrapping_mul(0x9e37_79b9) & 0x1_0000 == 0).collect();
    let dense: RoaringBitmap = (1000..190_000).collect();
    let sparse: RoaringBitmap = (0..100_000).step_by(1009).collect();
    for (set, bitmap) in [(set, true), (dense, true), (sparse, false)] {
        let mut ordinals = crate::label_table::Ordinals::default();
        set.iter().for_each(|ordinal| ordinals.push(ordinal));
        let (bytes, is_bitmap) = writer::encode(&ordinals);
        assert_eq!(is_bitmap, bitmap);
        if bitmap {
            assert_eq!(RoaringBitmap::deserialize_from(&*bytes).unwrap(), set);
        }
    }
}

#[test]
fn series_pages_give_back_labels_and_places() {
    let series = many_series(5_000);
    let (lookup, footer_bytes) = build(&series);
    let lookup = Lookup::open(files(lookup), None, footer_bytes).unwrap();
    assert!(lookup.series_pages() > 3);
    let mut ordinal = 0;
    for page in 0..lookup.series_pages() {
        assert_eq!(lookup.page_series(page).start, ordinal);
        let bytes = lookup.read_series_pages(&[page]).unwrap();
        let mut reader = lookup.open_series_page(page, &bytes[0]).unwrap();
        let mut entry = PageSeries::default();
        while reader.next(&mut entry).unwrap() {
            assert_eq!(reader.labels(&entry), series[ordinal as usize]);
            assert_eq!(entry.chunks, [place(0, ordinal * 200), place(0, ordinal * 200 + 100)]);
            assert_eq!(lookup.series_page_of(ordinal), page);
            ordinal += 1;
        }
    }
    assert_eq!(ordinal, 5_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn places_of_any_shape_come_back(
        all in proptest::collection::vec(
            proptest::collection::vec((any::<i64>(), any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>()), 0..5), 1..6),
    ) {
        let mut writer = LookupWriter::begin(Vec::new()).unwrap();
        let series: Vec<Vec<ChunkPlace>> = all
            .iter()
            .map(|chunks| chunks.iter().map(|(min_ms, span, segment, start, length)| ChunkPlace {
                min_ms: *min_ms, max_ms: min_ms.saturating_add((*span).into()), segment: *segment, start: *start, length: *length,
            }).collect())
            .collect();
        for (i, chunks) in series.iter().enumerate() {
            writer.push(&Labels::from_pairs([("n", i.to_string().as_str())]), chunks).unwrap();
        }
        let lookup = Lookup::open(files(writer.finish().unwrap().sink), None, 0).unwrap();
        let bytes = lookup.read_series_pages(&[0]).unwrap();
        let (mut page, mut entry) = (lookup.open_series_page(0, &bytes[0]).unwrap(), PageSeries::default());
        for chunks in &series {
            prop_assert!(page.next(&mut entry).unwrap());
            prop_assert_eq!(&entry.chunks, chunks);
        }
    }

    /// Checksums protect from accidents, not from intent: a page or footer that was made to mislead must end in an
    /// error or in an answer.
    #[test]
    fn forged_bytes_end_in_an_answer(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let (mut bytes, footer_bytes) = build(&many_series(400));
        for (at, byte) in &changes {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        // Seal what was changed: every page by the directory of the original, then the footer.
        let (original, _) = build(&many_series(400));
        let original = Lookup::open(files(original), None, 0).unwrap();
        for range in original.pages() {
            let (body, end) = (range.start as usize..range.end as usize - 4, range.end as usize);
            let sum = crc(&bytes[body]).to_be_bytes();
            bytes[end - 4..end].copy_from_slice(&sum);
        }
        let (end, footer) = (bytes.len() - TRAILER_BYTES as usize, bytes.len() - footer_bytes as usize);
        let length = ((end - footer) as u32).to_be_bytes();
        let sum = crc32c::crc32c_append(crc(&bytes[footer..end]), &length).to_be_bytes();
        bytes.truncate(end);
        bytes.extend([&length[..], &sum, &[VERSION, 0, 0, 0], &MAGIC].concat());
        let files = files(bytes);
        let Ok(lookup) = Lookup::open(files, None, 0) else { return Ok(()) };
        let selection = Selection::new(&lookup);
        let names: Vec<_> = lookup.names().map(|(name, _)| name.to_owned()).collect();
        for name in &names {
            _ = selection.values(name);
            _ = selection.with_name(name);
            _ = selection.with_values(name, &["requests", "yes", "pod-000007"]);
            _ = selection.with_values_where(name, "p", &mut |_| true);
        }
        _ = crate::select::walk(&lookup, &selection.all().unwrap(), |_, _| ());
    }
}

#[test]
fn another_version_is_told_apart_from_damage() {
    let (mut bytes, _) = build(&many_series(3));
    let at = bytes.len() - 8;
    bytes[at] = 9;
    assert!(matches!(Lookup::open(files(bytes), None, 0), Err(crate::BlockError::Unsupported { .. })));
    assert!(Lookup::open(files(Vec::new()), None, 0).is_err_and(|error| error.is_corrupt()));
}
