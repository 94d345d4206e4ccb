//! One tenant's recent samples in memory: append, select, cut.
//!
//! Layer 2. The log delivers accepted batches in their order; the head applies them, answers queries, and gives its
//! older chunks away as *cuts*, which become parts.
//!
//! Threads: [`Head::find`] and [`Head::create`] are called by many request threads; [`Head::apply`], [`Head::cut`],
//! [`Head::release`] and [`Head::abandon`] by **one lane** a head, in the order of the log; everything that reads, and
//! [`Head::evict_idle`], by any thread at any time.
//!
//! Locks, in the order in which they may nest: index, then one shard of the series table; ranges, then one series;
//! pins stand alone. None of them is held while anything outside of this crate runs (a regular expression is the one
//! exception: it runs over a bounded number of values under the index's lock for reading).
//!
//! Knows nothing of logs, files, blocks or object storage.

mod head;
mod series;

pub use head::{CutView, Head, HeadError, HeadSeries, HeadSettings, HeadStats, OlderSamples, RangeState, Verdict};
pub use series::{HashSeed, Numbers, Series, SeriesKey};
