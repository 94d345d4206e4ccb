//! Where series come from: the one trait that the engine needs, implemented over head, parts and blocks by `query`.

use async_trait::async_trait;
use longhaul_chunk::SeriesChunks;
use longhaul_model::{Matcher, TimeRange};

/// What a selector of a query asks for.
#[derive(Clone, Debug)]
pub struct SelectRequest {
    /// All of them must hold.
    pub matchers: Vec<Matcher>,
    /// The samples that can matter; a source may return more, never less.
    pub range: TimeRange,
}

/// Something that holds series.
#[async_trait]
pub trait SeriesSource: Send + Sync {
    /// The series that satisfy the request, each once, in label order.
    async fn select(&self, request: &SelectRequest) -> Result<Box<dyn SeriesSet>, SourceError>;
}

/// The answer to a [`SelectRequest`], pulled in batches.
#[async_trait]
pub trait SeriesSet: Send {
    /// The next series in label order, at least one; None when there are no more. How many come at once depends on
    /// the data only, never on timing.
    async fn next_batch(&mut self) -> Result<Option<Vec<SeriesChunks>>, SourceError>;

    /// How many series are still to come, if known.
    fn remaining(&self) -> Option<usize> {
        None
    }

    /// What the caller of the query must be told (never: that something is missing without saying what).
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}

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
