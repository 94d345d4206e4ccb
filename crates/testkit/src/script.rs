//! Prometheus' test scripts (`.test` files): read, run against the engine, and compared.
//!
//! The way of a script: [`parse`] makes [`Command`]s of its lines (`load`, `clear`, `eval`); [`run`] applies them in
//! order to a [`Dataset`](crate::dataset::Dataset), has a [`Storage`](crate::storage::Storage) make a source of it,
//! evaluates, and compares what comes out with what the script expects. An instant `eval` is run again in several ways
//! in which its result must be the same ([`Mode`]).
//!
//! The language is that of Prometheus 3.14 (`promql/promqltest`), deprecated spellings included; a script that breaks
//! its rules is a [`ScriptError`], as against an `eval` that fails.

mod answer;
mod compare;
mod eval;
mod expectation;
mod histogram;
mod load;
mod nhcb;
mod notes;
mod number;
mod parse;
mod pin;
mod run;
mod series;
mod starts;
#[cfg(test)]
mod tests;

pub use eval::{Eval, EvalTime};
pub use expectation::Expectation;
pub use load::Load;
pub use parse::{Command, ScriptError, parse};
pub use run::{Case, Failure, Mode, engine, load, run};
