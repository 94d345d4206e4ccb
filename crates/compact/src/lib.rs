//! Keeps a bucket that is written every two hours for years fast to read: chooses blocks that are better one block, and
//! makes one of them.
//!
//! Layer 4. [`plan`] is a pure function of a manifest, the time and the settings. [`Compactor`] carries plans out: any
//! number of them may work on a bucket, and each may end at any point (I-COMPACT-2). [`Collector`] takes away what is left
//! over (`collect.rs`).
//!
//! Knows nothing of ingesting, queries or HTTP.

mod collect;
mod compactor;
mod error;
mod examine;
mod input;
mod job;
mod merge;
mod metrics;
mod paced;
mod plan;
mod projection;
mod report;
mod retain;
mod scrub;
mod settings;
mod work_dir;

pub use collect::{ClockJump, CollectError, CollectMetrics, CollectReport, CollectSettings, Collector, CollectorParts};
pub use compactor::{Compactor, CompactorParts, Publish};
pub use error::CompactError;
pub use examine::{Examined, examine};
pub use metrics::{CompactMetrics, TenantState};
pub use plan::{Job, plan};
pub use report::{CompactReport, Failure, Quarantine};
pub use scrub::{ScrubMetrics, ScrubSettings, Scrubber, ScrubberParts};
pub use settings::CompactSettings;

#[cfg(test)]
mod tests;
