//! Head, parts and blocks of one tenant as a single source of series.
//!
//! Layer 4. A [`TenantView`] is what a query has pinned; [`TenantSource`] answers the engine's selections from it, and
//! the look-ups of label names, values and series, and hands out samples as they are ([`Reader`], [`Newest`], [`SeriesExemplars`]).
//! [`BlockCache`] keeps opened blocks of the bucket between queries.
//!
//! Knows nothing of HTTP, of writing, or of what a query computes.

mod block_cache;
mod exemplars;
mod join;
mod labels;
mod newest;
mod past;
mod pick;
mod read;
mod select;
mod status;
mod view;

pub use block_cache::BlockCache;
pub use exemplars::SeriesExemplars;
pub use labels::LabelRequest;
pub use newest::Newest;
pub use read::{Reader, SeriesSamples};
pub use view::{TenantSource, TenantView};
