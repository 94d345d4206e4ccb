//! Remote write 1.0 (`prometheus.WriteRequest`): a walk over the decompressed message that finds label sections and
//! samples, and the encoder that load tools and tests send with; [`v2`] decodes 2.0.
//!
//! The decoder is the hottest path there is. It never looks inside a label: it only finds how far the run of `labels`
//! fields of a series goes, so that the section's bytes name the series ([`LabelSection`]); whoever misses the series
//! takes the section apart. Series whose labels do not lie in one run (legal, never seen from a real sender) get theirs
//! copied behind the message. Everything unknown is skipped as protobuf has it, except groups.
//!
//! Invariant: a batch's ranges lie inside its buffer and its samples.

mod decode;
mod encode;
pub mod v2;

pub use decode::{DecodeLimits, decode};
pub use encode::{Encoder, encode};
pub(crate) use encode::{push_sample, push_varint, varint_bytes};

#[cfg(doc)]
use longhaul_model::LabelSection;
#[cfg(test)]
mod tests;
