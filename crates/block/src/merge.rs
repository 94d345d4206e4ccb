//! Joins sources of series by their labels, and merges their chunks.

use crate::ContentHash;
use crate::error::Result;
use longhaul_chunk::SeriesChunks;

/// Series in label order.
pub type SeriesSource<'a> = Box<dyn Iterator<Item = Result<SeriesChunks>> + Send + 'a>;

/// The k-way join of sources in rising precedence: each label set once, the chunks of the sources one after the other.
pub struct Union<'a> {
    _sources: Vec<SeriesSource<'a>>,
}

/// Joins sources, given in rising precedence.
pub fn union(sources: Vec<SeriesSource<'_>>) -> Union<'_> {
    Union { _sources: sources }
}

impl Iterator for Union<'_> {
    type Item = Result<SeriesChunks>;

    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}

/// [`Union`] with the chunks of each series merged: in time order, disjoint, at equal times the later source's sample.
pub struct Merge<'a> {
    _union: Union<'a>,
    account: MergeAccount,
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
    /// Their hash. What goes out must hash to `hash_in.minus(hash_duplicates)`.
    pub hash_duplicates: ContentHash,
}

/// Merges sources, given in rising precedence; chunks that have to be re-encoded get at most `samples_per_chunk_max`
/// samples.
pub fn merge(sources: Vec<SeriesSource<'_>>, samples_per_chunk_max: u16) -> Merge<'_> {
    let _ = samples_per_chunk_max;
    Merge { _union: union(sources), account: MergeAccount::default() }
}

impl Merge<'_> {
    /// The account so far.
    pub fn account(&self) -> MergeAccount {
        self.account
    }
}

impl Iterator for Merge<'_> {
    type Item = Result<SeriesChunks>;

    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}
