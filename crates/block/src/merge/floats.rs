//! The chunks of a series of plain floats, merged: nearly all series are of that kind, so that nearly all of what a merge
//! costs is spent here. Every chunk is decoded once, for the account and for what becomes of its samples.

use super::MergeAccount;
use crate::content_hash::{ContentHash, SeriesHash};
use crate::stock::Stock;
use longhaul_chunk::{Chunk, ChunkError, Columns, Encoding, FloatPacker, decode_into};
use longhaul_model::TimeRange;

/// Samples that wait to be written together, in chunks of the full size: many enough that hardly any chunk is much
/// smaller than it might be.
const RUN_CHUNKS_MAX: usize = 64;

/// Merges one series after the other. Its buffers live on.
#[derive(Default)]
pub(super) struct FloatMerger {
    packer: FloatPacker,
    decoded: Columns,
    /// Samples of chunks that overlap, by rising precedence, then by time.
    overlapping: Vec<(i64, f64)>,
    run: Run,
}

/// Samples that follow each other and are to be written anew.
#[derive(Default)]
struct Run {
    columns: Columns,
    /// The one chunk that they all are, if they are: it passes as it is.
    only: Option<Chunk>,
}

/// Why chunks cannot be merged.
pub(super) enum Unmergeable {
    /// One cannot be read.
    Chunk(ChunkError),
    /// One does not hold what it says.
    Bounds(String),
}

impl FloatMerger {
    /// Whether the chunks are all of the kind that is merged here.
    pub(super) fn takes(chunks: &[Chunk]) -> bool {
        chunks.iter().all(|chunk| chunk.encoding == Encoding::Xor)
    }

    /// Merges the chunks of a series, given in rising precedence, and adds to the account. A chunk that overlaps nothing
    /// passes as it is, unless it has no more than half of `samples_max` samples and a neighbour to be written with.
    pub(super) fn merge(
        &mut self,
        series: SeriesHash,
        chunks: Vec<Chunk>,
        samples_max: u16,
        account: &mut MergeAccount,
    ) -> Result<(Vec<Chunk>, Option<Stock>), Unmergeable> {
        let before = *account;
        self.run.clear();
        let mut merged = Vec::with_capacity(chunks.len());
        for mut overlapping in clusters(chunks) {
            match (overlapping.pop(), overlapping.is_empty()) {
                (Some((_, alone)), true) => {
                    account.add(self.decode(&alone, series)?);
                    if self.decoded.len() > usize::from(samples_max / 2) {
                        self.write_run(samples_max, &mut merged);
                        merged.push(alone);
                    } else {
                        self.run.add(alone, &self.decoded);
                    }
                }
                (last, _) => {
                    overlapping.extend(last);
                    self.merge_overlapping(overlapping, series, account)?;
                }
            }
            if self.run.columns.len() >= RUN_CHUNKS_MAX * usize::from(samples_max) {
                self.write_run(samples_max, &mut merged);
            }
        }
        self.write_run(samples_max, &mut merged);
        let stock = Stock {
            floats: account.samples_out() - before.samples_out(),
            hash: account.hash_out().minus(before.hash_out()),
            ..Stock::default()
        };
        Ok((merged, Some(stock)))
    }

    /// Decodes a chunk and takes stock of it.
    fn decode(&mut self, chunk: &Chunk, series: SeriesHash) -> Result<Stock, Unmergeable> {
        let Columns { t_ms, values, .. } = {
            self.decoded.clear();
            decode_into(chunk, TimeRange::ALL, &mut self.decoded).map_err(Unmergeable::Chunk)?;
            &self.decoded
        };
        let hash = t_ms
            .iter()
            .zip(values)
            .fold(ContentHash::default(), |sum, (t_ms, value)| sum.plus(series.of_float(*t_ms, 0, *value)));
        let times = t_ms.first().copied().zip(t_ms.last().copied());
        let stock = Stock { floats: t_ms.len() as u64, hash, times, ..Stock::default() };
        stock.check_bounds(chunk).map_err(Unmergeable::Bounds)?;
        Ok(stock)
    }

    /// Adds the samples of chunks that overlap to the run: of equal times that of the highest rank.
    fn merge_overlapping(
        &mut self,
        mut chunks: Vec<(usize, Chunk)>,
        series: SeriesHash,
        account: &mut MergeAccount,
    ) -> Result<(), Unmergeable> {
        chunks.sort_unstable_by_key(|(rank, _)| *rank);
        self.overlapping.clear();
        for (_, chunk) in &chunks {
            account.add(self.decode(chunk, series)?);
            self.overlapping.extend(self.decoded.t_ms.iter().copied().zip(self.decoded.values.iter().copied()));
        }
        self.overlapping.sort_by_key(|(t_ms, _)| *t_ms); // stable: of equal times the last has the highest rank
        self.run.only = None;
        for (at, (t_ms, value)) in self.overlapping.iter().enumerate() {
            if self.overlapping.get(at + 1).is_some_and(|next| next.0 == *t_ms) {
                account.drop_duplicate(series.of_float(*t_ms, 0, *value));
            } else {
                self.run.columns.push(*t_ms, *value);
            }
        }
        Ok(())
    }

    fn write_run(&mut self, samples_max: u16, merged: &mut Vec<Chunk>) {
        match self.run.only.take() {
            Some(chunk) => merged.push(chunk),
            None => self.packer.pack(&self.run.columns, samples_max, merged),
        }
        self.run.clear();
    }
}

impl Run {
    fn clear(&mut self) {
        self.columns.clear();
        self.only = None;
    }

    /// Adds a chunk that overlaps nothing, with its samples.
    fn add(&mut self, chunk: Chunk, samples: &Columns) {
        self.only = self.columns.is_empty().then_some(chunk);
        self.columns.t_ms.extend_from_slice(&samples.t_ms);
        self.columns.values.extend_from_slice(&samples.values);
    }
}

/// The chunks, with their ranks, in order of time; those that overlap directly or through others together.
fn clusters(chunks: Vec<Chunk>) -> impl Iterator<Item = Vec<(usize, Chunk)>> {
    let mut ranked: Vec<(usize, Chunk)> = chunks.into_iter().enumerate().collect();
    if !ranked.windows(2).all(|pair| pair[0].1.max_ms < pair[1].1.min_ms) {
        ranked.sort_by_key(|(rank, chunk)| (chunk.min_ms, *rank));
    }
    let mut rest = ranked.into_iter().peekable();
    std::iter::from_fn(move || {
        let first = rest.next()?;
        let mut max_ms = first.1.max_ms;
        let mut cluster = vec![first];
        while let Some(next) = rest.next_if(|(_, chunk)| chunk.min_ms <= max_ms) {
            max_ms = max_ms.max(next.1.max_ms);
            cluster.push(next);
        }
        Some(cluster)
    })
}
