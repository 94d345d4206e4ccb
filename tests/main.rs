//! End-to-end tests: the real binary, real files, real peers. One theme a module.
//!
//! `cargo xtask test` makes the peers available and runs everything.

#![allow(clippy::disallowed_methods, reason = "tests are where the real clock and the real file system come in")]
#![allow(clippy::print_stdout, reason = "tests say how much they did")]
#![allow(clippy::type_complexity, reason = "tables of cases are read, not called")]

mod attach;
mod bad_input;
mod bucket_tools;
mod canceled;
mod compaction;
mod durability;
mod golden;
mod native;
mod prometheus;
mod receiver;
mod s3;
mod senders;
mod support;
mod tools;
