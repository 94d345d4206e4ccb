//! Histogram descriptors, `{{schema:0 sum:5 count:4 buckets:[1 2 1]}}`: read and written.

use super::number::number;
use longhaul_model::histogram::SCHEMA_CUSTOM;
use longhaul_model::{BucketSpan, CounterResetHint, FloatHistogram};
use std::fmt::Write;

/// A descriptor that was read. Nothing in it is derived or checked: the count may contradict the buckets.
pub struct Descriptor {
    /// What it says.
    pub histogram: FloatHistogram,
    /// Whether it says what is known about counter resets.
    pub hint_given: bool,
}

/// Reads the descriptor at the start of `text`; returns what follows it.
pub fn descriptor(text: &str) -> Result<(Descriptor, &str), String> {
    let inside = text.strip_prefix("{{").ok_or("a histogram begins with {{")?;
    let (inside, rest) = inside.split_once("}}").ok_or("a histogram ends with }}")?;
    let mut read = Reader::default();
    let mut left = inside.trim_start();
    while !left.is_empty() {
        let (key, after) = left.split_once(':').ok_or_else(|| format!("{left:?} is not key:value"))?;
        let end = if after.starts_with('[') {
            after.find(']').ok_or("a list ends with ]")? + 1
        } else {
            after.find(char::is_whitespace).unwrap_or(after.len())
        };
        let (value, after) = after.split_at(end);
        if !after.is_empty() && !after.starts_with(char::is_whitespace) {
            return Err(format!("a space follows {key}:{value}"));
        }
        let key = key.to_lowercase();
        read.set(&key, value)?;
        if read.keys.contains(&key) {
            return Err(format!("{key} stands there twice"));
        }
        read.keys.push(key);
        left = after.trim_start();
    }
    Ok((read.finish(), rest))
}

/// `histogram` plus or minus `step`, by the rules of histogram arithmetic.
pub fn stepped(histogram: &FloatHistogram, step: &FloatHistogram, minus: bool) -> Result<FloatHistogram, String> {
    if histogram.schema > step.schema {
        return Err(format!("a histogram of schema {} cannot step by one of {}", histogram.schema, step.schema));
    }
    let mut next = histogram.clone();
    let combined = if minus { next.sub(step) } else { next.add(step) };
    combined.map_err(|error| error.to_string())?;
    Ok(next)
}

#[derive(Default)]
struct Reader {
    histogram: FloatHistogram,
    offset: i32,
    negative_offset: i32,
    keys: Vec<String>,
}

impl Reader {
    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let histogram = &mut self.histogram;
        match key {
            "schema" => histogram.schema = integer(value)?,
            "sum" => histogram.sum = number(value)?,
            "count" => histogram.count = number(value)?,
            "z_bucket" => histogram.zero_count = number(value)?,
            "z_bucket_w" => histogram.zero_threshold = number(value)?,
            "custom_values" => histogram.custom_bounds = list(value)?.into(),
            "buckets" => histogram.positive_counts = list(value)?,
            "offset" => self.offset = integer(value)?,
            "n_buckets" => histogram.negative_counts = list(value)?,
            "n_offset" => self.negative_offset = integer(value)?,
            "counter_reset_hint" => histogram.reset_hint = hint(value)?,
            _ => return Err(format!("a histogram has no {key:?}")),
        }
        Ok(())
    }

    fn finish(mut self) -> Descriptor {
        let spans = |offset: i32, counts: &[f64]| match counts.len() {
            0 => Vec::new(),
            length => vec![BucketSpan { offset, length: length as u32 }],
        };
        self.histogram.positive_spans = spans(self.offset, &self.histogram.positive_counts);
        self.histogram.negative_spans = spans(self.negative_offset, &self.histogram.negative_counts);
        let hint_given = self.keys.iter().any(|key| key == "counter_reset_hint");
        Descriptor { histogram: self.histogram, hint_given }
    }
}

fn integer(text: &str) -> Result<i32, String> {
    text.parse().map_err(|_| format!("{text:?} is not a whole number"))
}

fn list(text: &str) -> Result<Vec<f64>, String> {
    let inside = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).ok_or("a list stands in brackets")?;
    let numbers: Vec<f64> = inside.split_whitespace().map(number).collect::<Result<_, _>>()?;
    if numbers.is_empty() { Err("a list holds something".to_owned()) } else { Ok(numbers) }
}

const HINTS: [(&str, CounterResetHint); 4] = [
    ("unknown", CounterResetHint::Unknown),
    ("reset", CounterResetHint::Reset),
    ("not_reset", CounterResetHint::NotReset),
    ("gauge", CounterResetHint::Gauge),
];

fn hint(text: &str) -> Result<CounterResetHint, String> {
    let known = HINTS.iter().find(|(name, _)| *name == text.to_lowercase());
    known.map(|(_, hint)| *hint).ok_or_else(|| format!("{text:?} is no hint about counter resets"))
}

/// The descriptor of a histogram, for failures to show. What is zero or unknown is left out.
pub fn describe(histogram: &FloatHistogram) -> String {
    let mut text = String::from("{{");
    // Writing to a String cannot fail.
    let mut put = |key: &str, value: &dyn std::fmt::Display| {
        let space = if text.len() > 2 { " " } else { "" };
        let _ = write!(text, "{space}{key}:{value}");
    };
    if histogram.schema != 0 {
        put("schema", &histogram.schema);
    }
    let numbers = [
        ("count", histogram.count),
        ("sum", histogram.sum),
        ("z_bucket", histogram.zero_count),
        ("z_bucket_w", histogram.zero_threshold),
    ];
    numbers.iter().filter(|(_, value)| *value != 0.0).for_each(|(key, value)| put(key, value));
    if histogram.schema == SCHEMA_CUSTOM {
        put("custom_values", &Numbers(&histogram.custom_bounds));
    }
    if histogram.reset_hint != CounterResetHint::Unknown {
        HINTS
            .iter()
            .filter(|(_, hint)| *hint == histogram.reset_hint)
            .for_each(|(name, _)| put("counter_reset_hint", name));
    }
    let sides = [
        ("offset", "buckets", &histogram.positive_spans, &histogram.positive_counts),
        ("n_offset", "n_buckets", &histogram.negative_spans, &histogram.negative_counts),
    ];
    for (offset_key, key, spans, counts) in sides {
        let (offset, counts) = contiguous(spans, counts);
        if offset != 0 {
            put(offset_key, &offset);
        }
        if !counts.is_empty() {
            put(key, &Numbers(&counts));
        }
    }
    text + "}}"
}

/// The index of the first bucket, and all counts from there on with those between the spans.
fn contiguous(spans: &[BucketSpan], counts: &[f64]) -> (i32, Vec<f64>) {
    let mut counts = counts.iter();
    let mut all = Vec::new();
    for (number, span) in spans.iter().enumerate() {
        if number > 0 {
            all.extend(std::iter::repeat_n(0.0, span.offset.max(0) as usize));
        }
        all.extend(counts.by_ref().take(span.length as usize));
    }
    (spans.first().map_or(0, |span| span.offset), all)
}

/// `[1 2 3]`
struct Numbers<'a>(&'a [f64]);

impl std::fmt::Display for Numbers<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(f64::to_string).collect();
        write!(f, "[{}]", numbers.join(" "))
    }
}
