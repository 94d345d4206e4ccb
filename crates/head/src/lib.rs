//! One tenant's recent samples in memory: append, select, cut.
//!
//! Layer 2. The log delivers accepted batches in their order; the head applies them, answers queries, and gives its
//! older chunks away as *cuts*, which become parts.
//!
//! Threads: [`Head::find`] and [`Head::create`] are called by many request threads; [`Head::apply`] and its kin, [`Head::cut`],
//! [`Head::delete`], [`Head::release`] and [`Head::abandon`] by **one lane** a head, in the order of the log; everything that
//! reads, and [`Head::evict_idle`], by any thread at any time.
//!
//! Locks, in the order in which they may nest: index, then a shard of the table, then one series; and ranges, then one
//! series; the list of what was emptied comes before the index. Pins, ranks, exemplars and index stand alone. Nothing
//! outside of this crate runs while one is held, but for the expressions of matchers: over a bounded number of values, with
//! the index locked for reading.
//!
//! Knows nothing of logs, files, blocks or object storage.

mod cut;
mod delete;
mod evict;
mod exemplars;
mod head;
mod identity;
mod index;
mod late;
mod open;
mod order;
mod paged;
mod pins;
mod postings;
mod ranges;
mod samples;
mod sealed;
mod select;
mod series;
mod status;
mod symbols;
mod table;

pub use cut::CutView;
pub use head::{Head, HeadError, HeadSettings, HeadStats, OlderSamples, RangeState, Verdict};
pub use identity::{HashSeed, Numbers, SeriesKey};
pub use select::HeadSeries;
pub use series::Series;
pub use status::{Counted, HeadStatus};

#[cfg(test)]
mod tests;
