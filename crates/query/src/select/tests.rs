//! What a selection hands out of head and parts: everything, whatever its kind, once and in its precedence.

use super::*;
use crate::{BlockCache, TenantView};
use longhaul_block::{Block, BlockMeta, LocalFiles, LonghaulMeta, write};
use longhaul_bucket::{Manifest, Store, TenantStore};
use longhaul_chunk::{Samples, encode, merge_samples};
use longhaul_disk::RealFs;
use longhaul_head::{HashSeed, Head, HeadSettings, Numbers};
use longhaul_model::{BlockId, LabelSection, Labels, Measurement, TenantId, TimeRange, Value};
use longhaul_testkit::measurements::{KINDS, measurement};

const NAMES: [&str; 3] = ["block", "both", "head"];

/// A part with the series `block` and `both`, and a head with `both` and `head`: the head's samples lie between those of
/// the part, and at multiples of 60 upon them.
fn source(dir: &std::path::Path, samples: impl Fn(i64) -> Measurement) -> TenantSource {
    let labels = |name: &str| Labels::from_pairs([("__name__", name)]);
    let old: Vec<Measurement> = (0..400).step_by(20).map(&samples).collect();
    let mut chunks = Vec::new();
    encode(old, 7, &mut chunks);
    let series = NAMES[..2].iter().map(|name| Ok(SeriesChunks { labels: labels(name), chunks: chunks.clone() }));
    let mut seed = BlockMeta::new(BlockId::from_parts(1, 1), TimeRange::new(0, 0));
    seed.longhaul = Some(LonghaulMeta::new(TenantId::anonymous()));
    let meta = write(Arc::new(RealFs), dir, seed, series).unwrap();
    let part = Block::open(Arc::new(LocalFiles::new(Arc::new(RealFs), dir)), meta).unwrap();

    let head = Head::new(HeadSettings::default(), Numbers::new(), HashSeed::new(1));
    for name in &NAMES[1..] {
        let mut section = Vec::new();
        LabelSection::push(&mut section, "__name__", name);
        let series = head.create(head.key(&section), &[("__name__", name)]).unwrap();
        for t_ms in (0..600).step_by(15) {
            head.apply_any(&series, newer(t_ms), 1, &());
        }
    }
    let view = TenantView {
        head: Arc::new(head),
        parts: vec![Arc::new(part)],
        new_deletions: Vec::new(),
        past: Vec::new(),
        manifest: Arc::new(Manifest::default()),
        store: TenantStore::new(Store::memory(), TenantId::anonymous()),
        missing: Vec::new(),
        keep: Box::new(()),
    };
    TenantSource::new(view, Arc::new(BlockCache::new(1, 1 << 20)))
}

/// What the head has: floats and histograms by turns.
fn newer(t_ms: i64) -> Measurement {
    measurement(t_ms, if t_ms % 2 == 0 { 1 } else { 4 }, 2)
}

#[tokio::test]
async fn samples_of_all_kinds_are_joined() {
    for kind in 0..KINDS {
        let dir = tempfile::tempdir().unwrap();
        let older = |t_ms: i64| measurement(t_ms, kind, 1);
        let source = source(dir.path(), older);
        let mut set = source.select(&SelectRequest::all(Vec::new(), TimeRange::ALL)).await.unwrap();
        let mut found = Vec::new();
        while let Some(batch) = set.next_batch().await.unwrap() {
            found.extend(batch);
        }
        assert_eq!(found.iter().map(|it| it.labels.metric_name()).collect::<Vec<_>>(), NAMES);
        for (series, name) in found.iter().zip(NAMES) {
            let mut read = Samples::default();
            merge_samples(&series.chunks, TimeRange::ALL, &mut read).unwrap();
            let of_head = |t_ms: &i64| name != "block" && t_ms % 15 == 0;
            let of_part = |t_ms: &i64| name != "head" && t_ms % 20 == 0 && *t_ms < 400;
            let times = (0..600).filter(|t_ms| of_head(t_ms) || of_part(t_ms));
            let given = times.map(|t_ms| if of_head(&t_ms) { newer(t_ms) } else { older(t_ms) });
            let (floats, histograms): (Vec<_>, Vec<_>) = given.partition(|it| matches!(it.value, Value::Float(_)));
            let expected = |all: &[Measurement]| all.iter().map(|it| it.t_ms).collect::<Vec<_>>();
            assert_eq!(read.floats.t_ms, expected(&floats), "{name}, kind {kind}");
            assert_eq!(read.histograms.t_ms, expected(&histograms), "{name}, kind {kind}");
            for (it, value) in floats.iter().zip(&read.floats.values) {
                assert!(it.value.same(&Value::Float(*value)), "{name}, kind {kind}: {it:?}");
            }
            for (it, value) in histograms.iter().zip(&read.histograms.values) {
                let whole = match &it.value {
                    Value::Histogram(it) => Value::FloatHistogram(Arc::new((&**it).into())),
                    other => other.clone(),
                };
                assert!(whole.same(&Value::FloatHistogram(value.clone())), "{name}, kind {kind}: {it:?}");
            }
        }
    }
}
