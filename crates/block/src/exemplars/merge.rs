//! Joins sources of exemplars: what several of them have comes once.

use crate::error::{BlockError, Result};
use longhaul_model::{Exemplar, Labels};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Exemplars with their series, in the order of the series and then their own, none twice.
pub type ExemplarSource<'a> = Box<dyn Iterator<Item = Result<(Labels, Exemplar)>> + Send + 'a>;

/// The k-way union of sources.
pub struct ExemplarUnion<'a> {
    sources: Vec<ExemplarSource<'a>>,
    /// The next exemplar of each source that has one.
    heads: BinaryHeap<Reverse<((Labels, Exemplar), usize)>>,
    started: bool,
    duplicates: u64,
}

/// Joins sources; their order makes no difference.
pub fn union_exemplars(sources: Vec<ExemplarSource<'_>>) -> ExemplarUnion<'_> {
    ExemplarUnion { heads: BinaryHeap::with_capacity(sources.len()), sources, started: false, duplicates: 0 }
}

impl ExemplarUnion<'_> {
    /// How many were left out so far because another source has the same.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Takes the next exemplar of a source, which must come after `previous`.
    fn advance(&mut self, source: usize, previous: Option<&(Labels, Exemplar)>) -> Result<()> {
        let Some(next) = self.sources[source].next().transpose()? else { return Ok(()) };
        if previous.is_some_and(|previous| *previous >= next) {
            let reason = format!("source {source} of exemplars is out of order at {}", next.0);
            return Err(BlockError::Refused(reason.into()));
        }
        self.heads.push(Reverse((next, source)));
        Ok(())
    }

    fn join(&mut self) -> Result<Option<(Labels, Exemplar)>> {
        if !std::mem::replace(&mut self.started, true) {
            (0..self.sources.len()).try_for_each(|source| self.advance(source, None))?;
        }
        let Some(Reverse((next, source))) = self.heads.pop() else { return Ok(None) };
        self.advance(source, Some(&next))?;
        while self.heads.peek().is_some_and(|Reverse((head, _))| *head == next) {
            let Some(Reverse((_, source))) = self.heads.pop() else { break };
            self.duplicates += 1;
            self.advance(source, Some(&next))?;
        }
        Ok(Some(next))
    }
}

impl Iterator for ExemplarUnion<'_> {
    type Item = Result<(Labels, Exemplar)>;

    fn next(&mut self) -> Option<Self::Item> {
        let joined = self.join().transpose();
        if let Some(Err(_)) = joined {
            self.heads.clear();
        }
        joined
    }
}
