//! Accepts batches of samples and keeps them until they are in the bucket.
//!
//! Layer 4: joins log, head, block and bucket into the way of a sample (docs/ARCHITECTURE.md). [`Ingester`] is all that
//! others see.
//!
//! Knows nothing of HTTP, protocols or queries.

mod accepted;
mod cut;
mod delete;
mod deletions;
mod error;
mod gate;
mod housekeeper;
mod ingester;
mod lane;
mod metadata;
mod metrics;
mod owed;
mod part_writer;
mod parts;
mod readers;
mod recover;
mod refresh;
mod refusal;
mod screen;
mod settings;
mod ship;
mod tenant;
mod validate;
mod zeros;

pub use error::{DeleteError, IngestError, WriteError};
pub use gate::Inflight;
pub use ingester::{Ingester, IngesterParts, Totals, WriteReport};
pub use metadata::{Families, FamilyMetadata};
pub use metrics::IngestMetrics;
pub use parts::Part;
pub use readers::ReaderGuard;
pub use refusal::{Cause, CauseReport, Refusals};
pub use screen::{Action, Dropped, ElectionSettings, RuleConfig, Screen, ScreenSettings, Screened};
pub use settings::{IngestSettings, WriteLimits};
pub use tenant::Pin;

#[cfg(test)]
mod tests;
