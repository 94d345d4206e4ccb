//! What the themes share: the server as a process, its HTTP API, the programs it is compared with.

pub mod client;
pub mod command;
pub mod peers;
pub mod process;
pub mod proxy;
pub mod values;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The conformance data that nobody in this project wrote. None (with a message) only where the folder is absent, which
/// it must not be in CI.
pub fn conformance(path: &str) -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/conformance")).join(path);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "{} is missing in CI", path.display());
    eprintln!("skipped: {} is not there", path.display());
    None
}

/// The lines of a JSON-lines file, gzip or plain.
pub fn json_lines(path: &Path) -> Vec<serde_json::Value> {
    use std::io::Read;
    let bytes = std::fs::read(path).unwrap();
    let mut text = String::new();
    match path.extension().is_some_and(|extension| extension == "gz") {
        true => flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap(),
        false => bytes.as_slice().read_to_string(&mut text).unwrap(),
    };
    text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits until `condition` holds, which it must within `time_max`.
pub async fn wait_for(what: &str, time_max: Duration, mut condition: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < time_max, "waited {time_max:?} in vain for {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The time, ms since the epoch.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// A time in ms as the API takes it.
pub fn seconds(t_ms: i64) -> String {
    format!("{}.{:03}", t_ms.div_euclid(1000), t_ms.rem_euclid(1000))
}

/// The block directories below `dir`, at any depth.
pub fn block_dirs(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir()) {
        match entry.path().join("meta.json").exists() {
            true => found.push(entry.path()),
            false => found.extend(block_dirs(&entry.path())),
        }
    }
    found.sort();
    found
}

/// Copies a directory with everything in it.
pub fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy_dir(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}
