//! The project's chores: `cargo xtask <task>`. Each task is a module; what it does is printed, what fails ends it.
//!
//! The file system and the processes here are the developer's own: nothing of this is part of Longhaul.
//!
//! Knows nothing of Longhaul's crates: it runs cargo and other programs.

#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a developer's tool, not the product")]

mod peers;
mod proto;
mod run;

use run::{Outcome, cargo, root};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <task>

  test [ARGS]      make the peers available, then cargo test --workspace [ARGS]
  promqltest [--way memory|head|block]... PATH[:LINE]...
                   run Prometheus' test scripts (.test files or folders of them), each eval with its samples in memory,
                   in a head and in a block; the last line says how many evals passed in all ways, and how many failed
  peers            Prometheus, its node exporter, VictoriaMetrics and moto below target/peers, for tests and comparisons
  proto            generate crates/wire/src/proto from proto/
  proto --check    fail if crates/wire/src/proto is not what proto/ says";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["test", rest @ ..] => test(rest),
        ["promqltest", rest @ ..] => return promqltest(rest),
        ["peers"] => peers::install().map(|peers| peers.print()),
        ["proto"] => proto::generate(),
        ["proto", "--check"] => proto::check(),
        _ => Err(USAGE.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The scripts are run by an example of `testkit`, where the caller stands: paths are the caller's. It has said all there
/// is to say, its last line is for programs to read.
fn promqltest(arguments: &[&str]) -> ExitCode {
    let status = cargo()
        .args(["run", "--quiet", "--package", "longhaul-testkit", "--example", "promqltest", "--manifest-path"])
        .arg(root().join("Cargo.toml"))
        .arg("--")
        .args(arguments)
        .status();
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cargo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Every test there is. Tests find the peers through `LONGHAUL_PEERS`.
fn test(arguments: &[&str]) -> Outcome<()> {
    let peers = peers::install()?;
    peers.print();
    run::run(
        cargo().args(["test", "--workspace"]).args(arguments).env("LONGHAUL_PEERS", &peers.dir).current_dir(root()),
    )
}
