//! The series of several sources side by side: cut into batches by label, each of which any thread can read.
//!
//! Who cuts compares a few labels a batch; who reads a batch joins its series, checks their chunks and makes their labels.

use crate::past::Past;
use crate::view::{TenantSource, blocking, storage};
use longhaul_block::{Block, BlockSeries, FetchedSeries};
use longhaul_chunk::SeriesChunks;
use longhaul_head::HeadSeries;
use longhaul_model::{Labels, Matcher, TimeRange};
use longhaul_promql::source::SourceError;
use std::ops::Range;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Bytes of chunks that all blocks of a selection fetch in one round, about.
const ROUND_BYTES: u64 = 16 << 20;

/// However many blocks there are, each fetches at least so many bytes of chunks in one round, and at most so many.
const BLOCK_ROUND_BYTES: (u64, u64) = (64 << 10, 8 << 20);

/// One of the sources, as far as its series have not been cut off.
pub(crate) enum Lane {
    /// A block of the bucket, or a local one.
    Block(BlockLane),
    /// The head.
    Head(Arc<HeadSeries>, Past, Range<usize>),
}

/// A block's stretches one after the other. While one is being cut, the next one is fetched.
pub(crate) struct BlockLane {
    block: Arc<Block>,
    stretch: Option<Arc<FetchedSeries>>,
    /// The series of the stretch that have not been cut off.
    rest: Range<usize>,
    next: Option<JoinHandle<Fetching>>,
}

/// What a round brings: a stretch, and the means to fetch the one after it, if there may be one.
type Fetching = Result<Option<(FetchedSeries, Option<BlockSeries>)>, SourceError>;

/// Series of one source.
pub(crate) enum Piece {
    Block(Arc<Block>, Arc<FetchedSeries>, Range<usize>),
    Head(Arc<HeadSeries>, Past, Range<usize>),
}

/// Everything that has series of `matchers` in `range`, in rising precedence, the head last. Blocks look them up and
/// fetch the first stretch side by side.
pub(crate) async fn lanes(
    source: &TenantSource,
    matchers: &[Matcher],
    range: TimeRange,
    head: HeadSeries,
    past: Past,
) -> Result<Vec<Lane>, SourceError> {
    let opened = source.clone();
    let blocks = blocking(move |handle| Ok(opened.open(range, handle)?.blocks)).await?;
    let round_bytes = ROUND_BYTES / blocks.len().max(1) as u64;
    let round_bytes = round_bytes.clamp(BLOCK_ROUND_BYTES.0, BLOCK_ROUND_BYTES.1);
    let matchers: Arc<[Matcher]> = matchers.into();
    let of_block = |block| Lane::of_block(block, matchers.clone(), range, round_bytes);
    Ok(blocks.into_iter().map(of_block).chain([Lane::of_head(head, past)]).collect())
}

/// The series with the least labels among those that `lanes` still have: of each lane at most `series_max`. Nothing at
/// the end.
pub(crate) async fn cut(lanes: &mut [Lane], series_max: usize) -> Result<Vec<Piece>, SourceError> {
    for lane in &mut *lanes {
        lane.arrive().await?;
    }
    // Where the first lane ends that does not give all that it has, the others end too.
    let bound = lanes.iter().filter_map(|lane| lane.bound(series_max)).min();
    Ok(lanes.iter_mut().filter_map(|lane| lane.take(bound.as_ref(), series_max)).collect())
}

/// Reads pieces, given in rising precedence, and joins their series.
pub(crate) fn read(pieces: Vec<Piece>) -> Result<Vec<SeriesChunks>, SourceError> {
    let mut joined = Vec::new();
    for piece in pieces {
        joined = join(joined, piece.read()?);
    }
    Ok(joined)
}

/// Each series once, with its older chunks before its newer ones.
fn join(older: Vec<SeriesChunks>, newer: Vec<SeriesChunks>) -> Vec<SeriesChunks> {
    if older.is_empty() {
        return newer;
    }
    let mut joined = Vec::with_capacity(older.len().max(newer.len()));
    let mut older = older.into_iter().peekable();
    for mut series in newer {
        while let Some(before) = older.next_if(|it| it.labels < series.labels) {
            joined.push(before);
        }
        if let Some(mut same) = older.next_if(|it| it.labels == series.labels) {
            same.chunks.append(&mut series.chunks);
            series = same;
        }
        joined.push(series);
    }
    joined.extend(older);
    joined
}

impl Piece {
    fn read(self) -> Result<Vec<SeriesChunks>, SourceError> {
        match self {
            Self::Head(head, past, range) => past.leave_out(head.batch(range)),
            Self::Block(block, stretch, range) => {
                let series = range.filter_map(|index| stretch.read(index).transpose());
                series.collect::<Result<_, _>>().map_err(|error| storage(&block, error))
            }
        }
    }
}

fn fetch(block: &Block, mut series: BlockSeries) -> Fetching {
    let stretch = series.fetch().map_err(|error| storage(block, error))?;
    Ok(stretch.map(|stretch| (stretch, series.has_more().then_some(series))))
}

impl Lane {
    /// The series of a block, of which each round fetches about `round_bytes`. The first one begins now.
    fn of_block(block: Arc<Block>, matchers: Arc<[Matcher]>, range: TimeRange, round_bytes: u64) -> Self {
        let of = block.clone();
        let first = tokio::task::spawn_blocking(move || {
            let series = of.select(&matchers, range).map_err(|error| storage(&of, error))?;
            fetch(&of, series.reading_at_most(round_bytes))
        });
        Self::Block(BlockLane { block, stretch: None, rest: 0..0, next: Some(first) })
    }

    fn of_head(head: HeadSeries, past: Past) -> Self {
        let all = 0..head.len();
        Self::Head(Arc::new(head), past, all)
    }

    /// Waits for series, if all that were there have been cut off.
    async fn arrive(&mut self) -> Result<(), SourceError> {
        match self {
            Self::Block(lane) if lane.rest.is_empty() => lane.arrive().await,
            _ => Ok(()),
        }
    }

    /// The last series up to which the lane gives all that it has; None if it gives everything.
    fn bound(&self, series_max: usize) -> Option<Labels> {
        match self {
            Self::Head(head, _, rest) => {
                (rest.len() > series_max).then(|| head.order_labels(rest.start + series_max - 1))
            }
            Self::Block(lane) => {
                let stretch = lane.stretch.as_ref()?;
                let given = lane.rest.len().min(series_max);
                let has_more = given < lane.rest.len() || lane.next.is_some();
                has_more.then(|| stretch.labels(lane.rest.start + given - 1).clone())
            }
        }
    }

    /// Cuts off the series up to `bound`, which are at most `series_max`.
    fn take(&mut self, bound: Option<&Labels>, series_max: usize) -> Option<Piece> {
        match self {
            Self::Head(head, past, rest) => {
                let taken =
                    cut_off(rest, series_max, |index| bound.is_none_or(|bound| head.order_labels(index) <= *bound));
                (!taken.is_empty()).then(|| Piece::Head(head.clone(), past.clone(), taken))
            }
            Self::Block(lane) => {
                let stretch = lane.stretch.as_ref()?;
                let taken = cut_off(&mut lane.rest, series_max, |index| {
                    bound.is_none_or(|bound| stretch.labels(index) <= bound)
                });
                (!taken.is_empty()).then(|| Piece::Block(lane.block.clone(), stretch.clone(), taken))
            }
        }
    }
}

impl BlockLane {
    async fn arrive(&mut self) -> Result<(), SourceError> {
        self.stretch = None;
        let Some(next) = self.next.take() else { return Ok(()) };
        let fetched = match next.await {
            Ok(fetched) => fetched?,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(error) => return Err(SourceError::Storage(error.to_string())),
        };
        if let Some((stretch, more)) = fetched {
            self.rest = 0..stretch.len();
            self.stretch = Some(Arc::new(stretch));
            self.next = more.map(|series| {
                let block = self.block.clone();
                tokio::task::spawn_blocking(move || fetch(&block, series))
            });
        }
        Ok(())
    }
}

/// Takes the places from the front of `rest` for which `wanted` holds, of which there are at most `count_max`; it holds for
/// none after the first for which it does not.
fn cut_off(rest: &mut Range<usize>, count_max: usize, wanted: impl Fn(usize) -> bool) -> Range<usize> {
    let (mut low, mut high) = (rest.start, rest.end.min(rest.start + count_max));
    while low < high {
        let middle = low + (high - low) / 2;
        if wanted(middle) { low = middle + 1 } else { high = middle }
    }
    let taken = rest.start..low;
    rest.start = low;
    taken
}

#[cfg(test)]
mod tests;
