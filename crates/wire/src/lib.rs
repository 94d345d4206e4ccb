//! Bytes of remote write to and from `model` types: the second step of a sample's way, between the HTTP body and the
//! ingester.
//!
//! Layer 1. [`snappy`] opens a body within a cap, [`remote_write`] walks the protobuf without copying labels out of it;
//! [`proto`] holds the generated types for everything that is not hot, and is the tests' oracle.
//!
//! Knows nothing of HTTP, tenants or what becomes of a batch.

pub mod proto;
pub mod remote_write;
pub mod snappy;

mod error;
mod walk;

pub use error::{Item, WireError};
