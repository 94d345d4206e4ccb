//! Where series come from: the one trait that the engine needs, implemented over head, parts and blocks by `query`.

use async_trait::async_trait;
use longhaul_chunk::SeriesChunks;
use longhaul_model::{Matcher, TimeRange};
use std::sync::Arc;

/// What a selector of a query asks for.
#[derive(Clone, Debug)]
pub struct SelectRequest {
    /// All of them must hold.
    pub matchers: Vec<Matcher>,
    /// The samples that can matter; a source may return more, never less.
    pub range: TimeRange,
    /// The labels that can matter.
    pub labels: LabelsWanted,
    /// Whether of each series only the newest sample in `range` matters. A source may return more.
    pub newest_only: bool,
}

impl SelectRequest {
    /// All labels and all samples.
    pub fn all(matchers: Vec<Matcher>, range: TimeRange) -> Self {
        Self { matchers, range, labels: LabelsWanted::All, newest_only: false }
    }
}

/// The labels that a query looks at. A source may return more of them, never less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelsWanted {
    /// All.
    All,
    /// The metric's name and those listed. Several series of the answer may then have the same labels; they still come in
    /// the order of all their labels. A source that holds series with `__type__` or `__unit__` returns all labels: whether
    /// two series are the same one without their name depends on these.
    Only(Arc<[String]>),
}

/// Something that holds series.
#[async_trait]
pub trait SeriesSource: Send + Sync {
    /// The series that satisfy the request, each once, in the order of all their labels.
    async fn select(&self, request: &SelectRequest) -> Result<Box<dyn SeriesSet>, SourceError>;
}

/// The answer to a [`SelectRequest`], pulled in batches.
#[async_trait]
pub trait SeriesSet: Send {
    /// The next series in label order, at least one; None when there are no more. How many come at once depends on
    /// the data only, never on timing.
    async fn next_batch(&mut self) -> Result<Option<Vec<SeriesChunks>>, SourceError>;

    /// The next series in label order, about `series_max` of them, still to be read: by whichever threads evaluate them,
    /// side by side. Which series come together depends on the data and on `series_max` only. None at the end, and from
    /// a source that has nothing to gain from it.
    async fn unread_batch(&mut self, _series_max: usize) -> Result<Option<UnreadBatch>, SourceError> {
        Ok(None)
    }

    /// What the caller of the query must be told (never: that something is missing without saying what).
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Series that are still to be read, on any thread; it does not wait for anything. There may turn out to be none.
pub type UnreadBatch = Box<dyn FnOnce() -> Result<Vec<SeriesChunks>, SourceError> + Send>;

/// Why a source cannot answer; the query fails with it, it is never a gap.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SourceError {
    /// Data that should be there cannot be read; the text names what.
    #[error("{0}")]
    Storage(String),
    /// A limit was met; the text names it.
    #[error("{0}")]
    Limit(String),
}
