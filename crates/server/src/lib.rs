//! The `longhaul` program: command line, configuration, HTTP and wiring.
//!
//! Layer 5: everything comes together here, and nothing is decided that a lower crate could decide.
//!
//! Knows nothing of formats: bytes on disk, on the wire and in the bucket are the lower crates' business.

mod app;
mod block_tool;
mod bucket_tool;
pub mod cli;
mod config;
mod http;
mod load;
mod metrics;
mod progress;
mod self_scrape;
mod serve;
mod upkeep;
