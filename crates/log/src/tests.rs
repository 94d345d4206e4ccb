//! Tests of the log as a whole, over the simulated file system.

mod crash;
mod damage;
mod faults;
mod format;
mod roundtrip;
pub(crate) mod support;
mod threaded;
