//! Bytes of Prometheus' protocols to and from `model` types: between HTTP bodies and what ingests or queries.
//!
//! Layer 1. [`snappy`] opens a body within a cap. [`remote_write`] walks the protobuf: labels of 1.0 stay where they lie in the
//! message, those of 2.0 are put together from its symbols. [`otlp`] makes series of OpenTelemetry's data points.
//! [`remote_read`] takes questions and lays out their answers, [`exposition`] writes what is scraped and reads what is pushed
//! in its formats, [`influx`] reads the line protocol, [`names`] escapes
//! names where not every character fits. [`proto`] holds the generated types for everything that is not hot, and is the
//! tests' oracle.
//!
//! Knows nothing of HTTP, tenants or what becomes of a batch.

pub mod exposition;
pub mod influx;
pub mod names;
pub mod otlp;
pub mod proto;
pub mod remote_read;
pub mod remote_write;
pub mod snappy;

mod batch_writer;
mod decoded;
mod error;
mod histogram;
mod refused;
mod walk;

pub use decoded::Decoded;
pub use error::{Item, WireError};
pub use refused::{Reason, Refused};
