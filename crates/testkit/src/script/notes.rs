//! Texts that are expected: of errors, warnings and infos.

use longhaul_model::regex::AnchoredRegex;
use std::fmt;

/// Which text is expected.
#[derive(Clone, Debug)]
pub enum NoteMatcher {
    /// Any.
    Any,
    /// `msg:`: this one.
    Text(String),
    /// `regex:`: one in which the expression is found.
    Regex(String, AnchoredRegex),
}

impl NoteMatcher {
    /// Reads what may follow `expect warn` and its like.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text.is_empty() => Ok(Self::Any),
            Some(("msg", message)) => Ok(Self::Text(message.trim().to_owned())),
            Some(("regex", expression)) => {
                let expression = expression.trim();
                // Alone first: only a whole expression may stand in the group.
                let found =
                    AnchoredRegex::new(expression).and_then(|_| AnchoredRegex::new(&format!(".*(?:{expression}).*")));
                Ok(Self::Regex(expression.to_owned(), found.map_err(|error| error.to_string())?))
            }
            _ => Err(format!("{text:?} is neither msg: nor regex:")),
        }
    }

    /// Whether it is this text.
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Text(expected) => expected == text,
            Self::Regex(_, found) => found.is_match(text),
        }
    }
}

impl fmt::Display for NoteMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any text"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Regex(expression, _) => write!(f, "one with {expression}"),
        }
    }
}

/// Holds the annotations of one kind against what is expected of them: if something is, then every expectation is met by
/// one of them, and every one of them meets an expectation.
pub fn check(kind: &str, expected: &[NoteMatcher], some: bool, none: bool, found: &[String]) -> Result<(), String> {
    if none && !found.is_empty() {
        return Err(format!("no {kind} is expected, but there is {found:?}"));
    }
    if (some || !expected.is_empty()) && found.is_empty() {
        return Err(format!("there is no {kind}"));
    }
    if let Some(missed) = expected.iter().find(|expected| !found.iter().any(|text| expected.matches(text))) {
        return Err(format!("expected as {kind} is {missed}, but there is {found:?}"));
    }
    let strange = found.iter().find(|text| !expected.iter().any(|expected| expected.matches(text)));
    match strange {
        Some(text) if !expected.is_empty() => Err(format!("nothing expects the {kind} {text:?}")),
        _ => Ok(()),
    }
}
