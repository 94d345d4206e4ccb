//! `eval` blocks: a query, when it is evaluated, and what is expected of it.

use super::expectation::{Expectation, Taken};
use super::load::LineError;
use super::number::duration;
use longhaul_promql::ast::Expr;
use longhaul_promql::{ParseOptions, parse};

/// An evaluation.
#[derive(Clone, Debug)]
pub struct Eval {
    /// The query as written.
    pub query: String,
    /// The query, parsed.
    pub expr: Expr,
    /// When it is evaluated.
    pub time: EvalTime,
    /// What is expected.
    pub expected: Expectation,
}

/// When a query is evaluated; all in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum EvalTime {
    /// Once.
    Instant { at_ms: i64 },
    /// Step by step, both ends included.
    Range { start_ms: i64, end_ms: i64, step_ms: i64 },
}

/// Reads the first line of a block and as many of the others as belong to it; returns how many those are.
pub fn eval(head: &str, block: &[&str]) -> Result<(Eval, usize), LineError> {
    let in_head = |why: String| (0, why);
    let (command, rest) = word(head);
    let (kind, rest) = word(rest);
    let suffix = match (command.strip_prefix("eval"), kind) {
        (Some(suffix @ ("" | "_fail" | "_warn" | "_info")), "instant" | "range") => suffix,
        (Some(suffix @ "_ordered"), "instant") => suffix,
        _ => {
            return Err((
                0,
                "neither eval instant at <time> <query> nor eval range from <start> to <end> step <step> <query>"
                    .to_owned(),
            ));
        }
    };
    let (time, query) = if kind == "instant" { instant(rest) } else { range(rest) }.map_err(in_head)?;
    let expr = parse(query, &ParseOptions::default()).map_err(|error| in_head(error.to_string()))?;
    let mut expected = Expectation::new(suffix);
    let mut lines = block.len();
    for (index, line) in block.iter().enumerate() {
        let taken = expected.take(line, time).map_err(|why| (index + 1, why))?;
        if taken == Taken::Last {
            lines = index + 1;
            break;
        }
    }
    Ok((Eval { query: query.to_owned(), expr, time, expected }, lines))
}

/// `at <time> <query>`
fn instant(text: &str) -> Result<(EvalTime, &str), String> {
    let (at_ms, query) = keyword(text, "at")?;
    Ok((EvalTime::Instant { at_ms }, query))
}

/// `from <start> to <end> step <step> <query>`
fn range(text: &str) -> Result<(EvalTime, &str), String> {
    let (start_ms, rest) = keyword(text, "from")?;
    let (end_ms, rest) = keyword(rest, "to")?;
    let (step_ms, query) = keyword(rest, "step")?;
    if end_ms < start_ms {
        return Err("the end is before the start".to_owned());
    }
    Ok((EvalTime::Range { start_ms, end_ms, step_ms }, query))
}

/// A keyword and the duration after it.
fn keyword<'a>(text: &'a str, keyword: &str) -> Result<(i64, &'a str), String> {
    let (found, rest) = word(text);
    if found != keyword {
        return Err(format!("{keyword} should stand before {text:?}"));
    }
    let (amount, rest) = word(rest);
    Ok((duration(amount)?, rest))
}

/// The first word, and what follows the spaces after it.
fn word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()));
    (word, rest.trim_start())
}
