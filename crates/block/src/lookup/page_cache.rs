//! Pages of lookups that stay in memory between queries: a selection that was asked before reads nothing but chunks.
//!
//! Blocks never change, so nothing in here goes stale; a block that is opened anew begins anew.

use super::series_page::SeriesRun;
use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The most useful pages of all blocks that keep theirs here ([`crate::Block::keep_pages`]), up to a number of bytes.
#[derive(Debug)]
pub struct PageCache {
    blocks: AtomicU64,
    postings: Cache<PageKey, Bytes, Weigh>,
    series: Cache<PageKey, Arc<SeriesRun>, Weigh>,
}

/// A block, by the number that the cache gave it, and a page of its lookup.
type PageKey = (u64, u32);

/// A page of series takes about so many bytes once it is decoded; how many entries to expect follows from it.
const USUAL_BYTES: u64 = 256 << 10;

#[derive(Clone, Debug)]
struct Weigh;

impl Weighter<PageKey, Bytes> for Weigh {
    fn weight(&self, _: &PageKey, page: &Bytes) -> u64 {
        page.len() as u64
    }
}

impl Weighter<PageKey, Arc<SeriesRun>> for Weigh {
    fn weight(&self, _: &PageKey, run: &Arc<SeriesRun>) -> u64 {
        run.size_bytes() as u64
    }
}

impl PageCache {
    /// A cache of `bytes_max`, of which postings get a quarter: they are small beside the labels that they lead to.
    pub fn new(bytes_max: u64) -> Self {
        let (postings, series) = (bytes_max / 4, bytes_max - bytes_max / 4);
        let entries = |bytes: u64| (bytes / USUAL_BYTES).max(16) as usize;
        Self {
            blocks: AtomicU64::new(0),
            postings: Cache::with_weighter(entries(postings), postings, Weigh),
            series: Cache::with_weighter(entries(series), series, Weigh),
        }
    }
}

/// One block's share of a [`PageCache`].
#[derive(Debug)]
pub struct KeptPages {
    cache: Arc<PageCache>,
    block: u64,
}

impl KeptPages {
    /// A share under a number that no other block has.
    pub fn new(cache: Arc<PageCache>) -> Self {
        let block = cache.blocks.fetch_add(1, Ordering::Relaxed);
        Self { cache, block }
    }

    pub fn postings(&self, page: usize) -> Option<Bytes> {
        self.cache.postings.get(&(self.block, page as u32))
    }

    pub fn keep_postings(&self, page: usize, bytes: &Bytes) {
        // A copy: what was read may be part of a larger buffer.
        self.cache.postings.insert((self.block, page as u32), Bytes::copy_from_slice(bytes));
    }

    pub fn series(&self, page: usize) -> Option<Arc<SeriesRun>> {
        self.cache.series.get(&(self.block, page as u32))
    }

    pub fn keep_series(&self, page: usize, run: &Arc<SeriesRun>) {
        self.cache.series.insert((self.block, page as u32), run.clone());
    }
}
