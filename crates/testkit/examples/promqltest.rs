//! Runs Prometheus' test scripts: what `cargo xtask promqltest` starts.
#![expect(clippy::print_stdout, reason = "a developer's tool, not the product")]

use longhaul_testkit::script::{self, Case};
use longhaul_testkit::storage::{self, Storage};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
usage: promqltest [--way memory|head|block]... PATH[:LINE]...

Runs every eval of the .test files, or of those in a folder, with its samples in memory, in a head and in a block; with
:LINE the eval that begins there. A case passes if it does in all ways.";

/// What was asked for: scripts, each with the lines that are wanted (none: all), and the ways.
#[derive(Default)]
struct Request {
    scripts: BTreeMap<PathBuf, Vec<usize>>,
    ways: Vec<&'static dyn Storage>,
}

fn main() -> ExitCode {
    match Request::read(std::env::args().skip(1)).and_then(|request| run(&request)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

impl Request {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut request = Self::default();
        while let Some(argument) = arguments.next() {
            if argument == "--way" {
                let name = arguments.next().unwrap_or_default();
                let way = storage::ALL.iter().find(|way| way.name() == name).ok_or(USAGE)?;
                request.ways.push(*way);
            } else if argument.starts_with("--") {
                return Err(USAGE.into());
            } else {
                request.add(&argument)?;
            }
        }
        if request.ways.is_empty() {
            request.ways = storage::ALL.to_vec();
        }
        if request.scripts.is_empty() { Err(USAGE.into()) } else { Ok(request) }
    }

    fn add(&mut self, argument: &str) -> Result<(), Box<dyn Error>> {
        let (path, line) = match argument.rsplit_once(':').map(|(path, line)| (path, line.parse::<usize>())) {
            Some((path, Ok(line))) => (Path::new(path), Some(line)),
            _ => (Path::new(argument), None),
        };
        if !path.is_dir() {
            self.scripts.entry(path.to_owned()).or_default().extend(line);
            return Ok(());
        }
        for entry in std::fs::read_dir(path).map_err(|error| format!("{}: {error}", path.display()))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "test") {
                self.scripts.entry(path).or_default();
            }
        }
        Ok(())
    }
}

/// True if everything passed.
fn run(request: &Request) -> Result<bool, Box<dyn Error>> {
    let engine = script::engine();
    let (mut passed, mut failed) = (0, 0);
    let mut by_way = vec![0; request.ways.len()];
    for (path, lines) in &request.scripts {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let cases = match script::run(&text, &engine, &request.ways, |line| lines.is_empty() || lines.contains(&line)) {
            Ok(cases) => cases,
            Err(error) => {
                println!("{}:{}: not a script: {}", path.display(), error.line, error.reason);
                failed += 1;
                continue;
            }
        };
        cases.iter().for_each(|case| print(path, case));
        let whole = cases.iter().filter(|case| case.failures.is_empty()).count();
        for (way, count) in request.ways.iter().zip(&mut by_way) {
            let fails = |case: &&Case| case.failures.iter().any(|(name, _)| *name == way.name());
            *count += cases.len() - cases.iter().filter(fails).count();
        }
        println!("{}: {whole} of {}", path.display(), cases.len());
        passed += whole;
        failed += cases.len() - whole;
    }
    for (way, count) in request.ways.iter().zip(&by_way) {
        println!("{}: {count} of {}", way.name(), passed + failed);
    }
    println!("{passed} passed, {failed} failed");
    Ok(failed == 0 && passed > 0)
}

fn print(path: &Path, case: &Case) {
    if case.failures.is_empty() {
        return;
    }
    println!("{}:{}: {}", path.display(), case.line, case.query);
    let mut before: Option<String> = None;
    for (way, failure) in &case.failures {
        let pinned = if failure.query == case.query { String::new() } else { format!(": {}", failure.query) };
        let text = format!("{}{pinned}\n  {}", failure.mode, failure.reason);
        match before.as_ref() {
            Some(before) if *before == text => println!("  {way}: the same"),
            _ => println!("  {way}, {text}"),
        }
        before = Some(text);
    }
}
