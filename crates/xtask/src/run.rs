//! Running other programs, and where things are.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a task ends in.
pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// The project's root.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Where cargo builds: `CARGO_TARGET_DIR` or `target`. Peers stay in `target/peers` all the same, so that everybody
/// finds them.
pub fn peers_dir() -> PathBuf {
    root().canonicalize().unwrap_or_else(|_| root().to_owned()).join("target/peers")
}

/// The cargo that runs this task.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a program with its output shown.
pub fn run(command: &mut Command) -> Outcome<()> {
    let status = command.status().map_err(|error| describe(command, &error.to_string()))?;
    if status.success() { Ok(()) } else { Err(describe(command, &status.to_string()).into()) }
}

/// Runs a program and returns what it wrote (standard output, then standard error).
pub fn read(command: &mut Command) -> Outcome<String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| describe(command, &error.to_string()))?;
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        Ok(text)
    } else {
        Err(describe(command, &format!("{}\n{text}", output.status)).into())
    }
}

fn describe(command: &Command, outcome: &str) -> String {
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
    format!("{} {}: {outcome}", command.get_program().to_string_lossy(), arguments.join(" "))
}
