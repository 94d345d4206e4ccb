//! Prometheus' own test scripts, as far as they are about floats: every `eval` is run, and the number that passes is
//! pinned. Scripts are read as `promqltest/INDEX.md` describes them; native histograms in them are passed over.

use crate::conformance;
use futures::executor::block_on;
use longhaul_model::{Labels, MatchOp, STALE_NAN_BITS, Sample, is_stale};
use longhaul_promql::memory::MemorySource;
use longhaul_promql::value::{InstantSample, RangeSeries};
use longhaul_promql::{
    Budget, Engine, EngineSettings, ParseOptions, QueryError, QueryRequest, QueryResult, Value, parse_selector,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Evals that pass: all that need neither native histograms nor start timestamps, and some that do. Grows until it is all
/// of them.
const PASSING: usize = 962;

#[test]
fn scripts_of_prometheus() {
    let Some(folder) = conformance("promqltest") else { return };
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "test"));
    files.sort();
    let engine = Engine::new(EngineSettings { delayed_name_removal: true, ..EngineSettings::default() });
    let (mut passed, mut evals) = (0, 0);
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut script = Script { engine: &engine, data: BTreeMap::new() };
        let failures = script.run(&std::fs::read_to_string(&path).unwrap());
        for failure in &failures.failed {
            println!("{name}:{failure}");
        }
        println!("{name}: {} of {}", failures.evals - failures.failed.len(), failures.evals);
        passed += failures.evals - failures.failed.len();
        evals += failures.evals;
    }
    println!("{passed} of {evals}");
    assert!(passed >= PASSING, "{passed} of {evals} evals pass, {PASSING} did");
}

#[derive(Default)]
struct Outcome {
    evals: usize,
    failed: Vec<String>,
}

struct Script<'a> {
    engine: &'a Engine,
    data: BTreeMap<Labels, BTreeMap<i64, f64>>,
}

/// What an eval expects.
#[derive(Default)]
struct Expected {
    fail: Option<String>,
    warn: Vec<String>,
    info: Vec<String>,
    no_warn: bool,
    no_info: bool,
    ordered: bool,
    string: Option<String>,
    scalar: Option<f64>,
    range_vector: Option<(i64, i64)>,
    series: Vec<(Labels, Vec<Option<f64>>)>,
    histograms: bool,
}

impl Script<'_> {
    fn run(&mut self, text: &str) -> Outcome {
        let clean = |line: &str| if line.trim().starts_with('#') { String::new() } else { line.trim().to_owned() };
        let lines: Vec<String> = text.lines().map(clean).collect();
        let (mut at, mut outcome) = (0, Outcome::default());
        while at < lines.len() {
            let head = lines[at].as_str();
            let block: Vec<&str> =
                lines[at + 1..].iter().map(String::as_str).take_while(|line| !line.is_empty()).collect();
            let word = head.split_whitespace().next().unwrap_or("").to_lowercase();
            if word == "clear" {
                self.data.clear();
                at += 1;
                continue;
            } else if word.starts_with("load") {
                self.load(duration(head.split_whitespace().nth(1).unwrap()), &block);
            } else if word.starts_with("eval") {
                outcome.evals += 1;
                if let Err(why) = self.eval(&word, head, &block) {
                    outcome.failed.push(format!("{} {head}: {why}", at + 1));
                }
            } else {
                at += 1;
                continue;
            }
            at += 1 + block.len();
        }
        outcome
    }

    fn load(&mut self, interval_ms: i64, block: &[&str]) {
        for line in block.iter().filter(|line| !line.contains("@st")) {
            let (metric, values) = split_series(line);
            let Some(labels) = labels(metric) else { panic!("unreadable series {line}") };
            let Some(values) = values_of(values) else { continue };
            let samples = self.data.entry(labels).or_default();
            for (number, value) in values.into_iter().enumerate() {
                if let Some(value) = value {
                    samples.insert(number as i64 * interval_ms, value);
                }
            }
        }
    }

    fn source(&self) -> Arc<MemorySource> {
        let series: Vec<(Labels, Vec<Sample>)> = self
            .data
            .iter()
            .map(|(labels, samples)| (labels.clone(), samples.iter().map(|(t, v)| Sample::new(*t, *v)).collect()))
            .collect();
        Arc::new(MemorySource::from_samples(series.iter().map(|(labels, all)| (labels.clone(), all.as_slice()))))
    }

    fn eval(&self, word: &str, head: &str, block: &[&str]) -> Result<(), String> {
        let mut expected = Expected { ordered: word.ends_with("_ordered"), ..Expected::default() };
        match word {
            "eval_fail" => expected.fail = Some(String::new()),
            "eval_warn" => expected.warn.push(String::new()),
            "eval_info" => expected.info.push(String::new()),
            _ => {}
        }
        block.iter().for_each(|line| expected.read(line));
        let words: Vec<&str> = head.split_whitespace().collect();
        let rest = |from: usize| {
            let mut rest = head;
            for _ in 0..from {
                rest = rest.trim_start().split_once(char::is_whitespace).map_or("", |(_, rest)| rest);
            }
            rest.trim()
        };
        let request = if words[1] == "range" {
            QueryRequest::range(rest(8), duration(words[3]), duration(words[5]), duration(words[7]))
        } else {
            QueryRequest::instant(rest(4), duration(words[3]))
        };
        let source = self.source();
        let result = block_on(self.engine.run(source.clone(), &request, &Budget::unlimited()));
        expected.check(&request, &result)?;
        // The same at one step of a range query, as the reference runner does it.
        let text = &request.text;
        let by_time = ["start()", "end()", "step()", "range()"].iter().any(|word| text.contains(word));
        if let Ok(QueryResult { value: Value::Vector(vector), .. }) = &result
            && request.is_instant()
            && !expected.ordered
            && !by_time
        {
            let t_ms = request.start_ms;
            let around = QueryRequest::range(text, t_ms - 60_000, t_ms + 60_000, 60_000);
            let Ok(QueryResult { value: Value::Matrix(matrix), .. }) =
                block_on(self.engine.run(source, &around, &Budget::unlimited()))
            else {
                return Err("fails as a range query".to_owned());
            };
            let at = |series: &RangeSeries| {
                let step = series.points.t_ms.iter().position(|t| *t == t_ms)?;
                Some((series.labels.clone(), series.points.values[step]))
            };
            let float = |one: &InstantSample| Some((one.labels.clone(), one.value.float()?));
            let instant: BTreeMap<Labels, f64> = vector.iter().filter_map(float).collect();
            let range: BTreeMap<Labels, f64> = matrix.iter().filter_map(at).collect();
            let equal = instant.len() == range.len()
                && instant.iter().all(|(labels, value)| range.get(labels).is_some_and(|other| same(*value, *other)));
            if !equal {
                return Err(format!("as a range query: {range:?}, not {instant:?}"));
            }
        }
        Ok(())
    }
}

impl Expected {
    fn read(&mut self, line: &str) {
        if let Some(directive) = line.strip_prefix("expect ") {
            let (word, rest) = directive.trim().split_once(char::is_whitespace).unwrap_or((directive.trim(), ""));
            let rest = rest.trim();
            match word {
                "fail" => self.fail = Some(rest.to_owned()),
                "warn" => self.warn.push(rest.to_owned()),
                "info" => self.info.push(rest.to_owned()),
                "no_warn" => self.no_warn = true,
                "no_info" => self.no_info = true,
                "ordered" => self.ordered = true,
                "string" => self.string = Some(rest[1..rest.len() - 1].to_owned()),
                "range" => {
                    let words: Vec<&str> = rest.split_whitespace().collect();
                    self.range_vector = Some((duration(words[2]), duration(words[6])));
                }
                _ => panic!("unknown expectation {line}"),
            }
        } else if let (Some(value), false) = (number(line), line.contains('{')) {
            self.scalar = Some(value);
        } else {
            let (metric, values) = split_series(line);
            match (labels(metric), values_of(values)) {
                (Some(labels), Some(values)) => self.series.push((labels, values)),
                _ => self.histograms = true,
            }
        }
    }

    fn check(&self, request: &QueryRequest, result: &Result<QueryResult, QueryError>) -> Result<(), String> {
        if self.histograms {
            return Err("expects histograms".to_owned());
        }
        let result = match (result, &self.fail) {
            (Err(error), Some(text)) => return noted(std::slice::from_ref(text), &[error.to_string()]),
            (Ok(result), None) => result,
            (Err(error), None) => return Err(error.to_string()),
            (Ok(result), Some(_)) => return Err(format!("should fail, yields {:?}", result.value)),
        };
        noted(&self.warn, &result.warnings)?;
        noted(&self.info, &result.infos)?;
        if (self.no_warn && !result.warnings.is_empty()) || (self.no_info && !result.infos.is_empty()) {
            return Err(format!("unexpected {:?} {:?}", result.warnings, result.infos));
        }
        let wrong = || Err(format!("{:?} should be {:?}", result.value, self.series));
        match &result.value {
            Value::String { value, .. } if self.string.as_ref() == Some(value) => Ok(()),
            Value::Scalar { value, .. } if self.scalar.is_some_and(|scalar| same(scalar, *value)) => Ok(()),
            Value::String { .. } | Value::Scalar { .. } => wrong(),
            Value::Vector(vector) => {
                let find = |labels: &Labels| vector.iter().position(|one| one.labels == *labels);
                let good = |(number, (labels, values)): (usize, &(Labels, Vec<Option<f64>>))| {
                    let at = find(labels);
                    let value = values[0];
                    let found = at.and_then(|at| vector[at].value.float());
                    found.zip(value).is_some_and(|(found, value)| same(value, found))
                        && (!self.ordered || at == Some(number))
                };
                let all = self.series.len() == vector.len() && self.series.iter().enumerate().all(good);
                if all { Ok(()) } else { wrong() }
            }
            Value::Matrix(matrix) => {
                let (start_ms, step_ms) = self.range_vector.unwrap_or((request.start_ms, request.step_ms));
                let mut expected: Vec<_> = self.series.iter().collect();
                expected.retain(|(_, values)| values.iter().any(Option::is_some));
                let good = |(labels, values): &&(Labels, Vec<Option<f64>>)| {
                    let points =
                        values.iter().enumerate().filter_map(|(n, v)| Some((start_ms + n as i64 * step_ms, (*v)?)));
                    let points: Vec<(i64, f64)> = points.collect();
                    matrix.iter().any(|series| {
                        series.labels == *labels
                            && series.points.t_ms.len() == points.len()
                            && points
                                .iter()
                                .zip(series.points.t_ms.iter().zip(&series.points.values))
                                .all(|((expected_t, expected), (t, value))| expected_t == t && same(*expected, *value))
                    })
                };
                let sorted = matrix.is_sorted_by(|a, b| a.labels < b.labels);
                if sorted && expected.len() == matrix.len() && expected.iter().all(good) { Ok(()) } else { wrong() }
            }
        }
    }
}

/// Every expectation is met by a text, and every text by an expectation, if there is any.
fn noted(expected: &[String], texts: &[String]) -> Result<(), String> {
    let meets = |expected: &String, text: &String| match expected.split_once(':') {
        Some(("msg", message)) => message.trim() == text,
        Some(("regex", _)) | None => true,
        _ => false,
    };
    let all = expected.iter().all(|one| texts.iter().any(|text| meets(one, text)))
        && (expected.is_empty() || texts.iter().all(|text| expected.iter().any(|one| meets(one, text))));
    if all { Ok(()) } else { Err(format!("{texts:?} should be {expected:?}")) }
}

fn same(a: f64, b: f64) -> bool {
    if is_stale(a) || is_stale(b) {
        return is_stale(a) && is_stale(b);
    }
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let sum = a.abs() + b.abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return (a - b).abs() < 1e-6 * f64::MIN_POSITIVE;
    }
    (a - b).abs() / sum.min(f64::MAX) < 1e-6
}

/// `10s53ms`, in milliseconds.
fn duration(text: &str) -> i64 {
    let mut total = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: i64 = rest[..digits].parse().unwrap();
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        total += number
            * match &rest[..unit] {
                "ms" => 1,
                "s" | "" => 1000,
                "m" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                "w" => 7 * 86_400_000,
                "y" => 365 * 86_400_000,
                other => panic!("unknown unit {other}"),
            };
        rest = &rest[unit..];
    }
    total
}

/// The metric and the values of a series line.
fn split_series(line: &str) -> (&str, &str) {
    let (mut quote, mut depth) = (None, 0);
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') => depth -= 1,
            (None, c) if depth == 0 && c.is_whitespace() => {
                let (metric, values) = line.split_at(at);
                // A space may stand before the braces.
                if !metric.contains('{')
                    && values.trim_start().starts_with('{')
                    && !values.trim_start().starts_with("{{")
                {
                    continue;
                }
                return (metric, values);
            }
            _ => {}
        }
    }
    (line, "")
}

fn labels(metric: &str) -> Option<Labels> {
    if metric.trim() == "{}" {
        return Some(Labels::empty());
    }
    let matchers = parse_selector(metric, &ParseOptions::default()).ok()?;
    assert!(matchers.iter().all(|matcher| matcher.op == MatchOp::Equal));
    Some(Labels::from_pairs(matchers.iter().map(|matcher| (matcher.name.as_str(), matcher.value.as_str()))))
}

/// The values of a series line, None for what is left out. None altogether: there are histograms among them.
fn values_of(text: &str) -> Option<Vec<Option<f64>>> {
    let mut values = Vec::new();
    if text.contains("{{") {
        return None;
    }
    for item in text.split_whitespace() {
        let (item, times) = match item.rsplit_once('x') {
            Some((item, times)) if !times.is_empty() => (item, times.parse::<usize>().ok()?),
            _ => (item, 0),
        };
        if item == "_" {
            values.extend(vec![None; times.max(1)]);
            continue;
        }
        if item == "stale" {
            values.extend(vec![Some(f64::from_bits(STALE_NAN_BITS)); times + 1]);
            continue;
        }
        let step_at =
            item.char_indices().skip(1).filter(|(at, c)| matches!(c, '+' | '-') && !item[..*at].ends_with(['e', 'E']));
        let (mut value, step) = match step_at.map(|(at, _)| at).next() {
            Some(at) => (number(&item[..at])?, number(&item[at..])?),
            None => (number(item)?, 0.0),
        };
        values.push(Some(value));
        for _ in 0..times {
            value += step;
            values.push(Some(value));
        }
    }
    Some(values)
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}
