//! The programs that Longhaul is compared with; `cargo xtask test` makes them available.

use std::path::PathBuf;

/// The path of a peer's program. None (with a message) where `LONGHAUL_PEERS` is not set, which it must be in CI.
pub fn program(name: &str) -> Option<PathBuf> {
    let Some(dir) = std::env::var_os("LONGHAUL_PEERS") else {
        assert!(std::env::var_os("CI").is_none(), "LONGHAUL_PEERS is not set in CI: run `cargo xtask test`");
        eprintln!("skipped: LONGHAUL_PEERS is not set; `cargo xtask test` sets it");
        return None;
    };
    let path = PathBuf::from(dir).join(name);
    assert!(path.exists(), "{} is missing: run `cargo xtask peers`", path.display());
    Some(path)
}
