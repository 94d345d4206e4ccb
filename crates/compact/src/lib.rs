//! Keeps a bucket that is written every two hours for years fast to read: chooses blocks that are better one block.
//!
//! Layer 4. [`plan`] is a pure function of a manifest, the time and the settings.
//!
//! Knows nothing of ingesting, queries or HTTP.

mod plan;
mod settings;

pub use plan::{Job, plan};
pub use settings::CompactSettings;
