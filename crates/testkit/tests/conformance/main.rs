//! The engine against Prometheus, with the samples stored in every way: Prometheus' own test scripts (`promqltest`) and
//! recorded answers (`compliance`).
#![allow(clippy::print_stdout, reason = "tests say what they skip and how many pass")]

mod compliance;
mod promqltest;

use std::path::PathBuf;

/// The folder of facts and test data beside the checkout; None (with a word) where there is none, but never in CI.
fn conformance(path: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance"));
    if !folder.exists() && std::env::var_os("CI").is_none() {
        println!("skipped: there is no {}", folder.display());
        return None;
    }
    Some(folder.join(path))
}
