//! Deletions carried out: a source of a merge loses what is deleted, and the loss is accounted for.

use crate::content_hash::{ContentHash, SeriesHash};
use crate::deleted::ranges_of;
use crate::error::{BlockError, Result};
use crate::merge::SeriesSource;
use crate::stock::StockTaker;
use longhaul_chunk::SeriesChunks;
use longhaul_chunk::{CHUNK_SAMPLES_MAX, Chunk, ChunkError, decode_any, encode};
use longhaul_model::{TimeRange, Tombstone};
use parking_lot::Mutex;
use std::sync::Arc;

/// What was dropped from sources of a merge, as a [`MergeAccount`](crate::MergeAccount) counts: complete when the merge
/// has ended. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Dropped(Arc<Mutex<(u64, ContentHash)>>);

impl Dropped {
    /// How many samples were dropped.
    pub fn samples(&self) -> u64 {
        self.0.lock().0
    }

    /// Their hash.
    pub fn hash(&self) -> ContentHash {
        self.0.lock().1
    }

    /// The source without what `tombstones` are about. Series that nothing is left of are left out.
    pub fn from_source<'a>(&self, source: SeriesSource<'a>, tombstones: Vec<Arc<Tombstone>>) -> SeriesSource<'a> {
        if tombstones.is_empty() {
            return source;
        }
        let mut dropping =
            Dropping { tombstones, dropped: self.clone(), stock: StockTaker::default(), section: vec![] };
        Box::new(source.filter_map(move |series| {
            let left = series.and_then(|series| dropping.drop_from(series));
            left.map(|left| (!left.chunks.is_empty()).then_some(left)).transpose()
        }))
    }
}

struct Dropping {
    tombstones: Vec<Arc<Tombstone>>,
    dropped: Dropped,
    stock: StockTaker,
    section: Vec<u8>,
}

impl Dropping {
    fn drop_from(&mut self, series: SeriesChunks) -> Result<SeriesChunks> {
        let deleted = ranges_of(&self.tombstones, &series.labels);
        if deleted.is_empty() {
            return Ok(series);
        }
        let SeriesChunks { labels, chunks } = series;
        let hash = SeriesHash::of(&labels, &mut self.section);
        let mut left = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            self.drop_from_chunk(chunk, &deleted, hash, &mut left)
                .map_err(|error| BlockError::Chunk { series: labels.to_string(), error })?;
        }
        Ok(SeriesChunks { labels, chunks: left })
    }

    /// What goes is written as chunks of its own and counted there, so that the account does not follow from what stays.
    fn drop_from_chunk(
        &mut self,
        chunk: Chunk,
        deleted: &[TimeRange],
        series: SeriesHash,
        left: &mut Vec<Chunk>,
    ) -> Result<(), ChunkError> {
        let bounds = TimeRange::inclusive(chunk.min_ms, chunk.max_ms);
        let mut gone = Vec::new();
        if !deleted.iter().any(|range| range.overlaps(&bounds)) {
            left.push(chunk);
        } else if deleted.iter().any(|range| range.covers(&bounds)) {
            gone.push(chunk);
        } else {
            let mut samples = Vec::new();
            decode_any(&chunk, &mut samples)?;
            let is_gone = |t_ms: i64| deleted.iter().any(|range| range.contains(t_ms));
            encode(samples.extract_if(.., |sample| is_gone(sample.t_ms)), CHUNK_SAMPLES_MAX, &mut gone);
            encode(samples, CHUNK_SAMPLES_MAX, left);
        }
        for chunk in gone {
            let stock = self.stock.take(&chunk, series, |_, _| ())?;
            let mut dropped = self.dropped.0.lock();
            dropped.0 += stock.samples();
            dropped.1 = dropped.1.plus(stock.hash);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merge;
    use crate::testing::{chunk, series};
    use longhaul_model::Matcher;

    fn tombstone(name: &str, range: TimeRange) -> Arc<Tombstone> {
        Arc::new(Tombstone { matchers: vec![Matcher::equal("__name__", name)], range })
    }

    /// What came in is what went out and what was dropped.
    #[test]
    fn what_is_dropped_is_accounted_for() {
        let all = vec![
            series(&[("__name__", "a")], &[&[(1, 1.0), (2, 2.0)], &[(3, 3.0), (4, 4.0)]]),
            series(&[("__name__", "b")], &[&[(1, 1.0), (9, 2.0)]]),
            series(&[("__name__", "c")], &[&[(1, 1.0)]]),
        ];
        let source = || -> SeriesSource<'static> { Box::new(all.clone().into_iter().map(Ok)) };
        let mut whole = merge(vec![source()], 10);
        whole.by_ref().for_each(|series| drop(series.unwrap()));
        let dropped = Dropped::default();
        let tombstones = vec![
            tombstone("a", TimeRange::inclusive(2, 3)),
            tombstone("a", TimeRange::inclusive(3, 3)),
            tombstone("b", TimeRange::inclusive(-5, 5)),
            tombstone("b", TimeRange::inclusive(6, 20)),
            tombstone("d", TimeRange::ALL),
        ];
        let mut merged = merge(vec![dropped.from_source(source(), tombstones)], 10);
        let left: Vec<SeriesChunks> = merged.by_ref().map(|merged| merged.unwrap().series).collect();
        let names: Vec<_> = left.iter().map(|series| series.labels.metric_name()).collect();
        assert_eq!(names, ["a", "c"]);
        assert_eq!(left[0].chunks, [chunk([(1, 1.0), (4, 4.0)])]);
        let (all, account) = (whole.account(), merged.account());
        assert_eq!((dropped.samples(), account.samples_in, all.samples_in), (4, 3, 7));
        assert_eq!(account.hash_in.plus(dropped.hash()), all.hash_in);
        assert_ne!(dropped.hash(), ContentHash::default());
    }
}
