//! One line of the text formats: a sample, or what is said of a family. Nothing is allocated but for texts that have
//! escapes in them.
//!
//! Formats: Prometheus' text format 0.0.4 and OpenMetrics 1.0, both with names in quotes as Prometheus 3 writes them.

use super::decode::Dialect;
use crate::names::is_plain;
use longhaul_model::MetricKind;
use std::borrow::Cow;

/// A name or value with its escapes undone.
pub(super) type Text<'a> = Cow<'a, str>;

/// A sample.
#[derive(Debug, PartialEq)]
pub(super) struct SampleLine<'a> {
    /// None if the name stands nowhere, or as a label.
    pub name: Option<Text<'a>>,
    /// In the order of the line.
    pub labels: Vec<(Text<'a>, Text<'a>)>,
    pub value: f64,
    /// None: now.
    pub t_ms: Option<i64>,
    pub exemplar: Option<ExemplarPart<'a>>,
}

/// What stands behind the `#` of a sample.
#[derive(Debug, PartialEq)]
pub(super) struct ExemplarPart<'a> {
    pub labels: Vec<(Text<'a>, Text<'a>)>,
    pub value: f64,
    pub t_ms: Option<i64>,
}

/// What is said of a family.
#[derive(Debug, PartialEq)]
pub(super) enum Said<'a> {
    Kind(Text<'a>, MetricKind),
    Help(Text<'a>, Text<'a>),
    Unit(Text<'a>, Text<'a>),
    /// The end of an OpenMetrics text.
    End,
    /// Something for people.
    Nothing,
}

/// Reads a line that begins with `#`.
pub(super) fn comment(line: &str) -> Result<Said<'_>, String> {
    let rest = line.strip_prefix('#').unwrap_or(line);
    if rest == " EOF" {
        return Ok(Said::End);
    }
    let mut cursor = Cursor { rest };
    cursor.skip_blanks();
    let keyword = cursor.token();
    if !matches!(keyword, "TYPE" | "HELP" | "UNIT") {
        return Ok(Said::Nothing);
    }
    cursor.skip_blanks();
    let family = if cursor.rest.starts_with('"') { cursor.quoted()? } else { Cow::Borrowed(cursor.token()) };
    if family.is_empty() {
        return Err(format!("{keyword} without a name"));
    }
    cursor.skip_blanks();
    Ok(match keyword {
        "TYPE" => Said::Kind(family, kind(cursor.rest.trim_end_matches(is_blank))?),
        "HELP" => Said::Help(family, unescaped(cursor.rest)),
        _ => Said::Unit(family, Cow::Borrowed(cursor.rest.trim_end_matches(is_blank))),
    })
}

fn kind(name: &str) -> Result<MetricKind, String> {
    if name == "untyped" {
        return Ok(MetricKind::Unknown);
    }
    let known = MetricKind::ALL.into_iter().find(|kind| kind.as_str() == name);
    known.ok_or_else(|| format!("{name:?} is no type of metric"))
}

/// Reads a line that is a sample.
pub(super) fn sample(line: &str, dialect: Dialect) -> Result<SampleLine<'_>, String> {
    let mut cursor = Cursor { rest: line };
    cursor.skip_blanks();
    let mut name = None;
    if !cursor.rest.starts_with('{') {
        let token = cursor.until(|character| character == '{' || is_blank(character));
        if !is_plain(token) {
            return Err(format!("{:?} is no name of a metric", shortened(token)));
        }
        name = Some(Cow::Borrowed(token));
        cursor.skip_blanks();
    }
    let mut labels = Vec::new();
    if cursor.rest.starts_with('{') {
        cursor.labels(&mut labels, |quoted| match name {
            Some(_) => Err(quoted),
            None => {
                name = Some(quoted);
                Ok(())
            }
        })?;
    }
    cursor.skip_blanks();
    let value = number(cursor.token(), "value")?;
    cursor.skip_blanks();
    let mut t_ms = None;
    if !cursor.rest.is_empty() && !cursor.rest.starts_with('#') {
        t_ms = Some(dialect.time(cursor.token())?);
        cursor.skip_blanks();
    }
    let exemplar = match cursor.rest.strip_prefix('#') {
        Some(rest) if dialect == Dialect::OpenMetrics => Some(exemplar(rest)?),
        _ if cursor.rest.is_empty() => None,
        _ => return Err(format!("{:?} behind the sample", shortened(cursor.rest))),
    };
    Ok(SampleLine { name, labels, value, t_ms, exemplar })
}

fn exemplar(text: &str) -> Result<ExemplarPart<'_>, String> {
    let mut cursor = Cursor { rest: text };
    cursor.skip_blanks();
    let mut labels = Vec::new();
    cursor.labels(&mut labels, Err)?;
    cursor.skip_blanks();
    let value = number(cursor.token(), "value of an exemplar")?;
    cursor.skip_blanks();
    let t_ms = match cursor.token() {
        "" => None,
        time => Some(Dialect::OpenMetrics.time(time)?),
    };
    cursor.skip_blanks();
    if !cursor.rest.is_empty() {
        return Err(format!("{:?} behind the exemplar", shortened(cursor.rest)));
    }
    Ok(ExemplarPart { labels, value, t_ms })
}

impl Dialect {
    /// Whole milliseconds in the one, seconds with or without a fraction in the other.
    fn time(self, token: &str) -> Result<i64, String> {
        let wrong = || format!("{:?} is no time", shortened(token));
        match self {
            Self::Text => token.parse().map_err(|_| wrong()),
            Self::OpenMetrics => {
                let time_ms = (number(token, "time")? * 1000.0).round();
                // Beyond this not every millisecond is a number of its own.
                if time_ms.abs() < 2f64.powi(53) { Ok(time_ms as i64) } else { Err(wrong()) }
            }
        }
    }
}

fn number(token: &str, what: &str) -> Result<f64, String> {
    token.parse().map_err(|_| match token {
        "" => format!("there is no {what}"),
        token => format!("{:?} is no {what}", shortened(token)),
    })
}

/// What is left of a line.
struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches(is_blank);
    }

    /// What comes before the first character that `ends` it.
    fn until(&mut self, ends: impl Fn(char) -> bool) -> &'a str {
        let (token, rest) = self.rest.split_at(self.rest.find(ends).unwrap_or(self.rest.len()));
        self.rest = rest;
        token
    }

    /// What comes before the next blank.
    fn token(&mut self) -> &'a str {
        self.until(is_blank)
    }

    fn take(&mut self, wanted: char) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Reads `{name="value",...}`. A text in quotes that has no value is offered to `name`, which may give it back.
    fn labels(
        &mut self,
        labels: &mut Vec<(Text<'a>, Text<'a>)>,
        mut name: impl FnMut(Text<'a>) -> Result<(), Text<'a>>,
    ) -> Result<(), String> {
        if !self.take('{') {
            return Err("labels in braces are missing".to_owned());
        }
        loop {
            self.skip_blanks();
            if self.take('}') {
                return Ok(());
            }
            let is_quoted = self.rest.starts_with('"');
            let label = if is_quoted {
                self.quoted()?
            } else {
                let token = self.until(|character| matches!(character, '=' | ',' | '}' | '"') || is_blank(character));
                if !is_plain(token) {
                    return Err(format!("{:?} is no name of a label", shortened(token)));
                }
                Cow::Borrowed(token)
            };
            self.skip_blanks();
            if self.take('=') {
                self.skip_blanks();
                labels.push((label, self.quoted()?));
            } else {
                let unwanted = |label: Text<'_>| format!("the label {:?} has no value", shortened(&label));
                match is_quoted {
                    true => name(label).map_err(unwanted)?,
                    false => return Err(unwanted(label)),
                }
            }
            self.skip_blanks();
            if !self.take(',') && !self.rest.starts_with('}') {
                return Err("a comma or brace is missing behind a label".to_owned());
            }
        }
    }

    /// Reads a text in quotes.
    fn quoted(&mut self) -> Result<Text<'a>, String> {
        let inside = self.rest.strip_prefix('"').ok_or("a quotation mark is missing")?;
        let mut is_escaped = false;
        for (at, byte) in inside.bytes().enumerate() {
            match byte {
                b'"' if !is_escaped => {
                    self.rest = &inside[at + 1..];
                    return Ok(unescaped(&inside[..at]));
                }
                _ => is_escaped = byte == b'\\' && !is_escaped,
            }
        }
        Err("a text in quotes does not end".to_owned())
    }
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t')
}

/// `\\`, `\"` and `\n` are what they stand for; any other backslash is one.
fn unescaped(text: &str) -> Text<'_> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let escape = if character == '\\' { characters.clone().next() } else { None };
        match escape {
            Some(escaped @ ('\\' | '"' | 'n')) => {
                characters.next();
                plain.push(if escaped == 'n' { '\n' } else { escaped });
            }
            _ => plain.push(character),
        }
    }
    Cow::Owned(plain)
}

/// As much of a text as a message needs.
fn shortened(text: &str) -> &str {
    const CHARACTERS_MAX: usize = 64;
    text.char_indices().nth(CHARACTERS_MAX).map_or(text, |(at, _)| &text[..at])
}
