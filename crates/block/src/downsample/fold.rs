//! Windows of several blocks as those of one block, of the same or a coarser resolution.

use super::{CoarseSeries, CoarseSource, aggregates};
use crate::columns::ColumnSet;
use crate::error::{BlockError, Result};
use longhaul_downsample::{NumberedWindow, Resolution, coarsen};
use longhaul_model::TimeRange;
use std::iter::Peekable;

/// Joins sources by labels and folds their windows of resolution `from` into those of `to`. The sources follow each other in
/// time, or have no series in common; a window that a border cuts is one again. `block` is the range of what comes out.
pub fn fold_coarse<'a>(
    sources: Vec<CoarseSource<'a>>,
    from: Resolution,
    to: Resolution,
    block: TimeRange,
) -> impl Iterator<Item = Result<CoarseSeries>> + Send + 'a {
    let mut fold = Fold { sources: sources.into_iter().map(Iterator::peekable).collect(), from, to, block };
    let mut failed = false;
    std::iter::from_fn(move || {
        if failed {
            return None;
        }
        let next = fold.next().transpose();
        failed = matches!(next, Some(Err(_)));
        next
    })
}

struct Fold<'a> {
    sources: Vec<Peekable<CoarseSource<'a>>>,
    from: Resolution,
    to: Resolution,
    block: TimeRange,
}

impl Fold<'_> {
    fn next(&mut self) -> Result<Option<CoarseSeries>> {
        let mut parts: Vec<CoarseSeries> = Vec::new();
        let mut first: Option<usize> = None;
        for at in 0..self.sources.len() {
            let (before, behind) = self.sources.split_at_mut(at);
            let labels = match behind[0].peek() {
                None => continue,
                Some(Ok(series)) => &series.series.labels,
                Some(Err(_)) => {
                    first = Some(at);
                    break;
                }
            };
            let least = first.and_then(|least| before[least].peek()?.as_ref().ok());
            if least.is_none_or(|least| *labels < least.series.labels) {
                first = Some(at);
            }
        }
        let Some(first) = first else { return Ok(None) };
        parts.extend(self.sources[first].next().transpose()?);
        let labels = parts[0].series.labels.clone();
        for source in &mut self.sources[first + 1..] {
            let same = |next: &Result<CoarseSeries>| next.as_ref().is_ok_and(|next| next.series.labels == labels);
            parts.extend(source.next_if(same).transpose()?);
        }
        self.join(parts).map(Some)
    }

    fn join(&self, mut parts: Vec<CoarseSeries>) -> Result<CoarseSeries> {
        parts.sort_by_key(|part| part.windows.first().map(|first| first.number));
        let known = parts.iter().map(of_its_kinds).fold(ColumnSet::ALL, ColumnSet::intersection);
        let mut parts = parts.into_iter();
        let Some(CoarseSeries { mut series, mut windows, .. }) = parts.next() else {
            return Err(BlockError::Refused("a series of nothing".into()));
        };
        for part in parts {
            series.chunks.extend(part.series.chunks);
            windows.extend(part.windows);
        }
        if windows.windows(2).any(|pair| pair[0].number > pair[1].number) {
            return Err(BlockError::Refused(format!("windows of {} overlap", series.labels).into()));
        }
        let windows = coarsen(windows, self.from, self.to);
        if self.from != self.to {
            series.chunks = aggregates::of_finer(&series, self.from, &windows, self.to, self.block)?;
        }
        Ok(CoarseSeries { series, windows, known })
    }
}

/// The columns that a source leaves known in what it becomes a part of: those of a kind of samples that it has none of, too.
fn of_its_kinds(part: &CoarseSeries) -> ColumnSet {
    let has = |kind: fn(&NumberedWindow) -> bool| part.windows.iter().any(kind);
    let mut known = part.known;
    if !has(|it| it.window.floats.is_some()) {
        known = known.union(ColumnSet::FLOATS);
    }
    if !has(|it| it.window.histograms.is_some()) {
        known = known.union(ColumnSet::HISTOGRAMS);
    }
    known
}
