//! The lines of a script as commands.

use super::eval::{self, Eval};
use super::load::{self, Load};

/// A command.
#[derive(Clone, Debug)]
pub enum Command {
    /// Drop everything that was loaded.
    Clear,
    /// Add samples.
    Load(Load),
    /// Evaluate and compare.
    Eval(Box<Eval>),
}

/// The script breaks the rules of its language; nothing of it can be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ScriptError {
    /// Where, from 1 on.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

/// The commands of a script with the lines, from 1 on, where they begin.
pub fn parse(script: &str) -> Result<Vec<(usize, Command)>, ScriptError> {
    let lines: Vec<&str> =
        script.split('\n').map(str::trim).map(|line| if line.starts_with('#') { "" } else { line }).collect();
    let mut commands = Vec::new();
    let mut at = 0;
    while let Some(head) = lines.get(at) {
        let error = |(offset, reason): (usize, String)| ScriptError { line: at + 1 + offset, reason };
        let block = &lines[at + 1..];
        let block = &block[..block.iter().position(|line| line.is_empty()).unwrap_or(block.len())];
        let word = head.split_whitespace().next().unwrap_or("").to_lowercase();
        let mut length = 1;
        if word == "clear" {
            commands.push((at + 1, Command::Clear));
        } else if word.starts_with("load") {
            commands.push((at + 1, Command::Load(load::load(head, block).map_err(error)?)));
            length += block.len();
        } else if word.starts_with("eval") {
            let (eval, lines) = eval::eval(head, block).map_err(error)?;
            commands.push((at + 1, Command::Eval(Box::new(eval))));
            length += lines;
        } else if !head.is_empty() {
            return Err(error((0, format!("there is no command {head:?}"))));
        }
        at += length;
    }
    Ok(commands)
}
