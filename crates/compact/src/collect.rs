//! Garbage: blocks that nobody reads any more, uploads that never became blocks, manifests of last week.
//!
//! `plan.rs` is a pure function of what lies in the bucket, what the manifest says, and the time; `clocks.rs` decides whether
//! there is a time to go by. [`Collector`] carries plans out: any number of them may work on a bucket, beside whatever
//! else does, and each may end at any point.
//!
//! **Invariants:** what is live is never touched (I-GC-1), nor what carries no tag of ours and was never in the manifest
//! (I-GC-2); a retired block goes only after its delay (I-GC-3), an orphan only below a committed boundary (I-GC-4);
//! whatever shakes the trust in clocks, credentials or manifests stops deletions (I-GC-5).

mod clocks;
mod collector;
mod error;
mod pace;
mod plan;
mod report;
mod settings;

pub use clocks::ClockJump;
pub use collector::{Collector, CollectorParts};
pub use error::CollectError;
pub use report::{CollectMetrics, CollectReport};
pub use settings::CollectSettings;

#[cfg(test)]
mod tests;
