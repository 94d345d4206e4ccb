//! The committed corpus of the fuzz targets (`fuzz/README.md`), run as ordinary tests.
#![allow(clippy::print_stdout, reason = "the test says how many inputs it ran")]

use longhaul_testkit::fuzz::TARGETS;
use std::panic::catch_unwind;
use std::path::Path;

#[test]
fn every_input_holds() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut failed = Vec::new();
    for (name, body) in TARGETS {
        let inputs: Vec<_> = std::fs::read_dir(corpus.join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!inputs.is_empty(), "{name} has no input");
        println!("{name}: {} inputs", inputs.len());
        for path in inputs {
            let bytes = std::fs::read(&path).unwrap();
            if catch_unwind(|| body(&bytes)).is_err() {
                failed.push(path);
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}
