//! What an `eval` block expects: its lines, read, and the comparison with an answer.

use super::answer::{Answer, Series};
use super::compare::same;
use super::eval::EvalTime;
use super::notes::{NoteMatcher, check};
use super::number::{duration, number};
use super::series::{SeriesLine, Written, series_line};
use longhaul_promql::QueryResult;
use std::fmt;

/// What is expected of a query.
#[derive(Clone, Debug, Default)]
pub struct Expectation {
    /// The query fails, with an error that this describes.
    pub fails: Option<NoteMatcher>,
    /// Whether a line of the block said so.
    fails_by_line: bool,
    warnings: Vec<NoteMatcher>,
    infos: Vec<NoteMatcher>,
    some_warning: bool,
    some_info: bool,
    no_warning: bool,
    no_info: bool,
    /// The elements come in the order in which they are listed.
    pub ordered: bool,
    string: Option<String>,
    scalar: Option<f64>,
    range_vector: Option<Steps>,
    series: Vec<SeriesLine>,
}

/// Whether a block goes on after a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It does.
    More,
    /// It ends here; what follows is no part of it.
    Last,
}

/// Where the positions of series lines lie in time, ms.
#[derive(Clone, Copy, Debug)]
struct Steps {
    start_ms: i64,
    end_ms: i64,
    step_ms: i64,
}

impl Expectation {
    /// What the command says: `eval` with a suffix, which is a deprecated spelling of an expectation.
    pub fn new(suffix: &str) -> Self {
        Self {
            fails: (suffix == "_fail").then_some(NoteMatcher::Any),
            some_warning: suffix == "_warn",
            some_info: suffix == "_info",
            ordered: suffix == "_ordered",
            ..Self::default()
        }
    }

    /// Whether the value is one that no range query yields: a string, a range vector.
    pub fn instant_only(&self) -> bool {
        self.string.is_some() || self.range_vector.is_some()
    }

    /// Reads a line of the block.
    pub fn take(&mut self, line: &str, time: EvalTime) -> Result<Taken, String> {
        if self.fails.is_some() {
            for (word, kind) in [("expected_fail_message", "msg:"), ("expected_fail_regexp", "regex:")] {
                if let Some(text) = line.strip_prefix(word) {
                    self.fails = Some(NoteMatcher::parse(&format!("{kind}{text}"))?);
                    return Ok(Taken::Last);
                }
            }
        }
        if let Some(rest) = line.strip_prefix("expect range vector") {
            self.range_vector = Some(range_vector(rest)?);
        } else if let Some(rest) = line.strip_prefix("expect string") {
            self.string = Some(quoted(rest.trim_start())?);
        } else if line.split(' ').next() == Some("expect") {
            self.directive(line.trim_start_matches("expect").trim_start())?;
        } else if let Ok(value) = number(line) {
            self.scalar = Some(value);
            return Ok(Taken::Last);
        } else {
            self.one_series(series_line(line)?, time)?;
        }
        Ok(Taken::More)
    }

    fn directive(&mut self, directive: &str) -> Result<(), String> {
        let (word, rest) = directive.split_once(char::is_whitespace).unwrap_or((directive, ""));
        let note = NoteMatcher::parse(rest.trim_start())?;
        match word {
            "fail" if self.fails_by_line => return Err("a query fails once".to_owned()),
            "fail" => (self.fails, self.fails_by_line) = (Some(note), true),
            "warn" => self.warnings.push(note),
            "info" => self.infos.push(note),
            "no_warn" => self.no_warning = true,
            "no_info" => self.no_info = true,
            "ordered" => self.ordered = true,
            _ => return Err(format!("nothing is expected with {word:?}")),
        }
        if (self.no_warning && !self.warnings.is_empty()) || (self.no_info && !self.infos.is_empty()) {
            return Err(format!("{word} contradicts another expectation"));
        }
        Ok(())
    }

    fn one_series(&mut self, line: SeriesLine, time: EvalTime) -> Result<(), String> {
        let instant = matches!(time, EvalTime::Instant { .. }) && self.range_vector.is_none();
        if instant && !matches!(line.values[..], [Some(_)]) {
            return Err("an instant evaluation yields one value a series; see expect range vector".to_owned());
        }
        self.series.retain(|other| other.labels != line.labels);
        self.series.push(line);
        Ok(())
    }

    /// Compares the annotations of an answer.
    pub fn check_notes(&self, result: &QueryResult) -> Result<(), String> {
        check("warning", &self.warnings, self.some_warning, self.no_warning, &result.warnings)?;
        check("info", &self.infos, self.some_info, self.no_info, &result.infos)
    }

    /// Compares the value of an answer.
    pub fn check_answer(&self, answer: &Answer, time: EvalTime) -> Result<(), String> {
        answer
            .check_order()
            .and_then(|()| self.compare(answer, time))
            .map_err(|why| format!("{why}\n  expected:{self}\n  got:{answer}"))
    }

    fn compare(&self, answer: &Answer, time: EvalTime) -> Result<(), String> {
        match answer {
            Answer::String(value) => match &self.string {
                Some(expected) if expected == value => Ok(()),
                _ => Err("another string".to_owned()),
            },
            _ if self.string.is_some() => Err("no string".to_owned()),
            Answer::Scalar(value) => match self.scalar {
                Some(expected) if same(expected, *value) => Ok(()),
                Some(_) => Err("another number".to_owned()),
                None => Err("a scalar".to_owned()),
            },
            _ if self.scalar.is_some() => Err("no scalar".to_owned()),
            Answer::Vector(_) if self.range_vector.is_some() => Err("no range vector".to_owned()),
            Answer::Vector(series) => self.compare_series(series, None),
            Answer::Matrix(_) if self.ordered => Err("a range vector has no order of its own".to_owned()),
            Answer::Matrix(series) => {
                let steps = match (self.range_vector, time) {
                    (Some(steps), _) => steps,
                    (None, EvalTime::Range { start_ms, end_ms, step_ms }) => Steps { start_ms, end_ms, step_ms },
                    (None, EvalTime::Instant { .. }) => return Err("a range vector".to_owned()),
                };
                self.compare_series(series, Some(steps))
            }
        }
    }

    fn compare_series(&self, series: &[Series], steps: Option<Steps>) -> Result<(), String> {
        for (place, found) in series.iter().enumerate() {
            let expected = self.series.iter().position(|line| line.labels == found.labels);
            let Some(expected) = expected else { return Err(format!("unexpected {}", found.labels)) };
            if self.ordered && expected != place {
                return Err(format!("{} comes as number {}", found.labels, place + 1));
            }
            compare_points(&self.series[expected], found, steps).map_err(|why| format!("{}: {why}", found.labels))?;
        }
        let missing = self.series.iter().find(|line| series.iter().all(|found| found.labels != line.labels));
        missing.map_or(Ok(()), |line| Err(format!("{} is missing", line.labels)))
    }
}

fn compare_points(expected: &SeriesLine, found: &Series, steps: Option<Steps>) -> Result<(), String> {
    let time = |position: usize| steps.map(|steps| steps.start_ms + position as i64 * steps.step_ms);
    if let (Some(steps), Some(last_ms)) = (steps, time(expected.values.len().saturating_sub(1)))
        && last_ms > steps.end_ms
    {
        return Err(format!("{} points do not fit", expected.values.len()));
    }
    let wanted = expected.values.iter().enumerate().filter_map(|(at, value)| Some((time(at), value.as_ref()?)));
    let wanted: Vec<(Option<i64>, &Written)> = wanted.collect();
    for ((t_ms, wanted), point) in wanted.iter().zip(&found.points) {
        if let Some(t_ms) = t_ms
            && *t_ms != point.t_ms
        {
            return Err(format!("there is a point at {} ms, expected is one at {t_ms} ms", point.t_ms));
        }
        wanted.compare(&point.value).map_err(|why| format!("at {} ms {why}", point.t_ms))?;
    }
    match wanted.len() == found.points.len() {
        true => Ok(()),
        false => Err(format!("{} points instead of {}", found.points.len(), wanted.len())),
    }
}

/// ` from <start> to <end> step <step>`
fn range_vector(text: &str) -> Result<Steps, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words[..] {
        ["from", start, "to", end, "step", step] => {
            let steps = Steps { start_ms: duration(start)?, end_ms: duration(end)?, step_ms: duration(step)? };
            if steps.end_ms < steps.start_ms { Err("the end is before the start".to_owned()) } else { Ok(steps) }
        }
        _ => Err("expect range vector from <start> to <end> step <step>".to_owned()),
    }
}

/// A string in double quotes or backquotes.
fn quoted(text: &str) -> Result<String, String> {
    use longhaul_promql::ast::ExprKind;
    let parsed = longhaul_promql::parse(text, &longhaul_promql::ParseOptions::default()).map(|expr| expr.kind);
    match parsed {
        Ok(ExprKind::String(value)) if !text.starts_with('\'') => Ok(value.as_str().to_owned()),
        _ => Err("a quoted string is expected".to_owned()),
    }
}

/// As a script would write it, line by line, each after a line break.
impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(value) = &self.string {
            write!(f, "\n    {value:?}")?;
        }
        if let Some(value) = self.scalar {
            write!(f, "\n    {value}")?;
        }
        for line in &self.series {
            write!(f, "\n    {}", line.labels)?;
            for value in &line.values {
                match value {
                    None => f.write_str(" _")?,
                    Some(value) => write!(f, " {value}")?,
                }
            }
        }
        Ok(())
    }
}
