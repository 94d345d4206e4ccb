//! The engine against Prometheus, with the samples stored in every way: Prometheus' own test scripts (`promqltest`) and
//! recorded answers
//! (`compliance`, `native`).
#![allow(clippy::print_stdout, reason = "tests say what they skip and how many pass")]

mod compliance;
mod native;
mod promqltest;

use flate2::read::GzDecoder;
use longhaul_model::Labels;
use serde_json::Value as Json;
use std::fs::File;
use std::io::{BufRead, BufReader};
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

/// The lines of a gzipped file of JSON documents.
fn json_lines(path: PathBuf) -> impl Iterator<Item = Json> {
    let lines = BufReader::new(GzDecoder::new(File::open(path).unwrap())).lines();
    lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap())
}

fn json_labels(json: &Json) -> Labels {
    Labels::from_pairs(json.as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())))
}
