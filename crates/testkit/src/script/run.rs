//! Runs scripts.

use super::answer::Answer;
use super::eval::{Eval, EvalTime};
use super::parse::{Command, ScriptError, parse};
use super::pin;
use crate::dataset::Dataset;
use crate::storage::Storage;
use futures::executor::block_on;
use longhaul_promql::source::SeriesSource;
use longhaul_promql::{Budget, Engine, EngineSettings, QueryError, QueryRequest, QueryResult};
use std::fmt;
use std::sync::Arc;

/// The first way of evaluating a query in which it did not yield what is expected.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The way.
    pub mode: Mode,
    /// The query that was run; in some ways it is another one than the script's.
    pub query: String,
    /// What is wrong.
    pub reason: String,
}

/// How a query is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Not at all.
    Unevaluated,
    /// As the script says, an instant query.
    Instant,
    /// As an instant query at this time, ms, with all selectors pinned to the script's time.
    At(i64),
    /// As the script says, a range query.
    Range,
    /// Around the time of an instant query, ms, as a range query whose middle step must yield the same.
    Around(i64),
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unevaluated => f.write_str("not evaluated"),
            Self::Instant => f.write_str("instant"),
            Self::At(t_ms) => write!(f, "pinned, at {t_ms} ms"),
            Self::Range => f.write_str("range"),
            Self::Around(t_ms) => write!(f, "range around {t_ms} ms"),
        }
    }
}

/// An engine with the settings that the scripts assume.
pub fn engine() -> Engine {
    Engine::new(EngineSettings { delayed_name_removal: true, use_start_timestamps: true, ..EngineSettings::default() })
}

/// A case: an `eval` with what became of it in each way of storing the samples.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its line in the script, from 1 on.
    pub line: usize,
    /// Its query.
    pub query: String,
    /// The ways in which it failed, by [`Storage::name`].
    pub failures: Vec<(&'static str, Failure)>,
}

/// Runs a script with its samples stored in several ways; of its `eval`s those whose lines `wanted` accepts.
///
/// # Errors
/// If the script breaks the rules of the language.
pub fn run(
    script: &str,
    engine: &Engine,
    ways: &[&dyn Storage],
    wanted: impl Fn(usize) -> bool,
) -> Result<Vec<Case>, ScriptError> {
    let mut data = Dataset::default();
    let mut sources: Vec<Option<Result<Arc<dyn SeriesSource>, String>>> = vec![None; ways.len()];
    let mut cases = Vec::new();
    for (line, command) in parse(script)? {
        match command {
            Command::Clear => (data, sources) = (Dataset::default(), vec![None; ways.len()]),
            Command::Load(load) => {
                load.apply(&mut data).map_err(|reason| ScriptError { line, reason })?;
                sources = vec![None; ways.len()];
            }
            Command::Eval(eval) if wanted(line) => {
                let mut failures = Vec::new();
                for (way, source) in ways.iter().zip(&mut sources) {
                    let source = source.get_or_insert_with(|| way.store(&data));
                    failures.extend(evaluate(&eval, engine, source).err().map(|failure| (way.name(), failure)));
                }
                cases.push(Case { line, query: eval.query, failures });
            }
            Command::Eval(_) => {}
        }
    }
    Ok(cases)
}

/// What a script without an `eval` loads.
///
/// # Errors
/// If the script breaks the rules of the language.
pub fn load(script: &str) -> Result<Dataset, ScriptError> {
    let mut data = Dataset::default();
    for (line, command) in parse(script)? {
        let error = |reason: String| ScriptError { line, reason };
        match command {
            Command::Clear => data = Dataset::default(),
            Command::Load(load) => load.apply(&mut data).map_err(error)?,
            Command::Eval(_) => return Err(error("here samples are loaded, and nothing else".to_owned())),
        }
    }
    Ok(data)
}

struct Queries<'a> {
    engine: &'a Engine,
    source: Arc<dyn SeriesSource>,
}

impl Queries<'_> {
    fn run(&self, request: &QueryRequest) -> Result<QueryResult, QueryError> {
        block_on(self.engine.run(self.source.clone(), request, &Budget::unlimited()))
    }
}

fn evaluate(eval: &Eval, engine: &Engine, source: &Result<Arc<dyn SeriesSource>, String>) -> Result<(), Failure> {
    let queries = &match source {
        Ok(source) => Queries { engine, source: source.clone() },
        Err(why) => {
            let reason = format!("the samples cannot be stored: {why}");
            return Err(Failure { mode: Mode::Unevaluated, query: eval.query.clone(), reason });
        }
    };
    let at_ms = match eval.time {
        EvalTime::Instant { at_ms } => at_ms,
        EvalTime::Range { start_ms, end_ms, step_ms } => {
            let request = QueryRequest::range(&eval.query, start_ms, end_ms, step_ms);
            return check(eval, &request, Mode::Range, queries).map(drop);
        }
    };
    instant(eval, &eval.query, at_ms, Mode::Instant, queries)?;
    if let Some(pinned) = pin::pinned(&eval.expr, at_ms) {
        let query = pinned.to_string();
        pin::times_ms(at_ms).into_iter().try_for_each(|t_ms| instant(eval, &query, t_ms, Mode::At(t_ms), queries))?;
    }
    Ok(())
}

/// An instant query, and a range query around it.
fn instant(eval: &Eval, query: &str, t_ms: i64, mode: Mode, queries: &Queries<'_>) -> Result<(), Failure> {
    let answer = check(eval, &QueryRequest::instant(query, t_ms), mode, queries)?;
    let by_context = ["start()", "end()", "range()", "step()"].iter().any(|call| query.contains(call));
    let Some(answer) = answer.filter(|_| !by_context && !eval.expected.instant_only()) else { return Ok(()) };
    let fail = |reason: String| Failure { mode: Mode::Around(t_ms), query: query.to_owned(), reason };
    let around = QueryRequest::range(query, t_ms - 60_000, t_ms + 60_000, 60_000);
    let result = queries.run(&around).map_err(|error| fail(error.to_string()))?;
    if eval.expected.ordered {
        return Ok(()); // series of a range query stand in label order
    }
    let there = Answer::from(result.value);
    there.check_order().map_err(fail)?;
    let mut there = there.at(t_ms);
    if matches!(answer, Answer::Scalar(_)) {
        there = there.into_scalar();
    }
    eval.expected.check_answer(&there, eval.time).map_err(fail)
}

/// Runs a query and compares; returns its answer, or None if it failed as it should.
fn check(eval: &Eval, request: &QueryRequest, mode: Mode, queries: &Queries<'_>) -> Result<Option<Answer>, Failure> {
    let fail = |reason: String| Failure { mode, query: request.text.to_string(), reason };
    let result = match (queries.run(request), &eval.expected.fails) {
        (Ok(result), None) => result,
        (Ok(result), Some(_)) => return Err(fail(format!("should fail, yields{}", Answer::from(result.value)))),
        (Err(error), None) => return Err(fail(format!("fails: {error}"))),
        (Err(error), Some(expected)) => {
            let error = error.to_string();
            let met = expected.matches(&error);
            return if met { Ok(None) } else { Err(fail(format!("fails with {error:?}, expected is {expected}"))) };
        }
    };
    eval.expected.check_notes(&result).map_err(fail)?;
    let answer = Answer::from(result.value);
    eval.expected.check_answer(&answer, eval.time).map_err(fail)?;
    Ok(Some(answer))
}
