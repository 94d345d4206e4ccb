//! Joins sources of series by their labels, and merges their chunks.
//!
//! A source is anything that yields series in label order: a block's selection, a head's view. The merge holds one
//! series of each source at a time.

mod floats;

use crate::content_hash::{ContentHash, SeriesHash};
use crate::error::{BlockError, Result};
use crate::stock::{Stock, StockTaker};
use floats::{FloatMerger, Unmergeable};
use longhaul_chunk::{Chunk, ChunkError, Encoding, HISTOGRAM_CHUNK_BYTES, SeriesChunks};
use longhaul_chunk::{decode_any, encode, merge_chunks, reset_hint, sample_count};
use longhaul_model::{CounterResetHint, Labels};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Series in label order.
pub type SeriesSource<'a> = Box<dyn Iterator<Item = Result<SeriesChunks>> + Send + 'a>;

/// The k-way join of sources in rising precedence: each label set once, the chunks of the sources one after the other.
pub struct Union<'a> {
    sources: Vec<SeriesSource<'a>>,
    /// The next series of each source that has one.
    heads: BinaryHeap<Reverse<Head>>,
    started: bool,
}

struct Head {
    series: SeriesChunks,
    source: usize,
}

/// Joins sources, given in rising precedence.
pub fn union(sources: Vec<SeriesSource<'_>>) -> Union<'_> {
    Union { heads: BinaryHeap::with_capacity(sources.len()), sources, started: false }
}

impl Union<'_> {
    /// Takes the next series of a source, which must come after `previous`.
    fn advance(&mut self, source: usize, previous: Option<&Labels>) -> Result<()> {
        let Some(series) = self.sources[source].next().transpose()? else { return Ok(()) };
        if previous.is_some_and(|previous| *previous >= series.labels) {
            let reason = format!("source {source} is out of order at {}", series.labels);
            return Err(BlockError::Refused(reason.into()));
        }
        self.heads.push(Reverse(Head { series, source }));
        Ok(())
    }

    fn join(&mut self) -> Result<Option<SeriesChunks>> {
        if !std::mem::replace(&mut self.started, true) {
            (0..self.sources.len()).try_for_each(|source| self.advance(source, None))?;
        }
        let Some(Reverse(Head { series: mut joined, source })) = self.heads.pop() else { return Ok(None) };
        self.advance(source, Some(&joined.labels))?;
        while self.heads.peek().is_some_and(|Reverse(head)| head.series.labels == joined.labels) {
            let Some(Reverse(mut head)) = self.heads.pop() else { break };
            joined.chunks.append(&mut head.series.chunks);
            self.advance(head.source, Some(&joined.labels))?;
        }
        Ok(Some(joined))
    }
}

impl Iterator for Union<'_> {
    type Item = Result<SeriesChunks>;

    fn next(&mut self) -> Option<Self::Item> {
        let joined = self.join().transpose();
        if let Some(Err(_)) = joined {
            self.heads.clear();
            self.started = true;
        }
        joined
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        self.series.labels.cmp(&other.series.labels).then(self.source.cmp(&other.source))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

/// [`Union`] with the chunks of each series merged: in time order, disjoint, at equal times the later source's sample.
/// A chunk that overlaps nothing passes as it is, unless it is small and has a small neighbour.
pub struct Merge<'a> {
    union: Union<'a>,
    samples_per_chunk_max: u16,
    account: MergeAccount,
    section: Vec<u8>,
    stock: StockTaker,
    floats: FloatMerger,
}

/// A series that came out of a merge.
#[derive(Clone, Debug)]
pub struct MergedSeries {
    /// Labels and chunks, in time order and disjoint.
    pub series: SeriesChunks,
    /// What the chunks hold, where the merge knows: who writes them need not decode them for it.
    pub(crate) stock: Option<Stock>,
}

impl From<SeriesChunks> for MergedSeries {
    fn from(series: SeriesChunks) -> Self {
        Self { series, stock: None }
    }
}

/// What went through a merge; complete when the iterator has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MergeAccount {
    /// Samples that came in.
    pub samples_in: u64,
    /// Their hash.
    pub hash_in: ContentHash,
    /// Samples that were dropped because a later source has one at the same time.
    pub duplicates: u64,
    /// Their hash. What goes out must hash to [`Self::hash_out`]: that is for whoever reads it again to check.
    pub hash_duplicates: ContentHash,
}

impl MergeAccount {
    /// How many samples must have gone out.
    pub fn samples_out(&self) -> u64 {
        self.samples_in - self.duplicates
    }

    /// The content hash that what went out must have.
    pub fn hash_out(&self) -> ContentHash {
        self.hash_in.minus(self.hash_duplicates)
    }

    fn add(&mut self, stock: Stock) {
        self.samples_in += stock.samples();
        self.hash_in = self.hash_in.plus(stock.hash);
    }

    fn drop_duplicate(&mut self, hash: ContentHash) {
        self.duplicates += 1;
        self.hash_duplicates = self.hash_duplicates.plus(hash);
    }
}

/// Merges sources, given in rising precedence; chunks that have to be re-encoded get at most `samples_per_chunk_max`
/// samples.
pub fn merge(sources: Vec<SeriesSource<'_>>, samples_per_chunk_max: u16) -> Merge<'_> {
    Merge {
        union: union(sources),
        samples_per_chunk_max,
        account: MergeAccount::default(),
        section: Vec::new(),
        stock: StockTaker::default(),
        floats: FloatMerger::default(),
    }
}

impl Merge<'_> {
    /// The account so far.
    pub fn account(&self) -> MergeAccount {
        self.account
    }

    fn merge(&mut self, series: SeriesChunks) -> Result<MergedSeries> {
        let SeriesChunks { labels, chunks } = series;
        let hash = SeriesHash::of(&labels, &mut self.section);
        let merged = match FloatMerger::takes(&chunks) {
            true => self.floats.merge(hash, chunks, self.samples_per_chunk_max, &mut self.account),
            false => self.merge_any(hash, chunks).map_err(Unmergeable::Chunk),
        };
        match merged {
            Ok((chunks, stock)) => Ok(MergedSeries { series: SeriesChunks { labels, chunks }, stock }),
            Err(Unmergeable::Chunk(error)) => Err(BlockError::Chunk { series: labels.to_string(), error }),
            Err(Unmergeable::Bounds(reason)) => Err(BlockError::Refused(format!("{labels}: {reason}").into())),
        }
    }

    /// Chunks of any kind.
    fn merge_any(&mut self, series: SeriesHash, chunks: Vec<Chunk>) -> Result<(Vec<Chunk>, Option<Stock>), ChunkError> {
        self.take_stock(series, &chunks)?;
        let chunks = merge_chunks(chunks, self.samples_per_chunk_max)?;
        Ok((join_small(chunks, self.samples_per_chunk_max)?, None))
    }

    /// Counts and hashes what comes in, and which of it a merge drops.
    fn take_stock(&mut self, series: SeriesHash, chunks: &[Chunk]) -> Result<(), ChunkError> {
        let overlap = chunks.windows(2).any(|pair| pair[0].max_ms >= pair[1].min_ms);
        let mut samples: Vec<(i64, ContentHash)> = Vec::new();
        for (i, chunk) in chunks.iter().enumerate() {
            let note = |t_ms: i64, hash: ContentHash| {
                if overlap {
                    samples.push((t_ms, hash));
                }
            };
            let stock = self.stock.take(chunk, series, note)?;
            self.account.add(stock);
            if chunk.encoding == Encoding::ThanosAggregate && overlap && chunks[..i].contains(chunk) {
                self.account.duplicates += stock.samples();
                self.account.hash_duplicates = self.account.hash_duplicates.plus(stock.hash);
            }
        }
        samples.sort_by_key(|(t_ms, _)| *t_ms); // stable: of equal times the last is the one that stays
        for pair in samples.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
            self.account.drop_duplicate(pair[0].1);
        }
        Ok(())
    }
}

/// Small chunks of one encoding that follow each other, to be written as one.
#[derive(Default)]
struct Run {
    chunks: Vec<Chunk>,
    samples: u32,
    bytes: usize,
}

/// Writes small chunks that follow each other as one, as far as that does not grow large: no more than `samples_max`
/// samples; and of histograms, which take many bytes each, no more bytes than those at which a chunk of them is sealed.
fn join_small(chunks: Vec<Chunk>, samples_max: u16) -> Result<Vec<Chunk>, ChunkError> {
    let mut joined: Vec<Chunk> = Vec::with_capacity(chunks.len());
    let mut run = Run::default();
    for chunk in chunks {
        let samples = match chunk.encoding {
            Encoding::ThanosAggregate => u32::MAX,
            _ => sample_count(&chunk)?.into(),
        };
        let small = samples <= u32::from(samples_max / 2);
        if !(small && run.takes(&chunk, samples, samples_max)) {
            std::mem::take(&mut run).finish(samples_max, &mut joined)?;
        }
        if small {
            run.samples += samples;
            run.bytes += chunk.data.len();
            run.chunks.push(chunk);
        } else {
            joined.push(chunk);
        }
    }
    run.finish(samples_max, &mut joined)?;
    Ok(joined)
}

impl Run {
    fn takes(&self, chunk: &Chunk, samples: u32, samples_max: u16) -> bool {
        self.chunks.last().is_none_or(|last| last.encoding == chunk.encoding)
            && self.samples + samples <= u32::from(samples_max)
            && (chunk.encoding.is_float() || self.bytes + chunk.data.len() <= HISTOGRAM_CHUNK_BYTES)
            // Counting began anew here, and the samples alone might not tell.
            && reset_hint(chunk) != Some(CounterResetHint::Reset)
    }

    /// Appends the run as one chunk; as several where a histogram cannot follow another in a chunk.
    fn finish(mut self, samples_max: u16, out: &mut Vec<Chunk>) -> Result<(), ChunkError> {
        match &self.chunks[..] {
            [] | [_] => out.append(&mut self.chunks),
            chunks => {
                let mut samples = Vec::new();
                chunks.iter().try_for_each(|chunk| decode_any(chunk, &mut samples))?;
                encode(samples, samples_max, out);
            }
        }
        Ok(())
    }
}

impl Iterator for Merge<'_> {
    type Item = Result<MergedSeries>;

    fn next(&mut self) -> Option<Self::Item> {
        let series = self.union.next()?;
        Some(series.and_then(|series| self.merge(series)))
    }
}

#[cfg(test)]
mod tests;
