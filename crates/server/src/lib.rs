//! The `longhaul` program: command line, configuration, HTTP and wiring.
//!
//! Layer 5: everything comes together here, and nothing is decided that a lower crate could decide.

mod app;
mod block_tool;
pub mod cli;
mod config;
mod http;
mod load;
mod metrics;
mod self_scrape;
mod serve;
