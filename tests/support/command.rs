//! Runs of the binary that end by themselves.

use serde_json::Value;
use std::process::Command;

/// What a run of the binary gave.
pub struct Output {
    /// Whether it ended well.
    pub success: bool,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub error: String,
}

/// Runs the binary; it must not panic.
pub fn longhaul(arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_longhaul")).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    assert!(output.status.code().is_some_and(|code| code < 2), "{arguments:?}: {}", output.status);
    Output { success: output.status.success(), out: text(output.stdout), error: text(output.stderr) }
}

/// The standard output of a run that must succeed.
pub fn succeeds(arguments: &[&str]) -> String {
    let Output { success, out, error } = longhaul(arguments);
    assert!(success, "{arguments:?}: {error}\n{out}");
    out
}

/// The JSON documents of a run that must succeed.
pub fn documents(arguments: &[&str]) -> Vec<Value> {
    let all: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
    succeeds(&all).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The standard error of a run that must fail and say so itself.
pub fn fails(arguments: &[&str]) -> String {
    let Output { success, out, error } = longhaul(arguments);
    assert!(!success, "{arguments:?} succeeded: {out}");
    let said = error.lines().any(|line| line.starts_with("longhaul: "));
    assert!(said && !error.contains("panicked"), "{arguments:?}: {error}");
    error
}
