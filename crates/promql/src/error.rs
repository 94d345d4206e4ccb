//! What is wrong with a query text: messages with their places, as Prometheus words them.

use crate::ast::Span;
use std::fmt;

/// One fault in a query text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The part of the text that is wrong, bytes.
    pub span: Span,
    /// Where `span` starts, as a person counts. An empty text has no places.
    pub position: Option<Position>,
    /// What is wrong.
    pub message: String,
}

/// Why a duration expression has no usable value; known only when the query is run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{}: {message}", span.start, span.end)]
pub struct DurationError {
    /// The expression.
    pub span: Span,
    /// What is wrong with its value.
    pub message: &'static str,
}

/// A place in a text, both counted from 1, columns in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The byte within the line.
    pub column: u32,
}

/// All faults found in a query text, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseErrors(Vec<ParseError>);

impl Position {
    /// Where byte `offset` of `text` stands, if it has any bytes.
    pub fn of(text: &str, offset: u32) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let before = &text.as_bytes()[..text.len().min(offset as usize)];
        let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
        let lines = before.iter().filter(|&&byte| byte == b'\n').count();
        Some(Self { line: lines as u32 + 1, column: (before.len() - line_start) as u32 + 1 })
    }
}

impl ParseErrors {
    /// # Panics
    ///
    /// If there are none.
    pub fn new(errors: Vec<ParseError>) -> Self {
        assert!(!errors.is_empty(), "a failed parse says why");
        Self(errors)
    }

    /// The faults in the order in which they were found; the first is the one that is shown.
    pub fn as_slice(&self) -> &[ParseError] {
        &self.0
    }

    /// The fault to show.
    pub fn first(&self) -> &ParseError {
        &self.0[0]
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// `1:5: parse error: unexpected end of input`
impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some(position) => write!(f, "{position}: parse error: {}", self.message),
            None => write!(f, "unknown position: parse error: {}", self.message),
        }
    }
}

/// The first fault, as Prometheus shows it.
impl fmt::Display for ParseErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first().fmt(f)
    }
}

impl std::error::Error for ParseError {}

impl std::error::Error for ParseErrors {}
