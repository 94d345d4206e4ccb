//! Series lines, `metric{labels} values`: in `load` blocks what is stored, in `eval` blocks what is expected.

use super::histogram;
use super::number::{count, number, number_length};
use longhaul_model::{FloatHistogram, Labels, MatchOp, STALE_NAN_BITS};
use longhaul_promql::{ParseOptions, parse_selector};
use std::sync::Arc;

/// A value as a series line has it.
#[derive(Clone, Debug)]
pub enum Written {
    /// A number, or the stale marker.
    Float(f64),
    /// A native histogram.
    Histogram {
        /// What it says.
        histogram: Arc<FloatHistogram>,
        /// Whether it was said what is known about counter resets; if not, that is not compared.
        hint_given: bool,
    },
}

/// A series line: the labels, and a value or a gap for every position.
#[derive(Clone, Debug)]
pub struct SeriesLine {
    /// The labels.
    pub labels: Labels,
    /// The values, None where one is left out.
    pub values: Vec<Option<Written>>,
}

/// Reads a series line.
pub fn series_line(line: &str) -> Result<SeriesLine, String> {
    let (metric, values) = split(line);
    Ok(SeriesLine { labels: metric_labels(metric)?, values: sequence(values)? })
}

/// The labels that a metric is written with.
pub fn metric_labels(metric: &str) -> Result<Labels, String> {
    let matchers = parse_selector(metric, &ParseOptions::default()).map_err(|error| format!("{metric}: {error}"))?;
    if matchers.iter().any(|matcher| matcher.op != MatchOp::Equal) {
        return Err(format!("{metric}: a series' labels are written with ="));
    }
    Ok(Labels::from_pairs(matchers.iter().map(|matcher| (matcher.name.as_str(), matcher.value.as_str()))))
}

/// The metric and the values of a line. Spaces may stand within the braces of a metric, and before them.
fn split(line: &str) -> (&str, &str) {
    let (mut quote, mut depth, mut escaped) = (None, 0, false);
    for (at, c) in line.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(open) => {
                escaped = c == '\\' && open != '`';
                quote = quote.filter(|open| *open != c);
            }
            None => match c {
                '"' | '\'' | '`' => quote = Some(c),
                '{' => depth += 1,
                '}' => depth -= 1,
                _ if depth == 0 && c.is_whitespace() => {
                    let (metric, values) = line.split_at(at);
                    let next = values.trim_start();
                    if metric.contains('{') || !next.starts_with('{') || next.starts_with("{{") {
                        return (metric, values);
                    }
                }
                _ => {}
            },
        }
    }
    (line, "")
}

/// The values of a series line.
fn sequence(text: &str) -> Result<Vec<Option<Written>>, String> {
    let (mut values, mut rest) = (Vec::new(), text.trim_start());
    while !rest.is_empty() {
        let (one, after) = rest.split_at(item_length(rest));
        item(one, &mut values).map_err(|why| format!("{one}: {why}"))?;
        rest = after.trim_start();
    }
    Ok(values)
}

/// The length of the first item: up to a space outside of a histogram.
fn item_length(text: &str) -> usize {
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let space = rest.find(char::is_whitespace).unwrap_or(rest.len());
        match rest.find("{{").filter(|open| *open < space) {
            Some(open) => match rest[open..].find("}}") {
                Some(close) => at += open + close + 2,
                None => return text.len(),
            },
            None => return at + space,
        }
    }
}

/// Appends what an item stands for.
fn item(text: &str, values: &mut Vec<Option<Written>>) -> Result<(), String> {
    if text.starts_with("{{") {
        return histograms(text, values);
    }
    if let Some(times) = text.strip_prefix('_') {
        let times = if times.is_empty() { 1 } else { count(times.strip_prefix('x').ok_or("after _ there is xN")?)? };
        values.extend(std::iter::repeat_n(None, times));
        return Ok(());
    }
    let (mut value, rest) = match text.strip_prefix("stale") {
        Some(rest) => (f64::from_bits(STALE_NAN_BITS), rest),
        None => {
            let (value, rest) = text.split_at(number_length(text));
            (number(value)?, rest)
        }
    };
    let (step, times) = match rest.strip_prefix('x') {
        _ if rest.is_empty() => (0.0, 0),
        Some(times) => (0.0, count(times)?),
        None => {
            let (step, times) = rest.split_at(number_length(rest));
            (number(step)?, count(times.strip_prefix('x').ok_or("after a step there is xN")?)?)
        }
    };
    values.push(Some(Written::Float(value)));
    for _ in 0..times {
        if !rest.starts_with('x') {
            value += step;
        }
        values.push(Some(Written::Float(value)));
    }
    Ok(())
}

/// `{{..}}`, `{{..}}xN`, `{{..}}+{{..}}xN`, `{{..}}-{{..}}xN`
fn histograms(text: &str, values: &mut Vec<Option<Written>>) -> Result<(), String> {
    let (first, rest) = histogram::descriptor(text)?;
    let mut value = Arc::new(first.histogram);
    if rest.is_empty() || rest.starts_with('x') {
        let times = rest.strip_prefix('x').map_or(Ok(0), count)?;
        let one = Written::Histogram { histogram: value, hint_given: first.hint_given };
        values.extend(std::iter::repeat_n(Some(one), times + 1));
        return Ok(());
    }
    let minus = rest.starts_with('-');
    let (step, rest) = histogram::descriptor(rest.strip_prefix(['+', '-']).ok_or("what is this?")?)?;
    let times = count(rest.strip_prefix('x').ok_or("after a step there is xN")?)?;
    for number in 0..=times {
        if number > 0 {
            value = Arc::new(histogram::stepped(&value, &step.histogram, minus)?);
        }
        values.push(Some(Written::Histogram { histogram: value.clone(), hint_given: step.hint_given }));
    }
    Ok(())
}
